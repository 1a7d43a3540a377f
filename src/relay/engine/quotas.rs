//! PURE  Counts allocations: for each user, for each client address and network, and in all.
//!
//! One ledger serves all shards. It is used when an allocation is made or ends, never for a packet. When a user is at
//! the limit, the user's allocation that has been idle the longest is evicted before a new one is refused: a phone that
//! changes networks leaves allocations behind that nobody will use again.
//!
//! When an address or a network is at its limit, the user who has the most there loses an idle one. When the server is
//! at its limit, the address that has the most loses one. In a minute, a user or an address may make as many allocations
//! as it may hold at once, but at least 32.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::bounds::client_net::{address, network};
use crate::bounds::headcount::{Crowded, Headcount};
use crate::bounds::rate::Rate;
use crate::bounds::throttle::Throttle;
use crate::clock::Moment;
use crate::credentials::Owner;
use crate::outcome::Refusal;
use crate::relay::engine::Settings;
use crate::relay::engine::bandwidth::Share;
use crate::sections::limits::Limits as Configured;

/// How long an allocation must have been idle before it can be evicted.
pub const IDLE: Duration = Duration::from_secs(60);

/// The period in which a user or an address may make as many new allocations as it may hold at once.
const RENEWAL: Duration = Duration::from_secs(60);
const RENEWED_MIN: u32 = 32;

/// How many users without an allocation have their bandwidth remembered. At this number all are forgotten, which gives
/// each at most one second's worth of bandwidth again.
const FORMER_MAX: usize = 16_384;
/// How often one user's requests may search all allocations for an idle one, in a second and at once. A search takes as
/// long as a few requests, and all shards wait meanwhile.
const SEARCHES_PER_SECOND: u64 = 5;
const SEARCHES_AT_ONCE: u64 = 20;

/// The ledger.
#[derive(Debug)]
pub struct Quotas {
    ledger: Mutex<Ledger>,
}

/// The right to one allocation; given back when dropped.
#[derive(Debug)]
pub struct Lease {
    quotas: Arc<Quotas>,
    holding: Arc<Holding>,
}

#[derive(Debug)]
struct Ledger {
    settings: Arc<Settings>,
    total: usize,
    users: HashMap<Owner, User>,
    /// The bandwidth used by users who have no allocation now, if users have a limit. So ending all allocations does
    /// not reset it.
    former: HashMap<Owner, Arc<Share>>,
    addresses: Headcount,
    new_of_users: Throttle<Owner>,
    new_of_addresses: Throttle<IpAddr>,
    searches: Throttle<Owner>,
}

#[derive(Debug)]
struct User {
    held: Vec<Arc<Holding>>,
    share: Arc<Share>,
}

#[derive(Debug)]
struct Holding {
    owner: Owner,
    ip: IpAddr,
    share: Arc<Share>,
    /// In seconds of the monotonic clock; written by the allocation's shard.
    last_active: AtomicU64,
    evicted: AtomicBool,
}

impl Quotas {
    /// An empty ledger, with the limits of `settings`.
    #[must_use]
    pub fn new(settings: Arc<Settings>) -> Self {
        let limits = &settings.limits;
        let (per_ip, per_network) = (limits.allocations_per_ip, limits.allocations_per_network);
        let ledger = Ledger {
            total: 0,
            users: HashMap::new(),
            former: HashMap::new(),
            addresses: Headcount::new(per_ip as usize, per_network as usize),
            new_of_users: Throttle::new(renewal(limits.configured.allocations_per_user.get())),
            new_of_addresses: Throttle::new(renewal(per_ip)),
            searches: Throttle::new(Rate::new(SEARCHES_PER_SECOND, Duration::from_secs(1), SEARCHES_AT_ONCE)),
            settings,
        };
        Self { ledger: Mutex::new(ledger) }
    }

    /// Admits by the limits of `settings` from now on. A lower limit ends no allocation.
    pub fn apply(&self, settings: Arc<Settings>) {
        let mut ledger = self.ledger();
        let limits = &settings.limits;
        let (per_ip, per_network) = (limits.allocations_per_ip, limits.allocations_per_network);
        ledger.addresses.limit(per_ip as usize, per_network as usize);
        ledger.new_of_addresses.limit(renewal(per_ip));
        ledger.settings = settings;
    }

