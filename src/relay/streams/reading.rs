//! Reads connections in turns, so that a client that floods cannot starve others, and reports what was received.

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

/// What was received on a connection.
#[derive(Debug)]
pub enum Heard<'a> {
    /// A client sent this message, padding included.
    Message {
        /// The connection.
        id: StreamId,
        /// The client's 5-tuple.
        path: ClientPath,
        /// The whole message.
        message: &'a [u8],
    },
    /// A connection of a bridge received bytes. They wait to be sent on the other connection.
    Bytes {
        /// The connection.
        id: StreamId,
        /// How many bytes.
        count: usize,
    },
    /// The connection with a peer is established.
    Connected(StreamId),
    /// A connection has ended or must end, for this reason. The caller closes it.
    Ended(StreamId, Ending),
}

/// What arrived in a client's turn, while it is split into messages.
#[derive(Debug)]
pub(super) struct Turn {
    pub(super) id: StreamId,
    path: ClientPath,
    /// The range of the last message that was returned. The bytes behind it are still to be processed.
    pub(super) message: Range<usize>,
    /// How many messages were returned.
    messages: usize,
    /// Whether no message had arrived on the connection before.
    first: bool,
    /// Whether a whole message is left for the next turn.
    backlog: bool,
    /// How the connection ended after these bytes, if it did.
    pub(super) ended: Option<Ending>,
}

/// Connections that are read in a round, and messages that each may deliver in it.
const TURNS: usize = 16;
const TURN_MESSAGES: usize = 16;
/// How long a connection that exceeded its rate is not read.
const PAUSE: Duration = Duration::from_millis(10);

impl Streams {
    /// Notes what an event says of a connection.
    pub fn on_event(&mut self, id: StreamId, event: &Event) {
        let Some(stream) = self.slots.get_mut(id.0 as usize) else { return };
        stream.flags.closing |= event.is_read_closed();
        // The connection with the peer has been established or has failed.
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

    /// What was received next; `None` when there is nothing more, or enough for this round, which [`Self::flush`] ends.
    /// `may_carry` says whether a connection of a bridge may carry more bytes now.
    ///
    /// The caller must process a message before the next call: the bytes behind it may belong to another connection or
    /// shard after that, see [`Self::bridge`] and [`Self::release`].
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

    /// Gives a turn to the connections whose pause is over.
    fn resume(&mut self, now: Moment) {
        while let Some((_, id)) = self.paused.first().copied().filter(|(moment, _)| *moment <= now) {
            self.paused.pop_first();
            if let Some(stream) = self.slots.get_mut(id.0 as usize) {
                stream.flags.paused = false;
            }
            self.readable.push(id);
        }
    }

    /// Reads what is available, up to a turn's worth, and appends it to what was left over. Returns how the connection
    /// has ended, if it has. A connection that may have more gets another turn.
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

    /// Keeps what was not processed: the beginning of a message, until the rest arrives, or a backlog of whole
    /// messages, until the next turn, which then reads nothing more. Returns how the connection has ended, if nothing
    /// is left to process.
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

    /// Ends an unbound connection if the peer has reset it. If the peer has only sent its last byte, the connection
    /// stays, because a client may still want what the peer sent.
    fn hear_reset(&self, id: StreamId) -> Option<Heard<'static>> {
        let stream = self.slots.get(id.0 as usize)?;
        (stream.is_connected() == Some(false)).then_some(Heard::Ended(id, Ending::Closed))
    }

    /// Reads a connection of a bridge, as far as it may carry bytes and the other connection has room for them.
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
            // The end is reported in the connection's next turn.
            self.readable.push(id);
        }
        let other = self.slots.get_mut(mate.0 as usize);
        if other.is_some_and(|other| other.push(&[bytes], OUTBOX_MAX, &mut self.spares)) {
            self.sending.push(mate);
        }
        Some(Heard::Bytes { id, count: bytes.len() })
    }

    /// Whether a connection of a bridge may be read: not while much waits to be sent on the other one. In that case it
    /// is read after that has been sent.
    fn has_room_for(&mut self, id: StreamId, mate: StreamId) -> bool {
        let has_room = self.slots.get(mate.0 as usize).is_none_or(|mate| mate.waiting() < BRIDGED);
        if let Some(stream) = self.slots.get_mut(id.0 as usize) {
            stream.flags.held = !has_room;
        }
        has_room
    }

    /// Stops reading a connection for a moment.
    fn pause(&mut self, id: StreamId, now: Moment) {
        let Some(stream) = self.slots.get_mut(id.0 as usize) else { return };
        if !std::mem::replace(&mut stream.flags.paused, true) {
            self.paused.insert((now + PAUSE, id));
        }
    }

    /// Discards what arrives, until the other end closes and everything that waited for it has been sent.
    fn hear_nothing_but_the_end(&mut self, id: StreamId) -> Option<Heard<'static>> {
        let ending = self.receive(id)?;
        let stream = self.slots.get_mut(id.0 as usize)?;
        stream.ended = Some(ending);
        (!stream.has_to_send()).then_some(Heard::Ended(id, ending))
    }
}

