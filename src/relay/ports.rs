//! Picks relay ports, binds them, and keeps the sockets of one shard.
//!
//! Which ports are taken is one bit for each port of each relay address, shared by all shards without a lock. A
//! port that another program holds is skipped. A reserved port (RFC 8656 §7.2) is bound while it waits for its
//! token, which works on any shard.

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::ops::RangeInclusive;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use mio::net::TcpListener;
use mio::{Interest, Registry};
use rand::Rng;
use rand::rngs::StdRng;
use rand::seq::SliceRandom;
use slab::Slab;

use crate::bounds::notice::Notice;
use crate::clock::Clock;
use crate::network::address::{RelayAddress, Transport};
use crate::network::tcp;
use crate::relay::address::{Family, RelayId, RelayedAddr};
use crate::relay::datagrams::DatagramSocket;
use crate::relay::engine::ports::{NoPort, OpenPort, Parity, Ports, Token};
use crate::relay::source::Source;

/// The ports of all relay addresses.
#[derive(Debug)]
pub struct PortPool {
    addresses: Vec<(RelayAddress, Taken)>,
    range: RangeInclusive<u16>,
    reserved: Mutex<HashMap<Token, Bound>>,
    /// When the log last said that no port was found.
    notice: Notice,
    clock: Clock,
}

/// The taken ports of one address. UDP and TCP have the same numbers and nothing else in common.
#[derive(Debug, Default)]
struct Taken {
    udp: PortSet,
    tcp: PortSet,
}

/// One bit for each port.
#[derive(Debug)]
struct PortSet(Box<[AtomicU64]>);

/// A bound relay socket.
#[derive(Debug)]
struct Bound {
    socket: RelaySocket,
    /// The index of its address in the pool.
    address: usize,
    port: u16,
}

/// What reaches the peers of an allocation.
#[derive(Debug)]
enum RelaySocket {
    Udp(DatagramSocket),
    Tcp(TcpListener),
}

/// The relay sockets of one shard.
#[derive(Debug)]
pub struct ShardPorts {
    pool: Arc<PortPool>,
    registry: Registry,
    sockets: Slab<Bound>,
    by_address: HashMap<SocketAddr, RelayId>,
    /// Closed, but packets that were handed to them may still have to leave.
    closing: Vec<RelayId>,
}

/// Peers that may wait to be accepted.
const BACKLOG: i32 = 16;
/// Random picks before the range is searched from end to end.
const RANDOM_PICKS: usize = 32;
/// Ports of other programs that are skipped before a request is refused.
const FOREIGN_MAX: usize = 256;

impl PortPool {
    /// All ports of `range` on all `addresses`.
    #[must_use]
    pub fn new(addresses: &[RelayAddress], range: RangeInclusive<u16>, clock: Clock) -> Self {
        let addresses = addresses.iter().map(|address| (*address, Taken::default())).collect();
        Self { addresses, range, reserved: Mutex::default(), notice: Notice::new(), clock }
    }

    /// How many ports are taken, on all addresses.
    #[must_use]
    pub fn taken(&self) -> usize {
        self.addresses.iter().map(|(_, taken)| taken.udp.len() + taken.tcp.len()).sum()
    }

    /// Binds a port that fits, and for a pair the next one too.
    fn bind(
        &self,
        transport: Transport,
        family: Family,
        parity: Parity,
        rng: &mut StdRng,
    ) -> Result<Bound, NoPort> {
        let found = self.find(transport, family, parity, rng);
        if !matches!(found, Ok(Some(_)))
            && let Some(times) = self.notice.due(self.clock.now().moment)
        {
            let reason = found.as_ref().err().map_or_else(|| "all are taken".to_owned(), ToString::to_string);
            tracing::warn!(
                times,
                reason,
                "no relay port is available: widen relay.ports, or raise LimitNOFILE"
            );
        }
        found.ok().flatten().ok_or(NoPort)
    }

