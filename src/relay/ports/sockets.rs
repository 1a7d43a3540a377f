//! The relay sockets of one shard: registered with its poll, and found by id or by address.

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use mio::net::TcpListener;
use rand::rngs::StdRng;
use slab::Slab;

use crate::network::address::Transport;
use crate::relay::address::{Family, RelayId, RelayedAddr};
use crate::relay::datagrams::DatagramSocket;
use crate::relay::engine::seam::{IcmpReports, NoPort, OpenPort, Parity, Ports, ReservationToken};
use crate::relay::ports::offered::Offered;
use crate::relay::ports::pool::{BoundPort, PortPool, RelaySocket};
use crate::relay::source::Watcher;

/// The relay sockets of one shard.
#[derive(Debug)]
pub struct ShardPorts {
    pool: Arc<PortPool>,
    /// The relay addresses. Each shard has them itself, so that no packet waits for a lock.
    offered: Arc<Offered>,
    watcher: Watcher,
    sockets: Slab<Kept>,
    by_address: HashMap<SocketAddr, RelayId>,
    /// Closed relays. Packets that were queued for them may still have to be sent.
    closing: Vec<RelayId>,
}

/// A relay port of this shard.
#[derive(Debug)]
struct Kept {
    bound: BoundPort,
    /// Which socket receives.
    receives: Receives,
}

/// Which socket receives the datagrams for a relay port.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Receives {
    /// Its own, which is watched.
    Own,
    /// The socket that the shard has for all ports.
    Common,
}

impl ShardPorts {
    /// No sockets yet. The watcher will report what they have to read.
    #[must_use]
    pub fn new(pool: Arc<PortPool>, watcher: Watcher) -> Self {
        let offered = pool.offered();
        Self { pool, offered, watcher, sockets: Slab::new(), by_address: HashMap::new(), closing: Vec::new() }
    }

    /// The relay addresses have changed.
    pub fn change(&mut self, offered: Arc<Offered>) {
        self.offered = offered;
    }

    /// Another watcher reports new sockets from now on. [`Self::rewatch`] tells it of the others.
    pub(in crate::relay) fn change_watcher(&mut self, watcher: Watcher) {
        self.watcher = watcher;
    }

    /// The watcher reports the socket with this index, if there is one, instead of `from`.
    pub(in crate::relay) fn rewatch(&mut self, index: usize, from: &Watcher) {
        if let Some(Kept { bound, receives: Receives::Own }) = self.sockets.get_mut(index) {
            bound.socket.forget(from);
            // If it was opened a moment ago, it is watched already.
            let _ = bound.socket.watch(&self.watcher, RelayId(index as u32));
        }
    }

    /// An index that no socket reaches.
    pub(in crate::relay) fn end(&self) -> usize {
        self.sockets.capacity()
    }

    /// A relay's socket.
    #[must_use]
    pub fn socket(&self, relay: RelayId) -> Option<&DatagramSocket> {
        match &self.sockets.get(relay.0 as usize)?.bound.socket {
            RelaySocket::Udp(socket) => Some(socket),
            RelaySocket::Tcp(_) => None,
        }
    }

    /// The socket to which peers connect, if the relay uses TCP.
    #[must_use]
    pub fn listener(&self, relay: RelayId) -> Option<&TcpListener> {
        match &self.sockets.get(relay.0 as usize)?.bound.socket {
            RelaySocket::Tcp(listener) => Some(listener),
            RelaySocket::Udp(_) => None,
        }
    }

    /// The address from which connections to peers are made.
    #[must_use]
    pub fn bound(&self, relay: RelayId) -> Option<SocketAddr> {
        self.sockets.get(relay.0 as usize).map(|kept| kept.bound.bind_address())
    }

    /// A relay's transport address, as peers see it.
    #[must_use]
    pub fn relayed(&self, relay: RelayId) -> Option<RelayedAddr> {
        let kept = self.sockets.get(relay.0 as usize)?;
        Some(RelayedAddr(kept.bound.public_address()))
    }

    /// The relay of this shard that has this transport address.
    #[must_use]
    pub fn local(&self, address: SocketAddr) -> Option<RelayId> {
        self.by_address.get(&address).copied()
    }

    /// The relay of this shard whose socket is bound to this transport address.
    #[must_use]
    pub fn bound_to(&self, address: SocketAddr) -> Option<RelayId> {
        self.local(self.outside(Transport::Udp, address))
    }

    /// The relay's own socket receives from now on. Returns whether that is new. It is not watched until [`Self::watch`],
    /// because what the common socket has received before must be read first.
    pub(in crate::relay) fn separate(&mut self, relay: RelayId) -> bool {
        let Some(kept) = self.sockets.get_mut(relay.0 as usize) else { return false };
        if kept.receives == Receives::Own {
            return false;
        }
        kept.receives = Receives::Own;
        self.pool.lookup().inspect(|lookup| lookup.remove(kept.bound.bind_address()));
        true
    }

    /// The watcher reports what the relay's own socket has to read, if the relay still exists.
    pub(in crate::relay) fn watch(&mut self, relay: RelayId) {
        if let Some(Kept { bound, receives: Receives::Own }) = self.sockets.get_mut(relay.0 as usize) {
            // It fails only if the socket is watched already: another relay may have the id now.
            let _ = bound.socket.watch(&self.watcher, relay);
        }
    }