    /// Admits one more allocation of `owner` from `ip`.
    ///
    /// # Errors
    /// The quota that is reached.
    pub fn admit(self: &Arc<Self>, owner: &Owner, ip: IpAddr, now: Moment) -> Result<Lease, Refusal> {
        let ip = address(ip);
        let mut ledger = self.ledger();
        let settings = Arc::clone(&ledger.settings);
        let limits = &settings.limits;
        let Configured { users, allocations_per_user, .. } = &limits.configured;
        let most = users.get(&*owner.tag).unwrap_or(allocations_per_user).get();
        if ledger.is_too_fast(owner, most, ip, now) {
            return Err(Refusal::AllocationRate);
        }
        let total = limits.allocations as usize;
        if ledger.total > total {
            // The limit was lowered. Evicting one would end it and make no room.
            return Err(Refusal::ServerQuota);
        }
        if let Err(refusal) = ledger.room(owner, most, ip) {
            let idle = ledger.idle_near(owner, ip, refusal, now).ok_or(refusal)?;
            ledger.evict_for(&idle, owner, most, ip)?;
        }
        if ledger.total >= total {
            let idle = ledger.spare(owner, ip, now).ok_or(Refusal::ServerQuota)?;
            ledger.evict(&idle);
        }
        let holding = ledger.add(owner, ip, renewal(most), now);
        drop(ledger);
        Ok(Lease { quotas: Arc::clone(self), holding })
    }

    /// For tests: how many allocations there are in all.
    #[doc(hidden)]
    #[must_use]
    pub fn total(&self) -> usize {
        self.ledger().total
    }

    /// The counts are consistent between any two statements, so a panic elsewhere does no harm.
    fn ledger(&self) -> MutexGuard<'_, Ledger> {
        self.ledger.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Lease {
    /// The allocation carried data or was refreshed.
    pub fn touch(&self, now: Moment) {
        self.holding.last_active.store(now.as_secs(), Ordering::Relaxed);
    }

    /// Whether the allocation has been evicted and must be closed.
    #[must_use]
    pub fn is_evicted(&self) -> bool {
        self.holding.evicted.load(Ordering::Relaxed)
    }

    /// The user whose quotas it counts against.
    #[must_use]
    pub fn owner(&self) -> &Owner {
        &self.holding.owner
    }

    /// The bandwidth that the user's allocations use together.
    #[must_use]
    pub fn share(&self) -> &Share {
        &self.holding.share
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.quotas.ledger().release(&self.holding);
    }
}

impl Ledger {
    fn is_too_fast(&self, owner: &Owner, most: u32, ip: IpAddr, now: Moment) -> bool {
        let waits =
            [self.new_of_users.wait_at(renewal(most), owner, now), self.new_of_addresses.wait(&ip, now)];
        waits.iter().any(|wait| !wait.is_zero())
    }

    fn room(&self, owner: &Owner, most: u32, ip: IpAddr) -> Result<(), Refusal> {
        self.addresses.room(ip).map_err(|crowded| match crowded {
            Crowded::Address => Refusal::AddressQuota,
            Crowded::Network => Refusal::NetworkQuota,
        })?;
        let held = self.users.get(owner).map_or(0, |user| user.held.len());
        if held >= most as usize { Err(Refusal::UserQuota) } else { Ok(()) }
    }

    /// The allocation to evict for a new one of `owner` from `ip`, after `refusal` said which quota is reached: the
    /// owner's longest idle one. If there is none, and the quota is that of an address or network, it is one of the
    /// user who has the most there, provided that this is more than the owner would have.
    fn idle_near(
        &mut self,
        owner: &Owner,
        ip: IpAddr,
        refusal: Refusal,
        now: Moment,
    ) -> Option<Arc<Holding>> {
        let is_near = |holding: &&Arc<Holding>| {
            let here = refusal != Refusal::AddressQuota || holding.ip == ip;
            here && (refusal != Refusal::NetworkQuota || network(holding.ip) == network(ip))
        };
        let near = |user: &User| user.held.iter().filter(is_near).count();
        let own = self.users.get(owner);
        let idle = own.and_then(|own| longest_idle(own.held.iter().filter(is_near), now));
        if idle.is_some() || refusal == Refusal::UserQuota {
            return idle;
        }
        let own = own.map_or(0, near);
        self.searches.take(owner.clone(), now).ok()?;
        let (most, user) =
            self.users.values().map(|user| (near(user), user)).max_by_key(|(most, _)| *most)?;
        if most <= own + 1 { None } else { longest_idle(user.held.iter().filter(is_near), now) }
    }

