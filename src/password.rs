//! PURE  The password with which people open rooms: what is kept of it, and how it is recognised.
//!
//! People choose passwords that can be guessed, so each guess is made expensive: Argon2id (RFC 9106) takes time and memory.
//! The configuration holds the hash in the usual form, which other programs write and read too:
//!
//! ```text
//! $argon2id$v=19$m=<KiB>,t=<passes>,p=<lanes>$<base64 of the salt>$<base64 of the hash>
//! ```

use std::fmt;

use argon2::{Algorithm, Argon2, Params, Version};
use base64::prelude::{BASE64_STANDARD_NO_PAD, Engine as _};
use subtle::ConstantTimeEq as _;
use unicode_normalization::UnicodeNormalization as _;

/// Characters of a password. A shorter one is found by guessing at any server that answers.
pub const PASSWORD_MIN: usize = 8;
/// Bytes of a password. A longer one is wrong.
pub const PASSWORD_MAX: usize = 256;

/// What a hash of our own takes: OWASP's first choice for servers, some 20 ms.
const COST: Cost = Cost { memory: 19 * 1024, passes: 2, lanes: 1 };
/// The most that a hash of another program may take: checking it must not slow the daemon down.
const COST_MAX: Cost = Cost { memory: 64 * 1024, passes: 8, lanes: 4 };
const HASH_BYTES: usize = 32;
const BYTES_MIN: usize = 8;
const BYTES_MAX: usize = 64;

/// What one check takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Cost {
    /// KiB of memory.
    memory: u32,
    passes: u32,
    lanes: u32,
}

/// The hash of a password.
#[derive(Clone, PartialEq, Eq)]
pub struct PasswordHash {
    cost: Cost,
    salt: Vec<u8>,
    hash: Vec<u8>,
}

impl PasswordHash {
    /// The hash of a password, with a salt that no other hash has.
    #[must_use]
    pub fn of(password: &str, salt: [u8; 16]) -> Option<Self> {
        let empty = Self { cost: COST, salt: salt.to_vec(), hash: vec![0; HASH_BYTES] };
        Some(Self { hash: empty.compute(password)?, ..empty })
    }

    /// Reads a hash. `None` if it is malformed, or if checking a password would take too much.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let mut parts = text.strip_prefix("$argon2id$v=19$")?.split('$');
        let (cost, salt, hash) = (parts.next()?, parts.next()?, parts.next()?);
        let bytes = |part: &str| {
            let bytes = BASE64_STANDARD_NO_PAD.decode(part).ok()?;
            (BYTES_MIN..=BYTES_MAX).contains(&bytes.len()).then_some(bytes)
        };
        let hash = Self { cost: Cost::parse(cost)?, salt: bytes(salt)?, hash: bytes(hash)? };
        parts.next().is_none().then_some(hash)
    }

    /// Whether this is the password. Takes memory and time, so it must not run where others wait.
    #[must_use]
    pub fn matches(&self, password: &str) -> bool {
        let computed = self.compute(password);
        computed.is_some_and(|hash| hash.ct_eq(&self.hash).into())
    }

    /// `None` if the password is too long, or if the memory is not there.
    fn compute(&self, password: &str) -> Option<Vec<u8>> {
        // From every keyboard the same.
        let password: String = password.nfc().collect();
        if password.len() > PASSWORD_MAX {
            return None;
        }
        let Cost { memory, passes, lanes } = self.cost;
        let mut hash = vec![0; self.hash.len()];
        let params = Params::new(memory, passes, lanes, Some(hash.len())).ok()?;
        let argon = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
        argon.hash_password_into(password.as_bytes(), &self.salt, &mut hash).ok()?;
        Some(hash)
    }
}

impl Cost {
    fn parse(text: &str) -> Option<Self> {
        let (memory, rest) = text.strip_prefix("m=")?.split_once(",t=")?;
        let (passes, lanes) = rest.split_once(",p=")?;
        let number = |text: &str, max: u32| text.parse().ok().filter(|number| (1..=max).contains(number));
        let lanes = number(lanes, COST_MAX.lanes)?;
        let memory = number(memory, COST_MAX.memory).filter(|memory| *memory >= 8 * lanes)?;
        Some(Self { memory, passes: number(passes, COST_MAX.passes)?, lanes })
    }
}

impl fmt::Display for PasswordHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Cost { memory, passes, lanes } = self.cost;
        let [salt, hash] = [&self.salt, &self.hash].map(|bytes| BASE64_STANDARD_NO_PAD.encode(bytes));
        write!(f, "$argon2id$v=19$m={memory},t={passes},p={lanes}${salt}${hash}")
    }
}

impl fmt::Debug for PasswordHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PasswordHash(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `printf 'correct horse' | argon2 somesaltsomesalt -id -t 2 -k 64 -p 1 -l 32 -e`
    const CHEAP: &str =
        "$argon2id$v=19$m=64,t=2,p=1$c29tZXNhbHRzb21lc2FsdA$uL2hQzJmxaz0Tfm2KK6uNjA0+UvbrHBEBwVmJYrNXCE";

    #[test]
    fn a_hash_is_what_the_argon2_program_says() {
        let hash = PasswordHash::parse(CHEAP).unwrap();
        assert_eq!(hash.to_string(), CHEAP);
        assert!(hash.matches("correct horse"));
        for wrong in ["", "correct horse ", "Correct horse", &"x".repeat(PASSWORD_MAX + 1)] {
            assert!(!hash.matches(wrong), "{wrong}");
        }
    }

    #[test]
    fn a_hash_of_our_own_knows_its_password_from_every_keyboard() {
        let hash = PasswordHash::of("한글 비밀번호", [7; 16]).unwrap();
        let decomposed: String = "한글 비밀번호".nfd().collect();
        let read = PasswordHash::parse(&hash.to_string()).unwrap();
        assert!(read == hash && read.matches("한글 비밀번호") && read.matches(&decomposed));
        assert!(!read.matches("한글 비밀번호2"));
        assert_ne!(PasswordHash::of("한글 비밀번호", [8; 16]), Some(hash));
    }

    #[test]
    fn a_hash_that_takes_too_much_or_is_malformed_is_none() {
        let (salt, hash) = ("c29tZXNhbHRzb21lc2FsdA", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA");
        assert!(PasswordHash::parse(&format!("$argon2id$v=19$m=65536,t=8,p=4${salt}${hash}")).is_some());
        for cost in [
            "m=65537,t=2,p=1",
            "m=64,t=9,p=1",
            "m=64,t=1,p=5",
            "m=7,t=1,p=1",
            "m=0,t=1,p=1",
            "m=64,t=0,p=1",
            "t=1,m=64,p=1",
            "m=64,t=1",
            "",
        ] {
            assert_eq!(PasswordHash::parse(&format!("$argon2id$v=19${cost}${salt}${hash}")), None, "{cost}");
        }
        for wrong in [
            "hunter2hunter2".to_owned(),
            format!("$argon2i$v=19$m=64,t=1,p=1${salt}${hash}"),
            format!("$argon2id$v=16$m=64,t=1,p=1${salt}${hash}"),
            format!("$argon2id$v=19$m=64,t=1,p=1${salt}"),
            format!("$argon2id$v=19$m=64,t=1,p=1${salt}${hash}$"),
            format!("$argon2id$v=19$m=64,t=1,p=1$c2FsdA${hash}"),
            format!("$argon2id$v=19$m=64,t=1,p=1${salt}$not base64"),
        ] {
            assert_eq!(PasswordHash::parse(&wrong), None, "{wrong}");
        }
    }
}
