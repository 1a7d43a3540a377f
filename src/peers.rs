//! PURE  Decides which peers clients may reach through this relay.
//!
//! A relay is a way into every network that its machine can reach. So an address must be global unicast; a list of
//! forbidden addresses would never be complete. Every IPv6 form that embeds an IPv4 address is refused, whatever the
//! IPv4 address is. The ranges are those of the IANA special-purpose registries.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::ops::RangeInclusive;

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

use crate::network::address::Transport;
use crate::network::own::Own;

/// Which peers clients may reach.
#[derive(Debug, Clone, Default)]
pub struct PeerPolicy {
    /// Ranges that the operator opened. They lift only the denial of private and special ranges and of this machine's
    /// neighbours; see [`PeerPolicy::can_open`].
    pub allow: Vec<IpNet>,
    /// Ranges that the operator closed; they take precedence over `allow`.
    pub deny: Vec<IpNet>,
    /// The NAT64 prefixes of this network: their addresses embed IPv4 addresses.
    pub nat64: Vec<Ipv6Net>,
    /// Whether loopback peers may be reached. For tests and benchmarks.
    pub loopback: bool,
    /// Ports of this machine that the operator opened.
    pub allow_own: Vec<OwnPorts>,
    /// The addresses and networks of this machine.
    pub own: Own,
    /// Every transport address on which we listen; an unspecified address stands for all addresses of this machine.
    pub listeners: Vec<(Transport, SocketAddr)>,
}

/// Ports of this machine on which another service runs that clients may reach, such as an SFU.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OwnPorts {
    /// The range of ports.
    pub ports: RangeInclusive<u16>,
    /// The transport protocol of the service.
    pub transport: Transport,
}

/// Why a peer is denied.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Denial {
    /// The operator closed its range.
    Closed,
    /// It is an address of this machine.
    Own,
    /// It is an address of this machine, and this daemon listens on the port.
    Listener,
    /// It is an address of this machine, and the port is neither opened nor used by an allocation.
    OwnPort,
    /// It is in a network of this machine.
    OnLink,
    /// It is private or special.
    Special,
    /// It is a loopback address.
    Loopback,
    /// It is never a peer's: unspecified, link-local, multicast, broadcast, or an embedded IPv4 address.
    Never,
    /// The port is never used for media.
    Port,
}

impl Denial {
    /// The reason, as it appears in the log.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Closed => "peers.deny closes it",
            Self::Own => "it is this machine",
            Self::Listener => "it is one of our own listeners",
            Self::OwnPort => "it is this machine, and neither a relay nor in peers.allow_own",
            Self::OnLink => "it is in a network of this machine; peers.allow can open it",
            Self::Special => "it is private or special; peers.allow can open it",
            Self::Loopback => "it is loopback",
            Self::Never => "it is never a peer's address",
            Self::Port => "the port is never media's",
        }
    }
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
    /// Never a peer: unspecified, link-local, multicast, broadcast, or an embedded IPv4 address.
    Never,
}

impl PeerPolicy {
    /// Judges a permission for `ip`. `relay_ip` says that we relay from `ip`. Then the peer may be another client of
    /// ours, and the port decides when data is sent.
    ///
    /// # Errors
    /// Why the permission is denied.
    pub fn judge_ip(&self, ip: IpAddr, transport: Transport, relay_ip: bool) -> Result<(), Denial> {
        if relay_ip && !self.is_closed(ip) {
            return Ok(());
        }
        self.judge_address(ip, transport, relay_ip)
    }

    /// Judges data for `peer`. `live_relay` says that the peer is a relayed transport address of ours that is in use:
    /// these are always reachable.
    ///
    /// # Errors
    /// Why the data is not sent.
    pub fn judge(
        &self,
        peer: SocketAddr,
        transport: Transport,
        relay_ip: bool,
        live_relay: bool,
    ) -> Result<(), Denial> {
        let (ip, port) = (peer.ip(), peer.port());
        if live_relay {
            return self.judge_ip(ip, transport, true);
        }
        self.judge_address(ip, transport, relay_ip)?;
        if is_reflecting_port(port) {
            return Err(Denial::Port);
        }
        if self.is_listener(peer, transport) {
            return Err(Denial::Listener);
        }
        let opened = |own: &OwnPorts| own.transport == transport && own.ports.contains(&port);
        if self.is_own(ip, relay_ip) && !self.allow_own.iter().any(opened) {
            return Err(Denial::OwnPort);
        }
        Ok(())
    }

