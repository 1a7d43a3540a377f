//! A part of the relay, with its own sockets and its own engine, which one thread serves at a time.
//!
//! A round waits for sockets and connections, reads each in a batch, carries out the engine's decisions, and sends the
//! batch. It uses mio, not tokio: a readiness future for each packet costs a tenth of the packet, and ten thousand
//! relay sockets would be ten thousand tasks.

mod bridge;
mod common;
mod datagram;
mod direct;
mod exchange;
mod listeners;
pub(super) mod sessions;
mod stream;

use std::collections::BTreeSet;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, OnceLock, mpsc};

use mio::event::Event;
use tokio::sync::oneshot;

use crate::bounds::admission::Admission;
use crate::bounds::denied::DenyList;
use crate::clock::{Clock, Moment, Now};
use crate::metrics::Counters;
use crate::network::own::Own;
use crate::outcome::Ending;
use crate::peers::PeerPolicy;
use crate::relay::address::{ConnectionId, DirectId, ListenerId, RelayId, StreamId};
use crate::relay::datagrams::{Batch, DatagramSocket};
use crate::relay::engine::{Engine, Settings, ShardIndex, Shared};
use crate::relay::ports::{Offered, PortPool, ShardPorts};
use crate::relay::ready::Ready;
use crate::relay::shard::common::Common;
use crate::relay::shard::direct::Direct;
use crate::relay::shard::exchange::{Exchange, Parcels};
use crate::relay::shard::listeners::Listeners;
use crate::relay::shard::sessions::Question;
use crate::relay::source::{Source, Watcher};
use crate::relay::streams::{Arrival, Streams};
use crate::relay::worker::Host;
use crate::sections::relay::Switch;

pub use direct::Kept;
pub(super) use listeners::Retirement;

/// A part of the relay.
pub(super) struct Shard {
    clock: Clock,
    engine: Engine,
    ports: ShardPorts,
    listeners: Listeners,
    streams: Streams,
    batch: Batch<SocketId>,
    counters: Arc<Counters>,
    admission: Arc<Admission>,
    shard: ShardIndex,
    neighbours: Neighbours,
    inbox: mpsc::Receiver<Command>,
    /// Whether the inbox may contain a command.
    summoned: bool,
    /// Reports what sockets have to read to the thread that serves the shard.
    watcher: Watcher,
    /// The watcher that still reports some sockets to another thread, and the index of the first of them.
    moving: Option<(Watcher, usize)>,
    host: Arc<Host>,
    /// What other shards have for relays of this one, and the buffers that are exchanged for it.
    exchange: Arc<Exchange>,
    parcels: Parcels,
    /// When to accept peers again after the system ran out of sockets, and on which relay sockets.
    starved: (Moment, BTreeSet<RelayId>),
    /// The sockets that receive for many relay ports.
    common: Common,
    /// The relay sockets that may have something to read.
    readable: Ready<RelayId>,
    /// The relay sockets that may have ICMP errors to report.
    erred: Ready<RelayId>,
    /// The clients that stay while another process takes over the listeners.
    direct: Direct,
}

/// Sockets of each kind that move to another thread in one round, while packets wait.
const MOVED_A_ROUND: usize = 128;

/// How a round has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Round {
    /// The next one may begin.
    On,
    /// The shard was ordered to stop.
    Ended,
}

