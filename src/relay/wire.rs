//! PURE  The wire format of STUN messages (RFC 8489 §5) and of ChannelData (RFC 8656 §12.4).
//!
//! Everything that a client sends passes through [`screen`], which checks the header and every attribute. Handlers read
//! attributes from the [`Message`] that it returns, and nothing else reads requests. The decoder of the `stun` crate is
//! too lenient, because it obeys attributes behind MESSAGE-INTEGRITY and accepts trailing bytes; that crate writes the
//! answers. The messages that carry data are read and written here without an allocation.

mod message;
mod write;

use std::ops::Range;

use stun::attributes::AttrType;
use stun::message::MAGIC_COOKIE;

use crate::outcome::Ignored;
use crate::relay::address::ChannelNumber;

pub use message::{Attribute, Class, Malformed, Message, SendIndication, is_understood};
pub use write::{
    IndicationHeader, channel_data_header, connection_attempt, data_indication_header, icmp_indication,
};

/// Bytes of a STUN header (RFC 8489 §5).
pub const HEADER: usize = 20;
/// The magic cookie, which distinguishes STUN from other protocols (RFC 8489 §5).
pub const COOKIE: [u8; 4] = MAGIC_COOKIE.to_be_bytes();
/// Bytes of a ChannelData header (RFC 8656 §12.4).
pub const CHANNEL_HEADER: usize = 4;
/// The longest header of a Data indication in front of its data, in bytes: the one for an IPv6 peer.
pub const DATA_HEADER_MAX: usize = HEADER + ATTRIBUTE + 20 + ATTRIBUTE;
/// The longest padding behind data, in bytes.
pub const DATA_PADDING_MAX: usize = 3;

/// Bytes of an attribute in front of its value (RFC 8489 §14).
const ATTRIBUTE: usize = 4;

/// The ICMP attribute (RFC 8656 §18.13), which the `stun` and `turn` crates do not have.
pub const ATTR_ICMP: AttrType = AttrType(0x8004);

/// A well-formed datagram of a client.
#[derive(Debug)]
pub enum Datagram<'a> {
    /// ChannelData: the number of its channel, and which part of the datagram is the data.
    ChannelData(ChannelNumber, Range<usize>),
    /// A STUN message.
    Message(Message<'a>),
}

/// An ICMP error for a packet that this server sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Icmp {
    /// The ICMP type.
    pub kind: u8,
    /// The ICMP code.
    pub code: u8,
    /// The next hop's MTU, if the type has one.
    pub data: u32,
}

/// Checks a client's datagram, and distinguishes STUN from ChannelData. A datagram that fails is dropped without an
/// answer.
///
/// # Errors
/// Why the datagram is dropped.
pub fn screen(datagram: &[u8]) -> Result<Datagram<'_>, Ignored> {
    let [first, second, third, fourth, rest @ ..] = datagram else { return Err(Ignored::NotStun) };
    let length = usize::from(u16::from_be_bytes([*third, *fourth]));
    match first >> 6 {
        0 => Message::read(datagram, length).map(Datagram::Message),
        1 => {
            let number = ChannelNumber::new(u16::from_be_bytes([*first, *second])).ok_or(Ignored::NotStun)?;
            // Over UDP padding may follow the payload, so more bytes are allowed and fewer are not (§12.5).
            if length > rest.len() {
                return Err(Ignored::Malformed);
            }
            Ok(Datagram::ChannelData(number, CHANNEL_HEADER..CHANNEL_HEADER + length))
        }
        _ => Err(Ignored::NotStun),
    }
}

/// How many bytes of padding follow `length` bytes, up to a multiple of four: behind an attribute's value (RFC 8489
/// §14), and behind ChannelData on a stream (RFC 8656 §12.5).
#[must_use]
pub const fn padding(length: usize) -> usize {
    length.next_multiple_of(4) - length
}

const fn padded(length: usize) -> usize {
    length.next_multiple_of(4)
}

/// The encoding of an IP address in XOR-PEER-ADDRESS; `key` begins with the magic cookie (RFC 8489 §14.2).
fn xor<const N: usize>(mut ip: [u8; N], key: &[u8]) -> [u8; N] {
    for (byte, key) in ip.iter_mut().zip(key) {
        *byte ^= key;
    }
    ip
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Over UDP a payload may be padded (RFC 8656 §12.5); the bytes beyond its length are not part of it.
    #[test]
    fn channel_data_ends_with_its_length() {
        let datagram = [0x40, 0, 0, 2, 1, 2, 0, 0];
        assert!(matches!(screen(&datagram), Ok(Datagram::ChannelData(_, payload)) if payload == (4..6)));
        assert!(matches!(screen(&datagram[..5]), Err(Ignored::Malformed)));
    }
}
