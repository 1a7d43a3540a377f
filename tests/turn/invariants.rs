//! What is true after every step, whatever clients, peers and strangers do: nothing leaks, nothing ends early or late,
//! and nothing is relayed that was not granted.

mod model;

use hairpin::sections::limits::Limits as Configured;
use hairpin::sections::number::Count;
use std::net::SocketAddr;
use std::time::Duration;

use hairpin::bounds::rate::Rate;
use hairpin::clock::Moment;
use hairpin::metrics::{self, Families};
use hairpin::observed::session::Summary;
use hairpin::relay::address::{Family, PeerAddr, RelayId};
use hairpin::relay::engine::limits::Limits;
use hairpin::relay::engine::seam::IcmpReports;
use hairpin::relay::engine::seam::Ports as _;
use hairpin::relay::engine::sessions::Wanted;
use hairpin::relay::engine::{Action, Encapsulation, ToPeer};
use hairpin::relay::wire::Icmp;
use hairpin::secret::Secret;
use proptest::prelude::*;
use proptest::sample::Index;
use proptest::test_runner::RngSeed;

use crate::invariants::model::{Effect, Granted};
use crate::support::client::Client;
use crate::support::stun::{
    ADDITIONAL_ADDRESS_FAMILY, ALLOCATE, Builder, CHANNEL_BIND, CHANNEL_NUMBER, CREATE_PERMISSION, Class,
    EVEN_PORT, LIFETIME, Message, REFRESH, REQUESTED_ADDRESS_FAMILY, REQUESTED_TRANSPORT, RESERVATION_TOKEN,
    channel_data,
};
use crate::support::world::{SECRET, START, TablePorts, World, path};

/// Each client's address and user. The last one sits where the first one does.
const CLIENTS: [(&str, &str); 6] = [
    ("203.0.113.1:5000", "alice"),
    ("203.0.113.1:5001", "alice"),
    ("203.0.113.2:5002", "alice"),
    ("203.0.113.1:5003", "bob"),
    ("[2a00::1]:5000", "bob"),
    ("203.0.113.1:5000", "carol"),
];
const PATHS: usize = 5;

/// Peers that may be reached, and then some that may not. Numbers behind these mean other clients' relayed addresses.
const PEERS: [&str; 8] = [
    "1.1.1.1:9000",
    "1.1.1.1:9001",
    "1.1.1.2:9000",
    "[2606:4700::1111]:9000",
    "[2606:4700::1111]:9001",
    "1.1.1.1:53",
    "10.0.0.1:9000",
    "[::ffff:1.1.1.1]:9000",
];
const GOOD: usize = 5;

const RESERVATION: Duration = Duration::from_secs(30);

#[derive(Debug, Clone, Copy)]
enum Kind {
    Plain,
    V6,
    Even,
    Pair,
    Token,
    Dual,
}

#[derive(Debug, Clone)]
enum Op {
    Allocate(usize, Kind, u32),
    Refresh(usize, Option<u8>, u32),
    Permit(usize, Vec<usize>),
    Bind(usize, u16, usize),
    /// The last request once more.
    Again(usize),
    Send(usize, usize),
    ChannelData(usize, u16),
    PeerSends(usize, usize),
    Icmp(usize, usize, u8),
    /// Time passes; at times nobody looks at the clock until it has.
    Pass(u64, bool),
    /// An administrator ends what the client has.
    Kick(usize),
    WrongPassword(usize),
    /// The last request, with a byte changed.
    Tampered(usize, Index, u8),
    Garbage(usize, Vec<u8>, bool),
}

