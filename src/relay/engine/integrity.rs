//! PURE  Keys and message integrity of the long-term credential mechanism (RFC 8489 §9.2, §14.5, §14.6).

use hmac::{Hmac, KeyInit, Mac};
use sha1::Sha1;
use sha2::{Digest, Sha256};
use stun::attributes::{ATTR_MESSAGE_INTEGRITY_SHA256, AttrType};
use stun::integrity::MessageIntegrity;
use stun::message::{Message, Setter};
use subtle::ConstantTimeEq;
use turn::auth::generate_auth_key;

/// How a key is derived from a password: PASSWORD-ALGORITHM (RFC 8489 §18.5).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum PasswordAlgorithm {
    Md5,
    Sha256,
}

/// What PASSWORD-ALGORITHMS offers: SHA-256 first, then MD5, both without parameters.
pub(super) const OFFERED: [u8; 8] = [0, 2, 0, 0, 0, 1, 0, 0];

impl PasswordAlgorithm {
    /// Reads PASSWORD-ALGORITHM; `None` for an algorithm that was not offered.
    pub(super) fn read(value: &[u8]) -> Option<Self> {
        match value {
            [0, 1, 0, 0] => Some(Self::Md5),
            [0, 2, 0, 0] => Some(Self::Sha256),
            _ => None,
        }
    }

    /// The long-term key (RFC 8489 §9.2.2).
    pub(super) fn key(self, username: &str, realm: &str, password: &str) -> Vec<u8> {
        match self {
            Self::Md5 => generate_auth_key(username, realm, password),
            Self::Sha256 => Sha256::digest(format!("{username}:{realm}:{password}")).to_vec(),
        }
    }
}

/// Which attribute carries the integrity.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Integrity {
    /// MESSAGE-INTEGRITY.
    Sha1,
    /// MESSAGE-INTEGRITY-SHA256.
    Sha256,
}

impl Integrity {
    /// The integrity that an attribute of this type carries.
    pub(super) fn of(kind: AttrType) -> Self {
        if kind == ATTR_MESSAGE_INTEGRITY_SHA256 { Self::Sha256 } else { Self::Sha1 }
    }

    /// Whether `tag` is the integrity of `signed` under `key`, in constant time. TURN allows no truncation, so a
    /// tag of another length is wrong.
    pub(super) fn verify(self, key: &[u8], signed: &[u8], tag: &[u8]) -> bool {
        match self {
            Self::Sha1 => sha1(key, signed).ct_eq(tag).into(),
            Self::Sha256 => sha256(key, signed).ct_eq(tag).into(),
        }
    }

    /// Appends the integrity attribute to a finished message.
    pub(super) fn sign(self, key: &[u8], message: &mut Message) -> Result<(), stun::Error> {
        match self {
            Self::Sha1 => MessageIntegrity(key.to_vec()).add_to(message),
            Self::Sha256 => {
                // The HMAC covers a header whose length already includes the attribute (RFC 8489 §14.6).
                let length = message.length;
                message.length += 4 + 32;
                message.write_length();
                let tag = sha256(key, &message.raw);
                message.length = length;
                message.add(ATTR_MESSAGE_INTEGRITY_SHA256, &tag);
                Ok(())
            }
        }
    }
}

fn sha1(key: &[u8], signed: &[u8]) -> [u8; 20] {
    let mut mac = Hmac::<Sha1>::new_from_slice(key).expect("HMAC takes a key of any length");
    mac.update(signed);
    mac.finalize().into_bytes().into()
}

fn sha256(key: &[u8], signed: &[u8]) -> [u8; 32] {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes a key of any length");
    mac.update(signed);
    mac.finalize().into_bytes().into()
}

#[cfg(test)]
mod tests {
    use stun::fingerprint::FINGERPRINT;

    use super::*;
    use crate::relay::wire::{self, Datagram, screen};

    const USER: &str = "\u{30DE}\u{30C8}\u{30EA}\u{30C3}\u{30AF}\u{30B9}";

    fn hex(text: &str) -> Vec<u8> {
        let digits = text.trim().as_bytes();
        digits.chunks(2).map(|pair| u8::from_str_radix(str::from_utf8(pair).unwrap(), 16).unwrap()).collect()
    }

    /// The vectors of RFC 5769 §2 and RFC 8489 §B.1 (as in erratum 6268), each with its key.
    fn vectors() -> [(Vec<u8>, Vec<u8>); 5] {
        let short_term = b"VOkJxbRl1RmTxUk/WvJxBt".to_vec();
        let long_term = |algorithm: PasswordAlgorithm| algorithm.key(USER, "example.org", "TheMatrIX");
        [
            (include_str!("../../../tests/turn/vectors/rfc5769_2_1.hex"), short_term.clone()),
            (include_str!("../../../tests/turn/vectors/rfc5769_2_2.hex"), short_term.clone()),
            (include_str!("../../../tests/turn/vectors/rfc5769_2_3.hex"), short_term),
            (include_str!("../../../tests/turn/vectors/rfc5769_2_4.hex"), long_term(PasswordAlgorithm::Md5)),
            (
                include_str!("../../../tests/turn/vectors/rfc8489_b_1.hex"),
                long_term(PasswordAlgorithm::Sha256),
            ),
        ]
        .map(|(vector, key)| (hex(vector), key))
    }

    fn message(vector: &[u8]) -> Option<wire::Message<'_>> {
        match screen(vector) {
            Ok(Datagram::Message(message)) => Some(message),
            Ok(Datagram::ChannelData(..)) | Err(_) => None,
        }
    }

    fn verify(vector: &[u8], key: &[u8]) -> bool {
        let Some(message) = message(vector) else { return false };
        let Some(integrity) = message.integrity() else { return false };
        Integrity::of(integrity.kind).verify(key, &message.signed_bytes(&integrity), integrity.value)
    }

    #[test]
    fn the_samples_of_the_rfcs_verify_and_no_changed_one_does() {
        for (vector, key) in vectors() {
            assert!(verify(&vector, &key));
            assert!(!verify(&vector, b"another key"));
            let integrity = message(&vector).and_then(|message| message.integrity()).unwrap();
            for bit in 0..(integrity.at + integrity.value.len()) * 8 {
                let mut changed = vector.clone();
                changed[bit / 8] ^= 1 << (bit % 8);
                assert!(!verify(&changed, &key), "bit {bit}");
            }
        }
    }

    #[test]
    fn the_samples_of_the_rfcs_are_signed_as_they_are() {
        for (vector, key) in vectors() {
            let screened = message(&vector).unwrap();
            let integrity = screened.integrity().unwrap();
            let mut unsigned = vector[..integrity.at - 4].to_vec();
            let length = u16::try_from(unsigned.len() - 20).unwrap();
            unsigned[2..4].copy_from_slice(&length.to_be_bytes());
            let mut message = Message::new();
            message.unmarshal_binary(&unsigned).unwrap();

            Integrity::of(integrity.kind).sign(&key, &mut message).unwrap();
            if screened.has_fingerprint() {
                FINGERPRINT.add_to(&mut message).unwrap();
            }

            assert_eq!(message.raw, vector);
        }
    }
}
