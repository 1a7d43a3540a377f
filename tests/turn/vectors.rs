//! The messages that RFC 5769 and RFC 8489 print, byte for byte: what we read must be what they mean.
//!
//! Appendix B.1 of RFC 8489 is broken as published; `rfc8489_b_1.hex` is the message of erratum 6268.

use hairpin::outcome::Ignored;
use hairpin::relay::engine::Action;
use hairpin::relay::wire::{Class, Datagram, Message, screen};
use hairpin::secret::Secret;
use stun::attributes::{ATTR_MESSAGE_INTEGRITY, ATTR_MESSAGE_INTEGRITY_SHA256, AttrType};

use crate::support::stun::{
    Builder, MESSAGE_INTEGRITY, MESSAGE_INTEGRITY_SHA256, NONCE, PASSWORD_ALGORITHM, REALM, SOFTWARE,
    USERHASH, USERNAME, XOR_MAPPED_ADDRESS, hmac_sha1, hmac_sha256, user_hash,
};
use crate::support::world::{World, path};

const REQUEST: &str = include_str!("vectors/rfc5769_2_1.hex");
const IPV4_RESPONSE: &str = include_str!("vectors/rfc5769_2_2.hex");
const IPV6_RESPONSE: &str = include_str!("vectors/rfc5769_2_3.hex");
const LONG_TERM_REQUEST: &str = include_str!("vectors/rfc5769_2_4.hex");
const USERHASH_REQUEST: &str = include_str!("vectors/rfc8489_b_1.hex");

const SHORT_TERM_KEY: &[u8] = b"VOkJxbRl1RmTxUk/WvJxBt";
const USER: &str = "\u{30DE}\u{30C8}\u{30EA}\u{30C3}\u{30AF}\u{30B9}";
const PASSWORD: &str = "TheMatrIX";
const MD5_KEY: &str = "e8ca7ad59d5eb0518e312911d2dab2a9";
const SHA256_KEY: &str = "dd295a613b9058c3c23d6dc7165bda072304d989c9d0af3a8c7e184b4f9bb4a1";

fn hex(text: &str) -> Vec<u8> {
    let digits = text.trim().as_bytes();
    digits.chunks(2).map(|pair| u8::from_str_radix(str::from_utf8(pair).unwrap(), 16).unwrap()).collect()
}

fn message(bytes: &[u8]) -> Message<'_> {
    match screen(bytes) {
        Ok(Datagram::Message(message)) => message,
        other => panic!("expected a message, got {other:?}"),
    }
}

fn value<'a>(message: &Message<'a>, kind: u16) -> &'a [u8] {
    message.first(AttrType(kind)).expect("the attribute is there").value
}

/// Whether the integrity attribute is `kind` and fits what the screen says it was made over.
fn is_signed(message: &Message<'_>, kind: AttrType, key: &[u8]) -> bool {
    let integrity = message.integrity().expect("the vector is signed");
    let signed = message.signed_bytes(&integrity);
    let expected =
        if kind == ATTR_MESSAGE_INTEGRITY { hmac_sha1(key, &signed) } else { hmac_sha256(key, &signed) };
    integrity.kind == kind && integrity.value == expected
}

/// RFC 5769 §2.1.
#[test]
fn the_sample_request_is_read() {
    let bytes = hex(REQUEST);
    let message = message(&bytes);
    assert_eq!((message.class(), message.method()), (Class::Request, 1));
    assert_eq!(value(&message, SOFTWARE), b"STUN test client");
    assert_eq!(value(&message, USERNAME), b"evtj:h6vY");
    assert!(message.has_fingerprint());
    assert!(is_signed(&message, ATTR_MESSAGE_INTEGRITY, SHORT_TERM_KEY));
}

/// RFC 5769 §2.2 and §2.3.
#[test]
fn the_sample_responses_are_read() {
    for (vector, mapped) in
        [(IPV4_RESPONSE, "192.0.2.1:32853"), (IPV6_RESPONSE, "[2001:db8:1234:5678:11:2233:4455:6677]:32853")]
    {
        let bytes = hex(vector);
        let message = message(&bytes);
        assert_eq!((message.class(), message.method()), (Class::Response, 1));
        assert_eq!(value(&message, SOFTWARE), b"test vector");
        let address = message.first(AttrType(XOR_MAPPED_ADDRESS)).unwrap();
        assert_eq!(message.peer(&address).unwrap().0.to_string(), mapped);
        assert!(message.has_fingerprint());
        assert!(is_signed(&message, ATTR_MESSAGE_INTEGRITY, SHORT_TERM_KEY));
    }
}

