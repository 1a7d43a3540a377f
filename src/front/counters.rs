//! PURE  Counts the connections that the front accepts: their protocols, TLS handshakes, and early ends.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::labels::labels;
use crate::metrics::{self, Counter};
use crate::outcome::Ending;

labels! {
    /// What a connection carries.
    pub(super) enum Identity {
        /// TURN over TCP, or nothing that rules it out.
        Turn = "turn",
        /// TURN over TLS.
        Turns = "turns",
        /// HTTP without TLS.
        Http = "http",
        /// HTTP over TLS.
        Https = "https",
    }
}

labels! {
    /// The outcome of a TLS handshake.
    pub(super) enum Handshake {
        /// It succeeded.
        Ok = "ok",
        /// It failed, or the client did not finish it in time.
        Failed = "failed",
        /// The client's address or network had begun too many.
        Refused = "refused",
    }
}

/// The counters. Only the front's thread writes them.
#[derive(Debug, Default)]
pub(super) struct FrontCounters {
    /// The connections that ended before the relay or HTTP got them.
    pub(super) early: Arc<metrics::Counters>,
    identified: [Counter; Identity::ALL.len()],
    handshakes: [Counter; Handshake::ALL.len()],
}

/// Counts a handshake when it is over: as failed, unless it is said to have succeeded.
#[derive(Debug)]
pub(super) struct Pending<'a>(&'a FrontCounters);

impl FrontCounters {
    /// A connection ended before the relay or HTTP got it.
    pub(super) fn ended(&self, ending: Ending) {
        self.early.ended(ending);
    }

    /// The protocol of a connection became known.
    pub(super) fn identified(&self, protocol: Identity) {
        self.identified[protocol as usize].add(1);
    }

    /// A handshake begins.
    pub(super) fn begin_handshake(&self) -> Pending<'_> {
        Pending(self)
    }

    /// A handshake is over, or was refused.
    pub(super) fn handshake(&self, outcome: Handshake) {
        self.handshakes[outcome as usize].add(1);
    }

    /// The connections whose protocol became known, by protocol.
    pub(super) fn by_protocol(&self) -> BTreeMap<&'static str, u64> {
        Identity::ALL.into_iter().map(|it| (it.name(), self.identified[it as usize].get())).collect()
    }

    /// The handshakes, by outcome.
    pub(super) fn by_handshake(&self) -> BTreeMap<&'static str, u64> {
        Handshake::ALL.into_iter().map(|it| (it.name(), self.handshakes[it as usize].get())).collect()
    }
}

impl Pending<'_> {
    /// The handshake has succeeded.
    pub(super) fn succeeded(self) {
        self.0.handshake(Handshake::Ok);
        std::mem::forget(self);
    }
}

impl Drop for Pending<'_> {
    fn drop(&mut self) {
        self.0.handshake(Handshake::Failed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_handshake_that_nobody_finishes_has_failed() {
        let counters = FrontCounters::default();
        counters.begin_handshake().succeeded();
        drop(counters.begin_handshake());
        counters.handshake(Handshake::Refused);
        counters.handshake(Handshake::Refused);
        assert_eq!(counters.by_handshake(), [("ok", 1), ("failed", 1), ("refused", 2)].into());
    }
}
