//! One engine, a table of ports, and a clock that the test moves.

use hairpin::sections::limits::Limits as Configured;
use hairpin::sections::number::Count;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use hairpin::bounds::rate::Rate;
use hairpin::clock::{Moment, Now, Unix};
use hairpin::credentials::{CheckExpiry, Credentials};
use hairpin::journal::Journal;
use hairpin::metrics::Counters;
use hairpin::network::address::Transport;
use hairpin::network::own::Own;
use hairpin::outcome::Ignored;
use hairpin::peers::PeerPolicy;
use hairpin::relay::address::{ClientPath, Family, ListenerId, PeerAddr, RelayId, RelayedAddr, Via};
use hairpin::relay::engine::answers::AnswerBudget;
use hairpin::relay::engine::limits::Limits;
use hairpin::relay::engine::nonce::Nonces;
use hairpin::relay::engine::quotas::Quotas;
use hairpin::relay::engine::seam::{IcmpReports, NoPort, OpenPort, Parity, Ports, ReservationToken};
use hairpin::relay::engine::{Action, Encapsulation, Engine, Settings, ShardIndex, Shared, ToClient, ToPeer};
use hairpin::secret::Secret;
use hairpin::usage::ledger::{Ledger, Purpose};
use rand::Rng;
use rand::rngs::StdRng;

use super::client::Client;
use super::seeds::{Datagrams, Step};
use super::stun::{LIFETIME, Message, XOR_RELAYED_ADDRESS};

pub const REALM: &str = "example.org";
pub const SECRET: &str = "a secret of the tests";
pub const LISTENER: &str = "192.0.2.1:3478";
/// When the tests begin, in seconds since the Unix epoch.
pub const START: u64 = 1_800_000_000;

/// What a test may change before its world begins.
pub struct Plan {
    pub limits: Limits,
    pub peers: PeerPolicy,
    pub users: HashMap<String, Secret>,
    pub secrets: Vec<Secret>,
    pub check_expiry: CheckExpiry,
    pub ports: TablePorts,
    pub rfc5766_channels: bool,
    pub rfc3489: bool,
    pub tcp: bool,
    pub alternates: Vec<SocketAddr>,
    /// What the ledger of usage is kept for.
    pub usage: Purpose,
    /// The budget of another world, which is a megabyte to make.
    pub answers: Option<Arc<AnswerBudget>>,
}

/// One engine and what surrounds it.
pub struct World {
    pub engine: Engine,
    pub ports: TablePorts,
    pub now: Now,
    pub counters: Arc<Counters>,
    pub quotas: Arc<Quotas>,
    pub settings: Arc<Settings>,
    pub journal: Arc<Journal>,
    /// What users have used.
    pub usage: Arc<Ledger>,
    seeds: Datagrams,
}

impl Default for Plan {
    fn default() -> Self {
        let own = ["192.0.2.1", "2001:db8::1"].map(|ip| ip.parse().unwrap()).to_vec();
        Self {
            limits: generous(),
            peers: PeerPolicy {
                own: Own::new(own, &[]),
                listeners: vec![(Transport::Udp, LISTENER.parse().unwrap())],
                ..PeerPolicy::default()
            },
            users: HashMap::from([("alice".to_owned(), Secret::new("wonderland"))]),
            secrets: vec![Secret::new(SECRET)],
            check_expiry: CheckExpiry::Allocate,
            ports: TablePorts::new(&["192.0.2.1", "2001:db8::1"], 50_000, 50_999),
            rfc5766_channels: false,
            rfc3489: false,
            tcp: false,
            alternates: Vec::new(),
            usage: Purpose::default(),
            answers: None,
        }
    }
}

/// Limits that no test meets by accident.
pub fn generous() -> Limits {
    Limits {
        allocations: 10_000,
        configured: Configured { allocations_per_user: Count::of::<10_000>(), ..Configured::default() },
        allocations_per_ip: 10_000,
        allocations_per_network: 10_000,
        new_peers: Rate::per_second(1_000_000),
        packets: Rate::per_second(1_000_000),
        bytes: Rate::per_second(1_000_000_000),
        user_bytes: None,
        total_bytes: None,
        answers_per_ip: Rate::per_second(1_000_000),
        answers_per_network: Rate::per_second(1_000_000),
        failures: Rate::per_second(1_000_000),
    }
}

/// Settings with these limits, and nobody who may use the relay.
pub fn settings(limits: Limits) -> Arc<Settings> {
    let credentials = Credentials::new(REALM, Vec::new(), HashMap::new(), CheckExpiry::Allocate);
    let (rfc5766_channels, rfc3489, tcp) = (false, false, false);
    Arc::new(Settings { credentials, limits, rfc5766_channels, rfc3489, tcp, alternates: Vec::new() })
}

impl World {
    pub fn new() -> Self {
        Self::with(|_| {})
    }

