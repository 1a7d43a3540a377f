//! A body is read from whoever has a key, and only so much and so long.

use std::io::Write as _;
use std::time::Duration;

use hairpin::clock::Clock;

use crate::backend::{self, KEY};
use crate::support::http::Http;
use crate::support::stream::{End, rest};

/// W4: what slowhttptest does with bodies, of a client that has a key.
#[test]
fn a_body_must_come_within_ten_seconds() {
    let daemon = backend::start("17630-17639");
    let clock = Clock::start();
    let begun = clock.now().moment;
    let mut slow = Http::of(&daemon);
    let head = format!("POST /api/v1/ice-servers HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {KEY}\r\n");
    slow.send(format!("{head}Content-Length: 100\r\n\r\n"));
    slow.connection.socket.set_read_timeout(Some(Duration::from_secs(1))).unwrap();
    let said = (0..15).find_map(|_| {
        // The daemon may have closed already.
        drop(slow.connection.socket.write_all(b" "));
        Some(rest(&mut slow.connection.socket)).filter(|(_, end)| *end == End::Closed)
    });
    let (said, _) = said.expect("it is closed");
    assert!(said.starts_with(b"HTTP/1.1 408 "), "{}", String::from_utf8_lossy(&said));
    let took = clock.now().moment.since(begun).as_secs_f32();
    assert!((9.0..12.5).contains(&took), "{took}");
    daemon.stop();
}

/// Closing at once would make the kernel throw away the answer, because there is more to read.
#[test]
fn who_sends_too_much_still_hears_why_it_is_refused() {
    let daemon = backend::start("17640-17649");
    for (key, status) in [(KEY, 413), ("wrong", 401)] {
        for _ in 0..10 {
            let mut http = Http::of(&daemon);
            let bearer = format!("Bearer {key}");
            let body = "x".repeat(400 << 10);
            let answer = http.ask("POST", "/api/v1/ice-servers", &[("Authorization", &bearer)], &body);
            assert_eq!(answer.status, status);
        }
    }
    daemon.stop();
}

/// W2
#[test]
fn a_chunk_that_is_no_chunk_is_refused() {
    let daemon = backend::start("17650-17659");
    for chunk in ["FFFFFFFFFFFFFFFFF", "-1", "+1", "0x1", "", " 1", "g"] {
        let mut http = Http::of(&daemon);
        let head = format!("POST /api/v1/ice-servers HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {KEY}\r\n");
        http.send(format!("{head}Transfer-Encoding: chunked\r\n\r\n{chunk}\r\n{{}}\r\n0\r\n\r\n"));
        let status = http.try_answer().map(|answer| answer.status);
        assert!(matches!(status, Some(400 | 413) | None), "{chunk}: {status:?}");
    }
    daemon.stop();
}
