//! A STUN codec of the tests' own: nothing here comes from the code under test or from its crates.

use std::net::{IpAddr, SocketAddr};

use hmac::{Hmac, KeyInit, Mac};
use md5::{Digest, Md5};
use sha1::Sha1;
use sha2::Sha256;

pub const BINDING: u16 = 0x001;
pub const ALLOCATE: u16 = 0x003;
pub const REFRESH: u16 = 0x004;
pub const SEND: u16 = 0x006;
pub const CREATE_PERMISSION: u16 = 0x008;
pub const CHANNEL_BIND: u16 = 0x009;
pub const CONNECT: u16 = 0x00A;
pub const CONNECTION_BIND: u16 = 0x00B;
pub const CONNECTION_ATTEMPT: u16 = 0x00C;

pub const USERNAME: u16 = 0x0006;
pub const MESSAGE_INTEGRITY: u16 = 0x0008;
pub const ERROR_CODE: u16 = 0x0009;
pub const UNKNOWN_ATTRIBUTES: u16 = 0x000A;
pub const CHANNEL_NUMBER: u16 = 0x000C;
pub const LIFETIME: u16 = 0x000D;
pub const XOR_PEER_ADDRESS: u16 = 0x0012;
pub const DATA: u16 = 0x0013;
pub const REALM: u16 = 0x0014;
pub const NONCE: u16 = 0x0015;
pub const XOR_RELAYED_ADDRESS: u16 = 0x0016;
pub const REQUESTED_ADDRESS_FAMILY: u16 = 0x0017;
pub const EVEN_PORT: u16 = 0x0018;
pub const REQUESTED_TRANSPORT: u16 = 0x0019;
pub const DONT_FRAGMENT: u16 = 0x001A;
pub const MESSAGE_INTEGRITY_SHA256: u16 = 0x001C;
pub const PASSWORD_ALGORITHM: u16 = 0x001D;
pub const USERHASH: u16 = 0x001E;
pub const XOR_MAPPED_ADDRESS: u16 = 0x0020;
pub const RESERVATION_TOKEN: u16 = 0x0022;
pub const CONNECTION_ID: u16 = 0x002A;
pub const ADDITIONAL_ADDRESS_FAMILY: u16 = 0x8000;
pub const ADDRESS_ERROR_CODE: u16 = 0x8001;
pub const PASSWORD_ALGORITHMS: u16 = 0x8002;
pub const ICMP: u16 = 0x8004;
pub const SOFTWARE: u16 = 0x8022;
pub const ALTERNATE_SERVER: u16 = 0x8023;
pub const FINGERPRINT: u16 = 0x8028;

const COOKIE: [u8; 4] = [0x21, 0x12, 0xA4, 0x42];

/// What the class bits say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    Request,
    Indication,
    Success,
    Error,
}

/// A message being written. What it holds may be as wrong as the test wants it.
#[derive(Debug, Clone)]
pub struct Builder(pub Vec<u8>);

impl Builder {
    pub fn new(class: Class, method: u16, transaction: [u8; 12]) -> Self {
        let class = class as u16;
        let kind = (method & 0xF)
            | ((method & 0x70) << 1)
            | ((method & 0xF80) << 2)
            | ((class & 1) << 4)
            | ((class & 2) << 7);
        let mut bytes = kind.to_be_bytes().to_vec();
        bytes.extend([0, 0]);
        bytes.extend(COOKIE);
        bytes.extend(transaction);
        Self(bytes)
    }

    /// Appends an attribute, padded with zeros, and corrects the header's length.
    pub fn attr(mut self, kind: u16, value: &[u8]) -> Self {
        self.0.extend(kind.to_be_bytes());
        self.0.extend((value.len() as u16).to_be_bytes());
        self.0.extend(value);
        self.0.resize(self.0.len().next_multiple_of(4), 0);
        let length = self.0.len() - 20;
        self.set_length(length)
    }

    /// Appends XOR-PEER-ADDRESS.
    pub fn peer(self, peer: &str) -> Self {
        let value = xor_address(peer.parse().unwrap(), &self.0[8..20]);
        self.attr(XOR_PEER_ADDRESS, &value)
    }

    /// Appends MESSAGE-INTEGRITY.
    pub fn sign_sha1(self, key: &[u8]) -> Self {
        let tag = hmac_sha1(key, &self.with_length_for(20));
        self.attr(MESSAGE_INTEGRITY, &tag)
    }

