//! What clients do that mean ill or are broken, while their neighbours go on.

use std::time::Duration;

use serde_json::json;

use super::{FRIEND, HOME, Page, Polling, closes, offer, start};
use crate::support::http::Http;
use crate::support::stream::{eventually, within};
use crate::support::websocket::{BINARY, FIN, PING, TEXT, frame};

#[test]
fn a_client_that_sends_too_much_is_put_out_by_any_transport() {
    let daemon = start("16840-16859");
    let mut neighbour = Page::open(&daemon);
    neighbour.say(&json!(["join", "one"]));
    assert_eq!(neighbour.hear(), r#"42["created","one"]"#);
    // Events that no dialect has count as five.
    let (mut polling, mut socket) = (Polling::open(&daemon), Page::open(&daemon));
    let flood = vec!["42[\"nonsense\"]"; 300].join("\u{1e}");
    polling.post(&flood);
    assert!(polling.is_over());
    (0..60).for_each(|_| socket.send("42[\"nonsense\",1]"));
    assert_eq!(socket.end().1, Some(4429));
    let mut pings = Page::open(&daemon);
    let many: Vec<u8> = (0..400).flat_map(|_| frame(FIN | PING, b"x")).collect();
    let _ = pings.socket.http.try_send(many);
    eventually("it is put out", || closes(&daemon, "rate_limited") == 3);
    // Half a mebibyte in ten seconds.
    let mut large = Polling::open(&daemon);
    let event = format!("42{}", json!(["nonsense", "x".repeat(60_000)]));
    assert!((0..10).any(|_| large.post(&event).status != 200), "512 KiB are over after nine");
    assert_eq!(closes(&daemon, "rate_limited"), 4);
    neighbour.say(&json!(["offer", offer(), "one"]));
    assert_eq!(daemon.snapshot().rooms.members, 1);
    daemon.stop();
}

#[test]
fn what_is_too_large_ends_its_session_and_is_not_kept() {
    let daemon = start("16860-16879");
    let (mut polling, mut socket) = (Polling::open(&daemon), Page::open(&daemon));
    assert_eq!(polling.post(&"4".repeat(70_000)).status, 413);
    socket.socket.frame(FIN | TEXT, &vec![b'4'; 70_000]);
    assert_eq!(socket.end().1, Some(1009));
    eventually("both are over", || daemon.snapshot().rooms.sessions == 0);
    assert_eq!(closes(&daemon, "too_big"), 2);
    daemon.stop();
}

#[test]
fn binary_packets_and_what_is_no_packet_end_the_session() {
    let daemon = start("16880-16899");
    let sent = [
        "451-[\"offer\",{\"_placeholder\":true,\"num\":0},\"one\"]",
        "bAAAA",
        "42",
        "42{}",
        "42[\"a\"",
        "4",
        "9",
        "",
        "한글",
        "40",
        "42/admin,[\"a\"]",
    ];
    for packet in sent {
        let mut page = Page::open(&daemon);
        page.send(packet);
        let (last, code) = page.end();
        assert_eq!((last.last().map(String::as_str), code), (Some("1"), Some(4400)), "{packet:?}");
    }
    let mut page = Page::open(&daemon);
    page.socket.frame(FIN | BINARY, b"\x04\x00");
    assert_eq!(page.end().1, Some(4400));
    let mut deep = Polling::open(&daemon);
    deep.post(&format!("42[\"join\",{}{}]", "[".repeat(20_000), "]".repeat(20_000)));
    assert!(deep.is_over());
    eventually("nothing is left of them", || daemon.snapshot().rooms.sessions == 0);
    daemon.stop();
}

#[test]
fn a_namespace_that_is_unknown_is_refused_and_names_of_prototypes_are_names() {
    let daemon = start("16900-16919");
    let mut page = Page::open(&daemon);
    page.send("40/admin,{\"token\":\"x\"}");
    assert_eq!(page.hear(), r#"44/admin,{"message":"Invalid namespace"}"#);
    for name in ["__proto__", "constructor", "toString"] {
        page.say(&json!([name, "one"]));
        page.say(&json!(["join", name]));
        assert!(page.hear().contains(name));
    }
    page.send("430[]");
    page.say(&json!(["join", "one"]));
    assert_eq!(
        page.hear(),
        r#"42["created","one"]"#,
        "an acknowledgement that nobody asked for harms nobody"
    );
    daemon.stop();
}

#[test]
fn what_waits_for_a_client_that_does_not_poll_is_what_another_may_send_and_comes_in_order() {
    let daemon = start("16920-16939");
    let (mut deaf, mut page) = (Polling::open(&daemon), Page::open(&daemon));
    deaf.say(&json!(["join", "one"]));
    eventually("it is in the room", || daemon.snapshot().rooms.members == 1);
    page.say(&json!(["join", "one"]));
    // 30 KiB at a time: half a mebibyte in ten seconds is the most that one client may send.
    for number in 0..30 {
        let large = json!({ "type": "offer", "sdp": format!("{number:>30000}") });
        if page
            .socket
            .http
            .try_send(frame(FIN | TEXT, format!("42{}", json!(["offer", large, "one"])).as_bytes()))
            .is_err()
        {
            break;
        }
    }
    eventually("the other is put out", || closes(&daemon, "rate_limited") == 1);
    assert_eq!([deaf.hear(), deaf.hear()], [r#"42["created","one"]"#, r#"42["ready"]"#]);
    for number in 0..17 {
        assert!(deaf.hear().contains(&format!(" {number}\"")), "{number}");
    }
    daemon.stop();
}

#[test]
fn a_session_has_one_poll_at_a_time() {
    let daemon = start("16940-16959");
    let mut page = Polling::open(&daemon);
    let path = page.path();
    let poll = format!("GET {path} HTTP/1.1\r\nHost: turn.example\r\nOrigin: {FRIEND}\r\n\r\n");
    page.http.send(&poll);
    let mut second = Http::of(&daemon);
    let mut codes = Vec::new();
    eventually("the second is refused", || {
        codes.push(second.ask("GET", &path, &[("Origin", FRIEND)], "").json()["code"].clone());
        codes.contains(&json!(3))
    });
    assert_eq!(page.http.answer().body, "41\u{1e}1", "and the first is told that the session is over");
    daemon.stop();
}

#[test]
fn a_session_that_never_enters_the_main_namespace_is_over_after_ten_seconds() {
    let daemon = start("16960-16979");
    let (polling, mut socket) = (
        Polling::try_open(&daemon, FRIEND, HOME, "").unwrap(),
        Page::try_open(&daemon, FRIEND, HOME, "").unwrap(),
    );
    socket.socket.http.connection.socket.set_read_timeout(Some(Duration::from_secs(15))).unwrap();
    assert_eq!(socket.end(), (vec!["1".to_owned()], Some(4408)));
    eventually("so is the one that never polled", || closes(&daemon, "hello_timeout") == 2);
    drop(polling);
    daemon.stop();
}

#[test]
fn a_poll_without_news_is_answered_before_a_request_is_too_old() {
    let daemon = start("16980-16999");
    let mut page = Polling::open(&daemon);
    page.http.connection.socket.set_read_timeout(Some(Duration::from_secs(15))).unwrap();
    assert_eq!(page.ask("GET", "").body, "6");
    daemon.stop();
}

#[test]
fn a_client_that_polls_no_more_is_gone_after_ten_seconds_and_its_place_is_free() {
    let daemon = start("17000-17019");
    let mut page = Polling::open(&daemon);
    page.say(&json!(["join", "one"]));
    assert_eq!(page.hear(), r#"42["created","one"]"#);
    // As a browser does that leaves the page: its poll ends with the connection.
    let poll = format!("GET {} HTTP/1.1\r\nHost: turn.example\r\nOrigin: {FRIEND}\r\n\r\n", page.path());
    page.http.send(poll);
    drop(page);
    within(Duration::from_secs(15), "nobody is in the room", || daemon.snapshot().rooms.members == 0);
    assert_eq!(closes(&daemon, "dead"), 1);
    daemon.stop();
}
