//! Whom a client can reach through us: the Internet, and nothing else that this machine can.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::process::Command;

use hairpin::network::address::Transport;
use hairpin::network::own::Own;
use hairpin::peers::{OwnPorts, PeerPolicy};
use hairpin::relay::engine::Action;
use ipnet::IpNet;

use crate::support::client::Client;
use crate::support::stun::{
    CHANNEL_BIND, CHANNEL_NUMBER, CREATE_PERMISSION, DATA, REQUESTED_ADDRESS_FAMILY, SEND, XOR_PEER_ADDRESS,
    xor_address,
};
use crate::support::world::{Plan, TablePorts, World};

/// Where we relay from in these tests.
const RELAYS: [&str; 2] = ["8.8.4.4", "2001:4860::1"];

/// Everything but global unicast, as the IANA special-purpose registries have it, and Azure's platform.
const DENIED: [&str; 44] = [
    "0.0.0.0/8",
    "10.0.0.0/8",
    "100.64.0.0/10",
    "127.0.0.0/8",
    "168.63.129.16/32",
    "169.254.0.0/16",
    "172.16.0.0/12",
    "192.0.0.0/24",
    "192.0.2.0/24",
    "192.31.196.0/24",
    "192.52.193.0/24",
    "192.88.99.0/24",
    "192.168.0.0/16",
    "192.175.48.0/24",
    "198.18.0.0/15",
    "198.51.100.0/24",
    "203.0.113.0/24",
    "224.0.0.0/4",
    "240.0.0.0/4",
    "255.255.255.255/32",
    "::/3",
    "::/96",
    "::1/128",
    "::ffff:0:0/96",
    "::ffff:0:0:0/96",
    "64:ff9b::/96",
    "64:ff9b:1::/48",
    "100::/64",
    "100:0:0:1::/64",
    "2001::/23",
    "2001::/32",
    "2001:db8::/32",
    "2002::/16",
    "2620:4f:8000::/48",
    "3ffe::/16",
    "3fff::/20",
    "4000::/2",
    "5f00::/16",
    "8000::/2",
    "c000::/3",
    "fc00::/7",
    "fe80::/10",
    "fec0::/10",
    "ff00::/8",
];

const METADATA: [&str; 9] = [
    "169.254.169.254",
    "169.254.169.253",
    "169.254.170.2",
    "100.100.100.200",
    "192.0.0.192",
    "168.63.129.16",
    "fd00:ec2::254",
    "fd20:ce::254",
    "fe80::a9fe:a9fe",
];

/// A world with a client for each family.
struct Relays {
    world: World,
    v4: Client,
    v6: Client,
}

impl Relays {
    fn new() -> Self {
        Self::with(|_| {})
    }

    fn with(change: impl FnOnce(&mut Plan)) -> Self {
        let mut world = World::with(|plan| {
            plan.ports = TablePorts::new(&RELAYS, 50_000, 50_001);
            plan.peers.own = Own::new(RELAYS.map(ip).to_vec(), &[]);
            plan.peers.listeners =
                RELAYS.map(|relay| (Transport::Udp, SocketAddr::new(ip(relay), 3478))).to_vec();
            plan.peers.nat64 = vec!["2a00:64::/96".parse().unwrap()];
            change(plan);
        });
        let mut v4 = world.client("203.0.113.1:5000", "alice");
        v4.allocate(&mut world);
        let mut v6 = world.client("203.0.113.1:5001", "alice");
        let family = [2, 0, 0, 0];
        v6.try_allocate(&mut world, |request| request.attr(REQUESTED_ADDRESS_FAMILY, &family));
        assert_eq!(world.allocations(), 2);
        Self { world, v4, v6 }
    }

    fn try_peer(&mut self, peer: SocketAddr) -> [Option<u16>; 2] {
        let client = if peer.is_ipv4() { &mut self.v4 } else { &mut self.v6 };
        try_peer(&mut self.world, client, peer, 0)
    }

    fn reaches(&mut self, peer: &str) -> bool {
        self.try_peer(peer.parse().unwrap()) == [None, None]
    }

    /// Tries an address in every encoding and from both relays, which must all be refused.
    fn assert_unreachable(&mut self, ip: IpAddr) {
        for (client, is_v4) in [(&mut self.v4, true), (&mut self.v6, false)] {
            let code = if ip.is_ipv4() == is_v4 { 403 } else { 443 };
            for first_byte in [0, 0xFF] {
                let codes = try_peer(&mut self.world, client, SocketAddr::new(ip, 9000), first_byte);
                assert_eq!(codes, [Some(code); 2], "{ip}");
            }
        }
        let mut allocations = self.world.engine.allocations().iter();
        assert!(allocations.all(|(_, a)| a.permissions.is_empty() && a.channels.is_empty()), "{ip}");
    }
}

