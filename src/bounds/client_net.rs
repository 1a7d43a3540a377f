//! PURE  What counts as one client address, and as one network of clients.

use std::net::IpAddr;

/// How many times the limit of an address a network gets, unless configured otherwise.
pub const NETWORK_SHARE: u32 = 4;

/// What counts as one client address: an IPv4 address, or an IPv6 /64, because one IPv6 host has a whole /64.
#[must_use]
pub fn address(ip: IpAddr) -> IpAddr {
    prefix(ip, 32, 64)
}

/// What counts as one network: an IPv4 /24, or an IPv6 /48, because one customer may have a whole /48.
#[must_use]
pub fn network(ip: IpAddr) -> IpAddr {
    prefix(ip, 24, 48)
}

/// The first address of the prefix that `ip` lies in.
fn prefix(ip: IpAddr, v4: u32, v6: u32) -> IpAddr {
    match ip {
        IpAddr::V4(ip) => IpAddr::V4((u32::from(ip) & (u32::MAX << (32 - v4))).into()),
        IpAddr::V6(ip) => IpAddr::V6((u128::from(ip) & (u128::MAX << (128 - v6))).into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_ipv4_host_is_one_address_and_its_24_one_network() {
        let ip: IpAddr = "198.51.100.7".parse().unwrap();
        assert_eq!(address(ip), ip);
        assert_eq!(network(ip), IpAddr::from([198, 51, 100, 0]));
    }

    #[test]
    fn an_ipv6_host_is_a_64_and_its_48_one_network() {
        let ip: IpAddr = "2a00:1:2:3:4:5:6:7".parse().unwrap();
        assert_eq!(address(ip), "2a00:1:2:3::".parse::<IpAddr>().unwrap());
        assert_eq!(network(ip), "2a00:1:2::".parse::<IpAddr>().unwrap());
    }
}
