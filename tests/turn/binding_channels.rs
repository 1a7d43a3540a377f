//! ChannelBind: short headers for one peer, how long they last, and what they collide with (RFC 8656 §12).

use hairpin::sections::number::Count;
use std::time::Duration;

use hairpin::outcome::Ignored;

use crate::support::client::Client;
use crate::support::stun::{CHANNEL_BIND, CHANNEL_NUMBER, XOR_PEER_ADDRESS, channel_data};
use crate::support::world::World;

const PEER: &str = "1.1.1.1:9000";
const OTHER_PORT: &str = "1.1.1.1:9001";
const OTHER_PEER: &str = "1.1.1.2:9000";

/// Lets time pass, and fetches the client a new nonce.
fn pass(world: &mut World, client: &mut Client, seconds: u64) {
    world.pass(seconds);
    client.challenge(world);
}

/// Whether ChannelData of the client reaches a peer.
fn leaves(world: &mut World, client: &Client, channel: u16, peer: &str) -> bool {
    use hairpin::relay::engine::Action;
    match world.deliver(client.path, &channel_data(channel, b"data")) {
        Action::ToPeer(to_peer) => to_peer.peer.0 == peer.parse().unwrap(),
        Action::Ignore(reason) => {
            assert_eq!(reason, Ignored::NoChannel);
            false
        }
        other @ (Action::Reply(_) | Action::Connect(..) | Action::Bind(..) | Action::HandOver(..)) => {
            panic!("ChannelData is never answered, but {other:?}")
        }
    }
}

#[test]
fn a_channel_carries_data_both_ways() {
    let (mut world, mut client, relayed) = World::with_allocation(|_| {});
    assert_eq!(client.bind(&mut world, 0x4000, PEER), None);
    assert!(leaves(&mut world, &client, 0x4000, PEER));
    assert!(world.arrives_on_channel(relayed, PEER, 0x4000));
}

#[test]
fn a_channel_number_lies_between_0x4000_and_0x4fff() {
    let (mut world, mut client, _) = World::with_allocation(|_| {});
    for wrong in [0, 1, 0x3FFF, 0x5000, 0x7FFE, 0x7FFF, 0x8000, 0xFFFF] {
        assert_eq!(client.bind(&mut world, wrong, PEER), Some(400), "{wrong:#x}");
    }
    assert_eq!(client.bind(&mut world, 0x4000, PEER), None);
    assert_eq!(client.bind(&mut world, 0x4FFF, OTHER_PEER), None);
}

#[test]
fn what_is_missing_or_malformed_is_a_bad_request() {
    let (mut world, mut client, _) = World::with_allocation(|_| {});
    let numbers: [&[u8]; 4] = [&[], &[0x40, 0], &[0x40, 0, 0], &[0x40, 0, 0, 0, 0]];
    for number in numbers {
        let request = client.request(CHANNEL_BIND).attr(CHANNEL_NUMBER, number).peer(PEER);
        assert_eq!(client.ask(&mut world, request).code(), Some(400), "{number:x?}");
    }
    for length in [0, 4, 7, 9, 19, 20, 21] {
        let peer = vec![1; length];
        let request = client.request(CHANNEL_BIND).attr(CHANNEL_NUMBER, &[0x40, 0, 0, 0]);
        assert_eq!(client.ask(&mut world, request.attr(XOR_PEER_ADDRESS, &peer)).code(), Some(400));
    }
    let (no_number, no_peer) = (client.request(CHANNEL_BIND).peer(PEER), client.request(CHANNEL_BIND));
    for request in [no_number, no_peer.attr(CHANNEL_NUMBER, &[0x40, 0, 0, 0])] {
        assert_eq!(client.ask(&mut world, request).code(), Some(400));
    }
    assert_eq!(world.engine.routes().len(), (0, 0));
}

#[test]
fn the_reserved_half_of_a_channel_number_is_ignored() {
    let (mut world, mut client, relayed) = World::with_allocation(|_| {});
    let request = client.request(CHANNEL_BIND).attr(CHANNEL_NUMBER, &[0x40, 0, 0xFF, 0xFF]).peer(PEER);
    assert_eq!(client.ask(&mut world, request).code(), None);
    assert!(world.arrives_on_channel(relayed, PEER, 0x4000));
}

#[test]
fn a_number_has_one_peer_and_a_peer_one_number() {
    let (mut world, mut client, relayed) = World::with_allocation(|_| {});
    client.bind(&mut world, 0x4000, PEER);
    for (number, peer) in [(0x4000, OTHER_PEER), (0x4000, OTHER_PORT), (0x4001, PEER)] {
        assert_eq!(client.bind(&mut world, number, peer), Some(400), "{number:#x} {peer}");
    }
    assert!(leaves(&mut world, &client, 0x4000, PEER), "the channel is what it was");
    assert!(world.arrives_on_channel(relayed, PEER, 0x4000));
    assert!(!world.arrives_as_indication(relayed, OTHER_PEER), "nothing was permitted");
    assert_eq!(client.bind(&mut world, 0x4001, OTHER_PORT), None, "a channel is for one port");
}

