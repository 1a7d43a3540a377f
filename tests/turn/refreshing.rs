//! Refresh: an allocation lives on, or ends; each half of a dual one by itself (RFC 8656 §8).

use std::time::Duration;

use hairpin::clock::Unix;
use hairpin::metrics;
use hairpin::outcome::Ignored;
use hairpin::relay::address::PeerAddr;
use hairpin::relay::engine::lifetimes::EXPIRED_AT_ONCE;

use crate::support::client::Client;
use crate::support::stun::{
    CHANNEL_BIND, CREATE_PERMISSION, LIFETIME, MESSAGE_INTEGRITY, Message, REFRESH, REQUESTED_ADDRESS_FAMILY,
};
use crate::support::world::{START, World, path};

const V4_PEER: &str = "1.1.1.1:9000";
const V6_PEER: &str = "[2606:4700::1111]:9000";

/// Refreshes one family of an allocation.
fn refresh_family(client: &mut Client, world: &mut World, family: u8, lifetime: u32) -> Message {
    let request = client
        .request(REFRESH)
        .attr(REQUESTED_ADDRESS_FAMILY, &[family, 0, 0, 0])
        .attr(LIFETIME, &lifetime.to_be_bytes());
    client.ask(world, request)
}

#[test]
fn lifetimes_are_clamped_between_ten_minutes_and_an_hour() {
    let mut world = World::new();
    let mut client = world.client("203.0.113.1:5000", "alice");
    client.allocate(&mut world);
    for (asked, granted) in [
        (None, 600),
        (Some(1), 600),
        (Some(599), 600),
        (Some(600), 600),
        (Some(1000), 1000),
        (Some(3600), 3600),
        (Some(3601), 3600),
        (Some(u32::MAX), 3600),
    ] {
        let answer = client.refresh(&mut world, asked);
        assert_eq!((answer.code(), answer.lifetime()), (None, granted), "asked for {asked:?}");
        assert!(answer.is_signed(MESSAGE_INTEGRITY, &client.key()));
    }
}

#[test]
fn a_refresh_prolongs_from_now_and_nothing_ends_early() {
    let mut world = World::new();
    let mut client = world.client("203.0.113.1:5000", "alice");
    client.allocate(&mut world);
    world.pass(599);
    client.refresh(&mut world, Some(3600));
    world.pass(3599);
    assert_eq!(world.allocations(), 1);
    world.pass(1);
    assert_eq!((world.allocations(), world.quotas.total(), world.ports.open.len()), (0, 0, 0));
}

/// R17: of all that a client has, only its credential ends on a date.
#[test]
fn setting_the_wall_clock_ends_no_allocation_early_or_late_and_makes_no_nonce_stale() {
    const HOUR: u64 = 3600;
    const YEAR_2040: u64 = 2_208_988_800;
    for date in [0, START - HOUR, START + HOUR, YEAR_2040] {
        let mut world = World::new();
        let mut client = world.client("203.0.113.1:5000", "alice");
        let relayed = client.allocate(&mut world);
        world.pass(100);

        world.now.unix = Unix::from_secs(date);

        assert_eq!(client.bind(&mut world, 0x4000, V4_PEER), None, "{date}: the nonce is not stale");
        world.pass(499);
        assert_eq!(world.allocations(), 1, "{date}");
        assert!(world.arrives_on_channel(relayed, V4_PEER, 0x4000), "{date}");
        world.pass(1);
        assert_eq!(world.allocations(), 0, "{date}");
    }
}

#[test]
fn a_refresh_can_shorten() {
    let (mut world, mut client, _) = World::with_allocation(|_| {});
    client.refresh(&mut world, None);
    world.pass(599);
    assert_eq!(world.allocations(), 1);
    world.pass(1);
    assert_eq!(world.allocations(), 0);
}

