//! Decides which peers may be reached through us.
//!
//! A relay is a way into every network that its machine can reach. So an address is not checked against a list of
//! what is bad, which is never complete, but must be global unicast; every form that hides an IPv4 address in an
//! IPv6 one is refused, whatever it hides. The ranges are those of the IANA special-purpose registries.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

use crate::relay::address::PeerAddr;

/// Which peers may be reached.
#[derive(Debug, Clone, Default)]
pub struct PeerPolicy {
    /// Ranges that the operator opened. They lift the denial of private and special ranges only, see
    /// [`PeerPolicy::can_open`].
    pub allow: Vec<IpNet>,
    /// Ranges that the operator closed; stronger than `allow`.
    pub deny: Vec<IpNet>,
    /// The NAT64 prefixes of this network: their addresses hide IPv4 ones.
    pub nat64: Vec<Ipv6Net>,
    /// Whether loopback peers may be reached. For tests and benchmarks.
    pub loopback: bool,
    /// Every address of this machine, both sides of a 1:1 NAT included.
    pub own: Vec<IpAddr>,
    /// Every transport address that we listen on; an unspecified address stands for all of the machine's.
    pub listeners: Vec<SocketAddr>,
}

/// What kind of address a peer has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Class {
    /// Global unicast.
    Global,
    /// Private, shared or special; an operator may have reasons to allow it.
    Special,
    /// 127.0.0.0/8 and `::1`.
    Loopback,
    /// Never a peer: unspecified, link-local, multicast, broadcast, or an IPv4 address in disguise.
    Never,
}

impl PeerPolicy {
    /// Whether a permission for `ip` may be given. `relay_ip` says that `ip` is one that we relay from: then two
    /// of our clients may want to meet, and the port decides when data is sent.
    #[must_use]
    pub fn permits_ip(&self, ip: IpAddr, relay_ip: bool) -> bool {
        if relay_ip && !self.deny.iter().any(|net| net.contains(&ip)) {
            return true;
        }
        let lifted = match classify(ip) {
            Class::Global => true,
            Class::Special => self.allow.iter().any(|net| net.contains(&ip)),
            Class::Loopback => self.loopback,
            Class::Never => false,
        };
        let is_own = self.own.contains(&ip) && !(self.loopback && ip.is_loopback());
        lifted && !is_own && !self.hides_ipv4(ip) && !self.deny.iter().any(|net| net.contains(&ip))
    }

    /// Whether data may be sent to `peer`. `live_relay` says that the peer is a relayed transport address of ours
    /// that is in use: those are always reachable.
    #[must_use]
    pub fn permits(&self, peer: PeerAddr, relay_ip: bool, live_relay: bool) -> bool {
        let (ip, port) = (peer.ip(), peer.0.port());
        if live_relay {
            return self.permits_ip(ip, true);
        }
        let loopback = self.loopback && ip.is_loopback();
        (!relay_ip || loopback)
            && !is_reflecting_port(port)
            && !self.is_listener(peer.0)
            && self.permits_ip(ip, false)
    }

    /// Whether an address is a tunnel's: RFC 8656 §21.4 forbids Teredo and 6to4 clients, because they could make
    /// a packet circle for ever.
    #[must_use]
    pub fn is_tunnel(ip: IpAddr) -> bool {
        match ip {
            IpAddr::V4(_) => false,
            IpAddr::V6(ip) => matches!(ip.segments(), [0x2001, 0, ..] | [0x2002, ..]),
        }
    }

    /// Whether `allow` can open a range, or at least a part of it.
    #[must_use]
    pub fn can_open(range: &IpNet) -> bool {
        let loopback = IpNet::from(IpAddr::V6(Ipv6Addr::LOCALHOST));
        let never = NEVER_V4.map(IpNet::V4).into_iter().chain(NEVER_V6.map(IpNet::V6));
        !never.chain([loopback, IpNet::V4(v4(127, 0, 0, 0, 8))]).any(|net| net.contains(range))
    }

    /// Whether a range is open without `allow`.
    #[must_use]
    pub fn is_open(range: &IpNet) -> bool {
        classify(range.network()) == Class::Global && classify(range.broadcast()) == Class::Global
    }

    /// Whether we listen on this address.
    #[must_use]
    pub fn is_listener(&self, address: SocketAddr) -> bool {
        self.listeners.iter().any(|listener| {
            let ours = || address.ip().is_loopback() || self.own.contains(&address.ip());
            let any = || listener.ip().is_unspecified() && ours();
            listener.port() == address.port() && (listener.ip() == address.ip() || any())
        })
    }

    fn hides_ipv4(&self, ip: IpAddr) -> bool {
        match ip {
            IpAddr::V4(_) => false,
            IpAddr::V6(ip) => self.nat64.iter().any(|net| net.contains(&ip)),
        }
    }
}

/// Ports that are never media: the well-known ones but HTTPS, and services that answer a small question with a
/// large answer. Port 0 cannot be sent to.
fn is_reflecting_port(port: u16) -> bool {
    (port < 1024 && port != 443) || matches!(port, 1900 | 3702 | 5353 | 5683 | 11211)
}

