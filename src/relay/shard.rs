//! One thread of the relay: its sockets and its engine, nothing shared.
//!
//! The loop waits for sockets, reads each in a batch, does what the engine says, and sends the batch. Sockets are
//! polled with mio, not tokio: a readiness future for each packet costs a tenth of the packet, and ten thousand
//! relay sockets would be ten thousand tasks.

use std::io;
use std::net::SocketAddr;
use std::ops::Range;
use std::sync::{Arc, mpsc};
use std::time::Duration;

use mio::{Events, Interest, Poll, Token, Waker};
use tokio::sync::oneshot;

use crate::clock::{Clock, Now};
use crate::metrics::Counters;
use crate::outcome::Ignored;
use crate::relay::address::{ClientPath, ListenerId, PeerAddr, RelayId};
use crate::relay::datagrams::{Batch, DatagramSocket, HEADROOM, Outgoing, SLOTS};
use crate::relay::engine::{Action, Engine, Framing, Shared, ToPeer};
use crate::relay::ports::{PortPool, ShardPorts};
use crate::relay::wire;

/// One thread of the relay, before it runs.
pub struct Shard {
    poll: Poll,
    clock: Clock,
    engine: Engine,
    ports: ShardPorts,
    listeners: Vec<(DatagramSocket, SocketAddr)>,
    batch: Batch<Socket>,
    counters: Arc<Counters>,
    inbox: mpsc::Receiver<Command>,
    /// Sockets that may have more to read than one turn takes.
    readable: Vec<Socket>,
}

/// What a shard is told from outside.
#[derive(Debug)]
pub enum Command {
    /// Answer, as a sign of life.
    Ping(oneshot::Sender<()>),
    /// End.
    Stop,
}

/// Reaches a running shard.
#[derive(Debug, Clone)]
pub struct Handle {
    inbox: mpsc::Sender<Command>,
    waker: Arc<Waker>,
}

/// What all shards are made of.
pub struct Parts {
    /// What the engines share.
    pub shared: Shared,
    /// The ports.
    pub pool: Arc<PortPool>,
    /// The clock.
    pub clock: Clock,
}

/// A socket of a shard.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Socket {
    Listener(ListenerId),
    Relay(RelayId),
}

const WAKE: Token = Token(0);
const FIRST_LISTENER: usize = 1;
/// Datagrams that one relay socket may deliver before it is the next one's turn.
const RELAY_TURN: usize = 16;
/// ICMP errors that one relay socket may deliver in a turn.
const ERRORS_TURN: usize = 16;

impl Shard {
    /// A shard that listens on `listeners`.
    ///
    /// # Errors
    /// If the kernel gives no poll.
    pub fn new(
        parts: &Parts,
        counters: Arc<Counters>,
        listeners: Vec<DatagramSocket>,
        seed: [u8; 32],
    ) -> io::Result<(Self, Handle)> {
        let poll = Poll::new()?;
        let waker = Arc::new(Waker::new(poll.registry(), WAKE)?);
        let (sender, inbox) = mpsc::channel();
        let mut registered = Vec::with_capacity(listeners.len());
        for (index, mut listener) in listeners.into_iter().enumerate() {
            poll.registry().register(listener.source(), Token(FIRST_LISTENER + index), Interest::READABLE)?;
            let address = listener.local_addr()?;
            registered.push((listener, address));
        }
        let first_relay = FIRST_LISTENER + registered.len();
        let ports = ShardPorts::new(Arc::clone(&parts.pool), poll.registry().try_clone()?, first_relay);
        let shard = Self {
            poll,
            clock: parts.clock,
            engine: Engine::new(parts.shared.clone(), Arc::clone(&counters), seed),
            ports,
            listeners: registered,
            batch: Batch::new(),
            counters,
            inbox,
            readable: Vec::new(),
        };
        Ok((shard, Handle { inbox: sender, waker }))
    }

