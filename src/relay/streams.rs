//! TCP and TLS connections as a source of messages and a way to their clients, limited in memory and time.
//!
//! A connection arrives here after its protocol has been detected, and stays until it ends. Its messages are read one
//! after the other ([`Streams::next`]). Outgoing messages wait in an outbox: when that is full, messages are dropped,
//! as in a network.
//!
//! Connections with peers (RFC 6062) are here too. Bridged connections carry bytes that are not messages: nothing is
//! dropped, and one connection is not read until the other has sent what it received.

mod deadlines;
mod outbox;
mod reading;
mod role;
mod sending;
mod stream;
mod tls;

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::Arc;

use mio::Interest;
use mio::net::TcpStream;
use slab::Slab;

use crate::clock::Moment;
use crate::journal::shown;
use crate::metrics::Counters;
use crate::outcome::Ending;
use crate::relay::address::{ClientPath, StreamId, Via};
use crate::relay::framing::MESSAGE_MAX;
use crate::relay::patience::Patience;
use crate::relay::ready::Ready;
use crate::relay::source::{Source, Watcher};

use outbox::Spares;
pub use reading::Heard;
use reading::Turn;
use role::Role;
pub use role::{Arrival, PeerArrival};
use stream::{Arrived, OUTBOX_MAX, READ, Stream};
pub use tls::TlsSession;

/// The connections of one shard.
pub struct Streams {
    slots: Slab<Stream>,
    watcher: Watcher,
    counters: Arc<Counters>,
    /// The connections that may have something to read.
    readable: Ready<StreamId>,
    /// The connections with something to send that has not been tried yet.
    sending: Ready<StreamId>,
    /// Buffers for the next connections that have something to send.
    spares: Spares,
    /// For each connection, a moment no later than the end of its patience.
    deadlines: BTreeSet<(Moment, StreamId)>,
    /// When the connections that exceeded their rate may be read again.
    paused: BTreeSet<(Moment, StreamId)>,
    /// The buffer for TLS records.
    records: Box<[u8]>,
    /// The bytes of the connection that was read last.
    arrived: Arrived,
    /// How far these bytes have been processed, if the connection is a client's.
    turn: Option<Turn>,
    /// How many connections were read in this round.
    turns: usize,
}

/// The events of a connection that are reported.
const BOTH_WAYS: Interest = Interest::READABLE.add(Interest::WRITABLE);

/// While less than this waits for one connection of a bridge, the other one is read.
const BRIDGED: usize = 64 << 10;
const _: () = assert!(BRIDGED + MESSAGE_MAX + 3 * READ <= OUTBOX_MAX, "what a bridge has read must fit");

impl Streams {
    /// No connections yet.
    #[must_use]
    pub(in crate::relay) fn new(watcher: Watcher, counters: Arc<Counters>) -> Self {
        Self {
            slots: Slab::new(),
            watcher,
            counters,
            readable: Ready::default(),
            sending: Ready::default(),
            spares: Spares::default(),
            deadlines: BTreeSet::new(),
            paused: BTreeSet::new(),
            records: vec![0; READ].into(),
            arrived: Arrived::new(),
            turn: None,
            turns: 0,
        }
    }

    /// Adds a client's connection. `make_way` is called, on another thread, when the connection is evicted: see
    /// [`Self::must_make_way`]. A connection that the kernel refuses to poll is closed.
    pub fn adopt(&mut self, arrival: Arrival, make_way: impl FnOnce(StreamId) + Send + 'static) {
        let Arrival { socket, tls, client, server, since, permit, said } = arrival;
        let id = self.next_id();
        let via = if tls.is_some() { Via::Tls(id) } else { Via::Tcp(id) };
        let role = Role::Client(ClientPath { client, server, via });
        let socket = TcpStream::from_std(socket);
        let mut stream = Stream::new(socket, tls, client, role, Patience::new(since), permit);
        (stream.flags.backlog, stream.flags.moved) = (!said.is_empty(), !said.is_empty());
        stream.unfinished = said;
        let Some(id) = self.insert(stream) else { return };
        // TLS may have decrypted a message at the end of the handshake, for which the kernel reports no event.
        self.readable.push(id);
        if let Some(stream) = self.slots.get(id.0 as usize) {
            stream.permit.watch(move || make_way(id));
        }
    }

    /// Adds a connection with a peer; `None` if the kernel refuses to poll it.
    pub fn adopt_peer(&mut self, arrival: PeerArrival, now: Moment) -> Option<StreamId> {
        let PeerArrival { socket, peer, accepted, permit } = arrival;
        let role = if accepted { Role::Unbound } else { Role::Connecting };
        self.insert(Stream::new(socket, None, peer, role, Patience::for_peer(now), permit))
    }

    /// Whether a connection has been evicted.
    #[must_use]
    pub fn must_make_way(&self, id: StreamId) -> bool {
        self.slots.get(id.0 as usize).is_some_and(|stream| stream.permit.must_make_way())
    }