#[test]
fn two_channels_cannot_change_places() {
    let (mut world, mut client, _) = World::with_allocation(|_| {});
    client.bind(&mut world, 0x4000, PEER);
    client.bind(&mut world, 0x4001, OTHER_PEER);
    assert_eq!(client.bind(&mut world, 0x4000, OTHER_PEER), Some(400));
    assert_eq!(client.bind(&mut world, 0x4001, PEER), Some(400));
}

#[test]
fn a_peer_must_be_of_the_family_and_permitted() {
    let (mut world, mut client, _) = World::with_allocation(|_| {});
    for (peer, code) in [
        ("[2606:4700::1111]:9000", 443),
        ("10.0.0.1:9000", 403),
        ("1.1.1.1:0", 403),
        ("1.1.1.1:53", 403),
        ("1.1.1.1:11211", 403),
    ] {
        assert_eq!(client.bind(&mut world, 0x4000, peer), Some(code), "{peer}");
    }
    assert_eq!(world.engine.routes().len(), (0, 0));
    assert_eq!(client.bind(&mut world, 0x4000, PEER), None, "a refused number is not taken");
}

#[test]
fn the_same_number_means_something_else_to_each_client() {
    let (mut world, mut client, _) = World::with_allocation(|_| {});
    let mut other = world.client("203.0.113.1:5001", "alice");
    other.allocate(&mut world);
    client.bind(&mut world, 0x4000, PEER);
    assert!(!leaves(&mut world, &other, 0x4000, PEER));
    assert_eq!(other.bind(&mut world, 0x4000, OTHER_PEER), None);
    assert!(leaves(&mut world, &client, 0x4000, PEER) && leaves(&mut world, &other, 0x4000, OTHER_PEER));
}

#[test]
fn a_channel_lasts_ten_minutes() {
    let (mut world, mut client, _) = World::with_allocation(|_| {});
    client.bind(&mut world, 0x4000, PEER);
    world.now = world.now + Duration::from_nanos(600_000_000_000 - 1);
    assert!(leaves(&mut world, &client, 0x4000, PEER));
    world.now = world.now + Duration::from_nanos(1);
    assert!(!leaves(&mut world, &client, 0x4000, PEER));
}

/// RFC 8656 §12.6: data does not refresh a channel.
#[test]
fn binding_the_same_pair_again_refreshes_it() {
    let (mut world, mut client, _) = World::with_allocation(|_| {});
    client.bind(&mut world, 0x4000, PEER);
    pass(&mut world, &mut client, 599);
    assert_eq!(client.bind(&mut world, 0x4000, PEER), None);
    pass(&mut world, &mut client, 599);
    assert!(leaves(&mut world, &client, 0x4000, PEER));
    pass(&mut world, &mut client, 1);
    assert!(!leaves(&mut world, &client, 0x4000, PEER));
}

#[test]
fn for_five_minutes_more_neither_number_nor_peer_can_be_bound_to_another() {
    let (mut world, mut client, _) = World::with_allocation(|_| {});
    client.bind(&mut world, 0x4000, PEER);
    for elapsed in [600, 299] {
        pass(&mut world, &mut client, elapsed);
        assert!(!leaves(&mut world, &client, 0x4000, PEER));
        assert_eq!(client.bind(&mut world, 0x4000, OTHER_PEER), Some(400));
        assert_eq!(client.bind(&mut world, 0x4001, PEER), Some(400));
    }
    pass(&mut world, &mut client, 1);
    assert_eq!(client.bind(&mut world, 0x4000, OTHER_PEER), None);
    assert_eq!(client.bind(&mut world, 0x4001, PEER), None);
    assert!(leaves(&mut world, &client, 0x4000, OTHER_PEER) && leaves(&mut world, &client, 0x4001, PEER));
}

#[test]
fn an_expired_channel_can_be_bound_to_its_own_peer_at_once() {
    let (mut world, mut client, relayed) = World::with_allocation(|_| {});
    client.bind(&mut world, 0x4000, PEER);
    pass(&mut world, &mut client, 700);
    assert_eq!(client.bind(&mut world, 0x4000, PEER), None);
    assert!(leaves(&mut world, &client, 0x4000, PEER));
    assert!(world.arrives_on_channel(relayed, PEER, 0x4000));
}

/// aiortc and werift bind a channel once, refresh no permission, and bind again at 500 s.
#[test]
fn a_peer_with_a_channel_is_heard_for_as_long_as_the_channel_lasts() {
    let (mut world, mut client, relayed) = World::with_allocation(|_| {});
    client.bind(&mut world, 0x4000, PEER);
    for elapsed in [301, 298] {
        world.pass(elapsed);
        assert!(world.arrives_on_channel(relayed, PEER, 0x4000));
    }
    world.pass(2);
    assert_eq!(world.peer_sends(relayed, PEER, 10), Err(Ignored::NoPermission), "at 601 s");
}