    /// The allocation to evict for a new one of `owner` from `ip` when the server is at its limit: the longest idle one
    /// of the address that has the most, provided that this is more than `ip` would have.
    fn spare(&mut self, owner: &Owner, ip: IpAddr, now: Moment) -> Option<Arc<Holding>> {
        self.searches.take(owner.clone(), now).ok()?;
        let (crowd, most) = self.addresses.most()?;
        if most <= self.addresses.of_address(ip) + 1 {
            return None;
        }
        let all = self.users.values().flat_map(|user| &user.held);
        longest_idle(all.filter(|holding| holding.ip == crowd), now)
    }

    fn add(&mut self, owner: &Owner, ip: IpAddr, rate: Rate, now: Moment) -> Arc<Holding> {
        // The caller has checked that all three allow it.
        let _ = self.new_of_users.take_at(rate, owner.clone(), now);
        let _ = self.new_of_addresses.take(ip, now);
        let _ = self.addresses.enter(ip);
        self.total += 1;
        let user = self.users.entry(owner.clone()).or_insert_with(|| User {
            share: self.former.remove(owner).unwrap_or_default(),
            held: Vec::new(),
        });
        let holding = Arc::new(Holding {
            owner: owner.clone(),
            ip,
            share: Arc::clone(&user.share),
            last_active: AtomicU64::new(now.as_secs()),
            evicted: AtomicBool::new(false),
        });
        user.held.push(Arc::clone(&holding));
        holding
    }

    /// Evicts an allocation, if that makes room for a new one. After a limit was lowered, it may not.
    fn evict_for(
        &mut self,
        idle: &Arc<Holding>,
        owner: &Owner,
        most: u32,
        ip: IpAddr,
    ) -> Result<(), Refusal> {
        self.release(idle);
        if let Err(refusal) = self.room(owner, most, ip) {
            self.hold(Arc::clone(idle));
            return Err(refusal);
        }
        idle.evicted.store(true, Ordering::Relaxed);
        Ok(())
    }

    /// Counts an allocation.
    fn hold(&mut self, holding: Arc<Holding>) {
        self.former.remove(&holding.owner);
        self.total += 1;
        self.addresses.count(holding.ip);
        let empty = || User { share: Arc::clone(&holding.share), held: Vec::new() };
        self.users.entry(holding.owner.clone()).or_insert_with(empty).held.push(holding);
    }

    /// Removes a holding from all counts; its shard closes the allocation.
    fn evict(&mut self, holding: &Arc<Holding>) {
        holding.evicted.store(true, Ordering::Relaxed);
        self.release(holding);
    }

    /// Removes a holding from all counts, if it is still counted.
    fn release(&mut self, holding: &Arc<Holding>) {
        let Some(user) = self.users.get_mut(&holding.owner) else { return };
        let Some(index) = user.held.iter().position(|other| Arc::ptr_eq(other, holding)) else { return };
        user.held.swap_remove(index);
        if user.held.is_empty() {
            self.users.remove(&holding.owner);
            self.remember(holding);
        }
        self.total -= 1;
        self.addresses.leave(holding.ip);
    }

    fn remember(&mut self, holding: &Holding) {
        if self.settings.limits.user_bytes.is_none() {
            return;
        }
        if self.former.len() >= FORMER_MAX {
            self.former.clear();
        }
        self.former.insert(holding.owner.clone(), Arc::clone(&holding.share));
    }
}

fn longest_idle<'a>(holdings: impl Iterator<Item = &'a Arc<Holding>>, now: Moment) -> Option<Arc<Holding>> {
    let active_at = |holding: &Holding| holding.last_active.load(Ordering::Relaxed);
    holdings
        .filter(|holding| now.as_secs().saturating_sub(active_at(holding)) >= IDLE.as_secs())
        .min_by_key(|holding| active_at(holding))
        .cloned()
}