    /// The number of the shard that has the relay with this transport address. A reserved port belongs to shard 0 until its
    /// token is presented.
    #[must_use]
    pub fn shard_of(&self, address: SocketAddr) -> Option<u32> {
        self.offered.shard_of(address)
    }

    /// Where packets to this machine are sent, to another relay or to a service: behind a 1:1 NAT the public address
    /// may not lead back to us.
    #[must_use]
    pub fn inside(&self, transport: Transport, address: SocketAddr) -> SocketAddr {
        self.offered.inside(transport, address)
    }

    /// The sender of a packet, as peers see it: for one of our own relays, its public address.
    #[must_use]
    pub fn outside(&self, transport: Transport, address: SocketAddr) -> SocketAddr {
        self.offered.outside(transport, address)
    }

    /// Releases the sockets and ports of closed relays. Call it only when nothing waits to be sent by them: until then,
    /// the id of a closed relay must not be reused.
    pub fn reap(&mut self) {
        for relay in self.closing.drain(..) {
            let Some(Kept { mut bound, receives }) = self.sockets.try_remove(relay.0 as usize) else {
                continue;
            };
            match receives {
                Receives::Own => bound.socket.forget(&self.watcher),
                Receives::Common => {
                    self.pool.lookup().inspect(|lookup| lookup.remove(bound.bind_address()));
                }
            }
            bound.release();
        }
    }

    /// Whether the relay's own socket receives.
    #[cfg(test)]
    pub(in crate::relay) fn receives_itself(&self, relay: RelayId) -> bool {
        self.sockets[relay.0 as usize].receives == Receives::Own
    }

    fn adopt(&mut self, mut bound: BoundPort, icmp: IcmpReports) -> Result<OpenPort, NoPort> {
        let slot = self.sockets.vacant_entry();
        let id = RelayId(slot.key() as u32);
        let receives = match receiver(&self.pool, &self.watcher, &mut bound, id, icmp) {
            Ok(receives) => receives,
            Err(error) => {
                tracing::warn!(%error, "a relay socket could not be registered");
                bound.release();
                return Err(NoPort);
            }
        };
        bound.belongs_to(self.watcher.shard());
        let addr = bound.public_address();
        // Within the process, only datagrams can be passed from one relay to another.
        if bound.socket.transport() == Transport::Udp {
            self.by_address.insert(addr, id);
        }
        slot.insert(Kept { bound, receives });
        Ok(OpenPort { id, addr: RelayedAddr(addr) })
    }
}

/// Decides which socket receives for a port. The kernel does not say which relay port an ICMP error is about, so a relay that
/// reports them receives by its own socket.
fn receiver(
    pool: &PortPool,
    watcher: &Watcher,
    bound: &mut BoundPort,
    relay: RelayId,
    icmp: IcmpReports,
) -> io::Result<Receives> {
    if let RelaySocket::Udp(socket) = &bound.socket {
        match (icmp, pool.lookup()) {
            (IcmpReports::Wanted, _) => socket.report_errors()?,
            (IcmpReports::Unknown, Some(lookup)) => {
                if lookup.add(bound.bind_address(), watcher.shard()).is_ok() {
                    return Ok(Receives::Common);
                }
            }
            (IcmpReports::Unknown, None) => {}
        }
    }
    bound.socket.watch(watcher, relay)?;
    Ok(Receives::Own)
}

impl Ports for ShardPorts {
    fn serves(&self, family: Family) -> bool {
        self.offered.count(family) > 0 || self.offered.is_empty()
    }

    fn open(
        &mut self,
        family: Family,
        parity: Parity,
        icmp: IcmpReports,
        rng: &mut StdRng,
    ) -> Result<OpenPort, NoPort> {
        let bound = self.pool.bind(&self.offered, Transport::Udp, family, parity, rng)?;
        let relay = self.adopt(bound, icmp);
        if let (Err(NoPort), Parity::EvenAndNext(token)) = (relay, parity) {
            self.forget(token);
        }
        relay
    }

    fn open_stream(&mut self, family: Family, rng: &mut StdRng) -> Result<OpenPort, NoPort> {
        let bound = self.pool.bind(&self.offered, Transport::Tcp, family, Parity::Any, rng)?;
        self.adopt(bound, IcmpReports::Unknown)
    }

    fn redeem(&mut self, token: ReservationToken, icmp: IcmpReports) -> Option<OpenPort> {
        let bound = self.pool.take_reserved(token)?;
        self.adopt(bound, icmp).ok()
    }

    fn forget(&mut self, token: ReservationToken) {
        if let Some(bound) = self.pool.take_reserved(token) {
            bound.release();
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
        self.offered.is_relay_ip(ip)
    }

    fn is_live(&self, addr: SocketAddr) -> bool {
        self.offered.is_taken(Transport::Udp, addr)
    }

    fn is_live_stream(&self, addr: SocketAddr) -> bool {
        self.offered.is_taken(Transport::Tcp, addr)
    }
}
