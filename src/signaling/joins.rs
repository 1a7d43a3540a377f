//! PURE  How often rooms may be joined: by a session, then by its address, then by its network.
//!
//! A session's own share comes first, so that one client cannot take what its neighbours need.

use std::net::IpAddr;
use std::time::Duration;

use crate::bounds::client_net::{address, network};
use crate::bounds::rate::{Bucket, Rate};
use crate::bounds::throttle::Throttle;
use crate::clock::Moment;
use crate::signaling::seats::NETWORK_SHARE;

/// Joins of one session, each minute and at once.
pub const BY_SESSION: u64 = 10;

const MINUTE: Duration = Duration::from_secs(60);

/// Who joined lately.
#[derive(Debug)]
pub struct Joins {
    addresses: Throttle<IpAddr>,
    networks: Throttle<IpAddr>,
}

/// For whose doing a join must wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Held {
    /// The session's own.
    Session,
    /// That of all at its address.
    Address,
    /// That of all in its network.
    Network,
}

impl Joins {
    /// Nobody joined yet; an address may so often a minute.
    #[must_use]
    pub fn new(per_minute: u32) -> Self {
        let throttle = |count| Throttle::new(Rate::new(count, MINUTE, count));
        let per_minute = u64::from(per_minute);
        Self { addresses: throttle(per_minute), networks: throttle(per_minute * u64::from(NETWORK_SHARE)) }
    }

    /// Lets a session join once, which has `own` left of its share.
    ///
    /// # Errors
    /// Who has joined too often, and how long until it may be tried again; then nothing is counted.
    pub fn take(&mut self, own: &mut Bucket, ip: IpAddr, now: Moment) -> Result<(), (Held, Duration)> {
        let rate = Rate::new(BY_SESSION, MINUTE, BY_SESSION);
        let waits = [
            (Held::Session, own.wait(rate, 1, now)),
            (Held::Address, self.addresses.wait(&address(ip), now)),
            (Held::Network, self.networks.wait(&network(ip), now)),
        ];
        if let Some(held) = waits.into_iter().find(|(_, wait)| !wait.is_zero()) {
            return Err(held);
        }
        own.take(rate, 1, now);
        // Each has one: there is nothing to wait for.
        let _ = self.addresses.take(address(ip), now);
        let _ = self.networks.take(network(ip), now);
        Ok(())
    }
}
