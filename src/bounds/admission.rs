//! Admits connections up to a limit, and decides which one is evicted when the limit is reached.
//!
//! One count serves the whole daemon: in total, for each client network, and for each address. A connection keeps its
//! place once its client has authenticated or is in a room. All others are strangers: unauthenticated connections. When
//! a limit is reached, the oldest stranger is evicted for the new connection. So clients that only hold connections
//! open lock nobody out.

use std::collections::HashMap;
use std::fmt;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use crate::bounds::headcount::{Crowded, Headcount};
use crate::bounds::reached::{Limit, Reached};
use crate::bounds::strangers::{Age, Scope, Strangers};
use crate::clock::Moment;

/// The connections of the daemon, and their limits.
pub struct Admission {
    crowd: Mutex<Crowd>,
    /// Logs the limits that clients reach. The limits of administrators are no keys of the configuration.
    reached: Option<Reached>,
}

/// How many connections are allowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// In total.
    pub most: usize,
    /// For one network: an IPv4 /24, or an IPv6 /48.
    pub per_network: usize,
    /// For one address: an IPv4 address, or an IPv6 /64.
    pub per_address: usize,
}

/// The right to one connection; returned when dropped.
#[derive(Debug)]
pub struct Permit {
    admission: Arc<Admission>,
    number: u64,
}

/// The limit that is reached, without a stranger to evict.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Full {
    /// The total.
    All,
    /// That of the network.
    Network,
    /// That of the address.
    Address,
}

/// How the holder of a permit is told that it is evicted.
type Tell = Box<dyn FnOnce() + Send>;
/// The evicted connections, each with the limit that was reached.
type Told = Vec<(Full, Option<Tell>)>;

struct Crowd {
    bounds: Bounds,
    entries: HashMap<u64, Entry>,
    counts: Headcount,
    strangers: Strangers<u64>,
    /// Evicted connections that have not closed yet. They no longer count.
    leaving: usize,
    /// The number of the last permit.
    last: u64,
    /// The most connections since [`Admission::has_emptied`] last returned true.
    peak: usize,
}

struct Entry {
    /// The client's address, if it is known and belongs to one client.
    ip: Option<IpAddr>,
    standing: Standing,
    tell: Option<Tell>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Standing {
    /// It may be evicted.
    Stranger(Age),
    /// It keeps its place.
    Settled,
    /// It has been evicted and is closing.
    Leaving,
}

/// How many connections must have closed before memory is worth giving back.
const CROWD: usize = 100;

impl Admission {
    /// No connections yet.
    #[must_use]
    pub fn new(bounds: Bounds) -> Self {
        let crowd = Crowd {
            bounds,
            entries: HashMap::new(),
            counts: Headcount::new(bounds.per_address, bounds.per_network),
            strangers: Strangers::default(),
            leaving: 0,
            last: 0,
            peak: 0,
        };
        Self { crowd: Mutex::new(crowd), reached: Some(Reached::default()) }
    }

    /// The same, for connections whose limits are not configured: nothing is logged when one is reached.
    #[must_use]
    pub fn silent(bounds: Bounds) -> Self {
        Self { reached: None, ..Self::new(bounds) }
    }

    /// Changes the limits. No connection ends.
    pub fn limit(&self, bounds: Bounds) {
        let mut crowd = self.crowd();
        crowd.counts.limit(bounds.per_address, bounds.per_network);
        crowd.bounds = bounds;
    }

    /// Admits one more connection, as a stranger. `ip` is the client's address, if it is already known.
    ///
    /// # Errors
    /// If a limit is reached and no stranger can be evicted for it.
    pub fn admit(self: &Arc<Self>, ip: Option<IpAddr>, now: Moment) -> Result<Permit, Full> {
        self.change(now, |crowd, told| {
            if let Some(ip) = ip {
                crowd.make_room_for(ip, told)?;
            }
            crowd.make_room(told)?;
            let number = crowd.enter(ip);
            Ok(Permit { admission: Arc::clone(self), number })
        })
    }

    /// The most connections that are allowed.
    #[must_use]
    pub fn most(&self) -> usize {
        self.crowd().bounds.most
    }

    /// How many connections there are.
    #[must_use]
    pub fn total(&self) -> usize {
        self.crowd().taken()
    }

    /// Whether at least `CROWD` connections, and at least half of the peak, have closed since this last returned
    /// true.
    pub fn has_emptied(&self) -> bool {
        let mut crowd = self.crowd();
        let taken = crowd.taken();
        let emptied = crowd.peak >= taken + CROWD && crowd.peak / 2 >= taken;
        if emptied {
            crowd.peak = taken;
        }
        emptied
    }

