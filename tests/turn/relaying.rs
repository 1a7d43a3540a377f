//! Data on its way through us: Send and Data indications, ChannelData, and ICMP errors (RFC 8656 §11, §12).

use std::net::SocketAddr;
use std::time::Duration;

use hairpin::bounds::rate::Rate;
use hairpin::metrics::Direction;
use hairpin::outcome::Ignored;
use hairpin::relay::address::PeerAddr;
use hairpin::relay::engine::Encapsulation;
use hairpin::relay::wire::{self, Icmp};

use crate::support::client::Client;
use crate::support::stun::{
    CHANNEL_NUMBER, Class, DATA, DONT_FRAGMENT, ICMP, Message, SEND, XOR_PEER_ADDRESS, channel_data,
};
use crate::support::world::World;

const PEER: &str = "1.1.1.1:9000";
const V6_PEER: &str = "[2606:4700::1111]:9000";
/// The most that a UDP datagram over IPv4 can carry behind a ChannelData header.
const LARGEST: usize = 65_503;

/// A client with a permission for one peer and channel 0x4000 to it.
fn with_channel() -> (World, Client, SocketAddr) {
    let (mut world, mut client, relayed) = World::with_allocation(|_| {});
    assert_eq!(client.bind(&mut world, 0x4000, PEER), None);
    (world, client, relayed)
}

/// A channel of a client that knows RFC 8656.
fn with_dual_channel() -> (World, SocketAddr) {
    let mut world = World::new();
    let mut client = world.client("203.0.113.1:5000", "alice");
    let (relayed, _) = client.allocate_dual(&mut world);
    assert_eq!(client.bind(&mut world, 0x4000, PEER), None);
    (world, relayed)
}

/// What becomes of an ICMP error, as the client reads it.
fn icmp(world: &mut World, relayed: SocketAddr, peer: &str, icmp: Icmp) -> Option<Message> {
    let relay = world.ports.id_of(relayed);
    let peer = PeerAddr(peer.parse().unwrap());
    let (_, bytes) = world.engine.on_icmp(relay, peer, icmp, world.now.moment)?;
    Some(Message::read(&bytes))
}

/// The Data indication around `payload`, as the client reads it.
fn data_indication(peer: &str, payload: &[u8]) -> Message {
    let peer = PeerAddr(peer.parse().unwrap());
    let header = wire::data_indication_header(peer, payload.len(), [7; 12]).unwrap();
    Message::read(&[header.as_bytes(), payload, &vec![0; wire::padding(payload.len())]].concat())
}

#[test]
fn a_send_indication_reaches_its_peer_from_the_relayed_address() {
    let (mut world, mut client, relayed) = World::with_allocation(|_| {});
    client.permit(&mut world, &[PEER]);
    let (to_peer, payload) = world.relayed(client.path, &client.send("1.1.1.1:1234", b"media"));
    assert_eq!((to_peer.peer.0.to_string().as_str(), &payload[..]), ("1.1.1.1:1234", &b"media"[..]));
    assert_eq!(to_peer.relay, world.ports.id_of(relayed));
    assert!(!to_peer.dont_fragment && !to_peer.own);
}

#[test]
fn channel_data_reaches_its_peer_from_the_relayed_address() {
    let (mut world, client, relayed) = with_channel();
    let (to_peer, payload) = world.relayed(client.path, &channel_data(0x4000, b"media"));
    assert_eq!((to_peer.peer.0.to_string().as_str(), &payload[..]), (PEER, &b"media"[..]));
    assert_eq!(to_peer.relay, world.ports.id_of(relayed));
    assert!(!to_peer.dont_fragment && !to_peer.own);
}

