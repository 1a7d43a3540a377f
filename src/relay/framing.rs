//! PURE  Finds where a message ends in a byte stream (RFC 8489 §6.2.2, RFC 8656 §12.5).

use crate::relay::wire::{CHANNEL_HEADER, COOKIE, HEADER};

/// The longest message: a STUN header and the longest length that its field can express, a multiple of four.
pub const MESSAGE_MAX: usize = HEADER + 0xFFFC;

/// The bytes cannot be the beginning of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NotStun;

/// The length of the first message in `bytes`, padding included; `None` until the message is complete. The `first`
/// message of a connection must be STUN, because no channel is bound yet; so an HTTP request is not taken for
/// ChannelData.
///
/// # Errors
/// If no message begins like this, reported as early as possible.
pub fn message_length(bytes: &[u8], first: bool) -> Result<Option<usize>, NotStun> {
    let Some(kind) = bytes.first() else { return Ok(None) };
    let length = || bytes.get(2..4).map(|field| usize::from(u16::from_be_bytes([field[0], field[1]])));
    let whole = match kind >> 6 {
        0 => {
            let seen = bytes.get(4..HEADER.min(bytes.len())).unwrap_or_default();
            if length().is_some_and(|length| !length.is_multiple_of(4)) || !agree(seen, &COOKIE) {
                return Err(NotStun);
            }
            length().map(|length| HEADER + length)
        }
        1 if !first => length().map(|length| (CHANNEL_HEADER + length).next_multiple_of(4)),
        _ => return Err(NotStun),
    };
    Ok(whole.filter(|whole| *whole <= bytes.len()))
}

/// Whether one of two byte strings begins with the other.
fn agree(one: &[u8], other: &[u8]) -> bool {
    one.iter().zip(other).all(|(one, other)| one == other)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn stun(length: u16) -> Vec<u8> {
        let mut message = vec![0x00, 0x01];
        message.extend(length.to_be_bytes());
        message.extend(COOKIE);
        message.resize(HEADER + usize::from(length), 7);
        message
    }

    fn channel_data(length: u16, padding: u8) -> Vec<u8> {
        let mut message = vec![0x40, 0x00];
        message.extend(length.to_be_bytes());
        message.resize(CHANNEL_HEADER + usize::from(length), 7);
        message.resize(message.len().next_multiple_of(4), padding);
        message
    }

    #[test]
    fn a_message_is_whole_with_its_last_byte_and_not_before() {
        for message in [stun(0), stun(4), stun(0xFFFC), channel_data(0, 0), channel_data(1, 0xFF)] {
            for cut in 0..message.len() {
                assert_eq!(message_length(&message[..cut], false), Ok(None), "{cut} of {}", message.len());
            }
            assert_eq!(message_length(&message, false), Ok(Some(message.len())));
        }
    }

    /// C4: a message does not wait for bytes of the next one. C5: the contents of the padding do not matter.
    #[test]
    fn short_channel_data_is_whole_at_once() {
        for (length, whole) in [(0, 4), (1, 8), (2, 8), (3, 8), (4, 8), (5, 12)] {
            for padding in [0, 0xFF] {
                assert_eq!(message_length(&channel_data(length, padding), false), Ok(Some(whole)));
            }
        }
    }

    /// C6: lengths whose sum with the header, or with the padding, exceeds 16 bits.
    #[test]
    fn the_longest_lengths_do_not_wrap() {
        for length in 0xFFEC..=0xFFFF_u16 {
            let whole = message_length(&channel_data(length, 0), false);
            assert_eq!(whole, Ok(Some((4 + usize::from(length)).next_multiple_of(4))));
            let whole = message_length(&stun(length), false);
            let expected =
                if length.is_multiple_of(4) { Ok(Some(20 + usize::from(length))) } else { Err(NotStun) };
            assert_eq!(whole, expected);
            assert_eq!(message_length(&stun(length)[..21], false).ok().flatten(), None);
        }
        assert_eq!(stun(0xFFFC).len(), MESSAGE_MAX);
    }

    #[test]
    fn what_is_not_stun_shows_with_the_byte_that_is_wrong() {
        for (bytes, at) in [
            (&[0x80][..], 1),
            (&[0xC0], 1),
            (&[0, 1, 0, 3], 4),
            (&[0, 1, 0, 0, 0x21, 0x13], 6),
            (b"GET / HTTP/1.1\r\n", 1),
            (b"PROXY TCP4", 1),
            (b"\r\n\r\n\0\r\nQUIT\n", 4),
        ] {
            assert_eq!(message_length(&bytes[..at - 1], true), Ok(None));
            assert_eq!(message_length(&bytes[..at], true), Err(NotStun), "{bytes:?}");
        }
    }

    #[test]
    fn the_first_message_of_a_connection_is_stun() {
        assert_eq!(message_length(&channel_data(4, 0), true), Err(NotStun));
        assert_eq!(message_length(&stun(0), true), Ok(Some(20)));
    }

    proptest! {
        /// C1 to C3: however a stream is split, the same messages come out of it.
        #[test]
        fn segmentation_changes_nothing(
            lengths in proptest::collection::vec((any::<bool>(), 0..300_u16), 1..20),
            cuts in proptest::collection::vec(1..64_usize, 1..200),
        ) {
            let messages: Vec<Vec<u8>> = lengths
                .into_iter()
                .map(|(is_stun, length)| if is_stun { stun(length & !3) } else { channel_data(length, 9) })
                .collect();
            let stream = messages.concat();
            let (mut seen, mut buffer, mut at, mut cuts) = (Vec::new(), Vec::new(), 0, cuts.into_iter().cycle());
            while at < stream.len() {
                let next = (at + cuts.next().unwrap_or(1)).min(stream.len());
                buffer.extend_from_slice(&stream[at..next]);
                at = next;
                while let Some(whole) = message_length(&buffer, false).unwrap() {
                    seen.push(buffer.drain(..whole).collect::<Vec<u8>>());
                }
            }
            prop_assert_eq!(seen, messages);
        }

        #[test]
        fn no_bytes_make_it_panic_or_claim_more_than_there_is(
            bytes in proptest::collection::vec(any::<u8>(), 0..100), first: bool,
        ) {
            if let Ok(Some(whole)) = message_length(&bytes, first) {
                prop_assert!(whole > 0 && whole <= bytes.len());
            }
        }
    }
}
