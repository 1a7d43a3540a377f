//! Counts allocations: for each user, for each client address, and in all.
//!
//! One ledger serves all shards; it is looked at when an allocation is made or ends, never for a packet. A user at
//! the limit loses the allocation that has been idle the longest before a new one is refused: a phone that changes
//! networks leaves allocations behind that nobody will ever use again.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::bounds::client_net::address;
use crate::clock::Moment;
use crate::outcome::Refusal;
use crate::relay::engine::limits::Limits;

/// How long an allocation must have carried nothing before it makes way for a new one of the same user.
pub const IDLE: Duration = Duration::from_secs(60);

/// The ledger.
#[derive(Debug)]
pub struct Quotas {
    total: usize,
    per_user: usize,
    per_ip: usize,
    ledger: Mutex<Ledger>,
}

/// The right to one allocation; given back when dropped.
#[derive(Debug)]
pub struct Lease {
    quotas: Arc<Quotas>,
    holding: Arc<Holding>,
}

#[derive(Debug, Default)]
struct Ledger {
    total: usize,
    users: HashMap<Box<str>, Vec<Arc<Holding>>>,
    addresses: HashMap<IpAddr, usize>,
}

#[derive(Debug)]
struct Holding {
    tag: Box<str>,
    ip: IpAddr,
    /// In seconds of the monotonic clock; written by the allocation's shard.
    last_active: AtomicU64,
    evicted: AtomicBool,
}

impl Quotas {
    /// An empty ledger.
    #[must_use]
    pub fn new(limits: &Limits) -> Self {
        Self {
            total: limits.allocations as usize,
            per_user: limits.allocations_per_user as usize,
            per_ip: limits.allocations_per_ip as usize,
            ledger: Mutex::default(),
        }
    }

    /// Admits one more allocation of the user `tag` from `ip`.
    ///
    /// # Errors
    /// Which quota is reached.
    pub fn admit(self: &Arc<Self>, tag: &str, ip: IpAddr, now: Moment) -> Result<Lease, Refusal> {
        let ip = address(ip);
        let mut ledger = self.ledger();
        let held = ledger.users.get(tag).map_or(0, Vec::len);
        let at_address = ledger.addresses.get(&ip).copied().unwrap_or(0);
        if held >= self.per_user || at_address >= self.per_ip {
            let over_address = at_address >= self.per_ip;
            let refusal = if over_address { Refusal::AddressQuota } else { Refusal::UserQuota };
            let idle = ledger.longest_idle(tag, over_address.then_some(ip), now).ok_or(refusal)?;
            idle.evicted.store(true, Ordering::Relaxed);
            ledger.release(&idle);
        }
        if ledger.total >= self.total {
            return Err(Refusal::ServerQuota);
        }
        let last_active = AtomicU64::new(now.as_secs());
        let holding = Arc::new(Holding { tag: tag.into(), ip, last_active, evicted: AtomicBool::new(false) });
        ledger.total += 1;
        *ledger.addresses.entry(ip).or_default() += 1;
        ledger.users.entry(tag.into()).or_default().push(Arc::clone(&holding));
        drop(ledger);
        Ok(Lease { quotas: Arc::clone(self), holding })
    }

    /// How many allocations there are in all.
    #[must_use]
    pub fn total(&self) -> usize {
        self.ledger().total
    }

    /// The ledger is a few counts that are right between any two statements, so a panic elsewhere spoils nothing.
    fn ledger(&self) -> MutexGuard<'_, Ledger> {
        self.ledger.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Lease {
    /// The allocation carried data or was refreshed.
    pub fn touch(&self, now: Moment) {
        self.holding.last_active.store(now.as_secs(), Ordering::Relaxed);
    }

    /// Whether the allocation had to make way and must be closed.
    #[must_use]
    pub fn is_evicted(&self) -> bool {
        self.holding.evicted.load(Ordering::Relaxed)
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.quotas.ledger().release(&self.holding);
    }
}

impl Ledger {
    fn longest_idle(&self, tag: &str, ip: Option<IpAddr>, now: Moment) -> Option<Arc<Holding>> {
        let active_at = |holding: &Holding| holding.last_active.load(Ordering::Relaxed);
        self.users
            .get(tag)?
            .iter()
            .filter(|holding| ip.is_none_or(|ip| holding.ip == ip))
            .filter(|holding| now.as_secs().saturating_sub(active_at(holding)) >= IDLE.as_secs())
            .min_by_key(|holding| active_at(holding))
            .cloned()
    }

