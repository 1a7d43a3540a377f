//! PURE  Counts the sockets of PeerJS clients, and their messages.

use crate::compat::peerjs::message::{Answer, Kind};
use crate::metrics::{Counter, SharedCounter};
use crate::observed::Compat;
use crate::signaling::protocol::codes::Close;
use crate::signaling::seats::NoSeat;

/// The counters. All but the [`SharedCounter`]s are written only under the lock of the exchange.
#[derive(Debug, Default)]
pub struct Counters {
    /// Open sockets.
    pub sockets: Counter,
    /// Sockets that were opened.
    pub opened: Counter,
    /// Bytes that wait for peers that are not there.
    pub waiting: Counter,
    received: [Counter; Kind::ALL.len()],
    carried: [Counter; Kind::ALL.len()],
    answered: [Counter; Answer::ALL.len()],
    turned_away: [SharedCounter; NoSeat::ALL.len()],
    too_often: SharedCounter,
    closed: [Counter; Close::ALL.len()],
}

impl Counters {
    /// A client sent a message.
    pub fn received(&self, kind: Kind) {
        self.received[kind as usize].add(1);
    }

    /// A client's message is sent to another.
    pub fn carried(&self, kind: Kind) {
        self.carried[kind as usize].add(1);
    }

    /// The server sends a message of its own.
    pub fn answered(&self, answer: Answer) {
        self.answered[answer as usize].add(1);
    }

    /// A socket was refused for want of a place.
    pub fn turned_away(&self, why: NoSeat) {
        self.turned_away[why as usize].add(1);
    }

    /// A socket was refused because too many were opened.
    pub fn too_often(&self) {
        self.too_often.add(1);
    }

    /// The server closes a socket.
    pub fn closed(&self, close: Close) {
        self.closed[close as usize].add(1);
    }

    /// How many sockets the server closed for `close`.
    #[must_use]
    pub fn closes(&self, close: Close) -> u64 {
        self.closed[close as usize].get()
    }

    /// The present values.
    #[must_use]
    pub fn snapshot(&self) -> Compat {
        let refused = NoSeat::ALL.map(|it| (it.name(), self.turned_away[it as usize].get()));
        let carried = Kind::ALL.map(|it| (it.name(), self.carried[it as usize].get()));
        let mut sent = std::collections::BTreeMap::from(carried);
        for answer in Answer::ALL {
            *sent.entry(answer.name()).or_default() += self.answered[answer as usize].get();
        }
        sent.retain(|_, count| *count > 0);
        Compat {
            sockets: self.sockets.get(),
            opened: self.opened.get(),
            waiting_bytes: self.waiting.get(),
            received: Kind::ALL.map(|it| (it.name(), self.received[it as usize].get())).into(),
            sent,
            refused: refused.into_iter().chain([("too_often", self.too_often.get())]).collect(),
            closed: Close::ALL
                .map(|it| (it.name(), self.closes(it)))
                .into_iter()
                .filter(|it| it.1 > 0)
                .collect(),
        }
    }
}
