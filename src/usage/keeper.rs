//! Moves usage from the ledger to the store, and reports it: the thread of the usage service.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender};
use std::time::Duration;

use tokio::sync::oneshot;

use crate::bounds::notice::Notice;
use crate::clock::{Clock, Moment, Now};
use crate::metrics::Counter;
use crate::observed;
use crate::usage::day::Day;
use crate::usage::ledger::Ledger;
use crate::usage::plan::Plan;
use crate::usage::store::{Entry, Query, Store, StoreError};

/// What the thread is told.
#[derive(Debug)]
pub(super) enum Order {
    Apply(Plan),
    Report(Query, oneshot::Sender<Result<Report, ReportError>>),
    /// Write everything, answer, and end.
    Stop(Sender<()>),
}

/// What users have used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// The entries.
    pub entries: Vec<Entry>,
    /// The first day of which there may be entries.
    pub since: Day,
    /// How long ago the last write succeeded. What was used since is not in the entries.
    pub behind: Duration,
}

/// Why there is no report.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ReportError {
    /// Usage is not stored.
    Off,
    /// The store cannot be used: why, and what to do.
    Unreadable(String),
}

/// The thread's counters.
#[derive(Debug, Default)]
pub(super) struct Counted {
    /// Whether there is a store: 0 or 1.
    stores: Counter,
    /// Writes that failed.
    failures: Counter,
    /// When the store last had everything, in seconds of the monotonic clock.
    written: Counter,
}

/// The thread's state.
pub(super) struct Keeper {
    plan: Plan,
    ledger: Arc<Ledger>,
    counted: Arc<Counted>,
    /// The open store; `None` if there is none, or if it could not be used.
    store: Option<Store>,
    /// The files from which the ledger has what users carried today before the daemon started.
    restored: BTreeSet<PathBuf>,
    written: Moment,
    next_write: Moment,
    next_prune: Moment,
    broken: Notice,
}

/// How often the ledger is written. With the 20 s in which a shard visits its allocations, the store is less than a minute
/// behind.
const WRITING: Duration = Duration::from_secs(20);
/// The first time that old days are deleted: a machine may start with a wrong clock, and set it soon.
const FIRST_PRUNING: Duration = Duration::from_secs(600);
/// How often old days are deleted.
const PRUNING: Duration = Duration::from_secs(3600);
/// How many users of today are read for the limit; as many as the ledger can hold.
const RESTORED: u32 = 100_000;

impl Keeper {
    /// Opens the store of `plan`.
    pub(super) fn new(plan: Plan, ledger: Arc<Ledger>, counted: Arc<Counted>, now: Now) -> Self {
        let mut keeper = Self {
            plan,
            ledger,
            counted,
            store: None,
            restored: BTreeSet::new(),
            written: now.moment,
            next_write: now.moment,
            next_prune: now.moment + FIRST_PRUNING,
            broken: Notice::new(),
        };
        keeper.tick(now);
        keeper
    }

    /// Works until it receives the order to stop.
    pub(super) fn run(mut self, inbox: &Receiver<Order>, clock: Clock) {
        loop {
            let order = inbox.recv_timeout(self.pause(clock.now()));
            let now = clock.now();
            match order {
                Err(RecvTimeoutError::Timeout) => self.tick(now),
                Ok(Order::Apply(plan)) => self.apply(plan, now),
                // If nobody waits for the report any more, it is not needed.
                Ok(Order::Report(query, answer)) => drop(answer.send(self.report(query, now))),
                Ok(Order::Stop(done)) => {
                    self.write(now);
                    // Closes the file, which takes what its journal has into it.
                    self.store = None;
                    let _ = done.send(());
                    return;
                }
                Err(RecvTimeoutError::Disconnected) => return,
            }
        }
    }

    /// How long nothing is due.
    fn pause(&self, now: Now) -> Duration {
        // At midnight the ledger turns to a new page.
        self.next_write.since(now.moment).min(Day::of(now.unix).left(now.unix))
    }

    /// Does what is due.
    fn tick(&mut self, now: Now) {
        self.ledger.turn(now.unix);
        if now.moment < self.next_write {
            return;
        }
        self.next_write = now.moment + WRITING;
        self.write(now);
        if now.moment >= self.next_prune {
            self.next_prune = now.moment + PRUNING;
            self.prune(now);
        }
    }

    fn apply(&mut self, plan: Plan, now: Now) {
        self.write(now);
        if plan.path != self.plan.path {
            self.store = None;
        }
        if !plan.limit {
            self.restored.clear();
        }
        self.ledger.keep_for(plan.purpose());
        self.plan = plan;
        self.next_write = now.moment;
        self.tick(now);
    }

    /// Writes what the ledger holds. What cannot be written stays in the ledger.
    fn write(&mut self, now: Now) {
        self.counted.stores.set(u64::from(self.plan.path.is_some()));
        let Some(path) = self.plan.path.clone() else { return };
        let pages = self.ledger.take();
        let written = match self.open(&path, now) {
            Ok(store) if !pages.is_empty() => store.add(&pages),
            Ok(_) => Ok(()),
            Err(error) => Err(error),
        };
        match written {
            Ok(()) => {
                self.written = now.moment;
                self.counted.written.set(now.moment.as_secs());
            }
            Err(error) => {
                self.ledger.give_back(pages);
                self.fail(&error, now);
            }
        }
    }

