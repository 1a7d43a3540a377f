//! How much one user, one address and everybody together may have, and what makes room.

use hairpin::sections::number::Count;
use std::time::Duration;

use hairpin::bounds::rate::Rate;
use hairpin::credentials::{Owner, OwnerKind};
use hairpin::outcome::{Ignored, Method, Refusal};
use hairpin::relay::engine::Action;

use crate::support::client::Client;
use crate::support::stun::{EVEN_PORT, Message, REQUESTED_ADDRESS_FAMILY, RESERVATION_TOKEN, channel_data};
use crate::support::world::{TablePorts, World};

const PEER: &str = "1.1.1.1:9000";

/// A user allocates from an address; returns the client and the error code, if it is refused.
fn allocate(world: &mut World, address: &str, tag: &str) -> (Client, Option<u16>) {
    let mut client = world.client(address, tag);
    let code = client.try_allocate(world, |request| request).code();
    (client, code)
}

/// The allocations that are not about to be closed, as the engine and as the ledger count them.
fn held(world: &World) -> (usize, usize) {
    let allocations = world.engine.allocations().iter();
    (allocations.filter(|(_, allocation)| !allocation.lease.is_evicted()).count(), world.quotas.total())
}

#[test]
fn all_credentials_of_a_user_share_one_quota() {
    let mut world = World::with(|plan| plan.limits.configured.allocations_per_user = Count::of::<2>());
    assert_eq!(allocate(&mut world, "203.0.113.1:5000", "alice").1, None);
    world.pass(7);
    assert_eq!(allocate(&mut world, "203.0.113.2:5000", "alice").1, None);
    world.pass(7);
    let (client, code) = allocate(&mut world, "203.0.113.3:5000", "alice");
    assert_eq!((client.username.as_str(), code), ("1800003614:alice", Some(486)));
    assert_eq!(allocate(&mut world, "203.0.113.3:5000", "bob").1, None);
    assert_eq!(held(&world), (3, 3));
}

#[test]
fn all_users_of_an_address_share_one_quota() {
    for (addresses, other) in [
        (["203.0.113.1:5000", "203.0.113.1:5001", "203.0.113.1:5002"], "203.0.113.2:5000"),
        (["[2a00:1:2:3::1]:5000", "[2a00:1:2:3::2]:5000", "[2a00:1:2:3:4::]:5000"], "[2a00:1:2:4::1]:5000"),
    ] {
        let mut world = World::with(|plan| plan.limits.allocations_per_ip = 2);
        let codes = [0, 1, 2].map(|n| allocate(&mut world, addresses[n], &format!("user {n}")).1);
        assert_eq!(codes, [None, None, Some(486)], "one IPv6 host has a whole /64");
        assert_eq!(allocate(&mut world, other, "user 2").1, None);
    }
}

#[test]
fn the_server_has_a_quota_too() {
    let mut world = World::with(|plan| plan.limits.allocations = 2);
    let (mut first, _) = allocate(&mut world, "203.0.113.1:5000", "alice");
    allocate(&mut world, "203.0.113.2:5000", "bob");
    assert_eq!(allocate(&mut world, "203.0.113.3:5000", "carol").1, Some(508));
    assert_eq!(world.counters.refusals(Method::Allocate, Refusal::ServerQuota), 1);
    first.refresh(&mut world, Some(0));
    assert_eq!(allocate(&mut world, "203.0.113.3:5000", "carol").1, None);
}

#[test]
fn a_pair_of_ports_needs_room_for_two() {
    let mut world = World::with(|plan| plan.limits.configured.allocations_per_user = Count::of::<3>());
    let mut pair = |address| {
        let mut client = world.client(address, "alice");
        let code = client.try_allocate(&mut world, |request| request.attr(EVEN_PORT, &[0x80])).code();
        (code, world.quotas.total(), world.ports.open.len(), world.ports.reserved.len())
    };
    assert_eq!(pair("203.0.113.1:5000"), (None, 2, 1, 1));
    assert_eq!(pair("203.0.113.2:5000"), (Some(486), 2, 1, 1));
}

