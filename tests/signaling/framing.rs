//! G2: frames that no browser sends.

use std::io::Write as _;

use hairpin::signaling::protocol::FRAME_MAX;
use serde_json::json;

use super::daemon::start;
use crate::support::stream::eventually;
use crate::support::websocket::{BINARY, CLOSE, CONTINUATION, FIN, PING, PONG, TEXT, WebSocket, frame, head};

/// A frame of the largest size is taken, one byte more is not, and is not waited for.
#[test]
fn a_message_may_have_64_kib_and_not_a_byte_more() {
    let daemon = start("15100-15119");
    let text = |size: usize| format!("{{\"t\":\"ping\",\"pad\":\"{}\"}}", "x".repeat(size - 21));
    assert_eq!(text(FRAME_MAX).len(), FRAME_MAX);
    let (mut socket, _) = WebSocket::welcome(&daemon);
    socket.frame(FIN | TEXT, text(FRAME_MAX).as_bytes());
    assert_eq!(socket.hear()["t"], "pong");
    socket.frame(FIN | TEXT, text(FRAME_MAX + 1).as_bytes());
    assert_eq!(socket.end().0, Some(1009));
    for length in [1 << 20, 1 << 31, 1 << 62, u64::MAX / 2] {
        let (mut socket, _) = WebSocket::welcome(&daemon);
        socket.http.send(head(FIN | TEXT, length));
        socket.http.send([0; 4]);
        assert_eq!(socket.end().0, Some(1009), "{length}");
    }
    daemon.stop();
}

#[test]
fn fragments_are_one_message_with_one_bound() {
    let daemon = start("15120-15139");
    let (mut socket, _) = WebSocket::welcome(&daemon);
    let message = json!({"t": "ping", "ts": 7}).to_string();
    let mut bytes = frame(TEXT, &[]);
    for byte in message.as_bytes() {
        bytes.extend(frame(CONTINUATION, std::slice::from_ref(byte)));
        bytes.extend(frame(FIN | PONG, b"between"));
    }
    bytes.extend(frame(FIN | CONTINUATION, &[]));
    socket.http.send(bytes);
    assert_eq!(socket.hear(), json!({"t": "pong", "ts": 7}));
    let mut endless = frame(TEXT, b"x");
    (0..FRAME_MAX).for_each(|_| endless.extend(frame(CONTINUATION, b"x")));
    // The server may have closed before it has read all of it.
    let _ = socket.http.connection.write_all(&endless);
    assert_eq!(socket.end().0, Some(1009));
    daemon.stop();
}

#[test]
fn what_breaks_the_rules_of_frames_is_closed_with_1002_and_bad_text_with_1007() {
    let daemon = start("15140-15159");
    let unmasked = [&[FIN | TEXT, 2][..], b"{}"].concat();
    let long_ping = frame(FIN | PING, &[0; 126]);
    let wrong: &[(&str, Vec<u8>, u16)] = &[
        ("unmasked", unmasked, 1002),
        ("RSV1", frame(FIN | 0x40 | TEXT, b"{}"), 1002),
        ("RSV2 and RSV3", frame(FIN | 0x30 | TEXT, b"{}"), 1002),
        ("a reserved opcode", frame(FIN | 0x3, b"{}"), 1002),
        ("a reserved control opcode", frame(FIN | 0xB, b""), 1002),
        ("a fragmented ping", frame(PING, b""), 1002),
        ("a ping of 126 bytes", long_ping, 1002),
        ("a continuation of nothing", frame(FIN | CONTINUATION, b"{}"), 1002),
        ("a message in a message", [frame(TEXT, b"{"), frame(FIN | TEXT, b"}")].concat(), 1002),
        ("bad UTF-8", frame(FIN | TEXT, b"{\"t\":\"\xff\"}"), 1007),
        ("half a character", frame(FIN | TEXT, b"\xe2\x82"), 1007),
        ("a binary message", frame(FIN | BINARY, b"{}"), 4400),
    ];
    for (what, bytes, code) in wrong {
        let (mut socket, _) = WebSocket::welcome(&daemon);
        socket.http.send(bytes);
        assert_eq!(socket.end().0, Some(*code), "{what}");
    }
    eventually("all are gone", || daemon.hub().counters().sockets.get() == 0);
    daemon.stop();
}

