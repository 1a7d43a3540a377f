//! PURE  Counts rooms, members and sockets, refused joins, and why sockets were closed.

use crate::metrics::Counter;
use crate::observed::{Coded, Rooms};
use crate::signaling::protocol::codes::{Close, ErrorCode};

/// The counters. They are written only under the hub's lock.
#[derive(Debug, Default)]
pub struct Counters {
    /// Rooms, including those that are empty at the moment.
    pub rooms: Counter,
    /// Members of rooms, including those that are away and clients that wait to be let in.
    pub members: Counter,
    /// Sessions, including those without a socket.
    pub sessions: Counter,
    /// Open sockets.
    pub sockets: Counter,
    refused: [Counter; ErrorCode::ALL.len()],
    closed: [Counter; Close::ALL.len()],
}

impl Counters {
    /// A join was refused.
    pub fn refused(&self, code: ErrorCode) {
        self.refused[code as usize].add(1);
    }

    /// The server closed a socket.
    pub fn closed(&self, close: Close) {
        self.closed[close as usize].add(1);
    }

    /// How many joins were refused for `code`.
    #[must_use]
    pub fn refusals(&self, code: ErrorCode) -> u64 {
        self.refused[code as usize].get()
    }

    /// How many sockets the server closed for `close`.
    #[must_use]
    pub fn closes(&self, close: Close) -> u64 {
        self.closed[close as usize].get()
    }

    /// The present values.
    #[must_use]
    pub fn snapshot(&self) -> Rooms {
        let refused = ErrorCode::ALL.into_iter().map(|code| (code.name(), self.refusals(code)));
        let closed = Close::ALL.into_iter().map(|close| Coded {
            code: close.code(),
            reason: close.name(),
            count: self.closes(close),
        });
        Rooms {
            rooms: self.rooms.get(),
            members: self.members.get(),
            sessions: self.sessions.get(),
            sockets: self.sockets.get(),
            joins_refused: refused.filter(|(_, count)| *count > 0).collect(),
            closed: closed.collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::observed::Observed;
    use crate::observed::prometheus::render;

    #[test]
    fn what_happened_is_shown_by_its_code() {
        let counters = Counters::default();
        counters.rooms.set(2);
        counters.refused(ErrorCode::RoomFull);
        counters.closed(Close::SlowConsumer);

        let text = render(&Observed { rooms: counters.snapshot(), ..Observed::default() });

        assert!(text.contains("\nhairpin_rooms 2\n"));
        assert!(text.contains("hairpin_joins_refused_total{code=\"room_full\"} 1"));
        assert!(text.contains("hairpin_signaling_closed_total{code=\"4413\",reason=\"slow_consumer\"} 1"));
        assert!(!text.contains("bad_key"));
    }
}
