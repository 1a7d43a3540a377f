//! PURE  How often rooms may be joined: by a session, then by its address, then by its network.
//!
//! A session's own share comes first, so that one client cannot take what its neighbours need.

use std::net::IpAddr;
use std::time::Duration;

use crate::bounds::headcount::Crowded;
use crate::bounds::net_throttle::NetThrottle;
use crate::bounds::rate::{Bucket, Rate};
use crate::clock::Moment;

/// Joins of one session, each minute and at once.
pub const BY_SESSION: u64 = 10;

const MINUTE: Duration = Duration::from_secs(60);

/// Who joined lately.
#[derive(Debug)]
pub struct Joins(NetThrottle);

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
        Self(NetThrottle::new(Rate::new(per_minute.into(), MINUTE, per_minute.into())))
    }

    /// Lets a session join once, which has `own` left of its share.
    ///
    /// # Errors
    /// Who has joined too often, and how long until it may be tried again; then nothing is counted.
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