#[test]
fn a_close_is_answered_whatever_its_code() {
    let daemon = start("15160-15179");
    for payload in [&[][..], &1000_u16.to_be_bytes(), &4999_u16.to_be_bytes(), b"\x03\xe8bye"] {
        let (mut socket, _) = WebSocket::welcome(&daemon);
        socket.frame(FIN | CLOSE, payload);
        let (opcode, answer) = socket.next().unwrap();
        assert_eq!((opcode, &answer[..]), (CLOSE, payload));
        assert_eq!(socket.next(), None);
    }
    // These must not stand in a frame at all: 1005 and 999, one byte, and a reason that is no text.
    for payload in [&1005_u16.to_be_bytes()[..], &999_u16.to_be_bytes(), b"\x03", b"\x03\xe8\xff"] {
        let (mut socket, _) = WebSocket::welcome(&daemon);
        socket.frame(FIN | CLOSE, payload);
        while let Some((opcode, answer)) = socket.next() {
            assert!(opcode == CLOSE && answer != payload, "{payload:?}: {opcode} {answer:?}");
        }
    }
    eventually("all are gone", || daemon.hub().counters().sockets.get() == 0);
    daemon.stop();
}

/// Also of frames that say nothing.
#[test]
fn a_flood_of_any_kind_of_frame_is_closed_with_4429() {
    let daemon = start("15180-15199");
    for (what, one) in [
        ("empty texts", frame(FIN | TEXT, b"")),
        ("pings", frame(FIN | PING, b"")),
        ("pongs", frame(FIN | PONG, b"a")),
        ("requests", frame(FIN | TEXT, b"{\"t\":\"leave\"}")),
        (
            "large requests",
            frame(FIN | TEXT, format!("{{\"t\":\"leave\",\"pad\":\"{}\"}}", "x".repeat(60_000)).as_bytes()),
        ),
    ] {
        let (mut socket, _) = WebSocket::welcome(&daemon);
        // The server does not read to the end of it.
        (0..200).try_for_each(|_| socket.http.connection.write_all(&one)).ok();
        let (code, error) = socket.end();
        assert_eq!((code, error.as_deref()), (Some(4429), Some("rate_limited")), "{what}");
    }
    daemon.stop();
}

/// G2: fragments that never become a message.
#[test]
fn a_message_without_end_ends_its_connection() {
    let daemon = start("15440-15459");
    let (mut socket, _) = WebSocket::welcome(&daemon);
    socket.frame(TEXT, b"");
    let nothing = frame(0, b"").repeat(1000);
    // More than the kernel keeps for a server that has not looked yet.
    let most = 10_000;
    let sent = (0..most).take_while(|_| socket.http.connection.write_all(&nothing).is_ok()).count();
    assert!(sent < most, "the server reads no more than twice what members may send");
    assert_eq!(socket.end().0, None);
    daemon.stop();
}

/// Autobahn's chops: bytes arrive one by one.
#[test]
fn a_frame_may_come_byte_by_byte() {
    let daemon = start("15200-15219");
    let (mut socket, _) = WebSocket::welcome(&daemon);
    for byte in frame(FIN | TEXT, json!({"t": "ping", "ts": "한글"}).to_string().as_bytes()) {
        socket.http.send([byte]);
    }
    assert_eq!(socket.hear()["code"], "bad_field");
    for byte in frame(FIN | PING, b"payload") {
        socket.http.send([byte]);
    }
    assert_eq!(socket.next(), Some((PONG, b"payload".to_vec())));
    daemon.stop();
}