    /// Takes a holding out of all counts, if it still stands in them.
    fn release(&mut self, holding: &Arc<Holding>) {
        let Some(held) = self.users.get_mut(&holding.tag) else { return };
        let Some(index) = held.iter().position(|other| Arc::ptr_eq(other, holding)) else { return };
        held.swap_remove(index);
        if held.is_empty() {
            self.users.remove(&holding.tag);
        }
        self.total -= 1;
        if let Some(count) = self.addresses.get_mut(&holding.ip) {
            *count -= 1;
            if *count == 0 {
                self.addresses.remove(&holding.ip);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::relay::engine::limits::tests::generous;

    const HOME: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(198, 51, 100, 7));
    const CAFE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(198, 51, 100, 8));

    fn quotas() -> Arc<Quotas> {
        let limits = Limits { allocations: 5, allocations_per_user: 2, allocations_per_ip: 3, ..generous() };
        Arc::new(Quotas::new(&limits))
    }

    fn at(seconds: u64) -> Moment {
        Moment::default() + Duration::from_secs(seconds)
    }

    #[test]
    fn each_quota_has_its_refusal() {
        let quotas = quotas();
        let _a = [quotas.admit("alice", HOME, at(0)).unwrap(), quotas.admit("alice", HOME, at(0)).unwrap()];
        assert_eq!(quotas.admit("alice", CAFE, at(0)).unwrap_err(), Refusal::UserQuota);
        let _b = quotas.admit("bob", HOME, at(0)).unwrap();
        assert_eq!(quotas.admit("bob", HOME, at(0)).unwrap_err(), Refusal::AddressQuota);
        let _c = [quotas.admit("bob", CAFE, at(0)).unwrap(), quotas.admit("carol", CAFE, at(0)).unwrap()];
        assert_eq!(quotas.admit("carol", CAFE, at(0)).unwrap_err(), Refusal::ServerQuota);
    }

    #[test]
    fn what_ends_is_given_back() {
        let quotas = quotas();
        for _ in 0..100 {
            let held =
                [quotas.admit("alice", HOME, at(0)).unwrap(), quotas.admit("alice", HOME, at(0)).unwrap()];
            assert_eq!(quotas.total(), 2);
            drop(held);
        }
        assert_eq!(quotas.total(), 0);
    }

    #[test]
    fn the_longest_idle_allocation_of_the_same_user_makes_way() {
        let quotas = quotas();
        let [old, busy] =
            [quotas.admit("alice", HOME, at(0)).unwrap(), quotas.admit("alice", HOME, at(1)).unwrap()];
        busy.touch(at(100));
        let new = quotas.admit("alice", CAFE, at(100)).unwrap();
        assert!(old.is_evicted() && !busy.is_evicted() && !new.is_evicted());
        assert_eq!(quotas.admit("alice", CAFE, at(101)).unwrap_err(), Refusal::UserQuota);
        drop(old);
        assert_eq!(quotas.total(), 2, "an evicted allocation is not given back twice");
    }

    #[test]
    fn a_whole_ipv6_prefix_is_one_address() {
        let quotas = quotas();
        let ip = |host: u16| IpAddr::from([0x2a00, 1, 2, 3, 0, 0, 0, host]);
        let _held: Vec<_> =
            (0..3).map(|host| quotas.admit(&host.to_string(), ip(host), at(0)).unwrap()).collect();
        assert_eq!(quotas.admit("9", ip(9), at(0)).unwrap_err(), Refusal::AddressQuota);
    }
}