    /// Makes a change, notifies the evicted connections, and logs the limits that were reached.
    fn change<T>(
        &self,
        now: Moment,
        change: impl FnOnce(&mut Crowd, &mut Told) -> Result<T, Full>,
    ) -> Result<T, Full> {
        let mut told = Vec::new();
        let changed = change(&mut self.crowd(), &mut told);
        let refused = changed.as_ref().err().copied();
        if let Some(reached) = &self.reached {
            told.iter().map(|(full, _)| *full).chain(refused).for_each(|full| reached.hit(full.limit(), now));
        }
        // Without the lock, because it may take a while.
        told.into_iter().filter_map(|(_, tell)| tell).for_each(|tell| tell());
        changed
    }

    /// The counts are consistent between any two statements, so a panic elsewhere does no harm.
    fn crowd(&self) -> MutexGuard<'_, Crowd> {
        self.crowd.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Admission {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Admission").field("bounds", &self.crowd().bounds).finish_non_exhaustive()
    }
}

impl Full {
    const fn limit(self) -> Limit {
        match self {
            Self::All => Limit::AllConnections,
            Self::Network => Limit::NetworkConnections,
            Self::Address => Limit::AddressConnections,
        }
    }
}

impl Permit {
    /// Counts the connection for its client's address, once that is known.
    ///
    /// # Errors
    /// If a limit is reached and no stranger can be evicted for it.
    pub fn claim(&self, ip: IpAddr, now: Moment) -> Result<(), Full> {
        self.admission.change(now, |crowd, told| {
            crowd.make_room_for(ip, told)?;
            crowd.claim(self.number, ip);
            Ok(())
        })
    }

    /// Calls `tell` when the connection is evicted; at once, if it already has been.
    pub fn watch(&self, tell: impl FnOnce() + Send + 'static) {
        let mut crowd = self.admission.crowd();
        let Some(entry) = crowd.entries.get_mut(&self.number) else { return };
        if entry.standing != Standing::Leaving {
            entry.tell = Some(Box::new(tell));
            return;
        }
        drop(crowd);
        tell();
    }

    /// The connection keeps its place from now on.
    pub fn settle(&self) {
        self.admission.crowd().settle(self.number);
    }

    /// The connection becomes a stranger again, and the youngest.
    pub fn renew(&self) {
        self.admission.crowd().renew(self.number);
    }

    /// Whether the connection has been evicted.
    #[must_use]
    pub fn must_make_way(&self) -> bool {
        let crowd = self.admission.crowd();
        crowd.entries.get(&self.number).is_some_and(|entry| entry.standing == Standing::Leaving)
    }
}

/// The permit of a connection that does not keep its place yet.
#[derive(Debug)]
pub struct Unsettled(Option<Weak<Permit>>);

impl Unsettled {
    /// The permit of a connection whose client has done nothing yet.
    #[must_use]
    pub fn new(permit: Weak<Permit>) -> Self {
        Self(Some(permit))
    }

    /// The connection keeps its place from now on, if `is_settled` says so. Once it does, that is not asked again.
    pub fn settle_if(&mut self, is_settled: impl FnOnce() -> bool) {
        if let Some(permit) = self.0.take_if(|_| is_settled()).and_then(|permit| permit.upgrade()) {
            permit.settle();
        }
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.admission.crowd().leave(self.number);
    }
}

impl Crowd {
    fn taken(&self) -> usize {
        self.entries.len() - self.leaving
    }

    /// Makes room for one more connection in total.
    fn make_room(&mut self, told: &mut Told) -> Result<(), Full> {
        if self.taken() < self.bounds.most { Ok(()) } else { self.evict(Full::All, Scope::All, told) }
    }

    /// Makes room for one more connection from an address.
    fn make_room_for(&mut self, ip: IpAddr, told: &mut Told) -> Result<(), Full> {
        while let Err(crowded) = self.counts.room(ip) {
            let full = match crowded {
                Crowded::Address => Full::Address,
                Crowded::Network => Full::Network,
            };
            self.evict(full, Scope::of(crowded, ip), told)?;
        }
        Ok(())
    }

    /// Evicts the oldest stranger of a line. Only a limited number may be closing at a time: a connection that arrives
    /// faster than evicted ones close is refused.
    fn evict(&mut self, full: Full, line: Scope, told: &mut Told) -> Result<(), Full> {
        let leaving_most = self.bounds.most / 8 + 8;
        let oldest = self.strangers.of(line).next().filter(|_| self.leaving < leaving_most);
        let number = oldest.ok_or(full)?;
        self.settle(number);
        let entry = self.entries.get_mut(&number).ok_or(full)?;
        entry.standing = Standing::Leaving;
        self.leaving += 1;
        told.push((full, entry.tell.take()));
        if let Some(ip) = entry.ip {
            self.counts.leave(ip);
        }
        Ok(())
    }