#[test]
fn a_peer_s_packet_comes_on_its_channel_and_any_other_as_an_indication() {
    let (mut world, client, relayed) = with_channel();
    let way = world.peer_sends(relayed, PEER, 10).unwrap();
    assert!(way.path == client.path && matches!(way.encapsulation, Encapsulation::Channel(_)));
    assert!(world.arrives_on_channel(relayed, PEER, 0x4000));
    assert!(world.arrives_as_indication(relayed, "1.1.1.1:9001"));
    assert_eq!(world.peer_sends(relayed, "1.1.1.2:9000", 10), Err(Ignored::NoPermission));
}

#[test]
fn a_data_indication_has_the_peer_and_the_data() {
    for peer in [PEER, V6_PEER] {
        for length in [0, 1, 2, 3, 4, 5, 1200, 65_400] {
            let payload: Vec<u8> = (0..length).map(|n| n as u8 | 1).collect();
            let message = data_indication(peer, &payload);
            assert_eq!((message.class, message.method), (Class::Indication, 7));
            assert_eq!(message.kinds(), [XOR_PEER_ADDRESS, DATA]);
            assert_eq!(message.address(XOR_PEER_ADDRESS), peer.parse().unwrap());
            assert_eq!(message.get(DATA), Some(&payload[..]), "{length}");
        }
    }
}

#[test]
fn no_two_indications_have_the_same_transaction() {
    let (mut world, _, relayed) = with_channel();
    let mut transaction = || match world.peer_sends(relayed, "1.1.1.1:1", 10).unwrap().encapsulation {
        Encapsulation::Indication(transaction) => transaction,
        Encapsulation::Channel(number) => panic!("on channel {number}"),
    };
    assert_ne!(transaction(), transaction());
}

/// RFC 8656 §12.6: an empty packet keeps a hole in a NAT open, so it counts like any other.
#[test]
fn an_empty_packet_is_relayed_in_every_form() {
    let (mut world, mut client, relayed) = with_channel();
    assert_eq!(world.relayed(client.path, &channel_data(0x4000, b"")).1, b"");
    assert_eq!(world.relayed(client.path, &client.send(PEER, b"")).1, b"");
    assert!(world.peer_sends(relayed, PEER, 0).is_ok() && world.peer_sends(relayed, "1.1.1.1:1", 0).is_ok());
}

/// The crate cut a datagram at 1500 bytes and relayed the rest as if it were whole.
#[test]
fn the_largest_packet_is_relayed_whole() {
    let (mut world, mut client, relayed) = with_channel();
    let payload: Vec<u8> = (0..LARGEST).map(|n| n as u8).collect();
    assert_eq!(world.relayed(client.path, &channel_data(0x4000, &payload)).1, payload);
    let most = LARGEST - 36;
    assert_eq!(world.relayed(client.path, &client.send(PEER, &payload[..most])).1, payload[..most]);
    assert!(world.peer_sends(relayed, PEER, LARGEST).is_ok());
}

/// RFC 8656 §12.5: over UDP the padding is optional, and some clients send it.
#[test]
fn bytes_behind_the_length_of_channel_data_are_not_relayed() {
    let (mut world, client, _) = with_channel();
    let datagram = [channel_data(0x4000, b"media"), vec![0xEE; 3]].concat();
    assert_eq!(world.relayed(client.path, &datagram).1, b"media");
    let datagram = [channel_data(0x4000, b""), vec![0xEE; 1000]].concat();
    assert_eq!(world.relayed(client.path, &datagram).1, b"");
}

#[test]
fn channel_data_that_is_shorter_than_its_length_is_dropped() {
    let (mut world, client, _) = with_channel();
    let whole = channel_data(0x4000, b"media");
    for end in 4..whole.len() {
        assert_eq!(world.drop_of(client.path, &whole[..end]), Ignored::Malformed, "{end}");
    }
    assert_eq!(world.drop_of(client.path, &[0x40, 0, 0xFF, 0xFF, 1]), Ignored::Malformed);
}

