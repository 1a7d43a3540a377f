//! What is different for a client over TCP or TLS: its address is its own, and it can leave.

use hairpin::bounds::rate::Rate;
use hairpin::outcome::Ignored;
use hairpin::relay::address::{ClientPath, StreamId, Via};
use hairpin::sections::number::Count;

use crate::support::client::Client;
use crate::support::stun::{
    ALLOCATE, DATA, DONT_FRAGMENT, EVEN_PORT, REQUESTED_TRANSPORT, SEND, XOR_RELAYED_ADDRESS, channel_data,
};
use crate::support::world::{World, path};

const CHANNEL: u16 = 0x4000;
const PEER: &str = "1.1.1.1:9000";
const V6_PEER: &str = "[2600::1]:9000";

/// The 5-tuple of a connection from `address`.
fn connection(address: &str, id: u32) -> ClientPath {
    ClientPath { via: Via::Tcp(StreamId(id)), ..path(address) }
}

/// A client with a connection.
fn client(world: &mut World, address: &str, id: u32) -> Client {
    Client { path: connection(address, id), ..world.client(address, "alice") }
}

#[test]
fn errors_over_a_connection_have_no_budget() {
    let mut world = World::with(|plan| {
        plan.limits.answers_per_ip = Rate::per_second(2);
        plan.limits.answers_per_network = Rate::per_second(2);
    });
    let mut connected = client(&mut world, "203.0.113.1:5000", 1);
    (0..100).for_each(|_| connected.challenge(&mut world));

    let mut datagrams = world.client("203.0.113.1:5000", "alice");
    (0..2).for_each(|_| datagrams.challenge(&mut world));
    let third = datagrams.request(ALLOCATE).0;
    assert_eq!(world.drop_of(datagrams.path, &third), Ignored::AnswerBudget, "as over UDP");
}

/// Over UDP these reflect, or belong to nobody; who has connected is there.
#[test]
fn a_connection_may_come_from_any_port() {
    let mut world = World::new();
    for port in [19, 53, 123, 389, 1900, 11_211] {
        let address = format!("203.0.113.1:{port}");
        client(&mut world, &address, port).challenge(&mut world);
        let mut datagrams = world.client(&address, "alice");
        let request = datagrams.request(ALLOCATE).0;
        assert_eq!(world.drop_of(datagrams.path, &request), Ignored::ImpossibleSource);
    }
}

#[test]
fn guesses_over_a_connection_are_counted_and_the_last_ends_it() {
    let mut world = World::with(|plan| plan.limits.failures = Rate::per_second(3));
    let mut guesser = client(&mut world, "203.0.113.1:5000", 1);
    guesser.challenge(&mut world);
    guesser.password = "a wrong one".to_owned();
    let mut guess = || {
        let request = guesser.request(ALLOCATE).attr(REQUESTED_TRANSPORT, &[17, 0, 0, 0]);
        guesser.sign(request)
    };
    for _ in 0..3 {
        assert_eq!(world.ask(connection("203.0.113.1:5000", 1), &guess()).code(), Some(401));
    }
    let reason = world.drop_of(connection("203.0.113.1:5000", 1), &guess());
    assert!(reason == Ignored::GuessBudget && reason.ends_stream());
}

#[test]
fn with_a_connection_its_allocation_ends_and_gives_everything_back() {
    let mut world = World::with(|plan| plan.limits.configured.allocations_per_user = Count::of::<1>());
    let mut first = client(&mut world, "203.0.113.1:5000", 1);
    let free = world.ports.free();
    let relayed = first.allocate(&mut world);
    assert_eq!(first.bind(&mut world, CHANNEL, PEER), None);

    world.engine.disconnect(first.path, world.now.moment, &mut world.ports);

    assert_eq!((world.allocations(), world.quotas.total(), world.ports.free()), (0, 0, free));
    assert!(!world.ports.open.values().any(|open| *open == relayed));
    let data = channel_data(CHANNEL, b"late");
    assert_eq!(world.drop_of(first.path, &data), Ignored::NoChannel);
    // The same slot, and the same user: nothing is left that would be in the way.
    let mut second = client(&mut world, "203.0.113.1:5000", 1);
    second.allocate(&mut world);
}

#[test]
fn both_addresses_of_an_allocation_end_with_its_connection() {
    let mut world = World::new();
    let mut dual = client(&mut world, "203.0.113.1:5000", 1);
    let free = world.ports.free();
    dual.allocate_dual(&mut world);
    world.engine.disconnect(dual.path, world.now.moment, &mut world.ports);
    assert_eq!((world.ports.free(), world.ports.open.len()), (free, 0));
}

#[test]
fn the_end_of_one_connection_is_not_the_end_of_another() {
    let mut world = World::new();
    let mut datagrams = world.client("203.0.113.1:5000", "alice");
    let [mut one, mut two] = [1, 2].map(|id| client(&mut world, "203.0.113.1:5000", id));
    for client in [&mut datagrams, &mut one, &mut two] {
        client.allocate(&mut world);
    }

    world.engine.disconnect(one.path, world.now.moment, &mut world.ports);

    assert_eq!(world.allocations(), 2);
    assert_eq!(one.refresh(&mut world, None).code(), Some(437));
    assert_eq!(two.refresh(&mut world, None).code(), None);
    assert_eq!(datagrams.refresh(&mut world, None).code(), None);
    // Who has no allocation leaves nothing.
    world.engine.disconnect(connection("203.0.113.9:5000", 9), world.now.moment, &mut world.ports);
    assert_eq!(world.allocations(), 2);
}

/// RFC 8656 §7.2: the next port is held for its token; whoever reserved it may be gone.
#[test]
fn a_reserved_port_outlives_the_connection_that_reserved_it() {
    let mut world = World::new();
    let mut client = client(&mut world, "203.0.113.1:5000", 1);
    let answer = client.try_allocate(&mut world, |request| request.attr(EVEN_PORT, &[0x80]));
    assert_eq!(answer.address(XOR_RELAYED_ADDRESS).port() % 2, 0);
    world.engine.disconnect(client.path, world.now.moment, &mut world.ports);
    assert_eq!((world.ports.open.len(), world.ports.reserved.len()), (0, 1));
    world.pass(30);
    assert_eq!((world.ports.reserved.len(), world.quotas.total()), (0, 0));
}

/// RFC 8656 §15: from TCP to UDP there is no packet whose bits would have to be kept.
#[test]
fn dont_fragment_counts_for_a_connection_whichever_family_its_peer_has() {
    let mut world = World::new();
    let mut connected = client(&mut world, "203.0.113.1:5000", 1);
    let mut datagrams = world.client("203.0.113.2:5000", "alice");
    for (client, expected) in [(&mut connected, [true, true]), (&mut datagrams, [true, false])] {
        client.allocate_dual(&mut world);
        assert_eq!(client.permit(&mut world, &[PEER, V6_PEER]), None);
        let kept = [PEER, V6_PEER].map(|peer| {
            let send = client.indication(SEND).peer(peer).attr(DONT_FRAGMENT, &[]).attr(DATA, b"whole");
            world.relayed(client.path, &send.0).0.dont_fragment
        });
        assert_eq!(kept, expected);
    }
}