    /// Serves until it is told to stop.
    ///
    /// # Errors
    /// If the kernel refuses to poll, which it does only to a program with a bug.
    pub fn run(mut self) -> io::Result<()> {
        let mut events = Events::with_capacity(1024);
        loop {
            match self.poll.poll(&mut events, self.timeout()) {
                Err(error) if error.kind() != io::ErrorKind::Interrupted => return Err(error),
                Ok(()) | Err(_) => {}
            }
            let now = self.clock.now();
            for event in &events {
                if event.token() == WAKE {
                    if self.obey() {
                        return Ok(());
                    }
                } else if let Some(socket) = self.socket_of(event.token()) {
                    if event.is_error() {
                        self.report_errors(socket, now);
                    }
                    self.readable.push(socket);
                }
            }
            self.read_all(now);
            self.flush();
            self.engine.expire(now.moment, &mut self.ports);
            self.ports.reap();
        }
    }

    /// How long there is nothing to do: not at all while a socket has more to read.
    fn timeout(&self) -> Option<Duration> {
        if !self.readable.is_empty() {
            return Some(Duration::ZERO);
        }
        let deadline = self.engine.next_deadline()?;
        // A millisecond more than needed: the poll rounds down, and would spin until the deadline.
        Some(deadline.since(self.clock.now().moment) + Duration::from_millis(1))
    }

    /// Carries out what came from outside; whether it was the order to stop.
    fn obey(&self) -> bool {
        for command in self.inbox.try_iter() {
            match command {
                // Who asked may have gone; then nobody needs the answer.
                Command::Ping(answer) => drop(answer.send(())),
                Command::Stop => return true,
            }
        }
        false
    }

    fn socket_of(&self, token: Token) -> Option<Socket> {
        let index = token.0.checked_sub(FIRST_LISTENER)?;
        if index < self.listeners.len() {
            return Some(Socket::Listener(ListenerId(index as u16)));
        }
        self.ports.relay_of(token).map(Socket::Relay)
    }