#[test]
fn binding_permits_the_address_for_ten_minutes() {
    let (mut world, mut client, relayed) = World::with_allocation(|_| {});
    client.bind(&mut world, 0x4000, PEER);
    assert!(world.arrives_as_indication(relayed, OTHER_PORT), "permissions know no port");
    world.relayed(client.path, &client.send(OTHER_PORT, b"x"));
    pass(&mut world, &mut client, 599);
    assert!(world.arrives_as_indication(relayed, OTHER_PORT));
    assert_eq!(client.bind(&mut world, 0x4000, PEER), None);
    world.pass(599);
    assert!(world.arrives_as_indication(relayed, OTHER_PORT), "binding again permits again");
    world.pass(1);
    assert!(!world.arrives_as_indication(relayed, OTHER_PORT));
}

#[test]
fn a_permission_of_five_minutes_does_not_shorten_what_a_channel_permits() {
    let (mut world, mut client, relayed) = World::with_allocation(|_| {});
    client.bind(&mut world, 0x4000, PEER);
    client.permit(&mut world, &[PEER]);
    world.pass(599);
    assert!(world.arrives_on_channel(relayed, PEER, 0x4000));
    assert!(world.arrives_as_indication(relayed, OTHER_PORT));
}

#[test]
fn a_permission_without_a_channel_lets_indications_in() {
    let (mut world, mut client, relayed) = World::with_allocation(|_| {});
    client.bind(&mut world, 0x4000, PEER);
    pass(&mut world, &mut client, 599);
    client.permit(&mut world, &[PEER]);
    assert!(world.arrives_on_channel(relayed, PEER, 0x4000));
    world.pass(1);
    assert!(world.arrives_as_indication(relayed, PEER));
    assert!(!leaves(&mut world, &client, 0x4000, PEER));
    world.relayed(client.path, &client.send(PEER, b"x"));
}

#[test]
fn an_allocation_has_at_most_thirty_two_channels() {
    let (mut world, mut client, _) = World::with_allocation(|_| {});
    let peer = |n: u16| format!("1.1.1.1:{}", 9000 + n);
    for n in 0..32 {
        assert_eq!(client.bind(&mut world, 0x4000 + n, &peer(n)), None, "{n}");
    }
    assert_eq!(client.bind(&mut world, 0x4020, &peer(32)), Some(508));
    assert_eq!(client.bind(&mut world, 0x4000, &peer(0)), None, "a refresh needs no room");
    pass(&mut world, &mut client, 899);
    assert_eq!(client.bind(&mut world, 0x4020, &peer(32)), Some(508), "reservations take room");
    pass(&mut world, &mut client, 1);
    assert_eq!(client.bind(&mut world, 0x4020, &peer(32)), None);
    assert_eq!(world.engine.routes().len(), (1, 1));
}

#[test]
fn a_channel_that_cannot_be_permitted_is_not_bound() {
    let (mut world, mut client, _) =
        World::with_allocation(|plan| plan.limits.configured.permissions = Count::of::<1>());
    client.permit(&mut world, &[OTHER_PEER]);
    assert_eq!(client.bind(&mut world, 0x4000, PEER), Some(508));
    assert_eq!(world.engine.routes().len(), (0, 0));
    assert!(!leaves(&mut world, &client, 0x4000, PEER));
    assert_eq!(client.bind(&mut world, 0x4000, OTHER_PEER), None);
}

#[test]
fn channels_end_with_their_allocation() {
    let (mut world, mut client, _) = World::with_allocation(|_| {});
    client.bind(&mut world, 0x4000, PEER);
    client.refresh(&mut world, Some(0));
    let relayed = client.allocate(&mut world);
    assert!(!leaves(&mut world, &client, 0x4000, PEER));
    assert!(!world.arrives_as_indication(relayed, PEER), "and so do permissions");
    assert_eq!(client.bind(&mut world, 0x4000, OTHER_PEER), None, "and reservations");
}

/// RFC 5766 let clients bind up to 0x7FFF, and some still do.
#[test]
fn an_operator_can_allow_the_channels_of_rfc_5766() {
    let (mut world, mut client, relayed) = World::with_allocation(|plan| plan.rfc5766_channels = true);
    for (number, peer) in [(0x5000, PEER), (0x7FFE, OTHER_PEER), (0x4FFF, OTHER_PORT)] {
        assert_eq!(client.bind(&mut world, number, peer), None, "{number:#x}");
        assert!(leaves(&mut world, &client, number, peer));
        assert!(world.arrives_on_channel(relayed, peer, number));
    }
    for wrong in [0x3FFF, 0x8000, 0xFFFF] {
        assert_eq!(client.bind(&mut world, wrong, "8.8.8.8:9000"), Some(400), "{wrong:#x}");
    }
}

#[test]
fn data_under_any_other_number_is_dropped() {
    let (mut world, client, _) = World::with_allocation(|_| {});
    for number in 0x5000..=0xFFFF {
        let reason = world.drop_of(client.path, &channel_data(number, b"data"));
        let expected = if number < 0x8000 { Ignored::NoChannel } else { Ignored::NotStun };
        assert_eq!(reason, expected, "{number:#x}");
    }
}
