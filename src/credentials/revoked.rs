//! PURE  Remembers which credentials are good no more, until they would have ended by themselves.
//!
//! A time-limited credential proves itself, so that it can only be taken back by remembering that it was. All shards
//! ask, once for each request and never for a packet; as long as nothing is revoked, that is one look at a flag.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{PoisonError, RwLock};

use sha2::{Digest, Sha256};

/// The revoked credentials.
#[derive(Debug, Default)]
pub(super) struct Revoked {
    /// Whether there may be any; never false while there is one.
    any: AtomicBool,
    /// The hash of each user name, with its expiry in seconds since the Unix epoch: whoever revokes a name of a megabyte
    /// takes no more room.
    expiries: RwLock<HashMap<[u8; 32], u64>>,
}

/// Nothing is forgotten before its time, so there is no more room.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Full;

/// How many credentials can be revoked at a time; they take 5 MB then.
const MOST: usize = 65_536;

impl Revoked {
    /// From now on a credential is revoked, until `expires`.
    pub(super) fn add(&self, username: &str, expires: u64, unix: u64) -> Result<(), Full> {
        // Every statement leaves the table as it should be, so a panic elsewhere spoils nothing.
        let mut expiries = self.expiries.write().unwrap_or_else(PoisonError::into_inner);
        let key = key(username);
        if expiries.len() >= MOST && !expiries.contains_key(&key) {
            expiries.retain(|_, expires| *expires >= unix);
            if expiries.len() >= MOST {
                return Err(Full);
            }
        }
        expiries.insert(key, expires);
        self.any.store(true, Ordering::Release);
        Ok(())
    }

    /// Whether a credential is revoked at `unix`.
    pub(super) fn has(&self, username: &str, unix: u64) -> bool {
        if !self.any.load(Ordering::Acquire) {
            return false;
        }
        let expiries = self.expiries.read().unwrap_or_else(PoisonError::into_inner);
        expiries.get(&key(username)).is_some_and(|expires| *expires >= unix)
    }
}

fn key(username: &str) -> [u8; 32] {
    Sha256::digest(username).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_revoked_until_its_last_second_and_nobody_else_is() {
        let revoked = Revoked::default();
        assert!(!revoked.has("100:alice", 50));
        revoked.add("100:alice", 100, 50).unwrap();
        assert!(revoked.has("100:alice", 50) && revoked.has("100:alice", 100));
        assert!(!revoked.has("100:alice", 101) && !revoked.has("100:bob", 50));
    }

    #[test]
    fn it_never_holds_more_than_its_bound_and_makes_room_only_of_what_is_over() {
        let revoked = Revoked::default();
        for name in 0..MOST as u64 {
            revoked.add(&name.to_string(), 100 + name % 2, 0).unwrap();
        }
        assert_eq!(revoked.add("one more", 200, 100), Err(Full));
        assert_eq!(revoked.add("7", 200, 100), Ok(()), "one that is revoked already needs no room");
        assert!(revoked.has("0", 100));
        assert_eq!(revoked.add("one more", 200, 101), Ok(()));
        assert_eq!(revoked.expiries.read().unwrap().len(), MOST / 2 + 1);
    }
}
