//! Screens what the codec may see, and reads and writes the two data messages in place.
//!
//! The `stun` crate decodes leniently: it obeys attributes behind MESSAGE-INTEGRITY and accepts trailing bytes.
//! So every datagram passes [`screen`] first, which walks the header and the attributes strictly and ends the
//! message right after its first integrity attribute. What carries media (ChannelData, Send and Data
//! indications) never meets the codec at all: it is read and written here, without an allocation.

use std::net::{IpAddr, SocketAddr};
use std::ops::Range;

use stun::attributes::{
    ATTR_CHANNEL_NUMBER, ATTR_DATA, ATTR_DONT_FRAGMENT, ATTR_ERROR_CODE, ATTR_EVEN_PORT, ATTR_FINGERPRINT,
    ATTR_LIFETIME, ATTR_MAPPED_ADDRESS, ATTR_MESSAGE_INTEGRITY, ATTR_MESSAGE_INTEGRITY_SHA256, ATTR_NONCE,
    ATTR_PASSWORD_ALGORITHM, ATTR_REALM, ATTR_REQUESTED_ADDRESS_FAMILY, ATTR_REQUESTED_TRANSPORT,
    ATTR_RESERVATION_TOKEN, ATTR_UNKNOWN_ATTRIBUTES, ATTR_USER_HASH, ATTR_USERNAME, ATTR_XOR_PEER_ADDRESS,
    ATTR_XOR_RELAYED_ADDRESS, ATTR_XORMAPPED_ADDRESS, AttrType,
};
use stun::fingerprint::fingerprint_value;
use stun::message::MAGIC_COOKIE;

use crate::outcome::Ignored;
use crate::relay::address::{ChannelNumber, PeerAddr};

/// Bytes of a STUN header (RFC 8489 §5).
pub const HEADER: usize = 20;
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
    if bytes.len() < HEADER || bytes[4..8] != MAGIC_COOKIE.to_be_bytes() {
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
    let address: u16 = if peer.0.is_ipv4() { 8 } else { 20 };
    let icmp_at = HEADER + ATTRIBUTE + usize::from(address);
    let mut message = vec![0; icmp_at + ATTRIBUTE + 8];
    write_header(&mut message, DATA_INDICATION, address + 16, transaction);
    write_peer(&mut message[..icmp_at], peer);
    write_attribute_header(&mut message[icmp_at..], ATTR_ICMP, 8);
    // 16 reserved bits, 7 bits of type, 9 bits of code, 32 bits of data.
    let type_and_code = (u16::from(icmp.kind) << 9) | u16::from(icmp.code);
    message[icmp_at + 6..icmp_at + 8].copy_from_slice(&type_and_code.to_be_bytes());
    message[icmp_at + 8..].copy_from_slice(&icmp.data.to_be_bytes());
    message
}

/// An ICMP error that a packet of ours met.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Icmp {
    /// The ICMP type.
    pub kind: u8,
    /// The ICMP code.
    pub code: u8,
    /// What the type gives more: the next hop's MTU, or zero.
    pub data: u32,
}

/// ICMP (RFC 8656 §18.13), which the crates do not know.
pub const ATTR_ICMP: AttrType = AttrType(0x8004);

/// The attributes that must be understood, and are.
const UNDERSTOOD: [AttrType; 21] = [
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
];

const ATTRIBUTE: usize = 4;
const DATA_INDICATION: u16 = 0x0017;

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
