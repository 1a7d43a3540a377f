//! Requests that no honest client sends are refused, and cost little.

use hairpin::daemon::Daemon;

use crate::pages::start;
use crate::support::http::Http;

/// The status of what a fresh connection is answered; `None` if it is just closed.
fn status(daemon: &Daemon, request: impl AsRef<[u8]>) -> Option<u16> {
    let mut http = Http::of(daemon);
    http.send(request);
    http.try_answer().map(|answer| answer.status)
}

/// W2, RFC 9112 §3.2
#[test]
fn a_request_has_exactly_one_host_whatever_it_says() {
    let daemon = start("17500-17509");
    for (head, expected) in [
        ("GET /healthz HTTP/1.1\r\n\r\n", 400),
        ("GET /healthz HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400),
        ("GET /healthz HTTP/1.0\r\n\r\n", 200),
        ("GET /healthz HTTP/1.1\r\nHost: evil.example\r\n\r\n", 200),
    ] {
        assert_eq!(status(&daemon, head), Some(expected), "{head}");
    }
    let mut http = Http::of(&daemon);
    http.send("GET /nowhere HTTP/1.1\r\nHost: evil.example\r\nX-Forwarded-Host: evil.example\r\n\r\n");
    let answer = http.answer();
    assert!(!answer.head.contains("evil") && !answer.body.contains("evil"), "nothing is reflected");
    daemon.stop();
}

/// W2
#[test]
fn headers_are_bounded_in_number_and_in_bytes() {
    let daemon = start("17510-17519");
    let with = |count: usize, size: usize| {
        let fields: String = (0..count).map(|n| format!("X-{n}: {}\r\n", "a".repeat(size))).collect();
        status(&daemon, format!("GET /healthz HTTP/1.1\r\nHost: a\r\n{fields}\r\n"))
    };
    assert_eq!(with(99, 10), Some(200));
    assert_eq!(with(100, 10), Some(431));
    assert_eq!(with(1, 15 << 10), Some(200));
    assert!(matches!(with(1, 64 << 10), Some(431) | None));
    let long = format!("GET /{} HTTP/1.1\r\nHost: a\r\n\r\n", "a".repeat(64 << 10));
    assert!(matches!(status(&daemon, long), Some(414 | 431) | None));
    daemon.stop();
}

/// W2
#[test]
fn what_could_smuggle_a_request_past_a_proxy_is_refused() {
    let daemon = start("17520-17529");
    for head in [
        "Content-Length: 5\r\nContent-Length: 6",
        "Content-Length: -1",
        "Content-Length: 5, 6",
        "Content-Length: 99999999999999999999",
        "Transfer-Encoding: chunked, identity",
        "Transfer-Encoding: gzip",
        "X: a\r\n b",
        "X : a",
        "X: a\0b",
        "X: a\rb",
        "\u{e9}: a",
    ] {
        let request = format!("POST /nowhere HTTP/1.1\r\nHost: a\r\n{head}\r\n\r\n0\r\n\r\n");
        assert!(matches!(status(&daemon, request), Some(400 | 501) | None), "{head:?}");
    }
    for garbage in [
        &b"\0\x01\0\0\x21\x12\xA4\x42abcdefghijkl"[..],
        b"\x16\x03\x01\0\x05hello",
        b"\r\n\r\n\r\n\r\n\xFF",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    ] {
        assert!(matches!(status(&daemon, garbage), Some(400 | 404 | 405 | 505) | None), "{garbage:?}");
    }
    for head in
        ["Transfer-Encoding: chunked\r\nContent-Length: 5", "Content-Length: 5\r\nTransfer-Encoding: chunked"]
    {
        let mut http = Http::of(&daemon);
        http.send(format!("POST /nowhere HTTP/1.1\r\nHost: a\r\n{head}\r\n\r\n0\r\n\r\nGET /healthz HTTP/1.1\r\nHost: a\r\n\r\n"));
        assert_eq!(http.answer().status, 404, "{head}");
        assert_eq!(http.try_answer(), None, "what follows is not read: {head}");
    }
    daemon.stop();
}

/// W2
#[test]
fn methods_that_are_for_proxies_are_refused() {
    let daemon = start("17530-17539");
    for line in ["TRACE / HTTP/1.1", "CONNECT turn.example:443 HTTP/1.1", "PROPFIND / HTTP/1.1"] {
        assert_eq!(status(&daemon, format!("{line}\r\nHost: a\r\n\r\n")), Some(405), "{line}");
    }
    daemon.stop();
}

/// W2
#[test]
fn a_range_or_an_expectation_changes_nothing() {
    let daemon = start("17540-17549");
    let mut http = Http::of(&daemon);
    let ranges = "bytes=0-0,".repeat(500) + "0-0";
    assert_eq!(http.ask("GET", "/healthz", &[("Range", &ranges)], "").status, 200);
    assert_eq!(http.ask("GET", "/healthz", &[("Expect", "100-continue")], "").status, 200);
    daemon.stop();
}