/// Tries a peer by ChannelBind, CreatePermission and Send; returns the answers to the first two.
fn try_peer(world: &mut World, client: &mut Client, peer: SocketAddr, first_byte: u8) -> [Option<u16>; 2] {
    let codes = [CHANNEL_BIND, CREATE_PERMISSION].map(|method| {
        let mut request = client.request(method);
        if method == CHANNEL_BIND {
            request = request.attr(CHANNEL_NUMBER, &[0x40, 0, 0, 0]);
        }
        let value = encoded(peer, first_byte, &request.0[8..20]);
        client.ask(world, request.attr(XOR_PEER_ADDRESS, &value)).code()
    });
    let send = client.indication(SEND).attr(DATA, b"x");
    let value = encoded(peer, first_byte, &send.0[8..20]);
    let action = world.deliver(client.path, &send.attr(XOR_PEER_ADDRESS, &value).0);
    let is_sent = matches!(action, Action::ToPeer(_));
    assert_eq!(is_sent, codes[0].is_none(), "what a channel can reach, an indication can");
    codes
}

/// XOR-PEER-ADDRESS whose first byte, which means nothing, is not zero.
fn encoded(peer: SocketAddr, first_byte: u8, transaction: &[u8]) -> Vec<u8> {
    let mut value = xor_address(peer, transaction);
    value[0] = first_byte;
    value
}

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

/// The first and the last address of a range, and one between.
fn samples(range: &str) -> [IpAddr; 3] {
    match range.parse().unwrap() {
        IpNet::V4(net) => {
            let (first, last) = (u32::from(net.network()), u32::from(net.broadcast()));
            [first, first + (last - first) / 3, last].map(|ip| Ipv4Addr::from(ip).into())
        }
        IpNet::V6(net) => {
            let (first, last) = (u128::from(net.network()), u128::from(net.broadcast()));
            [first, first + (last - first) / 3, last].map(|ip| Ipv6Addr::from(ip).into())
        }
    }
}

/// Every way to hide an IPv4 address in an IPv6 one; `2a00:64::/96` is the NAT64 prefix of this network.
fn disguises(ip: Ipv4Addr) -> Vec<IpAddr> {
    let [a, b, c, d] = ip.octets().map(u16::from);
    let (high, low) = (a << 8 | b, c << 8 | d);
    let forms = [
        [0, 0, 0, 0, 0, 0, high, low],
        [0, 0, 0, 0, 0, 0xFFFF, high, low],
        [0, 0, 0, 0, 0xFFFF, 0, high, low],
        [0x64, 0xFF9B, 0, 0, 0, 0, high, low],
        [0x64, 0xFF9B, 1, 0, 0, 0, high, low],
        [0x64, 0xFF9B, 1, high, c, d << 8, 0, 0],
        [0x2002, high, low, 0, 0, 0, 0, 0],
        [0x2002, high, low, 1, 0, 0, 0, 1],
        [0x2001, 0, high, low, 0, 0, 0, 0],
        [0x2001, 0, 0x4136, 0xE378, 0x8000, 0x63BF, !high, !low],
        [0xFE80, 0, 0, 0, 0, 0x5EFE, high, low],
        [0x2A00, 1, 2, 3, 0, 0x5EFE, high, low],
        [0x2A00, 1, 2, 3, 0x0200, 0x5EFE, high, low],
        [0x2A00, 0x64, 0, 0, 0, 0, high, low],
    ];
    forms.map(IpAddr::from).to_vec()
}

#[test]
fn no_special_address_is_ever_reached() {
    let mut relays = Relays::new();
    for address in DENIED.iter().flat_map(|range| samples(range)) {
        relays.assert_unreachable(address);
    }
}

#[test]
fn the_metadata_of_no_cloud_is_ever_reached() {
    let mut relays = Relays::new();
    for address in METADATA.map(ip) {
        relays.assert_unreachable(address);
        if let IpAddr::V4(address) = address {
            disguises(address).into_iter().for_each(|disguise| relays.assert_unreachable(disguise));
        }
    }
}

/// coturn's filter was bypassed five times by the next form that it did not know.
#[test]
fn an_ipv4_address_in_disguise_is_refused_whatever_it_hides() {
    let mut relays = Relays::new();
    for hidden in ["127.0.0.1", "10.0.0.1", "0.0.0.0", "255.255.255.255", "8.8.4.4", "1.1.1.1"] {
        for disguise in disguises(hidden.parse().unwrap()) {
            relays.assert_unreachable(disguise);
        }
    }
}

