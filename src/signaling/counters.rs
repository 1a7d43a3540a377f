//! PURE  Counts rooms, members, sockets and how they ended, and renders the numbers as Prometheus text.

use crate::metrics::{Counter, head, line};
use crate::signaling::protocol::codes::{Close, ErrorCode};

/// What is counted; written under the hub's lock alone.
#[derive(Debug, Default)]
pub struct Counters {
    /// Rooms, those that nobody is in at the moment included.
    pub rooms: Counter,
    /// Members of rooms, those away and those who wait included.
    pub members: Counter,
    /// Sessions, those away included.
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

    /// The numbers in Prometheus' text format. Refusals that never happened are left out.
    #[must_use]
    pub fn render(&self) -> String {
        let mut text = String::new();
        for (name, help, gauge) in [
            ("hairpin_rooms", "rooms", &self.rooms),
            ("hairpin_room_members", "members of rooms", &self.members),
            ("hairpin_signaling_sessions", "signaling sessions, resumable ones included", &self.sessions),
            ("hairpin_signaling_sockets", "open WebSockets", &self.sockets),
        ] {
            head(&mut text, name, "gauge", help);
            line(&mut text, name, "", gauge.get());
        }
        head(&mut text, "hairpin_joins_refused_total", "counter", "joins that were refused");
        for code in ErrorCode::ALL.into_iter().filter(|code| self.refusals(*code) > 0) {
            let label = format!("code=\"{}\"", code.name());
            line(&mut text, "hairpin_joins_refused_total", &label, self.refusals(code));
        }
        head(&mut text, "hairpin_signaling_closed_total", "counter", "WebSockets that the server closed");
        for close in Close::ALL {
            let label = format!("code=\"{}\",reason=\"{}\"", close.code(), close.name());
            line(&mut text, "hairpin_signaling_closed_total", &label, self.closes(close));
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_happened_is_shown_by_its_code() {
        let counters = Counters::default();
        counters.rooms.set(2);
        counters.refused(ErrorCode::RoomFull);
        counters.closed(Close::SlowConsumer);

        let text = counters.render();

        assert!(text.contains("\nhairpin_rooms 2\n"));
        assert!(text.contains("hairpin_joins_refused_total{code=\"room_full\"} 1"));
        assert!(text.contains("hairpin_signaling_closed_total{code=\"4413\",reason=\"slow_consumer\"} 1"));
        assert!(!text.contains("bad_key"));
    }
}
