//! PURE  Limits answers to unauthenticated clients, and wrong passwords, in tables of a fixed size.
//!
//! The answer to a spoofed request hits a victim. So unauthenticated error answers have a budget for each address and
//! each network; beyond it, requests get no answer. Addresses that share a slot of a table share its budget: the tables
//! never grow.
//!
//! An address from which a client has authenticated lately has a budget of its own, apart from its network's and from
//! those of unknown addresses, and twenty times as fast. So an attacker needs twenty times as many spoofed requests to
//! delay new clients at such an address.
//!
//! Wrong passwords are counted for their source port, and with higher limits for the pair of address and user and for
//! the address. So a guessing client silences itself long before its neighbours, and a flood of invented names reaches
//! the limit of its address long before the table forgets anything.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::bounds::client_net::{address, network};
use crate::bounds::rate::{Bucket, Rate, SharedBucket};
use crate::clock::Moment;
use crate::relay::engine::limits::Limits;
use crate::relay::engine::nonce;

/// The budgets. All shards share them, because packets of one network reach every shard. The limits are arguments, because
/// a reload changes them.
#[derive(Debug)]
pub struct AnswerBudget {
    seed: u64,
    addresses: SharedTable<{ 1 << 15 }>,
    networks: SharedTable<{ 1 << 13 }>,
    acquainted: SharedTable<{ 1 << 13 }>,
    /// The addresses from which a client has authenticated, each kept for [`ACQUAINTANCE`].
    acquaintances: OwnedTable<{ 1 << 15 }>,
    guesses: OwnedTable<{ 1 << 16 }>,
}

/// Who tries a password, and for which user.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Guesser<'a> {
    /// A client with a nonce that was issued to this very port or connection: the source is not spoofed.
    Present(SocketAddr, Guessed<'a>),
    /// A client without such a nonce: the source may be spoofed, so nobody may be locked out because of it.
    Anybody(IpAddr, &'a str),
}

/// Whose password is tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Guessed<'a> {
    /// A static or unknown user's. People choose passwords that can be guessed.
    Chosen(&'a str),
    /// A time-limited credential's. It has 160 bits, which nobody guesses.
    Derived,
}

/// How long an address is known after a client has authenticated there: as long as the nonce that proved it.
pub const ACQUAINTANCE: Duration = nonce::LIFETIME;
/// How many times faster the budget of a known address refills.
pub const ACQUAINTED: u64 = 20;
/// The limit on wrong passwords for one user from one address, as a multiple of that for one port.
pub const PORTS_OF_USER: u64 = 10;
/// The limit on wrong passwords from one address for all users, as a multiple of that for one port.
pub const PORTS_OF_ADDRESS: u64 = 100;

impl AnswerBudget {
    /// Full budgets. The seed keeps attackers from choosing addresses that share a victim's slot.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self {
            seed,
            addresses: SharedTable::new(),
            networks: SharedTable::new(),
            acquainted: SharedTable::new(),
            acquaintances: OwnedTable::new(),
            guesses: OwnedTable::new(),
        }
    }

    /// Whether one more error may be sent to an unauthenticated client at `ip`.
    pub fn may_answer(&self, limits: &Limits, ip: IpAddr, now: Moment) -> bool {
        let at = self.hash(address(ip));
        if self.acquaintances.owned(at).is_full(now) {
            self.addresses.take(limits.answers_per_ip, at, now)
                && self.networks.take(limits.answers_per_network, self.hash(network(ip)), now)
        } else {
            self.acquainted.take(limits.answers_per_ip.faster(ACQUAINTED), at, now)
        }
    }

    /// A client at `ip` has authenticated, with a nonce that was issued to it.
    pub fn met(&self, ip: IpAddr, now: Moment) {
        self.acquaintances.set(self.hash(address(ip)), (now + ACQUAINTANCE).as_nanos(), now);
    }

    /// Whether one more password may be tried. Takes nothing from the budget.
    #[must_use]
    pub fn may_guess(&self, limits: &Limits, guesser: Guesser<'_>, now: Moment) -> bool {
        self.guesses_of(limits, guesser).all(|(hash, rate)| !self.guesses.owned(hash).is_spent(rate, now))
    }

    /// Counts a wrong password.
    pub fn guessed(&self, limits: &Limits, guesser: Guesser<'_>, now: Moment) {
        for (hash, rate) in self.guesses_of(limits, guesser) {
            let mut bucket = self.guesses.owned(hash);
            bucket.take(rate, 1, now);
            self.guesses.set(hash, bucket.state(), now);
        }
    }

    /// The buckets that count a guess: the hash of each, and its rate.
    fn guesses_of(&self, limits: &Limits, guesser: Guesser<'_>) -> impl Iterator<Item = (u64, Rate)> {
        let one = limits.failures;
        let (of_user, of_address) = (one.times(PORTS_OF_USER), one.times(PORTS_OF_ADDRESS));
        let buckets = match guesser {
            Guesser::Present(from, guessed) => {
                let ip = address(from.ip());
                let chosen = match guessed {
                    Guessed::Chosen(user) => [
                        Some((self.hash(("user", ip, user)), of_user)),
                        Some((self.hash(("address", ip)), of_address)),
                    ],
                    Guessed::Derived => [None, None],
                };
                [Some((self.hash(("port", from)), one)), chosen[0], chosen[1]]
            }
            Guesser::Anybody(ip, user) => {
                [Some((self.hash(("anybody", address(ip), user)), one)), None, None]
            }
        };
        buckets.into_iter().flatten()
    }

    fn hash(&self, key: impl Hash) -> u64 {
        let mut hasher = DefaultHasher::new();
        self.seed.hash(&mut hasher);
        key.hash(&mut hasher);
        hasher.finish()
    }
}

