//! PURE  Counts events.
//!
//! Each thread writes its own block, so that counting invalidates no cache line of another core. Readers sum the
//! blocks.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use crate::labels::labels;
use crate::network::address::{ClientTransport, Family, Transport};
use crate::observed::{self, Coded, Flow, Held, Relayed, Reloads, Requests};
use crate::outcome::{AllocationEnding, Ending, Ignored, Method, Refusal};

/// One number with a single writer and any number of readers.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// Adds `n`. A plain load and store: each counter has one writing thread.
    pub fn add(&self, n: u64) {
        self.0.store(self.0.load(Ordering::Relaxed).wrapping_add(n), Ordering::Relaxed);
    }

    /// Subtracts `n`, for gauges.
    pub fn sub(&self, n: u64) {
        self.0.store(self.0.load(Ordering::Relaxed).wrapping_sub(n), Ordering::Relaxed);
    }

    /// Sets it to `n`, for gauges.
    pub fn set(&self, n: u64) {
        self.0.store(n, Ordering::Relaxed);
    }

    /// The present value.
    #[must_use]
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// One number with any number of writers and readers. Not for the packet path, where a [`Counter`] costs less.
#[derive(Debug, Default)]
pub struct SharedCounter(AtomicU64);

impl SharedCounter {
    /// Adds `n`.
    pub fn add(&self, n: u64) {
        self.0.fetch_add(n, Ordering::Relaxed);
    }

    /// The present value.
    #[must_use]
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

labels! {
    /// The direction of a relayed packet.
    pub enum Direction {
        /// From the client to a peer.
        Up = "up",
        /// From a peer to the client.
        Down = "down",
    }
}

labels! {
    /// The address families of an allocation.
    pub enum Families {
        /// One relayed address, over IPv4.
        V4 = "ipv4",
        /// One relayed address, over IPv6.
        V6 = "ipv6",
        /// Two relayed addresses, one of each family.
        Both = "both",
    }
}

labels! {
    /// A UDP socket of a shard.
    pub enum SocketKind {
        /// A socket for clients, which many clients share.
        Listener = "listener",
        /// The socket of one relayed address.
        Relay = "relay",
    }
}

/// The two transport protocols of an allocation. Its packets are counted by these.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Legs {
    /// Between the client and the relay.
    pub client: ClientTransport,
    /// Between the relay and the peers.
    pub peer: Transport,
}

/// The packets and bytes of one kind. They share a cache line, because they are always counted together.
#[derive(Debug, Default)]
struct Traffic {
    packets: Counter,
    bytes: Counter,
}

/// The refusals of one method.
#[derive(Debug)]
struct Refused([Counter; Refusal::ALL.len()]);

impl Default for Refused {
    /// The standard library has this for arrays of at most 32.
    fn default() -> Self {
        Self(std::array::from_fn(|_| Counter::default()))
    }
}

/// A value for each pair of transport protocols.
type OfLegs<T> = [[T; Transport::ALL.len()]; ClientTransport::ALL.len()];

/// The counters of one thread.
#[derive(Debug, Default)]
pub struct Counters {
    success: [Counter; Method::ALL.len()],
    refused: [Refused; Method::ALL.len()],
    ignored: [Counter; Ignored::ALL.len()],
    ended: [Counter; Ending::ALL.len()],
    relayed: OfLegs<[[Traffic; Family::ALL.len()]; Direction::ALL.len()]>,
    held: OfLegs<[Counter; Families::ALL.len()]>,
    overflowed: [Counter; SocketKind::ALL.len()],
    concluded: [Counter; AllocationEnding::ALL.len()],
    /// Live allocations.
    pub allocations: Counter,
    /// Permissions of live allocations, including those that have expired and are not removed yet.
    pub permissions: Counter,
    /// Channels of live allocations, including those that are only reserved.
    pub channels: Counter,
    /// ICMP errors forwarded to clients.
    pub icmp: Counter,
    /// Runs of datagrams that were sent one by one because the kernel refused to cut them.
    pub uncut: Counter,
    /// Live TCP and TLS connections.
    pub streams: Counter,
}