#[test]
fn zero_ends_the_allocation_and_gives_everything_back() {
    let (mut world, mut client, relayed) = World::with_allocation(|_| {});
    client.bind(&mut world, 0x4000, V4_PEER);
    let relay = world.ports.id_of(relayed);

    let answer = client.refresh(&mut world, Some(0));

    assert_eq!((answer.code(), answer.lifetime()), (None, 0));
    assert_eq!((world.allocations(), world.quotas.total(), world.ports.open.len()), (0, 0, 0));
    assert_eq!(world.engine.routes().len(), (0, 0));
    let peer = PeerAddr(V4_PEER.parse().unwrap());
    assert_eq!(world.engine.on_peer(relay, peer, 10, world.now.moment), Err(Ignored::NoAllocation));
}

#[test]
fn the_second_end_is_a_mismatch_and_the_path_is_free_again() {
    let (mut world, mut client, _) = World::with_allocation(|_| {});
    assert_eq!(client.refresh(&mut world, Some(0)).code(), None);
    let again = client.refresh(&mut world, Some(0));
    assert_eq!(again.code(), Some(437));
    assert!(again.is_signed(MESSAGE_INTEGRITY, &client.key()));
    client.allocate(&mut world);
    assert_eq!(world.allocations(), 1);
}

/// The crate sent nothing, and its clients waited out forty seconds of retransmissions.
#[test]
fn without_an_allocation_every_request_is_a_signed_mismatch() {
    let mut world = World::new();
    let mut client = world.client("203.0.113.1:5000", "alice");
    client.challenge(&mut world);
    for method in [REFRESH, CREATE_PERMISSION, CHANNEL_BIND] {
        let request = client.request(method).attr(LIFETIME, &[0; 4]).peer(V4_PEER);
        let answer = client.ask(&mut world, request);
        assert_eq!(answer.code(), Some(437), "method {method}");
        assert!(answer.is_signed(MESSAGE_INTEGRITY, &client.key()));
    }
}

/// Whether there is an allocation is nobody's business who has no password.
#[test]
fn strangers_hear_the_same_with_and_without_an_allocation() {
    let (mut world, mut client, _) = World::with_allocation(|_| {});
    for method in [REFRESH, CREATE_PERMISSION, CHANNEL_BIND] {
        for address in ["203.0.113.1:5000", "203.0.113.1:5001"] {
            client.path.client = address.parse().unwrap();
            let request = client.request(method);
            assert_eq!(
                world.ask(client.path, &request.0).code(),
                Some(401),
                "method {method} from {address}"
            );
        }
    }
}

#[test]
fn a_family_that_the_allocation_has_not_is_a_mismatch_and_ends_nothing() {
    let (mut world, mut client, _) = World::with_allocation(|_| {});
    for family in [0, 2, 3, 255] {
        for lifetime in [0, 600] {
            let answer = refresh_family(&mut client, &mut world, family, lifetime);
            assert_eq!(answer.code(), Some(443), "family {family}");
        }
    }
    assert_eq!(world.allocations(), 1);
    assert_eq!(refresh_family(&mut client, &mut world, 1, 600).code(), None);
}

#[test]
fn a_malformed_attribute_is_a_bad_request_and_ends_nothing() {
    let (mut world, mut client, _) = World::with_allocation(|_| {});
    let malformed: [(u16, &[u8]); 7] = [
        (LIFETIME, &[]),
        (LIFETIME, &[0, 0, 0]),
        (LIFETIME, &[0; 5]),
        (LIFETIME, &[0; 8]),
        (REQUESTED_ADDRESS_FAMILY, &[]),
        (REQUESTED_ADDRESS_FAMILY, &[1]),
        (REQUESTED_ADDRESS_FAMILY, &[1, 0, 0, 0, 0]),
    ];
    for (kind, value) in malformed {
        let request = client.request(REFRESH).attr(kind, value).attr(LIFETIME, &[0; 4]);
        assert_eq!(client.ask(&mut world, request).code(), Some(400), "{kind:#x} {value:?}");
    }
    assert_eq!(world.allocations(), 1);
}

