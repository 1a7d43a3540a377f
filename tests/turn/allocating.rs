//! Allocate: what is granted, what is refused, and with which error (RFC 8656 §7).

use crate::support::stun::{
    ADDITIONAL_ADDRESS_FAMILY, ADDRESS_ERROR_CODE, ALLOCATE, DONT_FRAGMENT, EVEN_PORT, LIFETIME,
    MESSAGE_INTEGRITY, REQUESTED_ADDRESS_FAMILY, REQUESTED_TRANSPORT, RESERVATION_TOKEN, XOR_MAPPED_ADDRESS,
    XOR_RELAYED_ADDRESS,
};
use crate::support::world::{TablePorts, World};

const IPV4: [u8; 4] = [1, 0, 0, 0];
const IPV6: [u8; 4] = [2, 0, 0, 0];
const UDP: [u8; 4] = [17, 0, 0, 0];

#[test]
fn an_allocation_has_an_address_a_lifetime_and_a_signature() {
    let mut world = World::new();
    let mut client = world.client("203.0.113.1:5000", "alice");

    let answer = client.try_allocate(&mut world, |request| request);

    let relayed = answer.address(XOR_RELAYED_ADDRESS);
    assert_eq!(relayed.ip().to_string(), "192.0.2.1");
    assert!((50_000..51_000).contains(&relayed.port()));
    assert_eq!(answer.address(XOR_MAPPED_ADDRESS), client.path.client);
    assert_eq!(answer.lifetime(), 600);
    assert!(answer.is_signed(MESSAGE_INTEGRITY, &client.key()));
    assert_eq!((world.allocations(), world.quotas.total()), (1, 1));
}

/// The client did not hear the answer and asks again: the crate said 437, and one lost datagram cost the attempt.
#[test]
fn a_retransmitted_allocate_is_answered_alike_and_allocates_nothing_more() {
    let mut world = World::new();
    let mut client = world.client("203.0.113.1:5000", "alice");
    client.challenge(&mut world);
    let request = client.request(ALLOCATE).attr(REQUESTED_TRANSPORT, &UDP).attr(EVEN_PORT, &[0x80]);
    let request = client.sign(request);

    let first = world.ask(client.path, &request);
    let second = world.ask(client.path, &request);

    assert_eq!(first.code(), None);
    assert_eq!(first, second);
    assert_eq!((world.allocations(), world.ports.open.len(), world.ports.reserved.len()), (1, 1, 1));
}

#[test]
fn a_second_allocate_on_the_same_path_is_a_mismatch() {
    let mut world = World::new();
    let mut client = world.client("203.0.113.1:5000", "alice");
    client.allocate(&mut world);
    assert_eq!(client.try_allocate(&mut world, |request| request).code(), Some(437));
    assert_eq!(world.allocations(), 1);
}

#[test]
fn lifetimes_are_clamped_between_ten_minutes_and_an_hour() {
    for (asked, granted) in [
        (0, 600),
        (1, 600),
        (599, 600),
        (600, 600),
        (1000, 1000),
        (3600, 3600),
        (3601, 3600),
        (u32::MAX, 3600),
    ] {
        let mut world = World::new();
        let mut client = world.client("203.0.113.1:5000", "alice");
        let answer = client.try_allocate(&mut world, |request| request.attr(LIFETIME, &asked.to_be_bytes()));
        assert_eq!(answer.lifetime(), granted, "asked for {asked}");
    }
}

/// Browsers ask for no family.
#[test]
fn who_asks_for_no_family_gets_the_one_that_is_there() {
    for (ips, relayed) in [
        (&["2001:db8::1"][..], "2001:db8::1"),
        (&["192.0.2.1"], "192.0.2.1"),
        (&["2001:db8::1", "192.0.2.1"], "192.0.2.1"),
    ] {
        let mut world = World::with(|plan| plan.ports = TablePorts::new(ips, 50_000, 50_099));
        let mut client = world.client("203.0.113.1:5000", "alice");
        let answer = client.try_allocate(&mut world, |request| request);
        assert_eq!(
            (answer.code(), answer.address(XOR_RELAYED_ADDRESS).ip()),
            (None, relayed.parse().unwrap())
        );
    }
}

#[test]
fn only_udp_can_be_relayed() {
    let mut world = World::new();
    let mut client = world.client("203.0.113.1:5000", "alice");
    client.challenge(&mut world);
    for (value, code) in
        [(&[6, 0, 0, 0][..], 442), (&[0, 0, 0, 0], 442), (&[255, 0, 0, 0], 442), (&[17], 400), (&[], 400)]
    {
        let request = client.request(ALLOCATE).attr(REQUESTED_TRANSPORT, value);
        assert_eq!(client.ask(&mut world, request).code(), Some(code), "{value:?}");
    }
    let request = client.request(ALLOCATE);
    assert_eq!(client.ask(&mut world, request).code(), Some(400), "none");
}