#[test]
fn channel_data_needs_a_channel_of_this_client() {
    let (mut world, client, _) = with_channel();
    assert_eq!(world.drop_of(client.path, &channel_data(0x4001, b"x")), Ignored::NoChannel);
    let stranger = world.client("203.0.113.1:5001", "alice");
    assert_eq!(world.drop_of(stranger.path, &channel_data(0x4000, b"x")), Ignored::NoChannel);
    let mut elsewhere = client.path;
    elsewhere.server = "192.0.2.9:3478".parse().unwrap();
    assert_eq!(world.drop_of(elsewhere, &channel_data(0x4000, b"x")), Ignored::NoChannel);
}

#[test]
fn a_send_indication_needs_a_permission_that_lasts() {
    let (mut world, mut client, _) = World::with_allocation(|_| {});
    assert_eq!(world.drop_of(client.path, &client.send(PEER, b"x")), Ignored::NoPermission);
    client.permit(&mut world, &[PEER]);
    assert_eq!(world.drop_of(client.path, &client.send("1.1.1.2:9000", b"x")), Ignored::NoPermission);
    assert_eq!(world.drop_of(client.path, &client.send(V6_PEER, b"x")), Ignored::NoPermission);
    world.pass(300);
    assert_eq!(world.drop_of(client.path, &client.send(PEER, b"x")), Ignored::NoPermission);
}

#[test]
fn a_send_indication_needs_an_allocation_on_this_path() {
    let (mut world, mut client, _) = with_channel();
    let mut stranger = world.client("203.0.113.1:5001", "alice");
    assert_eq!(world.drop_of(stranger.path, &stranger.send(PEER, b"x")), Ignored::NoAllocation);
    client.refresh(&mut world, Some(0));
    assert_eq!(world.drop_of(client.path, &client.send(PEER, b"x")), Ignored::NoAllocation);
}

/// Permissions know no port: so the port is judged when data goes out.
#[test]
fn a_port_that_is_never_media_is_not_sent_to() {
    let (mut world, mut client, _) = World::with_allocation(|_| {});
    client.permit(&mut world, &[PEER]);
    for port in [0, 19, 53, 123, 1023, 1900, 5353, 11211] {
        let send = client.send(&format!("1.1.1.1:{port}"), b"x");
        assert_eq!(world.drop_of(client.path, &send), Ignored::PeerDenied, "{port}");
    }
    world.relayed(client.path, &client.send("1.1.1.1:443", b"x"));
}

#[test]
fn an_incomplete_or_contradictory_send_indication_is_dropped() {
    let (mut world, mut client, _) = World::with_allocation(|_| {});
    client.permit(&mut world, &[PEER]);
    let mut send = || client.indication(SEND);
    let wrong = [
        send(),
        send().peer(PEER),
        send().attr(DATA, b"x"),
        send().attr(XOR_PEER_ADDRESS, &[0, 1, 0x5A, 0x5A, 1]).attr(DATA, b"x"),
        send().peer(PEER).attr(DATA, b"x").attr(DATA, b"y"),
        send().peer(PEER).attr(DATA, b"x").attr(0x7FFF, b""),
    ];
    for (index, datagram) in wrong.iter().enumerate() {
        assert_eq!(world.drop_of(client.path, &datagram.0), Ignored::BadSend, "{index}");
    }
    let fine = client.indication(SEND).attr(DATA, b"x").attr(0xFFFF, b"").peer(PEER).peer("1.1.1.2:9000");
    let (to_peer, _) = world.relayed(client.path, &fine.attr(CHANNEL_NUMBER, b"").0);
    assert_eq!(to_peer.peer.0.to_string(), PEER, "of several peers the first counts");
}

