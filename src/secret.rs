//! PURE  A text that is never logged, and the digest by which it is recognised.

use std::fmt;
use std::hash::{Hash, Hasher};

use base64::prelude::{BASE64_URL_SAFE_NO_PAD, Engine as _};
use rand::RngCore;
use serde::{Deserialize, Serialize};
use sha2::Sha256;
use subtle::ConstantTimeEq as _;

/// A shared secret, a password, an API key, a token, or a room's key.
///
/// `{:?}` never shows it. `==` takes the same time wherever two secrets of one length differ. It is serialized as plain
/// text, for the response or frame that delivers it.
#[derive(Clone, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Secret(String);

impl Secret {
    /// A secret with this text.
    #[must_use]
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// A new secret of 256 bits, in 43 characters of base64url.
    #[must_use]
    pub fn random(rng: &mut dyn RngCore) -> Self {
        let mut bytes = [0; 32];
        rng.fill_bytes(&mut bytes);
        Self::from_random(bytes)
    }

    /// A secret made from 32 random bytes, in 43 characters of base64url.
    #[must_use]
    pub fn from_random(bytes: [u8; 32]) -> Self {
        Self(BASE64_URL_SAFE_NO_PAD.encode(bytes))
    }

    /// Whether the secret can be guessed: it is shorter than 32 bytes, or the frequencies of its characters give it
    /// less than 96 bits of entropy.
    ///
    /// Anybody with one credential can try secrets offline.
    #[must_use]
    pub fn is_weak(&self) -> bool {
        let length = self.0.len() as f64;
        let mut counts = [0_u32; 256];
        for byte in self.0.bytes() {
            counts[usize::from(byte)] += 1;
        }
        let bits: f64 =
            counts.iter().filter(|n| **n > 0).map(|n| f64::from(*n) * (length / f64::from(*n)).log2()).sum();
        self.0.len() < 32 || bits < 96.0
    }

    /// The text. Only code that sends, hashes or signs with it needs it.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl PartialEq for Secret {
    fn eq(&self, other: &Self) -> bool {
        self.0.as_bytes().ct_eq(other.0.as_bytes()).into()
    }
}

impl Eq for Secret {}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

/// The SHA-256 of a text. `==` takes the same time whatever the result.
///
/// A lookup in a map takes a time that depends on the digest. That does not help to guess the text, because nobody can
/// control how a guess changes its digest.
#[derive(Debug, Clone, Copy, Eq, PartialOrd, Ord)]
pub struct Digest([u8; 32]);

impl Digest {
    /// The digest of a text.
    #[must_use]
    pub fn of(text: &str) -> Self {
        Self(<Sha256 as sha2::Digest>::digest(text).into())
    }

    /// The digest with these bytes.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// Its bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// Whether it is the digest of this text.
    #[must_use]
    pub fn is_of(&self, text: &str) -> bool {
        *self == Self::of(text)
    }
}

impl PartialEq for Digest {
    fn eq(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

impl Hash for Digest {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.hash(state);
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng as _;
    use rand::rngs::StdRng;

    use super::*;

    #[test]
    fn a_secret_must_look_random() {
        for weak in ["", "north", "changemechangemechangemechangeme", &"a".repeat(1000)] {
            assert!(Secret::new(weak).is_weak(), "{weak}");
        }
        assert!(!Secret::new("6f0c1d3a8b5e4f7096a2c4d8e1b3f507").is_weak());
        assert!(!Secret::from_random(std::array::from_fn(|i| (i * 37) as u8)).is_weak());
    }

    #[test]
    fn a_secret_is_not_shown() {
        assert_eq!(format!("{:?}", Secret::new("north")), "Secret(..)");
    }

    #[test]
    fn a_secret_is_known_again_by_its_hash() {
        let mut rng = StdRng::seed_from_u64(1);
        let (one, other) = (Secret::random(&mut rng), Secret::random(&mut rng));
        assert_eq!((one.reveal().len(), one == other), (43, false));
        assert!(
            Digest::of(one.reveal()).is_of(one.reveal()) && !Digest::of(one.reveal()).is_of(other.reveal())
        );
    }
}
