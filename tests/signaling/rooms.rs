//! Joining, leaving, the host, and what members may say to each other. G3 is among it.

use std::collections::BTreeSet;

use hairpin::credentials::tag::Pseudonym;
use hairpin::observed::room::Room;
use hairpin::room_token::Create;
use hairpin::room_token::RoomTokens;
use hairpin::secret::Secret;
use hairpin::sections::number::Bounded;
use hairpin::sections::number::Count;
use hairpin::sections::rooms::Rooms;
use hairpin::signaling::protocol::codes::{Close, ErrorCode};
use hairpin::signaling::room::{BANS_MAX, WAITING_MAX};
use hairpin::signaling::switchboard::administration::PIECE;
use serde_json::{Value, json};

use super::world::{Member, RULES, SECRET, UNIX, World, text, until};

fn join(room: &str) -> Value {
    json!({"t": "join", "room": room})
}

/// The name under which an administrator sees a room.
fn pseudonym(room: &str) -> String {
    Pseudonym::of(room, &Secret::new(SECRET)).to_string()
}

fn offer(to: &str) -> Value {
    json!({"t": "signal", "to": to, "e": 1, "d": {"type": "offer", "sdp": "v=0"}})
}

#[test]
fn a_newcomer_is_told_who_is_there_and_the_others_of_the_newcomer() {
    let mut world = World::new(RULES);
    let alice = world.member("garden");
    let (bob, _) = world.client();

    let message = json!({"t": "join", "room": "garden", "name": "Bob", "state": {"mic": true}});
    let joined = world.ask(bob, message);

    let peer = |id: &str, seq: u64, name: &str, mic: bool| {
        let mut state = json!({"mic": mic, "cam": false, "screen": false, "hand": false});
        if name.is_empty() {
            state["unsaid"] = json!(true);
        }
        json!({"id": id, "seq": seq, "name": name, "state": state, "away": false})
    };
    assert_eq!(joined["peers"], json!([peer(&alice.peer, 1, "", false)]));
    assert_eq!(
        (text(&joined, "host"), joined["locked"] == false, &joined["cap"]),
        (alice.peer, true, &json!(3))
    );
    assert_eq!(joined.get("host_token"), None, "only the creator has it");
    let member = peer(&text(&joined, "you"), 2, "Bob", true);
    assert_eq!(world.heard(alice.socket), [json!({"t": "peer_joined", "n": 2, "member": member})]);
}

#[test]
fn ice_credentials_come_with_the_room_and_again_before_they_end() {
    let mut world = World::new(RULES);
    let (socket, _) = world.client();
    let joined = world.ask(socket, join("a secret garden"));

    let ice = &joined["ice"];
    assert_eq!((&ice["ttl"], &ice["expires_at"]), (&json!(3600), &json!(UNIX + 3600)));
    let username = text(&ice["iceServers"][1], "username");
    let (start, end) = (format!("{}:room.", UNIX + 3600), format!(".{}", text(&joined, "you")));
    assert!(
        username.starts_with(&start) && username.ends_with(&end) && !username.contains("secret"),
        "{username}"
    );
    assert_eq!(username.len(), start.len() + 8 + end.len());

    world.pass(4 * 3600 / 5 - 1);
    assert_eq!(world.types(socket), [""; 0]);
    world.pass(1);
    let renewed = world.heard(socket);
    assert_eq!((&renewed[0]["t"], &renewed[0]["expires_at"]), (&json!("ice"), &json!(UNIX + 2880 + 3600)));
    world.pass(2879);
    assert_eq!(world.types(socket), [""; 0], "once for each");
    world.pass(1);
    assert_eq!(world.types(socket), ["ice"]);
    world.ask(socket, json!({"t": "leave"}));
    world.pass(4000);
    assert_eq!(world.types(socket), [""; 0], "in no room there is nothing to renew");
    assert_eq!(world.refusal(socket, json!({"t": "ice"})), "not_in_room");
}

