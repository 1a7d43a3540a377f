//! On a port with TLS, HTTP and TURN are served side by side.

use crate::support::daemon::start_secure;
use crate::support::http::Http;
use crate::support::session::Turn as _;
use crate::support::stream::{Client, Connection, connect, tls_config};

#[test]
fn http_and_turn_share_every_tls_port_with_alpn_and_without() {
    let daemon = start_secure("17000-17099", |_| {});
    for server in [daemon.addresses().tls[0], daemon.addresses().tcp[0]] {
        for alpn in [&["http/1.1"][..], &["h3", "http/1.1"], &[]] {
            let mut http = Http::secure(server, alpn);
            assert_eq!(http.get("/healthz").body, "ok\n", "{alpn:?}");
            assert_eq!(http.get("/healthz").status, 200, "and once more on the same connection");
        }
        for alpn in [&["stun.turn"][..], &["stun.turn", "http/1.1"], &[]] {
            let config = std::sync::Arc::new(tls_config(&rustls::version::TLS13, alpn));
            let connection = Connection::secure(connect(server), &config, "turn.example").unwrap();
            let mut turn = Client::over(connection);
            assert_eq!(turn.mapped().ip(), server.ip(), "{alpn:?}");
            assert_eq!(turn.allocate().ip(), server.ip());
        }
    }
    daemon.stop();
}

#[test]
fn the_first_bytes_may_come_one_by_one() {
    let daemon = start_secure("17100-17199", |_| {});
    let mut http = Http::secure(daemon.addresses().tls[0], &[]);
    for byte in b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n" {
        http.send([*byte]);
    }
    assert_eq!(http.answer().status, 200);

    let config = std::sync::Arc::new(tls_config(&rustls::version::TLS13, &[]));
    let socket = connect(daemon.addresses().tls[0]);
    let mut turn = Client::over(Connection::secure(socket, &config, "turn.example").unwrap());
    let binding = turn.request(crate::support::stun::BINDING).0;
    turn.drip(&binding);
    assert_eq!(turn.receive()[..2], [1, 1]);
    daemon.stop();
}

#[test]
fn what_is_neither_is_closed() {
    let daemon = start_secure("17200-17299", |_| {});
    for beginning in
        [&b"\x16\x03\x01"[..], b"\x40\x00\x00\x04abcd", b"get / HTTP/1.1\r\n\r\n", b"\xFF\xFF\xFF\xFF"]
    {
        let mut http = Http::secure(daemon.addresses().tls[0], &[]);
        http.send(beginning);
        http.send([0; 64]);
        assert_eq!(http.try_answer(), None, "{beginning:?}");
    }
    daemon.stop();
}

#[test]
fn without_tls_http_has_a_port_of_its_own() {
    let daemon =
        start_secure("17300-17399", |config| config.http.listen = vec!["127.0.0.1:0".parse().unwrap()]);
    assert_eq!(Http::of(&daemon).get("/healthz").status, 200);
    let mut turn = Http::to(daemon.addresses().tcp[0]);
    turn.send("GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!(turn.try_answer(), None, "where TURN is spoken without TLS, HTTP is not");
    daemon.stop();
}