#[test]
fn a_flood_of_one_user_gets_sixteen_allocations() {
    let mut world = World::with(|plan| plan.limits.configured.allocations_per_user = Count::of::<16>());
    let codes: Vec<_> =
        (0..1000).map(|n| allocate(&mut world, &format!("203.0.113.1:{}", 5000 + n), "alice").1).collect();
    assert!(codes[..16].iter().all(Option::is_none));
    assert!(codes[16..].iter().all(|code| *code == Some(486)));
    assert_eq!((held(&world), world.ports.open.len()), ((16, 16), 16));
}

#[test]
fn all_allocations_of_a_user_share_one_bandwidth_and_everybody_another() {
    let rate = |packets: u64| Some(Rate::new(packets * 1000, Duration::from_secs(1), packets * 1000));
    let sent = |user, total| {
        let mut world = World::with(|plan| (plan.limits.user_bytes, plan.limits.total_bytes) = (user, total));
        let clients =
            [("203.0.113.1:5000", "alice"), ("203.0.113.2:5000", "alice"), ("203.0.113.3:5000", "bob")];
        clients.map(|(address, tag)| {
            let (mut client, _) = allocate(&mut world, address, tag);
            assert_eq!(client.bind(&mut world, 0x4000, PEER), None);
            let packet = channel_data(0x4000, &[0; 1000]);
            let sent =
                (0..200).filter(|_| matches!(world.deliver(client.path, &packet), Action::ToPeer(_))).count();
            let allocation = world.engine.allocations().by_path(&client.path);
            let allocation = allocation.and_then(|id| world.engine.allocations().get(id)).unwrap();
            assert_eq!(allocation.up.packets, sent as u64, "what is dropped is not counted as carried");
            sent
        })
    };
    assert_eq!(sent(None, None), [200, 200, 200]);
    assert_eq!(sent(rate(150), None), [150, 0, 150]);
    assert_eq!(sent(rate(150), rate(170)).iter().sum::<usize>(), 163, "170 less what was taken in advance");
}

#[test]
fn a_flood_of_permissions_stops_at_its_cap_and_at_its_rate() {
    let peer = |n: u32| format!("1.2.{}.{}:9000", n / 256, n % 256);
    let (mut world, mut client, _) = World::with_allocation(|_| {});
    let granted = (0..1000).filter(|n| client.permit(&mut world, &[&peer(*n)]).is_none()).count();
    assert_eq!((granted, world.counters.refusals(Method::CreatePermission, Refusal::Permissions)), (32, 968));

    let (mut world, mut client, _) = World::with_allocation(|plan| {
        plan.limits.configured.permissions = Count::of::<1000>();
        plan.limits.new_peers = Rate::new(5, Duration::from_secs(1), 32);
    });
    let mut granted = 0;
    for n in 0..1000 {
        granted += u32::from(client.permit(&mut world, &[&peer(n)]).is_none());
        world.now = world.now + Duration::from_millis(10);
    }
    assert_eq!(granted, 32 + 49, "a burst, and five in each of the ten seconds");
}

#[test]
fn a_flood_of_channels_stops_at_its_cap() {
    let (mut world, mut client, _) = World::with_allocation(|_| {});
    let peer = |n: u16| format!("1.1.1.1:{}", 9000 + n);
    let granted = (0..1000).filter(|n| client.bind(&mut world, 0x4000 + n, &peer(*n)).is_none()).count();
    assert_eq!((granted, world.counters.refusals(Method::ChannelBind, Refusal::Channels)), (32, 968));
    assert_eq!(world.engine.routes().len(), (32, 32));
}

#[test]
fn an_allocation_that_was_idle_for_a_minute_makes_way() {
    let mut world = World::with(|plan| plan.limits.configured.allocations_per_user = Count::of::<1>());
    let (mut old, _) = allocate(&mut world, "203.0.113.1:5000", "alice");
    world.pass(59);
    assert_eq!(allocate(&mut world, "203.0.113.2:5000", "alice").1, Some(486));
    world.pass(1);
    let (mut new, code) = allocate(&mut world, "203.0.113.2:5000", "alice");
    assert_eq!((code, held(&world)), (None, (1, 1)));
    assert_eq!(old.refresh(&mut world, None).code(), Some(437), "though it is not closed yet");

    world.pass(5);

    assert_eq!((world.allocations(), world.ports.open.len(), world.quotas.total()), (1, 1, 1));
    assert_eq!(old.refresh(&mut world, None).code(), Some(437));
    assert_eq!(new.refresh(&mut world, None).code(), None);
}