    /// Binds the first candidate that is free, on the relay addresses in turn.
    fn find(
        &self,
        transport: Transport,
        family: Family,
        parity: Parity,
        rng: &mut StdRng,
    ) -> io::Result<Option<Bound>> {
        let fits = |index: &usize| Family::of(self.addresses[*index].0.bind) == family;
        let mut indices: Vec<usize> = (0..self.addresses.len()).filter(fits).collect();
        indices.shuffle(rng);
        let (mut foreign, mut failure) = (0, None);
        for address in indices {
            for port in candidates(&self.range, parity, rng) {
                match self.bind_port(transport, address, port, parity) {
                    Ok(Some(bound)) => return Ok(Some(bound)),
                    Ok(None) => {}
                    Err(error) if error.kind() == io::ErrorKind::AddrInUse && foreign < FOREIGN_MAX => {
                        foreign += 1;
                    }
                    // This address may be gone; the others need not be.
                    Err(error) => {
                        failure = Some(error);
                        break;
                    }
                }
            }
        }
        failure.map_or(Ok(None), Err)
    }

    /// Binds this very port; `None` if it is taken.
    fn bind_port(
        &self,
        transport: Transport,
        address: usize,
        port: u16,
        parity: Parity,
    ) -> io::Result<Option<Bound>> {
        let Parity::EvenAndNext(token) = parity else { return self.claim(transport, address, port) };
        if self.addresses[address].1.of(transport).contains(port + 1) {
            return Ok(None);
        }
        let Some(bound) = self.claim(transport, address, port)? else { return Ok(None) };
        match self.claim(transport, address, port + 1) {
            Ok(Some(next)) => {
                self.reserved().insert(token, next);
                Ok(Some(bound))
            }
            other => {
                self.release(bound);
                other.map(|_| None)
            }
        }
    }

    fn claim(&self, transport: Transport, index: usize, port: u16) -> io::Result<Option<Bound>> {
        let (address, taken) = &self.addresses[index];
        let ports = taken.of(transport);
        if !ports.insert(port) {
            return Ok(None);
        }
        let at = SocketAddr::new(address.bind, port);
        let socket = match transport {
            Transport::Udp => DatagramSocket::relay(at).map(RelaySocket::Udp),
            Transport::Tcp => tcp::listen(at, BACKLOG, true).map(TcpListener::from_std).map(RelaySocket::Tcp),
        };
        match socket {
            Ok(socket) => Ok(Some(Bound { socket, address: index, port })),
            Err(error) => {
                ports.remove(port);
                Err(error)
            }
        }
    }

    /// Closes a socket, and then gives its port back: not before, or another shard would find it in use.
    fn release(&self, bound: Bound) {
        let Bound { socket, address, port } = bound;
        let transport = socket.transport();
        drop(socket);
        self.addresses[address].1.of(transport).remove(port);
    }

    /// Whether a port of ours is in use, by its public address.
    fn is_taken(&self, transport: Transport, addr: SocketAddr) -> bool {
        let mut same = self.addresses.iter().filter(|(address, _)| address.public == addr.ip());
        same.any(|(_, taken)| taken.of(transport).contains(addr.port()))
    }

