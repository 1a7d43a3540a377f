//! PURE  Secrets that clients show, which no log does; of those that they show again later, the server keeps only a hash.

use std::fmt;

use base64::prelude::{BASE64_URL_SAFE_NO_PAD, Engine as _};
use rand::RngCore;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq as _;

/// A token, or a room's key, on its way: a frame has it as it is, `{:?}` never shows it.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Token(String);

impl Token {
    /// A new one of 256 bits: 43 characters of base64url.
    #[must_use]
    pub fn random(rng: &mut dyn RngCore) -> Self {
        let mut bytes = [0; 32];
        rng.fill_bytes(&mut bytes);
        Self(BASE64_URL_SAFE_NO_PAD.encode(bytes))
    }

    /// The text itself, for who must use it.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl From<String> for Token {
    fn from(text: String) -> Self {
        Self(text)
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(..)")
    }
}

/// The SHA-256 of a resume token, a host token, or a room's key.
///
/// Looking one up in a map is no way to guess it: what a guess is compared with is the hash, which nobody can steer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Hashed([u8; 32]);

impl Hashed {
    /// The hash of a secret.
    #[must_use]
    pub fn of(secret: &str) -> Self {
        Self(Sha256::digest(secret).into())
    }

    /// Whether it is the hash of this secret, in the same time whatever the answer.
    #[must_use]
    pub fn is_of(&self, secret: &str) -> bool {
        self.0.ct_eq(&Self::of(secret).0).into()
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng as _;
    use rand::rngs::StdRng;

    use super::*;

    #[test]
    fn a_secret_is_known_again_by_its_hash() {
        let mut rng = StdRng::seed_from_u64(1);
        let (one, other) = (Token::random(&mut rng), Token::random(&mut rng));
        assert_eq!((one.reveal().len(), one == other), (43, false));
        assert!(
            Hashed::of(one.reveal()).is_of(one.reveal()) && !Hashed::of(one.reveal()).is_of(other.reveal())
        );
    }
}