/// Mostly what has an effect: a few clients, who talk to peers that may be reached.
fn op() -> impl Strategy<Value = Op> {
    use Kind::{Dual, Even, Pair, Plain, Token, V6};
    let who = prop_oneof![6 => 0..2_usize, 3 => 2..PATHS, 1 => Just(PATHS)].boxed();
    let peer =
        prop_oneof![9 => 0..GOOD, 1 => GOOD..PEERS.len(), 3 => PEERS.len()..PEERS.len() + PATHS].boxed();
    let number = (0x4000..0x4004_u16).boxed();
    let kind = prop::sample::select(vec![Plain, V6, Even, Pair, Token, Token, Dual, Dual, Dual, Dual]);
    let lifetime = prop::sample::select(vec![600, 3600, 3600, 3600]);
    let family = prop::sample::select(vec![None, Some(1), Some(2), Some(3)]);
    let seconds = prop_oneof![12 => 0..10_u64, 3 => 55..65_u64, 2 => 295..305_u64, 1 => 595..605_u64];
    let peers = prop_oneof![9 => prop::collection::vec(peer.clone(), 1..3), 1 => prop::collection::vec(peer.clone(), 0..6)];
    prop_oneof![
        8 => (who.clone(), kind, lifetime.clone()).prop_map(|(who, kind, time)| Op::Allocate(who, kind, time)),
        2 => (who.clone(), family.clone(), lifetime).prop_map(|(who, of, time)| Op::Refresh(who, of, time)),
        1 => (who.clone(), family).prop_map(|(who, of)| Op::Refresh(who, of, 0)),
        8 => (who.clone(), peers).prop_map(|(who, peers)| Op::Permit(who, peers)),
        8 => (who.clone(), number.clone(), peer.clone()).prop_map(|(who, n, peer)| Op::Bind(who, n, peer)),
        1 => who.clone().prop_map(Op::Again),
        8 => (who.clone(), peer.clone()).prop_map(|(who, peer)| Op::Send(who, peer)),
        8 => (who.clone(), number).prop_map(|(who, n)| Op::ChannelData(who, n)),
        8 => (who.clone(), peer.clone()).prop_map(|(who, peer)| Op::PeerSends(who, peer)),
        2 => (who.clone(), peer, 0..13_u8).prop_map(|(who, peer, kind)| Op::Icmp(who, peer, kind)),
        6 => (seconds, any::<bool>()).prop_map(|(seconds, late)| Op::Pass(seconds, late)),
        1 => who.clone().prop_map(Op::Kick),
        1 => who.clone().prop_map(Op::WrongPassword),
        2 => (who.clone(), any::<Index>(), 1..=255_u8).prop_map(|(who, at, flip)| Op::Tampered(who, at, flip)),
        1 => (who, prop::collection::vec(any::<u8>(), 0..80), any::<bool>())
            .prop_map(|(who, bytes, stun)| Op::Garbage(who, bytes, stun)),
    ]
}

/// A world, its clients, and what each path was granted.
struct Run {
    world: World,
    clients: Vec<Client>,
    granted: Vec<Granted>,
    last: Vec<Option<(Vec<u8>, Effect)>>,
    token: Vec<u8>,
    /// Until when each reserved port counts on the quotas.
    reservations: Vec<(Vec<u8>, Moment)>,
}

impl Run {
    fn new() -> Self {
        let mut world = World::with(|plan| {
            plan.ports = TablePorts::new(&["192.0.2.1", "2001:db8::1"], 50_000, 50_003);
            plan.limits = Limits {
                configured: Configured {
                    allocations_per_user: Count::of::<2>(),
                    permissions: Count::of::<3>(),
                    channels: Count::of::<3>(),
                    ..Configured::default()
                },
                allocations: 3,
                allocations_per_ip: 2,
                new_peers: Rate::new(1, Duration::from_secs(1), 2),
                ..plan.limits.clone()
            };
        });
        let client = |(address, tag): (&str, &str)| {
            let username = format!("{}:{tag}", START + 1_000_000);
            Client::new(path(address), &username, Secret::new(SECRET).password(&username).reveal())
        };
        let mut clients = CLIENTS.map(client).to_vec();
        clients.iter_mut().for_each(|client| client.challenge(&mut world));
        let (granted, last) = (vec![Granted::default(); PATHS], vec![None; CLIENTS.len()]);
        let mut run = Self { world, clients, granted, last, token: vec![7; 8], reservations: Vec::new() };
        (0..PATHS).for_each(|who| run.step(Op::Allocate(who, Kind::Dual, 3600)));
        run
    }

