//! PURE  Screens messages before the codec decodes them, and reads and writes the two data messages in place.
//!
//! The `stun` crate decodes leniently: it obeys attributes behind MESSAGE-INTEGRITY and accepts trailing bytes.
//! So every datagram passes [`screen`] first, which walks the header and the attributes strictly and ends the
//! message right after its first integrity attribute. What carries media (ChannelData, Send and Data
//! indications) never meets the codec at all: it is read and written here, without an allocation.

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

use crate::outcome::Ignored;
use crate::relay::address::{ChannelNumber, ConnectionId, PeerAddr};

/// Bytes of a STUN header (RFC 8489 §5).
pub const HEADER: usize = 20;
/// What tells STUN from other protocols (RFC 8489 §5).
pub const COOKIE: [u8; 4] = MAGIC_COOKIE.to_be_bytes();
/// Bytes in front of a payload in a ChannelData message (RFC 8656 §12.4).
pub const CHANNEL_HEADER: usize = 4;
/// The most that a Data indication puts in front of its payload: an IPv6 peer.
pub const DATA_HEADER_MAX: usize = HEADER + ATTRIBUTE + 20 + ATTRIBUTE;
/// The most that a Data indication puts behind its payload: the padding of an attribute.
pub const DATA_PADDING_MAX: usize = 3;

/// What the class bits of a message type say (RFC 8489 §5).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    /// Wants an answer.
    Request,
    /// Wants none.
    Indication,
    /// Is an answer.
    Response,
}

/// A datagram that passed the screen.
#[derive(Debug)]
pub enum Datagram<'a> {
    /// Media on a channel: the payload is this part of the datagram.
    ChannelData(ChannelNumber, Range<usize>),
    /// A STUN message.
    Message(Message<'a>),
}

/// A STUN message whose header and attributes are well-formed, seen up to its integrity attribute.
#[derive(Debug, Clone, Copy)]
pub struct Message<'a> {
    bytes: &'a [u8],
    end: usize,
    integrity: Option<Attribute<'a>>,
    fingerprint: bool,
}

/// One attribute: its type, its value, and where the value stands in the datagram.
#[derive(Debug, Clone, Copy)]
pub struct Attribute<'a> {
    /// The type (RFC 8489 §14).
    pub kind: AttrType,
    /// The value, without padding.
    pub value: &'a [u8],
    /// Offset of the value in the datagram.
    pub at: usize,
}

/// What a Send indication asks for (RFC 8656 §11.2).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SendIndication {
    /// Whom the data is for.
    pub peer: PeerAddr,
    /// Which part of the datagram is the data.
    pub payload: Range<usize>,
    /// Whether the packet must not be fragmented.
    pub dont_fragment: bool,
}

/// Sorts and checks a datagram of a client. Never answers: what fails here is nobody's request.
///
/// # Errors
/// Why the datagram is dropped.
pub fn screen(datagram: &[u8]) -> Result<Datagram<'_>, Ignored> {
    let [first, second, third, fourth, rest @ ..] = datagram else { return Err(Ignored::NotStun) };
    let length = usize::from(u16::from_be_bytes([*third, *fourth]));
    match first >> 6 {
        0 => screen_message(datagram, length).map(Datagram::Message),
        1 => {
            let number = ChannelNumber::new(u16::from_be_bytes([*first, *second])).ok_or(Ignored::NotStun)?;
            // Over UDP padding may follow the payload, so more bytes are fine and fewer are not (§12.5).
            if length > rest.len() {
                return Err(Ignored::Malformed);
            }
            Ok(Datagram::ChannelData(number, CHANNEL_HEADER..CHANNEL_HEADER + length))
        }
        _ => Err(Ignored::NotStun),
    }
}

fn screen_message(bytes: &[u8], length: usize) -> Result<Message<'_>, Ignored> {
    if bytes.len() < HEADER || bytes[4..8] != COOKIE {
        return Err(Ignored::NotStun);
    }
    if !length.is_multiple_of(4) || HEADER + length != bytes.len() {
        return Err(Ignored::Malformed);
    }
    let mut message = Message { bytes, end: bytes.len(), integrity: None, fingerprint: false };
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
            // Behind the SHA-1 one only this counts; nothing between the two does (RFC 8489 §14.5).
            (ATTR_MESSAGE_INTEGRITY_SHA256, Some(ATTR_MESSAGE_INTEGRITY)) => {
                message.integrity = Some(attribute);
            }
            _ => {}
        }
    }
    Ok(message)
}