/// Buckets found by hash. All hashes of a slot share its bucket.
#[derive(Debug)]
struct SharedTable<const SLOTS: usize> {
    slots: Box<[SharedBucket]>,
}

impl<const SLOTS: usize> SharedTable<SLOTS> {
    fn new() -> Self {
        Self { slots: (0..SLOTS).map(|_| SharedBucket::default()).collect() }
    }

    fn take(&self, rate: Rate, hash: u64, now: Moment) -> bool {
        self.slots[hash as usize % SLOTS].take(rate, 1, now)
    }
}

/// Buckets that each belong to one hash. A hash without a slot has a full bucket. A hash that needs one of its [`WAYS`]
/// slots takes a free one, or else the one whose bucket is full the soonest.
#[derive(Debug)]
struct OwnedTable<const SLOTS: usize> {
    slots: Box<[AtomicU64]>,
}

/// The upper 20 bits of a slot identify the hash that owns it. The others say when its bucket will be full again, in
/// ticks of 2^16 ns (66 µs), which lasts for 36 years. Each time is rounded down, so a tick must be well below the
/// shortest time that a wrong password costs, 600 µs: see `Limits::failures_per_minute` in `sections`.
const OWNER: u64 = !(u64::MAX >> 20);
const TICK_BITS: u32 = 16;
/// How many slots may hold the bucket of a hash.
const WAYS: usize = 4;

impl<const SLOTS: usize> OwnedTable<SLOTS> {
    fn new() -> Self {
        Self { slots: (0..SLOTS).map(|_| AtomicU64::new(0)).collect() }
    }

    fn owned(&self, hash: u64) -> Bucket {
        let mine = self.ways(hash).iter().map(|slot| slot.load(Ordering::Relaxed));
        let mine = mine.filter(|state| (state ^ hash) & OWNER == 0).max();
        Bucket::from_state(mine.map_or(0, until))
    }

    /// Stores `state`, the state of a bucket, for this hash.
    fn set(&self, hash: u64, state: u64, now: Moment) {
        let time = |slot: &&AtomicU64| until(slot.load(Ordering::Relaxed));
        let ways = self.ways(hash);
        let mine = ways.iter().find(|slot| (slot.load(Ordering::Relaxed) ^ hash) & OWNER == 0);
        let free = || ways.iter().find(|slot| time(slot) <= now.as_nanos());
        if let Some(slot) = mine.or_else(free).or_else(|| ways.iter().min_by_key(time)) {
            let ticks = (state >> TICK_BITS).min(!OWNER);
            slot.store((hash & OWNER) | ticks, Ordering::Relaxed);
        }
    }

