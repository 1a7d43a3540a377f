//! What a client cannot reach is this machine and its networks as they are now, not as they were; but opened ports of it.

use std::net::{IpAddr, SocketAddr};

use hairpin::network::address::Transport;
use hairpin::network::own::Own;
use hairpin::outcome::Ignored;
use hairpin::peers::OwnPorts;
use hairpin::relay::address::{ConnectionId, PeerAddr};
use hairpin::relay::engine::Action;

use crate::connecting::{allocated, connect};
use crate::support::stun::channel_data;
use crate::support::world::{LISTENER, Plan, World};

const RELAY: &str = "192.0.2.1";
/// Somebody else's, until it is ours.
const PEER: &str = "1.1.1.1:10000";
const NEIGHBOUR: &str = "1.1.1.2:10000";
const CHANNEL: u16 = 0x4000;

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

/// A listener of ours.
fn udp(address: &str) -> (Transport, SocketAddr) {
    (Transport::Udp, address.parse().unwrap())
}

/// A machine with these addresses besides its relay's, in these networks.
fn machine(addresses: &[&str], on_link: &[&str]) -> Own {
    let networks: Vec<_> = on_link.iter().map(|net| net.parse().unwrap()).collect();
    Own::new(addresses.iter().map(|address| ip(address)).collect(), &networks).with(&[ip(RELAY)])
}

/// The machine becomes another; returns the TCP connections that are to be closed.
fn becomes(world: &mut World, addresses: &[&str], on_link: &[&str]) -> Vec<ConnectionId> {
    world.engine.set_own(machine(addresses, on_link), &world.ports)
}

fn open(transport: Transport, ports: std::ops::RangeInclusive<u16>) -> impl FnOnce(&mut Plan) {
    move |plan: &mut Plan| plan.peers.allow_own.push(OwnPorts { ports, transport })
}

#[test]
fn what_was_permitted_dies_when_the_address_becomes_our_own() {
    let (mut world, mut client, relayed) = World::with_allocation(|_| {});
    for (channel, peer) in [(CHANNEL, PEER), (CHANNEL + 1, NEIGHBOUR)] {
        assert_eq!(client.bind(&mut world, channel, peer), None);
    }

    becomes(&mut world, &["1.1.1.1"], &[]);

    assert_eq!(world.drop_of(client.path, &channel_data(CHANNEL, b"x")), Ignored::NoChannel);
    let send = client.send(PEER, b"x");
    assert_eq!(world.drop_of(client.path, &send), Ignored::NoPermission);
    assert_eq!(world.peer_sends(relayed, PEER, 10).unwrap_err(), Ignored::NoPermission);
    assert_eq!(client.permit(&mut world, &[PEER]), Some(403));
    assert_eq!(client.bind(&mut world, CHANNEL, PEER), Some(403));
    // and what has nothing to do with it goes on
    world.relayed(client.path, &channel_data(CHANNEL + 1, b"x"));
    assert!(world.arrives_on_channel(relayed, NEIGHBOUR, CHANNEL + 1));
    assert_eq!(world.engine.routes().len(), (1, 1));
}

#[test]
fn a_channel_to_an_address_that_becomes_a_relay_address_reaches_no_service_of_this_machine() {
    let (mut world, mut client, _) = World::with_allocation(|_| {});
    assert_eq!(client.bind(&mut world, CHANNEL, PEER), None);

    world.ports.ips.push(ip("1.1.1.1"));
    becomes(&mut world, &["1.1.1.1"], &[]);

    assert_eq!(world.drop_of(client.path, &channel_data(CHANNEL, b"x")), Ignored::PeerDenied);
}

#[test]
fn an_address_that_is_gone_is_a_peer_as_any_other() {
    let (mut world, mut client, _) = World::with_allocation(|_| {});
    becomes(&mut world, &["1.1.1.1"], &["1.1.1.1/24"]);
    assert_eq!(client.permit(&mut world, &[PEER]), Some(403));

    becomes(&mut world, &[], &[]);

    assert_eq!(client.bind(&mut world, CHANNEL, PEER), None);
    world.relayed(client.path, &channel_data(CHANNEL, b"x"));
}