/// FINGERPRINT must be the last attribute and cover all before it (RFC 8489 §14.7).
fn check_fingerprint(bytes: &[u8], attribute: &Attribute<'_>) -> Result<(), Ignored> {
    let expected = fingerprint_value(&bytes[..attribute.at - ATTRIBUTE]).to_be_bytes();
    let last = attribute.at + attribute.value.len() == bytes.len();
    if last && attribute.value == expected { Ok(()) } else { Err(Ignored::BadFingerprint) }
}

impl<'a> Message<'a> {
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

    /// Whether the message carries a FINGERPRINT, which is then right.
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

    /// The integrity attribute that counts: MESSAGE-INTEGRITY-SHA256 if there are both (RFC 8489 §9.2.4).
    #[must_use]
    pub fn integrity(&self) -> Option<Attribute<'a>> {
        self.integrity
    }

    /// The message up to its first integrity attribute, with a header that says so: what the codec may see.
    #[must_use]
    pub fn bytes(&self) -> Vec<u8> {
        self.cut(self.end, self.end)
    }

    /// What the integrity attribute `integrity` was computed over (RFC 8489 §14.5): all before it, under a header
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

    /// The XOR-PEER-ADDRESS in `attribute`; `None` unless it is exactly 8 or 20 bytes of the right family.
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

    /// Reads a Send indication (RFC 8656 §11.2). Of several XOR-PEER-ADDRESS the first counts; two DATA are a
    /// contradiction, and so is any attribute that must be understood and is not.
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

    /// The message type as it is on the wire: method and class in one.
    #[must_use]
    pub fn kind(&self) -> u16 {
        u16::from_be_bytes([self.bytes[0], self.bytes[1]])
    }
}

/// Whether an attribute need not be understood, or is. One that must be and is not spoils its message
/// (RFC 8489 §6.3).
#[must_use]
pub fn is_understood(kind: AttrType) -> bool {
    kind.optional() || UNDERSTOOD.contains(&kind)
}

/// Writes a ChannelData header in front of the payload that starts at `payload`; returns where the message
/// starts. Over UDP the message needs no padding (RFC 8656 §12.5).
///
/// # Panics
/// If there is no room in front of the payload, or it is longer than a datagram can be.
pub fn write_channel_data(buffer: &mut [u8], payload: &Range<usize>, number: ChannelNumber) -> Range<usize> {
    let length = u16::try_from(payload.len()).expect("a datagram's payload fits 16 bits");
    let start = payload.start - CHANNEL_HEADER;
    buffer[start..start + 2].copy_from_slice(&number.get().to_be_bytes());
    buffer[start + 2..payload.start].copy_from_slice(&length.to_be_bytes());
    start..payload.end
}

/// Fills a message up to the multiple of four bytes that a stream wants (RFC 8656 §12.5); returns where it ends then.
///
/// # Panics
/// If there is no room behind the message.
pub fn pad(buffer: &mut [u8], message: &Range<usize>) -> Range<usize> {
    let end = message.start + padded(message.len());
    buffer[message.end..end].fill(0);
    message.start..end
}

/// Writes a Data indication (RFC 8656 §11.3) around the payload; returns where it stands. `None` if the whole
/// would be longer than a STUN message can be.
///
/// # Panics
/// If there is no room in front of the payload or behind it.
pub fn write_data_indication(
    buffer: &mut [u8],
    payload: &Range<usize>,
    peer: PeerAddr,
    transaction: [u8; 12],
) -> Option<Range<usize>> {
    let address = if peer.0.is_ipv4() { 8 } else { 20 };
    let data = payload.start - ATTRIBUTE;
    let start = data - address - ATTRIBUTE - HEADER;
    let end = payload.start + padded(payload.len());
    let length = u16::try_from(end - start - HEADER).ok()?;
    write_header(&mut buffer[start..], DATA_INDICATION, length, transaction);
    write_peer(&mut buffer[start..data], peer);
    let data_length = u16::try_from(payload.len()).ok()?;
    write_attribute_header(&mut buffer[data..], ATTR_DATA, data_length);
    buffer[payload.end..end].fill(0);
    Some(start..end)
}

