//! Writes STUN requests and reads the answers to them (RFC 8489 section 5 and 14).

use std::net::{Ipv4Addr, SocketAddrV4};

use hmac::{Hmac, KeyInit, Mac};
use sha1::Sha1;

const COOKIE: [u8; 4] = [0x21, 0x12, 0xa4, 0x42];
const HEADER: usize = 20;
const MESSAGE_INTEGRITY: u16 = 0x0008;
const INTEGRITY_ATTRIBUTE: u16 = 24;
const ERROR_CODE: u16 = 0x0009;
const FAMILY_IPV4: u8 = 1;

#[derive(Clone, Copy)]
#[repr(u16)]
pub enum Method {
    Binding = 0x0001,
    Allocate = 0x0003,
    Refresh = 0x0004,
    CreatePermission = 0x0008,
    ChannelBind = 0x0009,
}

pub type TransactionId = [u8; 12];

/// A request under construction.
pub struct Request(Vec<u8>);

impl Request {
    pub fn new(method: Method, transaction: TransactionId) -> Self {
        let mut bytes = Vec::with_capacity(256);
        bytes.extend_from_slice(&(method as u16).to_be_bytes());
        bytes.extend_from_slice(&[0, 0]);
        bytes.extend_from_slice(&COOKIE);
        bytes.extend_from_slice(&transaction);
        Self(bytes)
    }

    pub fn attribute(mut self, kind: u16, value: &[u8]) -> Self {
        let length = u16::try_from(value.len()).expect("our attributes are short");
        self.0.extend_from_slice(&kind.to_be_bytes());
        self.0.extend_from_slice(&length.to_be_bytes());
        self.0.extend_from_slice(value);
        self.0.resize(self.0.len().next_multiple_of(4), 0);
        self.set_length(0);
        self
    }

    /// Closes the request with MESSAGE-INTEGRITY, whose own length is already counted in the header it covers.
    pub fn signed(mut self, key: &[u8]) -> Vec<u8> {
        self.set_length(INTEGRITY_ATTRIBUTE);
        let tag = hmac_sha1(key, &self.0);
        self.attribute(MESSAGE_INTEGRITY, &tag).plain()
    }

    pub fn plain(self) -> Vec<u8> {
        self.0
    }

    fn set_length(&mut self, to_come: u16) {
        let body = u16::try_from(self.0.len() - HEADER).expect("our requests are short");
        self.0[2..4].copy_from_slice(&(body + to_come).to_be_bytes());
    }
}

/// What the server said to one request.
pub struct Response {
    success: bool,
    transaction: TransactionId,
    attributes: Vec<(u16, Vec<u8>)>,
}

impl Response {
    /// The answer to `request`, or nothing if the datagram is anything else.
    pub fn to(request: &[u8], datagram: &[u8]) -> Option<Self> {
        let (header, body) = datagram.split_at_checked(HEADER)?;
        if header[4..] != request[4..HEADER] {
            return None;
        }
        let asked = u16::from_be_bytes([request[0], request[1]]);
        let success = match u16::from_be_bytes([header[0], header[1]]) {
            kind if kind == asked | 0x0100 => true,
            kind if kind == asked | 0x0110 => false,
            _ => return None,
        };
        if usize::from(u16::from_be_bytes([header[2], header[3]])) != body.len() {
            return None;
        }
        let transaction = header[8..].try_into().ok()?;
        Some(Self { success, transaction, attributes: attributes(body)? })
    }

    pub fn is_success(&self) -> bool {
        self.success
    }

    pub fn attribute(&self, kind: u16) -> Option<&[u8]> {
        self.attributes.iter().find(|(known, _)| *known == kind).map(|(_, value)| value.as_slice())
    }

    pub fn error_code(&self) -> Option<u16> {
        match self.attribute(ERROR_CODE)? {
            [_, _, class, number, ..] => Some(u16::from(*class) * 100 + u16::from(*number)),
            _ => None,
        }
    }

    /// The IPv4 address in an attribute that has been masked with the cookie.
    pub fn xored_address(&self, kind: u16) -> Option<SocketAddrV4> {
        let value: [u8; 8] = self.attribute(kind)?.try_into().ok()?;
        if value[1] != FAMILY_IPV4 {
            return None;
        }
        let plain = xored(value);
        let ip = Ipv4Addr::new(plain[4], plain[5], plain[6], plain[7]);
        Some(SocketAddrV4::new(ip, u16::from_be_bytes([plain[2], plain[3]])))
    }
}

impl std::fmt::Display for Response {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.error_code() {
            Some(code) => write!(out, "error {code} to transaction {:02x?}", self.transaction),
            None => write!(out, "an answer to transaction {:02x?}", self.transaction),
        }
    }
}

/// The value of an XOR-…-ADDRESS attribute for an IPv4 address.
pub fn xor_address(address: SocketAddrV4) -> [u8; 8] {
    let [a, b, c, d] = address.ip().octets();
    let [high, low] = address.port().to_be_bytes();
    xored([0, FAMILY_IPV4, high, low, a, b, c, d])
}

pub fn hmac_sha1(key: &[u8], bytes: &[u8]) -> [u8; 20] {
    let mut mac = Hmac::<Sha1>::new_from_slice(key).expect("HMAC takes a key of any length");
    mac.update(bytes);
    mac.finalize().into_bytes().into()
}

fn xored(mut value: [u8; 8]) -> [u8; 8] {
    value[2] ^= COOKIE[0];
    value[3] ^= COOKIE[1];
    for (byte, mask) in value[4..].iter_mut().zip(COOKIE) {
        *byte ^= mask;
    }
    value
}

fn attributes(mut body: &[u8]) -> Option<Vec<(u16, Vec<u8>)>> {
    let mut found = Vec::new();
    while !body.is_empty() {
        let (head, rest) = body.split_first_chunk::<4>()?;
        let length = usize::from(u16::from_be_bytes([head[2], head[3]]));
        found.push((u16::from_be_bytes([head[0], head[1]]), rest.get(..length)?.to_vec()));
        body = rest.get(length.next_multiple_of(4)..)?;
    }
    Some(found)
}
