//! TCP and TLS connections as a source of messages, and a way to their clients: bounded in memory and time.
//!
//! A connection comes here when it has shown what it speaks, and stays until it ends. What it says is read in turns,
//! so that a client that floods cannot keep others from being heard. What it is sent waits in an outbox of whole
//! messages: when that is full, messages are dropped, as a network would.
//!
//! Connections with peers (RFC 6062) are here too. Once bound to a client's they carry bytes that are no messages:
//! none is dropped, and whoever sends them waits until the other side has taken them.

mod outbox;
mod role;
mod stream;

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use mio::event::Event;
use mio::net::TcpStream;
use mio::{Interest, Registry};
use slab::Slab;

use crate::clock::Moment;
use crate::metrics::Counters;
use crate::outcome::{Ending, Ignored};
use crate::relay::address::{ClientPath, ConnectionId, RelayId, StreamId, Via};
use crate::relay::framing::MESSAGE_MAX;
use crate::relay::patience::{IDLE, Patience};
use crate::relay::ready::Ready;
use crate::relay::source::Source;

pub use role::{Arrival, Bridge, PeerArrival, Role};
pub use stream::Arrived;
use stream::{OUTBOX_MAX, READ, Stream};

/// The connections of one shard.
pub struct Streams {
    slots: Slab<Stream>,
    registry: Registry,
    counters: Arc<Counters>,
    /// The connections that may have something to read.
    readable: Ready<StreamId>,
    /// The connections that have something to send that was not tried yet.
    sending: Ready<StreamId>,
    /// The connections with peers, by their names.
    peers: HashMap<ConnectionId, StreamId>,
    /// For each connection, a moment no later than the end of its patience.
    deadlines: BTreeSet<(Moment, StreamId)>,
    /// When those may be read again that carried more than they may.
    paused: BTreeSet<(Moment, StreamId)>,
    /// Where TLS records are read to.
    records: Box<[u8]>,
}

/// What a turn of reading brought.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Receipt {
    /// Bytes, or nothing.
    Open,
    /// Perhaps bytes; and then the end.
    Ended(Ending),
}

/// Room in the outbox that media leave to answers; without an allocation there is no more.
const ANSWERS: usize = 16 << 10;
/// As long as less waits for one side of a bridge, the other is read.
const BRIDGED: usize = 64 << 10;
const _: () = assert!(BRIDGED + MESSAGE_MAX + 3 * READ <= OUTBOX_MAX, "what a bridge has read must fit");
/// How long a connection is not read that carried more than it may.
const PAUSE: Duration = Duration::from_millis(10);

impl Streams {
    /// No connections yet.
    #[must_use]
    pub fn new(registry: Registry, counters: Arc<Counters>) -> Self {
        Self {
            slots: Slab::new(),
            registry,
            counters,
            readable: Ready::default(),
            sending: Ready::default(),
            peers: HashMap::new(),
            deadlines: BTreeSet::new(),
            paused: BTreeSet::new(),
            records: vec![0; READ].into(),
        }
    }

    /// Takes in a client's connection. One that the kernel refuses to poll is closed.
    pub fn adopt(&mut self, arrival: Arrival) -> Option<StreamId> {
        let Arrival { socket, tls, client, server, since, permit, said } = arrival;
        let role = Role::Client(ClientPath { client, server, via: Via::Stream(self.next_id()) });
        let socket = TcpStream::from_std(socket);
        let mut stream = Stream::new(socket, tls, client, role, Patience::new(since), permit);
        (stream.flags.backlog, stream.flags.moved) = (!said.is_empty(), !said.is_empty());
        stream.unfinished = said;
        let id = self.insert(stream)?;
        // TLS may have decrypted a message with the end of the handshake; the kernel will not tell of it.
        self.expect_reading(id);
        Some(id)
    }

    /// Has `tell` called when a connection must make way for another.
    pub fn watch(&self, id: StreamId, tell: impl FnOnce() + Send + 'static) {
        if let Some(stream) = self.slots.get(id.0 as usize) {
            stream.permit.watch(tell);
        }
    }