#[test]
fn nothing_makes_way_for_a_request_that_cannot_be_granted() {
    let mut world = World::with(|plan| {
        plan.limits.configured.allocations_per_user = Count::of::<1>();
        plan.ports = TablePorts::new(&["192.0.2.1"], 50_000, 50_099);
    });
    let (mut old, _) = allocate(&mut world, "203.0.113.1:5000", "alice");
    world.pass(60);
    let mut new = world.client("203.0.113.2:5000", "alice");
    let answer =
        new.try_allocate(&mut world, |request| request.attr(REQUESTED_ADDRESS_FAMILY, &[2, 0, 0, 0]));
    assert_eq!((answer.code(), old.refresh(&mut world, None).code()), (Some(440), None));
}

#[test]
fn the_one_that_was_idle_the_longest_makes_way_and_no_other() {
    let mut world = World::with(|plan| plan.limits.configured.allocations_per_user = Count::of::<3>());
    let mut clients = [1, 2, 3].map(|n| allocate(&mut world, &format!("203.0.113.{n}:5000"), "alice").0);
    world.pass(10);
    assert_eq!(clients[0].refresh(&mut world, None).code(), None);
    world.pass(65);
    assert_eq!(clients[2].refresh(&mut world, None).code(), None);
    assert_eq!(allocate(&mut world, "203.0.113.4:5000", "alice").1, None);
    world.pass(5);
    let codes = clients.each_mut().map(|client| client.refresh(&mut world, None).code());
    assert_eq!(codes, [None, Some(437), None]);
}

#[test]
fn what_is_in_use_does_not_make_way() {
    for used_by in ["channel", "indication", "peer", "refresh"] {
        let mut world = World::with(|plan| plan.limits.configured.allocations_per_user = Count::of::<1>());
        let mut client = world.client("203.0.113.1:5000", "alice");
        let relayed = client.allocate(&mut world);
        client.bind(&mut world, 0x4000, PEER);
        world.pass(30);
        match used_by {
            "channel" => drop(world.relayed(client.path, &channel_data(0x4000, b"x"))),
            "indication" => drop(world.relayed(client.path, &client.send(PEER, b"x"))),
            "peer" => assert!(world.arrives_on_channel(relayed, PEER, 0x4000)),
            _ => assert_eq!(client.refresh(&mut world, None).code(), None),
        }
        world.pass(59);
        assert_eq!(allocate(&mut world, "203.0.113.2:5000", "alice").1, Some(486), "{used_by}");
        world.pass(1);
        assert_eq!(allocate(&mut world, "203.0.113.2:5000", "alice").1, None, "{used_by}");
    }
}

#[test]
fn packets_that_are_dropped_are_no_use() {
    let mut world = World::with(|plan| plan.limits.configured.allocations_per_user = Count::of::<1>());
    let mut client = world.client("203.0.113.1:5000", "alice");
    let relayed = client.allocate(&mut world);
    world.pass(60);
    assert_eq!(world.peer_sends(relayed, PEER, 10), Err(Ignored::NoPermission));
    world.drop_of(client.path, &client.send(PEER, b"x"));
    world.drop_of(client.path, &channel_data(0x4000, b"x"));
    assert_eq!(allocate(&mut world, "203.0.113.2:5000", "alice").1, None);
}

#[test]
fn nobody_makes_way_for_another_user() {
    let mut world = World::with(|plan| plan.limits.allocations_per_ip = 1);
    allocate(&mut world, "203.0.113.1:5000", "alice");
    world.pass(100);
    assert_eq!(allocate(&mut world, "203.0.113.1:5001", "bob").1, Some(486));
    assert_eq!(allocate(&mut world, "203.0.113.1:5001", "alice").1, None);
    world.pass(5);
    assert_eq!((world.allocations(), held(&world)), (1, (1, 1)));
}

