//! Who may open a WebSocket.

use hairpin::origin::PublicUrl;
use hairpin::room_token::RoomTokens;
use hairpin::secret::Secret;
use hairpin::sections::number::Count;
use hairpin::sections::value::Auto;
use serde_json::json;

use super::daemon::{start, start_changed};
use super::world::{SECRET, until};
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
        assert_eq!(answer.header("vary"), Some("Origin"), "{stranger}");
    }
    for friend in [&own[..], "https://friend.example"] {
        assert!(WebSocket::try_open(Http::of(&daemon), &headers(friend)).is_ok(), "{friend}");
    }
    daemon.stop();
}

#[test]
fn a_websocket_opens_on_every_tls_port_too() {
    let public = "https://call.example";
    let daemon = start_secure("15240-15259", |config| {
        config.http.public_url = Some(PublicUrl::parse(public).unwrap());
    });
    for server in [daemon.addresses().tls[0], daemon.addresses().tcp[0]] {
        for alpn in [&["http/1.1"][..], &[]] {
            let opened = WebSocket::try_open(Http::secure(server, alpn), &headers(public));
            let welcome = opened.ok().unwrap().ask(json!({"t": "hello", "v": [1]}));
            assert_eq!(welcome["t"], "welcome", "{server} {alpn:?}");
        }
    }
    daemon.stop();
}

/// T24: else whoever adds a certificate for TURN alone would let strangers into rooms, and have them relay.
#[test]
fn without_a_public_url_nobody_comes_in_over_tls_or_through_a_proxy() {
    let daemon = start_secure("15260-15279", |config| {
        config.http.listen = vec!["127.0.0.1:0".parse().unwrap()];
    });
    let (plain, tls) = (own_origin(&daemon), daemon.addresses().tls[0]);
    for origin in [&plain, &format!("https://{tls}"), "https://turn.example", "https://localhost"] {
        let opened = WebSocket::try_open(Http::secure(tls, &[]), &headers(origin));
        assert_eq!(opened.err().unwrap().status, 403, "{origin}");
    }
    let mut proxied = headers(&plain);
    assert!(WebSocket::try_open(Http::of(&daemon), &proxied).is_ok(), "straight to the plain port");
    proxied.push(("X-Forwarded-For", "198.51.100.7"));
    assert_eq!(WebSocket::try_open(Http::of(&daemon), &proxied).err().unwrap().status, 403);
    daemon.stop();
}

/// A proxy's connections are all from one address.
#[test]
fn a_proxy_may_bring_more_than_one_client_may_open() {
    let daemon = start_changed("15280-15299", |config| {
        config.http.public_url = Some(PublicUrl::parse("https://call.example").unwrap());
        config.limits.connections_per_ip = Auto(Count::new(4));
        config.rooms.sockets_per_ip = Count::of::<2>();
    });
    let open = |client: usize| {
        let client = format!("198.51.{client}.7");
        let mut headers = headers("https://call.example");
        headers.push(("X-Forwarded-For", &client));
        WebSocket::try_open(Http::of(&daemon), &headers)
    };
    let member = |socket: usize| {
        let mut member = open(socket / 2).ok().unwrap();
        member.ask(json!({"t": "hello", "v": [1]}));
        assert_eq!(member.ask(json!({"t": "join", "room": format!("room {}", socket / 4)}))["t"], "joined");
        member
    };
    let held: Vec<_> = (0..20).map(member).collect();
    assert_eq!(open(0).err().unwrap().status, 429);
    drop(held);
    daemon.stop();
}

/// G1, W3.
#[test]
fn whoever_sends_no_origin_needs_a_token() {
    let daemon = start("15020-15039");
    let tokens = RoomTokens::new(&[Secret::new(SECRET)]);
    let good = tokens.issue(None, until(u64::MAX / 2)).unwrap();
    let expired = tokens.issue(None, until(1_000_000)).unwrap();
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
    let daemon = start_changed("15080-15099", |config| config.rooms.sockets_per_ip = Count::of::<3>());
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