#[test]
fn a_network_that_becomes_ours_closes_its_hosts_unless_the_operator_opened_it() {
    for opened in [false, true] {
        let (mut world, mut client, relayed) = World::with_allocation(|plan| {
            plan.peers.allow = vec!["1.1.1.0/24".parse().unwrap(); usize::from(opened)];
        });
        assert_eq!(client.bind(&mut world, CHANNEL, NEIGHBOUR), None);

        becomes(&mut world, &["1.1.1.9"], &["1.1.1.9/24"]);

        let refusal = (!opened).then_some(403);
        assert_eq!(world.arrives_on_channel(relayed, NEIGHBOUR, CHANNEL), opened);
        assert_eq!(client.bind(&mut world, CHANNEL, NEIGHBOUR), refusal);
        assert_eq!(client.permit(&mut world, &["1.1.1.9:10000"]), Some(403), "our own address in it");
        assert_eq!(client.permit(&mut world, &["1.1.2.1:10000"]), None, "the next network");
    }
}

#[test]
fn two_clients_go_on_relay_to_relay_whatever_the_machine_becomes() {
    let (mut world, mut alice, relayed_alice) = World::with_allocation(|_| {});
    let mut bob = world.client("203.0.113.2:5000", "bob");
    let relayed_bob = bob.allocate(&mut world);
    assert_eq!(alice.bind(&mut world, CHANNEL, &relayed_bob.to_string()), None);
    assert_eq!(bob.permit(&mut world, &[&relayed_alice.to_string()]), None);

    becomes(&mut world, &["1.1.1.1"], &["192.0.2.1/24"]);

    let (to_bob, _) = world.relayed(alice.path, &channel_data(CHANNEL, b"x"));
    assert!(to_bob.own && to_bob.peer.0 == relayed_bob);
    assert!(world.arrives_as_indication(relayed_bob, &relayed_alice.to_string()));
}

#[test]
fn opened_ports_of_the_machine_are_reached_and_no_others() {
    let (mut world, mut client, relayed) = World::with_allocation(|plan| {
        open(Transport::Udp, 10_000..=10_001)(plan);
        open(Transport::Udp, 3000..=4000)(plan);
        plan.peers.own = machine(&["10.0.0.5", "1.1.1.1", "127.0.0.1", "169.254.0.7"], &["10.0.0.5/8"]);
        plan.peers.listeners = ["0.0.0.0:3500", LISTENER].map(udp).to_vec();
    });
    for (own, channel) in [RELAY, "10.0.0.5", "1.1.1.1"].into_iter().zip(CHANNEL..) {
        assert_eq!(
            client.permit(&mut world, &[&format!("{own}:0")]),
            None,
            "{own}: which port is seen later"
        );
        for open in [10_000, 10_001, 3000, 4000] {
            let peer = format!("{own}:{open}");
            let send = client.send(&peer, b"x");
            assert_eq!(world.relayed(client.path, &send).0.own, own == RELAY, "{peer}");
            assert!(world.arrives_as_indication(relayed, &peer), "{peer}");
        }
        for closed in [9999, 10_002, 3500, 443, 22, 50_999] {
            let peer = format!("{own}:{closed}");
            let send = client.send(&peer, b"x");
            assert_eq!(world.drop_of(client.path, &send), Ignored::PeerDenied, "{peer}");
            assert_eq!(client.bind(&mut world, channel, &peer), Some(403), "{peer}");
        }
        assert_eq!(client.bind(&mut world, channel, &format!("{own}:10000")), None, "{own}");
        world.relayed(client.path, &channel_data(channel, b"x"));
    }
    assert_eq!(client.bind(&mut world, CHANNEL + 3, LISTENER), Some(403));
    for never in ["127.0.0.1:10000", "127.0.0.2:10000", "169.254.0.7:10000", "10.0.0.6:10000"] {
        assert_eq!(client.permit(&mut world, &[never]), Some(403), "{never}");
    }
}

#[test]
fn a_closed_range_is_stronger_than_an_opened_port() {
    let (mut world, mut client, _) = World::with_allocation(|plan| {
        open(Transport::Udp, 10_000..=10_000)(plan);
        plan.peers.own = machine(&["1.1.1.1"], &[]);
        plan.peers.deny = vec!["1.1.1.0/24".parse().unwrap()];
    });
    assert_eq!(client.permit(&mut world, &[PEER]), Some(403));
}