#[test]
fn an_address_family_can_be_chosen() {
    let mut world = World::new();
    for (port, family, ip) in [(1, IPV4, "192.0.2.1"), (2, IPV6, "2001:db8::1")] {
        let mut client = world.client(&format!("203.0.113.1:500{port}"), "alice");
        let answer =
            client.try_allocate(&mut world, |request| request.attr(REQUESTED_ADDRESS_FAMILY, &family));
        assert_eq!(answer.address(XOR_RELAYED_ADDRESS).ip().to_string(), ip);
    }
}

#[test]
fn a_family_that_is_not_served_is_refused() {
    let mut world = World::with(|plan| plan.ports = TablePorts::new(&["192.0.2.1"], 50_000, 50_999));
    let mut client = world.client("203.0.113.1:5000", "alice");
    for (family, code) in [(IPV6, 440), ([0, 0, 0, 0], 440), ([3, 0, 0, 0], 440)] {
        let answer =
            client.try_allocate(&mut world, |request| request.attr(REQUESTED_ADDRESS_FAMILY, &family));
        assert_eq!(answer.code(), Some(code), "{family:?}");
    }
    let answer = client.try_allocate(&mut world, |request| request.attr(REQUESTED_ADDRESS_FAMILY, &[1]));
    assert_eq!(answer.code(), Some(400));
    assert_eq!(world.quotas.total(), 0);
}

#[test]
fn both_families_come_with_one_request() {
    let mut world = World::new();
    let mut client = world.client("203.0.113.1:5000", "alice");
    let answer = client.try_allocate(&mut world, |request| request.attr(ADDITIONAL_ADDRESS_FAMILY, &IPV6));
    let relayed = answer.addresses(XOR_RELAYED_ADDRESS);
    assert!(relayed.len() == 2 && relayed[0].is_ipv4() && relayed[1].is_ipv6());
    assert_eq!((world.allocations(), world.quotas.total(), world.ports.open.len()), (1, 1, 2));
}

/// Debian 12's coturn client knows ADDITIONAL-ADDRESS-FAMILY by the number that it had in a draft.
#[test]
fn both_families_come_by_the_drafts_number_too() {
    let mut world = World::new();
    let mut client = world.client("203.0.113.1:5000", "alice");
    let answer = client.try_allocate(&mut world, |request| request.attr(0x8032, &IPV6));
    assert_eq!(answer.addresses(XOR_RELAYED_ADDRESS).len(), 2);
}

#[test]
fn the_family_that_could_not_be_had_is_named() {
    let mut world = World::with(|plan| plan.ports = TablePorts::new(&["192.0.2.1"], 50_000, 50_999));
    let mut client = world.client("203.0.113.1:5000", "alice");
    let answer = client.try_allocate(&mut world, |request| request.attr(ADDITIONAL_ADDRESS_FAMILY, &IPV6));
    assert_eq!(answer.addresses(XOR_RELAYED_ADDRESS).len(), 1);
    assert_eq!(answer.get(ADDRESS_ERROR_CODE), Some(&[2, 0, 4, 40][..]));
}

#[test]
fn contradictions_are_bad_requests() {
    let token = [7; 8];
    let contradictions: [&[(u16, &[u8])]; 7] = [
        &[(RESERVATION_TOKEN, &token), (EVEN_PORT, &[0])],
        &[(RESERVATION_TOKEN, &token), (REQUESTED_ADDRESS_FAMILY, &IPV4)],
        &[(RESERVATION_TOKEN, &token), (ADDITIONAL_ADDRESS_FAMILY, &IPV6)],
        &[(REQUESTED_ADDRESS_FAMILY, &IPV4), (ADDITIONAL_ADDRESS_FAMILY, &IPV6)],
        &[(EVEN_PORT, &[0x80]), (ADDITIONAL_ADDRESS_FAMILY, &IPV6)],
        &[(ADDITIONAL_ADDRESS_FAMILY, &IPV4)],
        &[(LIFETIME, &[0, 0, 1])],
    ];
    let mut world = World::new();
    let mut client = world.client("203.0.113.1:5000", "alice");
    for contradiction in contradictions {
        let extend = |request| {
            contradiction
                .iter()
                .fold(request, |r: crate::support::stun::Builder, (kind, value)| r.attr(*kind, value))
        };
        assert_eq!(client.try_allocate(&mut world, extend).code(), Some(400), "{contradiction:x?}");
    }
    assert_eq!((world.quotas.total(), world.ports.free()), (0, world.ports.size()));
}

#[test]
fn an_even_port_is_even_and_leaves_the_next_one_free() {
    let mut world = World::with(|plan| plan.ports = TablePorts::new(&["192.0.2.1"], 50_000, 50_001));
    let mut client = world.client("203.0.113.1:5000", "alice");
    let answer = client.try_allocate(&mut world, |request| request.attr(EVEN_PORT, &[0]));
    assert_eq!(answer.address(XOR_RELAYED_ADDRESS).port(), 50_000);
    assert_eq!(answer.get(RESERVATION_TOKEN), None);
    assert_eq!(world.client("203.0.113.1:5001", "alice").allocate(&mut world).port(), 50_001);
}

