//! PURE  A well-formed STUN message of a client, and its attributes.

use std::net::{IpAddr, SocketAddr};
use std::ops::Range;

use stun::attributes::{
    ATTR_CHANNEL_NUMBER, ATTR_CONNECTION_ID, ATTR_DATA, ATTR_DONT_FRAGMENT, ATTR_ERROR_CODE, ATTR_EVEN_PORT,
    ATTR_FINGERPRINT, ATTR_LIFETIME, ATTR_MAPPED_ADDRESS, ATTR_MESSAGE_INTEGRITY,
    ATTR_MESSAGE_INTEGRITY_SHA256, ATTR_NONCE, ATTR_PASSWORD_ALGORITHM, ATTR_REALM,
    ATTR_REQUESTED_ADDRESS_FAMILY, ATTR_REQUESTED_TRANSPORT, ATTR_RESERVATION_TOKEN, ATTR_UNKNOWN_ATTRIBUTES,
    ATTR_USER_HASH, ATTR_USERNAME, ATTR_XOR_PEER_ADDRESS, ATTR_XOR_RELAYED_ADDRESS, ATTR_XORMAPPED_ADDRESS,
    AttrType,
};
use stun::fingerprint::fingerprint_value;
use stun::message::MAGIC_COOKIE;

use crate::outcome::{Ignored, Refusal};
use crate::relay::address::PeerAddr;
use crate::relay::wire::{ATTRIBUTE, COOKIE, HEADER, padded, xor};

/// A STUN message whose header and attributes are well-formed, read up to its integrity attribute.
#[derive(Debug, Clone, Copy)]
pub struct Message<'a> {
    bytes: &'a [u8],
    end: usize,
    integrity: Option<Attribute<'a>>,
    fingerprint: bool,
}

/// One attribute: its type, its value, and the position of the value in the datagram.
#[derive(Debug, Clone, Copy)]
pub struct Attribute<'a> {
    /// The type (RFC 8489 §14).
    pub kind: AttrType,
    /// The value, without padding.
    pub value: &'a [u8],
    /// Offset of the value in the datagram.
    pub at: usize,
}

/// The contents of a Send indication (RFC 8656 §11.2).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SendIndication {
    /// The receiver of the data.
    pub peer: PeerAddr,
    /// Which part of the datagram is the data.
    pub payload: Range<usize>,
    /// Whether the packet must not be fragmented.
    pub dont_fragment: bool,
}

/// An attribute whose value does not have the length or form that its type demands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Malformed;

impl From<Malformed> for Refusal {
    fn from(_: Malformed) -> Self {
        Self::BadRequest
    }
}

/// The class of a STUN message (RFC 8489 §5).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    /// Requires an answer.
    Request,
    /// Is not answered.
    Indication,
    /// Is an answer.
    Response,
}

impl<'a> Message<'a> {
    /// Checks a message, whose header says that `length` bytes follow it.
    pub(super) fn read(bytes: &'a [u8], length: usize) -> Result<Self, Ignored> {
        if bytes.len() < HEADER || bytes[4..8] != COOKIE {
            return Err(Ignored::NotStun);
        }
        if !length.is_multiple_of(4) || HEADER + length != bytes.len() {
            return Err(Ignored::Malformed);
        }
        let mut message = Self { bytes, end: bytes.len(), integrity: None, fingerprint: false };
        let mut at = HEADER;
        while at < bytes.len() {
            let attribute = attribute_at(bytes, at).ok_or(Ignored::Malformed)?;
            at = attribute.at + padded(attribute.value.len());
            match (attribute.kind, message.integrity.map(|integrity| integrity.kind)) {
                (ATTR_FINGERPRINT, _) => {
                    check_fingerprint(bytes, &attribute)?;
                    message.fingerprint = true;
                }
                (ATTR_MESSAGE_INTEGRITY | ATTR_MESSAGE_INTEGRITY_SHA256, None) => {
                    message.integrity = Some(attribute);
                    message.end = at;
                }
                // Behind MESSAGE-INTEGRITY only this attribute counts; nothing between the two does (RFC 8489 §14.5).
                (ATTR_MESSAGE_INTEGRITY_SHA256, Some(ATTR_MESSAGE_INTEGRITY)) => {
                    message.integrity = Some(attribute);
                }
                _ => {}
            }
        }
        Ok(message)
    }

