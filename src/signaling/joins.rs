//! PURE  Limits how often rooms may be joined: by session, then by address, then by network.
//!
//! A session's own limit is checked first, so that one client cannot use up the joins of its neighbours.

use std::net::IpAddr;
use std::time::Duration;

use crate::bounds::headcount::Crowded;
use crate::bounds::net_throttle::NetThrottle;
use crate::bounds::rate::{Bucket, Rate};
use crate::clock::Moment;

/// Joins of one session, per minute and at once.
pub const BY_SESSION: u64 = 10;

const MINUTE: Duration = Duration::from_secs(60);

/// The recent joins.
#[derive(Debug)]
pub struct Joins(NetThrottle);

/// Which limit delays a join.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Held {
    /// The session's.
    Session,
    /// The address's.
    Address,
    /// The network's.
    Network,
}

impl Joins {
    /// No joins yet; `per_minute` is the limit of one address.
    #[must_use]
    pub fn new(per_minute: u32) -> Self {
        Self(NetThrottle::new(rate(per_minute)))
    }

    /// Changes the limit of one address.
    pub fn limit(&mut self, per_minute: u32) {
        self.0.limit(rate(per_minute));
    }

    /// Counts a join of a session; `own` is the session's own limit.
    ///
    /// # Errors
    /// Which limit is spent, and how long to wait. Then nothing is counted.
    pub fn take(&mut self, own: &mut Bucket, ip: IpAddr, now: Moment) -> Result<(), (Held, Duration)> {
        let rate = Rate::new(BY_SESSION, MINUTE, BY_SESSION);
        let wait = own.wait(rate, 1, now);
        if !wait.is_zero() {
            return Err((Held::Session, wait));
        }
        self.0.take(ip, now).map_err(|(crowded, wait)| match crowded {
            Crowded::Address => (Held::Address, wait),
            Crowded::Network => (Held::Network, wait),
        })?;
        own.take(rate, 1, now);
        Ok(())
    }
}

fn rate(per_minute: u32) -> Rate {
    Rate::new(per_minute.into(), MINUTE, per_minute.into())
}