/// A Data indication that carries an ICMP error instead of data (RFC 8656 §11.5, §18.13).
#[must_use]
pub fn icmp_indication(peer: PeerAddr, icmp: Icmp, transaction: [u8; 12]) -> Vec<u8> {
    // 16 reserved bits, 7 bits of type, 9 bits of code, 32 bits of data.
    let type_and_code = (u16::from(icmp.kind) << 9) | u16::from(icmp.code);
    let value = (u64::from(type_and_code) << 32) | u64::from(icmp.data);
    peer_indication(DATA_INDICATION, peer, ATTR_ICMP, &value.to_be_bytes(), transaction)
}

/// A ConnectionAttempt indication (RFC 6062 §5.3).
#[must_use]
pub fn connection_attempt(peer: PeerAddr, connection: ConnectionId, transaction: [u8; 12]) -> Vec<u8> {
    peer_indication(CONNECTION_ATTEMPT, peer, ATTR_CONNECTION_ID, &connection.0.to_be_bytes(), transaction)
}

/// An indication with the address of a peer, and one short attribute more.
fn peer_indication(
    kind: u16,
    peer: PeerAddr,
    attribute: AttrType,
    value: &[u8],
    transaction: [u8; 12],
) -> Vec<u8> {
    let address = if peer.0.is_ipv4() { 8 } else { 20 };
    let at = HEADER + ATTRIBUTE + address;
    let mut message = vec![0; at + ATTRIBUTE + value.len()];
    let length = u16::try_from(message.len() - HEADER).expect("two short attributes");
    write_header(&mut message, kind, length, transaction);
    write_peer(&mut message[..at], peer);
    write_attribute_header(&mut message[at..], attribute, value.len() as u16);
    message[at + ATTRIBUTE..].copy_from_slice(value);
    message
}

/// The connection that a ConnectionBind request is about (RFC 6062 §5.4); `None` if the message is anything else.
#[must_use]
pub fn bound_connection(message: &[u8]) -> Option<ConnectionId> {
    // Of all messages only these few are looked at twice.
    let is_bind = message.starts_with(&CONNECTION_BIND.to_be_bytes());
    let Ok(Datagram::Message(message)) = is_bind.then(|| screen(message))? else { return None };
    let id = message.first(ATTR_CONNECTION_ID)?;
    id.value.try_into().ok().map(u32::from_be_bytes).map(ConnectionId)
}

/// An ICMP error that a packet of ours met.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Icmp {
    /// The ICMP type.
    pub kind: u8,
    /// The ICMP code.
    pub code: u8,
    /// The next hop's MTU, where the type gives one.
    pub data: u32,
}

/// ICMP (RFC 8656 §18.13), which the crates do not know.
pub const ATTR_ICMP: AttrType = AttrType(0x8004);

/// The attributes that must be understood, and are.
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

const ATTRIBUTE: usize = 4;
const DATA_INDICATION: u16 = 0x0017;
const CONNECTION_ATTEMPT: u16 = 0x001C;
const CONNECTION_BIND: u16 = 0x000B;

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

const fn padded(length: usize) -> usize {
    length.next_multiple_of(4)
}

fn xor<const N: usize>(mut ip: [u8; N], key: &[u8]) -> [u8; N] {
    for (byte, key) in ip.iter_mut().zip(key) {
        *byte ^= key;
    }
    ip
}

fn write_header(message: &mut [u8], kind: u16, length: u16, transaction: [u8; 12]) {
    message[..2].copy_from_slice(&kind.to_be_bytes());
    message[2..4].copy_from_slice(&length.to_be_bytes());
    message[4..8].copy_from_slice(&MAGIC_COOKIE.to_be_bytes());
    message[8..HEADER].copy_from_slice(&transaction);
}

