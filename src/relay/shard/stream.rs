//! Serves TCP and TLS connections: processes what they received, and ends them.

use crate::clock::Now;
use crate::journal::shown;
use crate::outcome::{Ending, Method, Refusal};
use crate::relay::address::{ClientPath, StreamId};
use crate::relay::datagrams::Segment;
use crate::relay::engine::Action;
use crate::relay::shard::{Command, Shard};
use crate::relay::streams::{Arrival, Heard};

impl Shard {
    /// Serves a client's connection from now on.
    pub(super) fn adopt(&mut self, arrival: Arrival) {
        let own = self.neighbours.get().and_then(|all| all.get(self.shard.index as usize)).cloned();
        self.streams.adopt(arrival, move |id| {
            if let Some(own) = own {
                own.tell(Command::MakeWay(id));
            }
        });
    }

    /// Processes what connections have received since the last round.
    pub(super) fn read_streams(&mut self, now: Now) {
        loop {
            if self.batch.is_heavy() {
                self.flush();
            }
            let engine = &self.engine;
            let may_carry = |stream| {
                let bridge = engine.bridges().of(stream);
                bridge.is_some_and(|(connection, up)| engine.may_carry(connection, up, now.moment))
            };
            match self.streams.next(now.moment, may_carry) {
                None => return,
                Some(Heard::Message { id, path, message }) => {
                    let message = self.batch.compose(message);
                    self.on_message(id, path, message, now);
                }
                Some(Heard::Bytes { id, count }) => {
                    if let Some((connection, direction)) = self.engine.bridges().of(id) {
                        self.engine.on_carried(connection, direction, count, now.moment);
                    }
                }
                Some(Heard::Connected(id)) => {
                    if let Some((connection, _)) = self.engine.bridges().of(id) {
                        self.report_connected(connection, true);
                    }
                }
                Some(Heard::Ended(id, ending)) => self.end_stream(id, ending, now),
            }
        }
    }

    /// Treats a message of a connection as a datagram.
    fn on_message(&mut self, id: StreamId, path: ClientPath, message: Segment, now: Now) {
        match self.client_sent(path, message, now) {
            Action::Ignore(reason) if reason.ends_stream() => self.end_stream(id, Ending::BadMessage, now),
            Action::Bind(connection, answer) => self.bind(id, connection, &answer),
            Action::HandOver(owner, refusal) if !self.hand_over(id, owner, now) => {
                let (method, reason) = (Method::ConnectionBind, Refusal::BadRequest);
                let client = shown::socket(path.client);
                tracing::debug!(client, method = method.name(), reason = reason.name(), "refused");
                self.counters.refused(method, reason);
                self.streams.answer(id, &refusal, false);
            }
            Action::HandOver(..)
            | Action::Reply(_)
            | Action::ToPeer(_)
            | Action::Connect(..)
            | Action::Ignore(_) => {}
        }
    }

    /// Moves a client's connection, with the message that was returned last, to the shard that owns the peer's
    /// connection; returns whether it did.
    fn hand_over(&mut self, id: StreamId, owner: u32, now: Now) -> bool {
        let Some(neighbour) = self.neighbours.get().and_then(|all| all.get(owner as usize)) else {
            return false;
        };
        let Some(arrival) = self.streams.release(id, now.moment) else { return false };
        neighbour.tell(Command::Adopt(Box::new(arrival)));
        true
    }

    /// Sends what waits for connections, and closes those that have ended.
    pub(super) fn flush_streams(&mut self, now: Now) {
        for id in self.streams.flush(now.moment) {
            self.end_stream(id, Ending::Closed, now);
        }
    }

    /// Closes the connections that have exceeded a deadline.
    pub(super) fn end_impatient_streams(&mut self, now: Now) {
        loop {
            let allocations = self.engine.allocations();
            let allocated = |path: &ClientPath| allocations.by_path(path).is_some();
            let Some((id, ending)) = self.streams.impatient(now.moment, allocated) else { return };
            self.end_stream(id, ending, now);
        }
    }

    /// Closes a connection, and ends at once what belongs to it.
    pub(super) fn end_stream(&mut self, id: StreamId, ending: Ending, now: Now) {
        self.end_bridge(id);
        let disconnect = |path| self.engine.disconnect(path, now.moment, &mut self.ports);
        self.streams.close(id, ending, disconnect);
    }
}
