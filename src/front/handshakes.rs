//! Limits the rate of TLS handshakes, for each client address and for each network.
//!
//! A handshake costs the client one message, and the daemon up to a millisecond on the thread that also serves signaling
//! and pages. Each address may begin enough handshakes at once for a room full of people, and few in the long run.
//! Handshakes above this rate share a spare rate, so that one flooding client does not block HTTPS for everybody behind
//! the same NAT.

use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::bounds::net_throttle::NetThrottle;
use crate::bounds::rate::{Rate, SharedBucket};
use crate::clock::Moment;

/// The handshakes that each address and each network has begun.
#[derive(Debug)]
pub(super) struct Handshakes {
    begun: Mutex<NetThrottle>,
    /// The handshakes above the rates of their addresses and networks, of all clients together.
    spare: SharedBucket,
    /// Of one address, per second.
    allowed: AtomicU64,
}

/// Handshakes that may begin at once, in seconds of the rate: a classroom reconnects after its network was down.
const BURST: u64 = 20;
/// The spare rate, as a multiple of one address's rate: about half of what one thread can do.
const SPARE: u64 = 10;

impl Handshakes {
    /// Allows one address `per_second` handshakes in the long run.
    #[must_use]
    pub(super) fn new(per_second: u64) -> Self {
        Self {
            begun: Mutex::new(NetThrottle::new(rate(per_second))),
            spare: SharedBucket::default(),
            allowed: per_second.into(),
        }
    }

    /// Changes the rate of one address, and with it the others.
    pub(super) fn limit(&self, per_second: u64) {
        self.begun().limit(rate(per_second));
        self.allowed.store(per_second, Ordering::Relaxed);
    }

    /// Whether a client may begin a handshake; counts it if so.
    pub(super) fn may_begin(&self, ip: IpAddr, now: Moment) -> bool {
        let spare = Rate::per_second(self.allowed.load(Ordering::Relaxed).saturating_mul(SPARE));
        self.begun().take(ip, now).is_ok() || self.spare.take(spare, 1, now)
    }

    /// A panic elsewhere leaves the buckets as they were.
    fn begun(&self) -> MutexGuard<'_, NetThrottle> {
        self.begun.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn rate(per_second: u64) -> Rate {
    Rate::new(per_second, Duration::from_secs(1), per_second * BURST)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Moment {
        Moment::from_nanos(seconds * 1_000_000_000)
    }

    fn begun(handshakes: &Handshakes, ip: IpAddr, tries: usize, now: Moment) -> usize {
        (0..tries).filter(|_| handshakes.may_begin(ip, now)).count()
    }

    fn v6(subnet: u16) -> IpAddr {
        std::net::Ipv6Addr::new(0x2a00, 1, 2, subnet, 0, 0, 0, 1).into()
    }

    /// 100 people with nine connections each: a WebSocket, pages, and a relay for each of the seven other members.
    #[test]
    fn a_classroom_comes_back_at_once_and_a_flood_is_held_to_the_rate() {
        let handshakes = Handshakes::new(50);
        assert_eq!(begun(&handshakes, v6(1), 900, at(0)), 900);
        assert_eq!(begun(&handshakes, v6(1), 10_000, at(0)), 100 + 500, "and what is spare");
        let in_a_minute: usize = (1..=60).map(|second| begun(&handshakes, v6(1), 1_000, at(second))).sum();
        assert_eq!(in_a_minute, 60 * (50 + 500));
        assert_eq!(
            begun(&handshakes, v6(2), 900, at(60)),
            900,
            "the neighbour's network has a share of its own"
        );
    }

    /// Only the hello of each handshake, which costs the sender nothing.
    #[test]
    fn who_floods_does_not_close_the_door_to_everybody_behind_the_same_nat() {
        let handshakes = Handshakes::new(50);
        begun(&handshakes, v6(1), 2_000, at(0));
        let mut served = 0;
        for millisecond in 1_000..61_000_u64 {
            let now = Moment::from_nanos(millisecond * 1_000_000);
            if millisecond % 5 == 0 {
                begun(&handshakes, v6(1), 1, now);
            }
            if millisecond % 1_000 == 3 {
                served += begun(&handshakes, v6(1), 1, now);
            }
        }
        assert_eq!(served, 60, "one a second, beside two hundred");
    }

    #[test]
    fn a_network_of_many_addresses_is_bounded_and_another_is_served() {
        let handshakes = Handshakes::new(50);
        let all: usize = (0..1_000).map(|subnet| begun(&handshakes, v6(subnet), 1_000, at(0))).sum();
        assert_eq!(all, 4_000 + 500);
        assert_eq!(begun(&handshakes, [192, 0, 2, 1].into(), 900, at(0)), 900);
    }
}
