//! The configuration: any text is a configuration, or an error that says something.
#![no_main]

use std::path::Path;

use hairpin::config::Config;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    if let Err(error) = Config::parse(text, Path::new("config.toml")) {
        assert!(error.to_string().contains("config.toml"), "an error names the file");
    }
});