    fn reserved(&self) -> MutexGuard<'_, HashMap<Token, Bound>> {
        self.reserved.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ShardPorts {
    /// No sockets yet. They will be registered in `registry`.
    #[must_use]
    pub fn new(pool: Arc<PortPool>, registry: Registry) -> Self {
        Self { pool, registry, sockets: Slab::new(), by_address: HashMap::new(), closing: Vec::new() }
    }

    /// A relay's socket.
    #[must_use]
    pub fn socket(&self, relay: RelayId) -> Option<&DatagramSocket> {
        match &self.sockets.get(relay.0 as usize)?.socket {
            RelaySocket::Udp(socket) => Some(socket),
            RelaySocket::Tcp(_) => None,
        }
    }

    /// What peers connect to, if they speak TCP.
    #[must_use]
    pub fn listener(&self, relay: RelayId) -> Option<&TcpListener> {
        match &self.sockets.get(relay.0 as usize)?.socket {
            RelaySocket::Tcp(listener) => Some(listener),
            RelaySocket::Udp(_) => None,
        }
    }

    /// Where connections to peers are made from.
    #[must_use]
    pub fn bound(&self, relay: RelayId) -> Option<SocketAddr> {
        let bound = self.sockets.get(relay.0 as usize)?;
        Some(SocketAddr::new(self.pool.addresses[bound.address].0.bind, bound.port))
    }

    /// A relay's transport address, as the world knows it.
    #[must_use]
    pub fn relayed(&self, relay: RelayId) -> Option<RelayedAddr> {
        let bound = self.sockets.get(relay.0 as usize)?;
        Some(RelayedAddr(SocketAddr::new(self.pool.addresses[bound.address].0.public, bound.port)))
    }

    /// The relay of this shard that has this transport address.
    #[must_use]
    pub fn local(&self, address: SocketAddr) -> Option<RelayId> {
        self.by_address.get(&address).copied()
    }

    /// Where packets for this machine are sent, another relay's or a service's: behind a 1:1 NAT the public address may
    /// not lead back to us.
    #[must_use]
    pub fn inside(&self, address: SocketAddr) -> SocketAddr {
        self.translate(address, |own| (own.public, own.bind))
    }

    /// The sender of a packet, as the world knows it: one of our own relays by its public address.
    #[must_use]
    pub fn outside(&self, address: SocketAddr) -> SocketAddr {
        self.translate(address, |own| (own.bind, own.public))
    }

    /// Gives back the sockets and ports of closed relays. To be called when nothing waits to leave by them: before,
    /// the number of a closed relay must not be used again.
    pub fn reap(&mut self) {
        for relay in self.closing.drain(..) {
            let Some(mut bound) = self.sockets.try_remove(relay.0 as usize) else { continue };
            // Closing the socket takes it out of the poll in any case.
            let _ = bound.socket.deregister(&self.registry);
            self.pool.release(bound);
        }
    }

    fn translate(&self, address: SocketAddr, pair: impl Fn(&RelayAddress) -> (IpAddr, IpAddr)) -> SocketAddr {
        let mut pairs = self.pool.addresses.iter().map(|(own, _)| pair(own));
        pairs
            .find(|(from, _)| *from == address.ip())
            .map_or(address, |(_, to)| SocketAddr::new(to, address.port()))
    }

    fn adopt(&mut self, mut bound: Bound) -> Result<OpenPort, NoPort> {
        let slot = self.sockets.vacant_entry();
        let id = RelayId(slot.key() as u32);
        if let Err(error) = bound.socket.register(&self.registry, Source::Relay(id).into()) {
            tracing::warn!(%error, "a relay socket could not be registered");
            self.pool.release(bound);
            return Err(NoPort);
        }
        let addr = SocketAddr::new(self.pool.addresses[bound.address].0.public, bound.port);
        // Only datagrams can be handed from one relay to another within the process.
        if bound.socket.transport() == Transport::Udp {
            self.by_address.insert(addr, id);
        }
        slot.insert(bound);
        Ok(OpenPort { id, addr: RelayedAddr(addr) })
    }
}

impl Ports for ShardPorts {
    fn serves(&self, family: Family) -> bool {
        self.pool.addresses.iter().any(|(address, _)| Family::of(address.bind) == family)
    }

    fn open(&mut self, family: Family, parity: Parity, rng: &mut StdRng) -> Result<OpenPort, NoPort> {
        let bound = self.pool.bind(Transport::Udp, family, parity, rng)?;
        let relay = self.adopt(bound);
        if let (Err(NoPort), Parity::EvenAndNext(token)) = (relay, parity) {
            self.forget(token);
        }
        relay
    }

    fn open_stream(&mut self, family: Family, rng: &mut StdRng) -> Result<OpenPort, NoPort> {
        let bound = self.pool.bind(Transport::Tcp, family, Parity::Any, rng)?;
        self.adopt(bound)
    }

    fn redeem(&mut self, token: Token) -> Option<OpenPort> {
        let bound = self.pool.reserved().remove(&token)?;
        self.adopt(bound).ok()
    }

    fn forget(&mut self, token: Token) {
        if let Some(bound) = self.pool.reserved().remove(&token) {
            self.pool.release(bound);
        }
    }

    fn close(&mut self, relay: RelayId) {
        if let Some(addr) = self.relayed(relay) {
            if self.socket(relay).is_some() {
                self.by_address.remove(&addr.0);
            }
            self.closing.push(relay);
        }
    }