    fn step(&mut self, op: Op) {
        match op {
            Op::Allocate(who, kind, lifetime) => self.allocate(who, kind, lifetime),
            Op::Refresh(who, family, lifetime) => self.refresh(who, family, lifetime),
            Op::Permit(who, peers) => self.permit(who, &peers),
            Op::Bind(who, number, peer) => self.bind(who, number, peer),
            Op::Again(who) => self.deliver(who),
            Op::Send(who, peer) => self.send(who, peer),
            Op::ChannelData(who, number) => self.channel_data(who, number),
            Op::PeerSends(who, peer) => self.peer_sends(who, peer),
            Op::Icmp(who, peer, kind) => self.icmp(who, peer, kind),
            Op::Pass(seconds, late) => self.pass(seconds, late),
            Op::Kick(who) => self.kick(who),
            Op::WrongPassword(who) => self.wrong_password(who),
            Op::Tampered(who, at, flip) => self.tampered(who, at, flip),
            Op::Garbage(who, bytes, stun) => self.garbage(who, bytes, stun),
        }
        self.compare();
        self.check();
    }

    fn allocate(&mut self, who: usize, kind: Kind, lifetime: u32) {
        let request = self.clients[who].request(ALLOCATE).attr(REQUESTED_TRANSPORT, &[17, 0, 0, 0]);
        let request = request.attr(LIFETIME, &lifetime.to_be_bytes());
        let request = match kind {
            Kind::Plain => request,
            Kind::V6 => request.attr(REQUESTED_ADDRESS_FAMILY, &[2, 0, 0, 0]),
            Kind::Even => request.attr(EVEN_PORT, &[0]),
            Kind::Pair => request.attr(EVEN_PORT, &[0x80]),
            Kind::Token => request.attr(RESERVATION_TOKEN, &self.token),
            Kind::Dual => request.attr(ADDITIONAL_ADDRESS_FAMILY, &[2, 0, 0, 0]),
        };
        self.ask(who, request, Effect::Allocate);
    }

    fn refresh(&mut self, who: usize, family: Option<u8>, lifetime: u32) {
        let request = self.clients[who].request(REFRESH).attr(LIFETIME, &lifetime.to_be_bytes());
        let request = match family {
            Some(family) => request.attr(REQUESTED_ADDRESS_FAMILY, &[family, 0, 0, 0]),
            None => request,
        };
        self.ask(who, request, Effect::Refresh { family, lifetime });
    }

    fn permit(&mut self, who: usize, peers: &[usize]) {
        let peers: Vec<SocketAddr> = peers.iter().map(|peer| self.peer(*peer)).collect();
        let request = self.clients[who].request(CREATE_PERMISSION);
        let request = peers.iter().fold(request, |request, peer| request.peer(&peer.to_string()));
        self.ask(who, request, Effect::Permit { ips: peers.iter().map(SocketAddr::ip).collect() });
    }

    fn bind(&mut self, who: usize, number: u16, peer: usize) {
        let peer = self.peer(peer);
        let [high, low] = number.to_be_bytes();
        let request = self.clients[who].request(CHANNEL_BIND).attr(CHANNEL_NUMBER, &[high, low, 0, 0]);
        self.ask(who, request.peer(&peer.to_string()), Effect::Bind { number, peer });
    }

    fn ask(&mut self, who: usize, request: Builder, effect: Effect) {
        self.last[who] = Some((self.clients[who].sign(request), effect));
        self.deliver(who);
    }

    /// Delivers the last request of a client: what is granted is written down, what is refused changes nothing.
    fn deliver(&mut self, who: usize) {
        let Some((bytes, effect)) = self.last[who].clone() else { return };
        let before = self.snapshot();
        let answer = self.world.ask(self.clients[who].path, &bytes);
        if answer.class == Class::Success {
            let now = self.world.now.moment;
            self.granted[who % PATHS].apply(who, &effect, &answer, now);
            if let Some(token) = answer.get(RESERVATION_TOKEN).filter(|token| *token != self.token) {
                self.token = token.to_vec();
                self.reservations.push((self.token.clone(), now + RESERVATION));
            }
        } else {
            assert_eq!(self.snapshot(), before);
        }
    }

