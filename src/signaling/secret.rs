//! PURE  Secrets that clients show again later: of each, the server keeps only a hash.

use base64::prelude::{BASE64_URL_SAFE_NO_PAD, Engine as _};
use rand::RngCore;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq as _;

/// The SHA-256 of a resume token, a host token, or a room's key.
///
/// Looking one up in a map is no way to guess it: what a guess is compared with is the hash, which nobody can steer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
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

/// A new secret of 256 bits: 43 characters of base64url.
#[must_use]
pub fn random(chance: &mut dyn RngCore) -> String {
    let mut bytes = [0; 32];
    chance.fill_bytes(&mut bytes);
    BASE64_URL_SAFE_NO_PAD.encode(bytes)
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng as _;
    use rand::rngs::StdRng;

    use super::*;

    #[test]
    fn a_secret_is_known_again_by_its_hash() {
        let mut chance = StdRng::seed_from_u64(1);
        let (one, other) = (random(&mut chance), random(&mut chance));
        assert_eq!((one.len(), one == other), (43, false));
        assert!(Hashed::of(&one).is_of(&one) && !Hashed::of(&one).is_of(&other));
    }
}