    /// Appends MESSAGE-INTEGRITY-SHA256.
    pub fn sign_sha256(self, key: &[u8]) -> Self {
        self.sign_sha256_cut(key, 32)
    }

    /// Appends MESSAGE-INTEGRITY-SHA256, cut to its first `bytes` bytes.
    pub fn sign_sha256_cut(self, key: &[u8], bytes: usize) -> Self {
        let tag = hmac_sha256(key, &self.with_length_for(bytes));
        self.attr(MESSAGE_INTEGRITY_SHA256, &tag[..bytes])
    }

    /// Appends FINGERPRINT.
    pub fn fingerprint(self) -> Self {
        let value = crc32(&self.with_length_for(4)) ^ 0x5354_554E;
        self.attr(FINGERPRINT, &value.to_be_bytes())
    }

    /// Overwrites the header's length.
    pub fn set_length(mut self, length: usize) -> Self {
        self.0[2..4].copy_from_slice(&(length as u16).to_be_bytes());
        self
    }

    fn with_length_for(&self, next: usize) -> Vec<u8> {
        self.clone().set_length(self.0.len() - 20 + 4 + next).0
    }
}

/// A message that was read, strictly: a malformed one is a failed test.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    pub class: Class,
    pub method: u16,
    pub transaction: [u8; 12],
    pub attributes: Vec<(u16, Vec<u8>)>,
    pub bytes: Vec<u8>,
}

impl Message {
    pub fn read(bytes: &[u8]) -> Self {
        let kind = u16::from_be_bytes([bytes[0], bytes[1]]);
        assert_eq!(kind >> 14, 0, "the top bits of a STUN message are zero");
        assert_eq!(usize::from(u16::from_be_bytes([bytes[2], bytes[3]])) + 20, bytes.len());
        assert_eq!(bytes[4..8], COOKIE);
        let mut attributes = Vec::new();
        let mut rest = &bytes[20..];
        while !rest.is_empty() {
            let kind = u16::from_be_bytes([rest[0], rest[1]]);
            let length = usize::from(u16::from_be_bytes([rest[2], rest[3]]));
            let end = 4 + length.next_multiple_of(4);
            assert!(rest[4 + length..end].iter().all(|byte| *byte == 0), "padding is zero");
            attributes.push((kind, rest[4..4 + length].to_vec()));
            rest = &rest[end..];
        }
        let class = match (kind >> 4 & 1) | (kind >> 7 & 2) {
            0 => Class::Request,
            1 => Class::Indication,
            2 => Class::Success,
            _ => Class::Error,
        };
        let method = (kind & 0xF) | ((kind >> 1) & 0x70) | ((kind >> 2) & 0xF80);
        Self {
            class,
            method,
            transaction: bytes[8..20].try_into().unwrap(),
            attributes,
            bytes: bytes.to_vec(),
        }
    }

    /// The first attribute of a type.
    pub fn get(&self, kind: u16) -> Option<&[u8]> {
        self.attributes.iter().find(|(other, _)| *other == kind).map(|(_, value)| value.as_slice())
    }

    /// Every attribute of a type.
    pub fn all(&self, kind: u16) -> Vec<&[u8]> {
        self.attributes
            .iter()
            .filter(|(other, _)| *other == kind)
            .map(|(_, value)| value.as_slice())
            .collect()
    }

    /// The types of the attributes, in order.
    pub fn kinds(&self) -> Vec<u16> {
        self.attributes.iter().map(|(kind, _)| *kind).collect()
    }

    /// The error code; `None` for a success response.
    pub fn code(&self) -> Option<u16> {
        let value = self.get(ERROR_CODE)?;
        assert_eq!(self.class, Class::Error);
        Some(u16::from(value[2]) * 100 + u16::from(value[3]))
    }

    /// A text attribute.
    pub fn text(&self, kind: u16) -> String {
        String::from_utf8(self.get(kind).expect("the attribute is there").to_vec()).unwrap()
    }

    /// LIFETIME in seconds.
    pub fn lifetime(&self) -> u32 {
        u32::from_be_bytes(self.get(LIFETIME).expect("LIFETIME is there").try_into().unwrap())
    }

    /// The first XOR address attribute of a type.
    pub fn address(&self, kind: u16) -> SocketAddr {
        self.addresses(kind)[0]
    }

