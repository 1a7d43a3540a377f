//! Counts connections: for each client address, and in all.
//!
//! One count serves the whole daemon; it is looked at when a connection begins or ends.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::bounds::client_net::address;

/// The count.
#[derive(Debug)]
pub struct Admission {
    most: usize,
    most_per_ip: usize,
    crowd: Mutex<Crowd>,
}

#[derive(Debug, Default)]
struct Crowd {
    total: usize,
    addresses: HashMap<IpAddr, usize>,
}

/// The right to one connection; given back when dropped.
#[derive(Debug)]
pub struct Permit {
    admission: Arc<Admission>,
    ip: Option<IpAddr>,
}

impl Admission {
    /// At most `most` connections in all, and `most_per_ip` from one address (one /64 for IPv6).
    #[must_use]
    pub fn new(most: usize, most_per_ip: usize) -> Self {
        Self { most, most_per_ip, crowd: Mutex::default() }
    }

    /// Admits one more connection, whoever it is from; `None` if there are too many.
    #[must_use]
    pub fn admit(self: &Arc<Self>) -> Option<Permit> {
        let mut crowd = self.crowd();
        if crowd.total >= self.most {
            return None;
        }
        crowd.total += 1;
        Some(Permit { admission: Arc::clone(self), ip: None })
    }

    /// How many connections there are.
    #[must_use]
    pub fn total(&self) -> usize {
        self.crowd().total
    }

    /// The counts are right between any two statements, so a panic elsewhere spoils nothing.
    fn crowd(&self) -> MutexGuard<'_, Crowd> {
        self.crowd.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Permit {
    /// Counts the connection on its client's address, once that is known; `None` if that has too many.
    #[must_use]
    pub fn claim(mut self, ip: IpAddr) -> Option<Self> {
        let ip = address(ip);
        let mut crowd = self.admission.crowd();
        let held = crowd.addresses.entry(ip).or_default();
        let free = *held < self.admission.most_per_ip;
        if free {
            *held += 1;
        }
        drop(crowd);
        free.then(|| {
            self.ip = Some(ip);
            self
        })
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        let mut crowd = self.admission.crowd();
        crowd.total -= 1;
        let Some(ip) = self.ip else { return };
        let Some(held) = crowd.addresses.get_mut(&ip) else { return };
        *held -= 1;
        if *held == 0 {
            crowd.addresses.remove(&ip);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOME: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1));
    const CAFE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 2));

    #[test]
    fn an_address_has_its_share_and_the_daemon_its_limit() {
        let admission = Arc::new(Admission::new(3, 2));
        let one = admission.admit().and_then(|permit| permit.claim(HOME)).unwrap();
        let _two = admission.admit().and_then(|permit| permit.claim(HOME)).unwrap();
        assert!(admission.admit().and_then(|permit| permit.claim(HOME)).is_none());
        let _three = admission.admit().and_then(|permit| permit.claim(CAFE)).unwrap();
        assert!(admission.admit().is_none());
        drop(one);
        assert!(admission.admit().and_then(|permit| permit.claim(HOME)).is_some());
    }

    #[test]
    fn what_was_refused_or_given_back_is_not_counted() {
        let admission = Arc::new(Admission::new(10, 1));
        let kept = admission.admit().and_then(|permit| permit.claim(HOME));
        for _ in 0..100 {
            assert!(admission.admit().and_then(|permit| permit.claim(HOME)).is_none());
        }
        assert_eq!(admission.total(), 1);
        drop(kept);
        assert_eq!(admission.total(), 0);
        assert!(admission.crowd().addresses.is_empty());
    }
}