    /// The method's number.
    #[must_use]
    pub fn method(&self) -> u16 {
        let kind = self.kind();
        (kind & 0x000F) | ((kind & 0x00E0) >> 1) | ((kind & 0x3E00) >> 2)
    }

    /// The message's class.
    #[must_use]
    pub fn class(&self) -> Class {
        match self.kind() & 0x0110 {
            0x0000 => Class::Request,
            0x0010 => Class::Indication,
            _ => Class::Response,
        }
    }

    /// The transaction id, which the answer repeats.
    #[must_use]
    pub fn transaction(&self) -> [u8; 12] {
        self.bytes[8..HEADER].try_into().expect("a screened message has a whole header")
    }

    /// Bytes of the whole message.
    #[must_use]
    pub fn length(&self) -> usize {
        self.bytes.len()
    }

    /// Whether the message has a FINGERPRINT, which has already been checked.
    #[must_use]
    pub fn has_fingerprint(&self) -> bool {
        self.fingerprint
    }

    /// The attributes up to and including the first integrity attribute, in order.
    pub fn attributes(&self) -> impl Iterator<Item = Attribute<'a>> + use<'a> {
        let bytes = &self.bytes[..self.end];
        let mut at = HEADER;
        std::iter::from_fn(move || {
            let attribute = attribute_at(bytes, at)?;
            at = attribute.at + padded(attribute.value.len());
            Some(attribute)
        })
    }

    /// The first attribute of a type: of several only the first counts (RFC 8489 §14).
    #[must_use]
    pub fn first(&self, kind: AttrType) -> Option<Attribute<'a>> {
        self.attributes().find(|attribute| attribute.kind == kind)
    }

    /// The value of the first attribute of a type; `None` if the message has no such attribute.
    ///
    /// # Errors
    /// If the value does not have exactly `N` bytes.
    pub fn value<const N: usize>(&self, kind: AttrType) -> Result<Option<[u8; N]>, Malformed> {
        let value = self.first(kind).map(|attribute| attribute.value.try_into());
        value.transpose().map_err(|_| Malformed)
    }

    /// The integrity attribute that counts: MESSAGE-INTEGRITY-SHA256 if the message has both (RFC 8489 §9.2.4).
    #[must_use]
    pub fn integrity(&self) -> Option<Attribute<'a>> {
        self.integrity
    }

    /// The bytes that the integrity attribute `integrity` covers (RFC 8489 §14.5): everything before it, with a header
    /// whose length ends with it.
    #[must_use]
    pub fn signed_bytes(&self, integrity: &Attribute<'_>) -> Vec<u8> {
        self.cut(integrity.at - ATTRIBUTE, integrity.at + padded(integrity.value.len()))
    }

    fn cut(&self, end: usize, length_end: usize) -> Vec<u8> {
        let mut bytes = self.bytes[..end].to_vec();
        let length = u16::try_from(length_end - HEADER).expect("a screened message fits its length field");
        bytes[2..4].copy_from_slice(&length.to_be_bytes());
        bytes
    }

    /// The address in the first XOR-PEER-ADDRESS; `None` if the message has none.
    ///
    /// # Errors
    /// If the value is malformed.
    pub fn first_peer(&self) -> Result<Option<PeerAddr>, Malformed> {
        let attribute = self.first(ATTR_XOR_PEER_ADDRESS);
        attribute.map(|attribute| self.peer(&attribute).ok_or(Malformed)).transpose()
    }

    /// The address in `attribute`, an XOR-PEER-ADDRESS; `None` unless its value has exactly the 8 or 20 bytes that its
    /// family requires.
    #[must_use]
    pub fn peer(&self, attribute: &Attribute<'_>) -> Option<PeerAddr> {
        let [_, family, x_port @ .., _, _, _, _] = attribute.value.get(..8)? else { return None };
        let port = u16::from_be_bytes(x_port.try_into().ok()?) ^ (MAGIC_COOKIE >> 16) as u16;
        let ip: IpAddr = match (family, attribute.value.get(4..)?) {
            (1, ip) => <[u8; 4]>::try_from(ip).ok().map(|ip| xor(ip, &self.bytes[4..]))?.into(),
            (2, ip) => <[u8; 16]>::try_from(ip).ok().map(|ip| xor(ip, &self.bytes[4..]))?.into(),
            _ => return None,
        };
        Some(PeerAddr(SocketAddr::new(ip, port)))
    }

    /// Reads a Send indication (RFC 8656 §11.2). Of several XOR-PEER-ADDRESS attributes the first one counts. A second
    /// DATA makes the indication invalid, and so does a comprehension-required attribute that is not understood.
    #[must_use]
    pub fn send_indication(&self) -> Option<SendIndication> {
        let (mut peer, mut payload, mut dont_fragment) = (None, None, false);
        for attribute in self.attributes() {
            match attribute.kind {
                ATTR_XOR_PEER_ADDRESS => peer = peer.or(Some(self.peer(&attribute)?)),
                ATTR_DATA if payload.is_some() => return None,
                ATTR_DATA => payload = Some(attribute.at..attribute.at + attribute.value.len()),
                ATTR_DONT_FRAGMENT => dont_fragment = true,
                kind if !is_understood(kind) => return None,
                _ => {}
            }
        }
        Some(SendIndication { peer: peer?, payload: payload?, dont_fragment })
    }

    /// The message type as it is on the wire, which combines method and class.
    #[must_use]
    pub fn kind(&self) -> u16 {
        u16::from_be_bytes([self.bytes[0], self.bytes[1]])
    }
}