impl Turn {
    /// The next whole message in what arrived; `None` if there is none, or if the turn is over.
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

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};

    use super::*;
    use crate::relay::streams::tests::{World, at};

    /// A Binding request.
    const MESSAGE: [u8; 20] = *b"\0\x01\0\0\x21\x12\xA4\x42transaction!";

    /// What is received next, without its bytes.
    #[derive(Debug, PartialEq, Eq)]
    enum Next {
        Message(StreamId),
        Bytes(StreamId, usize),
        Ended(StreamId, Ending),
        Nothing,
    }

    fn next(world: &mut World, second: u64) -> Next {
        match world.streams.next(at(second), |_| true) {
            Some(Heard::Message { id, path: _, message }) => {
                assert_eq!(message, MESSAGE);
                Next::Message(id)
            }
            Some(Heard::Bytes { id, count }) => Next::Bytes(id, count),
            Some(Heard::Connected(id)) => panic!("{id:?} was never begun"),
            Some(Heard::Ended(id, ending)) => Next::Ended(id, ending),
            None => Next::Nothing,
        }
    }

    /// A world with a bridge of a client and a peer, their sockets' ids, and their other ends.
    fn bridge() -> (World, [StreamId; 2], [std::net::TcpStream; 2]) {
        let mut world = World::new(2);
        let (client, mut client_end) = world.connect();
        let (peer, peer_end) = world.peer();
        client_end.write_all(&MESSAGE).unwrap();
        world.await_event(client);
        assert_eq!(next(&mut world, 101), Next::Message(client));
        world.streams.bridge(client, peer);
        while next(&mut world, 101) != Next::Nothing {}
        (world, [client, peer], [client_end, peer_end])
    }

    #[test]
    fn whole_messages_are_heard_and_the_beginning_of_one_waits_for_its_rest() {
        let mut world = World::new(1);
        let (id, mut end) = world.connect();
        end.write_all(&[&MESSAGE[..], &MESSAGE, &MESSAGE[..7]].concat()).unwrap();
        world.await_event(id);
        let heard: Vec<_> = (0..3).map(|_| next(&mut world, 101)).collect();
        assert_eq!(heard, [Next::Message(id), Next::Message(id), Next::Nothing]);
        end.write_all(&MESSAGE[7..]).unwrap();
        world.await_event(id);
        assert_eq!(next(&mut world, 102), Next::Message(id));
    }

    #[test]
    fn clients_that_flood_take_turns_and_a_round_has_an_end() {
        let mut world = World::new(2);
        let clients = [world.connect(), world.connect()];
        for (id, end) in &clients {
            (&*end).write_all(&MESSAGE.repeat(300)).unwrap();
            world.await_event(*id);
        }
        let ids = clients.each_ref().map(|(id, _)| *id);
        for turn in 0..TURNS {
            for _ in 0..TURN_MESSAGES {
                assert_eq!(next(&mut world, 101), Next::Message(ids[turn % 2]));
            }
        }
        assert_eq!(next(&mut world, 101), Next::Nothing);
        assert!(world.streams.is_busy());
        assert_eq!(world.streams.flush(at(101)), []);
        assert_eq!(next(&mut world, 101), Next::Message(ids[0]), "another round");
    }

    #[test]
    fn a_client_is_heard_to_its_last_message_before_its_end() {
        let mut world = World::new(1);
        let (id, mut end) = world.connect();
        end.write_all(&MESSAGE.repeat(TURN_MESSAGES + 1)).unwrap();
        drop(end);
        world.await_event(id);
        for _ in 0..=TURN_MESSAGES {
            assert_eq!(next(&mut world, 101), Next::Message(id));
        }
        assert_eq!(next(&mut world, 101), Next::Ended(id, Ending::Closed));
    }

    #[test]
    fn bytes_that_begin_no_message_end_the_connection() {
        let mut world = World::new(1);
        let (id, mut end) = world.connect();
        end.write_all(b"GET / HTTP/1.1\r\n").unwrap();
        world.await_event(id);
        assert_eq!(next(&mut world, 101), Next::Ended(id, Ending::BadMessage));
    }

    #[test]
    fn a_connection_that_is_given_away_takes_the_message_with_it_that_was_heard_last() {
        let mut world = World::new(1);
        let (id, mut end) = world.connect();
        end.write_all(&[&MESSAGE[..], &MESSAGE, b"rest"].concat()).unwrap();
        world.await_event(id);
        assert_eq!([next(&mut world, 101), next(&mut world, 101)], [Next::Message(id), Next::Message(id)]);
        let arrival = world.streams.release(id, at(101)).unwrap();
        assert_eq!(arrival.said, [&MESSAGE[..], b"rest"].concat());
        assert_eq!(next(&mut world, 101), Next::Nothing);
    }

    /// RFC 6062 §4.3.
    #[test]
    fn what_a_client_sends_behind_its_connection_bind_is_for_the_peer() {
        let mut world = World::new(2);
        let (client, mut end) = world.connect();
        let (peer, mut peer_end) = world.peer();
        end.write_all(&[&MESSAGE[..], b"rest"].concat()).unwrap();
        world.await_event(client);
        assert_eq!(next(&mut world, 101), Next::Message(client));
        world.streams.bridge(client, peer);
        assert_eq!(next(&mut world, 101), Next::Bytes(client, 4));
        assert_eq!(world.streams.flush(at(101)), []);
        let mut heard = [0; 4];
        peer_end.read_exact(&mut heard).unwrap();
        assert_eq!(&heard, b"rest");
    }

    #[test]
    fn a_bridge_that_may_not_carry_is_read_after_a_pause() {
        let (mut world, [_, peer], [_client_end, mut end]) = bridge();
        end.write_all(b"bytes").unwrap();
        world.await_event(peer);
        assert!(world.streams.next(at(102), |_| false).is_none());
        assert_eq!(next(&mut world, 102), Next::Nothing);
        assert_eq!(world.streams.next_deadline(), Some(at(102) + PAUSE));
        assert_eq!(next(&mut world, 103), Next::Bytes(peer, 5));
    }

    #[test]
    fn a_bridge_is_not_read_while_too_much_waits_for_its_other_end() {
        let (mut world, [client, peer], [mut client_end, mut end]) = bridge();
        let sent = BRIDGED + (16 << 10);
        end.write_all(&vec![7; sent]).unwrap();
        let mut carried = 0;
        while carried < BRIDGED {
            world.await_event(peer);
            while let Next::Bytes(id, count) = next(&mut world, 102) {
                assert_eq!(id, peer);
                carried += count;
            }
            assert!(world.streams.slots[client.0 as usize].waiting() >= carried);
        }
        assert_eq!(next(&mut world, 102), Next::Nothing, "the client has not been sent anything yet");
        while carried < sent {
            assert_eq!(world.streams.flush(at(102)), []);
            world.poll();
            if let Next::Bytes(_, count) = next(&mut world, 102) {
                carried += count;
            }
        }
        assert_eq!(world.streams.flush(at(102)), []);
        let mut heard = vec![0; sent];
        client_end.read_exact(&mut heard).unwrap();
    }

    #[test]
    fn an_end_that_was_read_with_a_backlog_is_returned_after_the_bind() {
        let mut world = World::new(2);
        let (client, mut end) = world.connect();
        let (peer, _peer_end) = world.peer();
        end.write_all(&MESSAGE.repeat(TURN_MESSAGES + 1)).unwrap();
        world.await_event(client);
        for _ in 0..TURN_MESSAGES {
            assert_eq!(next(&mut world, 101), Next::Message(client));
        }
        // As TLS notes a close_notify, after which no byte and no event follows.
        world.streams.slots[client.0 as usize].ended = Some(Ending::Closed);
        assert_eq!(next(&mut world, 101), Next::Message(client));
        world.streams.bridge(client, peer);
        assert_eq!(next(&mut world, 101), Next::Ended(client, Ending::Closed));
    }
}
