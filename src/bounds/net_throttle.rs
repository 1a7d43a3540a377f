//! PURE  Limits how often each client address, and each network, may do something.

use std::net::IpAddr;
use std::time::Duration;

use crate::bounds::client_net::{NETWORK_SHARE, address, network};
use crate::bounds::headcount::Crowded;
use crate::bounds::rate::Rate;
use crate::bounds::throttle::Throttle;
use crate::clock::Moment;

/// The usage of each address and each network.
#[derive(Debug)]
pub struct NetThrottle {
    addresses: Throttle<IpAddr>,
    networks: Throttle<IpAddr>,
}

impl NetThrottle {
    /// No usage yet. One address has the rate `of_address`, and one network [`NETWORK_SHARE`] times as much.
    #[must_use]
    pub fn new(of_address: Rate) -> Self {
        Self { addresses: Throttle::new(of_address), networks: Throttle::new(of_network(of_address)) }
    }

    /// Changes the rate of one address, and with it that of a network. What was used stays used.
    pub fn limit(&mut self, of_address: Rate) {
        self.addresses.limit(of_address);
        self.networks.limit(of_network(of_address));
    }

    /// Takes one from the rates of `ip`.
    ///
    /// # Errors
    /// Which rate is exceeded, and how long to wait; then nothing is taken.
    pub fn take(&mut self, ip: IpAddr, now: Moment) -> Result<(), (Crowded, Duration)> {
        let waits = [
            (Crowded::Address, self.addresses.wait(&address(ip), now)),
            (Crowded::Network, self.networks.wait(&network(ip), now)),
        ];
        if let Some(held) = waits.into_iter().find(|(_, wait)| !wait.is_zero()) {
            return Err(held);
        }
        // Both rates allow it, as checked above.
        let _ = self.addresses.take(address(ip), now);
        let _ = self.networks.take(network(ip), now);
        Ok(())
    }

    /// How long `ip` has to wait; zero if it need not.
    #[must_use]
    pub fn wait(&self, ip: IpAddr, now: Moment) -> Duration {
        self.addresses.wait(&address(ip), now).max(self.networks.wait(&network(ip), now))
    }
}

fn of_network(of_address: Rate) -> Rate {
    of_address.times(NETWORK_SHARE.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host(network: u8, n: u8) -> IpAddr {
        [198, 51, network, n].into()
    }

    #[test]
    fn a_network_may_as_often_as_four_addresses_and_what_is_refused_counts_for_nobody() {
        let minute = Duration::from_secs(60);
        let mut throttle = NetThrottle::new(Rate::new(3, minute, 3));
        let now = Moment::from_nanos(1);
        let mut done = |ip| (0..10).filter(|_| throttle.take(ip, now).is_ok()).count();
        assert_eq!([1, 2, 3, 4, 5].map(|n| done(host(1, n))), [3, 3, 3, 3, 0]);
        assert_eq!(done(host(2, 1)), 3, "another network has its own");
        assert_eq!(throttle.take(host(1, 1), now), Err((Crowded::Address, minute / 3)));
        assert_eq!(throttle.take(host(1, 5), now), Err((Crowded::Network, minute / 12)));
        assert_eq!(
            [host(1, 1), host(1, 5), host(3, 1)].map(|ip| throttle.wait(ip, now)),
            [minute / 3, minute / 12, Duration::ZERO]
        );
    }
}
