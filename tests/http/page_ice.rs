//! ICE servers for pages of other sites, without a key: what `/compat.js` asks for.

use std::time::Duration;

use hairpin::clock::{Clock, Expiry};
use hairpin::config::Config;
use hairpin::daemon::Daemon;
use hairpin::origin::host::HostName;
use hairpin::room_token::{Create, RoomTokens};
use hairpin::secret::Secret;
use serde_json::Value;

use crate::backend::{SECRET, credential, start_changed};
use crate::support::http::{Answer, Http};

const PATH: &str = "/api/v1/page-ice";
const FRIEND: &str = "https://friend.example";

fn with_script(ports: &str, change: impl FnOnce(&mut Config)) -> Daemon {
    start_changed(ports, |config| {
        config.compat.script = true;
        config.http.proxies = vec!["127.0.0.1/32".parse().unwrap()];
        config.http.ice_host = Some(HostName::parse("turn.example.org").unwrap());
        change(config);
    })
}

fn ask(daemon: &Daemon, headers: &[(&str, &str)]) -> Answer {
    Http::of(daemon).ask("POST", PATH, headers, "")
}

#[test]
fn a_page_that_may_enter_rooms_gets_what_their_members_get_and_may_read_it() {
    let daemon = with_script("18900-18909", |_| {});
    let answer = ask(&daemon, &[("Origin", FRIEND)]);
    assert_eq!((answer.status, answer.header("access-control-allow-origin")), (201, Some(FRIEND)));
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    let (username, _) = credential(&answer.json());
    assert!(username.contains(":room."), "{username}");
    assert_eq!(answer.json()["ttl"], 3600);
    assert_ne!(credential(&ask(&daemon, &[("Origin", FRIEND)]).json()).0, username, "each has its own quota");
    daemon.stop();
}

#[test]
fn no_other_page_gets_them_and_nobody_without_a_page_or_a_token() {
    let daemon = with_script("18910-18919", |_| {});
    for (headers, status) in [
        (&[("Origin", "https://evil.example")][..], 403),
        (&[("Origin", "https://app.example")], 403),
        (&[("Origin", "null")], 403),
        (&[], 401),
        (&[("Authorization", "Bearer r1.1.x.y")], 401),
    ] {
        let answer = ask(&daemon, headers);
        assert_eq!((answer.status, answer.json().get("iceServers")), (status, None::<&Value>), "{headers:?}");
    }
    let script = Http::of(&daemon).get("/compat.js");
    assert_eq!((script.status, script.header("cache-control")), (200, Some("no-cache")));
    assert_eq!(script.header("cross-origin-resource-policy"), None, "pages of all sites load it");
    assert!(!script.body.contains("credential\":"), "there is nothing in it for them");
    daemon.stop();
    let daemon = start_changed("18910-18919", |_| {});
    assert_eq!(ask(&daemon, &[("Origin", FRIEND)]).status, 403, "it is off");
    daemon.stop();
}

#[test]
fn where_rooms_need_a_token_so_does_the_relay() {
    let daemon = with_script("18920-18929", |config| config.rooms.create = Create::Token);
    assert_eq!(ask(&daemon, &[("Origin", FRIEND)]).status, 401);
    let expires = Expiry::after(Clock::start().now().unix, Duration::from_secs(60));
    let token = RoomTokens::new(&[Secret::new(SECRET)]).issue(None, expires).unwrap();
    let header = format!("Bearer {token}");
    assert_eq!(ask(&daemon, &[("Origin", FRIEND), ("Authorization", &header)]).status, 201);
    daemon.stop();
}

#[test]
fn an_address_asks_so_often_and_its_neighbour_has_its_own() {
    let daemon = with_script("18930-18939", |_| {});
    let from = |ip: &str| ask(&daemon, &[("Origin", FRIEND), ("X-Forwarded-For", ip)]).status;
    let served = (0..200).filter(|_| from("198.51.100.7") == 201).count();
    assert!((120..160).contains(&served), "{served}");
    assert_eq!(from("198.51.100.8"), 201);
    daemon.stop();
}
