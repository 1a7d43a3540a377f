//! PURE  Counts how many of something each client address and each network has.

use std::collections::HashMap;
use std::net::IpAddr;

use crate::bounds::client_net::{address, network};

/// The counts and their limits.
#[derive(Debug)]
pub struct Headcount {
    per_address: usize,
    per_network: usize,
    addresses: HashMap<IpAddr, usize>,
    networks: HashMap<IpAddr, usize>,
}

/// Which limit is reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Crowded {
    /// The address: an IPv4 address, or an IPv6 /64.
    Address,
    /// The network: an IPv4 /24, or an IPv6 /48.
    Network,
}

impl Headcount {
    /// No counts yet; at most `per_address` for one address and `per_network` for one network.
    #[must_use]
    pub fn new(per_address: usize, per_network: usize) -> Self {
        Self { per_address, per_network, addresses: HashMap::new(), networks: HashMap::new() }
    }

    /// Changes the limits. Nothing that is counted ends.
    pub fn limit(&mut self, per_address: usize, per_network: usize) {
        (self.per_address, self.per_network) = (per_address, per_network);
    }

    /// Counts one more for `ip`, until [`Self::leave`].
    ///
    /// # Errors
    /// The limit that is reached; then nothing is counted.
    pub fn enter(&mut self, ip: IpAddr) -> Result<(), Crowded> {
        self.room(ip)?;
        self.count(ip);
        Ok(())
    }

    /// Counts one more for `ip`, whatever the limits are, until [`Self::leave`].
    pub fn count(&mut self, ip: IpAddr) {
        *self.addresses.entry(address(ip)).or_default() += 1;
        *self.networks.entry(network(ip)).or_default() += 1;
    }

    /// Whether one more for `ip` is allowed.
    ///
    /// # Errors
    /// The limit that is reached.
    pub fn room(&self, ip: IpAddr) -> Result<(), Crowded> {
        if self.of_address(ip) >= self.per_address {
            return Err(Crowded::Address);
        }
        let of_network = self.networks.get(&network(ip)).copied().unwrap_or(0);
        if of_network >= self.per_network { Err(Crowded::Network) } else { Ok(()) }
    }

    /// Counts one less for `ip`.
    pub fn leave(&mut self, ip: IpAddr) {
        for (counts, key) in [(&mut self.addresses, address(ip)), (&mut self.networks, network(ip))] {
            let Some(count) = counts.get_mut(&key) else { continue };
            *count -= 1;
            if *count == 0 {
                counts.remove(&key);
            }
        }
    }

    /// The count of the address that `ip` belongs to.
    #[must_use]
    pub fn of_address(&self, ip: IpAddr) -> usize {
        self.addresses.get(&address(ip)).copied().unwrap_or(0)
    }

    /// The address with the highest count, and this count.
    #[must_use]
    pub fn most(&self) -> Option<(IpAddr, usize)> {
        self.addresses.iter().max_by_key(|(_, count)| **count).map(|(ip, count)| (*ip, *count))
    }

    /// Whether all counts are zero.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.addresses.is_empty() && self.networks.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host(last: u8) -> IpAddr {
        [198, 51, 100, last].into()
    }

    #[test]
    fn an_address_has_its_share_and_so_has_its_network() {
        let mut count = Headcount::new(2, 3);
        assert_eq!([(); 3].map(|()| count.enter(host(1))), [Ok(()), Ok(()), Err(Crowded::Address)]);
        assert_eq!([(); 2].map(|()| count.enter(host(2))), [Ok(()), Err(Crowded::Network)]);
        assert_eq!(count.enter([203, 0, 113, 1].into()), Ok(()), "another network has a share of its own");
    }

    #[test]
    fn a_lower_limit_ends_nothing_and_admits_nobody_until_enough_have_left() {
        let mut count = Headcount::new(3, 3);
        assert_eq!([(); 3].map(|()| count.enter(host(1))), [Ok(()); 3]);
        count.limit(1, 3);
        assert_eq!((count.of_address(host(1)), count.enter(host(1))), (3, Err(Crowded::Address)));
        count.leave(host(1));
        count.leave(host(1));
        assert_eq!(count.enter(host(1)), Err(Crowded::Address));
        count.limit(2, 3);
        assert_eq!(count.enter(host(1)), Ok(()));
    }

    #[test]
    fn what_is_given_back_leaves_no_trace() {
        let mut count = Headcount::new(1, 1);
        for _ in 0..100 {
            assert_eq!((count.enter(host(1)), count.enter(host(2))), (Ok(()), Err(Crowded::Network)));
            count.leave(host(1));
            assert!(count.is_empty());
        }
    }
}