#[test]
fn a_reserved_port_is_had_by_its_token_from_any_path_and_once() {
    let mut world = World::new();
    let mut client = world.client("203.0.113.1:5000", "alice");
    let first = client.try_allocate(&mut world, |request| request.attr(EVEN_PORT, &[0x80]));
    let token = first.get(RESERVATION_TOKEN).unwrap().to_vec();
    let mut redeem = |address, listener: &str| {
        let mut client = world.client(address, "alice");
        client.path.server = listener.parse().unwrap();
        client.try_allocate(&mut world, |request| request.attr(RESERVATION_TOKEN, &token))
    };

    let second = redeem("198.51.100.9:6000", "192.0.2.9:3479");

    let port = first.address(XOR_RELAYED_ADDRESS).port();
    assert_eq!((port % 2, second.address(XOR_RELAYED_ADDRESS).port()), (0, port + 1));
    assert_eq!(redeem("198.51.100.9:6001", "192.0.2.9:3479").code(), Some(508), "a token works once");
}

#[test]
fn an_unknown_token_is_refused() {
    let mut world = World::new();
    let mut client = world.client("203.0.113.1:5000", "alice");
    let answer = client.try_allocate(&mut world, |request| request.attr(RESERVATION_TOKEN, &[7; 8]));
    assert_eq!((answer.code(), world.quotas.total()), (Some(508), 0));
}

#[test]
fn a_reserved_port_is_held_for_thirty_seconds() {
    let mut world = World::new();
    let mut client = world.client("203.0.113.1:5000", "alice");
    let answer = client.try_allocate(&mut world, |request| request.attr(EVEN_PORT, &[0x80]));
    let token = answer.get(RESERVATION_TOKEN).unwrap().to_vec();
    world.pass(29);
    assert_eq!(world.ports.reserved.len(), 1);
    world.pass(2);
    assert_eq!(world.ports.reserved.len(), 0);
    let mut late = world.client("203.0.113.1:5001", "alice");
    let answer = late.try_allocate(&mut world, |request| request.attr(RESERVATION_TOKEN, &token));
    assert_eq!(answer.code(), Some(508));
}

/// The crate bound sockets in an endless loop until an even port turned up.
#[test]
fn a_range_without_an_even_port_is_exhausted_at_once() {
    let mut world = World::with(|plan| plan.ports = TablePorts::new(&["192.0.2.1"], 50_001, 50_001));
    let mut client = world.client("203.0.113.1:5000", "alice");
    for value in [0, 0x80] {
        let answer = client.try_allocate(&mut world, |request| request.attr(EVEN_PORT, &[value]));
        assert_eq!(answer.code(), Some(508));
    }
    assert_eq!((world.ports.free(), world.quotas.total()), (1, 0));
}

#[test]
fn the_last_port_is_found_and_the_next_client_refused() {
    let mut world = World::with(|plan| plan.ports = TablePorts::new(&["192.0.2.1"], 50_000, 50_099));
    for n in 0..100 {
        world.client(&format!("203.0.113.1:{}", 6000 + n), "alice").allocate(&mut world);
    }
    let mut late = world.client("203.0.113.1:5000", "alice");
    assert_eq!(late.try_allocate(&mut world, |request| request).code(), Some(508));
}

#[test]
fn dont_fragment_is_supported() {
    let mut world = World::new();
    let mut client = world.client("203.0.113.1:5000", "alice");
    assert_eq!(client.try_allocate(&mut world, |request| request.attr(DONT_FRAGMENT, &[])).code(), None);
}

/// RFC 8656 §21.4: a packet through a tunnel could circle for ever.
#[test]
fn a_client_in_a_tunnel_is_refused() {
    let mut world = World::new();
    for address in ["[2001::1]:5000", "[2002:c000:201::1]:5000"] {
        let mut client = world.client(address, "alice");
        assert_eq!(client.try_allocate(&mut world, |request| request).code(), Some(403), "{address}");
    }
}

#[test]
fn an_allocation_ends_with_its_lifetime_and_gives_everything_back() {
    let mut world = World::new();
    let mut client = world.client("203.0.113.1:5000", "alice");
    client.try_allocate(&mut world, |request| request.attr(ADDITIONAL_ADDRESS_FAMILY, &IPV6));
    client.bind(&mut world, 0x4000, "1.1.1.1:9000");
    world.pass(599);
    assert_eq!(world.allocations(), 1);
    world.pass(1);
    assert_eq!((world.allocations(), world.quotas.total(), world.ports.open.len()), (0, 0, 0));
    assert_eq!(world.engine.routes().len(), (0, 0));
}
