//! Reads connections in turns, so that a client that floods cannot keep others from being heard, and says what was heard.

use std::ops::Range;
use std::time::Duration;

use mio::event::Event;

use crate::clock::Moment;
use crate::outcome::Ending;
use crate::relay::address::{ClientPath, StreamId};
use crate::relay::framing::{NotStun, message_length};
use crate::relay::patience::Patience;
use crate::relay::streams::role::Role;
use crate::relay::streams::stream::OUTBOX_MAX;
use crate::relay::streams::{BRIDGED, Streams};

/// What was heard on a connection.
#[derive(Debug)]
pub enum Heard<'a> {
    /// A client sent this message, in its padding.
    Message {
        /// The connection.
        id: StreamId,
        /// The client's 5-tuple.
        path: ClientPath,
        /// The whole message.
        message: &'a [u8],
    },
    /// A connection of a bridge sent bytes. They wait to be sent on the other one.
    Bytes {
        /// The connection.
        id: StreamId,
        /// How many bytes.
        count: usize,
    },
    /// A peer has answered: the connection with it is made.
    Connected(StreamId),
    /// A connection has ended, or has to, for this reason. It is to be closed.
    Ended(StreamId, Ending),
}

/// What arrived in the turn of a client, while it is cut into messages.
#[derive(Debug)]
pub(super) struct Turn {
    pub(super) id: StreamId,
    path: ClientPath,
    /// Where the message is that was heard last. What is behind it is still to be heard.
    pub(super) message: Range<usize>,
    /// How many messages were heard.
    messages: usize,
    /// Whether no message had come on the connection before.
    first: bool,
    /// Whether a whole message is left for the next turn.
    backlog: bool,
    /// How the connection ended behind what arrived, if it did.
    pub(super) ended: Option<Ending>,
}

/// Connections that are read in a round, and messages that each may deliver then.
const TURNS: usize = 16;
const TURN_MESSAGES: usize = 16;
/// How long a connection is not read that carried more than it may.
const PAUSE: Duration = Duration::from_millis(10);

impl Streams {
    /// Notes what an event says of a connection.
    pub fn on_event(&mut self, id: StreamId, event: &Event) {
        let Some(stream) = self.slots.get_mut(id.0 as usize) else { return };
        stream.flags.closing |= event.is_read_closed();
        // A peer has answered, or it is known that it will not.
        let answered = event.is_writable() && stream.role == Role::Connecting;
        let sends = event.is_writable() && stream.has_to_send();
        let speaks = event.is_readable() || event.is_read_closed() || event.is_error() || answered;
        if speaks && !stream.flags.paused {
            self.readable.push(id);
        }
        if sends {
            self.sending.push(id);
        }
    }

