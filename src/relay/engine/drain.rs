//! PURE  Draining: while the daemon is about to stop, no new allocations are made, and those that exist go on.

use std::net::SocketAddr;

use rand::seq::IteratorRandom as _;

use crate::outcome::Refusal;
use crate::relay::address::Family;
use crate::relay::engine::Engine;

impl Engine {
    /// Makes no new allocations from now on. Everything that belongs to an existing allocation goes on.
    pub fn drain(&mut self) {
        self.draining = true;
    }

    /// Whether a new client may have an allocation. A draining server sends the client to another one, if it knows one
    /// that the client can reach.
    pub(super) fn admits_new(&self, client: SocketAddr) -> Result<(), Refusal> {
        let same = |alternate: &SocketAddr| is_of(client, alternate);
        match (self.draining, self.settings.alternates.iter().any(same)) {
            (false, _) => Ok(()),
            (true, true) => Err(Refusal::Redirected),
            (true, false) => Err(Refusal::Draining),
        }
    }

    /// The servers to send a client to: first one of the family that its request came by, and then one of the other
    /// family, if there is one (RFC 8489 §10). They are chosen at random, so that clients spread over all servers.
    pub(super) fn alternates(&mut self, client: SocketAddr) -> Vec<SocketAddr> {
        let alternates = &self.settings.alternates;
        let same = alternates.iter().filter(|alternate| is_of(client, alternate)).choose(&mut self.rng);
        let other = alternates.iter().filter(|alternate| !is_of(client, alternate)).choose(&mut self.rng);
        same.into_iter().chain(other).copied().collect()
    }
}

fn is_of(client: SocketAddr, alternate: &SocketAddr) -> bool {
    Family::of(client.ip()) == Family::of(alternate.ip())
}