    /// Gives away the connection of the client whose message was returned last, with that message and the bytes behind
    /// it. Only once for each connection: a client that switches between two shards would burden both.
    pub fn release(&mut self, id: StreamId, now: Moment) -> Option<Arrival> {
        let said = self.turn.as_ref().filter(|turn| turn.id == id)?.message.start;
        let stream = self.slots.get_mut(id.0 as usize).filter(|stream| !stream.flags.moved)?;
        let Role::Client(ClientPath { client, server, via: _ }) = stream.role else { return None };
        // Nothing waits at the start of a connection, unless the client misbehaves.
        if stream.has_to_send() && (stream.send().is_err() || stream.has_to_send()) {
            return None;
        }
        let said = self.arrived.bytes()[said..].to_owned();
        let mut stream = self.remove(id)?;
        self.watcher.forget(&mut stream.socket);
        self.counters.streams.sub(1);
        let Stream { socket, tls, permit, .. } = stream;
        let socket = std::net::TcpStream::from(socket);
        Some(Arrival { socket, tls, client, server, since: now, permit, said })
    }

    /// Bridges the connection of the client whose message was returned last with that of a peer: what one receives is
    /// sent on the other. The bytes behind the message are sent to the peer, too.
    pub fn bridge(&mut self, client: StreamId, peer: StreamId) {
        if let Some(turn) = self.turn.take_if(|turn| turn.id == client)
            && let Some(stream) = self.slots.get_mut(client.0 as usize)
        {
            let rest = &self.arrived.bytes()[turn.message.end..];
            stream.keep(rest);
            stream.flags.backlog = !rest.is_empty();
            stream.ended = turn.ended.or(stream.ended);
        }
        for (id, mate) in [(client, peer), (peer, client)] {
            let Some(stream) = self.slots.get_mut(id.0 as usize) else { continue };
            stream.role = Role::Bridged(mate);
            stream.permit.settle();
            stream.patience.bound();
            stream.be_patient();
            self.readable.push(id);
        }
    }

    /// Ends a connection when everything that waits for the other end has been sent.
    pub fn leave(&mut self, id: StreamId) {
        let Some(stream) = self.slots.get_mut(id.0 as usize) else { return };
        stream.role = Role::Leaving;
        // What was not carried to the other end cannot be carried any more.
        stream.keep(&[]);
        stream.flags.backlog = false;
        self.sending.push(id);
        self.readable.push(id);
    }

    /// Ends a connection, and sends what can be sent at once. If it is a client's, `disconnect` is called before the
    /// client can notice: it may reconnect at once, and expects its allocation to be gone.
    pub fn close(&mut self, id: StreamId, ending: Ending, disconnect: impl FnOnce(ClientPath)) {
        let Some(mut stream) = self.remove(id) else { return };
        if let Role::Client(path) = stream.role {
            disconnect(path);
        }
        stream.part();
        self.watcher.forget(&mut stream.socket);
        let Stream { socket, permit, remote, .. } = stream;
        // In this order: a client that sees the end may reconnect at once, and its old connection must no longer count.
        drop(permit);
        drop(socket);
        self.counters.streams.sub(1);
        self.counters.ended(ending);
        tracing::debug!(remote = shown::socket(remote), reason = ending.name(), "connection ended");
    }

    /// The connections of clients whose addresses are such.
    #[must_use]
    pub fn of_clients(&self, such: impl Fn(IpAddr) -> bool) -> Vec<StreamId> {
        let is_such = |stream: &Stream| match stream.role {
            Role::Client(path) => such(path.client.ip()),
            // The allocation that such a connection belongs to ends with its client's.
            Role::Connecting | Role::Unbound | Role::Bridged(_) | Role::Leaving => false,
        };
        self.slots.iter().filter(|(_, stream)| is_such(stream)).map(|(id, _)| StreamId(id as u32)).collect()
    }

    /// Whether there is something to do at once.
    #[must_use]
    pub fn is_busy(&self) -> bool {
        !self.readable.is_empty() || !self.sending.is_empty()
    }

    /// Another watcher reports new connections from now on. [`Self::rewatch`] tells it of the others.
    pub(in crate::relay) fn change_watcher(&mut self, watcher: Watcher) {
        self.watcher = watcher;
    }

    /// The watcher reports the connection with this index, if there is one, instead of `from`.
    pub(in crate::relay) fn rewatch(&mut self, index: usize, from: &Watcher) {
        if let Some(stream) = self.slots.get_mut(index) {
            let source = Source::Stream(StreamId(index as u32));
            // If it was opened a moment ago, it is watched already.
            let _ = self.watcher.watch_instead(from, &mut stream.socket, source, BOTH_WAYS);
        }
    }

    /// An index that no connection reaches.
    pub(in crate::relay) fn end(&self) -> usize {
        self.slots.capacity()
    }

    fn next_id(&self) -> StreamId {
        StreamId(self.slots.vacant_key() as u32)
    }

    fn insert(&mut self, mut stream: Stream) -> Option<StreamId> {
        let id = self.next_id();
        if let Err(error) = self.watcher.watch(&mut stream.socket, Source::Stream(id), BOTH_WAYS) {
            tracing::warn!(%error, "a connection could not be registered");
            return None;
        }
        self.deadlines.insert((stream.deadline, id));
        self.slots.insert(stream);
        self.counters.streams.add(1);
        Some(id)
    }