    fn send(&mut self, who: usize, peer: usize) {
        let (peer, path) = (self.peer(peer), self.clients[who].path);
        let expected = self.granted[who % PATHS].is_permitted(peer.ip()) && self.is_reachable(peer);
        let datagram = self.clients[who].send(&peer.to_string(), b"media");
        let action = self.world.deliver(path, &datagram);
        self.check_way_out(who, &action, expected.then_some(peer));
    }

    fn channel_data(&mut self, who: usize, number: u16) {
        let expected = self.granted[who % PATHS].peer_of(number).filter(|peer| self.is_reachable(*peer));
        let action = self.world.deliver(self.clients[who].path, &channel_data(number, b"media"));
        self.check_way_out(who, &action, expected);
    }

    /// A packet leaves for the peer that it was meant for, from the relayed address of its client, or not at all.
    fn check_way_out(&self, who: usize, action: &Action, expected: Option<SocketAddr>) {
        let sent = match action {
            Action::ToPeer(ToPeer { relay, peer, own, .. }) => {
                let relayed = self.granted[who % PATHS].relay(peer.0.is_ipv4()).unwrap();
                assert_eq!(*relay, self.world.ports.id_of(relayed));
                assert_eq!(*own, self.world.ports.is_live(peer.0));
                Some(peer.0)
            }
            Action::Ignore(_) => None,
            Action::Reply(_) | Action::Connect(..) | Action::Bind(..) | Action::HandOver(..) => {
                panic!("data is never answered")
            }
        };
        assert_eq!(sent, expected);
    }

    fn peer_sends(&mut self, who: usize, peer: usize) {
        let (peer, now) = (self.peer(peer), self.world.now.moment);
        let granted = &self.granted[who % PATHS];
        let relay = granted.relay(peer.is_ipv4());
        let permitted = relay.is_some() && granted.is_permitted(peer.ip());
        let relay = relay.map_or(RelayId(u32::MAX), |relayed| self.world.ports.id_of(relayed));
        let way = self.world.engine.on_peer(relay, PeerAddr(peer), 10, now).ok();
        assert_eq!(way.map(|way| way.path), permitted.then_some(self.clients[who].path));
        let channel = way.and_then(|way| match way.encapsulation {
            Encapsulation::Channel(number) => Some(number.get()),
            Encapsulation::Indication(_) => None,
        });
        assert_eq!(channel, granted.channel_of(peer).filter(|_| permitted));
    }

    fn icmp(&mut self, who: usize, peer: usize, kind: u8) {
        let (peer, now) = (self.peer(peer), self.world.now.moment);
        let granted = &self.granted[who % PATHS];
        let Some(relayed) = granted.relay(peer.is_ipv4()) else { return };
        let meant = if peer.is_ipv4() { [3, 3, 11] } else { [1, 2, 3] }.contains(&kind);
        let path = self.clients[who % PATHS].path;
        let mut allocations = self.world.engine.allocations().iter().map(|(_, allocation)| allocation);
        let wanted = allocations.any(|it| it.path == path && it.icmp == IcmpReports::Wanted);
        drop(allocations);
        let expected = meant && wanted && granted.is_permitted(peer.ip());
        let relay = self.world.ports.id_of(relayed);
        let heard =
            self.world.engine.on_icmp(relay, PeerAddr(peer), Icmp { kind, code: 1, data: 0 }, now).is_some();
        assert_eq!(heard, expected);
    }

    fn pass(&mut self, seconds: u64, late: bool) {
        if late {
            self.world.now = self.world.now + Duration::from_secs(seconds);
            self.world.engine.expire(self.world.now.moment, &mut self.world.ports);
        } else {
            self.world.pass(seconds);
        }
        self.granted.iter_mut().for_each(|granted| granted.settle(self.world.now.moment));
        self.reservations.retain(|(_, until)| *until > self.world.now.moment);
        self.clients.iter_mut().for_each(|client| client.challenge(&mut self.world));
    }

