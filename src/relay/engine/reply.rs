//! PURE  Builds responses, and keeps them small: a response to a spoofed address is traffic for a victim.
//!
//! No SOFTWARE, no reason phrase, and a FINGERPRINT only if the request has one.

use std::net::{IpAddr, SocketAddr};

use stun::agent::TransactionId;
use stun::attributes::{
    ATTR_ALTERNATE_SERVER, ATTR_NONCE, ATTR_PASSWORD_ALGORITHMS, ATTR_REALM, AttrType, RawAttribute,
};
use stun::error_code::{ErrorCode, ErrorCodeAttribute};
use stun::fingerprint::FINGERPRINT;
use stun::message::{
    CLASS_ERROR_RESPONSE, CLASS_SUCCESS_RESPONSE, Message, MessageClass, MessageType, Setter,
};
use stun::uattrs::UnknownAttributes;
use stun::xoraddr::XorMappedAddress;

use crate::outcome::Refusal;
use crate::relay::address::Family;
use crate::relay::engine::integrity::{Integrity, OFFERED};
use crate::relay::engine::nonce;
use crate::relay::wire;

/// The attributes of a success response, in order.
pub(super) type Attributes = Vec<Box<dyn Setter>>;

/// Signs the answers to one authenticated request.
#[derive(Debug)]
pub(super) struct Signer {
    pub(super) key: Vec<u8>,
    pub(super) integrity: Integrity,
}

/// A success response.
pub(super) fn success(
    to: &wire::Message<'_>,
    attributes: &[Box<dyn Setter>],
    signer: Option<&Signer>,
) -> Vec<u8> {
    respond(to, CLASS_SUCCESS_RESPONSE, attributes, signer)
}

/// An error response to a request that passed authentication.
pub(super) fn refuse(to: &wire::Message<'_>, refusal: Refusal, signer: &Signer) -> Vec<u8> {
    respond(to, CLASS_ERROR_RESPONSE, &[error(refusal)], Some(signer))
}

/// 300 (Try Alternate): sends a client that has authenticated to another server, the first of `alternates` (RFC 8489
/// §10).
pub(super) fn redirect(to: &wire::Message<'_>, alternates: &[SocketAddr], signer: &Signer) -> Vec<u8> {
    let mut attributes = vec![error(Refusal::Redirected)];
    attributes.extend(alternates.iter().map(|alternate| raw(ATTR_ALTERNATE_SERVER, &address(*alternate))));
    respond(to, CLASS_ERROR_RESPONSE, &attributes, Some(signer))
}

/// An address as MAPPED-ADDRESS and ALTERNATE-SERVER encode it (RFC 8489 §14.1). The crate's own type for
/// ALTERNATE-SERVER would write a MAPPED-ADDRESS.
fn address(address: SocketAddr) -> Vec<u8> {
    let mut value = vec![0, Family::of(address.ip()).number()];
    value.extend(address.port().to_be_bytes());
    match address.ip() {
        IpAddr::V4(ip) => value.extend(ip.octets()),
        IpAddr::V6(ip) => value.extend(ip.octets()),
    }
    value
}

/// An error response to a request that did not pass authentication. With `challenge`, the realm and a nonce, the
/// client can try again (RFC 8489 §9.2.4).
pub(super) fn reject(to: &wire::Message<'_>, refusal: Refusal, challenge: Option<(&str, String)>) -> Vec<u8> {
    let mut attributes = vec![error(refusal)];
    if let Some((realm, nonce)) = challenge {
        attributes.push(raw(ATTR_REALM, realm.as_bytes()));
        attributes.push(raw(ATTR_NONCE, nonce.as_bytes()));
        attributes.push(raw(ATTR_PASSWORD_ALGORITHMS, &OFFERED));
    }
    respond(to, CLASS_ERROR_RESPONSE, &attributes, None)
}

/// Length in bytes of a [`reject`] response with a challenge for `realm` and a FINGERPRINT.
pub(super) fn challenge_length(realm: &str) -> usize {
    let attribute = |length: usize| 4 + length.next_multiple_of(4);
    let values = [4, realm.len(), nonce::LENGTH, OFFERED.len(), 4];
    20 + values.map(attribute).iter().sum::<usize>()
}

/// The answer to a request with comprehension-required attributes that are not understood (RFC 8489 §6.3.1).
pub(super) fn unknown_attributes(
    to: &wire::Message<'_>,
    unknown: Vec<AttrType>,
    signer: Option<&Signer>,
) -> Vec<u8> {
    let attributes: [Box<dyn Setter>; 2] =
        [error(Refusal::UnknownAttribute), Box::new(UnknownAttributes(unknown))];
    respond(to, CLASS_ERROR_RESPONSE, &attributes, signer)
}

/// XOR-MAPPED-ADDRESS.
pub(super) fn mapped(client: SocketAddr) -> Box<dyn Setter> {
    Box::new(XorMappedAddress { ip: client.ip(), port: client.port() })
}

/// An attribute for which the crates have no type.
pub(super) fn raw(kind: AttrType, value: &[u8]) -> Box<dyn Setter> {
    Box::new(RawAttribute { typ: kind, length: 0, value: value.to_vec() })
}

fn error(refusal: Refusal) -> Box<dyn Setter> {
    Box::new(ErrorCodeAttribute { code: ErrorCode(refusal.code()), reason: Vec::new() })
}

fn respond(
    to: &wire::Message<'_>,
    class: MessageClass,
    attributes: &[Box<dyn Setter>],
    signer: Option<&Signer>,
) -> Vec<u8> {
    let mut kind = MessageType::default();
    kind.read_value(to.kind());
    let mut message = Message {
        typ: MessageType { method: kind.method, class },
        transaction_id: TransactionId(to.transaction()),
        ..Message::default()
    };
    let built = message
        .build(attributes)
        .and_then(|()| signer.map_or(Ok(()), |signer| signer.integrity.sign(&signer.key, &mut message)))
        .and_then(|()| if to.has_fingerprint() { FINGERPRINT.add_to(&mut message) } else { Ok(()) });
    built.expect("the attributes of an answer are bounded and in order");
    message.raw
}
