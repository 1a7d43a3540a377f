//! The engine: sessions of four clients and their peers, over UDP and TCP, with the clock moving on.
//!
//! Every answer must be well-formed, every relayed range must lie in its datagram, and when all is over nothing is left.
#![no_main]

use hairpin::sections::number::Count;
use std::cell::Cell;
use std::sync::Arc;

use hairpin::clock::Moment;
use hairpin::relay::address::{ClientPath, ConnectionId, PeerAddr, RelayId, StreamId, Via};
use hairpin::relay::engine::Action;
use hairpin::relay::engine::answers::AnswerBudget;
use hairpin::relay::wire::Icmp;
use hairpin_fuzz::support::client::Client;
use hairpin_fuzz::support::seeds::{CLIENTS, Step, records};
use hairpin_fuzz::support::stun::{
    Builder, Class, FINGERPRINT, MESSAGE_INTEGRITY, MESSAGE_INTEGRITY_SHA256, Message, NONCE, REALM, USERNAME,
};
use hairpin_fuzz::support::world::{TablePorts, World, path};
use libfuzzer_sys::fuzz_target;

const STEPS_MAX: usize = 100;
const ADDRESSES: [(&str, &str); CLIENTS] = [
    ("203.0.113.1:5000", "alice"),
    ("203.0.113.1:5001", "alice"),
    ("[2a00::1]:5000", "bob"),
    ("203.0.113.4:5000", "carol"),
];
const PEERS: [&str; 5] =
    ["1.1.1.1:9000", "1.1.1.2:9000", "[2606:4700::1111]:9000", "192.0.2.1:50000", "10.0.0.1:9000"];
/// Longer than anything lasts that a client can ask for.
const HOURS: u64 = 10_000;

struct Run {
    world: World,
    clients: Vec<Client>,
    connections: Vec<ConnectionId>,
}

impl Run {
    fn new() -> Self {
        let mut world = World::with(|plan| {
            plan.ports = TablePorts::new(&["192.0.2.1", "2001:db8::1"], 50_000, 50_005);
            plan.limits.configured.allocations_per_user = Count::of::<3>();
            plan.limits.configured.permissions = Count::of::<4>();
            plan.limits.configured.channels = Count::of::<4>();
            plan.tcp = true;
            plan.rfc3489 = true;
            plan.answers = Some(ANSWERS.with(Arc::clone));
        });
        world.now.moment = LAST.get().unwrap_or(world.now.moment);
        let mut clients: Vec<Client> =
            ADDRESSES.iter().map(|(address, tag)| world.client(address, tag)).collect();
        clients[CLIENTS - 1].path = stream(1);
        clients.iter_mut().for_each(|client| client.challenge(&mut world));
        Self { world, clients, connections: Vec::new() }
    }

    fn take(&mut self, step: Step, who: usize, bytes: &[u8]) {
        match step {
            Step::Raw => self.deliver(who, self.clients[who].path, bytes),
            Step::Signed => {
                let request = sign(&self.clients[who], bytes);
                self.deliver(who, self.clients[who].path, &request);
            }
            Step::Peer => self.peer(bytes),
            Step::Pass => {
                let seconds = bytes.first_chunk().map_or(1, |two| u16::from_be_bytes(*two));
                self.world.pass(u64::from(seconds) % 4000);
            }
            Step::Connection => self.connection(who, bytes),
            Step::End => self.end(who, bytes),
        }
    }

    fn deliver(&mut self, who: usize, path: ClientPath, datagram: &[u8]) {
        match self.world.deliver(path, datagram) {
            Action::Reply(reply) => self.hear(who, datagram, &reply),
            Action::ToPeer(to_peer) => assert!(to_peer.payload.end <= datagram.len()),
            Action::Connect(connection, _, _) => self.connections.push(connection),
            Action::Bind(_, reply) => self.hear(who, datagram, &reply),
            Action::Ignore(_) => {}
            Action::HandOver(..) => panic!("there is one shard"),
        }
    }

    /// An answer repeats the transaction, and brings a new nonce if the old one is stale.
    fn hear(&mut self, who: usize, request: &[u8], reply: &[u8]) {
        assert_eq!(reply[4..20], request[4..20], "an answer repeats the transaction");
        if reply[4..8] != COOKIE {
            return; // RFC 3489
        }
        let reply = Message::read(reply);
        assert!(matches!(reply.class, Class::Success | Class::Error));
        if let Some(nonce) = reply.get(NONCE) {
            self.clients[who].nonce = String::from_utf8(nonce.to_vec()).expect("a nonce is a text");
        }
    }