    /// Whether a connection must make way for another.
    #[must_use]
    pub fn must_make_way(&self, id: StreamId) -> bool {
        self.slots.get(id.0 as usize).is_some_and(|stream| stream.permit.must_make_way())
    }

    /// Takes in a connection with a peer; false if the kernel refuses to poll it.
    pub fn adopt_peer(&mut self, arrival: PeerArrival, now: Moment) -> bool {
        let PeerArrival { socket, peer, role, permit } = arrival;
        let id = self.insert(Stream::new(socket, None, peer, role, Patience::for_peer(now), permit));
        self.peers.extend(role.peer().map(|(connection, _)| connection).zip(id));
        id.is_some()
    }

    fn next_id(&self) -> StreamId {
        StreamId(self.slots.vacant_key() as u32)
    }

    fn insert(&mut self, mut stream: Stream) -> Option<StreamId> {
        let id = self.next_id();
        let token = Source::Stream(id).into();
        let interest = Interest::READABLE | Interest::WRITABLE;
        if let Err(error) = self.registry.register(&mut stream.socket, token, interest) {
            tracing::warn!(%error, "a connection could not be registered");
            return None;
        }
        self.deadlines.insert((stream.deadline, id));
        self.slots.insert(stream);
        self.counters.streams.add(1);
        Some(id)
    }

    /// Gives a client's connection away, with what it `said` and was not answered. Once: whoever wants to be in two
    /// places would cost both.
    pub fn release(&mut self, id: StreamId, said: &[u8], now: Moment) -> Option<Arrival> {
        let Role::Client(ClientPath { client, server, via: _ }) = self.role(id)? else { return None };
        let stream = self.slots.get_mut(id.0 as usize).filter(|stream| !stream.flags.moved)?;
        // Nothing waits at the beginning of a connection, unless its client plays tricks.
        if stream.has_to_send() && (stream.send().is_err() || stream.has_to_send()) {
            return None;
        }
        let mut stream = self.remove(id)?;
        let _ = self.registry.deregister(&mut stream.socket);
        self.counters.streams.sub(1);
        let Stream { socket, tls, permit, .. } = stream;
        let socket = std::net::TcpStream::from(socket);
        Some(Arrival { socket, tls, client, server, since: now, permit, said: said.to_owned() })
    }

    fn remove(&mut self, id: StreamId) -> Option<Stream> {
        let stream = self.slots.try_remove(id.0 as usize)?;
        self.deadlines.remove(&(stream.deadline, id));
        if let Some((connection, _)) = stream.role.peer() {
            self.peers.remove(&connection);
        }
        Some(stream)
    }

    /// Notes what an event says of a connection.
    pub fn on_event(&mut self, id: StreamId, event: &Event) {
        let Some(stream) = self.slots.get_mut(id.0 as usize) else { return };
        stream.flags.closing |= event.is_read_closed();
        // A peer has answered, or it is known that it will not.
        let answered = event.is_writable() && matches!(stream.role, Role::Connecting(..));
        let sends = event.is_writable() && stream.has_to_send();
        let speaks = event.is_readable() || event.is_read_closed() || event.is_error() || answered;
        if speaks && !stream.flags.paused {
            self.expect_reading(id);
        }
        if sends {
            self.sending.push(id);
        }
    }

    /// Gives a connection a turn to be read.
    pub fn expect_reading(&mut self, id: StreamId) {
        self.readable.push(id);
    }

    /// Whether there is something to do at once.
    #[must_use]
    pub fn is_busy(&self) -> bool {
        !self.readable.is_empty() || !self.sending.is_empty()
    }

    /// The connection whose turn it is.
    pub fn next_turn(&mut self) -> Option<StreamId> {
        std::iter::from_fn(|| self.readable.pop()).find(|id| self.slots.contains(id.0 as usize))
    }

    /// What a connection is for, if it is still there.
    #[must_use]
    pub fn role(&self, id: StreamId) -> Option<Role> {
        self.slots.get(id.0 as usize).map(|stream| stream.role)
    }