/// RFC 8656 §13: between the families, and from IPv6 to IPv6, DONT-FRAGMENT is ignored.
#[test]
fn the_dont_fragment_bit_exists_between_ipv4_and_ipv4() {
    for (address, peer, expected) in [
        ("203.0.113.1:5000", PEER, true),
        ("203.0.113.1:5000", V6_PEER, false),
        ("[2a00::1]:5000", PEER, false),
        ("[2a00::1]:5000", V6_PEER, false),
    ] {
        let mut world = World::new();
        let mut client = world.client(address, "alice");
        client.allocate_dual(&mut world);
        assert_eq!(client.bind(&mut world, 0x4000, peer), None);
        let send = client.indication(SEND).peer(peer).attr(DONT_FRAGMENT, b"").attr(DATA, b"x");
        assert_eq!(world.relayed(client.path, &send.0).0.dont_fragment, expected, "{address} {peer}");
        let plain = client.send(peer, b"x");
        assert!(!world.relayed(client.path, &plain).0.dont_fragment);
        assert!(!world.relayed(client.path, &channel_data(0x4000, b"x")).0.dont_fragment);
    }
}

#[test]
fn a_dual_allocation_sends_from_the_peer_s_family() {
    let mut world = World::new();
    let mut client = world.client("203.0.113.1:5000", "alice");
    let (v4, v6) = client.allocate_dual(&mut world);
    client.bind(&mut world, 0x4000, PEER);
    client.bind(&mut world, 0x4001, V6_PEER);
    for (relayed, peer, channel) in [(v4, PEER, 0x4000), (v6, V6_PEER, 0x4001)] {
        let relay = world.ports.id_of(relayed);
        assert_eq!(world.relayed(client.path, &client.send(peer, b"x")).0.relay, relay);
        assert_eq!(world.relayed(client.path, &channel_data(channel, b"x")).0.relay, relay);
        assert!(world.arrives_on_channel(relayed, peer, channel));
    }
}

/// coturn's deny lists once locked out the server's own address, and with it every call of two relayed clients.
#[test]
fn two_clients_of_one_server_meet() {
    let (mut world, mut alice, relayed_alice) = World::with_allocation(|_| {});
    let mut bob = world.client("203.0.113.2:5000", "bob");
    let relayed_bob = bob.allocate(&mut world);
    let [for_alice, for_bob] = [relayed_alice, relayed_bob].map(|address| address.to_string());

    assert_eq!(alice.permit(&mut world, &[&for_bob]), None);
    assert_eq!(bob.bind(&mut world, 0x4000, &for_alice), None);

    let (to_peer, _) = world.relayed(alice.path, &alice.send(&for_bob, b"hello"));
    assert!(to_peer.own && to_peer.peer.0 == relayed_bob);
    assert!(world.arrives_on_channel(relayed_bob, &for_alice, 0x4000));
    let (to_peer, _) = world.relayed(bob.path, &channel_data(0x4000, b"hello"));
    assert!(to_peer.own && to_peer.peer.0 == relayed_alice);
    assert!(world.arrives_as_indication(relayed_alice, &for_bob));
}

#[test]
fn our_own_address_is_a_peer_only_where_a_relay_listens() {
    let (mut world, mut client, relayed) = World::with_allocation(|_| {});
    assert_eq!(client.permit(&mut world, &["192.0.2.1:1"]), None);
    let free = if relayed.port() == 50_999 { 50_998 } else { 50_999 };
    for port in [443, 3478, 5349, 9641, 49_999, free, 51_000] {
        let peer = format!("192.0.2.1:{port}");
        assert_eq!(client.bind(&mut world, 0x4000, &peer), Some(403), "{port}");
        assert_eq!(world.drop_of(client.path, &client.send(&peer, b"x")), Ignored::PeerDenied, "{port}");
    }
}

#[test]
fn a_channel_to_another_client_is_dead_when_that_client_has_left() {
    let (mut world, mut alice, _) = World::with_allocation(|_| {});
    let mut bob = world.client("203.0.113.2:5000", "bob");
    let for_bob = bob.allocate(&mut world).to_string();
    alice.bind(&mut world, 0x4000, &for_bob);
    assert!(world.relayed(alice.path, &channel_data(0x4000, b"x")).0.own);
    bob.refresh(&mut world, Some(0));
    assert_eq!(world.drop_of(alice.path, &channel_data(0x4000, b"x")), Ignored::PeerDenied);
    assert_eq!(world.drop_of(alice.path, &alice.send(&for_bob, b"x")), Ignored::PeerDenied);
}