    fn prune(&mut self, now: Now) {
        let first = self.first_day(now);
        let Some(store) = &self.store else { return };
        match store.prune(first) {
            Ok(0) => {}
            Ok(rows) => tracing::info!(rows, before = %first, "old usage is deleted"),
            Err(error) => self.fail(&error, now),
        }
    }

    /// Writes what the ledger holds, and reads the entries that `query` names.
    fn report(&mut self, query: Query, now: Now) -> Result<Report, ReportError> {
        let Some(path) = self.plan.path.clone() else { return Err(ReportError::Off) };
        self.ledger.turn(now.unix);
        self.write(now);
        // What is about to be deleted is not shown any more.
        let since = query.since.max(self.first_day(now));
        let read = self.open(&path, now).and_then(|store| store.read(&Query { since, ..query }));
        match read {
            Ok(entries) => Ok(Report { entries, since, behind: now.moment.since(self.written) }),
            Err(error) => Err(ReportError::Unreadable(error.to_string())),
        }
    }

    /// The first day that is kept.
    fn first_day(&self, now: Now) -> Day {
        Day::of(now.unix).before(u64::from(self.plan.days) - 1)
    }

    /// The store, which is opened if it was not. When that has succeeded for the first time, the ledger learns what users
    /// carried today before the daemon started.
    fn open(&mut self, path: &Path, now: Now) -> Result<&mut Store, StoreError> {
        let store = self.store.take().map_or_else(|| Store::open(path), Ok)?;
        if self.plan.limit && !self.restored.contains(path) {
            let today = Day::of(now.unix);
            self.ledger.turn(now.unix);
            self.ledger.restore(today, store.carried(today, RESTORED)?);
            self.restored.insert(path.to_owned());
        }
        Ok(self.store.insert(store))
    }

    /// The store is tried again at the next write: the file may have been replaced by then.
    fn fail(&mut self, error: &StoreError, now: Now) {
        self.store = None;
        self.counted.failures.add(1);
        if let Some(times) = self.broken.due(1, now.moment) {
            tracing::error!(
                times,
                users = self.ledger.unwritten(),
                "usage cannot be written and stays in memory meanwhile: {error}"
            );
        }
    }
}