    /// Makes a connection something else.
    pub fn become_role(&mut self, id: StreamId, role: Role, now: Moment) {
        let Some(stream) = self.slots.get_mut(id.0 as usize) else { return };
        stream.role = role;
        match role {
            Role::Peer(_) | Role::Data(_) => {
                stream.permit.settle();
                stream.patience.bound();
                stream.be_patient();
            }
            Role::Unbound(..) => stream.patience = Patience::for_peer(now),
            Role::Client(_) | Role::Connecting(..) | Role::Leaving(_) => {}
        }
    }

    /// The connection with a peer that has this name.
    #[must_use]
    pub fn peer(&self, connection: ConnectionId) -> Option<StreamId> {
        self.peers.get(&connection).copied()
    }

    /// The connections with peers from or to some relayed addresses.
    #[must_use]
    pub fn peers(&self, of: impl Fn(RelayId) -> bool) -> Vec<StreamId> {
        let is_wanted = |id: &&StreamId| {
            let role = self.role(**id).and_then(Role::peer);
            role.is_some_and(|(_, relay)| of(relay))
        };
        let mut found: Vec<StreamId> = self.peers.values().filter(is_wanted).copied().collect();
        found.sort_unstable();
        found
    }

    /// Whether no message has come on a connection yet.
    #[must_use]
    pub fn is_first(&self, id: StreamId) -> bool {
        self.slots.get(id.0 as usize).is_some_and(|stream| stream.patience.is_first())
    }

    /// Reads what there is, up to a turn's worth, behind what was left over before. A connection that may have more
    /// gets another turn.
    pub fn receive(&mut self, id: StreamId, arrived: &mut Arrived) -> Receipt {
        arrived.begin(&[]);
        let Some(stream) = self.slots.get_mut(id.0 as usize) else { return Receipt::Open };
        arrived.begin(&stream.unfinished);
        let receipt = match (std::mem::take(&mut stream.flags.backlog), stream.ended) {
            (true, _) => Ok(true),
            (false, Some(ending)) => Err(ending),
            (false, None) => stream.read(arrived, &mut self.records),
        };
        let pending = stream.has_to_send();
        if receipt == Ok(true) {
            self.expect_reading(id);
        }
        if pending {
            self.sending.push(id);
        }
        receipt.map_or_else(Receipt::Ended, |_| Receipt::Open)
    }

    /// Keeps what is not used yet: the beginning of a message, until the rest comes, or a `backlog` of whole messages,
    /// until the next turn, which then reads nothing more. So many `messages` were before it.
    pub fn keep(&mut self, id: StreamId, messages: usize, unused: &[u8], backlog: bool, now: Moment) {
        let Some(stream) = self.slots.get_mut(id.0 as usize) else { return };
        stream.keep(unused);
        stream.flags.backlog = backlog;
        stream.patience.received(messages, !unused.is_empty(), now);
        if backlog {
            self.expect_reading(id);
        }
        self.reschedule(id);
    }

    /// A connection has ended; whether something is still to be done with it, before it is closed.
    pub fn postpones_end(&mut self, id: StreamId, ending: Ending) -> bool {
        let Some(stream) = self.slots.get_mut(id.0 as usize) else { return false };
        stream.ended = Some(ending);
        match stream.role {
            Role::Leaving(_) => stream.has_to_send(),
            Role::Client(_) => stream.flags.backlog,
            Role::Connecting(..) | Role::Unbound(..) | Role::Peer(_) | Role::Data(_) => false,
        }
    }

    /// Sends an answer, when [`Self::flush`] is called. For strangers little is held.
    pub fn answer(&mut self, id: StreamId, message: &[u8], allocated: bool) {
        if let Some(stream) = self.slots.get_mut(id.0 as usize) {
            stream.stand(allocated);
        }
        self.push(id, message, if allocated { OUTBOX_MAX } else { ANSWERS });
    }

    /// Sends media, when [`Self::flush`] is called.
    pub fn relay(&mut self, id: StreamId, message: &[u8]) {
        self.push(id, message, OUTBOX_MAX - ANSWERS);
    }

    /// Sends a part of somebody else's bytes, when [`Self::flush`] is called. [`Self::may_bridge`] says that they fit.
    pub fn carry(&mut self, id: StreamId, bytes: &[u8]) {
        self.push(id, bytes, OUTBOX_MAX);
    }