/// G3: the ninth member, joining twice, and a room for each.
#[test]
fn a_room_is_full_at_its_capacity_and_a_session_is_in_one_room() {
    let mut world = World::new(Rooms { capacity: Bounded::of::<8>(), ..RULES });
    let members: [Member; 8] = world.members("garden");
    let (ninth, _) = world.client();
    assert_eq!(world.refusal(ninth, join("garden")), "room_full");
    assert_eq!(world.refusal(members[0].socket, join("garden")), "already_joined");
    assert_eq!(world.refusal(members[0].socket, join("another")), "already_joined");
    world.ask(members[3].socket, json!({"t": "leave"}));
    assert_eq!(world.ask(ninth, join("garden"))["t"], "joined");
    assert_eq!(world.counters.refusals(ErrorCode::AlreadyJoined), 2);
    let counted = world.counters.snapshot();
    assert_eq!(counted.joins_refused, [("room_full", 1), ("already_joined", 2)].into());
    assert_eq!((counted.refused, counted.sent["error"]), (counted.joins_refused, 3));
    assert_eq!((counted.received["join"], counted.sent["joined"]), (12, 9));
}

#[test]
fn there_are_never_more_rooms_than_the_bound_and_empty_ones_make_way() {
    let mut world = World::new(Rooms { members: Count::of::<3>(), ..RULES });
    let a = world.member("a");
    let _b = world.member("b");
    let c = world.member("c");
    let (socket, _) = world.client();
    assert_eq!(world.refusal(socket, join("d")), "server_full");
    world.ask(a.socket, json!({"t": "leave"}));
    assert_eq!(world.ask(socket, join("d"))["t"], "joined");
    assert_eq!(world.refusal(a.socket, join("e")), "server_full");
    assert_eq!(world.ask(a.socket, join("c"))["t"], "joined");
    assert_eq!((world.counters.rooms.get(), world.counters.members.get()), (3, 4));
    world.ask(c.socket, json!({"t": "end"}));
    assert_eq!((world.counters.rooms.get(), world.counters.members.get()), (2, 2));
}

#[test]
fn an_empty_room_is_kept_for_a_minute_with_its_key_and_its_host_token() {
    let mut world = World::new(RULES);
    let (socket, _) = world.client();
    let with_key = json!({"t": "join", "room": "garden", "key": "tulips"});
    let created = world.ask(socket, with_key.clone());
    world.ask(socket, json!({"t": "leave"}));
    world.pass(59);
    assert_eq!(world.refusal(socket, join("garden")), "bad_key");
    let again = world.ask(socket, with_key);
    assert_eq!((&again["host"], again.get("host_token")), (&again["you"], None));
    world.ask(socket, json!({"t": "leave"}));
    world.pass(60);
    let anew = world.ask(socket, join("garden"));
    assert!(anew["host_token"].is_string() && anew["host_token"] != created["host_token"]);
}

#[test]
fn a_room_with_a_key_opens_to_that_key_alone() {
    let mut world = World::new(RULES);
    let (alice, _) = world.client();
    world.ask(alice, json!({"t": "join", "room": "garden", "key": "tulips"}));
    let (bob, _) = world.client();
    for key in [json!("roses"), json!(""), Value::Null, json!("tulips "), json!("Tulips")] {
        assert_eq!(world.refusal(bob, json!({"t": "join", "room": "garden", "key": key})), "bad_key");
    }
    assert_eq!(world.ask(bob, json!({"t": "join", "room": "garden", "key": "tulips"}))["t"], "joined");
}

/// T18: rooms cannot be found by asking.
#[test]
fn who_may_create_no_room_hears_the_same_of_no_room_and_of_one_with_a_key() {
    let mut world = World::new(Rooms { create: Create::Token, ..RULES });
    let token = RoomTokens::new(&[Secret::new(SECRET)]).issue(None, until(UNIX + 60)).unwrap();
    let backed = world.open();
    world.ask(backed, json!({"t": "hello", "v": [1], "token": token}));
    world.ask(backed, json!({"t": "join", "room": "garden", "key": "tulips"}));
    let (guest, _) = world.client();
    let missing = world.ask(guest, join("nowhere"));
    let mut keyed = world.ask(guest, json!({"t": "join", "room": "garden", "key": "roses"}));
    assert_eq!(missing["code"], "room_not_found");
    (keyed["re"], keyed["n"]) = (missing["re"].clone(), missing["n"].clone());
    assert_eq!(missing, keyed);
    assert_eq!(world.ask(guest, json!({"t": "join", "room": "garden", "key": "tulips"}))["t"], "joined");
}

