//! Stream framing: however a stream is cut, the same messages are found in it.
#![no_main]

use hairpin::relay::framing::{MESSAGE_MAX, message_length};
use libfuzzer_sys::fuzz_target;

/// The lengths of the messages that a stream consists of, if it comes in pieces of `piece` bytes; `Err` holds those before
/// the bytes that begin no message.
fn lengths(stream: &[u8], piece: usize) -> Result<Vec<usize>, Vec<usize>> {
    let (mut lengths, mut begin, mut end) = (Vec::new(), 0, 0);
    loop {
        match message_length(&stream[begin..end], lengths.is_empty()) {
            Ok(Some(length)) => {
                assert!(length > 0 && length <= end - begin && length <= MESSAGE_MAX);
                lengths.push(length);
                begin += length;
            }
            Ok(None) if end == stream.len() => return Ok(lengths),
            Ok(None) => end = (end + piece).min(stream.len()),
            Err(_) => return Err(lengths),
        }
    }
}

fuzz_target!(|stream: &[u8]| {
    let all = lengths(stream, usize::MAX >> 1);
    assert_eq!(lengths(stream, 1), all);
    assert_eq!(lengths(stream, 7), all);
});
