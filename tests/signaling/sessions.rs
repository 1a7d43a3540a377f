//! Hello, resume, and what comes first.

use hairpin::room_token::RoomTokens;
use hairpin::secret::Secret;
use hairpin::signaling::protocol::codes::Close;
use serde_json::{Value, json};

use super::world::{RULES, SECRET, UNIX, World, text, until};

fn hello() -> Value {
    json!({"t": "hello", "v": [1]})
}

/// G3: join before hello, and the like.
#[test]
fn whatever_comes_before_hello_is_the_end() {
    for (message, code) in [
        (r#"{"t":"join","room":"a"}"#, "hello_required"),
        (r#"{"t":"ping"}"#, "hello_required"),
        (r#"{"t":"sing"}"#, "unknown_type"),
        ("hello", "bad_json"),
        (r#"{"t":"hello","v":[2,3]}"#, "bad_version"),
        (r#"{"t":"hello"}"#, "bad_field"),
    ] {
        let mut world = World::new(RULES);
        let socket = world.open();
        world.say_text(socket, message);
        assert_eq!(
            (&world.heard(socket)[0]["code"], world.closed(socket)),
            (&json!(code), Some(Close::Protocol))
        );
        world.say(socket, &hello());
        assert_eq!(world.heard(socket), [Value::Null; 0], "it is not listened to any more");
    }
}

#[test]
fn hello_is_said_once() {
    let mut world = World::new(RULES);
    let (socket, _) = world.client();
    let again = world.ask(socket, hello());
    assert_eq!(
        (&again["code"], &again["field"], world.closed(socket)),
        (&json!("bad_field"), &json!("t"), None)
    );
}

/// G3: unknown types, wrong types.
#[test]
fn a_mistake_is_an_error_and_not_the_end() {
    let mut world = World::new(RULES);
    let (socket, _) = world.client();
    for (text, code, field) in [
        ("{", "bad_json", Value::Null),
        (r#"{"t":"sing"}"#, "unknown_type", Value::Null),
        (r#"{"t":"lock","on":"yes"}"#, "bad_field", json!("on")),
        (r#"{"t":"join","room":""}"#, "room_name_invalid", Value::Null),
    ] {
        world.say_text(socket, text);
        let error = world.heard(socket).remove(0);
        assert_eq!((&error["code"], &error["field"]), (&json!(code), &field), "{text}");
    }
    assert_eq!(world.ask(socket, json!({"t": "ping", "ts": 1}))["ts"], 1);
}

#[test]
fn whoever_needs_a_token_is_asked_for_one_that_is_good() {
    let tokens = RoomTokens::new(&[Secret::new(SECRET)]);
    let mut world = World::new(RULES);
    for (token, code) in [
        (Value::Null, "unauthorized"),
        (json!("r1.x"), "unauthorized"),
        (json!(tokens.issue(None, until(UNIX - 1)).unwrap()), "token_expired"),
        (
            json!(RoomTokens::new(&[Secret::new("another secret")]).issue(None, until(UNIX + 9)).unwrap()),
            "unauthorized",
        ),
    ] {
        let socket = world.open_from("198.51.100.7".parse().unwrap(), true);
        world.say(socket, &json!({"t": "hello", "v": [1], "token": token}));
        assert_eq!(
            (&world.heard(socket)[0]["code"], world.closed(socket)),
            (&json!(code), Some(Close::Unauthorized))
        );
    }
    let socket = world.open_from("198.51.100.7".parse().unwrap(), true);
    let token = tokens.issue(None, until(UNIX + 9)).unwrap();
    assert_eq!(world.ask(socket, json!({"t": "hello", "v": [1], "token": token}))["t"], "welcome");
}

#[test]
fn there_are_never_more_sessions_than_the_bound() {
    let mut world = World::with(|plan| plan.sessions = 2);
    let [first, second] = world.members("garden");
    world.lose(first.socket);
    world.lose(second.socket);
    let third = world.open();
    world.say(third, &hello());
    assert_eq!(
        (&world.heard(third)[0]["code"], world.closed(third)),
        (&json!("server_full"), Some(Close::Full)),
        "those who are away have theirs"
    );
    world.pass(30);
    let [fourth, fifth] = [(); 2].map(|()| world.open());
    assert_eq!(world.ask(fourth, hello())["t"], "welcome");
    assert_eq!(world.ask(fifth, hello())["t"], "welcome");
}

#[test]
fn the_oldest_session_in_no_room_makes_way_for_one_who_comes() {
    let mut world = World::with(|plan| plan.sessions = 2);
    let member = world.member("garden");
    world.lose(member.socket);
    let (idle, resume) = world.client();
    let early = world.open();
    world.say(early, &hello());
    assert_eq!(world.closed(early), Some(Close::Full), "nobody makes way in the first seconds");
    world.pass(3);
    let newcomer = world.open();
    assert_eq!(world.ask(newcomer, hello())["t"], "welcome");
    assert_eq!((world.types(idle), world.closed(idle)), (vec!["goaway".to_owned()], Some(Close::Crowded)));
    world.lose(idle);
    assert_eq!(world.counters.sessions.get(), 2, "the member who is away, and the newcomer");
    let late = world.resume(&resume, 0).1;
    assert_eq!(late[0]["code"], "resume_failed");
}

#[test]
fn a_socket_that_has_no_session_need_not_make_way_for_one() {
    let mut world = World::with(|plan| plan.sessions = 3);
    let away: [_; 2] = world.members("garden");
    away.iter().for_each(|member| world.lose(member.socket));
    let silent = world.open();
    let (idle, _) = world.client();
    world.pass(3);
    let newcomer = world.open();
    assert_eq!(world.ask(newcomer, hello())["t"], "welcome");
    assert_eq!((world.closed(silent), world.closed(idle)), (None, Some(Close::Crowded)));
}

#[test]
fn every_error_has_a_number_but_those_before_welcome_and_before_the_end_of_the_socket() {
    let mut world = World::new(RULES);
    let socket = world.open();
    let unwelcome = world.ask(socket, json!({"t": "hello", "v": [1], "resume": "of yesterday"}));
    assert_eq!((&unwelcome["code"], unwelcome.get("n")), (&json!("resume_failed"), None));
    let welcome = world.ask(socket, hello());
    assert_eq!((&welcome["t"], welcome.get("n")), (&json!("welcome"), None));
    world.ask(socket, json!({"t": "join", "room": "garden"}));
    let refused = world.ask(socket, json!({"t": "lock", "on": 1}));
    assert_eq!((&refused["code"], &refused["n"]), (&json!("bad_field"), &json!(2)));
    world.resume(&text(&welcome, "resume"), 2);
    let last = world.heard(socket).remove(0);
    assert_eq!((&last["code"], last.get("n")), (&json!("replaced"), None));
    assert_eq!(world.closed(socket), Some(Close::Replaced));
}

#[test]
fn the_others_hear_of_a_lost_socket_and_of_the_return() {
    let mut world = World::new(RULES);
    let [alice, bob] = world.members("garden");
    world.lose(bob.socket);
    world.pass(29);
    let (late, _) = world.client();
    let joined = world.ask(late, json!({"t": "join", "room": "garden"}));
    assert_eq!(joined["peers"][1]["away"], true);
    let (_, sent) = world.resume(&bob.resume, 1);
    assert_eq!((&sent[0]["resumed"], &sent[0]["resume"]), (&json!(true), &json!(bob.resume)));
    assert_eq!((sent.len(), &sent[1]["t"], &sent[1]["n"]), (2, &json!("peer_joined"), &json!(2)));
    assert_eq!(world.types(alice.socket), ["peer_away", "peer_joined", "peer_back"]);
    world.pass(60);
    assert_eq!(world.types(alice.socket), [""; 0], "and that is all");
}

#[test]
fn after_half_a_minute_a_lost_member_has_left() {
    let mut world = World::new(RULES);
    let [alice, bob] = world.members("garden");
    world.lose(bob.socket);
    world.pass(30);
    let heard = world.heard(alice.socket);
    assert_eq!((&heard[1]["t"], &heard[1]["reason"]), (&json!("peer_left"), &json!("timeout")));
    let (socket, sent) = world.resume(&bob.resume, 1);
    assert_eq!((&sent[0]["code"], world.closed(socket)), (&json!("resume_failed"), None));
    assert_eq!(world.ask(socket, hello())["resumed"], false, "on the same socket");
}

#[test]
fn replies_that_did_not_arrive_come_again_too() {
    let mut world = World::new(RULES);
    let (socket, resume) = world.client();
    let joined = world.ask(socket, json!({"t": "join", "room": "garden"}));
    let refused = world.ask(socket, json!({"t": "lock", "on": 1}));
    world.ask(socket, json!({"t": "ping"}));
    world.lose(socket);
    let (_, sent) = world.resume(&resume, 0);
    assert_eq!(sent[1..], [joined, refused], "but no pong, which belonged to the socket");
}

#[test]
fn two_tabs_do_not_take_a_session_from_each_other_for_ever() {
    let mut world = World::new(RULES);
    let member = world.member("garden");
    let mut last = member.socket;
    for _ in 0..5 {
        let (next, sent) = world.resume(&member.resume, 1);
        assert_eq!((&sent[0]["t"], world.closed(last)), (&json!("welcome"), Some(Close::Replaced)));
        last = next;
    }
    let (late, sent) = world.resume(&member.resume, 1);
    assert_eq!((&sent[0]["code"], &sent[0]["retry_after_ms"]), (&json!("rate_limited"), &json!(2000)));
    assert_eq!((world.closed(late), world.closed(last)), (Some(Close::RateLimited), None));
    world.pass(2);
    assert_eq!(world.resume(&member.resume, 1).1[0]["t"], "welcome");
}

#[test]
fn a_session_in_no_room_ends_with_its_socket() {
    let mut world = World::new(RULES);
    let (socket, resume) = world.client();
    world.lose(socket);
    assert_eq!(world.counters.sessions.get(), 0);
    assert_eq!(world.resume(&resume, 0).1[0]["code"], "resume_failed");
}

#[test]
fn what_is_not_kept_any_more_cannot_be_resumed_from_and_the_place_is_free() {
    let mut world = World::new(RULES);
    let [alice, bob] = world.members("garden");
    for _ in 0..257 {
        assert_eq!(world.refusal(bob.socket, json!({"t": "end"})), "not_host");
    }
    world.lose(bob.socket);
    let sent = world.resume(&bob.resume, 1).1;
    assert_eq!(sent[0]["code"], "resume_failed");
    assert_eq!(world.types(alice.socket), ["peer_away", "peer_left"]);
}

#[test]
fn what_has_arrived_is_not_sent_again_and_not_kept() {
    let mut world = World::new(RULES);
    let [alice, bob] = world.members("garden");
    for _ in 0..300 {
        world.say(alice.socket, &json!({"t": "msg", "kind": "chat", "body": "hello?"}));
        let last = world.frames(bob.socket).last().and_then(|frame| frame.n).unwrap();
        world.board.acknowledge(bob.socket, last - 1);
    }
    world.lose(bob.socket);
    let (socket, sent) = world.resume(&bob.resume, 300);
    assert_eq!((sent.len(), &sent[1]["n"]), (2, &json!(301)));
    world.say(socket, &json!({"t": "ping", "last": 301}));
    world.lose(socket);
    assert_eq!(
        world.resume(&bob.resume, 300).1[0]["code"],
        "resume_failed",
        "it said itself that it had 301"
    );
}

#[test]
fn a_client_that_claims_what_was_never_sent_begins_anew() {
    let mut world = World::new(RULES);
    let [alice, bob] = world.members("garden");
    let sent = world.resume(&bob.resume, 2).1;
    assert_eq!(sent[0]["code"], "resume_failed");
    assert_eq!(world.closed(bob.socket), Some(Close::Replaced));
    assert_eq!(world.types(alice.socket), ["peer_left"]);
}

#[test]
fn bye_is_the_end_at_once() {
    let mut world = World::new(RULES);
    let [alice, bob] = world.members("garden");
    world.say(bob.socket, &json!({"t": "bye"}));
    assert_eq!(world.closed(bob.socket), Some(Close::Bye));
    assert_eq!(world.heard(alice.socket)[0]["reason"], "left");
    assert_eq!(world.resume(&bob.resume, 1).1[0]["code"], "resume_failed");
}

#[test]
fn a_server_that_stops_says_so_and_welcomes_nobody() {
    let mut world = World::new(RULES);
    let [alice, bob] = world.members("garden");
    let early = world.open();
    world.drain();
    let late = world.open();
    for socket in [alice.socket, bob.socket, early] {
        assert_eq!(
            (world.types(socket), world.closed(socket)),
            (vec!["goaway".to_owned()], Some(Close::Drain))
        );
    }
    world.say(late, &hello());
    assert_eq!((&world.heard(late)[0]["code"], world.closed(late)), (&json!("draining"), Some(Close::Drain)));
    world.lose(alice.socket);
}

#[test]
fn a_resume_token_is_a_secret_that_no_other_frame_has() {
    let mut world = World::new(RULES);
    let (socket, resume) = world.client();
    assert_eq!(resume.len(), 43);
    let joined = world.ask(socket, json!({"t": "join", "room": "garden"}));
    assert_ne!(text(&joined, "host_token"), resume);
    assert_eq!(world.resume(&text(&joined, "host_token"), 0).1[0]["code"], "resume_failed");
    assert_eq!(world.resume(&text(&joined, "you"), 0).1[0]["code"], "resume_failed");
}
