//! Finds this machine's addresses and networks.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};

use ipnet::IpNet;
use webrtc_util::ifaces::{Interface, NextHop, ifaces};

use crate::network::address::RelayAddress;
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

/// The addresses to relay from if the operator configures none: the source addresses of packets to the Internet.
/// Without a route to the Internet, it is the first usable IPv4 address of `own`, not loopback or link-local, if any.
#[must_use]
pub fn default_relay_addresses(own: &[IpAddr]) -> Vec<RelayAddress> {
    let v4 = source_for(IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)));
    // An IPv6 address that is not global has no route to the Internet.
    let v6 = source_for(IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1)))
        .filter(|ip| matches!(ip, IpAddr::V6(ip) if ip.segments()[0] & 0xe000 == 0x2000));
    let found: Vec<IpAddr> = v4.into_iter().chain(v6).collect();
    let usable = |ip: &&IpAddr| matches!(ip, IpAddr::V4(ip) if !ip.is_loopback() && !ip.is_link_local());
    let any = || own.iter().find(usable).copied().into_iter().collect();
    let addresses = if found.is_empty() { any() } else { found };
    addresses.into_iter().map(|ip| RelayAddress { bind: ip, public: ip }).collect()
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
