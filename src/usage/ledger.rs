//! PURE  What users have used since it was last written to the store, by day; and what each has carried today.
//!
//! One ledger serves all shards. A shard adds what its allocations have used, some at a time and at most every few
//! seconds, never for a packet. The thread of the store takes everything out and writes it. The limit of one day reads
//! what is here, so it needs no store.
//!
//! Both tables have a bound in bytes, however many users there are. Beyond the first, users are counted together. Beyond
//! the second, those who carried the least are forgotten, and so the limit still holds those who carry much.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::clock::Unix;
use crate::credentials::tag::Issuer;
use crate::credentials::{Owner, OwnerKind};
use crate::usage::day::Day;

/// An amount of use.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Used {
    /// Sessions, which are allocations, that began.
    pub sessions: u64,
    /// The sum of the seconds that sessions lasted.
    pub seconds: u64,
    /// Bytes of payload from clients to peers.
    pub bytes_up: u64,
    /// Bytes of payload from peers to clients.
    pub bytes_down: u64,
}

/// What the ledger is kept for. A ledger that is kept for nothing stays empty.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Purpose {
    /// For the store, which takes everything out.
    pub store: bool,
    /// For the limit of one day.
    pub limit: bool,
}

/// What was used on one day.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Page {
    /// By each user. Members of a room are one user, and so are all connection tests: see [`account`].
    pub users: BTreeMap<Owner, Used>,
    /// By all users beyond the bound, together.
    pub others: Used,
}

/// What was used on each day.
pub type Pages = BTreeMap<Day, Page>;

/// The ledger.
#[derive(Debug, Default)]
pub struct Ledger {
    stores: AtomicBool,
    limits: AtomicBool,
    books: Mutex<Books>,
}

/// An open ledger.
#[derive(Debug)]
pub struct Adding<'a> {
    purpose: Purpose,
    books: MutexGuard<'a, Books>,
}

#[derive(Debug, Default)]
struct Books {
    today: Day,
    unwritten: Unwritten,
    carried: Carried,
}

/// What is to be written to the store.
#[derive(Debug, Default)]
struct Unwritten {
    pages: Pages,
    /// The weight of all users in it.
    weight: usize,
}

/// What each user has carried today, in bytes.
#[derive(Debug, Default)]
struct Carried {
    users: BTreeMap<Owner, u64>,
    /// The weight of all users in it.
    weight: usize,
}

/// The bound of each of the two tables, in bytes.
const WEIGHT_MAX: usize = 16 << 20;
/// What a user weighs beside the name.
const USER_WEIGHT: usize = 128;

impl Used {
    /// What was carried in both directions.
    #[must_use]
    pub const fn bytes(&self) -> u64 {
        self.bytes_up.saturating_add(self.bytes_down)
    }

    /// Adds an amount.
    pub fn add(&mut self, other: Self) {
        let Self { sessions, seconds, bytes_up, bytes_down } = self;
        *sessions = sessions.saturating_add(other.sessions);
        *seconds = seconds.saturating_add(other.seconds);
        *bytes_up = bytes_up.saturating_add(other.bytes_up);
        *bytes_down = bytes_down.saturating_add(other.bytes_down);
    }

    /// What is more in `self` than in `earlier`.
    #[must_use]
    pub const fn since(self, earlier: Self) -> Self {
        Self {
            sessions: self.sessions.saturating_sub(earlier.sessions),
            seconds: self.seconds.saturating_sub(earlier.seconds),
            bytes_up: self.bytes_up.saturating_sub(earlier.bytes_up),
            bytes_down: self.bytes_down.saturating_sub(earlier.bytes_down),
        }
    }

    /// Whether nothing was used.
    #[must_use]
    pub fn is_nothing(&self) -> bool {
        *self == Self::default()
    }
}

impl Ledger {
    /// A ledger that is kept for `purpose`.
    #[must_use]
    pub fn new(purpose: Purpose) -> Self {
        let ledger = Self::default();
        ledger.keep_for(purpose);
        ledger
    }

    /// Keeps the ledger for `purpose` from now on. What it was kept for before, and is not any more, is forgotten.
    pub fn keep_for(&self, purpose: Purpose) {
        self.stores.store(purpose.store, Ordering::Relaxed);
        self.limits.store(purpose.limit, Ordering::Relaxed);
        let mut books = self.books();
        let unwritten = (!purpose.store).then(|| std::mem::take(&mut books.unwritten));
        let carried = (!purpose.limit).then(|| std::mem::take(&mut books.carried));
        // Freeing them takes some milliseconds, for which no shard must wait.
        drop(books);
        drop((unwritten, carried));
    }

