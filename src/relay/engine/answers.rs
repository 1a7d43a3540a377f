//! Bounds what strangers can make us send, and how often they can guess, in tables of a fixed size.
//!
//! An answer to a spoofed request hits somebody who never asked. So unauthenticated error answers have a budget
//! for each address and each network, and silence follows. Networks that fall on one slot share its budget: the
//! tables never grow, whatever arrives. Wrong passwords are counted otherwise: who falls on a slot takes it over,
//! so that a flood of invented names forgets some guesses, and locks out nobody.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::bounds::rate::{Bucket, Rate};
use crate::clock::Moment;
use crate::relay::engine::limits::Limits;

/// The budgets, shared by all shards: a network's packets reach every one of them.
#[derive(Debug)]
pub struct AnswerBudget {
    seed: u64,
    addresses: Table<{ 1 << 15 }>,
    networks: Table<{ 1 << 13 }>,
    guesses: Table<{ 1 << 13 }>,
}

/// An answer that costs a budget. Each kind has one of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Answer {
    /// To somebody who has proved nothing.
    Stranger,
    /// A fresh nonce for somebody who knows the password: strangers must not use up what ends a call if it is missing.
    StaleNonce,
}

impl AnswerBudget {
    /// Full budgets. The seed keeps strangers from choosing addresses that fall on somebody else's slot.
    #[must_use]
    pub fn new(limits: &Limits, seed: u64) -> Self {
        Self {
            seed,
            addresses: Table::new(limits.answers_per_ip),
            networks: Table::new(limits.answers_per_network),
            guesses: Table::new(limits.failures),
        }
    }

    /// Whether one more error of this kind may be sent to `ip`.
    pub fn may_answer(&self, kind: Answer, ip: IpAddr, now: Moment) -> bool {
        let (address, network) = prefixes(ip);
        self.addresses.take_shared(self.hash((kind, address)), now)
            && self.networks.take_shared(self.hash((kind, network)), now)
    }

    /// Whether `username` may still be tried from `ip`, with a `fresh` nonce or without: a spoofed source cannot have
    /// a fresh one, and so cannot use up what its victim may try. Takes nothing.
    #[must_use]
    pub fn may_guess(&self, ip: IpAddr, username: &str, fresh: bool, now: Moment) -> bool {
        !self.guesses.is_spent(self.hash((prefixes(ip).0, username, fresh)), now)
    }

    /// A wrong password for `username` came from `ip`.
    pub fn guessed(&self, ip: IpAddr, username: &str, fresh: bool, now: Moment) {
        self.guesses.take_owned(self.hash((prefixes(ip).0, username, fresh)), now);
    }

    fn hash(&self, key: impl Hash) -> u64 {
        let mut hasher = DefaultHasher::new();
        self.seed.hash(&mut hasher);
        key.hash(&mut hasher);
        hasher.finish()
    }
}

/// Buckets of one rate, found by hash.
#[derive(Debug)]
struct Table<const SLOTS: usize> {
    rate: Rate,
    slots: Box<[AtomicU64]>,
}

impl<const SLOTS: usize> Table<SLOTS> {
    fn new(rate: Rate) -> Self {
        Self { rate, slots: (0..SLOTS).map(|_| AtomicU64::new(0)).collect() }
    }

    /// Takes one from the bucket of everybody on this slot.
    fn take_shared(&self, hash: u64, now: Moment) -> bool {
        let take = |state| {
            let mut bucket = Bucket::from_state(state);
            bucket.take(self.rate, 1, now).then(|| bucket.state())
        };
        self.slot(hash).fetch_update(Ordering::Relaxed, Ordering::Relaxed, take).is_ok()
    }

    /// Takes one from the bucket of this very hash, which takes the slot over if it was another's.
    fn take_owned(&self, hash: u64, now: Moment) {
        let mut bucket = self.owned(hash);
        bucket.take(self.rate, 1, now);
        let state = (hash & OWNER) | (bucket.state() >> OWNER_BITS);
        self.slot(hash).store(state, Ordering::Relaxed);
    }

    fn is_spent(&self, hash: u64, now: Moment) -> bool {
        self.owned(hash).is_spent(self.rate, now)
    }

    /// The bucket of this very hash: a full one, if the slot is another's.
    fn owned(&self, hash: u64) -> Bucket {
        let state = self.slot(hash).load(Ordering::Relaxed);
        Bucket::from_state(if (state ^ hash) & OWNER == 0 { state << OWNER_BITS } else { 0 })
    }