    /// A world that the test has changed something in.
    pub fn with(change: impl FnOnce(&mut Plan)) -> Self {
        let mut plan = Plan::default();
        change(&mut plan);
        let credentials = Credentials::new(REALM, plan.secrets, plan.users, plan.check_expiry);
        let Plan { peers, limits, rfc5766_channels, rfc3489, tcp, alternates, answers, .. } = plan;
        let settings = Settings { credentials, limits, rfc5766_channels, rfc3489, tcp, alternates };
        let settings = Arc::new(settings);
        let quotas = Arc::new(Quotas::new(Arc::clone(&settings)));
        let counters = Arc::new(Counters::default());
        let journal = Arc::<Journal>::default();
        let usage = Arc::new(Ledger::new(plan.usage));
        let shared = Shared {
            nonces: Nonces::new([1; 32], settings.credentials.offers_user_hash()),
            quotas: Arc::clone(&quotas),
            carried: Arc::default(),
            answers: answers.unwrap_or_else(|| Arc::new(AnswerBudget::new(2))),
            settings: Arc::clone(&settings),
            journal: Arc::clone(&journal),
            denied: Arc::default(),
            usage: Arc::clone(&usage),
            peers,
        };
        let engine = Engine::new(shared, Arc::clone(&counters), ShardIndex::ALONE, [3; 32]);
        let now = Now { moment: Moment::default() + Duration::from_secs(1000), unix: Unix::from_secs(START) };
        let seeds = Datagrams::default();
        Self { engine, ports: plan.ports, now, counters, quotas, settings, journal, usage, seeds }
    }

    /// A world with one client, and the IPv4 address that it has for an hour.
    pub fn with_allocation(change: impl FnOnce(&mut Plan)) -> (Self, Client, SocketAddr) {
        let mut world = Self::with(change);
        let mut client = world.client("203.0.113.1:5000", "alice");
        let answer =
            client.try_allocate(&mut world, |request| request.attr(LIFETIME, &3600_u32.to_be_bytes()));
        assert_eq!(answer.code(), None);
        (world, client, answer.address(XOR_RELAYED_ADDRESS))
    }

    /// Lets time pass, and with it everything expire that is due.
    pub fn pass(&mut self, seconds: u64) {
        self.seeds.step(Step::Pass, 0, &(seconds as u16).to_be_bytes());
        let end = self.now + Duration::from_secs(seconds);
        while let Some(due) = self.engine.next_deadline().filter(|due| *due <= end.moment) {
            self.engine.expire(due, &mut self.ports);
        }
        self.now = end;
    }

    /// Hands the engine a datagram.
    pub fn deliver(&mut self, path: ClientPath, datagram: &[u8]) -> Action {
        self.seeds.add(path.client, path.is_stream(), datagram);
        self.engine.on_client(path, datagram, self.now, &mut self.ports)
    }

    /// Hands the engine a datagram that must be answered.
    pub fn ask(&mut self, path: ClientPath, datagram: &[u8]) -> Message {
        let action = self.deliver(path, datagram);
        let Action::Reply(bytes) = action else { panic!("expected an answer, got {action:?}") };
        Message::read(&bytes)
    }

    /// Hands the engine a datagram that must be dropped; returns why it was.
    pub fn drop_of(&mut self, path: ClientPath, datagram: &[u8]) -> Ignored {
        let action = self.deliver(path, datagram);
        let Action::Ignore(reason) = action else { panic!("expected silence, got {action:?}") };
        reason
    }

    /// Hands the engine a datagram that must be relayed; returns where to, and the payload.
    pub fn relayed(&mut self, path: ClientPath, datagram: &[u8]) -> (ToPeer, Vec<u8>) {
        let action = self.deliver(path, datagram);
        let Action::ToPeer(to_peer) = action else { panic!("expected a relayed packet, got {action:?}") };
        let payload = datagram[to_peer.payload.clone()].to_vec();
        (to_peer, payload)
    }

    /// A packet of a peer arrives at a relayed address.
    pub fn peer_sends(&mut self, relayed: SocketAddr, peer: &str, bytes: usize) -> Result<ToClient, Ignored> {
        self.seeds.step(Step::Peer, 0, &[0, 0, bytes as u8, 0, 0]);
        let relay = self.ports.id_of(relayed);
        self.engine.on_peer(relay, PeerAddr(peer.parse().unwrap()), bytes, self.now.moment)
    }

    /// Whether a packet of a peer reaches the client on this channel.
    pub fn arrives_on_channel(&mut self, relayed: SocketAddr, peer: &str, channel: u16) -> bool {
        let way = self.peer_sends(relayed, peer, 10);
        way.is_ok_and(
            |way| matches!(way.encapsulation, Encapsulation::Channel(number) if number.get() == channel),
        )
    }

    /// Whether a packet of a peer reaches the client as a Data indication.
    pub fn arrives_as_indication(&mut self, relayed: SocketAddr, peer: &str) -> bool {
        let way = self.peer_sends(relayed, peer, 10);
        way.is_ok_and(|way| matches!(way.encapsulation, Encapsulation::Indication(_)))
    }

    /// A client with a time-limited credential of `tag`.
    pub fn client(&mut self, address: &str, tag: &str) -> Client {
        let username = format!("{}:{tag}", self.now.unix + Duration::from_secs(3600));
        let password = Secret::new(SECRET).password(&username);
        Client::new(path(address), &username, password.reveal())
    }