impl Counters {
    /// A request was granted.
    pub fn success(&self, method: Method) {
        self.success[method as usize].add(1);
    }

    /// A request was refused.
    pub fn refused(&self, method: Method, refusal: Refusal) {
        self.refused[method as usize].0[refusal as usize].add(1);
    }

    /// A datagram was dropped.
    pub fn ignored(&self, reason: Ignored) {
        self.ignored[reason as usize].add(1);
    }

    /// A connection ended.
    pub fn ended(&self, ending: Ending) {
        self.ended[ending as usize].add(1);
    }

    /// A packet with `bytes` bytes of payload was relayed, through a relayed address of this family.
    pub fn relayed(&self, legs: Legs, family: Family, direction: Direction, bytes: usize) {
        let traffic = &self.relayed[legs.client as usize][legs.peer as usize][direction as usize];
        let Traffic { packets, bytes: sum } = &traffic[family as usize];
        packets.add(1);
        sum.add(bytes as u64);
    }

    /// The families of an allocation's relayed addresses have changed; an allocation that begins or ends has none.
    pub fn families(&self, legs: Legs, before: Option<Families>, after: Option<Families>) {
        let held = &self.held[legs.client as usize][legs.peer as usize];
        if let Some(before) = before {
            held[before as usize].sub(1);
        }
        if let Some(after) = after {
            held[after as usize].add(1);
        }
    }

    /// An allocation ended.
    pub fn concluded(&self, ending: AllocationEnding) {
        self.concluded[ending as usize].add(1);
    }

    /// The kernel dropped `datagrams` datagrams because the receive buffer of a socket was full.
    pub fn overflowed(&self, socket: SocketKind, datagrams: u32) {
        self.overflowed[socket as usize].add(datagrams.into());
    }

    /// How many requests of `method` were granted.
    #[must_use]
    pub fn successes(&self, method: Method) -> u64 {
        self.success[method as usize].get()
    }

    /// How many requests of `method` were refused for `refusal`.
    #[must_use]
    pub fn refusals(&self, method: Method, refusal: Refusal) -> u64 {
        self.refused[method as usize].0[refusal as usize].get()
    }

    /// How many datagrams were dropped for `reason`.
    #[must_use]
    pub fn drops(&self, reason: Ignored) -> u64 {
        self.ignored[reason as usize].get()
    }

    /// How many connections ended for `ending`.
    #[must_use]
    pub fn endings(&self, ending: Ending) -> u64 {
        self.ended[ending as usize].get()
    }

    /// How many packets were relayed in `direction`.
    #[must_use]
    pub fn packets(&self, direction: Direction) -> u64 {
        let traffic =
            all_legs().flat_map(|legs| Family::ALL.map(|family| self.traffic(legs, family, direction)));
        traffic.map(|relayed| relayed.packets).fold(0, u64::wrapping_add)
    }

    fn traffic(&self, legs: Legs, family: Family, direction: Direction) -> Relayed {
        let traffic = &self.relayed[legs.client as usize][legs.peer as usize][direction as usize];
        let Traffic { packets, bytes } = &traffic[family as usize];
        Relayed { packets: packets.get(), bytes: bytes.get() }
    }
}

/// Every pair of transport protocols that an allocation can have: peers over TCP need a client over TCP or TLS.
fn all_legs() -> impl Iterator<Item = Legs> {
    let pairs =
        ClientTransport::ALL.into_iter().flat_map(|client| Transport::ALL.map(|peer| Legs { client, peer }));
    pairs.filter(|legs| legs.client != ClientTransport::Udp || legs.peer == Transport::Udp)
}

/// Counts the reloads of the configuration.
#[derive(Debug, Default)]
pub struct ReloadCounters {
    good: SharedCounter,
    bad: SharedCounter,
    last: AtomicU64,
    last_good: AtomicBool,
}

impl ReloadCounters {
    /// A reload, at a Unix time, put a configuration into force, or changed nothing because the configuration was wrong.
    pub fn count(&self, good: bool, unix: u64) {
        let counter = if good { &self.good } else { &self.bad };
        counter.add(1);
        self.last.store(unix, Ordering::Relaxed);
        self.last_good.store(good, Ordering::Relaxed);
    }

