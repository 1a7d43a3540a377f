//! What clients of socket.io get: by long polling, over a WebSocket, and from one to the other.

use hairpin::config::Config;
use hairpin::sections::compat::SitePath;
use hairpin::sections::value::{Off, Text as _};
use serde_json::json;

use super::{FRIEND, HOME, POLLING, Page, Polling, SOCKET, closes, offer, start, start_changed};
use crate::support::http::Http;
use crate::support::stream::eventually;
use crate::support::websocket::{FIN, TEXT, WebSocket, headers};

#[test]
fn two_pages_meet_one_by_long_polling_and_the_other_over_a_websocket() {
    let daemon = start("16600-16619");
    let (mut ada, mut bob) = (Polling::open(&daemon), Page::open(&daemon));
    ada.say(&json!(["join", "한글 방"]));
    assert_eq!(ada.hear(), r#"42["created","한글 방"]"#);
    bob.say(&json!(["join", "한글 방"]));
    assert_eq!([bob.hear(), bob.hear()], [r#"42["joined","한글 방"]"#, r#"42["ready"]"#]);
    let rooms = daemon.snapshot().rooms;
    assert_eq!((rooms.rooms, rooms.members, rooms.sessions), (1, 2, 2), "the rooms count them");
    // when
    bob.say(&json!(["offer", offer(), "한글 방"]));
    assert_eq!([ada.hear(), ada.hear()], ["42[\"ready\"]".to_owned(), format!("42[\"offer\",{}]", offer())]);
    ada.post(&format!(
        "42{}\u{1e}42{}",
        json!(["answer", { "type": "answer" }, "한글 방"]),
        json!(["ice-candidate", null, "한글 방"])
    ));
    // then
    assert_eq!(
        [bob.hear(), bob.hear()],
        [r#"42["answer",{"type":"answer"}]"#, r#"42["ice-candidate",null]"#]
    );
    // when one ends its session
    bob.send("41");
    eventually("the other is alone", || daemon.snapshot().rooms.members == 1);
    ada.post("1");
    eventually("nobody is there", || daemon.snapshot().rooms.sessions == 0);
    daemon.stop();
}

#[test]
fn a_page_changes_from_long_polling_to_a_websocket_and_loses_nothing() {
    let daemon = start("16620-16639");
    let mut page = Polling::open(&daemon);
    page.say(&json!(["join", "one"]));
    assert_eq!(page.hear(), r#"42["created","one"]"#);
    // A poll waits while the page tries the WebSocket.
    let poll = format!("GET {} HTTP/1.1\r\nHost: turn.example\r\nOrigin: {FRIEND}\r\n\r\n", page.path());
    page.http.send(poll);
    let path = format!("{SOCKET}&sid={}", page.sid);
    let mut socket = WebSocket::try_open_at(Http::of(&daemon), &path, &headers(FRIEND)).unwrap();
    socket.frame(FIN | TEXT, b"2probe");
    assert_eq!(socket.next(), Some((TEXT, b"3probe".to_vec())));
    assert_eq!(page.http.answer().body, "6", "the poll is over");
    socket.frame(FIN | TEXT, b"5");
    // then
    let mut other = Page::open(&daemon);
    other.say(&json!(["join", "one"]));
    other.say(&json!(["offer", offer(), "one"]));
    assert_eq!(socket.next(), Some((TEXT, b"42[\"ready\"]".to_vec())));
    assert_eq!(page.ask("GET", "").json()["code"], 3, "nothing more comes by polling");
    assert_eq!(page.post("41").json()["code"], 3);
    assert!(WebSocket::try_open_at(Http::of(&daemon), &path, &headers(FRIEND)).is_ok_and(|mut second| {
        second.frame(FIN | TEXT, b"2probe");
        second.next().is_none_or(|(opcode, _)| opcode != TEXT)
    }));
    daemon.stop();
}

#[test]
fn a_request_that_is_wrong_gets_the_answer_of_engine_io() {
    let daemon = start("16640-16659");
    let ask = |method: &str, query: &str, body: &str| {
        let answer =
            Http::of(&daemon).ask(method, &format!("/socket.io/?{query}"), &[("Origin", FRIEND)], body);
        (answer.status, answer.json()["code"].clone())
    };
    for (method, query, code) in [
        ("GET", "EIO=4&transport=carrier-pigeon", 0),
        ("GET", "EIO=4", 0),
        ("GET", "EIO=4&transport=polling&sid=unknown", 1),
        ("GET", "EIO=4&transport=websocket&sid=__proto__", 2),
        ("POST", "EIO=4&transport=polling", 2),
        ("DELETE", "EIO=4&transport=polling", 2),
        ("GET", "EIO=3&transport=polling", 5),
        ("GET", "transport=polling", 5),
    ] {
        let (status, found) = ask(method, query, "x");
        // Without an upgrade, a WebSocket is no WebSocket.
        assert!(
            status == 400 && (found == code || query.contains("websocket")),
            "{method} {query}: {status} {found}"
        );
    }
    daemon.stop();
}

#[test]
fn nothing_is_served_that_is_not_configured() {
    let daemon = start_changed("16660-16679", |config| config.compat.socketio = false);
    for path in [POLLING, "/socket.io/socket.io.js", "/ws-relay"] {
        assert_eq!(Http::of(&daemon).ask("GET", path, &[("Origin", FRIEND)], "").status, 404, "{path}");
    }
    daemon.stop();
    let daemon = start("16660-16679");
    let answer = Http::of(&daemon).get("/socket.io/socket.io.js");
    assert!(answer.status == 404 && answer.body.contains("compat.socketio_client"), "{}", answer.body);
    daemon.stop();
}

#[test]
fn the_script_is_the_file_that_the_operator_names() {
    let with_script = |config: &mut Config| config.socketio_client = Some("io = 7;".into());
    let daemon = start_changed("16680-16699", with_script);
    for path in ["/socket.io/socket.io.js", "/socket.io/socket.io.min.js"] {
        let answer = Http::of(&daemon).get(path);
        assert_eq!((answer.status, answer.body.as_str()), (200, "io = 7;"));
        assert_eq!(answer.header("content-type"), Some("text/javascript; charset=utf-8"));
        assert_eq!(answer.header("cross-origin-resource-policy"), None, "pages of other sites load it");
    }
    daemon.stop();
}

#[test]
fn an_administrator_ends_a_room_and_its_pages_stay_away() {
    let daemon = start("16700-16719");
    let mut page = Page::open(&daemon);
    page.say(&json!(["join", "one"]));
    page.hear();
    let room = daemon.hub().rooms().remove(0);
    assert!(daemon.hub().end_room(&room.room));
    assert_eq!(page.end(), (vec!["41".to_owned(), "1".to_owned()], Some(4403)));
    assert_eq!(closes(&daemon, "kicked"), 1);
    daemon.stop();
}

#[test]
fn pages_with_json_of_their_own_meet_by_ids_and_by_names() {
    let on = |config: &mut Config| config.compat.websocket = Off(Some(SitePath::parse("/ws-relay").unwrap()));
    let daemon = start_changed("16720-16739", on);
    let open = |room: &str| {
        let mut headers = headers(FRIEND);
        headers.push(("X-Forwarded-For", HOME));
        WebSocket::try_open_at(Http::of(&daemon), &format!("/ws-relay?room={room}"), &headers).unwrap()
    };
    let (mut ada, mut bob, mut eve) = (open("1"), open("1"), open("2"));
    let id = |socket: &mut WebSocket| socket.hear()["id"].as_str().unwrap().to_owned();
    let (a, b, e) = (id(&mut ada), id(&mut bob), id(&mut eve));
    assert_eq!(ada.hear(), json!({ "type": "userlist", "users": [a] }));
    assert_eq!(ada.hear(), json!({ "type": "userlist", "users": [a, b] }));
    assert_eq!(bob.hear()["users"].as_array().unwrap().len(), 2);
    // when
    bob.say(&json!({ "type": "new-ice-candidate", "candidate": { "candidate": "c" }, "to": a, "from": "somebody else" }));
    // then
    assert_eq!(
        ada.hear(),
        json!({ "type": "new-ice-candidate", "candidate": { "candidate": "c" }, "to": a, "from": b })
    );
    // A name, and MDN's word for it.
    ada.say(&json!({ "type": "username", "name": "에이다" }));
    assert!(bob.hear()["users"].as_array().unwrap().contains(&json!("에이다")));
    bob.say(&json!({ "type": "video-offer", "target": "에이다", "sdp": "v=0" }));
    assert_eq!(ada.hear()["type"], "userlist");
    assert_eq!(ada.hear()["from"], json!(b));
    // Nobody of another room, and no name of another.
    for to in [&e, "__proto__", ""] {
        bob.say(&json!({ "type": "offer", "to": to }));
        assert_eq!(bob.hear()["code"], "peer_not_found", "{to}");
    }
    bob.say(&json!({ "type": "username", "name": "에이다" }));
    assert_eq!(bob.hear()["code"], "name_taken");
    drop(ada);
    assert_eq!(bob.hear(), json!({ "type": "userlist", "users": [b] }));
    daemon.stop();
}
