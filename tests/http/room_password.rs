//! Whoever knows the password of the rooms gets a token for it; whoever guesses is bounded, and neighbours are served.

use hairpin::clock::{Expiry, Unix};
use hairpin::daemon::Daemon;
use hairpin::password::PasswordHash;
use hairpin::room_token::{Create, RoomTokens};
use hairpin::secret::Secret;
use serde_json::{Value, json};

use crate::backend::{SECRET, start_changed};
use crate::support::http::{Answer, Http};
use crate::support::websocket::{WebSocket, headers};

const PATH: &str = "/api/v1/room-password";
/// `printf 'correct horse' | argon2 somesaltsomesalt -id -t 2 -k 64 -p 1 -l 32 -e`
const HASH: &str =
    "$argon2id$v=19$m=64,t=2,p=1$c29tZXNhbHRzb21lc2FsdA$uL2hQzJmxaz0Tfm2KK6uNjA0+UvbrHBEBwVmJYrNXCE";

fn start(ports: &str) -> Daemon {
    start_changed(ports, |config| {
        config.rooms.create = Create::Password;
        config.rooms.password_hash = PasswordHash::parse(HASH);
    })
}

fn own_origin(daemon: &Daemon) -> String {
    format!("http://{}", daemon.addresses().http[0])
}

/// Tries a password as our page does, from an address, with a token from earlier.
fn try_from(daemon: &Daemon, ip: &str, token: &str, password: &str) -> Answer {
    // A proxy in front: only then does an address of the client count, and only the public URL is ours.
    let bearer = format!("Bearer {token}");
    let headers = [("Origin", "https://call.example"), ("X-Forwarded-For", ip), ("Authorization", &bearer)];
    Http::of(daemon).ask("POST", PATH, &headers, &json!({ "password": password }).to_string())
}

fn behind_a_proxy(ports: &str) -> Daemon {
    start_changed(ports, |config| {
        config.http.public_url = Some(hairpin::origin::PublicUrl::parse("https://call.example").unwrap());
        config.rooms.create = Create::Password;
        config.rooms.password_hash = PasswordHash::parse(HASH);
    })
}

#[test]
fn the_password_gives_a_token_that_opens_rooms_and_guests_need_none() {
    let daemon = start("19020-19029");
    let own = own_origin(&daemon);
    let answer = Http::of(&daemon).ask("POST", PATH, &[("Origin", &own)], r#"{"password": "correct horse"}"#);
    assert_eq!((answer.status, answer.header("cache-control")), (201, Some("no-store")));
    let token = answer.json()["token"].as_str().unwrap().to_owned();
    let join = |token: Option<&str>, room: &str| -> Value {
        let mut socket = WebSocket::try_open(Http::of(&daemon), &headers(&own)).ok().unwrap();
        socket.ask(json!({"t": "hello", "v": [1], "token": token}));
        socket.ask(json!({"t": "join", "room": room, "id": 1}))
    };
    assert_eq!(join(None, "garden")["code"], "room_not_found");
    assert_eq!(join(Some(&token), "garden")["t"], "joined");
    assert_eq!(join(None, "garden")["t"], "joined", "the room is still there");
    let check =
        |headers: &[(&str, &str)]| Http::of(&daemon).ask("POST", "/api/v1/check-ice", headers, "").status;
    let bearer = format!("Bearer {token}");
    assert_eq!(
        [check(&[("Origin", &own)]), check(&[("Origin", &own), ("Authorization", &bearer)])],
        [401, 201]
    );
    daemon.stop();
}

#[test]
fn a_wrong_password_and_a_foreign_page_get_nothing() {
    let daemon = start("19030-19039");
    let own = own_origin(&daemon);
    let ask = |origin: &str, body: &str| Http::of(&daemon).ask("POST", PATH, &[("Origin", origin)], body);
    let wrong = ask(&own, r#"{"password": "correct horse "}"#);
    assert_eq!((wrong.status, &wrong.json()["code"]), (403, &json!("wrong_password")));
    for origin in ["https://friend.example", "https://evil.example", "null"] {
        let foreign = ask(origin, r#"{"password": "correct horse"}"#);
        assert_eq!((foreign.status, &foreign.json()["code"]), (403, &json!("origin_forbidden")), "{origin}");
    }
    for body in ["", "{}", "[\"correct horse\"]", r#"{"password": 1}"#, r#"{"password": "a", "b": 1}"#] {
        assert_eq!(ask(&own, body).status, 400, "{body}");
    }
    let long = json!({ "password": "x".repeat(16 << 10) }).to_string();
    assert_eq!(ask(&own, &long).status, 413);
    daemon.stop();
}

#[test]
fn where_no_password_opens_rooms_there_is_none_to_try() {
    for (ports, create) in [("19040-19049", Create::Anyone), ("19050-19059", Create::Token)] {
        let daemon = start_changed(ports, |config| {
            config.rooms.create = create;
            config.rooms.password_hash = PasswordHash::parse(HASH);
        });
        let own = own_origin(&daemon);
        let answer =
            Http::of(&daemon).ask("POST", PATH, &[("Origin", &own)], r#"{"password": "correct horse"}"#);
        assert_eq!(answer.status, 404);
        daemon.stop();
    }
}

#[test]
fn who_guesses_is_bounded_and_the_neighbour_behind_the_same_address_is_served() {
    let daemon = behind_a_proxy("19060-19069");
    let token = try_from(&daemon, "198.51.100.1", "", "correct horse").json()["token"].clone();
    let expired = RoomTokens::new(&[Secret::new(SECRET)])
        .with_password(PasswordHash::parse(HASH).as_ref())
        .issue_for_password(Expiry::at(Unix::from_secs(1)))
        .unwrap();
    let guesses = (0..100).map(|n| try_from(&daemon, "198.51.100.1", "", &format!("guess {n}")));
    let heard = guesses.take_while(|answer| answer.status == 403).count();
    assert!((15..30).contains(&heard), "{heard}");
    let late = try_from(&daemon, "198.51.100.1", "", "correct horse");
    assert_eq!(late.status, 429);
    assert!(late.header("retry-after").unwrap().parse::<u64>().unwrap() <= 6);
    // Behind the same address: who knew the password before, whose token may have expired.
    assert_eq!(try_from(&daemon, "198.51.100.1", &expired, "correct horse").status, 201);
    // At another address of the same network: anybody.
    assert_eq!(try_from(&daemon, "198.51.100.2", "", "correct horse").status, 201);
    // Behind the same address: who has a token still opens rooms.
    let headers = [("Origin", "https://call.example"), ("X-Forwarded-For", "198.51.100.1")];
    let mut known: Vec<_> = headers.to_vec();
    known.extend([
        ("Connection", "Upgrade"),
        ("Upgrade", "websocket"),
        ("Sec-WebSocket-Version", "13"),
        ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="),
    ]);
    let mut socket = WebSocket::try_open(Http::of(&daemon), &known).ok().unwrap();
    socket.ask(json!({"t": "hello", "v": [1], "token": token}));
    assert_eq!(socket.ask(json!({"t": "join", "room": "garden", "id": 1}))["t"], "joined");
    // A made-up token makes nobody known.
    assert_eq!(try_from(&daemon, "198.51.100.1", "p1.1.*.AAAA", "correct horse").status, 429);
    daemon.stop();
}