/// W3.
#[test]
fn a_token_for_one_room_opens_no_other_whether_it_is_there_or_not() {
    let mut world = World::new(RULES);
    world.member("attic");
    let tokens = RoomTokens::new(&[Secret::new(SECRET)]);
    let token = tokens.issue(Some("cafe\u{301}"), until(UNIX + 60)).unwrap();
    let socket = world.open();
    world.ask(socket, json!({"t": "hello", "v": [1], "token": token}));
    for other in ["attic", "nowhere", "cafe"] {
        assert_eq!(world.refusal(socket, join(other)), "unauthorized");
    }
    assert_eq!(world.ask(socket, join("caf\u{e9}"))["t"], "joined", "whichever way it is written");
}

#[test]
fn ten_wrong_keys_a_minute_are_all_that_an_address_has_at_a_room() {
    let mut world = World::new(RULES);
    let (alice, _) = world.client();
    world.ask(alice, json!({"t": "join", "room": "garden", "key": "tulips"}));
    let [bob, other] = [(); 2].map(|()| {
        let socket = world.open_from("203.0.113.1".parse().unwrap(), false);
        world.ask(socket, json!({"t": "hello", "v": [1]}));
        socket
    });
    let guess = |n: u32| json!({"t": "join", "room": "garden", "key": n.to_string()});
    assert!((0..10).all(|n| world.refusal(if n < 5 { bob } else { other }, guess(n)) == "bad_key"));
    let late = world.ask(bob, guess(10));
    assert_eq!((&late["code"], &late["retry_after_ms"]), (&json!("rate_limited"), &json!(6000)));
    let right = json!({"t": "join", "room": "garden", "key": "tulips"});
    assert_eq!(world.refusal(bob, right.clone()), "rate_limited", "not even the right one");
    world.pass(6);
    assert_eq!(world.ask(bob, right)["t"], "joined");
}

/// G3: 10,000 rooms.
#[test]
fn an_address_joins_so_often_a_minute() {
    let mut world = World::with(|plan| plan.rooms.joins_per_minute = Count::of::<30>());
    let mut joins = 0;
    for _ in 0..10 {
        let socket = world.open_from("203.0.113.1".parse().unwrap(), false);
        world.ask(socket, json!({"t": "hello", "v": [1]}));
        while world.ask(socket, join(&format!("room {joins}")))["t"] == "joined" {
            joins += 1;
            world.ask(socket, json!({"t": "leave"}));
        }
    }
    assert_eq!(joins, 30);
}

/// G3: to another room, to nobody, to oneself, from another.
#[test]
fn a_signal_stays_in_the_room_and_says_who_it_is_from() {
    let mut world = World::new(RULES);
    let [alice, bob, carol] = world.members("garden");
    let [mallory] = world.members("attic");
    let (outside, _) = world.client();

    let mut forged = offer(&alice.peer);
    forged["from"] = carol.peer.clone().into();
    assert_eq!(world.ask(bob.socket, forged)["t"], "ok");
    assert_eq!(
        world.heard(alice.socket),
        [json!({"t": "signal", "n": 4, "from": bob.peer, "e": 1, "d": {"type": "offer", "sdp": "v=0"}})]
    );
    for (socket, to, code) in [
        (mallory.socket, &alice.peer, "peer_not_found"),
        (alice.socket, &mallory.peer, "peer_not_found"),
        (alice.socket, &alice.peer, "peer_not_found"),
        (outside, &alice.peer, "not_in_room"),
    ] {
        assert_eq!(world.refusal(socket, offer(to)), code);
        assert_eq!(world.refusal(socket, json!({"t": "msg", "to": to, "kind": "chat", "body": ""})), code);
    }
    world.ask(bob.socket, json!({"t": "leave"}));
    world.ask(bob.socket, join("garden"));
    world.heard(bob.socket);
    assert_eq!(world.refusal(alice.socket, offer(&bob.peer)), "peer_not_found", "that was an earlier Bob");
    assert_eq!((world.heard(mallory.socket), world.heard(outside)), (vec![], vec![]));
    assert_eq!(world.types(carol.socket), ["peer_left", "peer_joined"]);
}

/// G3: what is in an SDP is data.
#[test]
fn an_sdp_is_passed_on_as_it_is() {
    let mut world = World::new(RULES);
    let [alice, bob] = world.members("garden");
    let sdp = "v=0\r\n<script>alert(1)</script>\u{0}\u{202e}\"\\한글";
    world.say(
        bob.socket,
        &json!({"t": "signal", "to": alice.peer, "e": u32::MAX, "d": {"type": "offer", "sdp": sdp}}),
    );
    assert_eq!(world.heard(alice.socket)[0]["d"]["sdp"], sdp);
    assert_eq!(world.heard(bob.socket), [Value::Null; 0], "without an id there is no ok");
}

