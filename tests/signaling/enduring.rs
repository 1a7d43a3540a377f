//! G4 to G7: clients that do not read, do not speak, come and go by the thousand, or twice.

use std::time::Duration;

use hairpin::clock::Clock;
use hairpin::sections::number::Bounded;
use hairpin::sections::number::Count;
use hairpin::signaling::protocol::codes::Close;
use hairpin::signaling::socket::HELLO;
use hairpin::signaling::{heartbeat, send_queue};
use serde_json::{Value, json};

use super::daemon::{start, start_changed};
use crate::support::stream::{eventually, within};
use crate::support::websocket::{FIN, PING, PONG, TEXT, WebSocket, frame};

/// G5.
#[test]
fn a_client_that_does_not_say_hello_is_closed_after_five_seconds() {
    let daemon = start("15300-15319");
    let mut silent = WebSocket::open(&daemon);
    let mut dripping = WebSocket::open(&daemon);
    dripping.http.send(&frame(FIN | TEXT, b"{\"t\":\"hello\",\"v\":[1]}")[..10]);
    let closes = || daemon.hub().counters().closes(Close::HelloTimeout);
    let took = within(2 * HELLO, "both are closed", || closes() == 2);
    assert!(took >= HELLO - Duration::from_millis(500), "{took:?}");
    for socket in [&mut silent, &mut dripping] {
        assert_eq!(socket.end(), (Some(4408), Some("hello_timeout".to_owned())));
    }
    daemon.stop();
}

/// G4.
#[test]
fn a_member_that_stops_reading_is_closed_at_its_bound_and_the_others_miss_nothing() {
    let daemon = start_changed("15320-15339", |config| config.rooms.capacity = Bounded::of::<8>());
    let (slow, _) = WebSocket::member(&daemon, "flood");
    socket2::SockRef::from(&slow.http.connection.socket).set_recv_buffer_size(4096).unwrap();
    let (mut reader, _) = WebSocket::member(&daemon, "flood");
    let mut writers: Vec<_> = (0..6).map(|_| WebSocket::member(&daemon, "flood").0).collect();
    let closes = || daemon.hub().counters().closes(Close::SlowConsumer);
    let body = "x".repeat(4000);
    let (mut sent, mut heard_of_it) = (0_u64, false);
    while closes() == 0 {
        for writer in &mut writers {
            sent += 1;
            let said = writer.ask(json!({"t": "msg", "kind": "n", "body": format!("{sent} {body}")}));
            assert_eq!(said["t"], "ok", "{said}");
            writer.forget();
            let mut message = reader.hear();
            while message["t"] != "msg" {
                heard_of_it |= message["t"] == "peer_away";
                message = reader.hear();
            }
            let said = message["body"].as_str().unwrap();
            assert!(said.starts_with(&format!("{sent} ")), "the reader misses nothing");
        }
        if sent > 6 * 110 {
            // From here on, no faster than the server allows.
            std::thread::sleep(Duration::from_millis(100));
        }
    }
    // What the kernel keeps for a reader that small comes on top.
    let bound = (send_queue::BYTES_MAX + (6 << 20)) as u64 / 4000;
    println!("{sent} messages of 4 kB");
    assert!(sent <= bound, "{sent} messages of 4 kB before the end, more than {bound}");
    if !heard_of_it {
        reader.hear_of("peer_away");
    }
    drop(slow);
    daemon.stop();
}

/// G7.
#[test]
fn of_two_tabs_with_one_token_the_newer_has_the_session() {
    let daemon = start("15340-15359");
    let (mut other, _) = WebSocket::member(&daemon, "tabs");
    let (mut old, token) = WebSocket::welcome(&daemon);
    let joined = old.ask(json!({"t": "join", "room": "tabs"}));
    let n = joined["n"].as_u64().unwrap();
    let mut new = WebSocket::open(&daemon);
    let welcome = new.ask(json!({"t": "hello", "v": [1], "resume": token, "last": n}));
    assert_eq!(welcome["resumed"], true);
    assert_eq!(old.end(), (Some(4409), Some("replaced".to_owned())));
    new.say(&json!({"t": "msg", "kind": "chat", "body": "still here"}));
    assert_eq!(other.hear_of("peer_joined")["member"]["id"], joined["you"]);
    let next = other.hear();
    assert_eq!((&next["t"], &next["from"]), (&json!("msg"), &joined["you"]), "it was never away");
    daemon.stop();
}

