//! A client that is slow is waited for ten seconds with its request, and thirty with our answer.

use std::io::{Read as _, Write as _};
use std::time::Duration;

use hairpin::clock::Clock;
use hairpin::sections::number::Count;
use hairpin::sections::value::Auto;
use serde_json::json;

use crate::pages::start;
use crate::support::http::Http;
use crate::support::stream::{End, rest, within};
use crate::support::websocket::WebSocket;

/// W4: what slowhttptest does with headers. One byte a second, for as long as it is let.
#[test]
fn a_header_must_come_within_ten_seconds_however_busy_its_client_seems() {
    let daemon = start("17600-17609");
    let clock = Clock::start();
    let begun = clock.now().moment;
    let mut slow = Http::of(&daemon);
    slow.send("GET / HTTP/1.1\r\nHost: a\r\n");
    slow.connection.socket.set_read_timeout(Some(Duration::from_secs(1))).unwrap();
    let silent = Http::of(&daemon);
    silent.connection.socket.set_read_timeout(Some(Duration::from_secs(15))).unwrap();
    let mut idle = Http::of(&daemon);
    assert_eq!(idle.get("/healthz").status, 200);
    idle.connection.socket.set_read_timeout(Some(Duration::from_secs(15))).unwrap();

    for n in 0.. {
        assert!(n < 15, "it is closed");
        // The daemon may have closed already.
        drop(slow.connection.socket.write_all(format!("X-{n}: b\r\n").as_bytes()));
        if rest(&slow.connection.socket).1 == End::Closed {
            break;
        }
    }
    let ended = |begun| clock.now().moment.since(begun).as_secs_f32();
    assert!((9.0..12.0).contains(&ended(begun)), "{}", ended(begun));
    for mut http in [silent, idle] {
        assert_eq!(rest(&mut http.connection.socket).1, End::Closed);
        assert!((9.0..12.0).contains(&ended(begun)), "{}", ended(begun));
    }
    daemon.stop();
}

/// W4: a client that asks for much and reads nothing.
#[test]
fn who_reads_nothing_of_an_answer_is_closed_after_half_a_minute() {
    let daemon = start("17610-17619");
    let slow = Http::of(&daemon);
    socket2::SockRef::from(&slow.connection.socket).set_recv_buffer_size(4096).unwrap();
    let request = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
    // As many requests as the daemon reads: it stops when nobody reads its answers.
    slow.connection.socket.set_nonblocking(true).unwrap();
    let mut socket = &slow.connection.socket;
    let requests = request.repeat(100);
    let clock = Clock::start();
    let (mut unsent, mut last) = (requests.as_bytes(), clock.now().moment);
    within(Duration::from_secs(20), "the daemon reads no more", || {
        while let Ok(count) = socket.write(unsent) {
            (unsent, last) = (&unsent[count..], clock.now().moment);
            if unsent.is_empty() {
                unsent = requests.as_bytes();
            }
        }
        clock.now().moment.since(last) > Duration::from_millis(500)
    });
    let took = within(
        Duration::from_secs(45),
        "the daemon closes",
        || matches!(socket.write(b"G"), Err(error) if error.kind() != std::io::ErrorKind::WouldBlock),
    );
    assert!((25..=36).contains(&took.as_secs()), "{took:?}");
    let mut rest = Vec::new();
    drop(socket.read_to_end(&mut rest));
    daemon.stop();
}

#[test]
fn where_all_connections_are_taken_the_one_that_asked_for_something_longest_ago_makes_way() {
    let daemon = crate::support::daemon::start_with("17620-17629", |config| {
        config.http.listen = vec!["127.0.0.1:0".parse().unwrap()];
        config.http.proxies = Vec::new();
        config.limits.connections_per_ip = Auto(Count::new(2));
    });
    let [mut busy, mut idle] = [Http::of(&daemon), Http::of(&daemon)];
    assert_eq!([&mut busy, &mut idle].map(|http| http.get("/healthz").status), [200, 200]);
    assert_eq!(busy.get("/healthz").status, 200);
    let mut third = Http::of(&daemon);
    assert_eq!(third.get("/healthz").status, 200);
    assert_eq!(rest(&idle.connection.socket), (Vec::new(), End::Closed));
    assert_eq!(busy.get("/healthz").status, 200);
    // One that has asked for nothing yet makes way as well.
    let silent = Http::of(&daemon);
    assert_eq!(rest(&third.connection.socket).1, End::Closed);
    assert_eq!(busy.get("/healthz").status, 200);
    let mut fourth = Http::of(&daemon);
    assert_eq!(fourth.get("/healthz").status, 200);
    assert_eq!(rest(&silent.connection.socket).1, End::Closed);
    daemon.stop();
}

/// F6: a crowd at the door ends no call.
#[test]
fn a_member_of_a_room_keeps_its_place_and_a_socket_that_joins_none_does_not() {
    let daemon = crate::support::daemon::start_with("17630-17639", |config| {
        config.http.listen = vec!["127.0.0.1:0".parse().unwrap()];
        config.http.proxies = Vec::new();
        config.limits.connections_per_ip = Auto(Count::new(3));
    });
    let (mut member, _) = WebSocket::member(&daemon, "a room");
    let (mut outside, _) = WebSocket::welcome(&daemon);
    let mut crowd: Vec<Http> = (0..10)
        .map(|_| {
            let mut http = Http::of(&daemon);
            assert_eq!(http.get("/healthz").status, 200);
            http
        })
        .collect();
    assert_eq!(outside.http.try_answer(), None, "it is closed");
    assert_eq!(member.ask(json!({"t": "ping"}))["t"], "pong", "and the member is heard");
    assert_eq!(crowd.pop().unwrap().get("/healthz").status, 200);
    daemon.stop();
}

#[test]
fn clients_behind_a_proxy_are_not_counted_as_one() {
    let daemon = crate::support::daemon::start_with("17660-17669", |config| {
        config.http.listen = vec!["127.0.0.1:0".parse().unwrap()];
        config.limits.connections_per_ip = Auto(Count::new(2));
        config.limits.connections = Auto(Count::new(12));
    });
    let mut held: Vec<Http> = (0..10).map(|_| Http::of(&daemon)).collect();
    held.iter_mut().for_each(|http| assert_eq!(http.get("/healthz").status, 200));
    held.extend([Http::of(&daemon), Http::of(&daemon)]);
    let mut newcomer = Http::of(&daemon);
    assert_eq!(newcomer.get("/healthz").status, 200);
    assert_eq!(rest(&held[0].connection.socket).1, End::Closed, "in all there may be twelve");
    daemon.stop();
}