    /// Who may use the relay.
    pub fn credentials(&self) -> &Credentials {
        &self.settings.credentials
    }

    /// A credential is good no more, as the daemon revokes it.
    pub fn revoke(&mut self, username: &str) {
        self.credentials().revoke(username, self.now.unix).unwrap();
        self.engine.revoke(username, self.now.moment, &mut self.ports);
    }

    /// How many allocations there are.
    pub fn allocations(&self) -> usize {
        self.engine.allocations().len()
    }
}

/// The 5-tuple of a client at `address` and the usual listener.
pub fn path(address: &str) -> ClientPath {
    ClientPath {
        client: address.parse().unwrap(),
        server: LISTENER.parse().unwrap(),
        via: Via::Socket(ListenerId(0)),
    }
}

/// Relay ports as a table: what is open, what is reserved.
#[derive(Debug, Clone)]
pub struct TablePorts {
    pub ips: Vec<IpAddr>,
    low: u16,
    high: u16,
    pub open: BTreeMap<u32, SocketAddr>,
    pub reserved: BTreeMap<ReservationToken, SocketAddr>,
    /// Those of `open` that peers connect to over TCP.
    pub streams: BTreeSet<SocketAddr>,
    next: u32,
}

impl TablePorts {
    pub fn new(ips: &[&str], low: u16, high: u16) -> Self {
        let ips = ips.iter().map(|ip| ip.parse().unwrap()).collect();
        Self {
            ips,
            low,
            high,
            open: BTreeMap::new(),
            reserved: BTreeMap::new(),
            streams: BTreeSet::new(),
            next: 0,
        }
    }

    /// How many ports there are in all.
    pub fn size(&self) -> usize {
        self.ips.len() * (usize::from(self.high - self.low) + 1)
    }

    /// How many ports are neither open nor reserved.
    pub fn free(&self) -> usize {
        let all =
            self.ips.iter().flat_map(|ip| (self.low..=self.high).map(|port| SocketAddr::new(*ip, port)));
        all.filter(|address| !self.is_taken(*address)).count()
    }

    pub fn id_of(&self, address: SocketAddr) -> RelayId {
        let found = self.open.iter().find(|(_, other)| **other == address);
        RelayId(*found.expect("the relayed address is open").0)
    }

    fn is_taken(&self, address: SocketAddr) -> bool {
        self.open.values().chain(self.reserved.values()).any(|other| *other == address)
    }

    fn adopt(&mut self, address: SocketAddr) -> OpenPort {
        let id = self.next;
        self.next += 1;
        self.open.insert(id, address);
        OpenPort { id: RelayId(id), addr: RelayedAddr(address) }
    }
}

impl Ports for TablePorts {
    fn serves(&self, family: Family) -> bool {
        self.ips.iter().any(|ip| Family::of(*ip) == family)
    }

    fn open(
        &mut self,
        family: Family,
        parity: Parity,
        _: IcmpReports,
        rng: &mut StdRng,
    ) -> Result<OpenPort, NoPort> {
        let ip = *self.ips.iter().find(|ip| Family::of(**ip) == family).ok_or(NoPort)?;
        let taken: HashSet<SocketAddr> = self.open.values().chain(self.reserved.values()).copied().collect();
        let fits = |port: &u16| {
            let free = |port| port <= self.high && !taken.contains(&SocketAddr::new(ip, port));
            match parity {
                Parity::Any => free(*port),
                Parity::Even => port.is_multiple_of(2) && free(*port),
                Parity::EvenAndNext(_) => port.is_multiple_of(2) && free(*port) && free(*port + 1),
            }
        };
        let ports: Vec<u16> = (self.low..=self.high).filter(fits).collect();
        if ports.is_empty() {
            return Err(NoPort);
        }
        let port = ports[rng.random_range(0..ports.len())];
        if let Parity::EvenAndNext(token) = parity {
            self.reserved.insert(token, SocketAddr::new(ip, port + 1));
        }
        Ok(self.adopt(SocketAddr::new(ip, port)))
    }

    fn open_stream(&mut self, family: Family, rng: &mut StdRng) -> Result<OpenPort, NoPort> {
        let relay = Ports::open(self, family, Parity::Any, IcmpReports::Unknown, rng)?;
        self.streams.insert(relay.addr.0);
        Ok(relay)
    }

    fn redeem(&mut self, token: ReservationToken, _: IcmpReports) -> Option<OpenPort> {
        let address = self.reserved.remove(&token)?;
        Some(self.adopt(address))
    }

    fn forget(&mut self, token: ReservationToken) {
        self.reserved.remove(&token);
    }

    fn close(&mut self, relay: RelayId) {
        let address = self.open.remove(&relay.0).expect("only what is open is closed");
        self.streams.remove(&address);
    }

    fn is_relay_ip(&self, ip: IpAddr) -> bool {
        self.ips.contains(&ip)
    }

    fn is_live(&self, address: SocketAddr) -> bool {
        self.open.values().any(|other| *other == address) && !self.streams.contains(&address)
    }

    fn is_live_stream(&self, address: SocketAddr) -> bool {
        self.streams.contains(&address)
    }
}