/// A command to a shard from outside.
#[derive(Debug)]
pub(super) enum Command {
    /// Answer, as a sign of life.
    Ping(oneshot::Sender<()>),
    /// Serve this connection from now on.
    Adopt(Box<Arrival>),
    /// Close this connection, if it is still the one that was evicted.
    MakeWay(StreamId),
    /// End the allocations that were made with the credential of this user name.
    Revoke(Arc<str>),
    /// The machine has these addresses and networks now.
    Move(Arc<Own>),
    /// Answer an administrator.
    Ask(Question),
    /// The configuration has changed.
    Apply(Box<Rules>),
    /// Listen on these sockets too.
    Listen(Vec<DatagramSocket>),
    /// Give up a listener: serve only the clients that have an allocation there.
    Retire(Arc<Retirement>),
    /// Close a listener that no shard needs any more.
    Close(Arc<Retirement>),
    /// Make no new allocations.
    Drain,
    /// Report how many clients over UDP have allocations.
    Count(oneshot::Sender<usize>),
    /// Let other sockets be bound to the addresses of the listeners, and report it.
    Share(oneshot::Sender<()>),
    /// Give each client over UDP a socket of its own, and report when they have one.
    Keep(oneshot::Sender<Kept>),
    /// Treat this as what a client (first) sent to a listener (second), if the client has an allocation here.
    Stray(SocketAddr, SocketAddr, Box<[u8]>),
    /// End.
    Stop,
}

/// What the configuration decides, for one shard.
#[derive(Debug)]
pub(super) struct Rules {
    pub(super) settings: Arc<Settings>,
    /// The networks whose clients are refused.
    pub(super) denied: Arc<DenyList>,
    pub(super) peers: PeerPolicy,
    /// Addresses that belong to this machine even if no interface has them.
    pub(super) fixed: Vec<IpAddr>,
    /// The relay addresses.
    pub(super) offered: Arc<Offered>,
    /// Whether datagrams cross the network stack together.
    pub(super) offload: Switch,
}

/// Sends commands to a running shard.
#[derive(Debug, Clone)]
pub(super) struct Handle {
    inbox: mpsc::Sender<Command>,
    host: Arc<Host>,
    exchange: Arc<Exchange>,
}

/// What all shards are made from.
pub(super) struct Parts {
    /// What the engines share.
    pub(super) shared: Shared,
    /// The ports.
    pub(super) pool: Arc<PortPool>,
    /// The limits on connections.
    pub(super) admission: Arc<Admission>,
    /// All shards, once they have been created.
    pub(super) neighbours: Neighbours,
    /// Whether datagrams cross the network stack together.
    pub(super) offload: Switch,
    /// The clock.
    pub(super) clock: Clock,
}

/// The shards of a daemon, by number.
pub(super) type Neighbours = Arc<OnceLock<Vec<Handle>>>;

/// A socket of a shard.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum SocketId {
    Listener(ListenerId),
    Relay(RelayId),
    Direct(DirectId),
}

impl Shard {
    /// A shard that listens on `listeners`, and to which the kernel can deliver the datagrams for its relay ports on the
    /// sockets in `common`.
    ///
    /// # Errors
    /// If the kernel refuses to watch them.
    pub(super) fn new(
        parts: &Parts,
        shard: ShardIndex,
        counters: Arc<Counters>,
        (listeners, common): (Vec<DatagramSocket>, Vec<DatagramSocket>),
        seed: [u8; 32],
        (watcher, host): (Watcher, Host),
    ) -> io::Result<(Self, Handle)> {
        let (host, exchange) = (Arc::new(host), Arc::<Exchange>::default());
        let (sender, inbox) = mpsc::channel();
        let mut registered = Listeners::new(watcher.try_clone()?);
        for socket in listeners {
            registered.add(socket)?;
        }
        let ports = ShardPorts::new(Arc::clone(&parts.pool), watcher.try_clone()?);
        let common = Common::new(common, &watcher)?;
        let streams = Streams::new(watcher.try_clone()?, Arc::clone(&counters));
        let shard = Self {
            clock: parts.clock,
            engine: Engine::new(parts.shared.clone(), Arc::clone(&counters), shard, seed),
            ports,
            listeners: registered,
            streams,
            batch: Batch::new(parts.offload),
            counters,
            admission: Arc::clone(&parts.admission),
            shard,
            neighbours: Arc::clone(&parts.neighbours),
            inbox,
            summoned: false,
            watcher,
            moving: None,
            host: Arc::clone(&host),
            exchange: Arc::clone(&exchange),
            parcels: Parcels::default(),
            starved: (Moment::MAX, BTreeSet::new()),
            common,
            readable: Ready::default(),
            erred: Ready::default(),
            direct: Direct::default(),
        };
        Ok((shard, Handle { inbox: sender, host, exchange }))
    }