fn classify(ip: IpAddr) -> Class {
    match ip {
        IpAddr::V4(ip) => classify_v4(ip),
        IpAddr::V6(ip) => classify_v6(ip),
    }
}

fn classify_v4(ip: Ipv4Addr) -> Class {
    if ip.is_loopback() {
        Class::Loopback
    } else if NEVER_V4.iter().any(|net| net.contains(&ip)) {
        Class::Never
    } else if SPECIAL_V4.iter().any(|net| net.contains(&ip)) {
        Class::Special
    } else {
        Class::Global
    }
}

fn classify_v6(ip: Ipv6Addr) -> Class {
    if ip == Ipv6Addr::LOCALHOST {
        Class::Loopback
    } else if NEVER_V6.iter().any(|net| net.contains(&ip)) || is_isatap(ip) {
        Class::Never
    } else if !GLOBAL_V6.contains(&ip) || SPECIAL_V6.iter().any(|net| net.contains(&ip)) {
        Class::Special
    } else {
        Class::Global
    }
}

/// ISATAP puts an IPv4 address into the interface identifier, under any prefix (RFC 5214 §6.1).
fn is_isatap(ip: Ipv6Addr) -> bool {
    let [_, _, _, _, a, b, _, _] = ip.segments();
    b == 0x5efe && (a == 0 || a == 0x0200)
}

const fn v4(a: u8, b: u8, c: u8, d: u8, length: u8) -> Ipv4Net {
    Ipv4Net::new_assert(Ipv4Addr::new(a, b, c, d), length)
}

const fn v6(segments: [u16; 8], length: u8) -> Ipv6Net {
    let [a, b, c, d, e, f, g, h] = segments;
    Ipv6Net::new_assert(Ipv6Addr::new(a, b, c, d, e, f, g, h), length)
}

const NEVER_V4: [Ipv4Net; 4] = [
    v4(0, 0, 0, 0, 8),          // this network
    v4(169, 254, 0, 0, 16),     // link-local, and every cloud's metadata
    v4(224, 0, 0, 0, 4),        // multicast
    v4(255, 255, 255, 255, 32), // broadcast
];

const SPECIAL_V4: [Ipv4Net; 15] = [
    v4(10, 0, 0, 0, 8),
    v4(100, 64, 0, 0, 10),    // shared, RFC 6598
    v4(168, 63, 129, 16, 32), // Azure's platform, in no special range
    v4(172, 16, 0, 0, 12),
    v4(192, 0, 0, 0, 24),    // IETF protocols
    v4(192, 0, 2, 0, 24),    // documentation
    v4(192, 31, 196, 0, 24), // AS112
    v4(192, 52, 193, 0, 24), // AMT
    v4(192, 88, 99, 0, 24),  // 6to4 relays
    v4(192, 168, 0, 0, 16),
    v4(192, 175, 48, 0, 24), // AS112
    v4(198, 18, 0, 0, 15),   // benchmarks
    v4(198, 51, 100, 0, 24), // documentation
    v4(203, 0, 113, 0, 24),  // documentation
    v4(240, 0, 0, 0, 4),     // reserved
];

const GLOBAL_V6: Ipv6Net = v6([0x2000, 0, 0, 0, 0, 0, 0, 0], 3);

const NEVER_V6: [Ipv6Net; 9] = [
    v6([0, 0, 0, 0, 0, 0, 0, 0], 96),         // unspecified, IPv4-compatible
    v6([0, 0, 0, 0, 0, 0xffff, 0, 0], 96),    // IPv4-mapped
    v6([0, 0, 0, 0, 0xffff, 0, 0, 0], 96),    // IPv4-translated
    v6([0x64, 0xff9b, 0, 0, 0, 0, 0, 0], 96), // NAT64
    v6([0x64, 0xff9b, 1, 0, 0, 0, 0, 0], 48), // local NAT64
    v6([0x2001, 0, 0, 0, 0, 0, 0, 0], 32),    // Teredo
    v6([0x2002, 0, 0, 0, 0, 0, 0, 0], 16),    // 6to4
    v6([0xfe80, 0, 0, 0, 0, 0, 0, 0], 10),    // link-local
    v6([0xff00, 0, 0, 0, 0, 0, 0, 0], 8),     // multicast
];

