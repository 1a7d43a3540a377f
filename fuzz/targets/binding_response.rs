//! The response of a STUN server: an address is read from it, or nothing.
#![no_main]

use libfuzzer_sys::fuzz_target;

// A private file of `discovery`, which uses nothing else of the crate: compiled here, it need not be public there.
#[allow(dead_code)]
#[path = "../../src/discovery/binding.rs"]
mod binding;

const TRANSACTION: [u8; 12] = [7; 12];

fuzz_target!(|attributes: &[u8]| {
    let length = u16::try_from(attributes.len()).unwrap_or(u16::MAX).to_be_bytes();
    let header: &[&[u8]] = &[&[1, 1], &length, &[0x21, 0x12, 0xA4, 0x42], &TRANSACTION];
    let datagram = [header.concat().as_slice(), attributes].concat();
    let address = binding::mapped_address(&datagram, TRANSACTION);
    assert!(address.is_none() || attributes.len() >= 12, "an address has a place in the response");
    assert_eq!(binding::mapped_address(&datagram, [8; 12]), None, "another request is not answered");
});
