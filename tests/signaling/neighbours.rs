//! Who is limited for whose doing: whoever attacks stays bounded, and the neighbour behind the same address is served.

use hairpin::sections::number::Bounded;
use std::net::{IpAddr, Ipv6Addr};
use std::time::Duration;

use hairpin::config::Config;
use hairpin::daemon::Daemon;
use hairpin::origin::PublicUrl;
use hairpin::room_token::Create;
use hairpin::room_token::RoomTokens;
use hairpin::secret::Secret;
use hairpin::sections::number::Count;
use hairpin::sections::rooms::Rooms;
use hairpin::signaling::seats::NoSeat;
use hairpin::signaling::sessions::SocketId;
use serde_json::{Value, json};

use super::daemon::start_changed;
use super::world::{RULES, SECRET, UNIX, World, until};
use crate::support::http::{Answer, Http};
use crate::support::stream::eventually;
use crate::support::websocket::{WebSocket, headers};

/// Everybody here is behind this one, but for who is somewhere else.
const HERE: &str = "198.51.100.7";

fn client_at(world: &mut World, ip: IpAddr, token: Option<&str>) -> SocketId {
    let socket = world.open_from(ip, false);
    let welcome = world.ask(socket, json!({"t": "hello", "v": [1], "token": token}));
    assert_eq!(welcome["t"], "welcome", "{welcome}");
    socket
}

fn client_here(world: &mut World) -> SocketId {
    client_at(world, HERE.parse().unwrap(), None)
}

/// A host of the `n`th /64 in the `net`th /48.
fn host(net: u16, n: u16) -> IpAddr {
    Ipv6Addr::new(0x2001, 0xdb8, net, n, 0, 0, 0, 1).into()
}

fn join(room: &str, key: &str) -> Value {
    json!({"t": "join", "room": room, "key": key})
}

/// Joins and leaves until it is told to wait; returns how often it came in.
fn storm(world: &mut World, socket: SocketId) -> usize {
    let joins = (0..10_000).take_while(|n| {
        let answer = world.ask(socket, join(&format!("room {n}"), ""));
        let is_in = answer["t"] == "joined";
        assert!(is_in || answer["code"] == "rate_limited", "{answer}");
        world.ask(socket, json!({"t": "leave"}));
        is_in
    });
    joins.count()
}

/// Guesses the key of a room from fresh sessions of one address, until told to wait; returns how often it was wrong.
fn guess(world: &mut World, ip: IpAddr, room: &str) -> usize {
    let mut socket = client_at(world, ip, None);
    let guesses = (0..10_000).take_while(|n| {
        if n % 5 == 4 {
            world.lose(socket);
            socket = client_at(world, ip, None);
        }
        let answer = world.refusal(socket, join(room, &format!("guess {n}")));
        assert!(["bad_key", "room_not_found", "rate_limited"].contains(&&*answer), "{answer}");
        answer != "rate_limited"
    });
    let count = guesses.count();
    world.lose(socket);
    count
}

/// Returns what whoever created it was told.
fn keyed_room(world: &mut World, room: &str) -> Value {
    let (owner, _) = world.client();
    let joined = world.ask(owner, join(room, "tulips"));
    assert_eq!(joined["t"], "joined", "{joined}");
    joined
}

/// The daemon with the limits of the default configuration, behind a proxy that says who comes.
fn proxied(ports: &str, change: impl FnOnce(&mut Config)) -> Daemon {
    start_changed(ports, |config| {
        config.rooms = Rooms::default();
        config.http.public_url = Some(PublicUrl::parse("https://call.example").unwrap());
        change(config);
    })
}

fn open_from(daemon: &Daemon, client: &str) -> Result<WebSocket, Answer> {
    let mut headers = headers("https://call.example");
    headers.push(("X-Forwarded-For", client));
    WebSocket::try_open(Http::of(daemon), &headers)
}