fn write_attribute_header(attribute: &mut [u8], kind: AttrType, length: u16) {
    attribute[..2].copy_from_slice(&kind.0.to_be_bytes());
    attribute[2..ATTRIBUTE].copy_from_slice(&length.to_be_bytes());
}

/// Writes XOR-PEER-ADDRESS as the first attribute of `message`, filling it to its end.
fn write_peer(message: &mut [u8], peer: PeerAddr) {
    let (header, attribute) = message.split_at_mut(HEADER);
    let key = &header[4..];
    let value = u16::try_from(attribute.len() - ATTRIBUTE).expect("an address has 8 or 20 bytes");
    write_attribute_header(attribute, ATTR_XOR_PEER_ADDRESS, value);
    let port = peer.0.port() ^ (MAGIC_COOKIE >> 16) as u16;
    attribute[6..8].copy_from_slice(&port.to_be_bytes());
    match peer.ip() {
        IpAddr::V4(ip) => {
            attribute[4..6].copy_from_slice(&[0, 1]);
            attribute[8..].copy_from_slice(&xor(ip.octets(), key));
        }
        IpAddr::V6(ip) => {
            attribute[4..6].copy_from_slice(&[0, 2]);
            attribute[8..].copy_from_slice(&xor(ip.octets(), key));
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;
    use proptest::sample::Index;
    use stun::message::Message as Decoded;

    use super::*;

    const TRANSACTION: [u8; 12] = *b"transaction!";

    /// A message whose header and attributes are right.
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
        write_header(&mut bytes, kind, length as u16, TRANSACTION);
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

    /// Valid messages with some bytes changed, and perhaps cut off or followed by more.
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

    /// Calls everything that can be called on what the screen lets through.
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
            let _ = message.peer(&attribute);
            assert_eq!(message.signed_bytes(&attribute).len(), attribute.at - ATTRIBUTE);
        }
        if let Some(send) = message.send_indication() {
            assert!(datagram.get(send.payload).is_some());
        }
        // The codec sees what we see.
        let bytes = message.bytes();
        let mut decoded = Decoded::new();
        decoded.unmarshal_binary(&bytes).unwrap();
        let seen: Vec<_> = message.attributes().map(|attribute| attribute.value.to_vec()).collect();
        assert_eq!(decoded.attributes.0.iter().map(|a| a.value.clone()).collect::<Vec<_>>(), seen);
        assert!(matches!(screen(&bytes), Ok(Datagram::Message(_))));
    }

    /// A Data indication, read strictly: the peer and what was sent.
    fn read_data_indication(bytes: &[u8]) -> (PeerAddr, &[u8]) {
        let Ok(Datagram::Message(message)) = screen(bytes) else { panic!("no message: {bytes:x?}") };
        assert_eq!((message.class(), message.method()), (Class::Indication, 0x007));
        assert_eq!(message.transaction(), TRANSACTION);
        let attributes: Vec<_> = message.attributes().collect();
        let [peer, data] = attributes[..] else { panic!("two attributes: {attributes:?}") };
        assert_eq!((peer.kind, data.kind), (ATTR_XOR_PEER_ADDRESS, ATTR_DATA));
        assert!(bytes[data.at + data.value.len()..].iter().all(|byte| *byte == 0), "padding is zero");
        (message.peer(&peer).unwrap(), data.value)
    }

    fn peers() -> impl Strategy<Value = PeerAddr> {
        (any::<IpAddr>(), any::<u16>()).prop_map(|(ip, port)| PeerAddr(SocketAddr::new(ip, port)))
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

        #[test]
        fn channel_data_is_read_as_it_was_written(
            number in 0x4000..=0x4FFF_u16,
            payload in vec(any::<u8>(), 0..300),
            room in CHANNEL_HEADER..64,
        ) {
            let number = ChannelNumber::new(number).unwrap();
            let mut buffer = [&vec![0xEE; room], &payload[..]].concat();
            let end = buffer.len();
            let range = write_channel_data(&mut buffer, &(room..end), number);
            let Ok(Datagram::ChannelData(read, at)) = screen(&buffer[range.clone()]) else { panic!() };
            prop_assert_eq!((read, &buffer[range.clone()][at]), (number, &payload[..]));
            prop_assert_eq!(&buffer[..range.start], &vec![0xEE; room - CHANNEL_HEADER][..]);
        }

        #[test]
        fn a_data_indication_is_read_as_it_was_written(
            peer in peers(),
            payload in vec(any::<u8>(), 0..300),
            room in DATA_HEADER_MAX..100,
        ) {
            let mut buffer = [&vec![0xEE; room], &payload[..], &[0xEE; DATA_PADDING_MAX + 2]].concat();
            let range = room..room + payload.len();
            let range = write_data_indication(&mut buffer, &range, peer, TRANSACTION).unwrap();
            prop_assert_eq!(read_data_indication(&buffer[range.clone()]), (peer, &payload[..]));
            prop_assert!(buffer[..range.start].iter().chain(&buffer[range.end..]).all(|byte| *byte == 0xEE));
        }
    }

    #[test]
    fn a_data_indication_has_room_for_every_length_that_its_header_can_tell() {
        let sizes = [0, 1, 2, 3, 4, 5, 1200, 65_503, 65_504, 65_505, 65_515, 65_516, 65_517, 65_535, 65_536];
        for (peer, most) in [("1.1.1.1:9000", 65_516), ("[2606:4700::1]:9000", 65_504)] {
            let peer = PeerAddr(peer.parse().unwrap());
            for size in sizes {
                let mut buffer = vec![7; DATA_HEADER_MAX + size + DATA_PADDING_MAX];
                let payload = DATA_HEADER_MAX..DATA_HEADER_MAX + size;
                let written = write_data_indication(&mut buffer, &payload, peer, TRANSACTION);
                assert_eq!(written.is_some(), size <= most, "{size} bytes from {peer:?}");
                if let Some(range) = written {
                    assert_eq!(read_data_indication(&buffer[range]), (peer, &vec![7; size][..]));
                }
            }
        }
    }

    #[test]
    fn an_empty_payload_is_relayed_as_one() {
        let number = ChannelNumber::new(0x4000).unwrap();
        let mut buffer = [0xEE; 4];
        assert_eq!(write_channel_data(&mut buffer, &(4..4), number), 0..4);
        assert_eq!(buffer, [0x40, 0, 0, 0]);
        assert!(matches!(screen(&buffer), Ok(Datagram::ChannelData(_, payload)) if payload.is_empty()));
    }

    /// Over UDP a payload may be padded (RFC 8656 §12.5), and what is there beyond its length is none of it.
    #[test]
    fn channel_data_ends_with_its_length() {
        let datagram = [0x40, 0, 0, 2, 1, 2, 0, 0];
        assert!(matches!(screen(&datagram), Ok(Datagram::ChannelData(_, payload)) if payload == (4..6)));
        assert!(matches!(screen(&datagram[..5]), Err(Ignored::Malformed)));
    }

    /// RFC 8656 §18.13: 16 reserved bits, 7 bits of type, 9 bits of code, and what the type says more.
    #[test]
    fn an_icmp_indication_names_the_peer_and_the_error() {
        let icmp = Icmp { kind: 3, code: 4, data: 1400 };
        for (peer, bytes) in [("1.1.1.1:9000", 44), ("[2606:4700::1]:9000", 56)] {
            let peer = PeerAddr(peer.parse().unwrap());
            let written = icmp_indication(peer, icmp, TRANSACTION);
            let Ok(Datagram::Message(message)) = screen(&written) else { panic!("no message") };
            assert_eq!((message.kind(), message.transaction(), written.len()), (0x0017, TRANSACTION, bytes));
            let kinds: Vec<_> = message.attributes().map(|attribute| attribute.kind).collect();
            assert_eq!(kinds, [ATTR_XOR_PEER_ADDRESS, AttrType(0x8004)]);
            assert_eq!(message.peer(&message.first(ATTR_XOR_PEER_ADDRESS).unwrap()), Some(peer));
            assert_eq!(message.first(ATTR_ICMP).unwrap().value, [0, 0, 0x06, 0x04, 0, 0, 0x05, 0x78]);
        }
    }
}