#[test]
fn text_goes_to_all_others_or_to_one() {
    let mut world = World::new(RULES);
    let [alice, bob, carol] = world.members("garden");
    world.say(alice.socket, &json!({"t": "msg", "kind": "chat", "body": "all"}));
    world.say(alice.socket, &json!({"t": "msg", "kind": "chat", "body": "you", "to": bob.peer}));
    let said = |body: &str, direct: bool, n: u64| json!({"t": "msg", "n": n, "from": alice.peer, "direct": direct, "kind": "chat", "body": body});
    assert_eq!(world.heard(bob.socket), [said("all", false, 3), said("you", true, 4)]);
    assert_eq!(world.heard(carol.socket), [said("all", false, 2)]);
    assert_eq!(world.heard(alice.socket), [Value::Null; 0]);
}

/// A client may show a picture that arrives from whoever never said whether there is one.
#[test]
fn whoever_said_nothing_of_its_state_is_told_from_whoever_has_all_of_it_off() {
    let mut world = World::new(RULES);
    let [alice, bob] = world.members("garden");
    let off = json!({"mic": false, "cam": false, "screen": false, "hand": false});
    let mut unsaid = off.clone();
    unsaid["unsaid"] = json!(true);
    for (said, state) in [(json!({"name": "Alice"}), &unsaid), (json!({"cam": false}), &off)] {
        let mut message = said;
        message["t"] = json!("state");
        world.say(alice.socket, &message);
        assert_eq!(&world.heard(bob.socket).last().unwrap()["state"], state);
    }
    let (late, _) = world.client();
    let joined = world.ask(late, join("garden"));
    assert_eq!((&joined["peers"][0]["state"], &joined["peers"][1]["state"]), (&off, &unsaid));
}

#[test]
fn a_state_is_merged_shown_to_all_and_to_those_who_come_later() {
    let mut world = World::new(RULES);
    let [alice, bob] = world.members("garden");
    world.say(alice.socket, &json!({"t": "state", "mic": true, "name": "Alice"}));
    world.say(alice.socket, &json!({"t": "state", "hand": true}));
    let heard = world.heard(bob.socket);
    let state = json!({"mic": true, "cam": false, "screen": false, "hand": true});
    assert_eq!(
        heard[1],
        json!({"t": "peer_state", "n": 3, "peer": alice.peer, "name": "Alice", "state": state})
    );
    let (late, _) = world.client();
    let joined = world.ask(late, join("garden"));
    assert_eq!((&joined["peers"][0]["name"], &joined["peers"][0]["state"]), (&json!("Alice"), &state));
}

#[test]
fn a_state_changes_ten_times_at_once_and_then_five_times_a_second() {
    let mut world = World::new(RULES);
    let [alice, bob] = world.members("garden");
    for n in 0..12 {
        world.say(alice.socket, &json!({"t": "state", "hand": n % 2 == 0}));
    }
    assert_eq!(world.heard(bob.socket).len(), 10);
    let refused = world.heard(alice.socket);
    assert_eq!((refused.len(), &refused[0]["code"]), (2, &json!("rate_limited")));
    world.pass(1);
    assert_eq!(world.ask(alice.socket, json!({"t": "state", "hand": true}))["t"], "ok");
}

#[test]
fn only_the_host_does_what_a_host_does() {
    let mut world = World::new(RULES);
    let [host, guest, other] = world.members("garden");
    for message in [
        json!({"t": "lock", "on": true}),
        json!({"t": "kick", "peer": other.peer}),
        json!({"t": "admit", "peer": other.peer}),
        json!({"t": "deny", "peer": other.peer}),
        json!({"t": "host", "peer": guest.peer}),
        json!({"t": "end"}),
    ] {
        assert_eq!(world.refusal(guest.socket, message), "not_host");
    }
    assert_eq!((world.heard(host.socket), world.heard(other.socket)), (vec![], vec![]));
    assert_eq!(world.refusal(host.socket, json!({"t": "kick", "peer": host.peer})), "peer_not_found");
}