    fn kick(&mut self, who: usize) {
        let client = self.clients[who].path.client;
        let sessions = self.sessions();
        let Some(session) = sessions.iter().find(|session| session.client == client) else { return };
        let World { engine, ports, now, .. } = &mut self.world;
        assert!(engine.end_session(session.id, now.moment, ports).is_some());
        assert!(engine.end_session(session.id, now.moment, ports).is_none());
        self.granted[who % PATHS] = Granted::default();
    }

    /// What an administrator sees.
    fn sessions(&self) -> Vec<Summary> {
        let piece = self.world.engine.sessions(&Wanted::default(), 0, self.world.now.moment);
        assert_eq!(piece.next, None);
        piece.sessions.into_iter().map(|(_, session)| session).collect()
    }

    fn wrong_password(&mut self, who: usize) {
        let before = self.snapshot();
        let mut stranger = self.clients[who].clone();
        stranger.password.push('x');
        assert_eq!(stranger.refresh(&mut self.world, Some(0)).code(), Some(401));
        assert_eq!(self.snapshot(), before);
    }

    fn tampered(&mut self, who: usize, at: Index, flip: u8) {
        let Some((mut bytes, _)) = self.last[who].clone() else { return };
        let at = at.index(bytes.len());
        bytes[at] ^= flip;
        self.change_nothing(who, &bytes);
    }

    fn garbage(&mut self, who: usize, mut bytes: Vec<u8>, is_stun: bool) {
        if is_stun {
            bytes.resize(bytes.len().next_multiple_of(4) + 20, 0xA5);
            bytes[0] &= 0x3F;
            let length = bytes.len() as u16 - 20;
            bytes[2..4].copy_from_slice(&length.to_be_bytes());
            bytes[4..8].copy_from_slice(&[0x21, 0x12, 0xA4, 0x42]);
        }
        self.change_nothing(who, &bytes);
    }

    /// Nobody signed this: it may be refused or dropped, and Binding is granted to everybody.
    fn change_nothing(&mut self, who: usize, bytes: &[u8]) {
        let before = self.snapshot();
        match self.world.deliver(self.clients[who].path, bytes) {
            Action::Reply(answer) => {
                let answer = Message::read(&answer);
                assert!(answer.class == Class::Error || answer.method == 1, "{answer:?}");
            }
            Action::Ignore(_) => {}
            other @ (Action::ToPeer(_) | Action::Connect(..) | Action::Bind(..) | Action::HandOver(..)) => {
                panic!("{other:?}")
            }
        }
        assert_eq!(self.snapshot(), before);
    }

    fn peer(&self, peer: usize) -> SocketAddr {
        match PEERS.get(peer) {
            Some(peer) => peer.parse().unwrap(),
            None => {
                let relayed = self.granted[peer - PEERS.len()].relay(peer.is_multiple_of(2));
                relayed.unwrap_or_else(|| "192.0.2.1:50000".parse().unwrap())
            }
        }
    }

    fn is_reachable(&self, peer: SocketAddr) -> bool {
        PEERS[..GOOD].iter().any(|good| peer == good.parse().unwrap()) || self.world.ports.is_live(peer)
    }

    /// Everything that a client can change, without what is over.
    fn snapshot(&self) -> impl PartialEq + std::fmt::Debug + use<> {
        let now = self.world.now.moment;
        let allocations = self.world.engine.allocations().iter().map(|(_, allocation)| {
            let permissions = allocation.permissions.iter().filter(|permission| permission.until > now);
            let channels = allocation.channels.iter().filter(|channel| channel.until > now);
            let relays = allocation.relays.clone();
            (
                allocation.path,
                relays,
                permissions.copied().collect::<Vec<_>>(),
                channels.copied().collect::<Vec<_>>(),
            )
        });
        let ports = &self.world.ports;
        (allocations.collect::<Vec<_>>(), ports.open.clone(), ports.reserved.clone())
    }

