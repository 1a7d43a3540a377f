//! Finds free relay ports and binds them; every shard uses the same pool.

use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use mio::net::TcpListener;
use mio::{Interest, Registry};
use rand::Rng;
use rand::rngs::StdRng;
use rand::seq::SliceRandom;

use crate::bounds::notice::Notice;
use crate::clock::Clock;
use crate::network::address::{RelayAddress, Transport};
use crate::network::tcp::{self, Sharing};
use crate::relay::address::Family;
use crate::relay::datagrams::DatagramSocket;
use crate::relay::engine::seam::{NoPort, Parity, ReservationToken};

/// The ports of all relay addresses: one bit for each, shared by all shards without a lock.
#[derive(Debug)]
pub struct PortPool {
    addresses: Vec<(RelayAddress, Taken)>,
    range: RangeInclusive<u16>,
    reserved: Mutex<HashMap<ReservationToken, BoundPort>>,
    /// When the log last reported that no port was found.
    notice: Notice,
    clock: Clock,
}

/// The ports of one address that are in use. UDP and TCP ports with the same number are independent.
#[derive(Debug, Default)]
struct Taken {
    udp: PortSet,
    tcp: PortSet,
}

/// One bit for each port.
#[derive(Debug)]
struct PortSet(Box<[AtomicU64]>);

/// A port of the pool that is in use, and the socket that is bound to it.
#[derive(Debug)]
pub(super) struct BoundPort {
    pub(super) socket: RelaySocket,
    /// The index of its address in the pool.
    address: usize,
    port: u16,
}

/// The socket that exchanges data with the peers of an allocation.
#[derive(Debug)]
pub(super) enum RelaySocket {
    Udp(DatagramSocket),
    Tcp(TcpListener),
}

/// How many peers may wait to be accepted.
const BACKLOG: i32 = 16;
/// How many random ports are tried before the range is searched from end to end.
const RANDOM_PICKS: usize = 32;
/// How many ports of other programs are skipped before a request is refused.
const FOREIGN_MAX: usize = 256;

impl PortPool {
    /// All ports of `range` on all `addresses`.
    #[must_use]
    pub fn new(addresses: &[RelayAddress], range: RangeInclusive<u16>, clock: Clock) -> Self {
        let addresses = addresses.iter().map(|address| (*address, Taken::default())).collect();
        Self { addresses, range, reserved: Mutex::default(), notice: Notice::new(), clock }
    }

    /// The relay addresses.
    pub(super) fn addresses(&self) -> impl Iterator<Item = &RelayAddress> {
        self.addresses.iter().map(|(address, _)| address)
    }

    /// Binds a port that fits, and for a pair the next one too.
    pub(super) fn bind(
        &self,
        transport: Transport,
        family: Family,
        parity: Parity,
        rng: &mut StdRng,
    ) -> Result<BoundPort, NoPort> {
        let found = self.find(transport, family, parity, rng);
        if !matches!(found, Ok(Some(_)))
            && let Some(times) = self.notice.due(1, self.clock.now().moment)
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
    ) -> io::Result<Option<BoundPort>> {
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
                    // This address may no longer exist; the others may still work.
                    Err(error) => {
                        failure = Some(error);
                        break;
                    }
                }
            }
        }
        failure.map_or(Ok(None), Err)
    }

    /// Binds exactly this port; `None` if it is in use.
    fn bind_port(
        &self,
        transport: Transport,
        address: usize,
        port: u16,
        parity: Parity,
    ) -> io::Result<Option<BoundPort>> {
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

    fn claim(&self, transport: Transport, index: usize, port: u16) -> io::Result<Option<BoundPort>> {
        let (address, taken) = &self.addresses[index];
        let ports = taken.of(transport);
        if !ports.insert(port) {
            return Ok(None);
        }
        let at = SocketAddr::new(address.bind, port);
        let socket = match transport {
            Transport::Udp => DatagramSocket::relay(at).map(RelaySocket::Udp),
            Transport::Tcp => {
                tcp::listen(at, BACKLOG, Sharing::Shared).map(TcpListener::from_std).map(RelaySocket::Tcp)
            }
        };
        match socket {
            Ok(socket) => Ok(Some(BoundPort { socket, address: index, port })),
            Err(error) => {
                ports.remove(port);
                Err(error)
            }
        }
    }

    /// The transport address that a port's socket is bound to.
    pub(super) fn bind_address(&self, bound: &BoundPort) -> SocketAddr {
        SocketAddr::new(self.addresses[bound.address].0.bind, bound.port)
    }

    /// The transport address at which peers see a port.
    pub(super) fn public_address(&self, bound: &BoundPort) -> SocketAddr {
        SocketAddr::new(self.addresses[bound.address].0.public, bound.port)
    }

    /// Takes the port that is reserved under a token, if it is still reserved.
    pub(super) fn take_reserved(&self, token: ReservationToken) -> Option<BoundPort> {
        self.reserved().remove(&token)
    }

    /// Closes a socket, and then frees its port. In the other order, another shard would find the port in use.
    pub(super) fn release(&self, bound: BoundPort) {
        let BoundPort { socket, address, port } = bound;
        let transport = socket.transport();
        drop(socket);
        self.addresses[address].1.of(transport).remove(port);
    }

    /// Whether one of our ports is in use, by its public address.
    pub(super) fn is_taken(&self, transport: Transport, addr: SocketAddr) -> bool {
        let mut same = self.addresses.iter().filter(|(address, _)| address.public == addr.ip());
        same.any(|(_, taken)| taken.of(transport).contains(addr.port()))
    }

    fn reserved(&self) -> MutexGuard<'_, HashMap<ReservationToken, BoundPort>> {
        self.reserved.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many ports are in use, on all addresses.
    #[cfg(test)]
    pub(super) fn taken(&self) -> usize {
        self.addresses.iter().map(|(_, taken)| taken.udp.len() + taken.tcp.len()).sum()
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
    pub(super) fn transport(&self) -> Transport {
        match self {
            Self::Udp(_) => Transport::Udp,
            Self::Tcp(_) => Transport::Tcp,
        }
    }

    pub(super) fn register(&mut self, registry: &Registry, token: mio::Token) -> io::Result<()> {
        match self {
            Self::Udp(socket) => registry.register(socket.source(), token, Interest::READABLE),
            Self::Tcp(listener) => registry.register(listener, token, Interest::READABLE),
        }
    }

    pub(super) fn deregister(&mut self, registry: &Registry) -> io::Result<()> {
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
    /// Marks a port as used; false if it already is.
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

    #[cfg(test)]
    fn len(&self) -> usize {
        self.0.iter().map(|word| word.load(Ordering::Acquire).count_ones() as usize).sum()
    }

    fn bit(&self, port: u16) -> (&AtomicU64, u64) {
        (&self.0[usize::from(port / 64)], 1 << (port % 64))
    }
}

/// The ports of a range that fit, in the order in which they are tried: first random ones, and then all of them, from a
/// random one on, so that the last free port is found.
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
