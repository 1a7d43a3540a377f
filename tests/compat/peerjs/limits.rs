//! Who may come, and how many: what is refused, and that neighbours are served.

use hairpin::clock::Clock;
use hairpin::sections::number::Count;
use serde_json::json;

use super::{FRIEND, Peer, closes, counted, start, start_changed};
use crate::support::http::Http;
use crate::support::stream::eventually;
use crate::support::websocket::{WebSocket, headers, own_origin};

const SOCKET: &str = "/peerjs/peerjs?key=peerjs&id=me&token=t";

#[test]
fn a_page_of_any_other_origin_is_refused_before_there_is_a_websocket() {
    let daemon = start("16200-16219");
    let open = |headers: &[(&str, &str)]| WebSocket::try_open_at(Http::of(&daemon), SOCKET, headers);
    for stranger in ["https://evil.example", "null", "https://friend.example.evil.example", ""] {
        let answer = open(&headers(stranger)).err().expect(stranger);
        assert_eq!((answer.status, answer.header("sec-websocket-accept")), (403, None), "{stranger}");
    }
    let mut two = headers(FRIEND);
    two.push(("Origin", "https://evil.example"));
    assert_eq!(open(&two).err().unwrap().status, 403);
    for friend in [FRIEND, &own_origin(&daemon)] {
        assert!(open(&headers(friend)).is_ok(), "{friend}");
    }
    daemon.stop();
}

#[test]
fn an_address_has_so_many_sockets_of_which_those_in_a_conversation_stay() {
    let daemon = start_changed("16220-16239", |config| config.rooms.sockets_per_ip = Count::of::<3>());
    let (mut a, mut b) = (Peer::open(&daemon, "a"), Peer::open(&daemon, "b"));
    let mut idle = Peer::open(&daemon, "idle");
    a.offer("b");
    assert_eq!(b.hear()["src"], "a");
    // Nobody makes way who has just come; this refusal is over in three seconds.
    let refused = Peer::try_at(&daemon, "198.51.100.7", "key=peerjs&id=new&token=t").err().unwrap();
    assert_eq!((refused.status, refused.json()["code"].clone()), (429, json!("too_many")));
    let _neighbour = Peer::at(&daemon, "198.51.100.8", "neighbour");
    let mut new = None;
    eventually("the one that is in no conversation makes way", || {
        new = Peer::try_at(&daemon, "198.51.100.7", "key=peerjs&id=new&token=t").ok();
        new.is_some()
    });
    assert_eq!((idle.end().1, closes(&daemon, "crowded")), (Some(1013), 1));
    a.offer("b");
    assert_eq!(b.hear()["src"], "a");
    daemon.stop();
}

#[test]
fn an_address_opens_so_many_sockets_in_a_minute_and_its_neighbour_has_its_own() {
    let daemon = start_changed("16240-16259", |config| config.rooms.joins_per_minute = Count::of::<20>());
    let clock = Clock::start();
    let begun = clock.now().moment;
    // As somebody does who tries which ids are taken.
    let tried = (0..60)
        .filter(|n| Peer::try_at(&daemon, "198.51.100.7", &format!("key=peerjs&id={n}&token=t")).is_ok());
    let opened = tried.count() as u64;
    let earned = clock.now().moment.since(begun).as_secs() / 3 + 1;
    assert!((20..=20 + earned).contains(&opened), "{opened}");
    let refused = Peer::try_at(&daemon, "198.51.100.7", "key=peerjs&id=a&token=t").err().unwrap();
    assert!(refused.status == 429 && refused.header("retry-after").is_some(), "{refused:?}");
    Peer::at(&daemon, "198.51.100.8", "neighbour");
    assert!(counted(&daemon).refused["too_often"] >= 30);
    daemon.stop();
}

#[test]
fn an_address_asks_so_often_for_ids_and_its_neighbour_has_its_own() {
    let daemon = start("16260-16279");
    let ask = |ip: &str| {
        let headers = [("Origin", FRIEND), ("X-Forwarded-For", ip)];
        Http::of(&daemon).ask("GET", "/peerjs/peerjs/id", &headers, "").status
    };
    let clock = Clock::start();
    let begun = clock.now().moment;
    let served = (0..400).filter(|_| ask("198.51.100.7") == 200).count() as u64;
    let earned = 10 * (clock.now().moment.since(begun).as_secs() + 1);
    assert!((200..=200 + earned).contains(&served), "{served}");
    assert_eq!(ask("198.51.100.8"), 200);
    daemon.stop();
}