    fn push(&mut self, id: StreamId, message: &[u8], most: usize) {
        let Some(stream) = self.slots.get_mut(id.0 as usize) else { return };
        if stream.push(message, most) {
            self.sending.push(id);
        } else {
            self.counters.ignored(Ignored::SlowReader);
        }
    }

    /// Whether one side of a bridge may be read: not while much waits for the other. Then it is read when that has
    /// been taken.
    pub fn may_bridge(&mut self, id: StreamId, mate: StreamId) -> bool {
        let may = self.slots.get(mate.0 as usize).is_none_or(|mate| mate.waiting() < BRIDGED);
        if let Some(stream) = self.slots.get_mut(id.0 as usize) {
            stream.flags.held = !may;
        }
        may
    }

    /// Does not read a connection for a moment.
    pub fn pause(&mut self, id: StreamId, now: Moment) {
        let Some(stream) = self.slots.get_mut(id.0 as usize) else { return };
        if !std::mem::replace(&mut stream.flags.paused, true) {
            self.paused.insert((now + PAUSE, id));
        }
    }

    /// Gives a turn to the connections that have paused long enough.
    pub fn resume(&mut self, now: Moment) {
        while let Some((_, id)) = self.paused.first().copied().filter(|(moment, _)| *moment <= now) {
            self.paused.pop_first();
            if let Some(stream) = self.slots.get_mut(id.0 as usize) {
                stream.flags.paused = false;
            }
            self.expect_reading(id);
        }
    }

    /// Sends what waits, each connection's messages together; returns the connections that have ended with it, or
    /// turn out to have ended.
    pub fn flush(&mut self, now: Moment) -> Vec<StreamId> {
        let mut ended = Vec::new();
        while let Some(id) = self.sending.pop() {
            let Some(stream) = self.slots.get_mut(id.0 as usize) else { continue };
            match (stream.send(), stream.role) {
                (Err(_), _) => ended.push(id),
                // Whoever is bridged may take its time.
                (Ok(_), Role::Peer(_) | Role::Data(_)) => {}
                (Ok(_), Role::Leaving(_)) if !stream.has_to_send() => match stream.ended {
                    Some(_) => ended.push(id),
                    None => stream.shut(now),
                },
                (Ok(progress), _) => stream.patience.sent(progress, stream.has_to_send(), now),
            }
            let room = stream.waiting() < BRIDGED;
            if let Role::Peer(bridge) | Role::Data(bridge) = stream.role
                && room
                && self.slots.get(bridge.mate.0 as usize).is_some_and(|mate| mate.flags.held)
            {
                self.expect_reading(bridge.mate);
            }
            self.reschedule(id);
        }
        ended
    }

    /// Whether the peer of a connection that was being made has answered; `None` while that is not known.
    #[must_use]
    pub fn is_connected(&self, id: StreamId) -> Option<bool> {
        let socket = &self.slots.get(id.0 as usize)?.socket;
        match (socket.take_error(), socket.peer_addr()) {
            (Ok(None), Ok(_)) => Some(true),
            (Ok(None), Err(_)) => None,
            _ => Some(false),
        }
    }

