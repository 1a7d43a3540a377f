//! `docs/signaling.md` is what the server does: its examples are messages, and its tables are complete.

use std::collections::BTreeSet;

use hairpin::sections::rooms::Rooms;
use hairpin::signaling::protocol::codes::{Close, ErrorCode};
use hairpin::signaling::protocol::names::NAME_MAX;
use hairpin::signaling::protocol::parse::parse;
use hairpin::signaling::protocol::{
    BODY_MAX, CANDIDATE_MAX, CANDIDATES_MAX, ClientMessage, DEPTH_MAX, FRAME_MAX, KEY_MAX, KIND_MAX, SDP_MAX,
    ServerMessage, TOKEN_MAX,
};
use hairpin::signaling::room::{BANS_MAX, EMPTY, KNOCK, WAITING_MAX};
use hairpin::signaling::sessions::GRACE;
use hairpin::signaling::{guesses, heartbeat, joins, pace, replay, seats, send_queue, socket};
use serde_json::Value;

const DOCUMENT: &str = include_str!("../../docs/signaling.md");

/// The types of the client's messages.
pub const CLIENT: [&str; 15] = [
    "hello", "join", "leave", "bye", "signal", "state", "msg", "ice", "ping", "lock", "kick", "admit",
    "deny", "host", "end",
];
/// The types of the server's messages.
pub const SERVER: [&str; 18] = [
    "welcome",
    "joined",
    "waiting",
    "knock",
    "peer_joined",
    "peer_left",
    "peer_away",
    "peer_back",
    "peer_state",
    "signal",
    "msg",
    "room",
    "ice",
    "kicked",
    "goaway",
    "pong",
    "ok",
    "error",
];

/// The examples below a heading of the second order.
pub fn examples(heading: &str) -> Vec<Value> {
    let section = DOCUMENT.split("\n## ").find(|section| section.starts_with(heading)).unwrap();
    let blocks = section.split("```json\n").skip(1).map(|rest| rest.split("```").next().unwrap());
    blocks
        .map(|block| serde_json::from_str(block).unwrap_or_else(|error| panic!("{error}: {block}")))
        .collect()
}

/// The first example of a type that a client sends.
pub fn example(t: &str) -> Value {
    examples("What a client sends").into_iter().find(|example| example["t"] == t).unwrap()
}

#[test]
fn every_message_of_a_client_has_an_example_that_the_server_understands() {
    let mut shown = BTreeSet::new();
    for example in examples("What a client sends") {
        let request = parse(&example.to_string()).unwrap_or_else(|mistake| panic!("{mistake:?}: {example}"));
        assert_eq!(client_type(&request.message), example["t"]);
        shown.insert(client_type(&request.message));
    }
    assert_eq!(shown, BTreeSet::from(CLIENT));
}

#[test]
fn every_message_of_the_server_has_an_example_that_it_could_have_sent() {
    let mut shown = BTreeSet::new();
    for mut example in examples("What the server sends") {
        let t = example["t"].as_str().unwrap().to_owned();
        let message: ServerMessage =
            serde_json::from_value(example.clone()).unwrap_or_else(|error| panic!("{error}: {example}"));
        let numbered = !["welcome", "goaway", "pong"].contains(&t.as_str());
        assert_eq!(example.get("n").is_some(), numbered, "{example}");
        for envelope in ["n", "re"] {
            example.as_object_mut().unwrap().remove(envelope);
        }
        let written: Value = serde_json::from_str(&message.to_json()).unwrap();
        assert_eq!(written, example, "exactly as the server writes it");
        shown.insert(server_type(&message));
    }
    assert_eq!(shown, BTreeSet::from(SERVER));
}

#[test]
fn every_code_is_in_its_table() {
    let rows = |heading: &str| -> BTreeSet<String> {
        let section = DOCUMENT.split("\n## ").find(|section| section.starts_with(heading)).unwrap();
        let cells = section.lines().filter_map(|line| line.strip_prefix("| ")?.split(" |").next());
        cells
            .skip(1)
            .flat_map(|cell| cell.split(", "))
            .map(|code| code.trim_matches('`').to_owned())
            .collect()
    };
    assert_eq!(rows("Errors"), ErrorCode::ALL.map(|code| code.name().to_owned()).into());
    assert_eq!(rows("Close codes"), Close::ALL.map(|close| close.code().to_string()).into());
}