    /// Notes what an event says of a socket. [`Self::round`] reads the socket.
    pub(super) fn on_event(&mut self, source: Source, event: &Event) {
        match source {
            Source::Listener(listener) => self.listeners.readable.push(listener),
            Source::Relay(relay) => self.on_relay_event(relay, event.is_error()),
            Source::Common(common) => self.common.readable.push(common),
            Source::Stream(stream) => self.streams.on_event(stream, event),
            Source::Direct(direct) => self.direct.on_event(direct),
        }
    }

    /// The poll reports a readable socket only once, so the socket is read until it is empty.
    fn on_relay_event(&mut self, relay: RelayId, erred: bool) {
        self.readable.push(relay);
        if erred {
            self.erred.push(relay);
        }
    }

    /// Looks for commands in the next round.
    pub(super) fn summon(&mut self) {
        self.summoned = true;
    }

    /// Does what the events and commands since the last round ask for, and what is due.
    pub(super) fn round(&mut self) -> Round {
        let now = self.clock.now();
        if self.summoned && self.obey(now) {
            return Round::Ended;
        }
        self.move_some_sockets();
        self.retry_accepting(now);
        self.keep_some_clients(now.moment);
        self.read_listeners(now);
        self.read_direct(now);
        self.read_streams(now);
        self.read_errors(now);
        self.read_relays(now);
        self.read_common(now);
        self.read_exchange(now);
        self.flush();
        self.flush_streams(now);
        self.engine.expire(now.moment, &mut self.ports);
        self.end_impatient_streams(now);
        self.end_orphans(now);
        self.release_listeners(now);
        self.ports.reap();
        self.look_for_ended(now.moment);
        self.direct.reap();
        Round::On
    }

    /// Its number.
    pub(super) fn index(&self) -> usize {
        self.shard.index as usize
    }

    /// Where the thread is written down that serves the shard.
    pub(super) fn host(&self) -> &Host {
        &self.host
    }

    /// Another thread serves the shard from now on: this watcher reports to it what sockets have to read. The sockets of
    /// clients are moved at once, and the others in the next rounds.
    ///
    /// # Errors
    /// If the kernel refuses, which is always a bug in this program.
    pub(super) fn move_to(&mut self, watcher: Watcher) -> io::Result<()> {
        self.finish_moving();
        self.listeners.change_watcher(watcher.try_clone()?, &self.watcher)?;
        self.common.change_watcher(&watcher, &self.watcher)?;
        self.ports.change_watcher(watcher.try_clone()?);
        self.streams.change_watcher(watcher.try_clone()?);
        self.moving = Some((std::mem::replace(&mut self.watcher, watcher), 0));
        self.summoned = true;
        Ok(())
    }

    /// Moves some of the sockets that still report to another thread. A socket that has something to read is reported
    /// again when it has moved, so nothing is lost.
    fn move_some_sockets(&mut self) {
        let Some((from, first)) = self.moving.take() else { return };
        let end = self.ports.end().max(self.streams.end()).max(self.direct.end());
        let next = end.min(first + MOVED_A_ROUND);
        for index in first..next {
            self.ports.rewatch(index, &from);
            self.streams.rewatch(index, &from);
            self.direct.rewatch(index, &from, &self.watcher);
        }
        if next < end {
            self.moving = Some((from, next));
        }
    }

    fn finish_moving(&mut self) {
        while self.moving.is_some() {
            self.move_some_sockets();
        }
    }