#[test]
fn each_direction_has_a_packet_rate_of_its_own() {
    let (mut world, mut client, relayed) =
        World::with_allocation(|plan| plan.limits.packets = Rate::per_second(10));
    client.bind(&mut world, 0x4000, PEER);
    for n in 0..5 {
        world.relayed(client.path, &channel_data(0x4000, &[n]));
        world.relayed(client.path, &client.send(PEER, &[n]));
    }
    assert_eq!(world.drop_of(client.path, &channel_data(0x4000, b"x")), Ignored::OverRate);
    assert_eq!(world.drop_of(client.path, &client.send(PEER, b"x")), Ignored::OverRate);
    assert!((0..10).all(|_| world.peer_sends(relayed, PEER, 1).is_ok()));
    assert_eq!(world.peer_sends(relayed, PEER, 1), Err(Ignored::OverRate));
    world.pass(1);
    world.relayed(client.path, &channel_data(0x4000, b"x"));
    assert!(world.peer_sends(relayed, PEER, 1).is_ok());
}

#[test]
fn each_direction_has_a_byte_rate_of_its_own() {
    let (mut world, mut client, relayed) =
        World::with_allocation(|plan| plan.limits.bytes = Rate::per_second(10_000));
    client.bind(&mut world, 0x4000, PEER);
    world.relayed(client.path, &channel_data(0x4000, &[0; 9_000]));
    assert_eq!(world.drop_of(client.path, &channel_data(0x4000, &[0; 1_001])), Ignored::OverRate);
    world.relayed(client.path, &channel_data(0x4000, &[0; 1_000]));
    assert!(world.peer_sends(relayed, PEER, 10_000).is_ok());
    assert_eq!(world.peer_sends(relayed, PEER, 1), Err(Ignored::OverRate));
    world.pass(1);
    world.relayed(client.path, &channel_data(0x4000, &[0; 10_000]));
}

/// The packets of a peer without a permission must not use up the rate of those that have one.
#[test]
fn strangers_cannot_spend_a_client_s_rate() {
    let (mut world, mut client, relayed) =
        World::with_allocation(|plan| plan.limits.packets = Rate::per_second(10));
    client.permit(&mut world, &[PEER]);
    for _ in 0..1000 {
        assert_eq!(world.peer_sends(relayed, "8.8.8.8:9000", 1000), Err(Ignored::NoPermission));
    }
    assert!((0..10).all(|_| world.peer_sends(relayed, PEER, 1).is_ok()));
}

#[test]
fn both_directions_are_counted() {
    let (mut world, client, relayed) = with_channel();
    for _ in 0..3 {
        world.relayed(client.path, &channel_data(0x4000, b"x"));
    }
    assert!(world.arrives_on_channel(relayed, PEER, 0x4000));
    world.drop_of(client.path, &channel_data(0x4001, b"x"));
    let packets = [Direction::Up, Direction::Down].map(|direction| world.counters.packets(direction));
    assert_eq!((packets, world.counters.drops(Ignored::NoChannel)), ([3, 1], 1));
}

/// A Data indication without DATA ends the read loop of pion's client and of the `turn` crate's.
#[test]
fn a_client_that_has_not_shown_that_it_knows_rfc_8656_hears_of_no_icmp_error() {
    let (mut world, _, relayed) = with_channel();
    assert_eq!(icmp(&mut world, relayed, PEER, Icmp { kind: 3, code: 3, data: 0 }), None);
    assert!(world.arrives_on_channel(relayed, PEER, 0x4000), "and goes on hearing its peer");
}