    fn is_relay_ip(&self, ip: IpAddr) -> bool {
        self.pool.addresses.iter().any(|(address, _)| address.public == ip)
    }

    fn is_live(&self, addr: SocketAddr) -> bool {
        self.pool.is_taken(Transport::Udp, addr)
    }

    fn is_live_stream(&self, addr: SocketAddr) -> bool {
        self.pool.is_taken(Transport::Tcp, addr)
    }
}

impl Taken {
    fn of(&self, transport: Transport) -> &PortSet {
        match transport {
            Transport::Udp => &self.udp,
            Transport::Tcp => &self.tcp,
        }
    }
}

impl RelaySocket {
    fn transport(&self) -> Transport {
        match self {
            Self::Udp(_) => Transport::Udp,
            Self::Tcp(_) => Transport::Tcp,
        }
    }

    fn register(&mut self, registry: &Registry, token: mio::Token) -> io::Result<()> {
        match self {
            Self::Udp(socket) => registry.register(socket.source(), token, Interest::READABLE),
            Self::Tcp(listener) => registry.register(listener, token, Interest::READABLE),
        }
    }

    fn deregister(&mut self, registry: &Registry) -> io::Result<()> {
        match self {
            Self::Udp(socket) => registry.deregister(socket.source()),
            Self::Tcp(listener) => registry.deregister(listener),
        }
    }
}

impl Default for PortSet {
    fn default() -> Self {
        Self((0..1024).map(|_| AtomicU64::new(0)).collect())
    }
}

impl PortSet {
    /// Takes a port; false if it is taken.
    fn insert(&self, port: u16) -> bool {
        let (word, bit) = self.bit(port);
        word.fetch_or(bit, Ordering::AcqRel) & bit == 0
    }

    fn remove(&self, port: u16) {
        let (word, bit) = self.bit(port);
        word.fetch_and(!bit, Ordering::AcqRel);
    }

    fn contains(&self, port: u16) -> bool {
        let (word, bit) = self.bit(port);
        word.load(Ordering::Acquire) & bit != 0
    }

    fn len(&self) -> usize {
        self.0.iter().map(|word| word.load(Ordering::Acquire).count_ones() as usize).sum()
    }

    fn bit(&self, port: u16) -> (&AtomicU64, u64) {
        (&self.0[usize::from(port / 64)], 1 << (port % 64))
    }
}

/// The ports of a range that fit, in the order in which they are tried: some at random, and then, so that the last
/// free port is found, all from a random one on.
fn candidates(
    range: &RangeInclusive<u16>,
    parity: Parity,
    rng: &mut StdRng,
) -> impl Iterator<Item = u16> + use<> {
    let (low, high) = (*range.start(), *range.end());
    let length = usize::from(high - low) + 1;
    let picks: [usize; RANDOM_PICKS + 1] = std::array::from_fn(|_| rng.random_range(0..length));
    let (random, start) = (picks, picks[RANDOM_PICKS]);
    let all = (0..length).map(move |step| (start + step) % length);
    random.into_iter().chain(all).map(move |offset| low + offset as u16).filter(move |port| match parity {
        Parity::Any => true,
        Parity::Even => port.is_multiple_of(2),
        Parity::EvenAndNext(_) => port.is_multiple_of(2) && *port < high,
    })
}

#[cfg(test)]
mod tests {
    use mio::Poll;
    use rand::SeedableRng;

    use super::*;

