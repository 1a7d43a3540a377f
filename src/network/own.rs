//! PURE  The addresses and networks of this machine.

use std::net::IpAddr;

use ipnet::{IpNet, Ipv6Net};

/// The current addresses and networks of this machine's interfaces. They may change at any time.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Own {
    /// Every address of this machine, including both sides of a 1:1 NAT.
    pub addresses: Vec<IpAddr>,
    /// The networks that it reaches without a router.
    pub on_link: Vec<IpNet>,
}

impl Own {
    /// A machine with these addresses. `neighbours` are the addresses of its interfaces, each with its prefix length.
    #[must_use]
    pub fn new(mut addresses: Vec<IpAddr>, neighbours: &[IpNet]) -> Self {
        addresses.sort_unstable();
        addresses.dedup();
        let mut on_link: Vec<IpNet> = neighbours.iter().filter_map(network).collect();
        on_link.sort_unstable();
        on_link.dedup();
        Self { addresses, on_link }
    }

    /// The same machine with more addresses that belong to it, even if no interface has them.
    #[must_use]
    pub fn with(mut self, more: &[IpAddr]) -> Self {
        self.addresses.extend(more);
        self.addresses.sort_unstable();
        self.addresses.dedup();
        self
    }

    /// Whether the machine reaches `ip` without a router.
    #[must_use]
    pub fn is_on_link(&self, ip: IpAddr) -> bool {
        self.on_link.iter().any(|net| net.contains(&ip))
    }
}

/// The network of an interface's address. An IPv6 address that DHCP assigns as a /128 has its neighbours in its /64
/// (RFC 4291 §2.5.4). A prefix shorter than /8 (IPv4) or /32 (IPv6) belongs to a tunnel and says nothing about
/// neighbours.
fn network(address: &IpNet) -> Option<IpNet> {
    let network = match address {
        IpNet::V4(net) => (net.prefix_len() >= 8).then_some(IpNet::V4(*net)),
        IpNet::V6(net) if net.prefix_len() > 64 => Ipv6Net::new(net.addr(), 64).ok().map(IpNet::V6),
        IpNet::V6(net) => (net.prefix_len() >= 32).then_some(IpNet::V6(*net)),
    };
    network.map(|net| net.trunc())
}