    /// All XOR address attributes of a type.
    pub fn addresses(&self, kind: u16) -> Vec<SocketAddr> {
        self.all(kind).into_iter().map(|value| read_xor_address(value, &self.transaction)).collect()
    }

    /// Whether the integrity attribute of this type is right, and covers everything but FINGERPRINT.
    pub fn is_signed(&self, kind: u16, key: &[u8]) -> bool {
        let Some(tag) = self.get(kind) else { return false };
        let mut covered = 20;
        for (other, value) in &self.attributes {
            if *other == kind {
                break;
            }
            covered += 4 + value.len().next_multiple_of(4);
        }
        let after = &self.kinds()[self.kinds().iter().position(|other| *other == kind).unwrap() + 1..];
        let input = Builder(self.bytes[..covered].to_vec()).set_length(covered - 20 + 4 + tag.len()).0;
        let expected =
            if kind == MESSAGE_INTEGRITY { hmac_sha1(key, &input) } else { hmac_sha256(key, &input) };
        tag == expected && after.iter().all(|kind| *kind == FINGERPRINT)
    }

    /// Whether FINGERPRINT is there, last and right.
    pub fn is_fingerprinted(&self) -> bool {
        let before = self.bytes.len() - 8;
        self.kinds().last() == Some(&FINGERPRINT)
            && self.get(FINGERPRINT) == Some(&(crc32(&self.bytes[..before]) ^ 0x5354_554E).to_be_bytes())
    }
}

/// A ChannelData message.
pub fn channel_data(number: u16, payload: &[u8]) -> Vec<u8> {
    let mut bytes = number.to_be_bytes().to_vec();
    bytes.extend((payload.len() as u16).to_be_bytes());
    bytes.extend(payload);
    bytes
}

/// The long-term key under MD5.
pub fn md5_key(username: &str, realm: &str, password: &str) -> Vec<u8> {
    Md5::digest(format!("{username}:{realm}:{password}")).to_vec()
}

/// The long-term key under SHA-256.
pub fn sha256_key(username: &str, realm: &str, password: &str) -> Vec<u8> {
    Sha256::digest(format!("{username}:{realm}:{password}")).to_vec()
}

/// The value of USERHASH.
pub fn user_hash(username: &str, realm: &str) -> Vec<u8> {
    Sha256::digest(format!("{username}:{realm}")).to_vec()
}

/// The value of an XOR address attribute.
pub fn xor_address(address: SocketAddr, transaction: &[u8]) -> Vec<u8> {
    let key: Vec<u8> = COOKIE.iter().chain(transaction).copied().collect();
    let (family, ip) = match address.ip() {
        IpAddr::V4(ip) => (1, ip.octets().to_vec()),
        IpAddr::V6(ip) => (2, ip.octets().to_vec()),
    };
    let mut value = vec![0, family];
    value.extend((address.port() ^ 0x2112).to_be_bytes());
    value.extend(ip.iter().zip(key).map(|(byte, key)| byte ^ key));
    value
}

fn read_xor_address(value: &[u8], transaction: &[u8]) -> SocketAddr {
    let key: Vec<u8> = COOKIE.iter().chain(transaction).copied().collect();
    let ip: Vec<u8> = value[4..].iter().zip(key).map(|(byte, key)| byte ^ key).collect();
    let ip = match value[1] {
        1 => IpAddr::from(<[u8; 4]>::try_from(ip).unwrap()),
        2 => IpAddr::from(<[u8; 16]>::try_from(ip).unwrap()),
        other => panic!("family {other}"),
    };
    SocketAddr::new(ip, u16::from_be_bytes([value[2], value[3]]) ^ 0x2112)
}

pub fn hmac_sha1(key: &[u8], bytes: &[u8]) -> Vec<u8> {
    Hmac::<Sha1>::new_from_slice(key).unwrap().chain_update(bytes).finalize().into_bytes().to_vec()
}

pub fn hmac_sha256(key: &[u8], bytes: &[u8]) -> Vec<u8> {
    Hmac::<Sha256>::new_from_slice(key).unwrap().chain_update(bytes).finalize().into_bytes().to_vec()
}

pub fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(u32::MAX, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| (crc >> 1) ^ (0xEDB8_8320 * (crc & 1)))
    })
}
