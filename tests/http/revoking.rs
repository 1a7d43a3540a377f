//! A credential that is taken back ends what was made with it, and opens nothing any more.

use std::time::Duration;

use hairpin::clock::Clock;
use hairpin::outcome::{Method, Refusal};

use crate::backend::{KEY, PAGES_KEY, client, key, post, start, start_changed};
use crate::support::daemon::{Client, peer};
use crate::support::http::Http;
use crate::support::session::Turn as _;
use crate::support::stream::within;
use crate::support::stun::{LIFETIME, REFRESH, channel_data};

fn path(username: &str) -> String {
    format!("/api/v1/credentials/{}/revoke", username.replace(':', "%3A"))
}

/// What it allocated ends on whichever thread it is.
#[test]
fn a_revoked_credential_ends_its_allocations_within_a_second_and_opens_no_more() {
    let daemon = start("18100-18199");
    let answer = post(&daemon, "/api/v1/ice-servers", r#"{"user": "alice"}"#);
    let (username, password) = crate::backend::credential(&answer.json());
    let (mut other, _) = client(&daemon, "bob");
    let mut clients: Vec<Client> =
        (0..8).map(|_| Client::of(&daemon, "127.0.0.1").with(&username, &password)).collect();
    let peer = peer([127, 0, 0, 1].into());
    let relayed = other.allocate();
    for client in &mut clients {
        let relayed = client.allocate();
        client.bind(0x4000, peer.local_addr().unwrap());
        peer.send_to(b"x", relayed).unwrap();
        assert_eq!(client.receive(), channel_data(0x4000, b"x"));
    }
    let allocations = || daemon.metrics().sum(|shard| shard.allocations.get());
    assert_eq!(allocations(), 9);

    let answer = post(&daemon, &path(&username), "");

    assert_eq!((answer.status, answer.body.as_str()), (204, ""));
    within(Duration::from_secs(1), "its allocations end", || allocations() == 1);
    for client in &mut clients {
        let refresh = client.request(REFRESH).attr(LIFETIME, &600_u32.to_be_bytes());
        assert_eq!(client.ask(refresh).code(), Some(401));
        assert_eq!(client.try_allocate(|request| request).code(), Some(401));
    }
    assert_eq!(daemon.metrics().sum(|shard| shard.refusals(Method::Allocate, Refusal::Revoked)), 8);
    let refresh = other.request(REFRESH);
    assert_eq!(other.ask(refresh).code(), None, "{relayed}");
    assert_eq!(post(&daemon, &path(&username), "").status, 204, "once more is no mistake");
    let again = post(&daemon, "/api/v1/ice-servers", r#"{"user": "alice"}"#);
    let (username, password) = crate::backend::credential(&again.json());
    Client::of(&daemon, "127.0.0.1").with(&username, &password).allocate();
    daemon.stop();
}

#[test]
fn a_key_revokes_what_it_has_made_and_nothing_else() {
    let daemon = start_changed("18200-18209", |config| config.http.keys.push(key("other", "another key")));
    let soon = Clock::start().now().unix.as_secs() + 600;
    for (username, status) in [
        (format!("{soon}:shop.alice"), 204),
        (format!("{}:shop.alice", soon - 6000), 204),
        (format!("{soon}:page.alice"), 403),
        (format!("{soon}:shop"), 403),
        (format!("{soon}:shopping.alice"), 403),
        (format!("{soon}:"), 403),
        (soon.to_string(), 403),
        (format!("{}:shop.alice", soon + 86_400), 403),
        ("alice".to_owned(), 404),
        ("nobody".to_owned(), 404),
        ("abc:shop.alice".to_owned(), 400),
        (format!("{soon}000000000000:shop.alice"), 400),
        (format!("{soon}:shop.{}", "a".repeat(500)), 400),
        ("%FF".to_owned(), 400),
    ] {
        assert_eq!(post(&daemon, &path(&username), "").status, status, "{username}");
    }
    let other = [("Authorization", "Bearer another key")];
    let answer = Http::of(&daemon).ask("POST", &path(&format!("{soon}:shop.alice")), &other, "");
    assert_eq!(answer.status, 403);
    let answer =
        Http::of(&daemon).ask("POST", &format!("{}?key={KEY}", path(&format!("{soon}:shop.alice"))), &[], "");
    assert_eq!(answer.status, 401);
    daemon.stop();
}

/// A visitor of the page has its key, and must not end the calls of others.
#[test]
fn a_key_that_is_public_revokes_nothing_not_even_what_it_has_made() {
    let daemon = start("18210-18219");
    let soon = Clock::start().now().unix.as_secs() + 600;
    let bearer = format!("Bearer {PAGES_KEY}");
    let headers = [("Authorization", bearer.as_str())];
    let answer = Http::of(&daemon).ask("POST", &path(&format!("{soon}:page.alice")), &headers, "");
    assert_eq!(answer.status, 403);
    let detail = answer.json()["detail"].as_str().unwrap().to_owned();
    assert!(detail.contains("without origins and allow_query"), "{detail}");
    daemon.stop();
}
