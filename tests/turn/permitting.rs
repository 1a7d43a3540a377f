//! CreatePermission: which peers may send to a client, and for how long (RFC 8656 §9, §10).

use hairpin::sections::number::Count;
use std::time::Duration;

use hairpin::bounds::rate::Rate;

use crate::support::client::Client;
use crate::support::stun::{CREATE_PERMISSION, XOR_PEER_ADDRESS};
use crate::support::world::World;

const PEER: &str = "1.1.1.1:9000";

/// Asks for permissions for the first `count` of many peers.
fn permit_many(client: &mut Client, world: &mut World, count: usize) -> Option<u16> {
    let peers: Vec<String> = (0..count).map(|n| format!("1.2.{}.{}:9000", n / 256, n % 256)).collect();
    client.permit(world, &peers.iter().map(String::as_str).collect::<Vec<_>>())
}

fn permissions(world: &World) -> usize {
    world.engine.allocations().iter().map(|(_, allocation)| allocation.permissions.len()).sum()
}

#[test]
fn a_peer_with_a_permission_is_heard_and_any_other_is_not() {
    let (mut world, mut client, relayed) = World::with_allocation(|_| {});
    assert!(!world.arrives_as_indication(relayed, PEER));
    assert_eq!(client.permit(&mut world, &[PEER]), None);
    assert!(world.arrives_as_indication(relayed, PEER));
    assert!(!world.arrives_as_indication(relayed, "1.1.1.2:9000"));
}

/// The crate installed the first peer of each request only.
#[test]
fn every_peer_of_a_request_gets_its_permission() {
    let (mut world, mut client, relayed) = World::with_allocation(|_| {});
    let peers = [PEER, "1.1.1.2:9000", "8.8.8.8:9000"];
    assert_eq!(client.permit(&mut world, &peers), None);
    assert!(peers.iter().all(|peer| world.arrives_as_indication(relayed, peer)));
}

#[test]
fn a_permission_is_for_every_port_of_its_address() {
    for named in [0, 53, 9000] {
        let (mut world, mut client, relayed) = World::with_allocation(|_| {});
        assert_eq!(client.permit(&mut world, &[&format!("1.1.1.1:{named}")]), None);
        for port in [1, 53, 9000, 65535] {
            assert!(world.arrives_as_indication(relayed, &format!("1.1.1.1:{port}")), "{named} {port}");
        }
    }
}

#[test]
fn a_request_without_a_peer_is_a_bad_request() {
    let (mut world, mut client, _) = World::with_allocation(|_| {});
    assert_eq!(client.permit(&mut world, &[]), Some(400));
}

#[test]
fn a_request_has_at_most_as_many_peers_as_an_allocation_may_have_permissions() {
    for (count, code) in [(1, None), (32, None), (33, Some(508)), (1000, Some(508))] {
        let (mut world, mut client, _) = World::with_allocation(|_| {});
        assert_eq!(permit_many(&mut client, &mut world, count), code, "{count}");
        assert_eq!(permissions(&world), if code.is_none() { count } else { 0 }, "{count}");
    }
}

#[test]
fn a_peer_that_is_named_twice_counts_once() {
    let (mut world, mut client, _) = World::with_allocation(|plan| {
        plan.limits.configured.permissions = Count::of::<1>();
        plan.limits.new_peers = Rate::new(1, Duration::from_secs(3600), 1);
    });
    assert_eq!(client.permit(&mut world, &[PEER, "1.1.1.1:9001", PEER]), None);
    assert_eq!(permissions(&world), 1);
}

#[test]
fn one_denied_peer_spoils_the_request() {
    let (mut world, mut client, _) = World::with_allocation(|_| {});
    for peers in [[PEER, "10.0.0.1:9000"], ["10.0.0.1:9000", PEER]] {
        assert_eq!(client.permit(&mut world, &peers), Some(403), "{peers:?}");
        assert_eq!(permissions(&world), 0);
    }
}

/// eturnal lets a whole request pass if one of its peers is on the operator's list.
#[test]
fn a_peer_that_the_operator_allowed_carries_no_other_through() {
    let (mut world, mut client, _) =
        World::with_allocation(|plan| plan.peers.allow = vec!["10.0.0.0/8".parse().unwrap()]);
    for peers in [["10.0.0.1:9000", "192.168.0.1:9000"], ["192.168.0.1:9000", "10.0.0.1:9000"]] {
        assert_eq!(client.permit(&mut world, &peers), Some(403), "{peers:?}");
        assert_eq!(permissions(&world), 0);
    }
    assert_eq!(client.permit(&mut world, &["10.0.0.1:9000", PEER]), None);
}

#[test]
fn a_peer_of_another_family_spoils_the_request() {
    let (mut world, mut client, _) = World::with_allocation(|_| {});
    for peers in [[PEER, "[2606:4700::1111]:9000"], ["[2606:4700::1111]:9000", PEER]] {
        assert_eq!(client.permit(&mut world, &peers), Some(443), "{peers:?}");
        assert_eq!(permissions(&world), 0);
    }
    let mut dual = world.client("203.0.113.1:5001", "alice");
    dual.allocate_dual(&mut world);
    assert_eq!(dual.permit(&mut world, &[PEER, "[2606:4700::1111]:9000"]), None);
}

