//! PURE  Remembers revoked credentials until they would have expired.
//!
//! A time-limited credential is valid without any record, so the server must record its revocation. Shards check the
//! list once for each request and never for a packet. While nothing is revoked, the check reads only one flag.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{PoisonError, RwLock};

use crate::clock::{Expiry, Unix};
use crate::secret::Digest;

/// The revoked credentials.
#[derive(Debug, Default)]
pub(super) struct Revoked {
    /// Whether the list may have entries; never false while it has one.
    any: AtomicBool,
    /// The digest of each user name, with its expiry. So a name of a megabyte takes no more memory than any other.
    expiries: RwLock<HashMap<Digest, Expiry>>,
}

/// The list is full: it drops no entry before its expiry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Full;

/// The most credentials that can be revoked at a time; they take 5 MB.
const MOST: usize = 65_536;

impl Revoked {
    /// Revokes a credential until `expires`.
    pub(super) fn add(&self, username: &str, expires: Expiry, now: Unix) -> Result<(), Full> {
        // The table is valid after every statement, so a panic elsewhere does no harm.
        let mut expiries = self.expiries.write().unwrap_or_else(PoisonError::into_inner);
        let key = Digest::of(username);
        if expiries.len() >= MOST && !expiries.contains_key(&key) {
            expiries.retain(|_, expires| !expires.is_over(now));
            if expiries.len() >= MOST {
                return Err(Full);
            }
        }
        expiries.insert(key, expires);
        self.any.store(true, Ordering::Release);
        Ok(())
    }

    /// Whether a credential is revoked at `now`.
    pub(super) fn has(&self, username: &str, now: Unix) -> bool {
        if !self.any.load(Ordering::Acquire) {
            return false;
        }
        let expiries = self.expiries.read().unwrap_or_else(PoisonError::into_inner);
        expiries.get(&Digest::of(username)).is_some_and(|expires| !expires.is_over(now))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn at(secs: u64) -> Unix {
        Unix::from_secs(secs)
    }

    const fn ends(secs: u64) -> Expiry {
        Expiry::at(at(secs))
    }

    #[test]
    fn it_is_revoked_until_its_last_second_and_nobody_else_is() {
        let revoked = Revoked::default();
        assert!(!revoked.has("100:alice", at(50)));
        revoked.add("100:alice", ends(100), at(50)).unwrap();
        assert!(revoked.has("100:alice", at(50)) && revoked.has("100:alice", at(100)));
        assert!(!revoked.has("100:alice", at(101)) && !revoked.has("100:bob", at(50)));
    }

    #[test]
    fn it_never_holds_more_than_its_bound_and_makes_room_only_of_what_is_over() {
        let revoked = Revoked::default();
        for name in 0..MOST as u64 {
            revoked.add(&name.to_string(), ends(100 + name % 2), at(0)).unwrap();
        }
        assert_eq!(revoked.add("one more", ends(200), at(100)), Err(Full));
        assert_eq!(revoked.add("7", ends(200), at(100)), Ok(()), "one that is revoked already needs no room");
        assert!(revoked.has("0", at(100)));
        assert_eq!(revoked.add("one more", ends(200), at(101)), Ok(()));
        assert_eq!(revoked.expiries.read().unwrap().len(), MOST / 2 + 1);
    }
}