    /// When the next round is due if nothing happens until then: in the past while a socket has more to read, or a command
    /// waits. It changes only by a round, and by [`Self::summon`].
    pub(super) fn next_round(&self) -> Option<Moment> {
        let listening = !self.listeners.readable.is_empty();
        let relaying = [self.readable.is_empty(), self.erred.is_empty(), self.common.readable.is_empty()];
        let more = self.moving.is_some() || self.streams.is_busy() || self.direct.is_busy();
        if self.summoned || listening || relaying.contains(&false) || more {
            return Some(Moment::default());
        }
        let rare = self.starved.0.min(self.listeners.look_at());
        let deadlines = [
            self.engine.next_deadline(),
            self.streams.next_deadline(),
            self.direct.next_deadline(),
            Some(rare),
        ];
        deadlines.into_iter().flatten().min().filter(|deadline| *deadline < Moment::MAX)
    }

    /// Whether another shard has passed something to this one. A shard on the same thread does not wake the thread for it.
    pub(super) fn has_parcels(&self) -> bool {
        !self.exchange.is_empty()
    }

    /// Carries out the commands from outside; returns whether one was to stop. After one question of an administrator,
    /// packets are relayed before the next command: however many questions wait, packets wait only for one.
    fn obey(&mut self, now: Now) -> bool {
        while let Ok(command) = self.inbox.try_recv() {
            match command {
                // If the receiver is gone, the answer is not needed.
                Command::Ping(answer) => drop(answer.send(())),
                Command::Adopt(arrival) => self.adopt(*arrival),
                Command::MakeWay(id) if self.streams.must_make_way(id) => {
                    self.end_stream(id, Ending::MadeWay, now);
                }
                // The connection has closed, and its id may belong to another one.
                Command::MakeWay(_) => {}
                Command::Revoke(username) => self.engine.revoke(&username, now.moment, &mut self.ports),
                Command::Move(own) => {
                    let denied = self.engine.set_own((*own).clone(), &self.ports);
                    self.end_denied(denied, now);
                }
                Command::Ask(question) => {
                    self.answer(question, now);
                    return false;
                }
                Command::Apply(rules) => {
                    let Rules { settings, denied, peers, fixed, offered, offload } = *rules;
                    self.batch.change(offload);
                    self.ports.change(offered);
                    let connections = self.engine.apply(settings, peers, &fixed, &self.ports);
                    self.end_denied(connections, now);
                    self.deny(denied, now);
                }
                Command::Listen(sockets) => self.listen(sockets),
                Command::Retire(everywhere) => self.listeners.retire(&everywhere, now.moment),
                Command::Close(everywhere) => self.listeners.close(&everywhere),
                Command::Drain => self.engine.drain(),
                // If the receiver is gone, nobody needs the number.
                Command::Count(count) => drop(count.send(self.clients().count())),
                Command::Share(done) => {
                    self.share_listeners();
                    // If the receiver is gone, nobody waits.
                    let _ = done.send(());
                }
                Command::Keep(report) => self.keep_clients(report),
                Command::Stray(client, server, datagram) => self.on_stray(client, server, &datagram, now),
                Command::Stop => {
                    self.engine.conclude(now.moment);
                    return true;
                }
            }
        }
        self.summoned = false;
        false
    }

    /// Closes the connections with peers that are now denied.
    fn end_denied(&mut self, denied: Vec<ConnectionId>, now: Now) {
        for connection in denied {
            if let Some(stream) = self.engine.bridges().socket(connection) {
                self.end_stream(stream, Ending::Refused, now);
            }
        }
    }

    /// Clients of these networks are refused from now on. Their allocations and connections end at once.
    fn deny(&mut self, denied: Arc<DenyList>, now: Now) {
        for id in self.streams.of_clients(|ip| denied.contains(ip)) {
            self.end_stream(id, Ending::Denied, now);
        }
        self.engine.deny(denied, now.moment, &mut self.ports);
    }

    fn listen(&mut self, sockets: Vec<DatagramSocket>) {
        for socket in sockets {
            if let Err(error) = self.listeners.add(socket) {
                tracing::error!(%error, "cannot wait for datagrams at a new address");
            }
        }
    }
}