fn welcome_from(daemon: &Daemon, client: &str) -> (WebSocket, String) {
    let mut socket = open_from(daemon, client).expect("the socket opens");
    let welcome = socket.ask(json!({"t": "hello", "v": [1]}));
    (socket, welcome["resume"].as_str().unwrap().to_owned())
}

// Sockets.

/// A3: a school, a company, a dormitory; all come back at once when its line does, before the old sockets are known to
/// be lost.
#[test]
fn a_hundred_people_behind_one_address_meet_and_all_come_back_at_once() {
    let daemon = proxied("15460-15479", |_| {});
    for (family, client) in
        [(4, (|_| HERE.to_owned()) as fn(usize) -> String), (6, |n| format!("2001:db8::{n:x}"))]
    {
        let mut people: Vec<_> = (0..100)
            .map(|n| {
                let (mut socket, resume) = welcome_from(&daemon, &client(n));
                let joined = socket.ask(json!({"t": "join", "room": format!("class {family}.{}", n / 4)}));
                assert_eq!(joined["t"], "joined", "{joined}");
                (socket, resume, joined["n"].clone())
            })
            .collect();
        for (n, (_, resume, last)) in people.iter().enumerate() {
            let mut back = open_from(&daemon, &client(n)).expect("there is a place");
            let welcome = back.ask(json!({"t": "hello", "v": [1], "resume": resume, "last": last}));
            assert_eq!(welcome["resumed"], true, "{welcome}");
        }
        for (n, _) in people.drain(..).enumerate() {
            let (mut anew, _) = welcome_from(&daemon, &client(n));
            let joined = anew.ask(json!({"t": "join", "room": format!("again {family}.{n}")}));
            assert_eq!(joined["t"], "joined", "and all may reload their pages: {joined}");
        }
    }
    daemon.stop();
}

/// F6, F17.
#[test]
fn who_holds_all_sockets_of_an_address_in_no_room_makes_way_for_the_neighbour() {
    let daemon = proxied("15480-15499", |config| config.rooms.sockets_per_ip = Count::of::<3>());
    let (mut caller, _) = welcome_from(&daemon, HERE);
    assert_eq!(caller.ask(json!({"t": "join", "room": "a call"}))["t"], "joined");
    let (mut oldest, _) = welcome_from(&daemon, HERE);
    let (mut second, _) = welcome_from(&daemon, HERE);

    let refused = open_from(&daemon, HERE).err().unwrap();
    assert_eq!((refused.status, refused.header("retry-after")), (429, Some("5")), "all came just now");
    assert_eq!(daemon.hub().room_for(HERE.parse().unwrap()), Err(NoSeat::Address));
    assert_eq!(daemon.hub().room_for("198.51.100.8".parse().unwrap()), Ok(()));

    let mut neighbour = None;
    eventually("the oldest in no room has had its time", || {
        neighbour = open_from(&daemon, HERE).ok();
        neighbour.is_some()
    });
    let goaway = oldest.hear_of("goaway");
    assert_eq!(goaway["action"], "rejoin");
    assert!(goaway["after_ms"].as_u64().unwrap() >= 5000, "{goaway}");
    assert_eq!(oldest.end().0, Some(1013));
    let mut neighbour = neighbour.unwrap();
    assert_eq!(neighbour.ask(json!({"t": "hello", "v": [1]}))["t"], "welcome");
    assert_eq!(neighbour.ask(json!({"t": "join", "room": "b"}))["t"], "joined");
    assert_eq!(second.ask(json!({"t": "ping"}))["t"], "pong", "one made way");
    assert_eq!(caller.ask(json!({"t": "ping"}))["t"], "pong", "a call goes on");
    daemon.stop();
}