#[test]
fn the_internet_is_reached() {
    for peer in ["1.1.1.1:9000", "172.32.0.1:9000", "[2606:4700::1111]:9000", "[2a00:64:0:1::1]:9000"] {
        assert!(Relays::new().reaches(peer), "{peer}");
    }
}

#[test]
fn a_port_must_be_one_that_media_could_have() {
    for port in [0, 1, 19, 22, 25, 53, 80, 123, 442, 444, 1023, 1900, 3702, 5353, 5683, 11211] {
        for peer in [format!("1.1.1.1:{port}"), format!("[2606:4700::1111]:{port}")] {
            let answers = Relays::new().try_peer(peer.parse().unwrap());
            assert_eq!(answers, [Some(403), None], "{peer}: a channel has a port, a permission has none");
        }
    }
    for port in [443, 1024, 3478, 49_151, 65_535] {
        assert!(Relays::new().reaches(&format!("1.1.1.1:{port}")), "{port}");
    }
}

#[test]
fn our_other_addresses_are_not_reached() {
    let own = ["1.0.0.1", "2606:4700::1001"];
    let mut relays = Relays::with(|plan| {
        plan.peers.own.addresses.extend(own.map(ip));
        plan.peers.allow = ["0.0.0.0/0", "::/0"].map(|net| net.parse().unwrap()).to_vec();
    });
    own.map(ip).into_iter().for_each(|own| relays.assert_unreachable(own));
}

/// A permission for a relay's address must be had, because other clients are there; what else listens there is safe.
#[test]
fn our_listeners_are_not_reached() {
    for own in RELAYS.map(ip) {
        for port in [3478, 5349, 443, 9641, 50_002] {
            // A relay's address is ours even where the list of our addresses lacks it.
            for is_listed in [true, false] {
                let mut relays = Relays::with(|plan| plan.peers.own.addresses.retain(|_| is_listed));
                let answers = relays.try_peer(SocketAddr::new(own, port));
                assert_eq!(answers, [Some(403), None], "{own} {port}");
            }
        }
    }
}