    fn enter(&mut self, ip: Option<IpAddr>) -> u64 {
        self.last += 1;
        let number = self.last;
        // Cannot fail: room was made under the same lock.
        let ip = ip.filter(|ip| self.counts.enter(*ip).is_ok());
        let standing = Standing::Stranger(self.strangers.enter(number, ip));
        self.entries.insert(number, Entry { ip, standing, tell: None });
        self.peak = self.peak.max(self.taken());
        number
    }

    fn claim(&mut self, number: u64, ip: IpAddr) {
        let Some(entry) = self.entries.get_mut(&number) else { return };
        // Room was made under the same lock. An evicted connection is no longer counted.
        if entry.standing == Standing::Leaving || self.counts.enter(ip).is_err() {
            return;
        }
        entry.ip = Some(ip);
        if let Standing::Stranger(age) = entry.standing {
            self.strangers.recognize(age, ip);
        }
    }

    /// It keeps its place, unless it has been evicted.
    fn settle(&mut self, number: u64) {
        let Some(entry) = self.entries.get_mut(&number) else { return };
        if let Standing::Stranger(age) = entry.standing {
            self.strangers.leave(age, entry.ip);
            entry.standing = Standing::Settled;
        }
    }

    /// It is the youngest stranger, unless it has been evicted.
    fn renew(&mut self, number: u64) {
        self.settle(number);
        let Some(entry) = self.entries.get_mut(&number) else { return };
        if entry.standing == Standing::Settled {
            entry.standing = Standing::Stranger(self.strangers.enter(number, entry.ip));
        }
    }

    fn leave(&mut self, number: u64) {
        self.settle(number);
        let Some(entry) = self.entries.remove(&number) else { return };
        match (entry.standing, entry.ip) {
            (Standing::Leaving, _) => self.leaving -= 1,
            (Standing::Stranger(_) | Standing::Settled, Some(ip)) => self.counts.leave(ip),
            (Standing::Stranger(_) | Standing::Settled, None) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;
    use std::net::Ipv6Addr;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    const HOME: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1));
    const CAFE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(198, 51, 100, 2));

    fn admission(most: usize, per_network: usize, per_address: usize) -> Arc<Admission> {
        Arc::new(Admission::new(Bounds { most, per_network, per_address }))
    }

    fn admit(admission: &Arc<Admission>, ip: IpAddr) -> Result<Permit, Full> {
        admission.admit(Some(ip), Moment::default())
    }

    fn settled(admission: &Arc<Admission>, ip: IpAddr) -> Result<Permit, Full> {
        admit(admission, ip).inspect(Permit::settle)
    }

    /// An address of the /64 `subnet` of the /48 `site`.
    fn v6(site: u16, subnet: u16) -> IpAddr {
        Ipv6Addr::new(0x2a00, 1, site, subnet, 0, 0, 0, 1).into()
    }

    #[test]
    fn an_address_has_its_share_and_the_daemon_its_limit() {
        let admission = admission(3, 3, 2);
        let one = settled(&admission, HOME).unwrap();
        let _two = settled(&admission, HOME).unwrap();
        assert_eq!(admit(&admission, HOME).unwrap_err(), Full::Address);
        let _three = settled(&admission, CAFE).unwrap();
        assert_eq!(admit(&admission, CAFE).unwrap_err(), Full::All);
        drop(one);
        admit(&admission, HOME).unwrap();
    }

    /// F6: one customer's IPv6 /48 has 65,536 addresses.
    #[test]
    fn twenty_thousand_held_from_one_network_are_a_quarter_and_neighbours_and_others_find_a_place() {
        let admission = admission(20_000, 5_000, 1_000);
        let mut held = VecDeque::new();
        let mut hold = |subnet| {
            held.push_back(admit(&admission, v6(7, subnet)).unwrap());
            // Evicted connections close.
            while held.front().is_some_and(Permit::must_make_way) {
                held.pop_front();
            }
        };
        (0..20_000).for_each(|n| hold(n / 100));
        assert_eq!(admission.total(), 5_000);
        // In the same /64, in the same /48, and elsewhere.
        let newcomers = [v6(7, 199), v6(7, 9_999), v6(8, 0), HOME].map(|ip| {
            let newcomer = settled(&admission, ip).unwrap();
            (0..10_000).for_each(|n| hold(n / 100));
            newcomer
        });
        assert!(!newcomers.iter().any(Permit::must_make_way));
        assert_eq!(admission.total(), 5_002);
    }