    /// When there is something to do at the latest; `None` while there is no connection.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Moment> {
        let first = |deadlines: &BTreeSet<(Moment, StreamId)>| deadlines.first().map(|(moment, _)| *moment);
        first(&self.deadlines).into_iter().chain(first(&self.paused)).min()
    }

    /// The next connection whose patience has ended, and with what. It is to be closed.
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
                Role::Connecting(..)
                | Role::Unbound(..)
                | Role::Peer(_)
                | Role::Data(_)
                | Role::Leaving(_) => true,
            };
            let (end, ending) = stream.patience.end(may_be_silent);
            if end <= now {
                return Some((id, ending));
            }
            // Whoever has an allocation now may be without one later.
            self.schedule(id, end.min(now + IDLE));
        }
        None
    }

    /// Moves a deadline forward, if patience ends earlier than was thought; later is found out when it comes.
    fn reschedule(&mut self, id: StreamId) {
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

    /// Ends a connection when all that waits for the other end has left.
    pub fn leave(&mut self, id: StreamId) {
        let Some(stream) = self.slots.get_mut(id.0 as usize) else { return };
        stream.role = Role::Leaving(stream.role.peer());
        self.sending.push(id);
        self.expect_reading(id);
    }

    /// Ends a connection. What can leave at once still does.
    pub fn close(&mut self, id: StreamId, ending: Ending) {
        let Some(mut stream) = self.remove(id) else { return };
        stream.part();
        let _ = self.registry.deregister(&mut stream.socket);
        let Stream { socket, permit, remote, .. } = stream;
        // In this order: who sees the end may come again at once, and who is counted as gone has left.
        drop(permit);
        drop(socket);
        self.counters.streams.sub(1);
        self.counters.ended(ending);
        tracing::debug!(%remote, reason = ending.name(), "connection ended");
    }
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, TcpListener};

    use super::*;
    use crate::relay::admission::{Admission, Bounds, Permit};

    fn at(seconds: u64) -> Moment {
        Moment::default() + Duration::from_secs(seconds)
    }

    struct World {
        streams: Streams,
        admission: Arc<Admission>,
        /// The other ends.
        clients: Vec<std::net::TcpStream>,
        poll: mio::Poll,
    }

    impl World {
        fn new(most: usize) -> Self {
            let poll = mio::Poll::new().unwrap();
            let streams = Streams::new(poll.registry().try_clone().unwrap(), Arc::default());
            let bounds = Bounds { most, per_network: most, per_address: most };
            Self { streams, admission: Arc::new(Admission::new(bounds)), clients: Vec::new(), poll }
        }

        /// A client that has connected at 100 s, and its place.
        fn client(&mut self) -> StreamId {
            let _open = &self.poll;
            let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
            let server = listener.local_addr().unwrap();
            let client = std::net::TcpStream::connect(server).unwrap();
            let (socket, from) = listener.accept().unwrap();
            socket.set_nonblocking(true).unwrap();
            self.clients.push(client);
            let permit: Permit = self.admission.admit(Some(from.ip()), at(100)).unwrap();
            let arrival =
                Arrival { socket, tls: None, client: from, server, since: at(100), permit, said: Vec::new() };
            self.streams.adopt(arrival).unwrap()
        }

        /// How the client's connection ends if it asks something every 95 seconds until 1000 s; and when.
        fn end(&mut self, id: StreamId, allocated: bool) -> Option<(u64, Ending)> {
            self.streams.keep(id, 1, &[], false, at(101));
            self.streams.answer(id, b"", allocated);
            (102..1000).find_map(|second| {
                if second % 95 == 0 {
                    self.streams.keep(id, 1, &[], false, at(second));
                    self.streams.answer(id, b"", false);
                }
                let (ended, ending) = self.streams.impatient(at(second), |_| false)?;
                assert_eq!(ended, id);
                Some((second, ending))
            })
        }
    }

    /// F6: twenty bytes now and then held a connection for ever.
    #[test]
    fn a_stranger_has_two_minutes_however_often_it_asks_and_who_has_had_an_allocation_is_waited_for() {
        let mut world = World::new(2);
        let stranger = world.client();
        assert_eq!(world.end(stranger, false), Some((220, Ending::NoCredential)));
        world.streams.close(stranger, Ending::NoCredential);
        let known = world.client();
        assert_eq!(world.end(known, true), None);
    }

    #[test]
    fn whoever_has_an_allocation_keeps_its_place_until_it_has_none() {
        let mut world = World::new(2);
        let [served, stranger] = [world.client(), world.client()];
        world.streams.answer(served, b"", true);
        let newcomer = world.client();
        assert!(world.streams.must_make_way(stranger) && !world.streams.must_make_way(served));
        world.streams.close(stranger, Ending::MadeWay);
        world.streams.answer(newcomer, b"", true);
        world.streams.answer(served, b"", false);
        world.client();
        assert!(world.streams.must_make_way(served) && !world.streams.must_make_way(newcomer));
    }
}