/// The crates take a short address, and read zeros for what is missing.
#[test]
fn a_malformed_address_is_a_bad_request() {
    let (mut world, mut client, _) = World::with_allocation(|_| {});
    let address = |family: u8, length: usize| {
        let mut value = vec![0x5A; length];
        value.iter_mut().skip(1).take(1).for_each(|byte| *byte = family);
        value
    };
    let lengths = [0, 1, 4, 5, 7, 9, 12, 16, 19, 21, 24].map(|length| [(1, length), (2, length)]);
    let mismatched = [(1, 20), (2, 8), (0, 8), (3, 8), (0, 20), (255, 20)];
    for (family, length) in lengths.into_iter().flatten().chain(mismatched) {
        let value = address(family, length);
        let alone = client.request(CREATE_PERMISSION).attr(XOR_PEER_ADDRESS, &value);
        let second = client.request(CREATE_PERMISSION).peer(PEER).attr(XOR_PEER_ADDRESS, &value);
        for request in [alone, second] {
            assert_eq!(client.ask(&mut world, request).code(), Some(400), "{family} {length}");
        }
    }
    assert_eq!(permissions(&world), 0);
}

/// RFC 8656 §9: exactly.
#[test]
fn a_permission_lasts_five_minutes() {
    let (mut world, mut client, relayed) = World::with_allocation(|_| {});
    client.permit(&mut world, &[PEER]);
    world.now = world.now + Duration::from_nanos(300_000_000_000 - 1);
    assert!(world.arrives_as_indication(relayed, PEER));
    world.relayed(client.path, &client.send(PEER, b"x"));
    world.now = world.now + Duration::from_nanos(1);
    assert!(!world.arrives_as_indication(relayed, PEER));
    world.drop_of(client.path, &client.send(PEER, b"x"));
}

#[test]
fn a_permission_is_refreshed_from_now_and_alone() {
    let (mut world, mut client, relayed) = World::with_allocation(|_| {});
    client.permit(&mut world, &[PEER, "8.8.8.8:9000"]);
    world.pass(299);
    assert_eq!(client.permit(&mut world, &[PEER]), None);
    world.pass(1);
    assert!(!world.arrives_as_indication(relayed, "8.8.8.8:9000"), "nobody asked for it");
    world.pass(298);
    assert!(world.arrives_as_indication(relayed, PEER));
    world.pass(1);
    assert!(!world.arrives_as_indication(relayed, PEER));
}

/// RFC 8656 §9: neither data nor a Refresh of the allocation does.
#[test]
fn only_a_request_refreshes_a_permission() {
    let (mut world, mut client, relayed) = World::with_allocation(|_| {});
    client.permit(&mut world, &[PEER]);
    world.pass(299);
    world.relayed(client.path, &client.send(PEER, b"x"));
    assert!(world.arrives_as_indication(relayed, PEER));
    assert_eq!(client.refresh(&mut world, Some(3600)).code(), None);
    world.pass(1);
    assert!(!world.arrives_as_indication(relayed, PEER));
}

#[test]
fn new_peers_come_five_a_second_after_a_burst() {
    let (mut world, mut client, _) = World::with_allocation(|plan| {
        plan.limits.configured.permissions = Count::of::<1000>();
        plan.limits.new_peers = Rate::new(5, Duration::from_secs(1), 32);
    });
    assert_eq!(permit_many(&mut client, &mut world, 33), Some(508), "more than a burst");
    assert_eq!(permit_many(&mut client, &mut world, 32), None, "and the refused request took nothing");
    assert_eq!(permit_many(&mut client, &mut world, 33), Some(508));
    assert_eq!(permit_many(&mut client, &mut world, 32), None, "known peers cost nothing");
    world.pass(1);
    assert_eq!(permit_many(&mut client, &mut world, 38), Some(508));
    assert_eq!(permit_many(&mut client, &mut world, 37), None);
    assert_eq!(permissions(&world), 37);
}

#[test]
fn a_full_allocation_has_room_when_a_permission_expires() {
    let (mut world, mut client, relayed) =
        World::with_allocation(|plan| plan.limits.configured.permissions = Count::of::<2>());
    client.permit(&mut world, &[PEER]);
    world.pass(100);
    client.permit(&mut world, &["1.1.1.2:9000"]);
    assert_eq!(client.permit(&mut world, &["1.1.1.3:9000"]), Some(508));
    assert_eq!(client.permit(&mut world, &["1.1.1.2:9000"]), None, "a refresh needs no room");
    world.pass(200);
    assert_eq!(client.permit(&mut world, &["1.1.1.3:9000"]), None);
    assert!(world.arrives_as_indication(relayed, "1.1.1.2:9000"));
    assert!(world.arrives_as_indication(relayed, "1.1.1.3:9000"));
    assert!(!world.arrives_as_indication(relayed, PEER));
}

#[test]
fn a_refused_request_refreshes_nothing() {
    let (mut world, mut client, relayed) =
        World::with_allocation(|plan| plan.limits.configured.permissions = Count::of::<1>());
    client.permit(&mut world, &[PEER]);
    world.pass(200);
    for (peers, code) in [
        ([PEER, "1.1.1.2:9000"], 508),
        ([PEER, "10.0.0.1:9000"], 403),
        ([PEER, "[2606:4700::1111]:9000"], 443),
    ] {
        assert_eq!(client.permit(&mut world, &peers), Some(code));
    }
    world.pass(100);
    assert!(!world.arrives_as_indication(relayed, PEER));
}

#[test]
fn permissions_of_one_allocation_are_no_other_s() {
    let (mut world, mut client, _) = World::with_allocation(|_| {});
    let mut other = world.client("203.0.113.1:5001", "alice");
    let relayed = other.allocate(&mut world);
    client.permit(&mut world, &[PEER]);
    assert!(!world.arrives_as_indication(relayed, PEER));
    world.drop_of(other.path, &other.send(PEER, b"x"));
}