    /// The present values.
    #[must_use]
    pub fn snapshot(&self) -> Reloads {
        Reloads {
            good: self.good.get(),
            bad: self.bad.get(),
            last: self.last.load(Ordering::Relaxed),
            last_good: self.last_good.load(Ordering::Relaxed),
        }
    }
}

/// The counters of all shards, summed. At most `most_allocations` allocations are allowed.
#[must_use]
pub fn relay(shards: &[Arc<Counters>], most_allocations: u64) -> observed::Relay {
    let sum = |number: &dyn Fn(&Counters) -> u64| sum(shards.iter(), number);
    let requests = |method: Method| {
        let refused = Refusal::ALL.into_iter().map(|refusal| Coded {
            code: refusal.code(),
            reason: refusal.name(),
            count: sum(&|shard| shard.refusals(method, refusal)),
        });
        // Most combinations never occur.
        let refused = refused.filter(|refused| refused.count > 0).collect();
        Requests { granted: sum(&|shard| shard.successes(method)), refused }
    };
    let flows = flows(shards);
    let relayed = |way: Direction| {
        let flows = flows.iter().filter(|flow| flow.direction == way.name());
        flows.map(|flow| flow.relayed).fold(Relayed::default(), Relayed::and)
    };
    observed::Relay {
        allocations: shards.iter().map(|shard| shard.allocations.get()).collect(),
        held: held(shards),
        most_allocations,
        concluded: AllocationEnding::ALL
            .into_iter()
            .map(|ending| (ending.name(), sum(&|shard| shard.concluded[ending as usize].get())))
            .collect(),
        permissions: sum(&|shard| shard.permissions.get()),
        channels: sum(&|shard| shard.channels.get()),
        connections: sum(&|shard| shard.streams.get()),
        requests: Method::ALL.into_iter().map(|method| (method.name(), requests(method))).collect(),
        ignored: Ignored::ALL
            .into_iter()
            .map(|reason| (reason.name(), sum(&|shard| shard.drops(reason))))
            .collect(),
        relayed: Direction::ALL.into_iter().map(|way| (way.name(), relayed(way))).collect(),
        flows,
        overflowed: SocketKind::ALL
            .into_iter()
            .map(|kind| (kind.name(), sum(&|shard| shard.overflowed[kind as usize].get())))
            .collect(),
        uncut: sum(&|shard| shard.uncut.get()),
        icmp: sum(&|shard| shard.icmp.get()),
        ended: ended(shards),
        // The relay knows these; the counters do not.
        threads_awake: 0,
        secrets: observed::Secrets::default(),
        addresses: BTreeMap::new(),
    }
}

/// What was relayed, by transport protocols, family and direction.
fn flows(shards: &[Arc<Counters>]) -> Vec<Flow> {
    let mut flows = Vec::new();
    for legs in all_legs() {
        for (family, direction) in
            Family::ALL.into_iter().flat_map(|family| Direction::ALL.map(|way| (family, way)))
        {
            let traffic = shards.iter().map(|shard| shard.traffic(legs, family, direction));
            flows.push(Flow {
                transport: legs.client.name(),
                peer_transport: legs.peer.name(),
                family: family.name(),
                direction: direction.name(),
                relayed: traffic.fold(Relayed::default(), Relayed::and),
            });
        }
    }
    flows
}

/// The live allocations, by their transport protocols and families.
fn held(shards: &[Arc<Counters>]) -> Vec<Held> {
    let of_legs = |legs: Legs| {
        Families::ALL.map(|families| Held {
            transport: legs.client.name(),
            peer_transport: legs.peer.name(),
            family: families.name(),
            count: sum(shards.iter(), |shard: &Counters| {
                shard.held[legs.client as usize][legs.peer as usize][families as usize].get()
            }),
        })
    };
    all_legs().flat_map(of_legs).collect()
}