    /// Reads every readable socket once; those that were not emptied stay readable.
    fn read_all(&mut self, now: Now) {
        let turns = self.readable.len();
        for turn in 0..turns {
            let socket = self.readable[turn];
            if self.batch.free() == 0 {
                self.flush();
            }
            let most = match socket {
                Socket::Listener(_) => SLOTS,
                Socket::Relay(_) => RELAY_TURN,
            };
            let asked = most.min(self.batch.free());
            match self.receive(socket, asked) {
                Ok(slots) => {
                    let more = slots.len() == asked;
                    for slot in slots {
                        self.handle(socket, slot, now);
                    }
                    if more {
                        self.readable.push(socket);
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                // An ICMP error of an earlier packet, reported in place of a datagram; the next read goes on.
                Err(_) => self.readable.push(socket),
            }
        }
        self.readable.drain(..turns);
    }

    fn receive(&mut self, socket: Socket, most: usize) -> io::Result<Range<usize>> {
        match socket_ref(&self.listeners, &self.ports, socket) {
            Some(socket) => self.batch.receive(socket, most),
            None => Err(io::ErrorKind::WouldBlock.into()),
        }
    }

    fn handle(&mut self, socket: Socket, slot: usize, now: Now) {
        match socket {
            Socket::Listener(listener) => self.client_sent(listener, slot, now),
            Socket::Relay(relay) => {
                let received = self.batch.received(slot);
                let peer = PeerAddr(self.ports.outside(received.from));
                let payload = HEADROOM..HEADROOM + received.length;
                self.peer_sent(relay, peer, slot, &payload, now);
            }
        }
    }

    fn client_sent(&mut self, listener: ListenerId, slot: usize, now: Now) {
        let bound = self.listeners[usize::from(listener.0)].1;
        let received = self.batch.received(slot).clone();
        let server = SocketAddr::new(received.local.unwrap_or(bound.ip()), bound.port());
        let path = ClientPath { client: received.from, server, listener };
        match self.engine.on_client(path, self.batch.datagram(slot), now, &mut self.ports) {
            Action::Reply(reply) => {
                let range = self.batch.replace(slot, &reply);
                self.send_to_client(path, slot, 0, range);
            }
            Action::ToPeer(to_peer) => self.send_to_peer(slot, received.class, &to_peer, now),
            Action::Ignore(_) => {}
        }
    }

    fn send_to_peer(&mut self, slot: usize, class: u8, packet: &ToPeer, now: Now) {
        let range = HEADROOM + packet.payload.start..HEADROOM + packet.payload.end;
        let mut to = packet.peer.0;
        if packet.own {
            // Two of our clients talk to each other: on one shard the packet need not leave the process.
            if let (Some(other), Some(from)) = (self.ports.local(to), self.ports.relayed(packet.relay)) {
                return self.peer_sent(other, PeerAddr(from.0), slot, &range, now);
            }
            to = self.ports.inside(to);
        }
        let via = Socket::Relay(packet.relay);
        let dont_fragment = packet.dont_fragment;
        self.batch.send(slot, Outgoing { via, to, local: None, class, dont_fragment, range });
    }

    fn peer_sent(&mut self, relay: RelayId, peer: PeerAddr, slot: usize, payload: &Range<usize>, now: Now) {
        let Ok(way) = self.engine.on_peer(relay, peer, payload.len(), now.moment) else { return };
        let class = self.batch.received(slot).class;
        let buffer = self.batch.buffer(slot);
        let range = match way.framing {
            Framing::Channel(number) => Some(wire::write_channel_data(buffer, payload, number)),
            Framing::Indication(id) => wire::write_data_indication(buffer, payload, peer, id),
        };
        match range {
            Some(range) => self.send_to_client(way.path, slot, class, range),
            None => self.counters.ignored(Ignored::SendFailed),
        }
    }

    fn send_to_client(&mut self, path: ClientPath, slot: usize, class: u8, range: Range<usize>) {
        let wildcard = self.listeners[usize::from(path.listener.0)].0.is_wildcard();
        let local = wildcard.then_some(path.server.ip());
        let via = Socket::Listener(path.listener);
        self.batch.send(slot, Outgoing { via, to: path.client, local, class, dont_fragment: false, range });
    }

    /// Tells clients of the ICMP errors that their packets met.
    fn report_errors(&mut self, socket: Socket, now: Now) {
        let Socket::Relay(relay) = socket else { return };
        for _ in 0..ERRORS_TURN {
            let Some((peer, icmp)) = self.ports.socket(relay).and_then(DatagramSocket::take_error) else {
                return;
            };
            let peer = PeerAddr(self.ports.outside(peer));
            let Some((path, message)) =
                icmp.and_then(|icmp| self.engine.on_icmp(relay, peer, icmp, now.moment))
            else {
                continue;
            };
            if self.batch.free() == 0 {
                self.flush();
            }
            if let Some((slot, range)) = self.batch.compose(&message) {
                self.send_to_client(path, slot, 0, range);
            }
        }
    }

    fn flush(&mut self) {
        let (listeners, ports) = (&self.listeners, &self.ports);
        let failed = self.batch.flush(|socket| socket_ref(listeners, ports, socket));
        for _ in 0..failed {
            self.counters.ignored(Ignored::SendFailed);
        }
    }
}

impl Handle {
    /// Tells the shard something. Fails silently if it has ended: its thread's end is reported elsewhere.
    pub fn tell(&self, command: Command) {
        if self.inbox.send(command).is_ok() {
            let _ = self.waker.wake();
        }
    }
}

fn socket_ref<'s>(
    listeners: &'s [(DatagramSocket, SocketAddr)],
    ports: &'s ShardPorts,
    socket: Socket,
) -> Option<&'s DatagramSocket> {
    match socket {
        Socket::Listener(listener) => listeners.get(usize::from(listener.0)).map(|(socket, _)| socket),
        Socket::Relay(relay) => ports.socket(relay),
    }
}
