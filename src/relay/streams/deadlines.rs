//! Finds connections that have taken too long.

use std::collections::BTreeSet;

use crate::clock::Moment;
use crate::outcome::Ending;
use crate::relay::address::{ClientPath, StreamId};
use crate::relay::patience::IDLE;
use crate::relay::streams::Streams;
use crate::relay::streams::role::Role;

impl Streams {
    /// When the next deadline is; `None` while there is no connection.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Moment> {
        let first = |deadlines: &BTreeSet<(Moment, StreamId)>| deadlines.first().map(|(moment, _)| *moment);
        first(&self.deadlines).into_iter().chain(first(&self.paused)).min()
    }

    /// The next connection that has taken too long, and why it ends. The caller closes it.
    pub fn impatient(
        &mut self,
        now: Moment,
        allocated: impl Fn(&ClientPath) -> bool,
    ) -> Option<(StreamId, Ending)> {
        while let Some((_, id)) = self.deadlines.first().copied().filter(|(moment, _)| *moment <= now) {
            let Some(stream) = self.slots.get(id.0 as usize) else {
                self.deadlines.pop_first();
                continue;
            };
            let may_be_silent = match &stream.role {
                Role::Client(path) => allocated(path),
                Role::Connecting | Role::Unbound | Role::Bridged(_) | Role::Leaving => true,
            };
            let (end, ending) = stream.patience.end(may_be_silent);
            if end <= now {
                return Some((id, ending));
            }
            // The client may give its allocation back before this deadline.
            self.schedule(id, end.min(now + IDLE));
        }
        None
    }

    /// Moves a deadline to an earlier time, if patience ends earlier than expected. A later time is found when the
    /// deadline is due.
    pub(super) fn reschedule(&mut self, id: StreamId) {
        let Some(stream) = self.slots.get(id.0 as usize) else { return };
        let (end, _) = stream.patience.end(true);
        if end < stream.deadline {
            self.schedule(id, end);
        }
    }

    fn schedule(&mut self, id: StreamId, deadline: Moment) {
        let Some(stream) = self.slots.get_mut(id.0 as usize) else { return };
        self.deadlines.remove(&(stream.deadline, id));
        stream.deadline = deadline;
        self.deadlines.insert((deadline, id));
    }
}
