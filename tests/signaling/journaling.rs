//! What the journal says of rooms: which limit was reached, with its key; and which clients were refused, and why.

use std::net::{IpAddr, Ipv4Addr};

use hairpin::sections::number::{Bounded, Count};
use hairpin::signaling::Plan;
use hairpin::signaling::sessions::SocketId;
use serde_json::{Value, json};

use super::world::World;
use crate::support::logged::logged;

fn host(network: u8, n: u8) -> IpAddr {
    Ipv4Addr::new(198, 51, network, n).into()
}

fn client(world: &mut World, ip: IpAddr) -> SocketId {
    let socket = world.open_from(ip, false);
    world.ask(socket, json!({"t": "hello", "v": [1]}));
    socket
}

fn join(room: &str, key: &str) -> Value {
    json!({"t": "join", "room": room, "key": key})
}

/// As many clients as this, each in a room of its own.
fn members(world: &mut World, hosts: impl IntoIterator<Item = IpAddr>) {
    for (n, ip) in hosts.into_iter().enumerate() {
        let socket = client(world, ip);
        world.ask(socket, join(&format!("room {n}"), ""));
    }
}

/// One more socket, which finds no seat.
fn knock(world: &mut World, ip: IpAddr) {
    let visit = hairpin::signaling::switchboard::Visit { ip, needs_token: false };
    assert!(world.board.open(SocketId(1000), visit, world.now, &mut world.rng).is_err());
}

/// The lines about limits, and the lines about clients, of what happens in a world.
fn said(change: impl FnOnce(&mut Plan), act: impl FnOnce(&mut World)) -> (Vec<String>, Vec<String>) {
    let lines = logged(|| {
        let mut world = World::with(change);
        act(&mut world);
        world.journal.conclude();
    });
    lines.into_iter().partition(|line| line.starts_with("INFO limit reached: "))
}

/// A limit of the rooms: its key, how it is set, and what reaches it.
type Case = (&'static str, fn(&mut Plan), fn(&mut World));

const CASES: &[Case] = &[
    (
        "rooms.capacity",
        |plan| plan.rooms.capacity = Bounded::of::<2>(),
        |world| {
            world.members::<2>("garden");
            let socket = client(world, host(100, 1));
            assert_eq!(world.refusal(socket, join("garden", "")), "room_full");
        },
    ),
    (
        "rooms.members",
        |plan| plan.sessions = 1,
        |world| {
            members(world, [host(100, 1)]);
            knock(world, host(101, 1));
        },
    ),
    (
        "rooms.members",
        |plan| plan.rooms.members = Count::of::<1>(),
        |world| {
            members(world, [host(100, 1)]);
            let socket = client(world, host(101, 1));
            assert_eq!(world.refusal(socket, join("another", "")), "server_full");
        },
    ),
    (
        "rooms.sockets_per_ip",
        |plan| plan.rooms.sockets_per_ip = Count::of::<1>(),
        |world| {
            members(world, [host(100, 1)]);
            knock(world, host(100, 1));
        },
    ),
    (
        "rooms.sockets_per_ip",
        |plan| plan.rooms.sockets_per_ip = Count::of::<1>(),
        |world| {
            members(world, [1, 2, 3, 4].map(|n| host(100, n)));
            knock(world, host(100, 5));
        },
    ),
    (
        "rooms.joins_per_minute",
        |plan| plan.rooms.joins_per_minute = Count::of::<1>(),
        |world| {
            members(world, [host(100, 1)]);
            let socket = client(world, host(100, 1));
            assert_eq!(world.refusal(socket, join("another", "")), "rate_limited");
        },
    ),
    (
        "rooms.joins_per_minute",
        |plan| plan.rooms.joins_per_minute = Count::of::<1>(),
        |world| {
            members(world, [1, 2, 3, 4].map(|n| host(100, n)));
            let socket = client(world, host(100, 5));
            assert_eq!(world.refusal(socket, join("another", "")), "rate_limited");
        },
    ),
];

#[test]
fn every_limit_that_is_reached_is_said_once_with_the_key_that_raises_it() {
    for (key, change, reach) in CASES {
        let (limits, _) = said(*change, *reach);
        let [line] = &limits[..] else { panic!("{key}: {limits:#?}") };
        assert!(line.contains(&format!("key=\"{key}\"")), "{key}: {line}");
    }
}

/// Clients join the room "garden" with these keys, each from another session.
fn guess(world: &mut World, keys: impl IntoIterator<Item = String>) {
    let owner = client(world, host(1, 1));
    world.ask(owner, join("garden", "tulips"));
    for key in keys {
        let socket = client(world, host(100, 1));
        world.say(socket, &json!({"t": "join", "room": "garden", "key": key, "id": 1}));
        world.lose(socket);
    }
}

#[test]
fn one_mistyped_key_is_a_mistake_and_many_keys_are_an_attack() {
    let (_, mistake) = said(|_| {}, |world| guess(world, (0..30).map(|_| "tulip".to_owned())));
    let (_, attack) = said(|_| {}, |world| guess(world, (0..30).map(|n| format!("key {n}"))));
    let limit = "INFO refused: cause=room_guess_limit count=20";
    assert_eq!(mistake, [limit, "INFO refused: cause=wrong_room_key count=10"]);
    assert_eq!(attack, ["INFO refused: cause=guessing_rooms count=10", limit]);
}

#[test]
fn a_wrong_token_has_a_cause_of_its_own() {
    let (_, lines) = said(
        |_| {},
        |world| {
            let socket = world.open_from(host(100, 1), true);
            world.refusal(socket, json!({"t": "hello", "v": [1], "token": "made up"}));
        },
    );
    assert_eq!(lines, ["INFO refused: cause=wrong_token count=1"]);
}