    /// Whether it is kept for anything. If not, nothing need be added.
    #[must_use]
    pub fn is_kept(&self) -> bool {
        self.stores.load(Ordering::Relaxed) || self.limits.load(Ordering::Relaxed)
    }

    /// It is `now`. What is added from now on counts for that day.
    pub fn turn(&self, now: Unix) {
        let yesterday = self.books().turn(Day::of(now));
        drop(yesterday);
    }

    /// Opens the ledger to add to it. All others wait until it is dropped.
    #[must_use]
    pub fn adding(&self) -> Adding<'_> {
        let (store, limit) = (self.stores.load(Ordering::Relaxed), self.limits.load(Ordering::Relaxed));
        Adding { purpose: Purpose { store, limit }, books: self.books() }
    }

    /// What `owner` has carried on the day of `now`, as far as it was added.
    #[must_use]
    pub fn carried(&self, owner: &Owner, now: Unix) -> u64 {
        self.turn(now);
        self.books().carried.users.get(owner).copied().unwrap_or(0)
    }

    /// Adds what the store says of `day`, for the limit: what users carried before the daemon was started again.
    pub fn restore(&self, day: Day, carried: impl IntoIterator<Item = (Owner, u64)>) {
        for (owner, bytes) in carried {
            // Opened for each user, so that shards need not wait for all of them.
            let mut books = self.books();
            if books.today == day {
                books.carried.add(&owner, bytes);
            }
        }
    }

    /// Takes out everything that is to be written.
    #[must_use]
    pub fn take(&self) -> Pages {
        std::mem::take(&mut self.books().unwritten).pages
    }

    /// Puts back what could not be written.
    pub fn give_back(&self, pages: Pages) {
        let mut all = Unwritten::from(pages);
        loop {
            // Shards wait only while the two are exchanged, not while they are added up.
            let mut books = self.books();
            if books.unwritten.pages.is_empty() {
                books.unwritten = all;
                return;
            }
            let newer = std::mem::take(&mut books.unwritten);
            drop(books);
            all.add_all(newer.pages);
        }
    }

    /// How many users have something that is to be written.
    #[must_use]
    pub fn unwritten(&self) -> usize {
        self.books().unwritten.pages.values().map(|page| page.users.len()).sum()
    }

    /// The sums are right between any two statements, so a panic elsewhere does no harm.
    fn books(&self) -> MutexGuard<'_, Books> {
        self.books.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Adding<'_> {
    /// Adds what `owner` has used, to the day of the last [`Ledger::turn`].
    pub fn add(&mut self, owner: &Owner, used: Used) {
        if used.is_nothing() {
            return;
        }
        if self.purpose.store {
            let today = self.books.today;
            self.books.unwritten.add(today, owner, used);
        }
        if self.purpose.limit {
            self.books.carried.add(owner, used.bytes());
        }
    }
}

impl Books {
    /// Begins `day`, if it is another one than before. Returns what users had carried, which the caller drops when the
    /// ledger is closed.
    fn turn(&mut self, day: Day) -> Carried {
        if self.today == day {
            return Carried::default();
        }
        self.today = day;
        std::mem::take(&mut self.carried)
    }
}

impl Unwritten {
    fn add(&mut self, day: Day, owner: &Owner, used: Used) {
        let shared = account(owner);
        let owner = shared.as_ref().unwrap_or(owner);
        let page = self.pages.entry(day).or_default();
        if let Some(sum) = page.users.get_mut(owner) {
            sum.add(used);
        } else if self.weight + weight(owner) <= WEIGHT_MAX {
            self.weight += weight(owner);
            page.users.insert(owner.clone(), used);
        } else {
            page.others.add(used);
        }
    }

    fn add_all(&mut self, pages: Pages) {
        for (day, page) in pages {
            for (owner, used) in &page.users {
                self.add(day, owner, *used);
            }
            self.pages.entry(day).or_default().others.add(page.others);
        }
    }
}

impl From<Pages> for Unwritten {
    fn from(pages: Pages) -> Self {
        let weight = pages.values().flat_map(|page| page.users.keys()).map(weight).sum();
        Self { pages, weight }
    }
}

impl Carried {
    fn add(&mut self, owner: &Owner, bytes: u64) {
        if let Some(sum) = self.users.get_mut(owner) {
            *sum = sum.saturating_add(bytes);
            return;
        }
        if bytes == 0 {
            return;
        }
        if self.weight + weight(owner) > WEIGHT_MAX {
            self.forget_a_quarter();
        }
        self.weight += weight(owner);
        self.users.insert(owner.clone(), bytes);
    }

