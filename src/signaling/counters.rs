//! PURE  Counts rooms, members, sockets and messages, and why messages and sockets were refused.

use crate::metrics::{Counter, SharedCounter};
use crate::observed::{Coded, Rooms};
use crate::signaling::protocol::codes::{Close, ErrorCode};
use crate::signaling::protocol::{ClientKind, ServerKind, ServerMessage};
use crate::signaling::seats::NoSeat;

/// The counters. All but the [`SharedCounter`]s are written only under the hub's lock.
#[derive(Debug, Default)]
pub struct Counters {
    /// Rooms, including those that are empty at the moment.
    pub rooms: Counter,
    /// Members of rooms, including those that are away and clients that wait to be let in.
    pub members: Counter,
    /// Sessions, including those without a socket.
    pub sessions: Counter,
    /// The most sessions that are allowed.
    pub most_sessions: Counter,
    /// Open sockets.
    pub sockets: Counter,
    /// Sockets that were opened.
    pub opened: Counter,
    /// Relay credentials issued to members.
    pub credentials: Counter,
    received: [Counter; ClientKind::ALL.len()],
    sent: [Counter; ServerKind::ALL.len()],
    errors: [Counter; ErrorCode::ALL.len()],
    turned_away: [SharedCounter; NoSeat::ALL.len()],
    refused: [Counter; ErrorCode::ALL.len()],
    closed: [Counter; Close::ALL.len()],
}

impl Counters {
    /// A join was refused.
    pub fn refused(&self, code: ErrorCode) {
        self.refused[code as usize].add(1);
    }

    /// A client sent a message.
    pub fn received(&self, kind: ClientKind) {
        self.received[kind as usize].add(1);
    }

    /// A message is sent to a client, or kept until it is back.
    pub fn sent(&self, message: &ServerMessage) {
        self.sent[message.kind() as usize].add(1);
        if let ServerMessage::Error(body) = message {
            self.errors[body.code as usize].add(1);
        }
    }

    /// A socket was refused.
    pub fn turned_away(&self, why: NoSeat) {
        self.turned_away[why as usize].add(1);
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
        let codes = |counters: &[Counter; ErrorCode::ALL.len()]| {
            let counts = ErrorCode::ALL.into_iter().map(|code| (code.name(), counters[code as usize].get()));
            counts.filter(|(_, count)| *count > 0).collect()
        };
        let closed = Close::ALL.into_iter().map(|close| Coded {
            code: close.code(),
            reason: close.name(),
            count: self.closes(close),
        });
        Rooms {
            rooms: self.rooms.get(),
            members: self.members.get(),
            sessions: self.sessions.get(),
            most_sessions: self.most_sessions.get(),
            sockets: self.sockets.get(),
            received: ClientKind::ALL.map(|it| (it.name(), self.received[it as usize].get())).into(),
            sent: ServerKind::ALL.map(|it| (it.name(), self.sent[it as usize].get())).into(),
            refused: codes(&self.errors),
            joins_refused: codes(&self.refused),
            credentials: self.credentials.get(),
            opened: self.opened.get(),
            turned_away: NoSeat::ALL.map(|it| (it.name(), self.turned_away[it as usize].get())).into(),
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
        assert!(text.contains("hairpin_websockets_closed_total{code=\"4413\",reason=\"slow_consumer\"} 1"));
        assert!(!text.contains("bad_key"));
    }
}