    /// Judges an address that is not a live relayed transport address.
    fn judge_address(&self, ip: IpAddr, transport: Transport, relay_ip: bool) -> Result<(), Denial> {
        if self.is_closed(ip) {
            return Err(Denial::Closed);
        }
        if self.hides_ipv4(ip) {
            return Err(Denial::Never);
        }
        let (class, own) = (classify(ip), self.is_own(ip, relay_ip));
        let open = || self.allow.iter().any(|net| net.contains(&ip));
        match class {
            Class::Never => Err(Denial::Never),
            Class::Loopback if self.loopback => Ok(()),
            Class::Loopback => Err(Denial::Loopback),
            Class::Global | Class::Special if own => {
                let opened = self.allow_own.iter().any(|own| own.transport == transport);
                if opened { Ok(()) } else { Err(Denial::Own) }
            }
            Class::Special if !open() => Err(Denial::Special),
            Class::Global if self.own.is_on_link(ip) && !open() => Err(Denial::OnLink),
            Class::Global | Class::Special => Ok(()),
        }
    }

    /// Whether an address belongs to this machine. Loopback does not count if it is open.
    fn is_own(&self, ip: IpAddr, relay_ip: bool) -> bool {
        (relay_ip || self.own.addresses.contains(&ip)) && !(self.loopback && ip.is_loopback())
    }

    fn is_closed(&self, ip: IpAddr) -> bool {
        self.deny.iter().any(|net| net.contains(&ip))
    }

    /// Whether an address is a tunnel's: RFC 8656 §21.4 forbids Teredo and 6to4 clients, because they could make a
    /// packet loop endlessly.
    #[must_use]
    pub fn is_tunnel(ip: IpAddr) -> bool {
        match ip {
            IpAddr::V4(_) => false,
            IpAddr::V6(ip) => matches!(ip.segments(), [0x2001, 0, ..] | [0x2002, ..]),
        }
    }

    /// Whether `allow` can open a range, or at least part of it.
    #[must_use]
    pub fn can_open(range: &IpNet) -> bool {
        let loopback = IpNet::from(IpAddr::V6(Ipv6Addr::LOCALHOST));
        let never = NEVER_V4.map(IpNet::V4).into_iter().chain(NEVER_V6.map(IpNet::V6));
        !never.chain([loopback, IpNet::V4(v4(127, 0, 0, 0, 8))]).any(|net| net.contains(range))
    }

    /// Whether a range is global unicast, and so open without `allow` unless it is one of this machine's networks.
    #[must_use]
    pub fn is_global(range: &IpNet) -> bool {
        classify(range.network()) == Class::Global && classify(range.broadcast()) == Class::Global
    }

    /// Whether no address of a range is open without `allow`. A range that lies in several closed ones counts as open.
    #[must_use]
    pub fn is_closed_by_default(range: &IpNet) -> bool {
        match range {
            IpNet::V4(range) => {
                let closed = NEVER_V4.iter().chain(&SPECIAL_V4);
                closed.chain([&v4(127, 0, 0, 0, 8)]).any(|net| net.contains(range))
            }
            IpNet::V6(range) => {
                let outside = !GLOBAL_V6.contains(range) && !range.contains(&GLOBAL_V6);
                outside || NEVER_V6.iter().chain(&SPECIAL_V6).any(|net| net.contains(range))
            }
        }
    }

    /// The networks of this machine that would be open if they were not its own.
    #[must_use]
    pub fn closed_neighbours(&self) -> Vec<IpNet> {
        let closed = |net: &&IpNet| {
            Self::is_global(net)
                && (!self.own.addresses.contains(&net.network()) || net.network() != net.broadcast())
                && !self.allow.iter().chain(&self.deny).any(|range| range.contains(*net))
        };
        self.own.on_link.iter().filter(closed).copied().collect()
    }