    /// Forgets the quarter of the users who carried the least. At the bound, that is once in some ten thousand users.
    fn forget_a_quarter(&mut self) {
        let mut all: Vec<u64> = self.users.values().copied().collect();
        if all.is_empty() {
            return;
        }
        let quarter = all.len() / 4;
        let (_, least, _) = all.select_nth_unstable(quarter);
        let least = *least;
        self.users.retain(|_, bytes| *bytes > least);
        self.weight = self.users.keys().map(weight).sum();
    }
}

fn weight(owner: &Owner) -> usize {
    USER_WEIGHT + owner.tag.len()
}

/// The user under whom the use of `owner` is stored, if it is another one. A member has a new tag each time that it
/// joins a room, and so has each connection test: their tags name nobody. Members are stored under their room's
/// pseudonym, and connection tests together.
#[must_use]
pub fn account(owner: &Owner) -> Option<Owner> {
    if owner.kind == OwnerKind::Static {
        return None;
    }
    let parts = match Issuer::of(&owner.tag) {
        Issuer::Check => 1,
        Issuer::Room => 2,
        Issuer::Key(_) | Issuer::Other => return None,
    };
    let (end, _) = owner.tag.match_indices('.').nth(parts - 1)?;
    Some(Owner { kind: owner.kind, tag: owner.tag[..end].into() })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Noon of 2026-11-27.
    const NOON: Unix = Unix::from_secs(1_795_780_800);
    const TOMORROW: Unix = Unix::from_secs(NOON.as_secs() + 24 * 3600);
    const BOTH: Purpose = Purpose { store: true, limit: true };

    fn tag(tag: &str) -> Owner {
        Owner { kind: OwnerKind::TimeLimited, tag: tag.into() }
    }

    fn bytes(bytes_up: u64) -> Used {
        Used { bytes_up, ..Used::default() }
    }

    impl Ledger {
        fn add<'a>(&self, used: impl IntoIterator<Item = (&'a Owner, Used)>) {
            let mut adding = self.adding();
            used.into_iter().for_each(|(owner, used)| adding.add(owner, used));
        }
    }

    fn ledger() -> Ledger {
        let ledger = Ledger::new(BOTH);
        ledger.turn(NOON);
        ledger
    }

    #[test]
    fn what_a_user_uses_is_summed_up_until_it_is_taken_out() {
        let ledger = ledger();
        let all = Used { sessions: 1, seconds: 20, bytes_up: 300, bytes_down: 4000 };
        ledger.add([(&tag("alice"), all), (&tag("bob"), bytes(1)), (&tag("alice"), all)]);

        let pages = ledger.take();

        let twice = Used { sessions: 2, seconds: 40, bytes_up: 600, bytes_down: 8000 };
        let users = BTreeMap::from([(tag("alice"), twice), (tag("bob"), bytes(1))]);
        assert_eq!(pages, Pages::from([(Day::of(NOON), Page { users, others: Used::default() })]));
        assert!(ledger.take().is_empty() && ledger.unwritten() == 0);
        assert_eq!(ledger.carried(&tag("alice"), NOON), 8600, "the day's bytes do not depend on the store");
    }

    #[test]
    fn what_could_not_be_written_comes_back_and_nothing_is_counted_twice_or_lost() {
        let ledger = ledger();
        ledger.add([(&tag("alice"), bytes(5))]);
        let taken = ledger.take();
        ledger.add([(&tag("alice"), bytes(7)), (&tag("bob"), bytes(1))]);

        ledger.give_back(taken);

        assert_eq!(ledger.unwritten(), 2);
        let users = ledger.take().remove(&Day::of(NOON)).unwrap().users;
        assert_eq!((users[&tag("alice")], users[&tag("bob")]), (bytes(12), bytes(1)));
        assert_eq!(ledger.carried(&tag("alice"), NOON), 12);
    }

    #[test]
    fn a_new_day_begins_with_a_page_and_a_limit_of_its_own() {
        let ledger = ledger();
        ledger.add([(&tag("alice"), bytes(5))]);
        assert_eq!(ledger.carried(&tag("alice"), NOON), 5);
        assert_eq!(ledger.carried(&tag("alice"), TOMORROW), 0);
        ledger.add([(&tag("alice"), bytes(7))]);

        assert_eq!(ledger.carried(&tag("alice"), TOMORROW), 7);
        let pages = ledger.take();
        let of = |day| pages[&Day::of(day)].users[&tag("alice")];
        assert_eq!((of(NOON), of(TOMORROW)), (bytes(5), bytes(7)));
    }

    #[test]
    fn what_the_store_says_of_today_counts_for_the_limit_and_is_not_written_again() {
        let ledger = ledger();
        ledger.add([(&tag("alice"), bytes(5))]);
        ledger.restore(Day::of(NOON), [(tag("alice"), 100), (tag("bob"), 30)]);
        ledger.restore(Day::of(NOON).before(1), [(tag("alice"), 1000)]);
        assert_eq!(["alice", "bob"].map(|user| ledger.carried(&tag(user), NOON)), [105, 30]);
        assert_eq!(ledger.take()[&Day::of(NOON)].users, BTreeMap::from([(tag("alice"), bytes(5))]));
    }

    #[test]
    fn members_are_stored_under_their_room_and_limited_each_by_itself() {
        let ledger = ledger();
        for tags in
            ["room.v_g8LjMG.p-1", "room.v_g8LjMG.p-2", "diag.7f3a", "diag.9c00", "shop.room.p-1", "room"]
        {
            ledger.add([(&tag(tags), bytes(1))]);
        }
        let alice = Owner { kind: OwnerKind::Static, tag: "room.of.alice".into() };
        ledger.add([(&alice, bytes(1))]);

        let users = ledger.take().remove(&Day::of(NOON)).unwrap().users;

        let stored: Vec<(&str, u64)> = users.iter().map(|(user, used)| (&*user.tag, used.bytes())).collect();
        let expected =
            [("room.of.alice", 1), ("diag", 2), ("room", 1), ("room.v_g8LjMG", 2), ("shop.room.p-1", 1)];
        assert_eq!(stored, expected);
        assert_eq!(ledger.carried(&tag("room.v_g8LjMG.p-1"), NOON), 1);
    }

    #[test]
    fn a_static_user_is_not_the_tag_of_the_same_name() {
        let ledger = ledger();
        let fixed = Owner { kind: OwnerKind::Static, ..tag("alice") };
        ledger.add([(&tag("alice"), bytes(5)), (&fixed, bytes(7))]);
        assert_eq!([&tag("alice"), &fixed].map(|owner| ledger.carried(owner, NOON)), [5, 7]);
        assert_eq!(ledger.unwritten(), 2);
    }

    #[test]
    fn a_ledger_that_is_kept_for_nothing_stays_empty() {
        for (purpose, unwritten, carried) in [
            (Purpose::default(), 0, 0),
            (Purpose { store: true, limit: false }, 1, 0),
            (Purpose { store: false, limit: true }, 0, 5),
        ] {
            let ledger = Ledger::new(purpose);
            assert_eq!(ledger.is_kept(), purpose != Purpose::default());
            ledger.turn(NOON);
            ledger.add([(&tag("alice"), bytes(5))]);
            assert_eq!((ledger.unwritten(), ledger.carried(&tag("alice"), NOON)), (unwritten, carried));
            ledger.keep_for(Purpose::default());
            assert_eq!((ledger.unwritten(), ledger.carried(&tag("alice"), NOON)), (0, 0));
        }
    }

    #[test]
    fn however_many_users_there_are_memory_is_bounded_and_no_byte_is_lost() {
        let ledger = ledger();
        let most = WEIGHT_MAX / USER_WEIGHT;
        for user in 0..2 * most {
            ledger.add([(&tag(&format!("shop.{user}")), bytes(1))]);
        }
        ledger.add([(&tag("shop.0"), bytes(1)), (&tag("shop.new"), bytes(1))]);

        assert!(ledger.books().unwritten.weight <= WEIGHT_MAX && ledger.unwritten() < most);
        assert!(ledger.books().carried.weight <= WEIGHT_MAX && ledger.books().carried.users.len() < most);
        let page = ledger.take().remove(&Day::of(NOON)).unwrap();
        assert_eq!(page.users[&tag("shop.0")], bytes(2), "who is known has a row of their own");
        let sum: u64 = page.users.values().map(Used::bytes).sum();
        assert_eq!(sum + page.others.bytes(), 2 * most as u64 + 2);
        // There is room again.
        ledger.add([(&tag("shop.new"), bytes(1))]);
        assert_eq!(ledger.unwritten(), 1);
    }

    /// Otherwise a user could make many others, to be forgotten and begin anew.
    #[test]
    fn whoever_carries_much_stays_limited_however_many_others_there_are() {
        let ledger = Ledger::new(Purpose { store: false, limit: true });
        ledger.turn(NOON);
        ledger.add([(&tag("shop.much"), bytes(1000))]);
        for user in 0..3 * WEIGHT_MAX / USER_WEIGHT {
            ledger.add([(&tag(&format!("shop.{user}")), bytes(1 + user as u64 % 7))]);
        }
        assert_eq!(ledger.carried(&tag("shop.much"), NOON), 1000);
    }
}
