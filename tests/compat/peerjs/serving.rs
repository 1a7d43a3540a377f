//! What clients get.

use std::time::Duration;

use hairpin::clock::Clock;
use hairpin::compat::peerjs::waiting::EXPIRY;
use hairpin::origin::PublicUrl;
use hairpin::sections::compat::SitePath;
use hairpin::sections::value::{Off, Text as _};
use serde_json::{Value, json};

use super::{FRIEND, Peer, closes, counted, start, start_changed};
use crate::support::http::Http;
use crate::support::stream::eventually;
use crate::support::websocket::{BINARY, FIN};

#[test]
fn a_message_goes_from_peer_to_peer_with_the_id_of_its_sender() {
    let daemon = start("16000-16019");
    let (mut me, mut you) = (Peer::open(&daemon, "me"), Peer::open(&daemon, "you"));
    me.say(&json!({"type": "HEARTBEAT"}));
    for kind in ["OFFER", "ANSWER", "CANDIDATE", "LEAVE", "EXPIRE"] {
        me.say(&json!({"type": kind, "src": "you", "dst": "you", "payload": {"n": [1, null]}, "more": 1}));
        assert_eq!(you.hear(), json!({"type": kind, "src": "me", "dst": "you", "payload": {"n": [1, null]}}));
    }
    // A frame of bytes is read as text.
    me.socket.frame(FIN | BINARY, br#"{"type":"LEAVE","dst":"you"}"#);
    assert_eq!(you.hear(), json!({"type": "LEAVE", "src": "me", "dst": "you"}));
    assert_eq!((me.types(), you.types()), (vec![], vec![]), "nothing of all this has an answer");
    let counted = counted(&daemon);
    assert_eq!((counted.sockets, counted.received["HEARTBEAT"], counted.sent["OFFER"]), (2, 1, 1));
    daemon.stop();
}

#[test]
fn what_is_sent_before_a_peer_comes_waits_and_what_is_sent_to_nobody_expires() {
    let daemon = start("16020-16039");
    let mut me = Peer::open(&daemon, "me").patiently();
    let clock = Clock::start();
    let begun = clock.now().moment;
    me.offer("late");
    me.offer("never");
    me.offer("never");
    assert_eq!(me.types(), Vec::<String>::new());
    let mut late = Peer::open(&daemon, "late");
    assert_eq!(late.hear()["src"], "me");
    assert_eq!(me.hear(), json!({"type": "EXPIRE", "src": "never", "dst": "me"}));
    let took = clock.now().moment.since(begun);
    assert!(took >= EXPIRY && took < EXPIRY + Duration::from_secs(2), "{took:?}");
    assert_eq!((me.types(), counted(&daemon).waiting_bytes), (vec![], 0), "it is said once");
    daemon.stop();
}

#[test]
fn whoever_cannot_be_served_is_told_why() {
    let daemon = start("16040-16059");
    let _holder = Peer::open(&daemon, "taken");
    let long = format!("key=peerjs&id={}&token=t", "a".repeat(129));
    for (query, kind, msg) in [
        ("key=peerjs&id=taken&token=another", "ID-TAKEN", "ID is taken"),
        ("key=wrong&id=a&token=t", "INVALID-KEY", "Invalid key provided"),
        ("id=a&token=t", "ERROR", "No id, token, or key supplied to websocket server"),
        ("", "ERROR", "No id, token, or key supplied to websocket server"),
        (&long, "ERROR", "the id has more than 128 bytes, or the token more than 256: shorten it"),
    ] {
        let told = json!({"type": kind, "payload": {"msg": msg}});
        assert_eq!(Peer::with(&daemon, query).end(), (told, Some(4400)), "{query}");
    }
    eventually("one socket is left", || counted(&daemon).sockets == 1);
    daemon.stop();
}

#[test]
fn a_client_that_comes_back_with_its_token_has_its_id_again() {
    let daemon = start("16060-16079");
    let (mut old, mut you) = (Peer::open(&daemon, "me"), Peer::open(&daemon, "you"));
    let mut new = Peer::open(&daemon, "me");
    assert_eq!(old.end(), (Value::default(), Some(4409)));
    you.offer("me");
    assert_eq!(new.hear()["src"], "you");
    new.offer("you");
    assert_eq!(you.hear()["src"], "me");
    // Whoever goes leaves its id to others.
    drop(new);
    eventually("the id is free", || counted(&daemon).sockets == 1);
    let mut other = Peer::with(&daemon, "key=peerjs&id=me&token=another");
    assert_eq!(other.hear(), json!({"type": "OPEN"}));
    other.say(&json!({"type": "LEAVE"}));
    assert_eq!(other.end().1, Some(1000));
    daemon.stop();
}

#[test]
fn ids_are_given_out_and_listed_only_where_that_is_on() {
    let daemon = start("16080-16099");
    let get = |path: &str| Http::of(&daemon).ask("GET", path, &[("Origin", FRIEND)], "");
    let ids = [get("/peerjs/peerjs/id"), get("/peerjs/any/id?ts=1")].map(|answer| {
        assert_eq!((answer.status, answer.header("access-control-allow-origin")), (200, Some(FRIEND)));
        assert_eq!(answer.header("content-type"), Some("text/plain; charset=utf-8"));
        answer.body
    });
    assert_ne!(ids[0], ids[1]);
    for id in &ids {
        let parts: Vec<_> = id.split('-').map(str::len).collect();
        assert_eq!((parts, &id[14..15]), (vec![8, 4, 4, 4, 12], "4"), "{id} is a random UUID");
    }
    assert_eq!(get("/peerjs/peerjs/peers").status, 401);
    for about in ["/peerjs", "/peerjs/"] {
        assert_eq!(get(about).json()["website"], "https://peerjs.com/");
    }
    assert_eq!(Http::of(&daemon).ask("POST", "/peerjs/peerjs/id", &[], "").status, 405);
    let stranger =
        Http::of(&daemon).ask("GET", "/peerjs/peerjs/id", &[("Origin", "https://evil.example")], "");
    assert_eq!(stranger.header("access-control-allow-origin"), None, "no page of a foreign site reads it");
    daemon.stop();

    let daemon = start_changed("16100-16119", |config| config.compat.peerjs_discovery = true);
    let _peers = ["b", "__proto__", "a"].map(|id| Peer::open(&daemon, id));
    let get = |path: &str| Http::of(&daemon).ask("GET", path, &[], "");
    assert_eq!(get("/peerjs/peerjs/peers").json(), json!(["b", "__proto__", "a"]));
    assert_eq!(get("/peerjs/other/peers").status, 401);
    daemon.stop();
}

#[test]
fn the_path_may_be_the_root_beside_the_pages_and_below_the_path_of_the_site() {
    let daemon = start_changed("16180-16199", |config| {
        config.compat.peerjs = Off(SitePath::parse("/").ok());
        config.http.public_url = Some(PublicUrl::parse("https://example.org/call").unwrap());
    });
    let get = |path: &str| Http::of(&daemon).get(path);
    for path in ["/peerjs/id", "/call/peerjs/id"] {
        assert_eq!((get(path).status, get(path).body.len()), (200, 36), "{path}");
    }
    for page in ["/", "/r/garden", "/call/"] {
        assert!(get(page).body.starts_with("<!doctype html>"), "{page}");
    }
    assert_eq!(
        [get("/peerjs/peers").status, get("/nothing").status, get("/api/v1/id").status],
        [401, 404, 404]
    );
    daemon.stop();
}

#[test]
fn a_reload_changes_where_clients_are_served_and_who_stays_is_not_disturbed() {
    let daemon = start("16120-16139");
    let mut peer = Peer::open(&daemon, "me");
    let change = |change: &dyn Fn(&mut hairpin::config::Config)| {
        let mut config = super::config_of("16120-16139");
        change(&mut config);
        daemon.reload(&config).unwrap()
    };
    let moved = change(&|config| config.compat.peerjs = Off(SitePath::parse("/other").ok()));
    assert_eq!((moved.changed, moved.needs_restart), (vec!["compat.peerjs".to_owned()], vec![]));
    let get = |path: &str| Http::of(&daemon).get(path).status;
    assert_eq!([get("/peerjs/peerjs/id"), get("/other/peerjs/id")], [404, 200]);
    peer.offer("me");
    assert_eq!(peer.hear()["type"], "OFFER");
    change(&|config| config.compat.peerjs = Off(None));
    assert_eq!((peer.end().1, get("/other/peerjs/id")), (Some(1001), 404));
    assert!(daemon.snapshot().compat.is_empty());
    daemon.stop();
}

#[test]
fn a_server_that_stops_closes_the_sockets_and_takes_nobody_more() {
    let daemon = start("16140-16159");
    let mut peer = Peer::open(&daemon, "me");
    daemon.drain();
    assert_eq!(peer.end().1, Some(1001));
    let answer = Peer::try_at(&daemon, "198.51.100.7", "key=peerjs&id=a&token=t").err().unwrap();
    assert_eq!((answer.status, answer.json()["code"].clone()), (503, json!("draining")));
    assert_eq!(closes(&daemon, "drain"), 1);
    daemon.stop();

    let daemon = start("16160-16179");
    let (mut reads, silent) = (Peer::open(&daemon, "a"), Peer::open(&daemon, "b"));
    let clock = Clock::start();
    let begun = clock.now().moment;
    let stopping = std::thread::spawn(move || daemon.stop());
    assert_eq!(reads.end().1, Some(1001));
    stopping.join().unwrap();
    let took = clock.now().moment.since(begun);
    assert!(took < Duration::from_secs(2), "{took:?}");
    drop(silent);
}