#[test]
fn every_limit_is_as_the_document_says() {
    let kib = |bytes: usize| format!("{} KiB", bytes / 1024);
    for stated in [
        format!("| frame, in each direction | {}, nested {DEPTH_MAX} deep |", kib(FRAME_MAX)),
        format!("| SDP | {} |", kib(SDP_MAX)),
        format!("| candidates in one `signal`, and each | {CANDIDATES_MAX}, of {} |", kib(CANDIDATE_MAX)),
        format!("| `body` and `kind` of a `msg` | {} and {KIND_MAX} bytes |", kib(BODY_MAX)),
        format!("| `key`, and any token | {KEY_MAX} bytes, and {} |", kib(TOKEN_MAX)),
        format!("| `room`, and `name` | {NAME_MAX} characters |"),
        format!("{} a second, {} at once", pace::MESSAGES_PER_SECOND, pace::MESSAGES_AT_ONCE),
        format!("cannot parse counts as {} |", pace::MISTAKE),
        format!("| {} in 10 s |", kib(pace::BYTES_PER_TEN_SECONDS as usize)),
        format!("| {}, or {} MiB |", send_queue::FRAMES_MAX, send_queue::BYTES_MAX >> 20),
        format!("({} frames or {})", replay::FRAMES_MAX, kib(replay::BYTES_MAX)),
        format!("| {WAITING_MAX}, for {} s |", KNOCK.as_secs()),
        format!("| bans of a room | {BANS_MAX} |"),
        format!("kept for {} seconds", EMPTY.as_secs()),
        format!("more than {} seconds", GRACE.as_secs()),
        format!("ping at least every {} s", heartbeat::PING.as_secs()),
        format!("sent nothing for {} s", heartbeat::DEAD.as_secs()),
        format!("within {} seconds", socket::HELLO.as_secs()),
        format!("for at least {} s", seats::SETTLING.as_secs()),
        format!("| joins of one session | {} a minute |", joins::BY_SESSION),
        format!("{} a minute (`rooms.joins_per_minute`)", Rooms::default().joins_per_minute),
        format!("{} (`rooms.sockets_per_ip`)", Rooms::default().sockets_per_ip),
        format!(
            "{} a minute from one address, {} from one network, {} in total",
            guesses::AT_ROOM_BY_ADDRESS,
            guesses::AT_ROOM_BY_NETWORK,
            guesses::AT_ROOM
        ),
        format!(
            "{} a minute from one address, {} from one network |",
            guesses::ROOMS_BY_ADDRESS,
            guesses::ROOMS_BY_NETWORK
        ),
    ] {
        assert!(DOCUMENT.contains(&stated), "{stated}");
    }
}

/// A new message does not compile without a name here, and then needs an example.
fn client_type(message: &ClientMessage) -> &'static str {
    match message {
        ClientMessage::Hello(_) => "hello",
        ClientMessage::Join(_) => "join",
        ClientMessage::Leave => "leave",
        ClientMessage::Bye => "bye",
        ClientMessage::Signal { .. } => "signal",
        ClientMessage::State(_) => "state",
        ClientMessage::Msg { .. } => "msg",
        ClientMessage::Ice => "ice",
        ClientMessage::Ping { .. } => "ping",
        ClientMessage::Lock { .. } => "lock",
        ClientMessage::Kick { .. } => "kick",
        ClientMessage::Admit { .. } => "admit",
        ClientMessage::Deny { .. } => "deny",
        ClientMessage::Host { .. } => "host",
        ClientMessage::End => "end",
    }
}

fn server_type(message: &ServerMessage) -> &'static str {
    match message {
        ServerMessage::Welcome(_) => "welcome",
        ServerMessage::Joined(_) => "joined",
        ServerMessage::Waiting { .. } => "waiting",
        ServerMessage::Knock { .. } => "knock",
        ServerMessage::PeerJoined { .. } => "peer_joined",
        ServerMessage::PeerLeft { .. } => "peer_left",
        ServerMessage::PeerAway { .. } => "peer_away",
        ServerMessage::PeerBack { .. } => "peer_back",
        ServerMessage::PeerState { .. } => "peer_state",
        ServerMessage::Signal { .. } => "signal",
        ServerMessage::Msg { .. } => "msg",
        ServerMessage::Room { .. } => "room",
        ServerMessage::Ice(_) => "ice",
        ServerMessage::Kicked { .. } => "kicked",
        ServerMessage::Goaway { .. } => "goaway",
        ServerMessage::Pong { .. } => "pong",
        ServerMessage::Ok => "ok",
        ServerMessage::Error(_) => "error",
    }
}