    #[test]
    fn the_oldest_stranger_of_the_same_address_network_or_all_makes_way() {
        let admission = admission(6, 4, 2);
        let told = Arc::new(AtomicUsize::new(0));
        let watched = |ip, n| {
            let permit = admit(&admission, ip).unwrap();
            let told = Arc::clone(&told);
            permit.watch(move || told.store(n, Ordering::Relaxed));
            permit
        };
        let _others = [watched(CAFE, 1), watched(CAFE, 2)];
        let neighbours = [watched(v6(1, 1), 3), watched(v6(1, 1), 4)];
        assert_eq!(told.load(Ordering::Relaxed), 0);
        let more = [watched(v6(1, 1), 5), watched(v6(1, 2), 6), watched(v6(1, 3), 7)];
        assert_eq!(told.load(Ordering::Relaxed), 3, "of its address, though others are older");
        let _again = watched(v6(1, 3), 8);
        assert_eq!(told.load(Ordering::Relaxed), 4, "of its network");
        let _elsewhere = watched(HOME, 9);
        assert_eq!(told.load(Ordering::Relaxed), 1, "of all");
        assert_eq!(admission.total(), 6);
        drop((neighbours, more));
        assert_eq!(admission.total(), 3);
    }

    #[test]
    fn whoever_settles_is_never_told_and_whoever_is_renewed_comes_last() {
        let admission = admission(3, 3, 3);
        let [settled, renewed, idle] = [(); 3].map(|()| admit(&admission, HOME).unwrap());
        settled.settle();
        renewed.renew();
        let _four = admit(&admission, CAFE).unwrap();
        assert!(idle.must_make_way() && !renewed.must_make_way());
        let _five = admit(&admission, CAFE).unwrap();
        assert!(renewed.must_make_way());
        settled.renew();
        let _six = admit(&admission, CAFE).unwrap();
        assert!(!settled.must_make_way(), "it is the youngest stranger");
        idle.settle();
        assert!(idle.must_make_way(), "it is too late");
        let told = Arc::new(AtomicUsize::new(0));
        let tell = Arc::clone(&told);
        idle.watch(move || tell.store(1, Ordering::Relaxed));
        assert_eq!(told.load(Ordering::Relaxed), 1, "whoever asks later hears it at once");
    }

    #[test]
    fn a_client_that_is_known_later_counts_from_then_on() {
        let admission = admission(10, 2, 1);
        let now = Moment::default();
        let behind_a_proxy: Vec<_> = (0..5).map(|_| admission.admit(None, now).unwrap()).collect();
        behind_a_proxy[1].claim(HOME, now).unwrap();
        behind_a_proxy[0].claim(HOME, now).unwrap();
        assert!(behind_a_proxy[1].must_make_way(), "it is the only one of that address");
        behind_a_proxy[0].settle();
        assert_eq!(behind_a_proxy[2].claim(HOME, now), Err(Full::Address));
        drop(behind_a_proxy);
        assert_eq!(admission.total(), 0);
    }

    #[test]
    fn faster_than_others_leave_nobody_comes() {
        let admission = admission(16, 16, 16);
        let held: Vec<_> = std::iter::from_fn(|| admit(&admission, HOME).ok()).take(1_000).collect();
        assert_eq!(held.len(), 16 + 16 / 8 + 8);
        assert_eq!(admit(&admission, CAFE).unwrap_err(), Full::All);
        drop(held);
        admit(&admission, CAFE).unwrap();
    }

    #[test]
    fn what_was_refused_or_given_back_leaves_no_trace() {
        let admission = admission(10, 2, 1);
        let kept = settled(&admission, HOME).unwrap();
        for _ in 0..100 {
            admit(&admission, HOME).unwrap_err();
            drop(admit(&admission, CAFE).unwrap());
        }
        assert_eq!(admission.total(), 1);
        drop(kept);
        let crowd = admission.crowd();
        assert!(crowd.entries.is_empty() && crowd.counts.is_empty() && crowd.strangers.is_empty());
        assert_eq!(crowd.leaving, 0);
    }

    #[test]
    fn a_crowd_that_has_left_is_noticed_once() {
        let admission = admission(1_000, 1_000, 1_000);
        let crowd: Vec<_> = (0..300).map(|_| admit(&admission, HOME).unwrap()).collect();
        assert!(!admission.has_emptied());
        drop(crowd);
        assert!(admission.has_emptied() && !admission.has_emptied());
        drop(admit(&admission, HOME));
        assert!(!admission.has_emptied());
    }
}