/// F6: one customer has a /56 or a /48.
#[test]
fn a_network_has_the_sockets_of_four_addresses_and_another_network_its_own() {
    let daemon = proxied("15500-15519", |config| config.rooms.sockets_per_ip = Count::of::<2>());
    let held: Vec<_> =
        (0..8).map(|n| open_from(&daemon, &host(1, n / 2).to_string()).ok().unwrap()).collect();
    assert_eq!(open_from(&daemon, &host(1, 99).to_string()).err().unwrap().status, 429);
    assert_eq!(daemon.hub().room_for(host(1, 99)), Err(NoSeat::Network));
    assert!(open_from(&daemon, &host(2, 1).to_string()).is_ok());
    drop(held);
    daemon.stop();
}

/// F6: of the whole server.
#[test]
fn strangers_that_hold_every_place_of_the_server_make_way_and_members_do_not() {
    let daemon = proxied("15520-15539", |config| config.rooms.members = Count::of::<3>());
    let (mut caller, _) = welcome_from(&daemon, HERE);
    assert_eq!(caller.ask(json!({"t": "join", "room": "a call"}))["t"], "joined");
    let (mut oldest, _) = welcome_from(&daemon, &host(1, 1).to_string());
    let (mut second, _) = welcome_from(&daemon, &host(2, 1).to_string());
    assert_eq!(open_from(&daemon, &host(3, 1).to_string()).err().unwrap().status, 503);
    assert_eq!(daemon.hub().room_for(host(3, 1)), Err(NoSeat::Server));
    let mut newcomer = None;
    eventually("the oldest stranger makes way", || {
        newcomer = open_from(&daemon, &host(3, 1).to_string()).ok();
        newcomer.is_some()
    });
    let mut newcomer = newcomer.unwrap();
    assert_eq!(newcomer.ask(json!({"t": "hello", "v": [1]}))["t"], "welcome");
    assert_eq!(newcomer.ask(json!({"t": "join", "room": "another call"}))["t"], "joined");
    assert_eq!(oldest.end().0, Some(1013));
    assert_eq!(second.ask(json!({"t": "ping"}))["t"], "pong");
    assert_eq!(caller.ask(json!({"t": "ping"}))["t"], "pong", "a call goes on");
    daemon.stop();
}

// Joins.

/// F17.
#[test]
fn a_session_that_joins_again_and_again_takes_ten_joins_and_the_neighbour_has_the_rest() {
    let mut world = World::with(|plan| plan.rooms.joins_per_minute = Count::of::<30>());
    let attacker = client_here(&mut world);
    assert_eq!(storm(&mut world, attacker), 10);
    let late = world.ask(attacker, join("room", ""));
    assert_eq!((&late["code"], &late["retry_after_ms"]), (&json!("rate_limited"), &json!(6000)));
    for _ in 0..20 {
        let neighbour = client_here(&mut world);
        assert_eq!(world.ask(neighbour, join("hall", ""))["t"], "joined");
        world.ask(neighbour, json!({"t": "leave"}));
    }
    let late = client_here(&mut world);
    assert_eq!(world.refusal(late, join("hall", "")), "rate_limited", "30 of the address");
    let elsewhere = client_at(&mut world, "203.0.113.1".parse().unwrap(), None);
    assert_eq!(world.ask(elsewhere, join("hall", ""))["t"], "joined");
}

#[test]
fn a_network_has_the_joins_of_four_addresses_and_another_network_its_own() {
    let mut world = World::with(|plan| plan.rooms.joins_per_minute = Count::of::<20>());
    let mut joins = 0;
    for n in 0..50 {
        let socket = client_at(&mut world, host(1, n), None);
        joins += storm(&mut world, socket);
    }
    assert_eq!(joins, 80);
    let neighbour = client_at(&mut world, host(2, 1), None);
    assert_eq!(world.ask(neighbour, join("hall", ""))["t"], "joined");
}

// Keys and names.

