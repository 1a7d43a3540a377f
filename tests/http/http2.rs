//! HTTP/2 is spoken where it is asked for, and its own ways to make a server work for nothing are closed.

use std::io::Write as _;
use std::time::Duration;

use hairpin::clock::Clock;
use hairpin::daemon::Daemon;

use crate::support::daemon::start_secure;
use crate::support::http::Http;
use crate::support::http2::{
    ACK, CONTINUATION, DATA, END_HEADERS, END_STREAM, GOAWAY, HEADERS, PING, PRIORITY, RST_STREAM, SETTINGS,
    WINDOW_UPDATE, frame,
};

/// A frame (RFC 9113 §4.1).
#[derive(Debug, Clone, PartialEq, Eq)]
struct Frame {
    kind: u8,
    flags: u8,
    stream: u32,
    payload: Vec<u8>,
}

const CANCEL: u32 = 8;
const REFUSED_STREAM: u32 = 7;
const ENHANCE_YOUR_CALM: u32 = 11;

/// A connection after its preface.
fn open(daemon: &Daemon) -> Http {
    let mut http = Http::secure(daemon.addresses().tls[0], &["h2", "http/1.1"]);
    http.send("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
    send(&mut http, SETTINGS, 0, 0, &[]);
    http
}

fn send(http: &mut Http, kind: u8, flags: u8, stream: u32, payload: &[u8]) {
    http.send(frame(kind, flags, stream, payload));
}

/// The next frame; `None` at the end.
fn receive(http: &mut Http) -> Option<Frame> {
    let head = http.bytes(9)?;
    let length = u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize;
    let stream = u32::from_be_bytes([head[5], head[6], head[7], head[8]]);
    Some(Frame { kind: head[3], flags: head[4], stream, payload: http.bytes(length)? })
}

/// The next frame of a kind; `None` at the end.
fn next(http: &mut Http, kind: u8) -> Option<Frame> {
    std::iter::from_fn(|| receive(http)).find(|frame| frame.kind == kind)
}

/// A request's header: indexed fields of the static table (RFC 7541 appendix A), the path and the host as literals.
fn header(method: u8, path: &str) -> Vec<u8> {
    let literal = |index: u8, text: &str| [&[0x40 | index, text.len() as u8], text.as_bytes()].concat();
    [vec![0x80 | method, 0x87], literal(4, path), literal(1, "turn.example")].concat()
}

const GET: u8 = 2;

#[test]
fn requests_are_answered_on_streams_of_one_connection() {
    let daemon = start_secure("17700-17709", |_| {});
    let mut http = open(&daemon);
    let settings = next(&mut http, SETTINGS).unwrap().payload;
    // SETTINGS_MAX_CONCURRENT_STREAMS (3) and SETTINGS_MAX_HEADER_LIST_SIZE (6)
    let holds = |id: u8, value: u32| {
        settings.chunks(6).any(|setting| setting[..2] == [0, id] && setting[2..] == value.to_be_bytes())
    };
    assert!(holds(3, 32) && holds(6, 16 << 10), "{settings:?}");
    for stream in [1, 3] {
        send(&mut http, HEADERS, END_HEADERS | END_STREAM, stream, &header(GET, "/healthz"));
        // 0x88 is ":status: 200" of the static table.
        let answer = next(&mut http, HEADERS).unwrap();
        assert_eq!((answer.stream, answer.payload.contains(&0x88)), (stream, true));
        assert_eq!(next(&mut http, DATA).unwrap().payload, b"ok\n");
    }
    daemon.stop();
}

/// T20: hyper alone would wait for ever.
#[test]
fn who_negotiates_it_and_says_nothing_is_closed_as_fast_as_over_http_1() {
    let daemon = start_secure("17740-17749", |_| {});
    let clock = Clock::start();
    let begun = clock.now().moment;
    let mut silent = Http::secure(daemon.addresses().tls[0], &["h2"]);
    let mut idle = open(&daemon);
    for http in [&mut silent, &mut idle] {
        http.connection.socket.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        while receive(http).is_some() {}
    }
    let took = clock.now().moment.since(begun).as_secs();
    assert!((9..18).contains(&took), "{took}");
    daemon.stop();
}

/// W5, CVE-2023-44487
#[test]
fn a_client_that_opens_and_resets_streams_without_end_is_sent_away() {
    let daemon = start_secure("17710-17719", |_| {});
    let mut http = open(&daemon);
    let mut flood = Vec::new();
    for stream in (1..2_001).step_by(2) {
        flood.extend(frame(HEADERS, END_HEADERS | END_STREAM, stream, &header(GET, "/")));
        flood.extend(frame(RST_STREAM, 0, stream, &CANCEL.to_be_bytes()));
    }
    // The daemon may close before everything is sent.
    drop(std::io::Write::write_all(&mut http.connection, &flood));
    let goaway = next(&mut http, GOAWAY).expect("it says why");
    assert_eq!(goaway.payload[4..8], ENHANCE_YOUR_CALM.to_be_bytes());
    assert_eq!(Http::secure(daemon.addresses().tls[0], &[]).get("/healthz").status, 200, "others are served");
    daemon.stop();
}

/// T20
#[test]
fn no_more_streams_are_served_at_a_time_than_were_announced() {
    let daemon = start_secure("17720-17729", |_| {});
    let mut http = open(&daemon);
    // SETTINGS_INITIAL_WINDOW_SIZE: no answer can be sent, so none of the streams ends.
    send(&mut http, SETTINGS, 0, 0, &[0, 4, 0, 0, 0, 0]);
    for stream in (1..=65).step_by(2) {
        send(&mut http, HEADERS, END_HEADERS | END_STREAM, stream, &header(GET, "/healthz"));
    }
    let reset = next(&mut http, RST_STREAM).unwrap();
    assert_eq!((reset.stream, reset.payload), (65, REFUSED_STREAM.to_be_bytes().to_vec()));
    daemon.stop();
}

/// F7: each costs a few bytes and takes the thread that signals and pages wait for.
#[test]
fn a_client_that_sends_frames_that_ask_for_nothing_is_closed_after_a_few_dozen() {
    let daemon = start_secure("17750-17759", |_| {});
    for (name, frame) in [
        ("PING with ACK", frame(PING, ACK, 0, &[7; 8])),
        ("PING", frame(PING, 0, 0, &[7; 8])),
        ("SETTINGS", frame(SETTINGS, 0, 0, &[])),
        ("WINDOW_UPDATE", frame(WINDOW_UPDATE, 0, 0, &[0, 0, 0, 1])),
        ("PRIORITY", frame(PRIORITY, 0, 1, &[0, 0, 0, 0, 1])),
        ("unknown", frame(0xBB, 0, 0, &[])),
    ] {
        let mut http = open(&daemon);
        let sent = (0..100_000).take_while(|_| {
            // One at a time, so that what the daemon has read is known, and not what the kernel holds.
            http.connection.write_all(&frame.repeat(64)).and_then(|()| http.connection.flush()).is_ok()
        });
        // The kernel takes some until it hears that nobody reads any more.
        let sent = sent.count();
        assert!(sent < 20_000, "{name}: {sent} times 64");
        while receive(&mut http).is_some() {}
    }
    assert_eq!(Http::secure(daemon.addresses().tls[0], &[]).get("/healthz").status, 200, "others are served");
    daemon.stop();
}

/// The other side of it: what browsers send, and Go's client, which opens its windows most often.
#[test]
fn a_client_that_asks_for_pages_may_send_the_control_frames_that_they_need() {
    let daemon = start_secure("17760-17769", |_| {});
    let mut http = open(&daemon);
    (3..=11).step_by(2).for_each(|stream| send(&mut http, PRIORITY, 0, stream, &[0, 0, 0, 0, 200]));
    for stream in (13..613).step_by(2) {
        send(&mut http, HEADERS, END_HEADERS | END_STREAM, stream, &header(GET, "/"));
        send(&mut http, PRIORITY, 0, stream, &[0, 0, 0, 0, 1]);
        let mut more = true;
        while more {
            let frame = receive(&mut http).expect("it is served to the end");
            more = frame.kind != DATA || frame.flags & END_STREAM == 0;
            match (frame.kind, frame.flags & ACK) {
                (DATA, _) => {
                    for window in [0, stream] {
                        for _ in 0..frame.payload.len() / 4096 + 1 {
                            send(&mut http, WINDOW_UPDATE, 0, window, &[0, 0, 16, 0]);
                        }
                    }
                }
                (SETTINGS, 0) => send(&mut http, SETTINGS, ACK, 0, &[]),
                (PING, 0) => send(&mut http, PING, ACK, 0, &frame.payload),
                _ => {}
            }
        }
        if stream % 10 == 3 {
            send(&mut http, PING, 0, 0, &[1; 8]);
        }
    }
    daemon.stop();
}

/// CVE-2024-27316: a header that never ends.
#[test]
fn a_header_without_end_ends_the_connection() {
    let daemon = start_secure("17730-17739", |_| {});
    let mut http = open(&daemon);
    send(&mut http, HEADERS, END_STREAM, 1, &header(GET, "/"));
    let field = [&[0x00, 1, b'x', 0x7F, 0x81, 0x1F][..], &[b'a'; 4096]].concat();
    for _ in 0..1000 {
        let more = frame(CONTINUATION, 0, 1, &field[..4000]);
        if std::io::Write::write_all(&mut http.connection, &more).is_err() {
            break;
        }
    }
    // What it says may be lost, because more was still on its way.
    while receive(&mut http).is_some() {}
    assert_eq!(Http::secure(daemon.addresses().tls[0], &[]).get("/healthz").status, 200, "others are served");
    daemon.stop();
}