/// How many connections ended, by reason.
#[must_use]
pub fn ended(blocks: &[Arc<Counters>]) -> BTreeMap<&'static str, u64> {
    let count = |ending| sum(blocks.iter(), |block: &Counters| block.endings(ending));
    Ending::ALL.into_iter().map(|ending| (ending.name(), count(ending))).collect()
}

fn sum<'a>(blocks: impl Iterator<Item = &'a Arc<Counters>>, number: impl Fn(&Counters) -> u64) -> u64 {
    blocks.map(|block| number(block)).fold(0, u64::wrapping_add)
}

/// The counters of all shards, and of the front.
#[derive(Debug, Clone, Default)]
pub struct Metrics {
    shards: Vec<Arc<Counters>>,
    front: Arc<Counters>,
}

impl Metrics {
    /// The blocks of the shards and of the front.
    #[must_use]
    pub fn new(shards: Vec<Arc<Counters>>, front: Arc<Counters>) -> Self {
        Self { shards, front }
    }

    /// The block of one shard.
    ///
    /// # Panics
    /// If there is no such shard.
    #[must_use]
    pub fn shard(&self, index: usize) -> Arc<Counters> {
        Arc::clone(&self.shards[index])
    }

    /// Sums a number over all blocks.
    #[must_use]
    pub fn sum(&self, number: impl Fn(&Counters) -> u64) -> u64 {
        sum(self.shards.iter().chain([&self.front]), number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::observed::Observed;
    use crate::observed::prometheus::render;

    #[test]
    fn shards_are_summed_and_refusals_that_never_happened_left_out() {
        let shards: [Arc<Counters>; 2] = [Arc::default(), Arc::default()];
        shards[0].success(Method::Allocate);
        shards[1].success(Method::Allocate);
        shards[1].refused(Method::Refresh, Refusal::StaleNonce);
        let legs = Legs { client: ClientTransport::Tls, peer: Transport::Udp };
        shards[0].relayed(legs, Family::V6, Direction::Down, 160);
        shards[1].relayed(legs, Family::V6, Direction::Down, 40);

        let text = render(&Observed { relay: relay(&shards, 100), ..Observed::default() });

        for line in [
            "hairpin_answers_total{method=\"allocate\",code=\"success\",cause=\"granted\"} 2",
            "hairpin_answers_total{method=\"refresh\",code=\"438\",cause=\"stale_nonce\"} 1",
            "hairpin_relayed_bytes_total{direction=\"down\",transport=\"tls\",peer_transport=\"udp\",family=\"ipv6\"} 200",
            "hairpin_relayed_bytes_total{direction=\"up\",transport=\"tls\",peer_transport=\"udp\",family=\"ipv6\"} 0",
            "hairpin_shard_allocations{shard=\"1\"} 0",
            "hairpin_allocations_limit 100",
        ] {
            assert!(text.contains(&format!("\n{line}\n")), "{line}\n{text}");
        }
        assert!(!text.contains("quota"));
    }

    #[test]
    fn an_allocation_counts_with_the_families_that_it_has_left() {
        let shards = [Arc::<Counters>::default()];
        let legs = Legs { client: ClientTransport::Tcp, peer: Transport::Udp };
        let held = || -> Vec<_> {
            let held = relay(&shards, 1).held.into_iter().filter(|held| held.count > 0);
            held.map(|held| (held.transport, held.family, held.count)).collect()
        };
        shards[0].families(legs, None, Some(Families::Both));
        assert_eq!(held(), [("tcp", "both", 1)]);
        shards[0].families(legs, Some(Families::Both), Some(Families::V6));
        assert_eq!(held(), [("tcp", "ipv6", 1)]);
        shards[0].families(legs, Some(Families::V6), None);
        assert_eq!(held(), []);
    }

    #[test]
    fn peers_over_tcp_need_a_client_over_tcp() {
        let all: Vec<_> = all_legs().map(|legs| (legs.client.name(), legs.peer.name())).collect();
        assert_eq!(all, [("udp", "udp"), ("tcp", "udp"), ("tcp", "tcp"), ("tls", "udp"), ("tls", "tcp")]);
    }
}