#[test]
fn an_icmp_error_reaches_the_client_as_an_indication_without_data() {
    let (mut world, relayed) = with_dual_channel();
    let port_unreachable = Icmp { kind: 3, code: 3, data: 0 };
    for peer in [PEER, "1.1.1.1:0"] {
        let message = icmp(&mut world, relayed, peer, port_unreachable).unwrap();
        assert_eq!((message.class, message.method), (Class::Indication, 7));
        assert_eq!(message.kinds(), [XOR_PEER_ADDRESS, ICMP], "even where a channel is bound");
        assert_eq!(message.address(XOR_PEER_ADDRESS), peer.parse().unwrap());
        // 7 bits of type, 9 bits of code (RFC 8656 §18.13).
        assert_eq!(message.get(ICMP), Some(&[0, 0, 0x06, 0x03, 0, 0, 0, 0][..]));
    }
}

#[test]
fn only_errors_that_help_a_client_are_passed_on() {
    let mut world = World::new();
    let mut client = world.client("203.0.113.1:5000", "alice");
    let (v4, v6) = client.allocate_dual(&mut world);
    client.permit(&mut world, &[PEER, V6_PEER]);
    for (relayed, peer, meant) in [(v4, PEER, vec![3, 11]), (v6, V6_PEER, vec![1, 2, 3])] {
        let passed =
            |kind: &u8| icmp(&mut world, relayed, peer, Icmp { kind: *kind, code: 0, data: 0 }).is_some();
        assert_eq!((0..=255).filter(passed).collect::<Vec<u8>>(), meant, "{peer}");
    }
}

/// RFC 8656 §18.13: the next hop's MTU, and zero in every other error.
#[test]
fn only_a_packet_that_was_too_big_has_error_data() {
    let mut world = World::new();
    let mut client = world.client("203.0.113.1:5000", "alice");
    let (v4, v6) = client.allocate_dual(&mut world);
    client.permit(&mut world, &[PEER, V6_PEER]);
    for (relayed, peer, kind, code, expected) in [
        (v4, PEER, 3, 4, [0, 0, 0x06, 0x04, 0, 0, 5, 0]),
        (v6, V6_PEER, 2, 0, [0, 0, 0x04, 0, 0, 0, 5, 0]),
        (v4, PEER, 3, 3, [0, 0, 0x06, 0x03, 0, 0, 0, 0]),
        (v4, PEER, 11, 4, [0, 0, 0x16, 0x04, 0, 0, 0, 0]),
        (v6, V6_PEER, 1, 4, [0, 0, 0x02, 0x04, 0, 0, 0, 0]),
        (v6, V6_PEER, 3, 4, [0, 0, 0x06, 0x04, 0, 0, 0, 0]),
    ] {
        let message = icmp(&mut world, relayed, peer, Icmp { kind, code, data: 1280 }).unwrap();
        assert_eq!(message.get(ICMP), Some(&expected[..]), "{peer} {kind} {code}");
    }
}

#[test]
fn an_icmp_error_about_a_peer_without_a_permission_is_dropped() {
    let (mut world, relayed) = with_dual_channel();
    let unreachable = Icmp { kind: 3, code: 1, data: 0 };
    assert_eq!(icmp(&mut world, relayed, "1.1.1.2:9000", unreachable), None);
    assert!(icmp(&mut world, relayed, PEER, unreachable).is_some());
    world.now = world.now + Duration::from_secs(600);
    assert_eq!(icmp(&mut world, relayed, PEER, unreachable), None);
}

#[test]
fn icmp_errors_count_on_the_packet_rate() {
    let mut world = World::with(|plan| plan.limits.packets = Rate::per_second(2));
    let mut client = world.client("203.0.113.1:5000", "alice");
    let (relayed, _) = client.allocate_dual(&mut world);
    client.permit(&mut world, &[PEER]);
    let mut passes = || icmp(&mut world, relayed, PEER, Icmp { kind: 3, code: 3, data: 0 }).is_some();
    assert_eq!([passes(), passes(), passes()], [true, true, false]);
}