    /// The engine has what was granted, no more and no less; only what had to make way ends early.
    fn compare(&mut self) {
        let allocations = self.world.engine.allocations();
        for (granted, client) in self.granted.iter_mut().zip(&self.clients) {
            let allocation = allocations.by_path(&client.path).and_then(|id| allocations.get(id));
            match allocation {
                Some(allocation) => {
                    let relays = allocation.relays.iter().map(|(relay, until)| (relay.addr.0, *until));
                    assert_eq!(relays.collect::<Vec<_>>(), granted.relays);
                    granted.evicted = allocation.lease.is_evicted();
                }
                None => {
                    assert!(
                        granted.relays.is_empty() || granted.evicted,
                        "{} ended early",
                        client.path.client
                    );
                    *granted = Granted::default();
                }
            }
        }
    }

    /// Nothing leaks, and no cap is exceeded.
    fn check(&self) {
        let World { engine, ports, quotas, counters, now, .. } = &self.world;
        let allocations: Vec<_> = engine.allocations().iter().map(|(_, allocation)| allocation).collect();
        assert_eq!(ports.free() + ports.open.len() + ports.reserved.len(), ports.size());
        let mut relays: Vec<u32> =
            allocations.iter().flat_map(|a| a.relays.iter().map(|(relay, _)| relay.id.0)).collect();
        relays.sort_unstable();
        assert_eq!(relays, ports.open.keys().copied().collect::<Vec<_>>(), "each is one allocation's");

        let live = allocations.iter().filter(|a| !a.lease.is_evicted());
        assert_eq!(quotas.total(), live.clone().count() + self.reservations.len());
        assert!(quotas.total() <= 3);
        let clients = live.clone().map(|allocation| allocation.path.client);
        assert!(clients.eq(self.sessions().iter().map(|session| session.client)));
        assert!(
            ["alice", "bob", "carol"].iter().all(|tag| live.clone().filter(|a| *a.tag == **tag).count() <= 2)
        );
        assert_eq!(counters.allocations.get(), allocations.len() as u64);

        let channels: usize = allocations.iter().map(|a| a.channels.len()).sum();
        assert_eq!(engine.routes().len(), (channels, channels));
        let permissions: usize = allocations.iter().map(|a| a.permissions.len()).sum();
        assert_eq!(
            [counters.permissions.get(), counters.channels.get()],
            [permissions, channels].map(|n| n as u64)
        );
        let counted = metrics::relay(std::slice::from_ref(counters), 0).held;
        for family in Families::ALL {
            let has = allocations.iter().filter(|a| a.families() == Some(family)).count();
            let counted = counted.iter().filter(|held| held.family == family.name()).map(|held| held.count);
            assert_eq!(counted.sum::<u64>(), has as u64, "{}", family.name());
        }
        for allocation in allocations {
            assert!(allocation.permissions.len() <= 3 && allocation.channels.len() <= 3);
            for channel in &allocation.channels {
                assert_eq!(engine.routes().up(allocation.path, channel.number).unwrap().peer, channel.peer);
                assert_eq!(
                    engine.routes().down(channel.relay, channel.peer).unwrap().channel,
                    channel.number
                );
            }
            let families: Vec<_> = allocation.relays.iter().map(|(relay, _)| relay.family()).collect();
            assert!(
                allocation.permissions.iter().all(|permission| families.contains(&Family::of(permission.ip)))
            );
            assert!(allocation.relays.iter().all(|(_, until)| *until > now.moment));
            assert!(
                engine.next_deadline().unwrap() <= allocation.expires().unwrap(),
                "its end is not forgotten"
            );
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 300,
        failure_persistence: None,
        rng_seed: RngSeed::Fixed(8656),
        ..ProptestConfig::default()
    })]

    #[test]
    fn nothing_leaks_and_nothing_is_relayed_that_was_not_granted(ops in prop::collection::vec(op(), 30..120)) {
        let mut run = Run::new();
        ops.into_iter().for_each(|op| run.step(op));
    }
}