#[test]
fn an_operator_can_open_private_networks() {
    let allow = |plan: &mut Plan| {
        let nets = ["10.0.0.0/8", "100.64.0.0/10", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7"];
        plan.peers.allow = nets.map(|net| net.parse().unwrap()).to_vec();
    };
    for peer in ["10.9.8.7", "100.64.0.1", "172.31.255.255", "192.168.1.1", "[fd12::1]"] {
        assert!(Relays::with(allow).reaches(&format!("{peer}:9000")), "{peer}");
    }
    let mut relays = Relays::with(allow);
    assert!(!relays.reaches("192.0.2.7:9000"), "what was not named stays closed");
    assert!(!relays.reaches("10.9.8.7:53"), "and so do the ports");
}

#[test]
fn an_operator_cannot_open_what_is_never_a_peer() {
    let mut relays = Relays::with(|plan| {
        plan.peers.allow = ["0.0.0.0/0", "::/0"].map(|net| net.parse().unwrap()).to_vec();
    });
    let never = [
        "0.0.0.0/8",
        "127.0.0.0/8",
        "169.254.0.0/16",
        "224.0.0.0/4",
        "255.255.255.255/32",
        "fe80::/10",
        "ff00::/8",
    ];
    let hidden = ["10.0.0.1", "127.0.0.1", "1.1.1.1"].map(|hidden| disguises(hidden.parse().unwrap()));
    for address in never.into_iter().flat_map(samples).chain(hidden.into_iter().flatten()) {
        relays.assert_unreachable(address);
    }
}

#[test]
fn a_closed_range_is_stronger_than_an_open_one_and_than_the_internet() {
    let mut relays = Relays::with(|plan| {
        plan.peers.allow = vec!["10.0.0.0/8".parse().unwrap()];
        plan.peers.deny =
            ["10.9.0.0/16", "1.1.1.0/24", "2606::/16", "8.8.4.4/32"].map(|net| net.parse().unwrap()).to_vec();
    });
    for closed in ["10.9.0.1", "1.1.1.1", "2606:4700::1111", "8.8.4.4"] {
        relays.assert_unreachable(ip(closed));
    }
    assert!(relays.reaches("10.8.0.1:9000"));
}

#[test]
fn loopback_can_be_opened_for_tests_and_our_listeners_stay_closed() {
    let open = |plan: &mut Plan| {
        plan.peers.loopback = true;
        plan.peers.own.addresses.extend(["127.0.0.1", "::1"].map(ip));
        for (transport, listener) in [(Transport::Udp, "0.0.0.0:3478"), (Transport::Tcp, "0.0.0.0:5349")] {
            plan.peers.listeners.push((transport, listener.parse().unwrap()));
        }
    };
    for peer in ["127.0.0.1:9000", "127.1.2.3:9000", "[::1]:9000"] {
        assert!(Relays::with(open).reaches(peer), "{peer}");
        assert!(!Relays::new().reaches(peer), "{peer}");
    }
    assert!(!Relays::with(open).reaches("127.0.0.1:3478"));
    assert!(Relays::with(open).reaches("127.0.0.1:5349"), "a UDP port is not the TCP port of that number");
    let mut relays = Relays::with(open);
    disguises(Ipv4Addr::LOCALHOST)
        .into_iter()
        .take(13)
        .for_each(|disguise| relays.assert_unreachable(disguise));
}

/// The same rule, written a second time by other means: see the oracle's own description.
#[test]
fn an_independent_oracle_agrees_on_a_million_addresses() {
    let policy = PeerPolicy::default();
    let permits = |address: &str| policy.judge_ip(ip(address), Transport::Udp, false).is_ok();
    let counts = compare(&["--random", "1000000", "--seed", "1"], permits);
    assert_eq!(counts.iter().sum::<u32>(), 1_000_000);
    assert!(counts.iter().all(|count| *count > 100_000), "{counts:?}");
}

/// A machine with public and private addresses, and what its operator opened and closed.
const MACHINE: [(&str, &[&str]); 5] = [
    ("--own", &["8.8.4.4", "2001:4860::1", "10.0.0.5", "169.254.0.7", "198.41.0.4"]),
    ("--on-link", &["8.8.4.0/24", "2001:4860::/64", "10.0.0.0/16", "198.41.0.4/32"]),
    ("--allow", &["8.8.4.128/25", "10.0.0.0/8", "2001:4860::8000:0/97", "fd00::/8"]),
    ("--deny", &["10.9.0.0/16", "8.8.4.192/26", "198.41.0.0/24"]),
    ("--allow-own", &["10000/udp", "20000-20100/udp", "4443/tcp"]),
];

#[test]
fn the_oracle_agrees_on_a_machine_with_addresses_and_networks() {
    let of = |key: &str| MACHINE.iter().find(|(name, _)| *name == key).unwrap().1;
    let nets = |key| of(key).iter().map(|net| net.parse().unwrap()).collect::<Vec<IpNet>>();
    let ports = |ports, transport| OwnPorts { ports, transport };
    let policy = PeerPolicy {
        own: Own { addresses: of("--own").iter().map(|own| ip(own)).collect(), on_link: nets("--on-link") },
        allow: nets("--allow"),
        deny: nets("--deny"),
        allow_own: vec![
            ports(10_000..=10_000, Transport::Udp),
            ports(20_000..=20_100, Transport::Udp),
            ports(4443..=4443, Transport::Tcp),
        ],
        ..PeerPolicy::default()
    };
    let machine =
        MACHINE.iter().flat_map(|(key, values)| values.iter().flat_map(move |value| [*key, *value]));
    let machine: Vec<&str> = ["--random", "100000", "--seed", "2"].into_iter().chain(machine).collect();

    let addresses = compare(&machine, |address| policy.judge_ip(ip(address), Transport::Udp, false).is_ok());
    let peers = compare(&[&machine[..], &["--peers"]].concat(), |peer| {
        let (address, port) = peer.split_once(' ').unwrap();
        let (port, protocol) = port.split_once('/').unwrap();
        let transport = if protocol == "udp" { Transport::Udp } else { Transport::Tcp };
        let peer = SocketAddr::new(ip(address), port.parse().unwrap());
        policy.judge(peer, transport, false, false).is_ok()
    });

    for counts in [addresses, peers] {
        assert_eq!(counts.iter().sum::<u32>(), 100_000);
        assert!(counts.iter().all(|count| *count > 10_000), "{counts:?}");
    }
}

/// Asks the oracle, which must agree with `permits`; returns how often it denies and allows.
fn compare(words: &[&str], permits: impl Fn(&str) -> bool) -> [u32; 2] {
    let oracle = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/interop/peer_policy_oracle.py");
    let output = Command::new("python3").arg(oracle).args(words).output().unwrap();
    let verdicts = String::from_utf8(output.stdout).unwrap();
    let mut counts = [0, 0];
    for (peer, verdict) in verdicts.lines().map(|line| line.rsplit_once(' ').unwrap()) {
        let permitted = permits(peer);
        assert_eq!(if permitted { "allow" } else { "deny" }, verdict, "{peer}");
        counts[usize::from(permitted)] += 1;
    }
    counts
}