#[test]
fn the_host_passes_to_whoever_came_first_and_back_to_the_creator() {
    let mut world = World::new(RULES);
    let [creator, second, third] = world.members("garden");
    world.ask(creator.socket, json!({"t": "leave"}));
    for member in [&second, &third] {
        let heard = world.heard(member.socket);
        assert_eq!((&heard[0]["t"], &heard[0]["reason"]), (&json!("peer_left"), &json!("left")));
        assert_eq!((&heard[1]["t"], text(&heard[1], "host")), (&json!("room"), second.peer.clone()));
    }
    world.ask(second.socket, json!({"t": "lock", "on": true}));
    let back =
        world.ask(creator.socket, json!({"t": "join", "room": "garden", "host_token": creator.host_token}));
    assert_eq!((&back["host"], &back["locked"]), (&back["you"], &json!(true)), "past the lock");
    assert_eq!(world.types(third.socket), ["room", "peer_joined", "room"]);
    assert_eq!(world.refusal(second.socket, json!({"t": "lock", "on": false})), "not_host");
    world.ask(creator.socket, json!({"t": "host", "peer": third.peer}));
    assert_eq!(world.ask(third.socket, json!({"t": "lock", "on": false}))["t"], "ok");
}

#[test]
fn a_locked_room_lets_nobody_in() {
    let mut world = World::new(RULES);
    let [host] = world.members("garden");
    world.ask(host.socket, json!({"t": "lock", "on": true}));
    let (late, _) = world.client();
    assert_eq!(world.refusal(late, join("garden")), "room_locked");
    world.ask(host.socket, json!({"t": "lock", "on": false}));
    assert_eq!(world.ask(late, join("garden"))["t"], "joined");
}

#[test]
fn a_locked_room_that_empties_is_open_again() {
    let mut world = World::new(RULES);
    let [host, guest] = world.members("garden");
    world.ask(host.socket, json!({"t": "lock", "on": true}));
    world.ask(host.socket, json!({"t": "leave"}));
    assert_eq!(world.refusal(host.socket, join("garden")), "room_locked", "while somebody is in it");
    world.ask(guest.socket, json!({"t": "leave"}));
    let (late, _) = world.client();
    let joined = world.ask(late, join("garden"));
    assert_eq!((&joined["t"], &joined["locked"]), (&json!("joined"), &json!(false)));
}

#[test]
fn a_kicked_member_is_gone_and_its_address_banned_for_a_while() {
    let mut world = World::new(RULES);
    let [host, guest, witness] = world.members("garden");
    world.ask(host.socket, json!({"t": "kick", "peer": guest.peer, "ban_s": 600}));
    assert_eq!(world.heard(guest.socket), [json!({"t": "kicked", "n": 3, "reason": "kicked"})]);
    assert_eq!(world.closed(guest.socket), Some(Close::Kicked));
    assert_eq!(world.heard(witness.socket)[0]["reason"], "kicked");
    let resumed = world.resume(&guest.resume, 2).1;
    assert_eq!(resumed[0]["code"], "resume_failed");

    // The guest was the second to open a socket.
    let same_address = world.open_from("198.51.100.2".parse().unwrap(), false);
    world.ask(same_address, json!({"t": "hello", "v": [1]}));
    assert_eq!(world.refusal(same_address, join("garden")), "kicked");
    world.pass(600);
    assert_eq!(world.ask(same_address, join("garden"))["t"], "joined");
}

#[test]
fn a_ban_is_for_the_address_that_a_member_has_now() {
    let mut world = World::new(RULES);
    let [host, guest] = world.members("garden");
    let (moved, _) = world.resume(&guest.resume, 1);
    world.ask(host.socket, json!({"t": "kick", "peer": guest.peer, "ban_s": 600}));
    assert_eq!(world.closed(moved), Some(Close::Kicked));

    // The guest was the second to open a socket, and came back on the third.
    let mut entrance = |ip: &str| {
        let socket = world.open_from(ip.parse().unwrap(), false);
        world.ask(socket, json!({"t": "hello", "v": [1]}));
        world.ask(socket, join("garden"))
    };
    assert_eq!(entrance("198.51.100.3")["code"], "kicked");
    assert_eq!(entrance("198.51.100.2")["t"], "joined", "somebody else may have it meanwhile");
}

#[test]
fn who_comes_back_from_elsewhere_while_waiting_is_known_by_the_new_address_too() {
    let mut world = World::new(Rooms { knock: true, ..RULES });
    let [host] = world.members("garden");
    let (guest, resume) = world.client();
    let peer = world.ask(guest, join("garden"))["you"].clone();
    world.resume(&resume, 1);
    world.ask(host.socket, json!({"t": "admit", "peer": peer}));
    world.ask(host.socket, json!({"t": "kick", "peer": peer, "ban_s": 600}));

    let same_address = world.open_from("198.51.100.3".parse().unwrap(), false);
    world.ask(same_address, json!({"t": "hello", "v": [1]}));
    assert_eq!(world.refusal(same_address, join("garden")), "kicked");
}