/// F17.
#[test]
fn who_guesses_at_one_room_closes_no_other_to_the_neighbour() {
    let mut world = World::new(RULES);
    let owner = keyed_room(&mut world, "garden");
    keyed_room(&mut world, "attic");
    assert_eq!(guess(&mut world, HERE.parse().unwrap(), "garden"), 10);
    let neighbour = client_here(&mut world);
    let late = world.ask(neighbour, join("garden", "tulips"));
    assert_eq!((&late["code"], &late["retry_after_ms"]), (&json!("rate_limited"), &json!(6000)));
    let with_token = json!({"t": "join", "room": "garden", "host_token": owner["host_token"]});
    let back = client_here(&mut world);
    assert_eq!(world.ask(back, with_token)["t"], "joined", "whoever created it comes back");
    assert_eq!(world.ask(neighbour, join("attic", "tulips"))["t"], "joined");
    world.ask(neighbour, json!({"t": "leave"}));
    assert_eq!(world.ask(neighbour, join("a room of its own", ""))["t"], "joined");
}

/// F17: it was 655,360 a minute.
#[test]
fn a_network_guesses_thirty_keys_a_minute_and_whoever_knows_the_key_comes_in_from_elsewhere() {
    let mut world = World::new(RULES);
    keyed_room(&mut world, "garden");
    let guesses: usize = (0..40).map(|n| guess(&mut world, host(1, n), "garden")).sum();
    assert_eq!(guesses, 30);
    let more: usize =
        (2..12).map(|net| (0..4).map(|n| guess(&mut world, host(net, n), "garden")).sum::<usize>()).sum();
    assert_eq!(more, 3 * 30 + 7, "120 at the room, and one of each network beside them");
    let guest = client_at(&mut world, host(99, 1), None);
    assert_eq!(world.ask(guest, join("garden", "tulips"))["t"], "joined");
}

#[test]
fn whoever_shows_a_token_is_not_held_back_by_what_the_neighbours_guessed() {
    for create in [Create::Anyone, Create::Token, Create::Password] {
        let mut world = World::new(Rooms { create, ..RULES });
        let tokens = RoomTokens::new(&[Secret::new(SECRET)]);
        let [owner, guest, rogue] =
            [1, 2, 3].map(|n| tokens.issue(Some("garden"), until(UNIX + 60 + n)).unwrap());
        let owner = client_at(&mut world, host(1, 1), Some(&owner));
        assert_eq!(world.ask(owner, join("garden", "tulips"))["t"], "joined");
        assert_eq!(guess(&mut world, HERE.parse().unwrap(), "garden"), 10);
        let guest = client_at(&mut world, HERE.parse().unwrap(), Some(&guest));
        assert_eq!(world.ask(guest, join("garden", "tulips"))["t"], "joined");
        let mut guesses = 0;
        for _ in 0..10 {
            let session = client_at(&mut world, HERE.parse().unwrap(), Some(&rogue));
            guesses += (0..5).filter(|_| world.refusal(session, join("garden", "?")) == "bad_key").count();
        }
        assert_eq!(guesses, 10, "a token has ten guesses, however many sessions show it");
    }
}

/// T18: where only a token creates rooms, names are secrets, and what is told to who guesses tells nothing.
#[test]
fn names_of_rooms_are_guessed_sixty_times_a_minute_by_an_address_and_sound_like_wrong_keys() {
    let mut world = World::new(Rooms { create: Create::Token, ..RULES });
    let token = RoomTokens::new(&[Secret::new(SECRET)]).issue(None, until(UNIX + 60)).unwrap();
    let owner = client_at(&mut world, host(1, 1), Some(&token));
    assert_eq!(world.ask(owner, join("garden", "tulips"))["t"], "joined");
    assert_eq!(guess(&mut world, host(2, 1), "garden"), guess(&mut world, host(3, 1), "nowhere"));
    let mut names = 0;
    for session in 0..20 {
        let socket = client_here(&mut world);
        let tries = (0..5)
            .filter(|n| world.refusal(socket, join(&format!("name {session} {n}"), "")) == "room_not_found");
        names += tries.count();
    }
    assert_eq!(names, 60);
    let holder = client_at(&mut world, HERE.parse().unwrap(), Some(&token));
    assert_eq!(world.ask(holder, join("garden", "tulips"))["t"], "joined");
}

