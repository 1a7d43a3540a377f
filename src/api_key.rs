//! PURE  API keys, with which backends request credentials: how they are made, and how one is recognised by its hash.
//!
//! A key is 32 random bytes, so its plain SHA-256 cannot be reversed, and the configuration file contains nothing that
//! grants access.

use std::fmt;

use crate::credentials::tag::is_reserved;
use crate::secret::{Digest, Secret};

/// The prefix of every key, by which people and secret scanners recognise it.
const PREFIX: &str = "hairpin_";

/// Which key ids are valid.
pub const ID: &str = "1 to 32 letters, digits, - and _, but neither diag nor room";

const ID_MAX: usize = 32;

/// The id of a key. Tags of credentials begin with it, so it contains no character that ends a part of a tag.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyId(String);

impl KeyId {
    /// Checks an id.
    ///
    /// # Errors
    /// What is wrong, and what to write.
    pub fn parse(text: &str) -> Result<Self, String> {
        if is_id(text) {
            Ok(Self(text.to_owned()))
        } else if text.len() > ID_MAX {
            // It may be the key itself in the wrong place, so it is not shown.
            Err(format!("this is too long for a key id: write {ID}"))
        } else {
            Err(format!("{text:?} is not a valid key id: write {ID}"))
        }
    }

    /// The id.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

fn is_id(text: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    (1..=ID_MAX).contains(&text.len()) && text.bytes().all(fits) && !is_reserved(text)
}

/// A key made from 32 random bytes.
#[must_use]
pub fn from_random(bytes: [u8; 32]) -> Secret {
    Secret::new(format!("{PREFIX}{}", Secret::from_random(bytes).reveal()))
}

/// The digest of a key, as it is written in the configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeyHash(Digest);

impl KeyHash {
    /// The hash of a key.
    #[must_use]
    pub fn of(key: &str) -> Self {
        Self(Digest::of(key))
    }

    /// Reads `sha256:` and 64 hexadecimal digits.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let digits = text.strip_prefix(SCHEME)?.as_bytes();
        let (pairs, rest) = digits.as_chunks::<2>();
        let nibble = |digit: u8| char::from(digit).to_digit(16).map(|value| value as u8);
        let bytes = pairs.iter().map(|[high, low]| Some(nibble(*high)? << 4 | nibble(*low)?));
        let bytes: Vec<u8> = bytes.collect::<Option<_>>().filter(|_| rest.is_empty())?;
        bytes.try_into().ok().map(Digest::from_bytes).map(Self)
    }
}

impl fmt::Display for KeyHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(SCHEME)?;
        self.0.as_bytes().iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

const SCHEME: &str = "sha256:";

#[cfg(test)]
mod tests {
    use super::*;

    /// `printf hairpin_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8 | sha256sum`
    #[test]
    fn the_hash_of_a_key_is_what_sha256sum_says() {
        let key = from_random(std::array::from_fn(|i| i as u8));
        assert_eq!(key.reveal(), "hairpin_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8");
        let hash = KeyHash::of(key.reveal());
        assert_eq!(
            hash.to_string(),
            "sha256:b8db13ce29483373a73f1a2b02088e125dfe20ce549b6148cc8f8b4c1f08f932"
        );
        assert_eq!(KeyHash::parse(&hash.to_string()), Some(hash));
        assert_ne!(KeyHash::of("another"), hash);
    }

    #[test]
    fn a_key_is_not_called_like_what_is_our_own() {
        for id in ["a", "web-shop_2", "A", "rooms", &"x".repeat(32)] {
            assert!(is_id(id), "{id}");
        }
        for id in ["", "a.b", "a:b", "a b", "é", "diag", "room", &"x".repeat(33)] {
            assert!(!is_id(id), "{id}");
        }
    }

    #[test]
    fn a_hash_is_64_digits_in_either_case() {
        let digits = "0123456789abcdefABCDEF0123456789".repeat(2);
        assert!(KeyHash::parse(&format!("sha256:{digits}")).is_some());
        for wrong in [
            digits.clone(),
            format!("sha256:{}", &digits[1..]),
            format!("sha256:{digits}0"),
            format!("sha256:{digits}00"),
            format!("sha1:{digits}"),
            format!("sha256:+{}", &digits[1..]),
            format!("sha256:é{}", &digits[2..]),
            String::new(),
        ] {
            assert_eq!(KeyHash::parse(&wrong), None, "{wrong}");
        }
    }
}