#[test]
fn of_too_many_bans_the_oldest_ends() {
    let mut world = World::new(RULES);
    let [host] = world.members("garden");
    let kick = |world: &mut World, n: usize| {
        let ip = format!("203.0.113.{n}").parse().unwrap();
        let socket = world.open_from(ip, false);
        world.ask(socket, json!({"t": "hello", "v": [1]}));
        let joined = world.ask(socket, join("garden"));
        if joined["t"] == "joined" {
            world.ask(host.socket, json!({"t": "kick", "peer": joined["you"], "ban_s": 9999}));
        }
        joined["t"] == "joined"
    };
    assert!((0..=BANS_MAX).all(|n| kick(&mut world, n)));
    assert_eq!((kick(&mut world, 1), kick(&mut world, 0)), (false, true));
}

#[test]
fn the_end_of_a_room_sends_all_others_away() {
    let mut world = World::new(RULES);
    let [host, guest] = world.members("garden");
    assert_eq!(world.ask(host.socket, json!({"t": "end"}))["t"], "ok");
    assert_eq!(world.heard(guest.socket)[0], json!({"t": "kicked", "n": 2, "reason": "ended"}));
    assert_eq!((world.closed(guest.socket), world.closed(host.socket)), (Some(Close::Kicked), None));
    assert!(world.ask(host.socket, join("garden"))["host_token"].is_string(), "it is a new room");
}

#[test]
fn an_administrator_sees_rooms_under_their_pseudonyms() {
    let mut world = World::new(Rooms { knock: true, ..RULES });
    let [host] = world.members("garden");
    world.pass(5);
    let (guest, _) = world.client();
    world.ask(guest, join("garden"));
    world.ask(host.socket, json!({"t": "lock", "on": true}));
    let (other, _) = world.client();
    world.ask(other, json!({"t": "join", "room": "attic", "key": "a key of eleven"}));
    world.lose(other);
    let room = |name: &str, changed: Room| Room { room: pseudonym(name), capacity: 3, members: 1, ..changed };
    let empty = Room {
        room: String::new(),
        members: 0,
        away: 0,
        waiting: 0,
        capacity: 0,
        locked: false,
        has_key: false,
        age: 0,
    };
    assert_eq!(
        world.rooms(),
        [
            room("attic", Room { away: 1, has_key: true, ..empty.clone() }),
            room("garden", Room { waiting: 1, locked: true, age: 5, ..empty }),
        ]
    );
    assert!(!format!("{:?}", world.rooms()).contains("garden"));
}

#[test]
fn an_administrator_sees_all_rooms_in_pieces() {
    let mut world = World::new(Rooms { members: Count::of::<1000>(), ..RULES });
    let names: Vec<String> = (0..2 * PIECE + 1).map(|number| format!("room-{number}")).collect();
    names.iter().for_each(|name| drop(world.member(name)));
    let seen: BTreeSet<String> = world.rooms().into_iter().map(|room| room.room).collect();
    assert_eq!(seen, names.iter().map(|name| pseudonym(name)).collect());
}

#[test]
fn an_administrator_ends_a_room_as_its_host_does() {
    let mut world = World::new(Rooms { knock: true, ..RULES });
    let [host] = world.members("garden");
    let (guest, _) = world.client();
    world.ask(guest, join("garden"));
    let [neighbour] = world.members("attic");
    world.heard(host.socket);

    assert!(world.end_room("garden"));
    assert_eq!(world.heard(host.socket), [json!({"t": "kicked", "n": 3, "reason": "ended"})]);
    assert_eq!(world.heard(guest)[0]["code"], "knock_denied");
    assert_eq!((world.closed(host.socket), world.closed(guest)), (Some(Close::Kicked), None));
    assert_eq!(world.closed(neighbour.socket), None);
    assert!(!world.end_room("garden"), "it is not there any more");
    assert_eq!((world.counters.rooms.get(), world.counters.members.get()), (1, 1));
    assert!(world.ask(guest, join("garden"))["host_token"].is_string(), "it is a new room");
}

