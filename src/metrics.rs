//! PURE  Counts what happens, and renders the sums as Prometheus text.
//!
//! Each thread writes a block of its own, so that counting costs no cache line of another core; blocks are summed
//! when they are read.

use std::fmt::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::outcome::{Ending, Ignored, Method, Refusal};

/// One number that its single writer adds to and anybody may read.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// Adds `n`. A plain load and store: each counter has one writing thread.
    pub fn add(&self, n: u64) {
        self.0.store(self.0.load(Ordering::Relaxed).wrapping_add(n), Ordering::Relaxed);
    }

    /// Takes `n` away, for gauges.
    pub fn sub(&self, n: u64) {
        self.0.store(self.0.load(Ordering::Relaxed).wrapping_sub(n), Ordering::Relaxed);
    }

    /// Makes it `n`, for gauges.
    pub fn set(&self, n: u64) {
        self.0.store(n, Ordering::Relaxed);
    }

    /// The number now.
    #[must_use]
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// Which way a relayed packet goes.
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

/// The counters of one shard.
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
    /// ICMP errors passed on to clients.
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

    /// How many connections ended by `ending`.
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

/// What the process counts once, whatever the number of shards; written by its main thread.
#[derive(Debug, Default)]
pub struct Process {
    /// Certificates that replaced an old one.
    pub certificates_taken: Counter,
    /// Certificates that were refused, while the old one stayed.
    pub certificates_refused: Counter,
    /// When the first certificate expires, in seconds since the Unix epoch; 0 without any.
    pub certificate_expiry: Counter,
}

/// The counters of all shards, and of the process.
#[derive(Debug, Clone, Default)]
pub struct Metrics {
    shards: Vec<Arc<Counters>>,
    process: Arc<Process>,
    front: Arc<Counters>,
}

impl Metrics {
    /// The blocks that the shards and the front count in, and a new one for the rest of the process.
    #[must_use]
    pub fn new(shards: Vec<Arc<Counters>>, front: Arc<Counters>) -> Self {
        Self { shards, front, process: Arc::default() }
    }

    /// The block of one shard.
    ///
    /// # Panics
    /// If there is no such shard.
    #[must_use]
    pub fn shard(&self, index: usize) -> Arc<Counters> {
        Arc::clone(&self.shards[index])
    }

    /// What is counted once.
    #[must_use]
    pub fn process(&self) -> &Process {
        &self.process
    }

    /// A number of every block, summed.
    #[must_use]
    pub fn sum(&self, number: impl Fn(&Counters) -> u64) -> u64 {
        self.shards.iter().chain([&self.front]).map(|shard| number(shard)).fold(0, u64::wrapping_add)
    }

    /// The sums in Prometheus' text format. Refusals that never happened are left out.
    #[must_use]
    pub fn render(&self) -> String {
        let mut text = String::new();
        self.render_requests(&mut text);
        head(&mut text, "hairpin_ignored_total", "counter", "datagrams dropped without an answer");
        for reason in Ignored::ALL {
            let n = self.sum(|shard| shard.drops(reason));
            line(&mut text, "hairpin_ignored_total", &format!("reason=\"{}\"", reason.name()), n);
        }
        head(&mut text, "hairpin_relayed_packets_total", "counter", "packets relayed");
        for way in Direction::ALL {
            let n = self.sum(|shard| shard.packets[way as usize].get());
            line(&mut text, "hairpin_relayed_packets_total", &format!("direction=\"{}\"", way.name()), n);
        }
        head(&mut text, "hairpin_relayed_bytes_total", "counter", "bytes of payload relayed");
        for way in Direction::ALL {
            let n = self.sum(|shard| shard.bytes[way as usize].get());
            line(&mut text, "hairpin_relayed_bytes_total", &format!("direction=\"{}\"", way.name()), n);
        }
        head(&mut text, "hairpin_icmp_total", "counter", "ICMP errors passed on to clients");
        line(&mut text, "hairpin_icmp_total", "", self.sum(|shard| shard.icmp.get()));
        head(&mut text, "hairpin_connections_ended_total", "counter", "TCP and TLS connections that ended");
        for ending in Ending::ALL {
            let n = self.sum(|shard| shard.endings(ending));
            line(&mut text, "hairpin_connections_ended_total", &format!("reason=\"{}\"", ending.name()), n);
        }
        head(&mut text, "hairpin_connections", "gauge", "live TCP and TLS connections");
        line(&mut text, "hairpin_connections", "", self.sum(|shard| shard.streams.get()));
        head(&mut text, "hairpin_allocations", "gauge", "live allocations");
        for (index, shard) in self.shards.iter().enumerate() {
            line(&mut text, "hairpin_allocations", &format!("shard=\"{index}\""), shard.allocations.get());
        }
        self.render_certificates(&mut text);
        text
    }

