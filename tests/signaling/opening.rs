//! Who may open a WebSocket.

use hairpin::credentials::Secret;
use hairpin::room_token::RoomTokens;
use serde_json::json;

use super::daemon::{start, start_changed};
use super::world::SECRET;
use crate::support::daemon::start_secure;
use crate::support::http::Http;
use crate::support::websocket::{WebSocket, headers, own_origin};

/// G1.
#[test]
fn a_page_of_any_other_origin_is_refused_before_there_is_a_websocket() {
    let daemon = start("15000-15019");
    let own = own_origin(&daemon);
    let port = daemon.addresses().http[0].port();
    for stranger in [
        "https://evil.example",
        "null",
        "",
        &format!("http://127.0.0.1:{}", port ^ 1),
        &format!("https://127.0.0.1:{port}"),
        &format!("{own}.evil.example"),
        "https://evil-friend.example",
        "https://friend.example.evil.example",
        "https://friend.example:444",
    ] {
        let mut headers = headers("");
        headers.push(("Origin", stranger));
        let answer = WebSocket::try_open(Http::of(&daemon), &headers).err().expect(stranger);
        assert_eq!((answer.status, answer.header("sec-websocket-accept")), (403, None), "{stranger}");
    }
    for friend in [&own[..], "https://friend.example"] {
        assert!(WebSocket::try_open(Http::of(&daemon), &headers(friend)).is_ok(), "{friend}");
    }
    daemon.stop();
}

#[test]
fn a_websocket_opens_on_every_tls_port_too() {
    let daemon = start_secure("15240-15259", |_| {});
    for server in [daemon.addresses().tls[0], daemon.addresses().tcp[0]] {
        for alpn in [&["http/1.1"][..], &[]] {
            let origin = format!("https://{server}");
            let opened = WebSocket::try_open(Http::secure(server, alpn), &headers(&origin));
            let welcome = opened.ok().unwrap().ask(json!({"t": "hello", "v": [1]}));
            assert_eq!(welcome["t"], "welcome", "{server} {alpn:?}");
        }
    }
    daemon.stop();
}

/// G1, W3.
#[test]
fn whoever_sends_no_origin_needs_a_token() {
    let daemon = start("15020-15039");
    let tokens = RoomTokens::new(&[Secret::new(SECRET)]);
    let good = tokens.issue(None, u64::MAX / 2).unwrap();
    let expired = tokens.issue(None, 1_000_000).unwrap();
    let open = || WebSocket::try_open(Http::of(&daemon), &headers("")).ok().unwrap();
    for (hello, code) in [
        (json!({"t": "hello", "v": [1]}), "unauthorized"),
        (json!({"t": "hello", "v": [1], "token": "r1.guess"}), "unauthorized"),
        (json!({"t": "hello", "v": [1], "token": expired}), "token_expired"),
    ] {
        let mut socket = open();
        socket.say(&hello);
        assert_eq!(socket.end(), (Some(4401), Some(code.to_owned())));
    }
    assert_eq!(open().ask(json!({"t": "hello", "v": [1], "token": good}))["t"], "welcome");
    daemon.stop();
}

/// G8: a header may have any bytes.
#[test]
fn the_subprotocol_is_named_if_the_client_names_it_whatever_else_it_says() {
    let daemon = start("15040-15059");
    let own = own_origin(&daemon);
    for (asked, answered) in [
        ("signal.v1", Some("signal.v1")),
        ("chat, signal.v1", Some("signal.v1")),
        ("signal.v2", None),
        ("", None),
        (",,;\u{e9}\u{ff}", None),
        ("\u{e9}, signal.v1", Some("signal.v1")),
    ] {
        let mut headers = headers(&own);
        headers.push(("Sec-WebSocket-Protocol", asked));
        let mut http = Http::of(&daemon);
        http.send(crate::support::http::request("GET", "/ws", &headers, ""));
        let answer = http.answer();
        assert_eq!((answer.status, answer.header("sec-websocket-protocol")), (101, answered), "{asked}");
    }
    daemon.stop();
}

#[test]
fn what_is_no_upgrade_is_told_so() {
    let daemon = start("15060-15079");
    let own = own_origin(&daemon);
    for left_out in ["Upgrade", "Connection", "Sec-WebSocket-Key", "Sec-WebSocket-Version"] {
        let headers: Vec<_> = headers(&own).into_iter().filter(|(name, _)| *name != left_out).collect();
        let answer = WebSocket::try_open(Http::of(&daemon), &headers).err().unwrap();
        assert_eq!(answer.header("content-type"), Some("application/problem+json"));
        assert_eq!(answer.status, 400, "{left_out}");
    }
    daemon.stop();
}

#[test]
fn one_address_has_so_many_sockets_and_each_is_given_back() {
    let daemon = start_changed("15080-15099", |config| config.rooms.sockets_per_ip = 3);
    let own = own_origin(&daemon);
    let mut open: Vec<_> = (0..3).map(|_| WebSocket::open(&daemon)).collect();
    let answer = WebSocket::try_open(Http::of(&daemon), &headers(&own)).err().unwrap();
    assert_eq!((answer.status, answer.header("retry-after")), (429, Some("5")));
    let mut last = open.pop().unwrap();
    last.ask(json!({"t": "hello", "v": [1]}));
    last.say(&json!({"t": "bye"}));
    assert_eq!(last.end().0, Some(1000));
    crate::support::stream::eventually("its place is free", || daemon.hub().counters().sockets.get() == 2);
    WebSocket::open(&daemon);
    daemon.stop();
}