    const LOOPBACK: RelayAddress = RelayAddress {
        bind: IpAddr::V4(std::net::Ipv4Addr::LOCALHOST),
        public: IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1)),
    };

    fn ports(pool: &Arc<PortPool>) -> ShardPorts {
        let registry = Poll::new().unwrap().registry().try_clone().unwrap();
        ShardPorts::new(Arc::clone(pool), registry)
    }

    fn pool(range: RangeInclusive<u16>) -> Arc<PortPool> {
        Arc::new(PortPool::new(&[LOOPBACK], range, Clock::start()))
    }

    fn open(ports: &mut ShardPorts, parity: Parity) -> Result<OpenPort, NoPort> {
        ports.open(Family::V4, parity, &mut StdRng::seed_from_u64(1))
    }

    #[test]
    fn every_port_is_found_and_every_port_comes_back() {
        let pool = pool(25_000..=25_049);
        let mut ports = ports(&pool);
        for _ in 0..3 {
            let opened: Vec<OpenPort> = (0..50).map(|_| open(&mut ports, Parity::Any).unwrap()).collect();
            assert_eq!((open(&mut ports, Parity::Any), pool.taken()), (Err(NoPort), 50));
            opened.iter().for_each(|relay| ports.close(relay.id));
            ports.reap();
            assert_eq!(pool.taken(), 0);
        }
    }

    #[test]
    fn an_even_port_leaves_its_neighbour_free() {
        let pool = pool(25_100..=25_101);
        let mut ports = ports(&pool);
        assert_eq!(open(&mut ports, Parity::Even).unwrap().addr.0.port(), 25_100);
        assert_eq!(open(&mut ports, Parity::Even), Err(NoPort));
        assert_eq!(open(&mut ports, Parity::Any).unwrap().addr.0.port(), 25_101);
    }

    #[test]
    fn a_reserved_port_waits_for_its_token_on_any_shard_and_works_once() {
        let pool = pool(25_200..=25_201);
        let (mut here, mut there) = (ports(&pool), ports(&pool));
        let token = Token([7; 8]);
        assert_eq!(open(&mut here, Parity::EvenAndNext(token)).unwrap().addr.0.port(), 25_200);
        assert_eq!(open(&mut there, Parity::Any), Err(NoPort));
        assert_eq!(there.redeem(token).unwrap().addr.0.port(), 25_201);
        assert_eq!(here.redeem(token), None);
    }

    #[test]
    fn a_forgotten_reservation_frees_its_port() {
        let pool = pool(25_300..=25_301);
        let mut ports = ports(&pool);
        open(&mut ports, Parity::EvenAndNext(Token([7; 8]))).unwrap();
        ports.forget(Token([7; 8]));
        assert_eq!((ports.redeem(Token([7; 8])), pool.taken()), (None, 1));
    }

    #[test]
    fn a_range_without_a_pair_has_none() {
        for range in [25_401..=25_401, 25_400..=25_400, 25_401..=25_402] {
            let pool = pool(range);
            let mut ports = ports(&pool);
            assert_eq!(open(&mut ports, Parity::EvenAndNext(Token([7; 8]))), Err(NoPort));
            assert_eq!(pool.taken(), 0);
        }
    }

    #[test]
    fn a_port_of_another_program_is_skipped() {
        let foreign = std::net::UdpSocket::bind("127.0.0.1:25500").unwrap();
        let pool = pool(25_500..=25_501);
        let mut ports = ports(&pool);
        assert_eq!(open(&mut ports, Parity::Any).unwrap().addr.0.port(), 25_501);
        assert_eq!((open(&mut ports, Parity::Any), pool.taken()), (Err(NoPort), 1));
        drop(foreign);
        assert_eq!(open(&mut ports, Parity::Any).unwrap().addr.0.port(), 25_500);
    }

    #[test]
    fn the_world_sees_the_public_address_and_we_stay_inside() {
        let pool = pool(25_600..=25_600);
        let mut ports = ports(&pool);
        let relay = open(&mut ports, Parity::Any).unwrap();
        let public: SocketAddr = "192.0.2.1:25600".parse().unwrap();
        assert_eq!((relay.addr.0, ports.local(public)), (public, Some(relay.id)));
        assert!(ports.is_relay_ip(public.ip()) && ports.is_live(public));
        assert_eq!(ports.inside(public), "127.0.0.1:25600".parse().unwrap());
        assert_eq!(ports.outside("127.0.0.1:25600".parse().unwrap()), public);
        ports.close(relay.id);
        assert_eq!(ports.local(public), None);
        ports.reap();
        assert!(!ports.is_live(public));
        assert_eq!(open(&mut ports, Parity::Any).unwrap().addr.0, public);
    }

    #[test]
    fn a_family_without_an_address_is_not_served() {
        let mut ports = ports(&pool(25_700..=25_700));
        assert!(ports.serves(Family::V4) && !ports.serves(Family::V6));
        assert_eq!(ports.open(Family::V6, Parity::Any, &mut StdRng::seed_from_u64(1)), Err(NoPort));
    }
}