#[test]
fn a_refresh_without_a_family_is_for_both_halves() {
    let mut world = World::new();
    let mut client = world.client("203.0.113.1:5000", "alice");
    client.allocate_dual(&mut world);
    client.refresh(&mut world, Some(900));
    world.pass(899);
    assert_eq!(world.ports.open.len(), 2);
    world.pass(1);
    assert_eq!((world.allocations(), world.ports.open.len()), (0, 0));
}

#[test]
fn each_half_of_a_dual_allocation_lives_by_itself() {
    for (prolonged, other) in [(1, 2), (2, 1)] {
        let mut world = World::new();
        let mut client = world.client("203.0.113.1:5000", "alice");
        client.allocate_dual(&mut world);
        let answer = refresh_family(&mut client, &mut world, prolonged, 1200);
        assert_eq!(answer.lifetime(), 1200);
        world.pass(599);
        assert_eq!(world.ports.open.len(), 2);

        world.pass(1);

        assert_eq!((world.allocations(), world.quotas.total(), world.ports.open.len()), (1, 1, 1));
        client.challenge(&mut world);
        assert_eq!(refresh_family(&mut client, &mut world, other, 600).code(), Some(443), "it is over");
        world.pass(599);
        assert_eq!(world.allocations(), 1);
        world.pass(1);
        assert_eq!((world.allocations(), world.quotas.total(), world.ports.open.len()), (0, 0, 0));
    }
}

#[test]
fn the_end_of_one_half_leaves_the_permissions_and_channels_of_the_other() {
    for (ended, kept, kept_peer, ended_peer) in [(1, 2, V6_PEER, V4_PEER), (2, 1, V4_PEER, V6_PEER)] {
        let mut world = World::new();
        let mut client = world.client("203.0.113.1:5000", "alice");
        let (v4, v6) = client.allocate_dual(&mut world);
        let relayed = if kept == 1 { v4 } else { v6 };
        client.bind(&mut world, 0x4001, V4_PEER);
        client.bind(&mut world, 0x4002, V6_PEER);

        assert_eq!(refresh_family(&mut client, &mut world, ended, 0).lifetime(), 0);

        assert!(world.arrives_on_channel(relayed, kept_peer, 0x4000 + kept));
        assert_eq!((world.engine.routes().len(), world.ports.open.len()), ((1, 1), 1));
        let allocations = world.engine.allocations();
        assert_eq!(allocations.iter().map(|(_, a)| a.permissions.len()).sum::<usize>(), 1);
        assert_eq!(client.permit(&mut world, &[ended_peer]), Some(443));
        assert_eq!(client.bind(&mut world, 0x4003, ended_peer), Some(443));
        let drop = world.drop_of(client.path, &client.send(ended_peer, b"x"));
        assert_eq!(drop, Ignored::NoPermission);
        assert_eq!(refresh_family(&mut client, &mut world, kept as u8, 0).lifetime(), 0);
        assert_eq!((world.allocations(), world.quotas.total()), (0, 0));
    }
}

#[test]
fn a_half_that_was_ended_cannot_be_ended_again() {
    let mut world = World::new();
    let mut client = world.client("203.0.113.1:5000", "alice");
    client.allocate_dual(&mut world);
    assert_eq!(refresh_family(&mut client, &mut world, 2, 0).code(), None);
    assert_eq!(refresh_family(&mut client, &mut world, 2, 0).code(), Some(443));
    assert_eq!(client.refresh(&mut world, Some(0)).code(), None, "without a family it is for what is left");
    assert_eq!(client.refresh(&mut world, Some(0)).code(), Some(437));
}

/// The crate's timer had fired already: the refresh was granted, and the allocation ended all the same.
#[test]
fn a_refresh_in_the_moment_of_expiry_either_counts_or_is_refused() {
    let (mut world, mut client, relayed) = World::with_allocation(|_| {});
    client.refresh(&mut world, None);
    client.bind(&mut world, 0x4000, V4_PEER);
    world.now = world.now + Duration::from_secs(600);

    assert_eq!(client.refresh(&mut world, None).code(), None);
    assert_eq!(client.bind(&mut world, 0x4000, V4_PEER), None);

    world.engine.expire(world.now.moment, &mut world.ports);
    assert_eq!(world.allocations(), 1);
    assert!(world.arrives_on_channel(relayed, V4_PEER, 0x4000));
    world.now = world.now + Duration::from_secs(600);
    world.engine.expire(world.now.moment, &mut world.ports);
    client.challenge(&mut world);
    assert_eq!(client.refresh(&mut world, None).code(), Some(437));
}