    fn slot(&self, hash: u64) -> &AtomicU64 {
        &self.slots[hash as usize % SLOTS]
    }
}

/// An owned slot says in its upper bits whose it is, and in the others when its bucket will be empty: in units of
/// 2^24 ns, 17 ms.
const OWNER_BITS: u32 = 24;
const OWNER: u64 = !(u64::MAX >> OWNER_BITS);

/// What counts as one address and as one network: /32 and /24, or /64 and /48, because one IPv6 host has a /64.
fn prefixes(ip: IpAddr) -> (u64, u64) {
    match ip {
        IpAddr::V4(ip) => {
            let ip = u64::from(u32::from(ip));
            (ip, ip >> 8)
        }
        IpAddr::V6(ip) => {
            let ip = u128::from(ip);
            ((ip >> 64) as u64, (ip >> 80) as u64)
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::relay::engine::limits::tests::generous;

    fn budget() -> AnswerBudget {
        let limits = Limits {
            answers_per_ip: Rate::per_second(10),
            answers_per_network: Rate::per_second(100),
            failures: Rate::new(20, Duration::from_secs(60), 20),
            ..generous()
        };
        AnswerBudget::new(&limits, 1)
    }

    fn at(seconds: u64) -> Moment {
        Moment::default() + Duration::from_secs(seconds)
    }

    #[test]
    fn an_address_hears_ten_errors_a_second() {
        let budget = budget();
        let answers = |second| {
            (0..1000)
                .filter(|_| budget.may_answer(Answer::Stranger, [198, 51, 100, 7].into(), at(second)))
                .count()
        };
        assert_eq!((answers(1), answers(2)), (10, 10));
    }

    #[test]
    fn a_network_hears_a_hundred_errors_a_second() {
        let budget = budget();
        let hosts = (0..=255_u8).cycle().take(5000);
        assert_eq!(
            hosts
                .filter(|host| budget.may_answer(Answer::Stranger, [198, 51, 100, *host].into(), at(1)))
                .count(),
            100
        );
    }

    #[test]
    fn one_ipv6_host_is_one_address_however_many_it_uses() {
        let budget = budget();
        let hosts = (0..1000_u16).map(|host| [0x2a00, 1, 2, 3, 0, 0, 0, host].into());
        assert_eq!(hosts.filter(|ip| budget.may_answer(Answer::Stranger, *ip, at(1))).count(), 10);
    }

    #[test]
    fn strangers_cannot_use_up_the_fresh_nonces_of_those_who_know_the_password() {
        let (budget, ip) = (budget(), [198, 51, 100, 7].into());
        while budget.may_answer(Answer::Stranger, ip, at(1)) {}
        assert!(budget.may_answer(Answer::StaleNonce, ip, at(1)));
    }

    #[test]
    fn guesses_of_invented_names_lock_out_nobody() {
        let (budget, attacker) = (budget(), [198, 51, 100, 7].into());
        for name in 0..400_000 {
            budget.guessed(attacker, &name.to_string(), true, at(1));
        }
        let victims = (0..10_000).filter(|n: &u32| {
            let ip = std::net::Ipv4Addr::from(0xCB00_0000 + n).into();
            !budget.may_guess(ip, "alice", true, at(1))
        });
        assert_eq!(victims.count(), 0);
    }

    #[test]
    fn guesses_without_a_fresh_nonce_are_counted_apart() {
        let (budget, ip) = (budget(), [198, 51, 100, 7].into());
        (0..100).for_each(|_| budget.guessed(ip, "alice", false, at(1)));
        assert!(!budget.may_guess(ip, "alice", false, at(1)) && budget.may_guess(ip, "alice", true, at(1)));
    }

    #[test]
    fn twenty_wrong_passwords_a_minute_and_no_other_user_suffers() {
        let (budget, ip) = (budget(), [198, 51, 100, 7].into());
        for _ in 0..20 {
            assert!(budget.may_guess(ip, "alice", true, at(1)));
            budget.guessed(ip, "alice", true, at(1));
        }
        assert!(!budget.may_guess(ip, "alice", true, at(1)));
        assert!(budget.may_guess(ip, "bob", true, at(1)));
        assert!(budget.may_guess([198, 51, 100, 8].into(), "alice", true, at(1)));
        assert!(budget.may_guess(ip, "alice", true, at(5)), "one more every three seconds");
    }
}