    fn remove(&mut self, id: StreamId) -> Option<Stream> {
        let stream = self.slots.try_remove(id.0 as usize)?;
        self.deadlines.remove(&(stream.deadline, id));
        self.turn.take_if(|turn| turn.id == id);
        Some(stream)
    }
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, TcpListener};
    use std::time::Duration;

    use super::*;
    use crate::bounds::admission::{Admission, Bounds, Permit};

    pub(super) fn at(seconds: u64) -> Moment {
        Moment::default() + Duration::from_secs(seconds)
    }

    /// A connection as a server accepts it, the client's address, and the client's end.
    fn accept() -> (std::net::TcpStream, std::net::SocketAddr, std::net::TcpStream) {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let end = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (socket, from) = listener.accept().unwrap();
        socket.set_nonblocking(true).unwrap();
        (socket, from, end)
    }

    pub(super) struct World {
        pub(super) streams: Streams,
        admission: Arc<Admission>,
        /// The other ends of clients that say nothing.
        clients: Vec<std::net::TcpStream>,
        poll: mio::Poll,
    }

    impl World {
        pub(super) fn new(most: usize) -> Self {
            let poll = mio::Poll::new().unwrap();
            let streams = Streams::new(Watcher::new(poll.registry().try_clone().unwrap(), 0), Arc::default());
            let bounds = Bounds { most, per_network: most, per_address: most };
            Self { streams, admission: Arc::new(Admission::new(bounds)), clients: Vec::new(), poll }
        }

        /// A client that connected at 100 s.
        fn client(&mut self) -> StreamId {
            let (id, end) = self.connect();
            self.clients.push(end);
            id
        }

        /// The same, with its end of the connection.
        pub(super) fn connect(&mut self) -> (StreamId, std::net::TcpStream) {
            let (socket, from, end) = accept();
            let server = socket.local_addr().unwrap();
            let permit: Permit = self.admission.admit(Some(from.ip()), at(100)).unwrap();
            let arrival =
                Arrival { socket, tls: None, client: from, server, since: at(100), permit, said: Vec::new() };
            let id = self.streams.next_id();
            self.streams.adopt(arrival, |_| {});
            (id, end)
        }

        /// A peer that connected at 100 s, with its end of the connection.
        pub(super) fn peer(&mut self) -> (StreamId, std::net::TcpStream) {
            let (socket, peer, end) = accept();
            let permit = self.admission.admit(None, at(100)).unwrap();
            let socket = TcpStream::from_std(socket);
            let arrival = PeerArrival { socket, peer, accepted: true, permit };
            (self.streams.adopt_peer(arrival, at(100)).unwrap(), end)
        }

        /// Waits briefly for events and notes them; returns their sources.
        pub(super) fn poll(&mut self) -> Vec<Source> {
            let mut events = mio::Events::with_capacity(16);
            self.poll.poll(&mut events, Some(Duration::from_millis(10))).unwrap();
            let mut sources = Vec::new();
            for event in &events {
                let (_, source) = Source::of(event.token());
                if let Source::Stream(id) = source {
                    self.streams.on_event(id, event);
                }
                sources.extend(event.is_readable().then_some(source));
            }
            sources
        }

        /// Waits until there is something to read on a connection.
        pub(super) fn await_event(&mut self, id: StreamId) {
            while !self.poll().contains(&Source::Stream(id)) {}
        }

        /// The client sends a message.
        fn say(&mut self, id: StreamId, now: Moment) {
            self.streams.slots[id.0 as usize].patience.received(1, false, now);
            self.streams.reschedule(id);
        }

        /// How and when the client's connection ends if it sends a request every 95 seconds until 1000 s.
        fn end(&mut self, id: StreamId, allocated: bool) -> Option<(u64, Ending)> {
            self.say(id, at(101));
            self.streams.answer(id, b"", allocated);
            (102..1000).find_map(|second| {
                if second % 95 == 0 {
                    self.say(id, at(second));
                    self.streams.answer(id, b"", false);
                }
                let (ended, ending) = self.streams.impatient(at(second), |_| false)?;
                assert_eq!(ended, id);
                Some((second, ending))
            })
        }
    }

    /// F6: twenty bytes now and then must not hold a connection indefinitely.
    #[test]
    fn a_stranger_has_two_minutes_however_often_it_asks_and_who_has_had_an_allocation_is_waited_for() {
        let mut world = World::new(2);
        let stranger = world.client();
        assert_eq!(world.end(stranger, false), Some((220, Ending::NoCredential)));
        world.streams.close(stranger, Ending::NoCredential, |_| {});
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
        world.streams.close(stranger, Ending::MadeWay, |_| {});
        world.streams.answer(newcomer, b"", true);
        world.streams.answer(served, b"", false);
        world.client();
        assert!(world.streams.must_make_way(served) && !world.streams.must_make_way(newcomer));
    }
}