/// FINGERPRINT must be the last attribute and cover everything before it (RFC 8489 §14.7).
fn check_fingerprint(bytes: &[u8], attribute: &Attribute<'_>) -> Result<(), Ignored> {
    let expected = fingerprint_value(&bytes[..attribute.at - ATTRIBUTE]).to_be_bytes();
    let last = attribute.at + attribute.value.len() == bytes.len();
    if last && attribute.value == expected { Ok(()) } else { Err(Ignored::BadFingerprint) }
}

/// Whether an attribute is understood or comprehension-optional. Any other attribute makes its message invalid (RFC
/// 8489 §6.3).
#[must_use]
pub fn is_understood(kind: AttrType) -> bool {
    kind.optional() || UNDERSTOOD.contains(&kind)
}

/// The comprehension-required attributes that are understood.
const UNDERSTOOD: [AttrType; 22] = [
    ATTR_MAPPED_ADDRESS,
    ATTR_USERNAME,
    ATTR_MESSAGE_INTEGRITY,
    ATTR_ERROR_CODE,
    ATTR_UNKNOWN_ATTRIBUTES,
    ATTR_CHANNEL_NUMBER,
    ATTR_LIFETIME,
    ATTR_XOR_PEER_ADDRESS,
    ATTR_DATA,
    ATTR_REALM,
    ATTR_NONCE,
    ATTR_XOR_RELAYED_ADDRESS,
    ATTR_REQUESTED_ADDRESS_FAMILY,
    ATTR_EVEN_PORT,
    ATTR_REQUESTED_TRANSPORT,
    ATTR_DONT_FRAGMENT,
    ATTR_MESSAGE_INTEGRITY_SHA256,
    ATTR_PASSWORD_ALGORITHM,
    ATTR_USER_HASH,
    ATTR_XORMAPPED_ADDRESS,
    ATTR_RESERVATION_TOKEN,
    ATTR_CONNECTION_ID,
];

