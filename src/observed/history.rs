//! PURE  The last hour of the daemon's numbers, for the plots of the status page.

use std::collections::VecDeque;
use std::time::Duration;

use serde::Serialize;

use crate::observed::{Observed, Relayed};

/// The time between two samples.
pub const PERIOD: Duration = Duration::from_secs(10);

/// Samples that are kept: an hour, and one more, because a rate needs two.
const KEPT: usize = 361;

/// The samples of the last hour, oldest first.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct History {
    samples: VecDeque<Sample>,
}

/// The numbers of one moment. Counters are since the start: the difference of two samples is what happened between them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Sample {
    /// Seconds since the Unix epoch.
    pub time: u64,
    /// Live allocations.
    pub allocations: u64,
    /// Live TCP and TLS connections of all protocols.
    pub connections: u64,
    /// Members of rooms.
    pub members: u64,
    /// Relayed to peers.
    pub up: Relayed,
    /// Relayed to clients.
    pub down: Relayed,
    /// Requests that were refused with an error, without the first challenge of each session.
    pub refused: u64,
    /// Datagrams and messages that were dropped without a response.
    pub ignored: u64,
}

impl History {
    /// Adds a sample, and forgets what is older than an hour.
    pub fn record(&mut self, time: u64, observed: &Observed) {
        if self.samples.len() == KEPT {
            self.samples.pop_front();
        }
        self.samples.push_back(Sample::of(time, observed));
    }
}

impl Sample {
    fn of(time: u64, Observed { relay, rooms, front, .. }: &Observed) -> Self {
        let refused = relay.requests.values().flat_map(|requests| &requests.refused);
        let failures = refused.filter(|refused| refused.reason != CHALLENGE).map(|refused| refused.count);
        let relayed = |way| relay.relayed.get(way).copied().unwrap_or_default();
        Self {
            time,
            allocations: relay.allocations.iter().sum(),
            connections: front.connections as u64,
            members: rooms.members,
            up: relayed("up"),
            down: relayed("down"),
            refused: failures.sum(),
            ignored: relay.ignored.values().sum(),
        }
    }
}

/// The first challenge begins every session, and is no failure.
const CHALLENGE: &str = "challenge";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::observed::{Coded, Requests};

    #[test]
    fn an_hour_is_kept_and_nothing_older() {
        let mut history = History::default();
        (0..1_000).for_each(|n| history.record(n * PERIOD.as_secs(), &Observed::default()));

        let times = history.samples.iter().map(|sample| sample.time);

        assert_eq!((times.clone().min(), times.max()), (Some(9_990 - 3_600), Some(9_990)));
    }

    #[test]
    fn a_first_challenge_is_no_failure() {
        let coded = |code, reason, count| Coded { code, reason, count };
        let refused =
            vec![coded(401, CHALLENGE, 50), coded(401, "wrong_password", 3), coded(486, "user_quota", 4)];
        let mut observed = Observed::default();
        observed.relay.requests.insert("allocate", Requests { granted: 9, refused });

        assert_eq!(Sample::of(0, &observed).refused, 7);
    }
}
