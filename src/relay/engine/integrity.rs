//! Keys and message integrity of the long-term credential mechanism (RFC 8489 §9.2, §14.5, §14.6).

use hmac::{Hmac, KeyInit, Mac};
use sha1::Sha1;
use sha2::{Digest, Sha256};
use stun::attributes::{ATTR_MESSAGE_INTEGRITY_SHA256, AttrType};
use stun::integrity::MessageIntegrity;
use stun::message::{Message, Setter};
use subtle::ConstantTimeEq;
use turn::auth::generate_auth_key;

/// How a key is made from a password: PASSWORD-ALGORITHM (RFC 8489 §18.5).
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