impl Handle {
    /// Sends the shard a command. Fails silently if the shard has ended: the end of its thread is reported elsewhere.
    pub(super) fn tell(&self, command: Command) {
        if self.inbox.send(command).is_ok() {
            self.host.wake();
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use std::ops::RangeInclusive;
    use std::time::Duration;

    use rand::SeedableRng;
    use rand::rngs::StdRng;

    use super::*;
    use crate::bounds::admission::Bounds;
    use crate::network::address::RelayAddress;
    use crate::relay::address::Family;
    use crate::relay::engine::answers::AnswerBudget;
    use crate::relay::engine::limits::tests::{generous, settings};
    use crate::relay::engine::nonce::Nonces;
    use crate::relay::engine::quotas::Quotas;
    use crate::relay::engine::seam::{IcmpReports, Parity, Ports};
    use crate::relay::engine::sessions::{Piece, Wanted};
    use crate::relay::lookup::Lookup;
    use crate::relay::shard::datagram::{RELAY_TURN, RELAYS_A_ROUND};
    use crate::relay::worker::Workers;

    impl Shard {
        /// The address of its first listener.
        pub(in crate::relay) fn address(&self) -> SocketAddr {
            self.listeners.iter().next().unwrap().1.address
        }
    }

    fn shard() -> Shard {
        shard_and_handle().0
    }

    fn shard_and_handle() -> (Shard, Handle) {
        let (workers, _) = Workers::new(1, Clock::start()).unwrap();
        shard_of(&workers, ShardIndex::ALONE)
    }

    /// A shard that the first of these threads is to serve, with a listener on the loopback.
    pub(in crate::relay) fn shard_of(workers: &Arc<Workers>, index: ShardIndex) -> (Shard, Handle) {
        shard_with(workers, index, 25_800..=25_899, None)
    }

    /// The same, with these relay ports, and perhaps sockets that receive for them.
    pub(in crate::relay) fn shard_with(
        workers: &Arc<Workers>,
        index: ShardIndex,
        ports: RangeInclusive<u16>,
        lookup: Option<(Lookup, Vec<DatagramSocket>)>,
    ) -> (Shard, Handle) {
        let (lookup, common) = lookup.unzip();
        let loopback = std::net::IpAddr::from([127, 0, 0, 1]);
        let settings = settings(generous());
        let shared = Shared {
            nonces: Nonces::new([1; 32], false),
            quotas: Arc::new(Quotas::new(Arc::clone(&settings))),
            carried: Arc::default(),
            answers: Arc::new(AnswerBudget::new(2)),
            journal: Arc::default(),
            denied: Arc::default(),
            usage: Arc::default(),
            peers: PeerPolicy::default(),
            settings,
        };
        let address = RelayAddress { bind: loopback, public: loopback };
        let pool = PortPool::new(&[address], ports, Clock::start()).with_lookup(lookup);
        let parts = Parts {
            shared,
            pool: Arc::new(pool),
            admission: Arc::new(Admission::new(Bounds { most: 10, per_network: 10, per_address: 10 })),
            offload: Switch::default(),
            neighbours: Neighbours::default(),
            clock: Clock::start(),
        };
        let listener = DatagramSocket::listen(SocketAddr::new(loopback, 0), false).unwrap();
        let place = workers.first(index.index).unwrap();
        Shard::new(
            &parts,
            index,
            Arc::default(),
            (vec![listener], common.unwrap_or_default()),
            [3; 32],
            place,
        )
        .unwrap()
    }

    pub(super) fn open(shard: &mut Shard) -> RelayId {
        shard
            .ports
            .open(Family::V4, Parity::Any, IcmpReports::Unknown, &mut StdRng::seed_from_u64(4))
            .unwrap()
            .id
    }

    /// A flooded socket has an event in every poll, and must not get a turn for each of them.
    #[test]
    fn a_socket_waits_for_one_turn_however_often_it_is_readable() {
        let mut shard = shard();
        let relay = open(&mut shard);
        for _ in 0..100 {
            shard.on_relay_event(relay, false);
        }
        assert_eq!([shard.readable.pop(), shard.readable.pop()], [Some(relay), None]);
        shard.on_relay_event(relay, false);
        shard.read_relays(shard.clock.now());
        assert!(shard.readable.is_empty());
    }

    #[test]
    fn when_another_thread_serves_a_shard_all_its_sockets_are_reported_there_and_nothing_is_missed() {
        let mut shard = shard();
        let relays: Vec<RelayId> = (0..60).map(|_| open(&mut shard)).collect();
        let peer = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        let tell = |shard: &Shard, relay: &RelayId| {
            assert_eq!(peer.send_to(b"x", shard.ports.relayed(*relay).unwrap().0).unwrap(), 1);
        };
        // Before, while and after the sockets move.
        relays[..20].iter().for_each(|relay| tell(&shard, relay));
        let mut poll = mio::Poll::new().unwrap();
        shard.move_to(Watcher::new(poll.registry().try_clone().unwrap(), 0)).unwrap();
        relays[20..40].iter().for_each(|relay| tell(&shard, relay));
        while shard.moving.is_some() {
            assert_eq!(shard.next_round(), Some(Moment::default()));
            shard.move_some_sockets();
        }
        relays[40..].iter().for_each(|relay| tell(&shard, relay));

        let (mut events, mut reported) = (mio::Events::with_capacity(1000), BTreeSet::new());
        while reported.len() < relays.len() {
            poll.poll(&mut events, Some(Duration::from_secs(2))).unwrap();
            assert!(!events.is_empty(), "{} of {} are reported", reported.len(), relays.len());
            reported.extend(events.iter().filter_map(|event| match Source::of(event.token()) {
                (0, Source::Relay(relay)) => Some(relay),
                _ => None,
            }));
        }
    }

    /// A list of sessions must not make packets wait.
    #[test]
    fn of_many_questions_that_wait_one_is_answered_between_two_rounds_of_packets() {
        let (mut shard, handle) = shard_and_handle();
        // Until a new listener is read, something may wait there.
        shard.read_listeners(shard.clock.now());
        let answers: Vec<_> = (0..10)
            .map(|_| {
                let (answer, answered) = oneshot::channel();
                handle.tell(Command::Ask(Question::List(Wanted::default(), 0, answer)));
                answered
            })
            .collect();
        let (ping, mut pong) = oneshot::channel();
        handle.tell(Command::Ping(ping));
        shard.summoned = true;
        for (round, mut answered) in answers.into_iter().enumerate() {
            assert!(answered.try_recv().is_err(), "{round}");
            assert!(!shard.obey(shard.clock.now()));
            assert_eq!(answered.try_recv().unwrap(), Piece::default());
            assert_eq!(shard.next_round(), Some(Moment::default()), "more may wait");
        }
        assert!(pong.try_recv().is_err());
        assert!(!shard.obey(shard.clock.now()));
        assert_eq!((pong.try_recv(), shard.next_round()), (Ok(()), None));
    }

    #[test]
    fn peers_that_flood_leave_the_listeners_their_turn() {
        let mut shard = shard();
        let flooded: Vec<RelayId> = (0..50).map(|_| open(&mut shard)).collect();
        let peer = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        for relay in &flooded {
            let to = shard.ports.relayed(*relay).unwrap().0;
            (0..RELAY_TURN).for_each(|_| assert_eq!(peer.send_to(b"flood", to).unwrap(), 5));
            shard.on_relay_event(*relay, false);
        }
        shard.read_relays(shard.clock.now());
        assert_eq!(shard.next_round(), Some(Moment::default()));
        let waiting = std::iter::from_fn(|| shard.readable.pop()).count();
        assert!(waiting > flooded.len() - RELAYS_A_ROUND);
    }
}
