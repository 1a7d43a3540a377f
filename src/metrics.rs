//! PURE  Counts events.
//!
//! Each thread writes its own block, so that counting invalidates no cache line of another core. Readers sum the
//! blocks.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::observed::{self, Coded, Relayed, Requests};
use crate::outcome::{Ending, Ignored, Method, Refusal};

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

/// The direction of a relayed packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// From the client to a peer.
    Up,
    /// From a peer to the client.
    Down,
}

impl Direction {
    const ALL: [Self; 2] = [Self::Up, Self::Down];

    const fn name(self) -> &'static str {
        match self {
            Self::Up => "up",
            Self::Down => "down",
        }
    }
}

/// The counters of one thread.
#[derive(Debug, Default)]
pub struct Counters {
    success: [Counter; Method::ALL.len()],
    refused: [[Counter; Refusal::ALL.len()]; Method::ALL.len()],
    ignored: [Counter; Ignored::ALL.len()],
    ended: [Counter; Ending::ALL.len()],
    packets: [Counter; 2],
    bytes: [Counter; 2],
    /// Live allocations.
    pub allocations: Counter,
    /// ICMP errors forwarded to clients.
    pub icmp: Counter,
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
        self.refused[method as usize][refusal as usize].add(1);
    }

    /// A datagram was dropped.
    pub fn ignored(&self, reason: Ignored) {
        self.ignored[reason as usize].add(1);
    }

    /// A connection ended.
    pub fn ended(&self, ending: Ending) {
        self.ended[ending as usize].add(1);
    }

    /// A packet with `bytes` bytes of payload was relayed.
    pub fn relayed(&self, direction: Direction, bytes: usize) {
        self.packets[direction as usize].add(1);
        self.bytes[direction as usize].add(bytes as u64);
    }

    /// How many requests of `method` were granted.
    #[must_use]
    pub fn successes(&self, method: Method) -> u64 {
        self.success[method as usize].get()
    }

    /// How many requests of `method` were refused for `refusal`.
    #[must_use]
    pub fn refusals(&self, method: Method, refusal: Refusal) -> u64 {
        self.refused[method as usize][refusal as usize].get()
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
        self.packets[direction as usize].get()
    }
}

/// The counters of all shards, summed.
#[must_use]
pub fn relay(shards: &[Arc<Counters>]) -> observed::Relay {
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
    let relayed = |way: Direction| Relayed {
        packets: sum(&|shard| shard.packets(way)),
        bytes: sum(&|shard| shard.bytes[way as usize].get()),
    };
    observed::Relay {
        allocations: shards.iter().map(|shard| shard.allocations.get()).collect(),
        connections: sum(&|shard| shard.streams.get()),
        requests: Method::ALL.into_iter().map(|method| (method.name(), requests(method))).collect(),
        ignored: Ignored::ALL
            .into_iter()
            .map(|reason| (reason.name(), sum(&|shard| shard.drops(reason))))
            .collect(),
        relayed: Direction::ALL.into_iter().map(|way| (way.name(), relayed(way))).collect(),
        icmp: sum(&|shard| shard.icmp.get()),
        ended: ended(shards),
    }
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
        shards[0].relayed(Direction::Down, 160);

        let text = render(&Observed { relay: relay(&shards), ..Observed::default() });

        assert!(
            text.contains("hairpin_requests_total{method=\"allocate\",outcome=\"success\",reason=\"\"} 2")
        );
        assert!(text.contains("{method=\"refresh\",outcome=\"438\",reason=\"stale_nonce\"} 1"));
        assert!(text.contains("hairpin_relayed_bytes_total{direction=\"down\"} 160"));
        assert!(!text.contains("quota") && text.contains("hairpin_allocations{shard=\"1\"} 0"));
    }
}