/// RFC 5769 §2.4.
#[test]
fn the_sample_request_with_long_term_credentials_is_read() {
    let bytes = hex(LONG_TERM_REQUEST);
    let message = message(&bytes);
    assert_eq!(value(&message, USERNAME), USER.as_bytes());
    assert_eq!(value(&message, NONCE), b"f//499k954d6OL34oL9FSTvy64sA");
    assert_eq!(value(&message, REALM), b"example.org");
    assert!(is_signed(&message, ATTR_MESSAGE_INTEGRITY, &hex(MD5_KEY)));
}

/// RFC 8489 §B.1.
#[test]
fn the_sample_request_with_a_user_hash_is_read() {
    let bytes = hex(USERHASH_REQUEST);
    let message = message(&bytes);
    assert_eq!(value(&message, USERHASH), user_hash(USER, "example.org"));
    assert_eq!(value(&message, NONCE), b"obMatJos2AAACf//499k954d6OL34oL9FSTvy64sA");
    assert_eq!(value(&message, PASSWORD_ALGORITHM), [0, 2, 0, 0]);
    assert!(is_signed(&message, ATTR_MESSAGE_INTEGRITY_SHA256, &hex(SHA256_KEY)));
}

#[test]
fn a_changed_bit_spoils_a_fingerprint() {
    for vector in [REQUEST, IPV4_RESPONSE, IPV6_RESPONSE] {
        let bytes = hex(vector);
        for bit in 0..bytes.len() * 8 {
            let mut changed = bytes.clone();
            changed[bit / 8] ^= 1 << (bit % 8);
            let passes =
                matches!(screen(&changed), Ok(Datagram::Message(message)) if message.has_fingerprint());
            assert!(!passes, "bit {bit}");
        }
    }
}

/// Binding needs no credentials, so nobody looks at the vectors' own integrity. PRIORITY, which ICE agents
/// send each other, asks nothing of us.
#[test]
fn the_samples_are_answered_as_any_binding() {
    let (mut world, client) = (World::new(), path("203.0.113.1:5000"));
    for vector in [REQUEST, LONG_TERM_REQUEST, USERHASH_REQUEST] {
        assert_eq!(world.ask(client, &hex(vector)).address(XOR_MAPPED_ADDRESS), client.client);
    }
    for vector in [IPV4_RESPONSE, IPV6_RESPONSE] {
        assert_eq!(world.drop_of(client, &hex(vector)), Ignored::NothingToDo);
    }
}

/// The attributes of the long-term vectors in a Refresh, signed with the keys that the RFCs print: the server, which
/// knows the password only, must come to the same key, and then misses nothing but a nonce of its own.
#[test]
fn the_sample_credentials_lack_nothing_but_a_fresh_nonce() {
    for (vector, integrity, key) in [
        (LONG_TERM_REQUEST, MESSAGE_INTEGRITY, MD5_KEY),
        (USERHASH_REQUEST, MESSAGE_INTEGRITY_SHA256, SHA256_KEY),
    ] {
        let mut world = World::with(|plan| {
            plan.users.insert(USER.to_owned(), Secret::new(PASSWORD));
        });
        let client = path("203.0.113.1:5000");
        let request = refresh(&hex(vector), integrity, &hex(key));

        assert_eq!(world.ask(client, &request).code(), Some(438));
        for bit in 0..request.len() * 8 {
            let mut changed = request.clone();
            changed[bit / 8] ^= 1 << (bit % 8);
            match world.deliver(client, &changed) {
                // 400 where a credential is no longer there.
                Action::Reply(bytes) => {
                    let code = crate::support::stun::Message::read(&bytes).code();
                    assert!(matches!(code, Some(400 | 401)), "bit {bit}: {code:?}");
                }
                Action::Ignore(_) => {}
                Action::ToPeer(_) | Action::Connect(..) | Action::Bind(..) | Action::HandOver(..) => {
                    panic!("bit {bit}")
                }
            }
        }
    }
}

/// A vector with the method of Refresh, signed anew.
fn refresh(vector: &[u8], integrity: u16, key: &[u8]) -> Vec<u8> {
    let tag = if integrity == MESSAGE_INTEGRITY { 20 } else { 32 };
    let mut bytes = vector[..vector.len() - 4 - tag].to_vec();
    bytes[1] = 4;
    let request = Builder(bytes);
    if integrity == MESSAGE_INTEGRITY { request.sign_sha1(key).0 } else { request.sign_sha256(key).0 }
}
