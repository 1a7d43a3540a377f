//! A server that is about to stop makes no new allocations, and loses nothing that it relays (RFC 8489 §10).

use hairpin::outcome::{Method, Refusal};

use crate::support::client::Client;
use crate::support::stun::{ALTERNATE_SERVER, MESSAGE_INTEGRITY, Message, XOR_RELAYED_ADDRESS};
use crate::support::world::World;

const PEER: &str = "1.1.1.1:9000";
const V4: [&str; 2] = ["192.0.2.9:3478", "192.0.2.10:3479"];
const V6: &str = "[2001:db8::9]:3478";

/// A draining world whose configuration names these other servers.
fn draining(alternates: &[&str]) -> World {
    let alternates = alternates.iter().map(|alternate| alternate.parse().unwrap()).collect();
    let mut world = World::with(|plan| plan.alternates = alternates);
    world.engine.drain();
    world
}

/// What a new client at `address` is answered, and the client.
fn newcomer(world: &mut World, address: &str) -> (Message, Client) {
    let mut client = world.client(address, "alice");
    let answer = client.try_allocate(world, |request| request);
    (answer, client)
}

/// ALTERNATE-SERVER as RFC 8489 §14.1 encodes it: a zero, the family, the port and the address.
fn encoded(address: &str) -> Vec<u8> {
    match address.parse().unwrap() {
        std::net::SocketAddr::V4(v4) => [&[0, 1][..], &v4.port().to_be_bytes(), &v4.ip().octets()].concat(),
        std::net::SocketAddr::V6(v6) => [&[0, 2][..], &v6.port().to_be_bytes(), &v6.ip().octets()].concat(),
    }
}

#[test]
fn a_new_client_is_sent_to_a_server_of_its_own_family_first() {
    let mut world = draining(&[V4[0], V6]);
    for (client, expected) in [
        ("203.0.113.1:5000", [encoded(V4[0]), encoded(V6)]),
        ("[2a00::1]:5000", [encoded(V6), encoded(V4[0])]),
    ] {
        let (answer, client) = newcomer(&mut world, client);
        assert_eq!(answer.code(), Some(300));
        assert_eq!(answer.all(ALTERNATE_SERVER), expected);
        assert!(answer.is_signed(MESSAGE_INTEGRITY, &client.key()), "nobody else can redirect the client");
    }
    assert_eq!(world.counters.refusals(Method::Allocate, Refusal::Redirected), 2);
    assert_eq!(world.allocations(), 0);
}

#[test]
fn new_clients_spread_over_all_alternates() {
    let mut world = draining(&V4);
    let mut seen = std::collections::BTreeSet::new();
    for port in 5000..5032 {
        let (answer, _) = newcomer(&mut world, &format!("203.0.113.1:{port}"));
        seen.insert(answer.get(ALTERNATE_SERVER).unwrap().to_vec());
    }
    assert_eq!(seen, V4.map(encoded).into());
}

#[test]
fn without_a_server_that_the_client_can_reach_the_answer_is_508() {
    for (alternates, client) in
        [(&[][..], "203.0.113.1:5000"), (&[V6], "203.0.113.1:5000"), (&V4, "[2a00::1]:5000")]
    {
        let mut world = draining(alternates);
        let (answer, client) = newcomer(&mut world, client);
        assert_eq!((answer.code(), answer.get(ALTERNATE_SERVER)), (Some(508), None));
        assert!(answer.is_signed(MESSAGE_INTEGRITY, &client.key()));
        assert_eq!(world.counters.refusals(Method::Allocate, Refusal::Draining), 1);
    }
}

#[test]
fn a_client_without_a_credential_is_not_redirected() {
    let mut world = draining(&V4);
    let mut client = world.client("203.0.113.1:5000", "alice");
    client.challenge(&mut world);
}

#[test]
fn everything_of_an_existing_allocation_goes_on() {
    let (mut world, mut client, relayed) =
        World::with_allocation(|plan| plan.alternates = vec![V4[0].parse().unwrap()]);
    world.engine.drain();
    assert_eq!(client.refresh(&mut world, Some(3600)).lifetime(), 3600);
    assert_eq!(client.permit(&mut world, &[PEER]), None);
    assert_eq!(client.bind(&mut world, 0x4000, PEER), None);
    assert!(world.arrives_on_channel(relayed, PEER, 0x4000));
    world.pass(300);
    assert_eq!(client.refresh(&mut world, Some(3600)).lifetime(), 3600);
}

#[test]
fn a_client_that_repeats_its_allocate_because_the_answer_was_lost_gets_the_same_answer() {
    let mut world = World::new();
    let mut client = world.client("203.0.113.1:5000", "alice");
    let relayed = client.allocate(&mut world);
    client.transactions -= 1;
    world.engine.drain();
    let repeated = client.try_allocate(&mut world, |request| request);
    assert_eq!((repeated.code(), repeated.address(XOR_RELAYED_ADDRESS)), (None, relayed));
}

#[test]
fn a_client_that_gives_its_allocation_up_gets_no_new_one() {
    let mut world = World::new();
    let mut client = world.client("203.0.113.1:5000", "alice");
    client.allocate(&mut world);
    world.engine.drain();
    client.refresh(&mut world, Some(0));
    assert_eq!(world.allocations(), 0);
    assert_eq!(client.try_allocate(&mut world, |request| request).code(), Some(508));
}
