//! Origins: what the operator writes on the first line, and what a browser sends on the second.
#![no_main]

use hairpin::origin::{Origin, OriginPattern};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let (written, sent) = text.split_once('\n').unwrap_or((text, text));
    match Origin::parse(written) {
        Ok(origin) => {
            assert!(origin.matches(origin.as_str()), "a site's own page is of the site");
            assert_eq!(Origin::parse(origin.as_str()).as_ref(), Ok(&origin));
            assert!(origin.as_str().ends_with(origin.authority()));
            let pattern = OriginPattern::parse(origin.as_str()).expect("an origin is a pattern");
            assert_eq!(pattern.matches(sent), origin.matches(sent));
        }
        Err(error) => assert!(!error.is_empty()),
    }
    match OriginPattern::parse(written) {
        Ok(pattern) => drop(pattern.matches(sent)),
        Err(error) => assert!(!error.is_empty()),
    }
});
