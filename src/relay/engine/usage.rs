//! PURE  Tells the ledger what allocations have used, and asks it what a user may still use today.
//!
//! An allocation remembers what the ledger knows of it, so packets cost nothing more. Each allocation is visited at least
//! once in [`PERIOD`], and when it ends. The table is visited in pieces, so that ten thousand allocations keep no packet
//! waiting.

use std::ops::Range;
use std::time::Duration;

use crate::clock::{Moment, Unix};
use crate::credentials::Owner;
use crate::outcome::Refusal;
use crate::relay::engine::Engine;
use crate::relay::engine::allocation::Allocation;
use crate::relay::engine::lifetimes::Due;
use crate::usage::ledger::Used;

/// How often each allocation is visited, at least.
pub const PERIOD: Duration = Duration::from_secs(20);
/// The longest time between two pieces.
const PAUSE: Duration = Duration::from_secs(1);
/// How many places of the table are visited at a time: some tens of microseconds.
const PIECE: usize = 256;

/// The next visit.
#[derive(Debug, Default)]
pub(super) struct Visits {
    /// Whether it is in the deadline table.
    expected: bool,
    /// The first place that it looks at.
    next: usize,
}

impl Allocation {
    /// What it has used since the last call.
    fn news(&mut self, now: Moment) -> Used {
        let used = Used {
            sessions: 1,
            seconds: now.since(self.since).as_secs(),
            bytes_up: self.up.bytes,
            bytes_down: self.down.bytes,
        };
        let news = used.since(self.told);
        self.told = used;
        news
    }
}

impl Engine {
    /// Refuses a new session, or a longer one, if the user has carried the bytes of one day.
    pub(super) fn check_day(&self, owner: &Owner, now: Unix) -> Result<(), Refusal> {
        if !self.usage.is_kept() {
            return Ok(());
        }
        // Without a limit too, because this tells the ledger which day it is.
        let carried = self.usage.carried(owner, now);
        let most = self.settings.limits.configured.bytes_per_user_per_day.0;
        if most.is_none_or(|most| carried < most.get()) { Ok(()) } else { Err(Refusal::DailyBytes) }
    }

    /// Visits a piece of the table.
    pub(super) fn visit(&mut self, now: Moment) {
        self.visits.expected = false;
        let places = self.allocations.places();
        let from = if self.visits.next < places { self.visits.next } else { 0 };
        self.tell(from..from + PIECE, now);
        self.visits.next = from + PIECE;
        self.expect_visit(now);
    }

    /// While there are allocations, a visit is scheduled. If there are many pieces, they are spread over the period.
    pub(super) fn expect_visit(&mut self, now: Moment) {
        if self.allocations.is_empty() || self.visits.expected {
            return;
        }
        self.visits.expected = true;
        let pieces = u32::try_from(self.allocations.places().div_ceil(PIECE)).unwrap_or(u32::MAX);
        // A reload may begin to keep the ledger, which is noticed then.
        let longest = if self.usage.is_kept() { PAUSE } else { PERIOD };
        self.deadlines.insert((now + longest.min(PERIOD / pieces.max(1)), Due::Usage));
    }

    /// Tells the ledger of every allocation.
    pub(super) fn tell_all(&mut self, now: Moment) {
        self.tell(0..self.allocations.places(), now);
    }

    /// Tells the ledger of an allocation that has ended.
    pub(super) fn tell_last(&self, ended: &mut Allocation, now: Moment) {
        let news = ended.news(now);
        if self.usage.is_kept() {
            self.usage.adding().add(ended.lease.owner(), news);
        }
    }

    fn tell(&mut self, places: Range<usize>, now: Moment) {
        // What is used while nobody counts is told to nobody later, when a reload has somebody count.
        let mut adding = self.usage.is_kept().then(|| self.usage.adding());
        for place in places {
            let Some(allocation) = self.allocations.at(place) else { continue };
            let news = allocation.news(now);
            if let Some(adding) = &mut adding {
                adding.add(allocation.lease.owner(), news);
            }
        }
    }
}
