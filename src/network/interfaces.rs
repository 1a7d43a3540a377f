//! Finds this machine's addresses and networks.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};

use ipnet::IpNet;
use webrtc_util::ifaces::{Interface, NextHop, ifaces};

use crate::network::address::Family;
use crate::network::ipv6::{self, Ipv6Address, is_global, lasting};
use crate::network::own::Own;

/// The current addresses of every interface, loopback included, and their networks.
///
/// # Errors
/// If the kernel does not report them. An empty list is an error too, because there is always a loopback interface.
pub fn own() -> io::Result<Own> {
    let interfaces = ifaces()?;
    if interfaces.is_empty() {
        return Err(io::Error::other("the kernel lists no network interface"));
    }
    let addresses = interfaces.iter().filter_map(|interface| interface.addr).map(|address| address.ip());
    let networks: Vec<IpNet> = interfaces.iter().flat_map(networks).collect();
    Ok(Own::new(addresses.collect(), &networks))
}

/// The networks of one address, each with a host in it. The other end of a tunnel may be in another network.
fn networks(interface: &Interface) -> Vec<IpNet> {
    let mask = interface.mask.map(|mask| mask.ip());
    let other_end = match interface.hop {
        Some(NextHop::Destination(address)) => Some(address),
        Some(NextHop::Broadcast(_)) | None => None,
    };
    let hosts = interface.addr.into_iter().chain(other_end).map(|host| host.ip());
    hosts.filter_map(|host| IpNet::with_netmask(host, mask?).ok()).collect()
}

/// The machine's default addresses, at most one of each family: the source addresses of packets to the Internet. A family
/// without a route to the Internet keeps its address in `last`, if that is still in `own`. If there is no address at all,
/// it is the first usable IPv4 address of `own`, not loopback or link-local, if any.
#[must_use]
pub fn default_addresses(own: &[IpAddr], last: &[IpAddr]) -> Vec<IpAddr> {
    let v4 = source_for(EXAMPLE_V4.into());
    let v6 = match source_for(EXAMPLE_V6.into()) {
        // An IPv6 address that is not global has no route to the Internet.
        Some(IpAddr::V6(ip)) if is_global(ip) => Some(lasting(ip, &known_addresses()).into()),
        Some(_) | None => None,
    };
    choose([v4, v6], own, last)
}

/// Whether there is a route to the Internet. Without one, [`default_addresses`] are a guess.
#[must_use]
pub fn has_default_route() -> bool {
    [IpAddr::V4(EXAMPLE_V4), IpAddr::V6(EXAMPLE_V6)].into_iter().any(|far| source_for(far).is_some())
}

/// Addresses in the Internet that are nobody's (RFC 5737, RFC 3849).
const EXAMPLE_V4: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);
const EXAMPLE_V6: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1);

/// As [`default_addresses`], from the source addresses that the kernel would use.
fn choose(sources: [Option<IpAddr>; 2], own: &[IpAddr], last: &[IpAddr]) -> Vec<IpAddr> {
    let kept = |family| last.iter().copied().find(|ip| Family::of(*ip) == family && own.contains(ip));
    let found =
        Family::ALL.into_iter().zip(sources).filter_map(|(family, source)| source.or_else(|| kept(family)));
    let found: Vec<IpAddr> = found.collect();
    let usable = |ip: &&IpAddr| matches!(ip, IpAddr::V4(ip) if !ip.is_loopback() && !ip.is_link_local());
    if found.is_empty() { own.iter().find(usable).copied().into_iter().collect() } else { found }
}

/// What the kernel says of the IPv6 addresses of this machine; nothing if it does not.
fn known_addresses() -> Vec<Ipv6Address> {
    std::fs::read_to_string("/proc/self/net/if_inet6").map(|text| ipv6::parse(&text)).unwrap_or_default()
}

/// The source address that the kernel would use. A UDP socket is connected to find out; no packet is sent.
fn source_for(destination: IpAddr) -> Option<IpAddr> {
    let any: IpAddr = match destination {
        IpAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        IpAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    let socket = UdpSocket::bind(SocketAddr::new(any, 0)).ok()?;
    socket.connect(SocketAddr::new(destination, 9)).ok()?;
    socket.local_addr().ok().map(|address| address.ip()).filter(|ip| !ip.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ips(texts: &[&str]) -> Vec<IpAddr> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }

    /// What is chosen, if the kernel sends from `sources` and the machine has the addresses `own`.
    fn chosen(sources: [&str; 2], own: &[&str], last: &[&str]) -> Vec<IpAddr> {
        choose(sources.map(|text| text.parse().ok()), &ips(own), &ips(last))
    }

    #[test]
    fn the_default_addresses_are_those_that_packets_to_the_internet_come_from() {
        let own = ["127.0.0.1", "10.0.0.4", "10.0.0.5", "2001:db8::5"];
        assert_eq!(
            chosen(["10.0.0.5", "2001:db8::5"], &own, &["10.0.0.4"]),
            ips(&["10.0.0.5", "2001:db8::5"])
        );
        assert_eq!(chosen(["", "2001:db8::5"], &own, &[]), ips(&["2001:db8::5"]));
    }

    #[test]
    fn an_address_without_a_route_stays_as_long_as_the_machine_has_it() {
        let last = ["10.0.0.5", "2001:db8::5"];
        assert_eq!(chosen(["", "2001:db8::6"], &["10.0.0.5"], &last), ips(&["10.0.0.5", "2001:db8::6"]));
        assert_eq!(chosen(["", "2001:db8::6"], &["10.0.0.4"], &last), ips(&["2001:db8::6"]));
    }

    #[test]
    fn without_any_route_it_is_an_ipv4_address_that_others_may_reach() {
        let own = ["127.0.0.1", "169.254.0.1", "fd00::5", "192.168.1.5"];
        assert_eq!(chosen(["", ""], &own, &[]), ips(&["192.168.1.5"]));
        assert!(chosen(["", ""], &own[..3], &[]).is_empty());
    }
}