/// To close thousands of sockets takes time, in which nobody's packets would be relayed.
#[test]
fn of_many_allocations_that_expire_at_once_a_few_end_between_two_rounds_of_packets() {
    const MANY: usize = 3 * EXPIRED_AT_ONCE;
    let mut world = World::new();
    for port in 0..MANY {
        world.client(&format!("203.0.113.1:{}", 5000 + port), "alice").allocate(&mut world);
    }
    world.now = world.now + Duration::from_secs(600);
    let now = world.now.moment;
    while world.allocations() > 0 {
        assert!(world.engine.next_deadline().is_some_and(|due| due <= now), "there is more to do");
        let before = world.allocations();
        world.engine.expire(now, &mut world.ports);
        assert!(before - world.allocations() <= EXPIRED_AT_ONCE);
    }
}

/// RFC 8656 §3.2: only a Refresh does.
#[test]
fn data_permissions_and_channels_do_not_prolong_an_allocation() {
    let mut world = World::new();
    let mut client = world.client("203.0.113.1:5000", "alice");
    let relayed = client.allocate(&mut world);
    world.pass(599);
    client.permit(&mut world, &[V4_PEER]);
    client.bind(&mut world, 0x4000, V4_PEER);
    world.relayed(client.path, &client.send(V4_PEER, b"x"));
    assert!(world.arrives_on_channel(relayed, V4_PEER, 0x4000));
    world.pass(1);
    assert_eq!(world.allocations(), 0);
}

#[test]
fn the_allocations_of_a_revoked_credential_end_at_once_and_no_others() {
    let mut world = World::new();
    let free = world.ports.free();
    let mut one = world.client("203.0.113.1:5000", "alice");
    let mut two = Client { path: path("203.0.113.1:5001"), ..one.clone() };
    world.now.unix = world.now.unix + Duration::from_secs(1);
    let mut other = world.client("203.0.113.1:5002", "alice");
    one.allocate(&mut world);
    two.allocate_dual(&mut world);
    let relayed = other.allocate(&mut world);
    one.bind(&mut world, 0x4000, V4_PEER);
    other.bind(&mut world, 0x4000, V4_PEER);

    world.revoke(&one.username);

    assert_eq!((world.allocations(), world.quotas.total(), world.ports.free()), (1, 1, free - 1));
    assert_eq!(world.engine.routes().len(), (1, 1));
    assert!(world.arrives_on_channel(relayed, V4_PEER, 0x4000));
    assert_eq!(one.refresh(&mut world, None).code(), Some(401));
    assert_eq!(other.refresh(&mut world, None).code(), None);
    world.revoke(&one.username);
    assert_eq!(world.allocations(), 1, "once is enough");
}

#[test]
fn an_allocation_that_ends_is_counted_by_its_reason_and_leaves_no_gauge_behind() {
    let (mut world, mut client, _) = World::with_allocation(|_| {});
    client.bind(&mut world, 0x4000, V4_PEER);
    client.refresh(&mut world, Some(0));
    client.allocate_dual(&mut world);
    client.permit(&mut world, &[V4_PEER]);
    world.revoke(&client.username);
    world.client("203.0.113.1:5001", "bob").allocate(&mut world);
    world.pass(600);

    let counted = metrics::relay(std::slice::from_ref(&world.counters), 0);
    let ended = counted.concluded.iter().filter(|(_, count)| **count > 0);
    let ended: Vec<_> = ended.map(|(reason, count)| (*reason, *count)).collect();
    assert_eq!(ended, [("deleted", 1), ("expired", 1), ("revoked", 1)]);
    assert!(counted.held.iter().all(|held| held.count == 0));
    assert_eq!((counted.permissions, counted.channels), (0, 0));
}