impl Counted {
    pub(super) fn snapshot(&self, ledger: &Ledger, now: Moment) -> observed::Usage {
        let stores = self.stores.get() > 0;
        let behind = now.as_secs().saturating_sub(self.written.get());
        observed::Usage {
            stores,
            users_unwritten: ledger.unwritten() as u64,
            seconds_behind: if stores { behind } else { 0 },
            failures: self.failures.get(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::PathBuf;

    use super::*;
    use crate::clock::Unix;
    use crate::credentials::{Owner, OwnerKind};
    use crate::usage::ledger::Used;

    /// Ten seconds before the midnight after 2026-11-27.
    const EVENING: u64 = 1_795_824_000 - 10;

    /// A keeper with its clock, and a folder for its file.
    struct World {
        folder: Folder,
        keeper: Keeper,
        now: Now,
    }

    struct Folder(PathBuf);

    impl Drop for Folder {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    impl World {
        fn new(test: &str) -> Self {
            let folder = std::env::temp_dir().join(format!("hairpin-keeper-{}-{test}", std::process::id()));
            fs::create_dir_all(&folder).unwrap();
            Self::start(Folder(folder), Now { moment: Moment::default(), unix: Unix::from_secs(EVENING) })
        }

        fn start(folder: Folder, now: Now) -> Self {
            let plan = Plan { path: Some(folder.0.join("usage.db")), days: 3, limit: true };
            let ledger = Arc::new(Ledger::new(plan.purpose()));
            Self { folder, keeper: Keeper::new(plan, ledger, Arc::default(), now), now }
        }

        /// The daemon is killed, and started again.
        fn restart(self) -> Self {
            let Self { folder, keeper, now } = self;
            drop(keeper);
            Self::start(folder, now)
        }

        /// Time passes, and the thread does what is due each time that it wakes up.
        fn pass(&mut self, time: Duration) {
            let end = self.now + time;
            while self.now.moment < end.moment {
                let pause = self.keeper.pause(self.now).min(end.moment.since(self.now.moment));
                assert!(!pause.is_zero() && pause <= WRITING);
                self.now = self.now + pause;
                self.keeper.tick(self.now);
            }
        }

        fn uses(&self, user: &str, bytes_up: u64) {
            self.keeper.ledger.adding().add(&tag(user), Used { bytes_up, ..Used::default() });
        }

        /// What the file says, without what is in memory.
        fn stored(&self) -> Vec<String> {
            let store = Store::open(&self.folder.0.join("usage.db")).unwrap();
            store.read(&Query { limit: 100, ..Query::default() }).unwrap().iter().map(show).collect()
        }

        fn report(&mut self) -> Vec<String> {
            let report = self.keeper.report(Query { limit: 100, ..Query::default() }, self.now).unwrap();
            report.entries.iter().map(show).collect()
        }
    }

    fn tag(tag: &str) -> Owner {
        Owner { kind: OwnerKind::TimeLimited, tag: tag.into() }
    }

    fn show(entry: &Entry) -> String {
        let user = entry.owner.as_ref().map_or("others", |owner| &*owner.tag);
        format!("{} {user}={}", entry.day, entry.used.bytes())
    }

    #[test]
    fn what_was_used_is_in_the_file_soon_and_a_kill_loses_only_what_came_after() {
        let mut world = World::new("kill");
        world.uses("alice", 5);
        world.pass(WRITING);
        assert_eq!(world.keeper.ledger.carried(&tag("alice"), world.now.unix), 0, "it is past midnight");
        world.uses("alice", 100);
        assert_eq!(world.stored(), ["2026-11-27 alice=5"]);

        let mut world = world.restart();

        world.uses("alice", 7);
        assert_eq!(world.report(), ["2026-11-27 alice=5", "2026-11-28 alice=7"]);
    }

    #[test]
    fn after_a_restart_the_bytes_of_today_still_count_for_the_limit() {
        let mut world = World::new("today");
        world.uses("bob", 1000);
        world.pass(Duration::from_secs(60));
        world.uses("alice", 5);
        world.pass(WRITING);

        let world = world.restart();
        world.uses("alice", 1);

        let carried = |user| world.keeper.ledger.carried(&tag(user), world.now.unix);
        assert_eq!((carried("alice"), carried("bob")), (6, 0), "bob's were yesterday's");
    }

    #[test]
    fn a_file_that_cannot_be_used_loses_nothing_and_is_used_once_it_can_be() {
        let mut world = World::new("broken");
        world.uses("alice", 1);
        world.pass(Duration::from_secs(60));
        world.keeper.store = None;
        let (file, aside) = (world.folder.0.join("usage.db"), world.folder.0.join("aside"));
        fs::rename(&file, &aside).unwrap();
        fs::create_dir(&file).unwrap();
        world.uses("alice", 10);
        world.pass(Duration::from_secs(300));
        assert!(world.keeper.counted.failures.get() >= 15);
        let error = world.keeper.report(Query::default(), world.now).unwrap_err();
        assert!(matches!(error, ReportError::Unreadable(text) if text.contains("usage.path must be a file")));
        world.uses("alice", 100);

        fs::remove_dir(&file).unwrap();
        fs::rename(&aside, &file).unwrap();
        world.pass(WRITING);

        assert_eq!(world.stored(), ["2026-11-27 alice=1", "2026-11-28 alice=110"]);
        assert_eq!(world.keeper.ledger.carried(&tag("alice"), world.now.unix), 110, "and counts it once");
        assert_eq!(world.keeper.counted.snapshot(&world.keeper.ledger, world.now.moment).seconds_behind, 0);
    }

    #[test]
    fn old_days_are_not_shown_and_deleted_but_not_by_a_clock_that_is_wrong_at_the_start() {
        let mut world = World::new("prune");
        world.uses("alice", 1);
        world.pass(WRITING);
        world.now = world.now + Duration::from_secs(3 * 24 * 3600);
        let mut world = world.restart();
        world.uses("alice", 2);
        assert_eq!(world.report(), ["2026-12-01 alice=2"]);
        assert_eq!(world.stored(), ["2026-11-27 alice=1", "2026-12-01 alice=2"]);

        world.pass(FIRST_PRUNING + WRITING);

        assert_eq!(world.stored(), ["2026-12-01 alice=2"]);
        world.pass(Duration::from_secs(3 * 24 * 3600));
        assert_eq!(world.stored(), Vec::<String>::new());
    }

    #[test]
    fn another_plan_takes_another_file_and_without_one_nothing_is_kept() {
        let mut world = World::new("plan");
        world.uses("alice", 1);
        let off = Plan { path: None, days: 3, limit: false };
        world.keeper.apply(off.clone(), world.now);
        assert_eq!(world.stored(), ["2026-11-27 alice=1"], "what was used before is kept");
        assert!(!world.keeper.ledger.is_kept());
        assert_eq!(world.keeper.report(Query::default(), world.now), Err(ReportError::Off));

        let other = world.folder.0.join("other.db");
        world.keeper.apply(Plan { path: Some(other.clone()), limit: true, ..off }, world.now);
        world.uses("bob", 2);
        world.keeper.write(world.now);
        let store = Store::open(&other).unwrap();
        assert_eq!(store.carried(Day::of(world.now.unix), 10).unwrap(), [(tag("bob"), 2)]);

        let back = Plan { path: Some(world.folder.0.join("usage.db")), days: 3, limit: true };
        world.keeper.apply(back, world.now);
        let carried = |user| world.keeper.ledger.carried(&tag(user), world.now.unix);
        assert_eq!((carried("alice"), carried("bob")), (1, 2), "what the file says of today counts");
    }
}