    /// Nothing, where there are none.
    fn render_certificates(&self, text: &mut String) {
        let expiry = self.process.certificate_expiry.get();
        if expiry == 0 {
            return;
        }
        let name = "hairpin_certificate_reloads_total";
        head(text, name, "counter", "new certificates and what became of them");
        line(text, name, "outcome=\"taken\"", self.process.certificates_taken.get());
        line(text, name, "outcome=\"refused\"", self.process.certificates_refused.get());
        let name = "hairpin_certificate_expiry_seconds";
        head(text, name, "gauge", "when the first certificate expires, as a Unix time");
        line(text, name, "", expiry);
    }

    fn render_requests(&self, text: &mut String) {
        head(text, "hairpin_requests_total", "counter", "requests and what became of them");
        for method in Method::ALL {
            let ok = self.sum(|shard| shard.successes(method));
            let labels = format!("method=\"{}\",outcome=\"success\",reason=\"\"", method.name());
            line(text, "hairpin_requests_total", &labels, ok);
            for refusal in Refusal::ALL {
                let n = self.sum(|shard| shard.refusals(method, refusal));
                let (method, code, reason) = (method.name(), refusal.code(), refusal.name());
                let labels = format!("method=\"{method}\",outcome=\"{code}\",reason=\"{reason}\"");
                // Most of this table never happens.
                if n > 0 {
                    line(text, "hairpin_requests_total", &labels, n);
                }
            }
        }
    }
}

pub(crate) fn head(text: &mut String, name: &str, kind: &str, help: &str) {
    writeln!(text, "# HELP {name} {help}\n# TYPE {name} {kind}").expect("writing to a String cannot fail");
}

pub(crate) fn line(text: &mut String, name: &str, labels: &str, value: u64) {
    let labels = if labels.is_empty() { String::new() } else { format!("{{{labels}}}") };
    writeln!(text, "{name}{labels} {value}").expect("writing to a String cannot fail");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shards_are_summed_and_refusals_that_never_happened_left_out() {
        let metrics = Metrics::new(vec![Arc::default(), Arc::default()], Arc::default());
        metrics.shard(0).success(Method::Allocate);
        metrics.shard(1).success(Method::Allocate);
        metrics.shard(1).refused(Method::Refresh, Refusal::StaleNonce);
        metrics.shard(0).relayed(Direction::Down, 160);

        let text = metrics.render();

        assert!(
            text.contains("hairpin_requests_total{method=\"allocate\",outcome=\"success\",reason=\"\"} 2")
        );
        assert!(text.contains("{method=\"refresh\",outcome=\"438\",reason=\"stale_nonce\"} 1"));
        assert!(text.contains("hairpin_relayed_bytes_total{direction=\"down\"} 160"));
        assert!(!text.contains("quota") && text.contains("hairpin_allocations{shard=\"1\"} 0"));
    }

    #[test]
    fn certificates_are_shown_once_there_are_any() {
        let metrics = Metrics::new(vec![Arc::default()], Arc::default());
        assert!(!metrics.render().contains("certificate"));
        metrics.process().certificate_expiry.set(1_790_812_800);
        metrics.process().certificates_refused.add(2);

        let text = metrics.render();

        assert!(text.contains("hairpin_certificate_reloads_total{outcome=\"taken\"} 0"));
        assert!(text.contains("hairpin_certificate_reloads_total{outcome=\"refused\"} 2"));
        assert!(text.contains("hairpin_certificate_expiry_seconds 1790812800"));
    }
}
