//! A proxy says for whom it connects; nobody else may.

use std::io::Write as _;
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::sync::Arc;

use hairpin::daemon::Daemon;
use hairpin::outcome::Ending;
use hairpin::sections::number::Count;
use hairpin::sections::value::Auto;
use rustls::version::TLS13;

use crate::support::daemon::start_secure;
use crate::support::stream::{Client, Connection, End, connect, connect_from, eventually, rest, tls_config};
use crate::support::stun::{BINDING, Builder, Class};

const PROXY: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(127, 0, 0, 2));

/// A daemon behind a proxy at 127.0.0.2.
fn behind_proxy(ports: &str, connections_per_ip: u32) -> Daemon {
    start_secure(ports, |config| {
        config.listen.proxies = vec!["127.0.0.2/32".parse().unwrap()];
        config.limits.connections_per_ip = Auto(Count::new(connections_per_ip));
    })
}

/// The header of version 1.
fn version_1(client: &str) -> Vec<u8> {
    let client: SocketAddr = client.parse().unwrap();
    let (family, server) = if client.is_ipv4() { ("TCP4", "192.0.2.1") } else { ("TCP6", "2001:db8::1") };
    format!("PROXY {family} {} {server} {} 3478\r\n", client.ip(), client.port()).into_bytes()
}

/// The header of version 2, for a proxied connection.
fn version_2(client: &str) -> Vec<u8> {
    let client: SocketAddr = client.parse().unwrap();
    let (family, ips) = match client.ip() {
        IpAddr::V4(ip) => (0x11, [ip.octets(), [192, 0, 2, 1]].concat()),
        IpAddr::V6(ip) => (0x21, [ip.octets(), [9; 16]].concat()),
    };
    let ports = [client.port(), 3478].map(u16::to_be_bytes).concat();
    let length = (ips.len() + ports.len()) as u8;
    [b"\r\n\r\n\0\r\nQUIT\n", &[0x21, family, 0, length][..], &ips, &ports].concat()
}

/// A connection of the proxy that has begun with this.
fn proxied(server: SocketAddr, header: &[u8]) -> TcpStream {
    let mut socket = connect_from(PROXY, server);
    socket.write_all(header).unwrap();
    socket
}

/// The clients that the proxy has brought, on the TCP port, with TLS there, and on the TLS port.
fn clients(daemon: &Daemon, header: &[u8]) -> [Client; 3] {
    let [tcp, tls] = [daemon.addresses().tcp[0], daemon.addresses().tls[0]];
    let config = Arc::new(tls_config(&TLS13, &["stun.turn"]));
    let secure = |server| Connection::secure(proxied(server, header), &config, "turn.example").unwrap();
    [Connection { socket: proxied(tcp, header), tls: None }, secure(tcp), secure(tls)].map(Client::over)
}

/// C10
#[test]
fn a_client_behind_a_proxy_is_known_by_its_own_address() {
    let daemon = behind_proxy("31800-31839", 128);
    for client in ["192.0.2.7:5000", "[2001:db8::7]:5000"] {
        for header in [version_1(client), version_2(client)] {
            for mut connected in clients(&daemon, &header) {
                assert_eq!(connected.mapped(), client.parse().unwrap());
                // Nonces are made for the client's address, too.
                assert_eq!(connected.allocate().ip().to_string(), "127.0.0.1");
            }
        }
    }
    daemon.stop();
}

/// C10: proxies check the health of what is behind them.
#[test]
fn a_proxy_may_speak_for_itself() {
    let daemon = behind_proxy("31840-31859", 128);
    let local = [b"\r\n\r\n\0\r\nQUIT\n", &[0x20, 0, 0, 0][..]].concat();
    for header in [&b"PROXY UNKNOWN\r\n"[..], &local] {
        for mut connected in clients(&daemon, header) {
            assert_eq!(connected.mapped(), connected.connection.socket.local_addr().unwrap());
        }
    }
    daemon.stop();
}

/// C10
#[test]
fn connections_through_a_proxy_count_on_their_clients() {
    let daemon = behind_proxy("31860-31879", 2);
    let tcp = daemon.addresses().tcp[0];
    let connect = |client: &str| Connection { socket: proxied(tcp, &version_2(client)), tls: None };
    let mut held = ["192.0.2.7:1", "192.0.2.7:2", "192.0.2.8:1", "192.0.2.8:2", "192.0.2.9:1"]
        .map(|client| Client::over(connect(client)));
    let mapped = held.each_mut().map(|client| client.mapped().to_string());
    held.iter_mut().for_each(|client| assert_eq!(client.allocate().ip().to_string(), "127.0.0.1"));
    assert_eq!(mapped, ["192.0.2.7:1", "192.0.2.7:2", "192.0.2.8:1", "192.0.2.8:2", "192.0.2.9:1"]);

    assert_eq!(rest(connect("192.0.2.7:3")), (Vec::new(), End::Closed));

    eventually("it is counted", || daemon.metrics().sum(|shard| shard.endings(Ending::Crowded)) == 1);
    let [gone, ..] = held;
    drop(gone);
    eventually("it has left", || daemon.metrics().sum(|shard| shard.streams.get()) < 5);
    assert_eq!(Client::over(connect("192.0.2.7:3")).mapped(), "192.0.2.7:3".parse().unwrap());
    daemon.stop();
}

/// C10
#[test]
fn a_proxy_without_a_header_is_refused_at_once() {
    let daemon = behind_proxy("31880-31899", 128);
    let binding = Builder::new(Class::Request, BINDING, [9; 12]).0;
    for server in [daemon.addresses().tcp[0], daemon.addresses().tls[0]] {
        let socket = proxied(server, &binding);
        assert_eq!(rest(&socket), (Vec::new(), End::Closed));
    }
    eventually("both are counted", || daemon.metrics().sum(|shard| shard.endings(Ending::BadHeader)) == 2);
    daemon.stop();
}

/// C10: with proxies configured or without, anybody else's header is a lie.
#[test]
fn a_header_of_anybody_else_is_refused_at_once() {
    let strangers = |config: &mut hairpin::config::Config| config.listen.proxies.clear();
    for daemon in [behind_proxy("31900-31919", 128), start_secure("31920-31939", strangers)] {
        for server in [daemon.addresses().tcp[0], daemon.addresses().tls[0]] {
            for header in [version_1("192.0.2.7:5000"), version_2("192.0.2.7:5000")] {
                let mut socket = connect(server);
                socket.write_all(&header).unwrap();
                let (said, end) = rest(&socket);
                assert_eq!(end, End::Closed);
                assert!(said.is_empty() || said[0] == 21, "nothing, or a TLS alert: {said:?}");
            }
        }
        eventually("all are counted", || {
            let ended = |ending| daemon.metrics().sum(|shard| shard.endings(ending));
            (ended(Ending::BadMessage), ended(Ending::BadHandshake)) == (2, 2)
        });
        daemon.stop();
    }
}