#[test]
fn an_allocation_elsewhere_does_not_make_room_at_an_address() {
    let mut world = World::with(|plan| plan.limits.allocations_per_ip = 1);
    let (mut client, _) = allocate(&mut world, "203.0.113.1:5000", "alice");
    allocate(&mut world, "203.0.113.2:5000", "bob");
    world.pass(100);
    assert_eq!(allocate(&mut world, "203.0.113.2:5001", "alice").1, Some(486));
    world.pass(5);
    assert_eq!(client.refresh(&mut world, None).code(), None);
}

/// The ledger is shared by all shards; each closes its own.
#[test]
fn an_allocation_makes_way_for_one_of_another_shard() {
    let mut world = World::with(|plan| plan.limits.configured.allocations_per_user = Count::of::<1>());
    let (mut client, _) = allocate(&mut world, "203.0.113.1:5000", "alice");
    world.pass(60);
    let owner = Owner { kind: OwnerKind::TimeLimited, tag: "alice".into() };
    let elsewhere = world.quotas.admit(&owner, client.path.client.ip(), world.now.moment);
    assert!(elsewhere.is_ok());
    world.pass(5);
    assert_eq!(client.refresh(&mut world, None).code(), Some(437));
    assert_eq!((world.ports.open.len(), world.quotas.total()), (0, 1));
}

/// A phone on a train: each network leaves an allocation behind.
#[test]
fn a_client_that_keeps_changing_networks_is_never_refused() {
    for seconds in [5, 30] {
        let mut world = World::with(|plan| {
            plan.limits.configured.allocations_per_user = Count::of::<16>();
            plan.limits.allocations_per_ip = 64;
        });
        let mut client = world.client("203.0.113.0:5000", "alice");
        for n in 0..=20 {
            client.path.client = format!("203.0.113.{n}:5000").parse().unwrap();
            client.challenge(&mut world);
            client.allocate(&mut world);
            assert_eq!(client.bind(&mut world, 0x4000, PEER), None);
            for _ in 0..seconds {
                world.relayed(client.path, &channel_data(0x4000, b"media"));
                world.pass(1);
            }
        }
        assert!(world.allocations() <= 17, "one may be waiting for the sweep");
    }
}

/// Whoever lets go of allocations and keeps their reservations could hold every port there is.
#[test]
fn a_reserved_port_counts_for_as_long_as_it_could_be_held() {
    let mut world = World::with(|plan| plan.limits.configured.allocations_per_user = Count::of::<3>());
    let mut client = world.client("203.0.113.1:5000", "alice");
    let mut reserve = |world: &mut World| {
        let code = client.try_allocate(world, |request| request.attr(EVEN_PORT, &[0x80])).code();
        client.refresh(world, Some(0));
        code
    };
    assert_eq!([reserve(&mut world), reserve(&mut world), reserve(&mut world)], [None, None, Some(486)]);
    world.pass(30);
    assert_eq!((reserve(&mut world), world.ports.reserved.len()), (None, 1));
}

/// EVEN-PORT without the reserve bit once cost coturn a port each time.
#[test]
fn ten_thousand_allocations_leave_every_port_free() {
    let mut world = World::with(|plan| plan.ports = TablePorts::new(&["192.0.2.1"], 50_000, 50_099));
    let mut clients = [1, 2].map(|n| world.client(&format!("203.0.113.{n}:5000"), "alice"));
    let mut granted = 0;
    let mut count = |answer: &Message| granted += u32::from(answer.code().is_none());
    for minute in 0..2_500 {
        if minute % 100 == 0 {
            world.pass(60);
            clients.iter_mut().for_each(|client| client.challenge(&mut world));
        }
        for even in [None, Some(0), Some(0x80)] {
            let [first, second] = &mut clients;
            let answer = first.try_allocate(&mut world, |request| match even {
                Some(flags) => request.attr(EVEN_PORT, &[flags]),
                None => request,
            });
            let token = answer.get(RESERVATION_TOKEN).unwrap_or(&[7; 8]);
            count(&answer);
            count(&second.try_allocate(&mut world, |request| request.attr(RESERVATION_TOKEN, token)));
            clients.iter_mut().for_each(|client| drop(client.refresh(&mut world, Some(0))));
        }
    }
    assert_eq!((granted, world.allocations()), (10_000, 0));
    world.pass(30);
    assert_eq!((world.ports.free(), world.ports.open.len(), world.quotas.total()), (100, 0, 0));
}