fn attribute_at(bytes: &[u8], at: usize) -> Option<Attribute<'_>> {
    let [k0, k1, l0, l1, rest @ ..] = bytes.get(at..)? else { return None };
    let length = usize::from(u16::from_be_bytes([*l0, *l1]));
    rest.get(..padded(length))?;
    Some(Attribute {
        kind: AttrType(u16::from_be_bytes([*k0, *k1])),
        value: &rest[..length],
        at: at + ATTRIBUTE,
    })
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;
    use proptest::sample::Index;
    use stun::message::Message as Decoded;

    use super::*;
    use crate::relay::wire::{Datagram, screen};

    const TRANSACTION: [u8; 12] = *b"transaction!";

    /// A message with a correct header and correct attributes.
    fn write(kind: u16, attributes: &[(u16, Vec<u8>)], fingerprint: bool) -> Vec<u8> {
        let mut bytes = vec![0; HEADER];
        for (kind, value) in attributes {
            bytes.extend(kind.to_be_bytes());
            bytes.extend((value.len() as u16).to_be_bytes());
            bytes.extend(value);
            bytes.resize(padded(bytes.len()), 0);
        }
        let fingerprint_at = bytes.len();
        if fingerprint {
            bytes.extend([0x80, 0x28, 0, 4, 0, 0, 0, 0]);
        }
        let length = bytes.len() - HEADER;
        bytes[..2].copy_from_slice(&kind.to_be_bytes());
        bytes[2..4].copy_from_slice(&(length as u16).to_be_bytes());
        bytes[4..8].copy_from_slice(&COOKIE);
        bytes[8..HEADER].copy_from_slice(&TRANSACTION);
        if fingerprint {
            let value = fingerprint_value(&bytes[..fingerprint_at]);
            bytes[fingerprint_at + ATTRIBUTE..].copy_from_slice(&value.to_be_bytes());
        }
        bytes
    }

    fn valid() -> impl Strategy<Value = Vec<u8>> {
        let kinds = prop_oneof![
            prop::sample::select(UNDERSTOOD.map(|kind| kind.0).to_vec()),
            Just(ATTR_XOR_PEER_ADDRESS.0),
            Just(ATTR_DATA.0),
            any::<u16>().prop_filter("FINGERPRINT comes last", |kind| *kind != ATTR_FINGERPRINT.0),
        ];
        let lengths = prop_oneof![Just(0), Just(4), Just(8), Just(20), Just(32), 0..64_usize];
        let values = lengths.prop_flat_map(|length| vec(any::<u8>(), length));
        let types = prop_oneof![Just(0x0016), Just(0x0003), 0..0x4000_u16];
        (types, vec((kinds, values), 0..10), any::<bool>())
            .prop_map(|(kind, attributes, fingerprint)| write(kind, &attributes, fingerprint))
    }

    /// Valid messages with some bytes changed, and possibly truncated or followed by more bytes.
    fn mutated() -> impl Strategy<Value = Vec<u8>> {
        let changes = vec((any::<Index>(), any::<u8>()), 0..4);
        (valid(), changes, any::<Index>(), 0..10, vec(any::<u8>(), 0..8)).prop_map(
            |(mut bytes, changes, cut, how, tail)| {
                for (at, value) in changes {
                    let at = at.index(bytes.len());
                    bytes[at] = value;
                }
                match how {
                    0 => bytes.truncate(cut.index(bytes.len())),
                    1 => bytes.extend(tail),
                    _ => {}
                }
                bytes
            },
        )
    }

    /// Calls everything that can be called on a datagram that passes [`screen`].
    fn exercise(datagram: &[u8]) {
        match screen(datagram) {
            Ok(Datagram::Message(message)) => exercise_message(&message, datagram),
            Ok(Datagram::ChannelData(number, payload)) => {
                assert_eq!(datagram[..2], number.get().to_be_bytes());
                assert!(datagram.get(payload).is_some());
            }
            Err(_) => {}
        }
    }

    fn exercise_message(message: &Message<'_>, datagram: &[u8]) {
        let _ = (message.class(), message.has_fingerprint());
        assert!(message.method() <= 0xFFF && message.kind() <= 0x3FFF);
        assert_eq!(message.transaction(), datagram[8..20]);
        assert!(message.attributes().all(|attribute| message.first(attribute.kind).is_some()));
        for attribute in message.attributes().chain(message.integrity()) {
            assert_eq!(attribute.value, &datagram[attribute.at..attribute.at + attribute.value.len()]);
            let _ = (message.peer(&attribute), message.value::<4>(attribute.kind));
            assert_eq!(message.signed_bytes(&attribute).len(), attribute.at - ATTRIBUTE);
        }
        if let Some(send) = message.send_indication() {
            assert!(datagram.get(send.payload).is_some());
        }
        let _ = message.first_peer();
        // The codec sees the same bytes as we do.
        let bytes = message.cut(message.end, message.end);
        let mut decoded = Decoded::new();
        decoded.unmarshal_binary(&bytes).unwrap();
        let seen: Vec<_> = message.attributes().map(|attribute| attribute.value.to_vec()).collect();
        assert_eq!(decoded.attributes.0.iter().map(|a| a.value.clone()).collect::<Vec<_>>(), seen);
        assert!(matches!(screen(&bytes), Ok(Datagram::Message(_))));
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_are_screened(datagram in vec(any::<u8>(), 0..200)) {
            exercise(&datagram);
        }

        #[test]
        fn a_valid_message_passes(datagram in valid()) {
            prop_assert!(matches!(screen(&datagram), Ok(Datagram::Message(_))));
            exercise(&datagram);
        }

        #[test]
        fn a_spoiled_message_is_screened(datagram in mutated()) {
            exercise(&datagram);
        }
    }
}