// Messages.

/// Two members and one who is away, or whose socket is lost while nobody knows it yet.
fn flooded(known: bool, flood: impl Fn(&mut World, SocketId, &str)) -> Vec<Value> {
    let mut world = World::new(Rooms { capacity: Bounded::of::<4>(), ..RULES });
    let [alice, mallory, bob] = world.members("garden");
    if known {
        world.lose(bob.socket);
    }
    let offer =
        |mark: &str| json!({"t": "signal", "to": bob.peer, "e": 1, "d": {"type": "offer", "sdp": mark}});
    world.say(alice.socket, &offer("before"));
    world.say(alice.socket, &json!({"t": "msg", "kind": "chat", "body": "are you there?"}));
    flood(&mut world, mallory.socket, &bob.peer);
    world.say(alice.socket, &offer("after"));
    world.say(mallory.socket, &json!({"t": "state", "hand": true, "name": "at last"}));
    world.say(alice.socket, &json!({"t": "lock", "on": true}));
    let (_, sent) = world.resume(&bob.resume, 1);
    assert_eq!((&sent[0]["t"], &sent[0]["resumed"]), (&json!("welcome"), &json!(true)), "known: {known}");
    let marks: Vec<_> = sent.iter().filter(|frame| frame["from"] == alice.peer).collect();
    let said = |frame: &Value| frame["d"]["sdp"].as_str().or(frame["body"].as_str()).unwrap().to_owned();
    let marks: Vec<_> = marks.into_iter().map(said).collect();
    assert_eq!(marks, ["before", "are you there?", "after"], "what others said is there");
    let numbers: Vec<_> = sent[1..].iter().map(|frame| frame["n"].as_u64().unwrap()).collect();
    assert!(numbers.is_sorted() && numbers[0] > 1, "{numbers:?}");
    assert_eq!(sent.iter().rfind(|frame| frame["t"] == "room").unwrap()["locked"], true);
    sent
}

/// F15: 300 messages in 6 s.
#[test]
fn a_member_that_floods_who_is_away_loses_its_own_messages_and_nobody_the_session() {
    for known in [true, false] {
        let sent = flooded(known, |world, mallory, _| {
            for n in 0..300 {
                world.say(mallory, &json!({"t": "msg", "kind": "chat", "body": format!("{n}")}));
            }
        });
        let kept: Vec<_> = sent.iter().filter_map(|frame| frame["body"].as_str()).collect();
        assert_eq!(kept.last(), Some(&"299"), "the newest are kept");
        let large = flooded(known, |world, mallory, to| {
            for _ in 0..100 {
                world.say(mallory, &json!({"t": "msg", "to": to, "kind": "x", "body": "x".repeat(4000)}));
            }
        });
        assert!(large.len() > 50, "{}", large.len());
    }
}

/// F15's kind: everything else that a member can make another one be told.
#[test]
fn nothing_that_one_member_does_makes_the_resume_of_another_fail() {
    for known in [true, false] {
        let signals = flooded(known, |world, mallory, to| {
            for n in 0..300 {
                let candidates = json!([{"candidate": format!("{n}")}]);
                world.say(mallory, &json!({"t": "signal", "to": to, "e": 1, "c": candidates}));
            }
        });
        assert!(signals.iter().any(|frame| frame["c"][0]["candidate"] == "299"));
        let states = flooded(known, |world, mallory, _| {
            for n in 0..300 {
                // Ten at once and five a second: as if the limit on them were not there.
                world.now = world.now + Duration::from_millis(200);
                world.say(mallory, &json!({"t": "state", "hand": n % 2 == 0}));
            }
        });
        assert_eq!(states.iter().rfind(|frame| frame["t"] == "peer_state").unwrap()["name"], "at last");
    }
    let passers = flooded(true, |world, _, _| {
        for _ in 0..300 {
            let passer = client_here(world);
            assert_eq!(world.ask(passer, join("garden", ""))["t"], "joined");
            world.say(passer, &json!({"t": "bye"}));
        }
    });
    assert!(passers.len() < 300, "who came and went meanwhile is not worth a word");
}

