//! Finds free relay ports and binds them; every shard uses the same pool.

use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use mio::Interest;
use mio::net::TcpListener;
use rand::Rng;
use rand::rngs::StdRng;
use rand::seq::SliceRandom;

use crate::bounds::notice::Notice;
use crate::clock::Clock;
use crate::network::address::{RelayAddress, Transport};
use crate::network::tcp::{self, Sharing};
use crate::relay::address::{Family, RelayId};
use crate::relay::datagrams::DatagramSocket;
use crate::relay::engine::seam::{NoPort, Parity, ReservationToken};
use crate::relay::lookup::Lookup;
use crate::relay::ports::offered::{AddressPorts, Offered};
use crate::relay::source::{Source, Watcher};

/// The relay ports: one bit for each on each address, shared by all shards without a lock.
#[derive(Debug)]
pub struct PortPool {
    range: RangeInclusive<u16>,
    offered: Mutex<Arc<Offered>>,
    reserved: Mutex<HashMap<ReservationToken, BoundPort>>,
    lookup: Option<Lookup>,
    /// When the log last reported that no port was found.
    notice: Notice,
    clock: Clock,
}

/// A port of the pool that is in use, and the socket that is bound to it.
#[derive(Debug)]
pub(super) struct BoundPort {
    pub(super) socket: RelaySocket,
    ports: Arc<AddressPorts>,
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
        let offered = Mutex::new(Arc::new(Offered::default().change(addresses)));
        Self { range, offered, reserved: Mutex::default(), lookup: None, notice: Notice::new(), clock }
    }

    /// The same, if sockets of the shards may receive for the ports.
    #[must_use]
    pub fn with_lookup(self, lookup: Option<Lookup>) -> Self {
        Self { lookup, ..self }
    }

    /// Has sockets of the shards receive for the ports, if it can.
    pub(super) fn lookup(&self) -> Option<&Lookup> {
        self.lookup.as_ref()
    }

    /// The relay addresses.
    #[must_use]
    pub fn offered(&self) -> Arc<Offered> {
        Arc::clone(&self.lock_offered())
    }

    /// New allocations use these addresses from now on; the shards must be told. Existing ones keep theirs.
    #[must_use]
    pub fn offer(&self, addresses: &[RelayAddress]) -> Arc<Offered> {
        let mut offered = self.lock_offered();
        *offered = Arc::new(offered.change(addresses));
        Arc::clone(&offered)
    }

    /// Binds a port that fits, and for a pair the next one too.
    pub(super) fn bind(
        &self,
        offered: &Offered,
        transport: Transport,
        family: Family,
        parity: Parity,
        rng: &mut StdRng,
    ) -> Result<BoundPort, NoPort> {
        // The log has said already which addresses there are.
        if offered.count(family) == 0 {
            return Err(NoPort);
        }
        let found = self.find(offered, transport, family, parity, rng);
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
        offered: &Offered,
        transport: Transport,
        family: Family,
        parity: Parity,
        rng: &mut StdRng,
    ) -> io::Result<Option<BoundPort>> {
        let mut addresses: Vec<_> = offered.of_family(family).collect();
        addresses.shuffle(rng);
        let (mut foreign, mut failure) = (0, None);
        for ports in addresses {
            for port in candidates(&self.range, parity, rng) {
                match self.bind_port(offered, transport, ports, port, parity) {
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
        offered: &Offered,
        transport: Transport,
        ports: &Arc<AddressPorts>,
        port: u16,
        parity: Parity,
    ) -> io::Result<Option<BoundPort>> {
        let Parity::EvenAndNext(token) = parity else { return claim(offered, transport, ports, port) };
        if offered.is_bound(transport, SocketAddr::new(ports.address().bind, port + 1)) {
            return Ok(None);
        }
        let Some(bound) = claim(offered, transport, ports, port)? else { return Ok(None) };
        match claim(offered, transport, ports, port + 1) {
            Ok(Some(next)) => {
                self.reserved().insert(token, next);
                Ok(Some(bound))
            }
            other => {
                bound.release();
                other.map(|_| None)
            }
        }
    }

    /// Takes the port that is reserved under a token, if it is still reserved.
    pub(super) fn take_reserved(&self, token: ReservationToken) -> Option<BoundPort> {
        self.reserved().remove(&token)
    }

    fn reserved(&self) -> MutexGuard<'_, HashMap<ReservationToken, BoundPort>> {
        self.reserved.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lock_offered(&self) -> MutexGuard<'_, Arc<Offered>> {
        self.offered.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many ports are in use, on all addresses.
    #[cfg(test)]
    pub(super) fn taken(&self) -> usize {
        self.offered().taken()
    }
}

/// Binds one port; `None` if it is in use.
fn claim(
    offered: &Offered,
    transport: Transport,
    ports: &Arc<AddressPorts>,
    port: u16,
) -> io::Result<Option<BoundPort>> {
    let at = SocketAddr::new(ports.address().bind, port);
    // An allocation may have it that was made when this address had another public side.
    if offered.is_bound(transport, at) || !ports.take(transport, port) {
        return Ok(None);
    }
    let socket = match transport {
        Transport::Udp => DatagramSocket::relay(at).map(RelaySocket::Udp),
        Transport::Tcp => {
            tcp::listen(at, BACKLOG, Sharing::Shared).map(TcpListener::from_std).map(RelaySocket::Tcp)
        }
    };
    match socket {
        Ok(socket) => Ok(Some(BoundPort { socket, ports: Arc::clone(ports), port })),
        Err(error) => {
            ports.free(transport, port);
            Err(error)
        }
    }
}

impl BoundPort {
    /// The transport address that the socket is bound to.
    pub(super) fn bind_address(&self) -> SocketAddr {
        SocketAddr::new(self.ports.address().bind, self.port)
    }

    /// The transport address at which peers see it.
    pub(super) fn public_address(&self) -> SocketAddr {
        SocketAddr::new(self.ports.address().public, self.port)
    }

    /// Says which shard has the socket.
    pub(super) fn belongs_to(&self, shard: u32) {
        if self.socket.transport() == Transport::Udp {
            self.ports.belongs_to(self.port, shard);
        }
    }

    /// Closes the socket, and then frees the port. In the other order, another shard would find the port in use.
    pub(super) fn release(self) {
        let Self { socket, ports, port } = self;
        let transport = socket.transport();
        drop(socket);
        ports.free(transport, port);
    }
}

impl RelaySocket {
    pub(super) fn transport(&self) -> Transport {
        match self {
            Self::Udp(_) => Transport::Udp,
            Self::Tcp(_) => Transport::Tcp,
        }
    }

    pub(super) fn watch(&mut self, watcher: &Watcher, relay: RelayId) -> io::Result<()> {
        let source = Source::Relay(relay);
        match self {
            Self::Udp(socket) => watcher.watch(socket.source(), source, Interest::READABLE),
            Self::Tcp(listener) => watcher.watch(listener, source, Interest::READABLE),
        }
    }

    pub(super) fn forget(&mut self, watcher: &Watcher) {
        match self {
            Self::Udp(socket) => watcher.forget(socket.source()),
            Self::Tcp(listener) => watcher.forget(listener),
        }
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