    /// A datagram of a peer, or an ICMP error about one that it was sent.
    fn peer(&mut self, bytes: &[u8]) {
        let [relay, peer, length, kind, code, ..] = *bytes else { return };
        let (relay, peer) =
            (self.relay(relay), PeerAddr(PEERS[usize::from(peer) % PEERS.len()].parse().unwrap()));
        let now = self.world.now.moment;
        if kind == 0 {
            let _ = self.world.engine.on_peer(relay, peer, usize::from(length), now);
        } else {
            let icmp = Icmp { kind, code, data: u32::from(length) };
            if let Some((_, indication)) = self.world.engine.on_icmp(relay, peer, icmp, now) {
                assert_eq!(Message::read(&indication).class, Class::Indication);
            }
        }
    }

    fn connection(&mut self, who: usize, bytes: &[u8]) {
        let [what, which, peer, ..] = *bytes else { return };
        let now = self.world.now.moment;
        let connection = match self.connections.len() {
            0 => ConnectionId(u32::from(which)),
            known => self.connections[usize::from(which) % known],
        };
        match what % 4 {
            0 => {
                let relay = self.relay(which);
                let peer = PeerAddr(PEERS[usize::from(peer) % PEERS.len()].parse().unwrap());
                if let Ok((connection, _, indication)) = self.world.engine.on_attempt(relay, peer, now) {
                    assert_eq!(Message::read(&indication).class, Class::Indication);
                    self.connections.push(connection);
                }
            }
            1 => {
                if let Some((_, reply)) = self.world.engine.on_connected(connection, peer.is_multiple_of(2)) {
                    drop(Message::read(&reply));
                }
            }
            2 => {
                let client = Client { path: stream(2 + u32::from(peer)), ..self.clients[who].clone() };
                let request = Builder::new(Class::Request, CONNECTION_BIND, [peer; 12]);
                let request = request.attr(CONNECTION_ID, &connection.0.to_be_bytes());
                self.deliver(who, client.path, &client.sign(request));
            }
            _ => self.world.engine.on_hung_up(connection),
        }
    }

    fn end(&mut self, who: usize, bytes: &[u8]) {
        if bytes.first().is_some_and(|byte| byte.is_multiple_of(2)) {
            let (path, now) = (self.clients[who].path, self.world.now.moment);
            self.world.engine.disconnect(path, now, &mut self.world.ports);
        } else {
            let username = self.clients[who].username.clone();
            self.world.revoke(&username);
        }
    }

    fn relay(&self, which: u8) -> RelayId {
        let open = self.world.ports.open.keys().copied();
        RelayId(open.clone().nth(usize::from(which) % open.count().max(1)).unwrap_or(u32::from(which)))
    }

    fn finish(mut self) {
        self.world.pass(HOURS);
        LAST.set(Some(self.world.now.moment));
        self.world.engine.conclude(self.world.now.moment);
        assert_eq!(self.world.allocations(), 0, "every allocation ends");
        assert_eq!(self.world.ports.free(), self.world.ports.size(), "every port is free again");
        assert_eq!(self.world.quotas.total(), 0, "nothing counts on a quota any more");
    }
}

fn stream(id: u32) -> ClientPath {
    ClientPath { via: Via::Tcp(StreamId(id)), ..path(ADDRESSES[CLIENTS - 1].0) }
}

/// The same request, with this client's credential: the attributes before its signature, whatever they are.
fn sign(client: &Client, bytes: &[u8]) -> Vec<u8> {
    let mut header = bytes.get(..20).unwrap_or(&[0; 20]).to_vec();
    header[0] &= 0x3F;
    header[4..8].copy_from_slice(&COOKIE);
    let mut request = Builder(header).set_length(0);
    let mut rest = bytes.get(20..).unwrap_or_default();
    while let Some(([a, b, c, d], after)) = rest.split_first_chunk() {
        let kind = u16::from_be_bytes([*a, *b]);
        if matches!(kind, MESSAGE_INTEGRITY | MESSAGE_INTEGRITY_SHA256 | FINGERPRINT) {
            break;
        }
        let length = usize::from(u16::from_be_bytes([*c, *d])).min(after.len());
        if !matches!(kind, USERNAME | REALM | NONCE) {
            request = request.attr(kind, &after[..length]);
        }
        rest = after.get(length.next_multiple_of(4)..).unwrap_or_default();
    }
    client.sign(request)
}

const COOKIE: [u8; 4] = [0x21, 0x12, 0xA4, 0x42];
const CONNECTION_BIND: u16 = 0x00B;
const CONNECTION_ID: u16 = 0x002A;

thread_local! {
    /// So generous that no run is limited by what another one was answered.
    static ANSWERS: Arc<AnswerBudget> = Arc::new(AnswerBudget::new(2));
    /// When the last run ended: time does not go back, because the budget would be spent until then.
    static LAST: Cell<Option<Moment>> = const { Cell::new(None) };
}

fuzz_target!(|input: &[u8]| {
    let mut run = Run::new();
    for (step, who, bytes) in records(input).take(STEPS_MAX) {
        run.take(step, who, bytes);
    }
    run.finish();
});