    fn ways(&self, hash: u64) -> &[AtomicU64] {
        let first = (hash as usize % SLOTS) / WAYS * WAYS;
        &self.slots[first..first + WAYS]
    }
}

/// When the bucket of a slot will be full again, in nanoseconds.
fn until(slot: u64) -> u64 {
    (slot & !OWNER) << TICK_BITS
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::relay::engine::limits::tests::generous;

    const VICTIM: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(198, 51, 100, 7));

    /// A budget with its limits.
    struct Limited(AnswerBudget, Limits);

    impl Limited {
        fn may_answer(&self, ip: IpAddr, now: Moment) -> bool {
            self.0.may_answer(&self.1, ip, now)
        }

        fn met(&self, ip: IpAddr, now: Moment) {
            self.0.met(ip, now);
        }

        fn may_guess(&self, guesser: Guesser<'_>, now: Moment) -> bool {
            self.0.may_guess(&self.1, guesser, now)
        }

        fn guessed(&self, guesser: Guesser<'_>, now: Moment) {
            self.0.guessed(&self.1, guesser, now);
        }
    }

    fn budget() -> Limited {
        let second = Duration::from_secs(1);
        let limits = Limits {
            answers_per_ip: Rate::new(10, second, 600),
            answers_per_network: Rate::new(100, second, 2400),
            failures: Rate::new(20, Duration::from_secs(60), 20),
            ..generous()
        };
        Limited(AnswerBudget::new(1), limits)
    }

    fn at(seconds: u64) -> Moment {
        Moment::default() + Duration::from_secs(seconds)
    }

    fn answers(budget: &Limited, ip: IpAddr, now: Moment) -> usize {
        (0..10_000).filter(|_| budget.may_answer(ip, now)).count()
    }

    fn alice(port: u16) -> Guesser<'static> {
        Guesser::Present(SocketAddr::new(VICTIM, port), Guessed::Chosen("alice"))
    }

    #[test]
    fn a_classroom_is_answered_at_once_and_then_an_address_hears_ten_errors_a_second() {
        let budget = budget();
        assert_eq!([1, 2, 3].map(|second| answers(&budget, VICTIM, at(second))), [600, 10, 10]);
    }

    #[test]
    fn another_limit_counts_at_once_and_what_was_answered_stays_so() {
        let Limited(budget, limits) = budget();
        assert_eq!((0..1000).filter(|_| budget.may_answer(&limits, VICTIM, at(1))).count(), 600);
        let larger = Limits { answers_per_ip: Rate::new(10, Duration::from_secs(1), 700), ..limits };
        assert_eq!((0..1000).filter(|_| budget.may_answer(&larger, VICTIM, at(1))).count(), 100);
    }

    #[test]
    fn a_network_hears_no_more_than_four_classrooms_and_then_a_hundred_errors_a_second() {
        let budget = budget();
        let network = |second| -> usize {
            (0..=255).map(|host| answers(&budget, [198, 51, 100, host].into(), at(second))).sum()
        };
        assert_eq!([1, 2, 3].map(network), [2400, 100, 100]);
    }

    #[test]
    fn one_ipv6_host_is_one_address_however_many_it_uses() {
        let budget = budget();
        let hosts = (0..1000_u16).map(|host| [0x2a00, 1, 2, 3, 0, 0, 0, host].into());
        assert_eq!(hosts.filter(|ip| budget.may_answer(*ip, at(1))).count(), 600);
    }

    #[test]
    fn an_address_where_somebody_has_authenticated_is_no_stranger() {
        let budget = budget();
        while budget.may_answer(VICTIM, at(1)) {}
        for neighbour in 0..=255 {
            answers(&budget, [198, 51, 100, neighbour].into(), at(1));
        }
        budget.met(VICTIM, at(1));
        assert_eq!([1, 2].map(|second| answers(&budget, VICTIM, at(second))), [600, 200]);
        assert_eq!(answers(&budget, VICTIM, at(1) + ACQUAINTANCE), 600, "it is one again");
    }

    #[test]
    fn guesses_of_invented_names_lock_out_nobody() {
        let (budget, attacker) = (budget(), SocketAddr::from(([198, 51, 100, 8], 5000)));
        for name in 0..400_000 {
            budget.guessed(Guesser::Present(attacker, Guessed::Chosen(&name.to_string())), at(1));
        }
        let victims = (0..10_000).filter(|n: &u32| {
            let ip = std::net::Ipv4Addr::from(0xCB00_0000 + n).into();
            !budget.may_guess(Guesser::Present(SocketAddr::new(ip, 5000), Guessed::Chosen("alice")), at(1))
        });
        assert_eq!(victims.count(), 0);
    }

    /// Each guess has a new name and a new connection, at the highest rate that one address is answered.
    #[test]
    fn guesses_of_invented_names_are_bounded_for_their_address_before_anything_is_forgotten() {
        let budget = budget();
        for port in 1..=10 {
            (0..20).for_each(|_| budget.guessed(alice(port), at(1)));
        }
        assert!(!budget.may_guess(alice(11), at(1)), "two hundred for one user");
        let name = |n: u32| n.to_string();
        let tried = (0..100_000).take_while(|n| {
            let name = name(*n);
            let from = SocketAddr::new(VICTIM, 1000 + (n % 60_000) as u16);
            let guesser = Guesser::Present(from, Guessed::Chosen(&name));
            let may = budget.may_guess(guesser, at(1));
            budget.guessed(guesser, at(1));
            may
        });
        assert!((1800..=1900).contains(&tried.count()), "two thousand in all, to the millisecond");
        assert!(!budget.may_guess(alice(11), at(1)), "and alice is not forgotten");
    }

    /// If a tick were longer than the time that a wrong password costs, none would count.
    #[test]
    fn the_largest_number_of_wrong_passwords_is_a_bound_for_an_address_too() {
        let most = u64::from(crate::sections::limits::Failures::MAX.get());
        let failures = Rate::new(most, Duration::from_secs(60), most);
        let budget = Limited(AnswerBudget::new(1), Limits { failures, ..generous() });
        let bound = most * PORTS_OF_ADDRESS;
        let tried = (0..2 * bound).take_while(|n| {
            let from = SocketAddr::new(VICTIM, (n % 60_000) as u16);
            let name = n.to_string();
            let guesser = Guesser::Present(from, Guessed::Chosen(&name));
            let may = budget.may_guess(guesser, at(1));
            budget.guessed(guesser, at(1));
            may
        });
        let tried = tried.count() as u64;
        assert!((bound..=bound * 11 / 10).contains(&tried), "{tried} of {bound}");
    }

    #[test]
    fn guesses_of_who_may_be_anybody_are_counted_apart() {
        let budget = budget();
        let anybody = Guesser::Anybody(VICTIM, "alice");
        (0..100).for_each(|_| budget.guessed(anybody, at(1)));
        assert!(!budget.may_guess(anybody, at(1)) && budget.may_guess(alice(5000), at(1)));
    }

    #[test]
    fn a_port_has_twenty_wrong_passwords_a_minute_and_its_neighbour_does_not_suffer() {
        let budget = budget();
        for _ in 0..20 {
            assert!(budget.may_guess(alice(5000), at(1)));
            budget.guessed(alice(5000), at(1));
        }
        let bob = Guesser::Present(SocketAddr::new(VICTIM, 5000), Guessed::Chosen("bob"));
        assert!(!budget.may_guess(alice(5000), at(1)) && !budget.may_guess(bob, at(1)));
        assert!(budget.may_guess(alice(5001), at(1)), "the same user behind the same NAT");
        assert!(budget.may_guess(alice(5000), at(5)), "one more every three seconds");
    }

    #[test]
    fn nobody_is_kept_from_a_password_that_cannot_be_guessed() {
        let budget = budget();
        let from = |port| Guesser::Present(SocketAddr::new(VICTIM, port), Guessed::Derived);
        for port in 0..5000 {
            (0..20).for_each(|_| budget.guessed(from(port), at(1)));
        }
        assert!(!budget.may_guess(from(4999), at(1)) && budget.may_guess(from(5000), at(1)));
    }
}