/// As many in a minute as may be held, but no fewer than a call needs that is retried again and again.
fn renewal(most: u32) -> Rate {
    let most = u64::from(most.max(RENEWED_MIN));
    Rate::new(most, RENEWAL, most)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::credentials::OwnerKind;
    use crate::relay::engine::limits::Limits;
    use crate::relay::engine::limits::tests::{generous, settings};
    use crate::sections::number::Count;

    const HOME: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(198, 51, 100, 7));
    const CAFE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(198, 51, 100, 8));

    fn of_user(most: u32) -> Configured {
        Configured { allocations_per_user: Count::new(most).unwrap(), ..Configured::default() }
    }

    fn quotas() -> Arc<Quotas> {
        let limits = Limits {
            configured: of_user(2),
            allocations: 5,
            allocations_per_ip: 3,
            allocations_per_network: 6,
            ..generous()
        };
        Arc::new(Quotas::new(settings(limits)))
    }

    fn tag(tag: &str) -> Owner {
        Owner { kind: OwnerKind::TimeLimited, tag: tag.into() }
    }

    fn at(seconds: u64) -> Moment {
        Moment::default() + Duration::from_secs(seconds)
    }

    #[test]
    fn each_quota_has_its_refusal() {
        let quotas = quotas();
        let _a = [
            quotas.admit(&tag("alice"), HOME, at(0)).unwrap(),
            quotas.admit(&tag("alice"), HOME, at(0)).unwrap(),
        ];
        assert_eq!(quotas.admit(&tag("alice"), CAFE, at(0)).unwrap_err(), Refusal::UserQuota);
        let _b = quotas.admit(&tag("bob"), HOME, at(0)).unwrap();
        assert_eq!(quotas.admit(&tag("bob"), HOME, at(0)).unwrap_err(), Refusal::AddressQuota);
        let _c = [
            quotas.admit(&tag("bob"), CAFE, at(0)).unwrap(),
            quotas.admit(&tag("carol"), CAFE, at(0)).unwrap(),
        ];
        assert_eq!(quotas.admit(&tag("carol"), CAFE, at(0)).unwrap_err(), Refusal::ServerQuota);
    }

    #[test]
    fn other_limits_count_for_new_allocations_and_end_none() {
        let quotas = quotas();
        let held = [(); 2].map(|()| quotas.admit(&tag("alice"), HOME, at(0)).unwrap());
        quotas.apply(settings(Limits { configured: of_user(1), ..generous() }));
        assert!(held.iter().all(|lease| !lease.is_evicted()));
        for second in [0, 100, 200] {
            assert_eq!(quotas.admit(&tag("alice"), HOME, at(second)).unwrap_err(), Refusal::UserQuota);
        }
        assert!(held.iter().all(|lease| !lease.is_evicted()), "idle ones neither: it would make no room");
        assert_eq!(quotas.total(), 2);
        quotas.apply(settings(Limits { configured: of_user(3), allocations_per_ip: 2, ..generous() }));
        assert_eq!(quotas.admit(&tag("alice"), HOME, at(0)).unwrap_err(), Refusal::AddressQuota);
        assert!(quotas.admit(&tag("alice"), CAFE, at(0)).is_ok());
        quotas.apply(settings(Limits { configured: of_user(9), allocations: 2, ..generous() }));
        assert_eq!(quotas.admit(&tag("alice"), CAFE, at(0)).unwrap_err(), Refusal::ServerQuota);
        assert_eq!(quotas.total(), 2);
        quotas.apply(settings(Limits { allocations: 1, ..generous() }));
        for second in [300, 400] {
            assert_eq!(quotas.admit(&tag("bob"), CAFE, at(second)).unwrap_err(), Refusal::ServerQuota);
        }
        assert!(held.iter().all(|lease| !lease.is_evicted()), "idle ones neither, as above");
    }

    #[test]
    fn what_ends_is_given_back() {
        let quotas = quotas();
        for minute in 0..100 {
            let held = [(); 2].map(|()| quotas.admit(&tag("alice"), HOME, at(60 * minute)).unwrap());
            assert_eq!(quotas.total(), 2);
            drop(held);
        }
        assert_eq!(quotas.total(), 0);
    }

    #[test]
    fn the_longest_idle_allocation_of_the_same_user_makes_way() {
        let quotas = quotas();
        let [old, busy] = [
            quotas.admit(&tag("alice"), HOME, at(0)).unwrap(),
            quotas.admit(&tag("alice"), HOME, at(1)).unwrap(),
        ];
        busy.touch(at(100));
        let new = quotas.admit(&tag("alice"), CAFE, at(100)).unwrap();
        assert!(old.is_evicted() && !busy.is_evicted() && !new.is_evicted());
        assert_eq!(quotas.admit(&tag("alice"), CAFE, at(101)).unwrap_err(), Refusal::UserQuota);
        drop(old);
        assert_eq!(quotas.total(), 2, "an evicted allocation is not given back twice");
    }

    #[test]
    fn no_more_are_made_anew_in_a_minute_than_may_be_held_at_once() {
        let limits = Limits { configured: of_user(40), allocations_per_ip: 50, ..generous() };
        let quotas = Arc::new(Quotas::new(settings(limits)));
        let made = |user: &str, at| (0..200).filter(|_| quotas.admit(&tag(user), HOME, at).is_ok()).count();
        assert_eq!((made("alice", at(0)), made("bob", at(0))), (40, 10), "the address has a rate as well");
        assert_eq!((made("alice", at(3)), made("bob", at(60))), (2, 40));
        assert_eq!(quotas.admit(&tag("alice"), HOME, at(3)).unwrap_err(), Refusal::AllocationRate);
    }

    #[test]
    fn a_user_may_have_a_quota_of_its_own() {
        let users = HashMap::from([("galene".to_owned(), Count::of::<200>())]);
        let configured = Configured { users, ..of_user(2) };
        let quotas = Arc::new(Quotas::new(settings(Limits { configured, ..generous() })));
        let held = |user: &str| {
            (0..300).map_while(|_| quotas.admit(&tag(user), HOME, at(0)).ok()).collect::<Vec<_>>()
        };
        assert_eq!((held("galene").len(), held("alice").len()), (200, 2));
    }

    #[test]
    fn whoever_ends_all_allocations_has_carried_what_they_have_carried() {
        let user_bytes = Some(Rate::per_second(1000));
        let quotas = Arc::new(Quotas::new(settings(Limits { user_bytes, ..generous() })));
        let share = |lease: &Lease| std::ptr::from_ref(lease.share());
        let first = quotas.admit(&tag("alice"), HOME, at(0)).unwrap();
        let before = share(&first);
        drop(first);
        assert_eq!(share(&quotas.admit(&tag("alice"), HOME, at(0)).unwrap()), before);
        assert_ne!(share(&quotas.admit(&tag("bob"), HOME, at(0)).unwrap()), before);
    }

    #[test]
    fn a_static_user_is_not_the_tag_of_the_same_name() {
        let quotas = quotas();
        let alice = Owner { kind: OwnerKind::Static, ..tag("alice") };
        let _held = [(); 2].map(|()| quotas.admit(&tag("alice"), HOME, at(0)).unwrap());
        assert!(quotas.admit(&alice, CAFE, at(0)).is_ok());
    }

    #[test]
    fn when_all_are_taken_the_address_that_has_the_most_gives_up_one_that_is_idle() {
        let quotas = Arc::new(Quotas::new(settings(Limits { allocations: 4, ..generous() })));
        let hoard = [1, 2, 3].map(|n| quotas.admit(&tag(&n.to_string()), HOME, at(n)).unwrap());
        let _cafe = quotas.admit(&tag("bob"), CAFE, at(0)).unwrap();
        assert_eq!(
            quotas.admit(&tag("carol"), CAFE, at(60)).unwrap_err(),
            Refusal::ServerQuota,
            "none is idle"
        );
        hoard[0].touch(at(50));
        let _new = quotas.admit(&tag("carol"), CAFE, at(62)).unwrap();
        assert_eq!(hoard.each_ref().map(Lease::is_evicted), [false, true, false]);
        assert_eq!(
            quotas.admit(&tag("dave"), CAFE, at(200)).unwrap_err(),
            Refusal::ServerQuota,
            "two each is fair"
        );
        assert_eq!(quotas.total(), 4);
    }

    /// The credentials of twelve guests must not take all allocations of an address and lock out everybody else behind
    /// it.
    #[test]
    fn when_an_address_has_all_the_user_who_has_the_most_there_gives_up_one_that_is_idle() {
        let limits = Limits { allocations_per_ip: 4, allocations_per_network: 5, ..generous() };
        let quotas = Arc::new(Quotas::new(settings(limits)));
        let hoard = [1, 2, 3].map(|n| quotas.admit(&tag("hoarder"), HOME, at(n)).unwrap());
        let bob = quotas.admit(&tag("bob"), HOME, at(2)).unwrap();
        assert_eq!(
            quotas.admit(&tag("carol"), HOME, at(60)).unwrap_err(),
            Refusal::AddressQuota,
            "none is idle"
        );
        hoard[0].touch(at(50));
        let _carol = quotas.admit(&tag("carol"), HOME, at(62)).unwrap();
        assert_eq!(hoard.each_ref().map(Lease::is_evicted), [false, true, false]);
        bob.touch(at(62));
        assert_eq!(
            quotas.admit(&tag("bob"), HOME, at(64)).unwrap_err(),
            Refusal::AddressQuota,
            "two each is fair"
        );
        let _cafe = quotas.admit(&tag("dave"), CAFE, at(62)).unwrap();
        hoard[0].touch(at(200));
        let _network = quotas.admit(&tag("erin"), CAFE, at(200)).unwrap();
        assert!(hoard[2].is_evicted(), "of the network");
        assert_eq!(quotas.total(), 5);
    }

    /// Each search keeps every shard waiting, so a flood of refused requests must not cause many.
    #[test]
    fn for_one_user_an_idle_one_is_looked_for_so_many_times_and_for_another_all_the_same() {
        for limits in
            [Limits { allocations: 3, ..generous() }, Limits { allocations_per_ip: 3, ..generous() }]
        {
            let quotas = Arc::new(Quotas::new(settings(limits)));
            let _hoard = [(); 3].map(|()| quotas.admit(&tag("hoarder"), HOME, at(0)).unwrap());
            let from = if quotas.ledger().settings.limits.allocations == 3 { CAFE } else { HOME };
            assert!((0..1000).all(|_| quotas.admit(&tag("flooder"), from, at(59)).is_err()));
            let waits = quotas.ledger().searches.wait(&tag("flooder"), at(59));
            assert_eq!(waits, Duration::from_millis(200));
            assert!(quotas.admit(&tag("carol"), from, at(60)).is_ok());
        }
    }

    #[test]
    fn a_network_has_a_quota_too() {
        let quotas = Arc::new(Quotas::new(settings(Limits { allocations_per_network: 2, ..generous() })));
        let _held = [HOME, CAFE].map(|ip| quotas.admit(&tag("alice"), ip, at(0)).unwrap());
        assert_eq!(quotas.admit(&tag("bob"), HOME, at(0)).unwrap_err(), Refusal::NetworkQuota);
        assert!(quotas.admit(&tag("bob"), [192, 0, 2, 1].into(), at(0)).is_ok());
    }

    #[test]
    fn a_whole_ipv6_prefix_is_one_address() {
        let quotas = quotas();
        let ip = |host: u16| IpAddr::from([0x2a00, 1, 2, 3, 0, 0, 0, host]);
        let _held: Vec<_> =
            (0..3).map(|host| quotas.admit(&tag(&host.to_string()), ip(host), at(0)).unwrap()).collect();
        assert_eq!(quotas.admit(&tag("9"), ip(9), at(0)).unwrap_err(), Refusal::AddressQuota);
    }
}
