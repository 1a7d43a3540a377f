//! What users use is told to the ledger, and a user who has carried the bytes of one day waits for the next.

use std::collections::BTreeSet;
use std::num::NonZeroU64;

use hairpin::credentials::{Owner, OwnerKind};
use hairpin::outcome::{Method, Refusal};
use hairpin::relay::engine::usage::PERIOD;
use hairpin::sections::value::Off;
use hairpin::usage::day::Day;
use hairpin::usage::ledger::{Purpose, Used};

use crate::support::client::Client;
use crate::support::stun::{LIFETIME, channel_data};
use crate::support::world::{World, path};

const PEER: &str = "1.1.1.1:9000";
const CHANNEL: u16 = 0x4000;
/// Bytes of one day, where there is a limit.
const MOST: u64 = 10_000;

/// A world whose ledger is kept.
fn counting() -> World {
    World::with(|plan| plan.usage = Purpose { store: true, limit: true })
}

fn limited() -> World {
    World::with(|plan| {
        plan.usage = Purpose { store: true, limit: true };
        plan.limits.configured.bytes_per_user_per_day = Off(NonZeroU64::new(MOST));
    })
}

fn tag(tag: &str) -> Owner {
    Owner { kind: OwnerKind::TimeLimited, tag: tag.into() }
}

/// Sends `packets` packets of 1,000 bytes to the peer.
fn carry(world: &mut World, client: &mut Client, packets: usize) {
    assert_eq!(client.bind(world, CHANNEL, PEER), None);
    for _ in 0..packets {
        world.relayed(client.path, &channel_data(CHANNEL, &[7; 1000]));
    }
}

/// What the ledger would write now, for each user and day.
fn taken(world: &World) -> Vec<(String, Used)> {
    let pages = world.usage.take();
    assert!(pages.values().all(|page| page.others.is_nothing()));
    let users = pages.into_values().flat_map(|page| page.users);
    users.map(|(owner, used)| (owner.tag.into_string(), used)).collect()
}

/// Midnight, by the clock of the world.
fn midnight(world: &World) -> u64 {
    Day::of(world.now.unix).left(world.now.unix).as_secs()
}

#[test]
fn what_a_session_uses_is_known_while_it_runs_and_adds_up_when_it_ends() {
    let mut world = counting();
    let mut client = world.client("203.0.113.1:5000", "alice");
    let relayed = client.allocate(&mut world);
    carry(&mut world, &mut client, 3);
    for _ in 0..2 {
        world.peer_sends(relayed, PEER, 100).unwrap();
    }
    assert!(taken(&world).is_empty(), "a packet tells the ledger nothing");

    world.pass(PERIOD.as_secs());
    let first = Used { sessions: 1, seconds: 20, bytes_up: 3000, bytes_down: 200 };
    assert_eq!(taken(&world), [("alice".to_owned(), first)]);

    world.relayed(client.path, &channel_data(CHANNEL, &[7; 1000]));
    world.pass(7);
    client.refresh(&mut world, Some(0));
    let rest = Used { sessions: 0, seconds: 7, bytes_up: 1000, bytes_down: 0 };
    assert_eq!(taken(&world), [("alice".to_owned(), rest)]);
    world.pass(60);
    assert!(taken(&world).is_empty() && world.engine.next_deadline().is_none());
}

#[test]
fn however_a_session_ends_nothing_of_it_is_lost() {
    type End = fn(&mut World, &mut Client);
    let ends: [(&str, End); 4] = [
        ("expires", |world, _| world.pass(600)),
        ("is revoked", |world, client| world.revoke(&client.username.clone())),
        ("is cut off", |world, client| {
            world.engine.disconnect(client.path, world.now.moment, &mut world.ports);
        }),
        ("stops with the daemon", |world, _| world.engine.conclude(world.now.moment)),
    ];
    for (how, end) in ends {
        let mut world = counting();
        let mut client = world.client("203.0.113.1:5000", "alice");
        client.allocate(&mut world);
        carry(&mut world, &mut client, 3);
        end(&mut world, &mut client);
        let used = taken(&world);
        assert_eq!(used.len(), 1, "{how}");
        assert_eq!((used[0].1.sessions, used[0].1.bytes_up), (1, 3000), "{how}");
    }
}