/// Who knocks is no member yet.
#[test]
fn knocks_do_not_make_the_resume_of_a_host_fail() {
    let mut world = World::new(Rooms { knock: true, ..RULES });
    let host = world.member("garden");
    world.lose(host.socket);
    for _ in 0..300 {
        let passer = client_here(&mut world);
        assert_eq!(world.ask(passer, join("garden", ""))["t"], "waiting");
        world.say(passer, &json!({"t": "bye"}));
    }
    let guest = client_here(&mut world);
    let peer = world.ask(guest, join("garden", ""))["you"].clone();
    let (_, sent) = world.resume(&host.resume, 1);
    assert_eq!(sent[0]["resumed"], true, "{sent:?}");
    let last = sent.last().unwrap();
    assert_eq!((&last["t"], &last["peer"]), (&json!("knock"), &peer));
}

/// F17's kind: a room has eight places for those who knock.
#[test]
fn who_knocks_eight_times_keeps_nobody_of_another_network_out() {
    let mut world = World::new(Rooms { knock: true, ..RULES });
    let owner = world.member("garden");
    let knock = |world: &mut World, ip: IpAddr| {
        let socket = client_at(world, ip, None);
        (socket, world.ask(socket, join("garden", "")))
    };
    let crowd: Vec<_> = (0..8).map(|n| knock(&mut world, host(1, n))).collect();
    world.heard(owner.socket);
    let (_, guest) = knock(&mut world, host(2, 1));
    assert_eq!(guest["t"], "waiting");
    let (last, waiting) = &crowd[7];
    assert_eq!(world.heard(*last)[0]["code"], "knock_denied");
    let heard = world.heard(owner.socket);
    assert_eq!((&heard[0]["t"], &heard[0]["peer"]), (&json!("peer_left"), &waiting["you"]));
    assert_eq!((&heard[1]["t"], &heard[1]["peer"]), (&json!("knock"), &guest["you"]));
    assert_eq!(knock(&mut world, host(1, 99)).1["code"], "room_full", "they had their share");
    let again = world.ask(*last, join("garden", ""));
    assert_eq!(again["code"], "room_full");
    assert_eq!(world.ask(owner.socket, json!({"t": "admit", "peer": guest["you"]}))["t"], "ok");
}

// Names.

/// F16.
#[test]
fn a_name_that_cannot_be_seen_or_turns_the_line_is_refused_and_the_reason_said() {
    let mut world = World::new(RULES);
    let (socket, _) = world.client();
    for (name, why) in [
        ("\u{202e}ecila", "U+202E"),
        ("a\u{200b}b", "U+200B"),
        ("\u{feff}", "U+FEFF"),
        ("\u{e0061}", "U+E0061"),
        ("a\u{2028}b", "U+2028"),
        ("  ", "blank"),
        ("\u{3164}", "U+3164"),
    ] {
        let refused = world.ask(socket, json!({"t": "join", "room": "garden", "name": name}));
        assert_eq!((&refused["code"], &refused["field"]), (&json!("bad_field"), &json!("name")), "{name:?}");
        assert!(refused["message"].as_str().unwrap().contains(why), "{refused}");
        let refused = world.ask(socket, json!({"t": "join", "room": name}));
        assert_eq!(refused["code"], "room_name_invalid", "{name:?}");
        assert!(refused["message"].as_str().unwrap().contains(why), "{refused}");
    }
    for name in ["한글 이름", "👨\u{200d}👩\u{200d}👧", "می\u{200c}خواهم", "❤\u{fe0f}", ""]
    {
        let (socket, _) = world.client();
        let joined = world.ask(socket, json!({"t": "join", "room": format!("room {name}"), "name": name}));
        assert_eq!(joined["t"], "joined", "{name:?}: {joined}");
    }
}