/// G6, each time in another way.
#[test]
fn thousands_that_connect_and_vanish_leave_nothing_behind() {
    let daemon = start_changed("15360-15379", |config| config.rooms.members = Count::of::<1000>());
    let (mut witness, _) = WebSocket::member(&daemon, "calm");
    for round in 0..1000 {
        match round % 3 {
            0 => drop(WebSocket::open(&daemon)),
            1 => drop(WebSocket::welcome(&daemon)),
            _ => {
                let (mut socket, _) = WebSocket::member(&daemon, &format!("storm {round}"));
                socket.say(&json!({"t": "bye"}));
            }
        }
    }
    let counters = daemon.hub().counters();
    eventually("one socket and one session are left", || {
        (counters.sockets.get(), counters.sessions.get()) == (1, 1)
    });
    assert_eq!((counters.members.get(), witness.ask(json!({"t": "ping"}))["t"].as_str()), (1, Some("pong")));
    daemon.stop();
}

/// Or else the daemon would keep for everybody what everybody has long read.
#[test]
fn a_pong_says_what_has_arrived_and_what_has_is_not_kept() {
    let daemon = start("15440-15459");
    let (mut reader, token) = WebSocket::welcome(&daemon);
    reader.ask(json!({"t": "join", "room": "echo"}));
    let (mut writer, _) = WebSocket::member(&daemon, "echo");
    // With the reply and the newcomer, these are just as many frames as make a ping due.
    for _ in 0..heartbeat::FRAMES - 2 {
        writer.say(&json!({"t": "msg", "kind": "chat", "body": "?"}));
    }
    let mut arrived = 1;
    let ping = loop {
        match reader.next().unwrap() {
            (TEXT, text) => {
                arrived += 1;
                assert_eq!(serde_json::from_slice::<Value>(&text).unwrap()["n"], arrived);
            }
            (opcode, payload) => break (opcode, payload),
        }
    };
    assert_eq!(ping, (PING, 16_u64.to_be_bytes().to_vec()));
    assert_eq!(arrived, 16);
    reader.frame(FIN | PONG, &ping.1);
    // The pong has been read when its successor is answered.
    reader.ask(json!({"t": "ping"}));
    drop(reader);
    writer.hear_of("peer_away");
    let mut back = WebSocket::open(&daemon);
    let old = back.ask(json!({"t": "hello", "v": [1], "resume": token, "last": 15}));
    assert_eq!(old["code"], "resume_failed", "who had 16 cannot go on from 15");
    daemon.stop();
}

#[test]
fn whoever_is_cut_off_comes_back_and_misses_nothing() {
    let daemon = start("15380-15399");
    let (mut other, _) = WebSocket::member(&daemon, "bridge");
    let (mut cut, token) = WebSocket::welcome(&daemon);
    let joined = cut.ask(json!({"t": "join", "room": "bridge"}));
    drop(cut);
    other.hear_of("peer_away");
    let you = joined["you"].as_str().unwrap();
    let offer = json!({"t": "signal", "to": you, "e": 1, "d": {"type": "offer", "sdp": "v=0"}});
    assert_eq!(other.ask(offer)["t"], "ok");
    let mut back = WebSocket::open(&daemon);
    let welcome = back.ask(json!({"t": "hello", "v": [1], "resume": token, "last": joined["n"]}));
    assert_eq!((&welcome["t"], &welcome["resumed"]), (&json!("welcome"), &json!(true)));
    assert_eq!(back.hear()["d"]["sdp"], "v=0");
    other.hear_of("peer_back");
    daemon.stop();
}

#[test]
fn a_server_that_stops_tells_everybody_and_takes_nobody_more() {
    let daemon = start("15400-15419");
    let (mut member, _) = WebSocket::member(&daemon, "last");
    daemon.drain();
    let goaway = member.hear();
    assert_eq!((&goaway["t"], &goaway["action"]), (&json!("goaway"), &json!("rejoin")));
    assert!(goaway["after_ms"].as_u64().unwrap() < 2000);
    assert_eq!(member.end().0, Some(1001));
    let origin = crate::support::websocket::own_origin(&daemon);
    let http = crate::support::http::Http::of(&daemon);
    let answer = WebSocket::try_open(http, &crate::support::websocket::headers(&origin)).err().unwrap();
    assert_eq!(answer.status, 503);
    daemon.stop();
}

#[test]
fn stopping_the_daemon_says_goodbye_and_waits_for_nobody_who_does_not_answer() {
    let daemon = start("15420-15439");
    let (mut member, _) = WebSocket::member(&daemon, "last");
    let (mut silent, _) = WebSocket::member(&daemon, "last");
    let clock = Clock::start();
    let begun = clock.now().moment;
    let stopping = std::thread::spawn(move || daemon.stop());
    member.hear_of("goaway");
    assert_eq!(member.end().0, Some(1001));
    stopping.join().unwrap();
    let took = clock.now().moment.since(begun);
    assert!(took < Duration::from_secs(2), "{took:?}");
    assert_eq!(silent.end().0, Some(1001), "it was told as well");
}