    /// Whether we listen on this address.
    #[must_use]
    pub fn is_listener(&self, address: SocketAddr, transport: Transport) -> bool {
        let same = self.listeners.iter().filter(|(spoken, _)| *spoken == transport);
        same.map(|(_, listener)| listener).any(|listener| {
            let ours = || address.ip().is_loopback() || self.own.addresses.contains(&address.ip());
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

impl OwnPorts {
    /// Whether at least one of the ports can be opened.
    #[must_use]
    pub fn can_open(&self) -> bool {
        self.ports.clone().any(|port| !is_reflecting_port(port))
    }
}

impl fmt::Display for OwnPorts {
    /// As in `config.toml`: `10000/udp` or `20000-20100/udp`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (low, high) = (self.ports.start(), self.ports.end());
        let transport = match self.transport {
            Transport::Udp => "udp",
            Transport::Tcp => "tcp",
        };
        if low == high { write!(f, "{low}/{transport}") } else { write!(f, "{low}-{high}/{transport}") }
    }
}

/// Ports that are never used for media: the well-known ones except HTTPS, and services that answer a small request with
/// a large response. Port 0 cannot be sent to.
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

/// ISATAP embeds an IPv4 address in the interface identifier, under any prefix (RFC 5214 §6.1).
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

    fn peer(text: &str) -> SocketAddr {
        text.parse().unwrap()
    }

    fn nets(list: &[&str]) -> Vec<IpNet> {
        list.iter().map(|net| net.parse().unwrap()).collect()
    }

    fn permits_ip(policy: &PeerPolicy, ip: IpAddr, relay_ip: bool) -> bool {
        policy.judge_ip(ip, Transport::Udp, relay_ip).is_ok()
    }

    fn permits(policy: &PeerPolicy, peer: SocketAddr, relay_ip: bool, live_relay: bool) -> bool {
        policy.judge(peer, Transport::Udp, relay_ip, live_relay).is_ok()
    }

    #[test]
    fn the_internet_is_reachable() {
        for good in ["1.1.1.1", "172.32.0.1", "100.128.0.1", "192.169.0.1", "2606:4700::1111", "2001:4860::8"]
        {
            assert!(permits_ip(&PeerPolicy::default(), ip(good), false), "{good}");
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
            assert!(!permits_ip(&PeerPolicy::default(), ip(bad), false), "{bad}");
        }
    }

    #[test]
    fn a_range_is_closed_by_default_if_nothing_in_it_is_open() {
        for closed in
            ["10.1.0.0/16", "127.0.0.0/8", "0.0.0.0/8", "fc00::/7", "::1/128", "2002::/16", "100::/64"]
        {
            assert!(PeerPolicy::is_closed_by_default(&closed.parse().unwrap()), "{closed}");
        }
        for open in ["0.0.0.0/0", "172.0.0.0/8", "1.1.1.1/32", "::/0", "2000::/3", "2001::/16"] {
            assert!(!PeerPolicy::is_closed_by_default(&open.parse().unwrap()), "{open}");
        }
    }

    #[test]
    fn an_operator_may_open_private_ranges() {
        let policy =
            PeerPolicy { allow: nets(&["10.0.0.0/8", "fd00::/8", "203.0.113.0/24"]), ..Default::default() };
        for lifted in ["10.1.2.3", "fd12::1", "203.0.113.21"] {
            assert!(permits_ip(&policy, ip(lifted), false), "{lifted}");
        }
        assert!(!permits_ip(&policy, ip("192.168.0.1"), false));
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
            assert!(!permits_ip(&policy, ip(never), false), "{never}");
        }
    }

    #[test]
    fn a_closed_range_is_stronger_than_an_open_one() {
        let policy =
            PeerPolicy { allow: nets(&["10.0.0.0/8"]), deny: nets(&["10.9.0.0/16"]), ..Default::default() };
        assert!(permits_ip(&policy, ip("10.8.0.1"), false));
        assert!(!permits_ip(&policy, ip("10.9.0.1"), false));
    }

    #[test]
    fn the_networks_own_nat64_prefix_hides_ipv4() {
        let policy = PeerPolicy { nat64: vec!["2a00:1234:64::/96".parse().unwrap()], ..Default::default() };
        assert!(!permits_ip(&policy, ip("2a00:1234:64::a00:1"), false));
        assert!(permits_ip(&policy, ip("2a00:1234:65::a00:1"), false));
    }

    #[test]
    fn our_own_address_is_reachable_only_where_a_relay_listens() {
        let own = ip("8.8.4.4");
        let policy = PeerPolicy {
            own: Own::new(vec![own], &[]),
            listeners: vec![(Transport::Udp, peer("8.8.4.4:3478"))],
            ..Default::default()
        };
        assert!(!permits_ip(&policy, own, false));
        assert!(permits_ip(&policy, own, true), "two clients of one server must meet");
        assert!(permits(&policy, peer("8.8.4.4:50000"), true, true));
        for closed in ["8.8.4.4:50001", "8.8.4.4:3478", "8.8.4.4:443"] {
            assert!(!permits(&policy, peer(closed), true, false), "{closed}");
        }
    }

    #[test]
    fn the_machines_own_networks_are_closed_unless_opened() {
        let own = Own::new(vec![ip("8.8.4.4")], &nets(&["8.8.4.4/24", "2001:4860::5/128"]));
        let mut policy = PeerPolicy { own, ..Default::default() };
        for closed in ["8.8.4.1", "8.8.4.255", "2001:4860::77", "2001:4860::ffff:0:0:1"] {
            assert_eq!(policy.judge_ip(ip(closed), Transport::Udp, false), Err(Denial::OnLink), "{closed}");
        }
        for open in ["8.8.5.1", "2001:4860:0:1::1"] {
            assert!(permits_ip(&policy, ip(open), false), "{open}");
        }
        assert_eq!(policy.closed_neighbours(), nets(&["8.8.4.0/24", "2001:4860::/64"]));
        policy.allow = nets(&["8.8.0.0/16", "2001:4860::/65"]);
        assert!(permits_ip(&policy, ip("8.8.4.1"), false) && permits_ip(&policy, ip("2001:4860::77"), false));
        assert!(
            !permits_ip(&policy, ip("2001:4860::8000:0:0:1"), false)
                && !permits_ip(&policy, ip("8.8.4.4"), false)
        );
    }

    #[test]
    fn half_the_internet_is_no_network_of_the_machine_and_a_single_address_is_one() {
        let networks = ["1.0.0.1/0", "8.8.4.4/7", "9.9.9.9/8", "8.8.8.8/32", "2001:4860::1/16", "2a00::1/32"];
        let own = Own::new(Vec::new(), &nets(&networks));
        assert_eq!(own.on_link, nets(&["8.8.8.8/32", "9.0.0.0/8", "2a00::/32"]));
        assert!(
            PeerPolicy { own, ..Default::default() }.judge_ip(ip("1.1.1.1"), Transport::Udp, false).is_ok()
        );
    }

    #[test]
    fn every_refusal_of_our_own_has_its_reason() {
        let policy = PeerPolicy {
            own: Own::new(vec![ip("8.8.4.4")], &[]),
            allow_own: vec![OwnPorts { ports: 3000..=4000, transport: Transport::Udp }],
            listeners: vec![(Transport::Udp, peer("8.8.4.4:3478"))],
            ..Default::default()
        };
        let judge = |text: &str, transport| policy.judge(peer(text), transport, true, false);
        assert_eq!(judge("8.8.4.4:3000", Transport::Udp), Ok(()));
        assert_eq!(judge("8.8.4.4:3000", Transport::Tcp), Err(Denial::Own));
        assert_eq!(judge("8.8.4.4:3478", Transport::Udp), Err(Denial::Listener));
        assert_eq!(judge("8.8.4.4:50000", Transport::Udp), Err(Denial::OwnPort));
    }

    #[test]
    fn loopback_is_for_tests_and_spares_our_listeners() {
        let (own, listeners) =
            (Own::new(vec![ip("127.0.0.1")], &[]), vec![(Transport::Udp, peer("127.0.0.1:3478"))]);
        let policy = PeerPolicy { loopback: true, own, listeners, ..Default::default() };
        assert!(permits(&policy, peer("127.0.0.1:50000"), true, false));
        assert!(!permits(&policy, peer("127.0.0.1:3478"), true, false));
        assert!(!permits_ip(&policy, ip("::ffff:127.0.0.1"), false));
    }

    #[test]
    fn ports_that_are_never_media_are_closed() {
        for port in [0, 19, 22, 53, 80, 123, 1023, 1900, 3702, 5353, 5683, 11211] {
            let peer = SocketAddr::new(ip("1.1.1.1"), port);
            assert!(!permits(&PeerPolicy::default(), peer, false, false), "{port}");
        }
        for port in [443, 1024, 3478, 50000, 65535] {
            let peer = SocketAddr::new(ip("1.1.1.1"), port);
            assert!(permits(&PeerPolicy::default(), peer, false, false), "{port}");
        }
    }

    #[test]
    fn tunnels_are_known() {
        assert!(PeerPolicy::is_tunnel(ip("2001::1")) && PeerPolicy::is_tunnel(ip("2002:1::")));
        assert!(!PeerPolicy::is_tunnel(ip("2001:db8::1")) && !PeerPolicy::is_tunnel(ip("1.1.1.1")));
    }
}