    /// What was heard next; `None` when nothing more was, or when enough was heard in this round, which
    /// [`Self::flush`] ends. `may_carry` says whether a connection of a bridge may carry more bytes now.
    ///
    /// A message is to be dealt with before the next call: what is behind it may be for somebody else then, see
    /// [`Self::bridge`] and [`Self::release`].
    pub fn next(&mut self, now: Moment, may_carry: impl Fn(StreamId) -> bool) -> Option<Heard<'_>> {
        loop {
            if let Some(turn) = &mut self.turn {
                let (id, path) = (turn.id, turn.path);
                match turn.next_message(self.arrived.bytes()) {
                    Ok(Some(range)) => {
                        let message = &self.arrived.bytes()[range];
                        return Some(Heard::Message { id, path, message });
                    }
                    Ok(None) => {
                        if let Some(ending) = self.end_turn(now) {
                            return Some(Heard::Ended(id, ending));
                        }
                    }
                    Err(NotStun) => {
                        self.turn = None;
                        return Some(Heard::Ended(id, Ending::BadMessage));
                    }
                }
            }
            let (id, role) = self.next_turn(now)?;
            let heard = match role {
                Role::Client(path) => {
                    self.begin_turn(id, path);
                    None
                }
                Role::Connecting => self.hear_whether_connected(id, now),
                Role::Unbound => self.hear_reset(id),
                Role::Bridged(mate) => self.hear_bytes(id, mate, may_carry(id), now),
                Role::Leaving => self.hear_nothing_but_the_end(id),
            };
            if heard.is_some() {
                return heard;
            }
        }
    }

    /// The connection whose turn it is.
    fn next_turn(&mut self, now: Moment) -> Option<(StreamId, Role)> {
        self.resume(now);
        while self.turns < TURNS {
            let id = self.readable.pop()?;
            if let Some(stream) = self.slots.get(id.0 as usize) {
                self.turns += 1;
                return Some((id, stream.role));
            }
        }
        None
    }

    /// Gives a turn to the connections that have paused long enough.
    fn resume(&mut self, now: Moment) {
        while let Some((_, id)) = self.paused.first().copied().filter(|(moment, _)| *moment <= now) {
            self.paused.pop_first();
            if let Some(stream) = self.slots.get_mut(id.0 as usize) {
                stream.flags.paused = false;
            }
            self.readable.push(id);
        }
    }

    /// Reads what there is, up to a turn's worth, behind what was left over before; returns how the connection has
    /// ended, if it has. A connection that may have more gets another turn.
    fn receive(&mut self, id: StreamId) -> Option<Ending> {
        let Self { slots, arrived, records, .. } = self;
        let stream = slots.get_mut(id.0 as usize)?;
        arrived.begin(&stream.unfinished);
        let receipt = match (std::mem::take(&mut stream.flags.backlog), stream.ended) {
            (true, _) => Ok(true),
            (false, Some(ending)) => Err(ending),
            (false, None) => stream.read(arrived, records),
        };
        let has_to_send = stream.has_to_send();
        if receipt == Ok(true) {
            self.readable.push(id);
        }
        if has_to_send {
            self.sending.push(id);
        }
        receipt.err()
    }

    fn begin_turn(&mut self, id: StreamId, path: ClientPath) {
        let ended = self.receive(id);
        let first = self.slots.get(id.0 as usize).is_some_and(|stream| stream.patience.is_first());
        self.turn = Some(Turn { id, path, message: 0..0, messages: 0, first, backlog: false, ended });
    }

    /// Keeps what was not heard: the beginning of a message, until the rest comes, or a backlog of whole messages, until
    /// the next turn, which then reads nothing more. Returns how the connection has ended, if nothing is left to hear.
    fn end_turn(&mut self, now: Moment) -> Option<Ending> {
        let Turn { id, message, messages, backlog, ended, .. } = self.turn.take()?;
        let stream = self.slots.get_mut(id.0 as usize)?;
        let rest = &self.arrived.bytes()[message.end..];
        stream.keep(rest);
        stream.flags.backlog = backlog;
        stream.ended = ended.or(stream.ended);
        stream.patience.received(messages, !rest.is_empty(), now);
        if backlog {
            self.readable.push(id);
        }
        self.reschedule(id);
        ended.filter(|_| !backlog)
    }

    fn hear_whether_connected(&mut self, id: StreamId, now: Moment) -> Option<Heard<'static>> {
        let stream = self.slots.get_mut(id.0 as usize)?;
        match stream.is_connected() {
            None => None,
            Some(false) => Some(Heard::Ended(id, Ending::Refused)),
            Some(true) => {
                stream.role = Role::Unbound;
                stream.patience = Patience::for_peer(now);
                Some(Heard::Connected(id))
            }
        }
    }

    /// A peer that nobody has bound yet may be gone, and its place with it. One that has only said its last byte is not:
    /// what it said may still be wanted.
    fn hear_reset(&self, id: StreamId) -> Option<Heard<'static>> {
        let stream = self.slots.get(id.0 as usize)?;
        (stream.is_connected() == Some(false)).then_some(Heard::Ended(id, Ending::Closed))
    }

    /// Reads a connection of a bridge, as far as it may carry bytes and the other one has room for them.
    fn hear_bytes(
        &mut self,
        id: StreamId,
        mate: StreamId,
        may_carry: bool,
        now: Moment,
    ) -> Option<Heard<'static>> {
        let stream = self.slots.get(id.0 as usize)?;
        if let Some(ending) = stream.ended.filter(|_| !stream.flags.backlog) {
            return Some(Heard::Ended(id, ending));
        }
        if !may_carry {
            self.pause(id, now);
            return None;
        }
        if !self.has_room_for(id, mate) {
            return None;
        }
        let ended = self.receive(id);
        let bytes = self.arrived.bytes();
        if let Some(stream) = self.slots.get_mut(id.0 as usize) {
            stream.keep(&[]);
            stream.ended = ended.or(stream.ended);
        }
        if bytes.is_empty() {
            return ended.map(|ending| Heard::Ended(id, ending));
        }
        if ended.is_some() {
            // Its end is heard in its next turn.
            self.readable.push(id);
        }
        if self.slots.get_mut(mate.0 as usize).is_some_and(|mate| mate.push(bytes, OUTBOX_MAX)) {
            self.sending.push(mate);
        }
        Some(Heard::Bytes { id, count: bytes.len() })
    }

    /// Whether a connection of a bridge may be read: not while much waits to be sent on the other one. Then it is read
    /// when that has been sent.
    fn has_room_for(&mut self, id: StreamId, mate: StreamId) -> bool {
        let has_room = self.slots.get(mate.0 as usize).is_none_or(|mate| mate.waiting() < BRIDGED);
        if let Some(stream) = self.slots.get_mut(id.0 as usize) {
            stream.flags.held = !has_room;
        }
        has_room
    }

    /// Does not read a connection for a moment.
    fn pause(&mut self, id: StreamId, now: Moment) {
        let Some(stream) = self.slots.get_mut(id.0 as usize) else { return };
        if !std::mem::replace(&mut stream.flags.paused, true) {
            self.paused.insert((now + PAUSE, id));
        }
    }

    /// Throws away what comes, until the other end closes and all that waited for it has been sent.
    fn hear_nothing_but_the_end(&mut self, id: StreamId) -> Option<Heard<'static>> {
        let ending = self.receive(id)?;
        let stream = self.slots.get_mut(id.0 as usize)?;
        stream.ended = Some(ending);
        (!stream.has_to_send()).then_some(Heard::Ended(id, ending))
    }
}

impl Turn {
    /// The next message in what arrived; `None` if there is no whole one, or if the turn is over.
    fn next_message(&mut self, arrived: &[u8]) -> Result<Option<Range<usize>>, NotStun> {
        let begin = self.message.end;
        let length = message_length(&arrived[begin..], self.first && self.messages == 0)?;
        let Some(length) = length.filter(|_| self.messages < TURN_MESSAGES) else {
            self.backlog = length.is_some();
            return Ok(None);
        };
        self.message = begin..begin + length;
        self.messages += 1;
        Ok(Some(self.message.clone()))
    }
}