/// A visit to the whole table at once would keep packets waiting.
#[test]
fn a_thousand_sessions_are_visited_in_pieces_and_each_of_them_within_a_period() {
    let mut world = counting();
    for n in 0..1000_u32 {
        let mut client = world.client(&format!("203.0.{}.{}:5000", n / 250, n % 250), &format!("shop.{n}"));
        client.allocate(&mut world);
    }
    let mut known = BTreeSet::new();
    for _ in 0..PERIOD.as_secs() {
        world.pass(1);
        let piece = taken(&world);
        assert!(piece.len() <= 256, "{}", piece.len());
        known.extend(piece.into_iter().map(|(user, _)| user));
    }
    assert_eq!(known.len(), 1000);
}

#[test]
fn a_user_who_has_carried_the_bytes_of_one_day_makes_no_session_and_prolongs_none() {
    let mut world = limited();
    let mut client = world.client("203.0.113.1:5000", "alice");
    client.allocate(&mut world);
    carry(&mut world, &mut client, 9);
    world.pass(PERIOD.as_secs());
    assert_eq!(client.refresh(&mut world, Some(600)).code(), None, "1,000 bytes are left");
    carry(&mut world, &mut client, 1);
    world.pass(PERIOD.as_secs());

    assert_eq!(client.refresh(&mut world, Some(600)).code(), Some(486));
    let mut elsewhere = world.client("203.0.113.2:5000", "alice");
    assert_eq!(elsewhere.try_allocate(&mut world, |request| request).code(), Some(486));

    for method in [Method::Allocate, Method::Refresh] {
        assert_eq!(world.counters.refusals(method, Refusal::DailyBytes), 1);
    }
    carry(&mut world, &mut client, 1);
    assert_eq!(world.allocations(), 1, "what runs goes on until its lifetime is over");
    let mut neighbour = world.client("203.0.113.1:5001", "bob");
    assert_eq!(neighbour.try_allocate(&mut world, |request| request).code(), None);
    assert_eq!(client.refresh(&mut world, Some(0)).code(), None, "a session can always be ended");
    world.pass(600);
    assert_eq!(world.allocations(), 0);
}

#[test]
fn at_midnight_the_user_goes_on() {
    let mut world = limited();
    world.usage.turn(world.now.unix);
    let all = Used { bytes_down: MOST, ..Used::default() };
    world.usage.adding().add(&tag("alice"), all);
    let left = midnight(&world);
    world.pass(left - 1);
    let mut client = world.client("203.0.113.1:5000", "alice");
    assert_eq!(client.try_allocate(&mut world, |request| request).code(), Some(486));
    world.pass(1);
    assert_eq!(client.try_allocate(&mut world, |request| request).code(), None);
}

/// A session that has an hour would carry on for as long when the limit is reached.
#[test]
fn with_a_limit_for_one_day_sessions_are_granted_ten_minutes_at_a_time() {
    let mut world = limited();
    let mut client = world.client("203.0.113.1:5000", "alice");
    let hour = 3600_u32.to_be_bytes();
    let answer = client.try_allocate(&mut world, |request| request.attr(LIFETIME, &hour));
    assert_eq!(answer.lifetime(), 600);
    assert_eq!(client.refresh(&mut world, Some(3600)).lifetime(), 600);
}

#[test]
fn a_ledger_that_is_kept_for_nothing_is_told_nothing() {
    let mut world = World::new();
    let mut client = Client::new(path("203.0.113.1:5000"), "alice", "wonderland");
    client.allocate(&mut world);
    carry(&mut world, &mut client, 1);
    world.pass(60);
    client.refresh(&mut world, Some(0));
    assert!(taken(&world).is_empty());
}

#[test]
fn what_a_session_used_before_a_reload_keeps_the_ledger_is_never_told() {
    let mut world = World::new();
    let mut client = world.client("203.0.113.1:5000", "alice");
    client.allocate(&mut world);
    carry(&mut world, &mut client, 5);
    world.pass(PERIOD.as_secs());

    world.usage.keep_for(Purpose { store: true, limit: true });
    world.relayed(client.path, &channel_data(CHANNEL, &[7; 1000]));
    world.pass(PERIOD.as_secs());

    let since = Used { sessions: 0, seconds: 20, bytes_up: 1000, bytes_down: 0 };
    assert_eq!(taken(&world), [("alice".to_owned(), since)]);
}