#[test]
fn who_knocks_waits_for_the_host() {
    let mut world = World::new(Rooms { knock: true, ..RULES });
    let [host] = world.members("garden");
    let (guest, _) = world.client();
    let waiting = world.ask(guest, json!({"t": "join", "room": "garden", "name": "Guest"}));
    assert_eq!(waiting["t"], "waiting");
    let you = text(&waiting, "you");
    assert_eq!(world.heard(host.socket), [json!({"t": "knock", "n": 2, "peer": you, "name": "Guest"})]);
    assert_eq!(world.refusal(guest, offer(&host.peer)), "not_in_room");
    assert_eq!(world.refusal(host.socket, offer(&you)), "peer_not_found");
    assert_eq!(world.ask(host.socket, json!({"t": "admit", "peer": you}))["t"], "ok");
    let joined = &world.heard(guest)[0];
    assert_eq!(
        (&joined["t"], &joined["you"], joined["ice"].is_object()),
        (&json!("joined"), &json!(you), true)
    );
    assert_eq!(world.types(host.socket), ["peer_joined"]);
    assert_eq!(world.refusal(host.socket, json!({"t": "admit", "peer": you})), "peer_not_found");
}

#[test]
fn who_loses_the_socket_while_waiting_is_away_when_let_in() {
    let mut world = World::new(Rooms { knock: true, ..RULES });
    let [host] = world.members("garden");
    for back_in_time in [false, true] {
        let (guest, resume) = world.client();
        let peer = world.ask(guest, join("garden"))["you"].clone();
        world.lose(guest);
        if back_in_time {
            world.resume(&resume, 1);
        }
        assert_eq!(world.types(host.socket), ["knock"], "it is nobody's business yet");
        world.ask(host.socket, json!({"t": "admit", "peer": peer}));
        let member = world.heard(host.socket).remove(0)["member"].clone();
        assert_eq!((&member["id"], &member["away"]), (&peer, &json!(!back_in_time)));
        if !back_in_time {
            world.resume(&resume, 1);
            assert_eq!(world.types(host.socket), ["peer_back"]);
        }
    }
}

#[test]
fn who_knocks_in_vain_is_told_so() {
    let mut world = World::new(Rooms { knock: true, ..RULES });
    let [host] = world.members("garden");
    let knock = |world: &mut World| {
        let (socket, _) = world.client();
        let reply = world.ask(socket, join("garden"));
        (socket, reply)
    };
    let (denied, waiting) = knock(&mut world);
    world.ask(host.socket, json!({"t": "deny", "peer": waiting["you"]}));
    assert_eq!(world.heard(denied)[0]["code"], "knock_denied");
    assert_eq!(world.ask(denied, join("garden"))["t"], "waiting", "and may try again");
    world.ask(denied, json!({"t": "leave"}));
    world.heard(host.socket);

    let (forgotten, waiting) = knock(&mut world);
    world.pass(120);
    assert_eq!(world.heard(forgotten)[0]["code"], "knock_denied");
    let heard = world.heard(host.socket);
    assert_eq!((&heard[1]["t"], &heard[1]["peer"]), (&json!("peer_left"), &waiting["you"]));

    let crowd: Vec<_> = (0..WAITING_MAX).map(|_| knock(&mut world)).collect();
    assert_eq!(knock(&mut world).1["code"], "room_full");
    world.ask(host.socket, json!({"t": "leave"}));
    for (socket, waiting) in crowd {
        assert_eq!(waiting["t"], "waiting");
        assert_eq!(world.types(socket), ["error"], "with the last member gone, nobody can let them in");
    }
    assert_eq!(world.ask(denied, join("garden"))["t"], "joined", "but the next is host");
}

#[test]
fn a_new_host_hears_who_waits_and_a_full_room_admits_nobody() {
    let mut world = World::new(Rooms { knock: true, capacity: Bounded::of::<2>(), ..RULES });
    let [host] = world.members("garden");
    let knocks: Vec<_> = (0..2)
        .map(|_| {
            let (socket, _) = world.client();
            text(&world.ask(socket, join("garden")), "you")
        })
        .collect();
    world.ask(host.socket, json!({"t": "admit", "peer": knocks[0]}));
    assert_eq!(world.refusal(host.socket, json!({"t": "admit", "peer": knocks[1]})), "room_full");
    world.heard(host.socket);
    world.ask(host.socket, json!({"t": "host", "peer": knocks[0]}));
    assert_eq!(world.types(host.socket), ["room"]);
}
