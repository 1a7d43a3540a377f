//! The relay addresses, each with its ports that are in use; they may change while allocations live.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, AtomicU64, Ordering};

use crate::network::address::{RelayAddress, Transport};
use crate::relay::address::Family;

/// The relay addresses at one moment.
#[derive(Debug, Default)]
pub struct Offered {
    /// Those that new allocations use.
    current: Vec<Arc<AddressPorts>>,
    /// Those that only existing allocations use, the latest first.
    former: Vec<Arc<AddressPorts>>,
}

/// A relay address, and its ports that are in use. UDP and TCP ports with the same number are independent.
#[derive(Debug)]
pub(super) struct AddressPorts {
    address: RelayAddress,
    udp: PortSet,
    tcp: PortSet,
    /// For each UDP port that is in use, the number of the shard that has its socket.
    shards: Box<[AtomicU16]>,
}

/// One bit for each port.
#[derive(Debug)]
struct PortSet(Box<[AtomicU64]>);

/// How many former addresses are remembered. Beyond them, clients of the oldest cannot reach each other any more.
const FORMER_MAX: usize = 16;

impl Offered {
    /// New allocations use these addresses. Others are kept as long as a port of theirs is in use; and those that were current
    /// until now in any case, because a shard that does not know of the change yet may be about to use them.
    pub(super) fn change(&self, addresses: &[RelayAddress]) -> Self {
        let known = |address| self.all().find(|ports| ports.address == address).cloned();
        let current: Vec<Arc<AddressPorts>> = addresses
            .iter()
            .map(|address| known(*address).unwrap_or_else(|| Arc::new(AddressPorts::new(*address))))
            .collect();
        let is_current = |ports: &Arc<AddressPorts>| current.iter().any(|other| Arc::ptr_eq(ports, other));
        let former = self.former.iter().filter(|ports| ports.is_used());
        let former = self.current.iter().chain(former).filter(|ports| !is_current(ports)).take(FORMER_MAX);
        Self { former: former.cloned().collect(), current }
    }

    /// Whether a former address has no port in use any more.
    #[must_use]
    pub fn has_unused(&self) -> bool {
        self.former.iter().any(|ports| !ports.is_used())
    }

    /// How many addresses of this family new allocations use.
    #[must_use]
    pub fn count(&self, family: Family) -> u64 {
        self.of_family(family).count() as u64
    }

    /// Whether there is no address for new allocations.
    pub(super) fn is_empty(&self) -> bool {
        self.current.is_empty()
    }

    /// The addresses of a family that new allocations use.
    pub(super) fn of_family(&self, family: Family) -> impl Iterator<Item = &Arc<AddressPorts>> {
        self.current.iter().filter(move |ports| Family::of(ports.address.bind) == family)
    }

    /// Whether we relay from this address, as peers see it.
    pub(super) fn is_relay_ip(&self, ip: IpAddr) -> bool {
        self.all().any(|ports| ports.address.public == ip)
    }

    /// Whether one of our ports is in use, by its public address.
    pub(super) fn is_taken(&self, transport: Transport, public: SocketAddr) -> bool {
        let mut same = self.all().filter(|ports| ports.address.public == public.ip());
        same.any(|ports| ports.of(transport).contains(public.port()))
    }

    /// The number of the shard that has the socket of a UDP port that is in use, by its public address.
    pub(super) fn shard_of(&self, public: SocketAddr) -> Option<u32> {
        let mut same = self.all().filter(|ports| ports.address.public == public.ip());
        let ports = same.find(|ports| ports.udp.contains(public.port()))?;
        Some(ports.shards[usize::from(public.port())].load(Ordering::Acquire).into())
    }

    /// The same, by the address that the socket is bound to.
    pub(super) fn is_bound(&self, transport: Transport, bind: SocketAddr) -> bool {
        let mut same = self.all().filter(|ports| ports.address.bind == bind.ip());
        same.any(|ports| ports.of(transport).contains(bind.port()))
    }

    /// Where packets to this machine are sent, to another relay or to a service: behind a 1:1 NAT the public address may not
    /// lead back to us.
    pub(super) fn inside(&self, transport: Transport, public: SocketAddr) -> SocketAddr {
        self.translate(transport, public, |own| (own.public, own.bind))
    }

    /// The sender of a packet, as peers see it: for one of our own relays, its public address.
    pub(super) fn outside(&self, transport: Transport, bind: SocketAddr) -> SocketAddr {
        self.translate(transport, bind, |own| (own.bind, own.public))
    }

    /// The other side of an address of ours. Two of ours may have one side in common, if the other side has changed. Then it
    /// is the one on which the port is in use.
    fn translate(
        &self,
        transport: Transport,
        from: SocketAddr,
        sides: impl Fn(&RelayAddress) -> (IpAddr, IpAddr),
    ) -> SocketAddr {
        let same = || self.all().filter(|ports| sides(&ports.address).0 == from.ip());
        let found = same().find(|ports| ports.of(transport).contains(from.port())).or_else(|| same().next());
        found.map_or(from, |ports| SocketAddr::new(sides(&ports.address).1, from.port()))
    }

    fn all(&self) -> impl Iterator<Item = &Arc<AddressPorts>> {
        self.current.iter().chain(&self.former)
    }

    /// How many ports are in use, on all addresses.
    #[cfg(test)]
    pub(super) fn taken(&self) -> usize {
        self.all().map(|ports| ports.udp.len() + ports.tcp.len()).sum()
    }
}

impl AddressPorts {
    fn new(address: RelayAddress) -> Self {
        let shards = (0..=u16::MAX).map(|_| AtomicU16::new(0)).collect();
        Self { address, udp: PortSet::default(), tcp: PortSet::default(), shards }
    }

    pub(super) fn address(&self) -> RelayAddress {
        self.address
    }

    /// Marks a port as used; false if it already is.
    pub(super) fn take(&self, transport: Transport, port: u16) -> bool {
        self.of(transport).insert(port)
    }

    /// Marks a port as free.
    pub(super) fn free(&self, transport: Transport, port: u16) {
        self.of(transport).remove(port);
    }

    /// Says which shard has the socket of a UDP port.
    pub(super) fn belongs_to(&self, port: u16, shard: u32) {
        self.shards[usize::from(port)].store(shard as u16, Ordering::Release);
    }

    fn is_used(&self) -> bool {
        !self.udp.is_empty() || !self.tcp.is_empty()
    }

    fn of(&self, transport: Transport) -> &PortSet {
        match transport {
            Transport::Udp => &self.udp,
            Transport::Tcp => &self.tcp,
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

    fn is_empty(&self) -> bool {
        self.0.iter().all(|word| word.load(Ordering::Acquire) == 0)
    }

    #[cfg(test)]
    fn len(&self) -> usize {
        self.0.iter().map(|word| word.load(Ordering::Acquire).count_ones() as usize).sum()
    }

    fn bit(&self, port: u16) -> (&AtomicU64, u64) {
        (&self.0[usize::from(port / 64)], 1 << (port % 64))
    }
}