const SPECIAL_V6: [Ipv6Net; 5] = [
    v6([0x2001, 0, 0, 0, 0, 0, 0, 0], 23), // IETF protocols: ORCHID, benchmarks, AMT
    v6([0x2001, 0xdb8, 0, 0, 0, 0, 0, 0], 32), // documentation
    v6([0x2620, 0x4f, 0x8000, 0, 0, 0, 0, 0], 48), // AS112
    v6([0x3ffe, 0, 0, 0, 0, 0, 0, 0], 16), // 6bone, long returned
    v6([0x3fff, 0, 0, 0, 0, 0, 0, 0], 20), // documentation
];

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    fn peer(text: &str) -> PeerAddr {
        PeerAddr(text.parse().unwrap())
    }

    fn nets(list: &[&str]) -> Vec<IpNet> {
        list.iter().map(|net| net.parse().unwrap()).collect()
    }

    #[test]
    fn the_internet_is_reachable() {
        for good in ["1.1.1.1", "172.32.0.1", "100.128.0.1", "192.169.0.1", "2606:4700::1111", "2001:4860::8"]
        {
            assert!(PeerPolicy::default().permits_ip(ip(good), false), "{good}");
        }
    }

    #[test]
    fn the_metadata_of_no_cloud_is_reachable() {
        for bad in [
            "169.254.169.254",
            "169.254.169.253",
            "169.254.170.2",
            "fd00:ec2::254",
            "fd20:ce::254",
            "fe80::a9fe:a9fe",
            "100.100.100.200",
            "192.0.0.192",
            "168.63.129.16",
        ] {
            assert!(!PeerPolicy::default().permits_ip(ip(bad), false), "{bad}");
        }
    }

    #[test]
    fn an_operator_may_open_private_ranges() {
        let policy =
            PeerPolicy { allow: nets(&["10.0.0.0/8", "fd00::/8", "203.0.113.0/24"]), ..Default::default() };
        for lifted in ["10.1.2.3", "fd12::1", "203.0.113.21"] {
            assert!(policy.permits_ip(ip(lifted), false), "{lifted}");
        }
        assert!(!policy.permits_ip(ip("192.168.0.1"), false));
    }

    #[test]
    fn nobody_can_open_what_is_never_a_peer() {
        let policy = PeerPolicy { allow: nets(&["0.0.0.0/0", "::/0"]), ..Default::default() };
        for never in [
            "0.0.0.0",
            "127.0.0.1",
            "169.254.1.1",
            "224.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::127.0.0.1",
            "::ffff:10.0.0.1",
            "::ffff:0:10.0.0.1",
            "64:ff9b::10.0.0.1",
            "64:ff9b:1::1",
            "2001::1",
            "2002:7f00:1::",
            "fe80::1",
            "ff02::1",
            "2606:4700::5efe:10.0.0.1",
            "2606:4700::200:5efe:10.0.0.1",
        ] {
            assert!(!policy.permits_ip(ip(never), false), "{never}");
        }
    }

    #[test]
    fn a_closed_range_is_stronger_than_an_open_one() {
        let policy =
            PeerPolicy { allow: nets(&["10.0.0.0/8"]), deny: nets(&["10.9.0.0/16"]), ..Default::default() };
        assert!(policy.permits_ip(ip("10.8.0.1"), false));
        assert!(!policy.permits_ip(ip("10.9.0.1"), false));
    }

    #[test]
    fn the_networks_own_nat64_prefix_hides_ipv4() {
        let policy = PeerPolicy { nat64: vec!["2a00:1234:64::/96".parse().unwrap()], ..Default::default() };
        assert!(!policy.permits_ip(ip("2a00:1234:64::a00:1"), false));
        assert!(policy.permits_ip(ip("2a00:1234:65::a00:1"), false));
    }

    #[test]
    fn our_own_address_is_reachable_only_where_a_relay_listens() {
        let own = ip("8.8.4.4");
        let policy =
            PeerPolicy { own: vec![own], listeners: vec![peer("8.8.4.4:3478").0], ..Default::default() };
        assert!(!policy.permits_ip(own, false));
        assert!(policy.permits_ip(own, true), "two clients of one server must meet");
        assert!(policy.permits(peer("8.8.4.4:50000"), true, true));
        for closed in ["8.8.4.4:50001", "8.8.4.4:3478", "8.8.4.4:443"] {
            assert!(!policy.permits(peer(closed), true, false), "{closed}");
        }
    }

    #[test]
    fn loopback_is_for_tests_and_spares_our_listeners() {
        let (own, listeners) = (vec![ip("127.0.0.1")], vec![peer("127.0.0.1:3478").0]);
        let policy = PeerPolicy { loopback: true, own, listeners, ..Default::default() };
        assert!(policy.permits(peer("127.0.0.1:50000"), true, false));
        assert!(!policy.permits(peer("127.0.0.1:3478"), true, false));
        assert!(!policy.permits_ip(ip("::ffff:127.0.0.1"), false));
    }

    #[test]
    fn ports_that_are_never_media_are_closed() {
        for port in [0, 19, 22, 53, 80, 123, 1023, 1900, 3702, 5353, 5683, 11211] {
            let peer = PeerAddr(SocketAddr::new(ip("1.1.1.1"), port));
            assert!(!PeerPolicy::default().permits(peer, false, false), "{port}");
        }
        for port in [443, 1024, 3478, 50000, 65535] {
            let peer = PeerAddr(SocketAddr::new(ip("1.1.1.1"), port));
            assert!(PeerPolicy::default().permits(peer, false, false), "{port}");
        }
    }

    #[test]
    fn tunnels_are_known() {
        assert!(PeerPolicy::is_tunnel(ip("2001::1")) && PeerPolicy::is_tunnel(ip("2002:1::")));
        assert!(!PeerPolicy::is_tunnel(ip("2001:db8::1")) && !PeerPolicy::is_tunnel(ip("1.1.1.1")));
    }
}