#[test]
fn our_listeners_on_all_addresses_are_closed_on_those_that_come_later_too() {
    let (mut world, mut client, _) = World::with_allocation(|plan| {
        open(Transport::Udp, 3000..=10_000)(plan);
        plan.peers.listeners = vec![udp("0.0.0.0:3478")];
    });
    becomes(&mut world, &["1.1.1.1"], &[]);
    assert_eq!(client.bind(&mut world, CHANNEL, "1.1.1.1:3478"), Some(403));
    assert_eq!(client.bind(&mut world, CHANNEL, PEER), None);
}

#[test]
fn ports_are_opened_for_one_protocol() {
    for (opened, udp, tcp) in [(Transport::Udp, None, Some(403)), (Transport::Tcp, Some(403), None)] {
        let mut world = World::with(|plan| {
            plan.tcp = true;
            plan.peers.own = machine(&["1.1.1.1"], &[]);
            open(opened, 10_000..=10_000)(plan);
        });
        let mut datagrams = world.client("203.0.113.2:5000", "bob");
        datagrams.allocate(&mut world);
        let (mut stream, _) = allocated(&mut world, 1);

        assert_eq!(datagrams.permit(&mut world, &[PEER]), udp);
        assert_eq!(datagrams.bind(&mut world, CHANNEL, PEER), udp);
        assert_eq!(stream.permit(&mut world, &[PEER]), tcp);
        assert_eq!(connect(&mut world, &mut stream, PEER).err().flatten(), tcp);
        assert_eq!(connect(&mut world, &mut stream, "1.1.1.1:10001"), Err(Some(403)));
    }
}

#[test]
fn tcp_connections_with_what_becomes_ours_are_to_be_closed() {
    let mut world = World::with(|plan| plan.tcp = true);
    let (mut client, relayed) = allocated(&mut world, 1);
    let ours = connect(&mut world, &mut client, PEER).unwrap();
    let theirs = connect(&mut world, &mut client, "1.2.3.4:9000").unwrap();
    assert_eq!(client.permit(&mut world, &[PEER]), None);
    let relay = world.ports.id_of(relayed);
    let attempt = |world: &mut World| {
        let peer = PeerAddr("1.1.1.1:40000".parse().unwrap());
        world.engine.on_attempt(relay, peer, world.now.moment).map(|(id, ..)| id)
    };
    let by_itself = attempt(&mut world).unwrap();

    let mut closed = becomes(&mut world, &["1.1.1.1"], &[]);

    let mut expected = [ours, by_itself];
    expected.sort_unstable();
    closed.sort_unstable();
    assert_eq!(closed, expected);
    assert!(!closed.contains(&theirs));
    assert_eq!(attempt(&mut world).unwrap_err(), Ignored::NoPermission);
}

/// Behind a 1:1 NAT a service on this machine has two addresses, and what it sends does not say which was meant.
#[test]
fn a_service_beside_us_answers_by_the_address_that_its_client_asked_for() {
    let (mut world, mut client, relayed) = World::with_allocation(|plan| {
        open(Transport::Udp, 10_000..=10_000)(plan);
        plan.peers.own = machine(&["10.0.0.5"], &[]);
    });
    let relay = world.ports.id_of(relayed);
    let [outside, inside] = ["192.0.2.1:10000", "10.0.0.5:10000"].map(|peer| PeerAddr(peer.parse().unwrap()));
    let known = |world: &World| world.engine.known_as(relay, outside, inside, world.now.moment);
    assert_eq!(known(&world), outside, "nobody was asked for: as relays are known");

    client.permit(&mut world, &["10.0.0.5:10000"]);
    assert_eq!(known(&world), inside);
    client.permit(&mut world, &["192.0.2.1:10000"]);
    assert_eq!(known(&world), outside);
    client.bind(&mut world, CHANNEL, "10.0.0.5:10000");
    assert_eq!(known(&world), inside);
    client.bind(&mut world, CHANNEL + 1, "192.0.2.1:10000");
    assert_eq!(known(&world), outside);
}

#[test]
fn nobody_who_claims_to_be_a_listener_of_ours_is_answered_also_where_it_came_later() {
    let mut world = World::with(|plan| plan.peers.listeners = vec![udp("0.0.0.0:3478")]);
    let client = world.client("1.1.1.1:3478", "alice");
    let mut request = client.clone();
    let request = request.request(crate::support::stun::BINDING);
    assert!(matches!(world.deliver(client.path, &request.0), Action::Reply(_)));

    becomes(&mut world, &["1.1.1.1"], &[]);

    assert_eq!(world.drop_of(client.path, &request.0), Ignored::ImpossibleSource);
}
