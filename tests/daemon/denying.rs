//! Networks that the configuration denies: their clients are refused everywhere, and all others are served.

use std::net::IpAddr;

use hairpin::clock::Clock;
use hairpin::config::Config;
use hairpin::daemon::Daemon;
use hairpin::origin::PublicUrl;
use ipnet::IpNet;
use serde_json::json;

use crate::support::daemon::{self as support, Client};
use crate::support::http::Http;
use crate::support::session::Turn as _;
use crate::support::stream::{self, connect_from, eventually, rest};
use crate::support::stun::{BINDING, REFRESH};
use crate::support::websocket::{WebSocket, headers};

const DENIED: &str = "127.0.9.7";
const NEIGHBOUR: &str = "127.0.8.7";
const SITE: &str = "https://call.example.org";
/// As a reverse proxy names its clients.
const DENIED_BEHIND_A_PROXY: (&str, &str) = ("X-Forwarded-For", "203.0.113.7");
const NEIGHBOUR_BEHIND_A_PROXY: (&str, &str) = ("X-Forwarded-For", "198.51.100.7");

fn networks() -> Vec<IpNet> {
    ["127.0.9.0/24", "203.0.113.0/24"].map(|network| network.parse().unwrap()).to_vec()
}

fn config(ports: &str, denied: Vec<IpNet>) -> Config {
    let mut config = support::config(ports, &["127.0.0.1:0"]);
    config.http.listen = vec!["127.0.0.1:0".parse().unwrap()];
    config.http.public_url = Some(PublicUrl::parse(SITE).unwrap());
    config.clients.deny = denied;
    config
}

fn start(ports: &str, denied: Vec<IpNet>) -> Daemon {
    Daemon::start(&config(ports, denied), Clock::start()).unwrap()
}

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

/// How many datagrams, and how many connections, the daemon has refused for their network.
fn refused(daemon: &Daemon) -> (u64, u64) {
    let observed = daemon.snapshot();
    (observed.relay.ignored["denied"], observed.front.ended["denied"] + observed.relay.ended["denied"])
}

/// A member of the room "garden", as a reverse proxy names its address.
fn member(daemon: &Daemon, client: (&'static str, &'static str)) -> WebSocket {
    let mut headers = headers(SITE);
    headers.push(client);
    let mut socket = WebSocket::try_open(Http::of(daemon), &headers).unwrap();
    socket.ask(json!({"t": "hello", "v": [1]}));
    assert_eq!(socket.ask(json!({"t": "join", "room": "garden"}))["t"], "joined");
    socket
}

/// Checks that clients of the networks are refused, and their neighbours served.
fn check(daemon: &Daemon) {
    let (datagrams, connections) = refused(daemon);
    let mut client = Client::of(daemon, DENIED);
    let request = client.request(BINDING).0;
    client.send(&request);
    eventually("the datagram is counted", || refused(daemon).0 == datagrams + 1);
    assert_eq!(rest(connect_from(ip(DENIED), daemon.addresses().tcp[0])).0, b"");
    eventually("the connection is counted", || refused(daemon).1 == connections + 1);
    let mut proxy = Http::of(daemon);
    assert_eq!(proxy.ask("GET", "/healthz", &[DENIED_BEHIND_A_PROXY], "").status, 403);

    Client::of(daemon, NEIGHBOUR).allocate();
    stream::Client::tcp_from(ip(NEIGHBOUR), daemon.addresses().tcp[0]).allocate();
    assert_eq!(proxy.ask("GET", "/healthz", &[NEIGHBOUR_BEHIND_A_PROXY], "").status, 200);
}

#[test]
fn clients_of_a_denied_network_are_refused_and_their_neighbours_are_served() {
    check(&start("37100-37149", networks()));
}

#[test]
fn what_a_network_has_ends_when_it_is_denied_by_a_reload() {
    const PORTS: &str = "37150-37199";
    let daemon = start(PORTS, Vec::new());
    let server = daemon.addresses().tcp[0];
    let (mut over_udp, mut over_tcp) =
        (Client::of(&daemon, DENIED), stream::Client::tcp_from(ip(DENIED), server));
    let mut neighbour = Client::of(&daemon, NEIGHBOUR);
    over_udp.allocate();
    over_tcp.allocate();
    neighbour.allocate();
    let [mut denied, mut other] =
        [DENIED_BEHIND_A_PROXY, NEIGHBOUR_BEHIND_A_PROXY].map(|client| member(&daemon, client));

    daemon.reload(&config(PORTS, networks())).unwrap();

    assert_eq!(rest(over_tcp.connection).0, b"", "its connection is closed");
    eventually("its allocations end", || daemon.snapshot().relay.allocations.iter().sum::<u64>() == 1);
    assert_eq!(denied.end().0, Some(4403));
    assert_eq!(other.hear_of("peer_left")["reason"], "kicked");
    let refresh = neighbour.request(REFRESH);
    assert_eq!(neighbour.ask(refresh).code(), None);
    check(&daemon);

    daemon.reload(&config(PORTS, Vec::new())).unwrap();
    Client::of(&daemon, DENIED).allocate();
}

/// Limits count a whole /64 as one client.
#[test]
fn one_address_of_an_ipv6_network_can_be_denied_and_the_others_stay() {
    const PORTS: &str = "37000-37009";
    let daemon = start(PORTS, Vec::new());
    let [mut denied, mut other] =
        ["2001:db8:1::7", "2001:db8:1::8"].map(|client| member(&daemon, ("X-Forwarded-For", client)));

    daemon.reload(&config(PORTS, vec!["2001:db8:1::7/128".parse().unwrap()])).unwrap();

    assert_eq!(denied.end().0, Some(4403));
    assert_eq!(other.hear_of("peer_left")["reason"], "kicked");
}
