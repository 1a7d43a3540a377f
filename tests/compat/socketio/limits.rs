//! Who may come, and how many: what is refused, and that neighbours are served.

use std::time::Duration;

use hairpin::clock::{Clock, Expiry};
use hairpin::room_token::{Create, RoomTokens};
use hairpin::secret::Secret;
use hairpin::sections::number::Count;
use serde_json::json;

use super::{FRIEND, HOME, Page, Polling, closes, start, start_changed};
use crate::support::http::Http;
use crate::support::stream::eventually;

const NEIGHBOUR: &str = "198.51.100.8";

#[test]
fn a_page_of_any_other_origin_is_refused_before_there_is_a_session() {
    let daemon = start("16740-16759");
    for stranger in ["https://evil.example", "null", "https://friend.example.evil.example"] {
        let polling = Polling::try_open(&daemon, stranger, HOME, "").err().unwrap();
        let socket = Page::try_open(&daemon, stranger, HOME, "").err().unwrap();
        assert_eq!((polling.status, socket.status), (403, 403), "{stranger}");
        assert_eq!(polling.header("access-control-allow-origin"), None);
    }
    let mut friend = Polling::open(&daemon);
    assert_eq!(friend.post("3").header("access-control-allow-origin"), Some(FRIEND));
    let stolen = friend.path();
    let mut http = Http::of(&daemon);
    assert_eq!(http.ask("POST", &stolen, &[("Origin", "https://evil.example")], "41").status, 403);
    daemon.stop();
}

/// Browsers send no `Origin` with the first request to the server that the page is from.
#[test]
fn a_client_for_which_no_browser_vouches_shows_a_token_when_it_enters() {
    let secret = Secret::new("a secret of the tests that is long enough");
    let daemon = start_changed("16760-16779", |config| config.credentials.secrets = vec![secret.clone()]);
    let mut nobody = Polling::try_open(&daemon, "", HOME, "").expect("it may be a browser");
    nobody.post("40");
    assert_eq!(nobody.hear(), r#"44{"message":"a valid token is required"}"#);
    assert!(nobody.is_over());
    let expires = Expiry::after(Clock::start().now().unix, Duration::from_secs(60));
    let token = RoomTokens::new(&[secret]).issue(Some("one"), expires).unwrap();
    // when: by what the page sets as `auth`, or in the URL
    let mut shown = Polling::try_open(&daemon, "", HOME, "").unwrap();
    shown.post(&format!("40{}", json!({ "token": token })));
    let mut in_url = Page::try_open(&daemon, "", HOME, &format!("&token={token}")).unwrap();
    in_url.send("40");
    // then: for the room that it names
    assert!(shown.hear().starts_with("40{") && in_url.hear().starts_with("40{"));
    shown.say(&json!(["join", "one"]));
    assert_eq!(shown.hear(), r#"42["created","one"]"#);
    in_url.say(&json!(["join", "another"]));
    assert!(in_url.hear().contains("\"unauthorized\""));
    // A browser that sends its origin with what it sends.
    let mut browser = Polling::try_open(&daemon, "", HOME, "").unwrap();
    browser.headers[0].1 = FRIEND.to_owned();
    browser.connect();
    daemon.stop();
}

#[test]
fn where_rooms_need_a_token_pages_without_one_create_none() {
    let daemon = start_changed("16780-16799", |config| {
        config.rooms.create = Create::Token;
        config.credentials.secrets = vec![Secret::new("a secret of the tests that is long enough")];
    });
    let mut page = Page::open(&daemon);
    page.say(&json!(["join", "one"]));
    assert!(page.hear().contains("\"room_not_found\""));
    assert_eq!(daemon.snapshot().rooms.rooms, 0);
    daemon.stop();
}

#[test]
fn an_address_has_so_many_sessions_whether_they_poll_or_not_and_its_neighbour_has_its_own() {
    let daemon = start_changed("16800-16819", |config| config.rooms.sockets_per_ip = Count::of::<5>());
    let mut member = Polling::open(&daemon);
    member.say(&json!(["join", "one"]));
    member.hear();
    let idle: Vec<_> = (0..4).map(|_| Polling::try_open(&daemon, FRIEND, HOME, "").unwrap()).collect();
    // Nobody makes way who has just come; this refusal is over in three seconds.
    let refused = Polling::try_open(&daemon, FRIEND, HOME, "").err().unwrap();
    assert_eq!((refused.status, refused.json()["code"].clone()), (429, json!("too_many")));
    assert!(Polling::try_open(&daemon, FRIEND, NEIGHBOUR, "").is_ok());
    let mut new = None;
    eventually("a session that is in no room makes way", || {
        new = Polling::try_open(&daemon, FRIEND, HOME, "").ok();
        new.is_some()
    });
    eventually("it is told so", || closes(&daemon, "crowded") == 1);
    member.say(&json!(["join", "one"]));
    assert_eq!(daemon.snapshot().rooms.members, 1);
    drop(idle);
    daemon.stop();
}

#[test]
fn a_room_holds_as_many_as_its_pages_can_deal_with_and_the_operator_allows() {
    let daemon = start("16820-16839");
    let mut pages: Vec<_> = (0..3).map(|_| Page::open(&daemon)).collect();
    for (page, first) in pages.iter_mut().zip(["created", "joined", "full"]) {
        page.say(&json!(["join", "one"]));
        assert_eq!(page.hear(), format!("42[\"{first}\",\"one\"]"));
    }
    assert_eq!(pages[1].hear(), "42[\"ready\"]");
    assert!(pages[2].hear().contains("room_full"));
    let mut mesh: Vec<_> = (0..5).map(|_| Page::open(&daemon)).collect();
    for (index, page) in mesh.iter_mut().enumerate() {
        page.say(&json!(["join-room", "one", format!("peer {index}")]));
        let members = 2 + (index + 1).min(4) as u64;
        eventually("it is in the room", || daemon.snapshot().rooms.members == members);
    }
    assert!(mesh[4].hear().starts_with("42[\"full\""), "rooms.capacity is 4");
    assert_eq!(daemon.snapshot().rooms.members, 6);
    daemon.stop();
}
