//! The PROXY protocol header, versions 1 and 2: it is read or refused, and no byte behind it is taken.
#![no_main]

use libfuzzer_sys::fuzz_target;

// A private file of `front`, which uses nothing else of the crate: compiled here, it need not be public there.
#[allow(dead_code)]
#[path = "../../src/front/proxy_header.rs"]
mod proxy_header;

/// The longest header that is read.
const HEADER_MAX: usize = 4096;

fn read(mut bytes: &[u8]) -> (Option<Option<proxy_header::Ends>>, usize) {
    let before = bytes.len();
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime is made");
    let ends = runtime.block_on(proxy_header::read(&mut bytes)).ok();
    (ends, before - bytes.len())
}

fuzz_target!(|bytes: &[u8]| {
    let (ends, taken) = read(bytes);
    assert!(taken <= HEADER_MAX);
    if let Some(ends) = ends {
        assert_eq!(read(&bytes[..taken]), (Some(ends), taken), "what follows the header changes nothing");
        assert!(ends.is_none_or(|ends| ends.client.ip() == ends.client.ip().to_canonical()));
    }
});
