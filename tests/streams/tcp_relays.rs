//! Peers over TCP (RFC 6062): connections are made both ways, carry everything in order, and end together.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::thread;
use std::time::Duration;

use hairpin::daemon::Daemon;
use hairpin::outcome::{Method, Refusal};

use crate::support::daemon::{PATIENCE, start_secure};
use crate::support::session::Turn;
use crate::support::stream::{Client, End, connect, connect_from, rest, within};
use crate::support::stun::{
    ALLOCATE, CONNECT, CONNECTION_ATTEMPT, CONNECTION_BIND, CONNECTION_ID, Message, REQUESTED_TRANSPORT,
    XOR_PEER_ADDRESS, XOR_RELAYED_ADDRESS,
};

fn start(ports: &str) -> Daemon {
    start_secure(ports, |config| config.relay.tcp = true)
}

/// Asks for a TCP allocation.
pub(crate) fn allocate(client: &mut Client) -> SocketAddr {
    client.challenge();
    let request = client.request(ALLOCATE).attr(REQUESTED_TRANSPORT, &[6, 0, 0, 0]);
    let answer = client.ask(request);
    assert_eq!(answer.code(), None);
    answer.address(XOR_RELAYED_ADDRESS)
}

/// Asks for a connection to a peer.
fn connect_to(client: &mut Client, peer: SocketAddr) -> Message {
    let request = client.request(CONNECT).peer(&peer.to_string());
    client.ask(request)
}

/// Binds the connection that a message names to `data`, which has a nonce by then.
fn bind(data: &mut Client, named: &Message) -> Message {
    data.challenge();
    let request = data.request(CONNECTION_BIND).attr(CONNECTION_ID, named.get(CONNECTION_ID).unwrap());
    data.ask(request)
}

fn peer() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

fn accept(listener: &TcpListener) -> (TcpStream, SocketAddr) {
    let (socket, from) = listener.accept().unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    (socket, from)
}

/// Connects to a peer and binds the connection to a new one of the client's; returns that, and the peer.
pub(crate) fn bridge(client: &mut Client, server: SocketAddr) -> (Client, TcpStream) {
    let (listener, address) = peer();
    let answer = connect_to(client, address);
    let (peer, _) = accept(&listener);
    let mut data = Client::tcp(server);
    assert_eq!(bind(&mut data, &answer).code(), None);
    (data, peer)
}

/// Connections take turns on the two threads, so the data connection is on the other one as often as not.
#[test]
fn a_client_connects_to_a_peer_over_tcp_and_over_tls_from_its_relayed_address() {
    let daemon = start("31000-31099");
    let [tcp, tls] = [daemon.addresses().tcp[0], daemon.addresses().tls[0]];
    for round in 0..6 {
        let fresh = || if round % 2 == 0 { Client::tcp(tcp) } else { Client::tls(tls) };
        let mut client = fresh();
        let relayed = allocate(&mut client);
        let (listener, address) = peer();
        let answer = connect_to(&mut client, address);
        assert_eq!(answer.code(), None);
        let (mut peer, from) = accept(&listener);
        assert_eq!(from, relayed);
        peer.write_all(b"before anybody listens, ").unwrap();

        // Some more connections, so that the next is on another thread.
        let _others: Vec<_> = (0..round / 2).map(|_| fresh().mapped()).collect();
        let mut data = fresh();
        assert_eq!(bind(&mut data, &answer).code(), None);
        peer.write_all(b"and after").unwrap();
        assert_eq!(data.bytes(33), b"before anybody listens, and after");
        data.send(b"no STUN at all");
        let mut heard = vec![0; 14];
        peer.read_exact(&mut heard).unwrap();
        assert_eq!(heard, b"no STUN at all");
    }
    daemon.stop();
}

/// RFC 6062 §5.3.
#[test]
fn every_peer_with_a_permission_can_connect_and_no_other() {
    let daemon = start("31100-31199");
    let tcp = daemon.addresses().tcp[0];
    let mut client = Client::tcp(tcp);
    let relayed = allocate(&mut client);
    let stranger = connect_from([127, 0, 0, 3].into(), relayed);
    assert_eq!(rest(stranger).1, End::Closed);

    client.permit("127.0.0.1:1".parse().unwrap());
    let mut peers: Vec<TcpStream> = (0..5).map(|_| connect(relayed)).collect();
    for _ in 0..5 {
        let attempt = Message::read(&client.receive());
        assert_eq!(attempt.method, CONNECTION_ATTEMPT);
        let from = attempt.address(XOR_PEER_ADDRESS);
        let peer = peers.iter_mut().find(|peer| peer.local_addr().unwrap() == from).unwrap();
        let mut data = Client::tcp(tcp);
        assert_eq!(bind(&mut data, &attempt).code(), None);
        data.send(b"hello");
        let mut heard = [0; 5];
        peer.read_exact(&mut heard).unwrap();
        assert_eq!(&heard, b"hello");
    }
    daemon.stop();
}

#[test]
fn two_clients_of_the_daemon_meet_over_tcp() {
    let daemon = start("31200-31299");
    let [tcp, tls] = [daemon.addresses().tcp[0], daemon.addresses().tls[0]];
    let (mut caller, mut callee) = (Client::tcp(tcp), Client::tls(tls));
    let (from, to) = (allocate(&mut caller), allocate(&mut callee));
    callee.permit(from);
    let answer = connect_to(&mut caller, to);
    assert_eq!(answer.code(), None);
    let attempt = Message::read(&callee.receive());
    assert_eq!(attempt.address(XOR_PEER_ADDRESS), from);
    let (mut one, mut other) = (Client::tcp(tcp), Client::tls(tls));
    assert_eq!((bind(&mut one, &answer).code(), bind(&mut other, &attempt).code()), (None, None));
    one.send(b"hello");
    assert_eq!(other.bytes(5), b"hello");
    daemon.stop();
}

#[test]
fn a_peer_that_refuses_is_a_447() {
    let daemon = start("31300-31399");
    let mut client = Client::tcp(daemon.addresses().tcp[0]);
    allocate(&mut client);
    let (listener, address) = peer();
    drop(listener);
    assert_eq!(connect_to(&mut client, address).code(), Some(447));
    daemon.stop();
}

#[test]
fn bytes_are_counted_while_a_connection_lasts() {
    let daemon = start("32700-32709");
    let tls = daemon.addresses().tls[0];
    let mut client = Client::tls(tls);
    allocate(&mut client);
    let (data, mut peer) = bridge(&mut client, daemon.addresses().tcp[0]);
    (&data.connection.socket).write_all(&[1; 100_000]).unwrap();
    peer.read_exact(&mut [0; 100_000]).unwrap();
    peer.write_all(&[2; 3_000]).unwrap();
    (&data.connection.socket).read_exact(&mut [0; 3_000]).unwrap();

    let relay = daemon.snapshot().relay;
    let counted = relay.flows.iter().filter(|flow| flow.relayed.bytes > 0);
    let counted =
        counted.map(|it| (it.direction, it.transport, it.peer_transport, it.family, it.relayed.bytes));
    // The transport is that of the control connection, which has the allocation.
    let expected = [("up", "tls", "tcp", "ipv4", 100_000), ("down", "tls", "tcp", "ipv4", 3_000)];
    assert_eq!(counted.collect::<Vec<_>>(), expected);
    let held = relay.held.iter().filter(|held| held.count > 0);
    let held: Vec<_> = held.map(|it| (it.transport, it.peer_transport, it.family, it.count)).collect();
    assert_eq!(held, [("tls", "tcp", "ipv4", 1)]);
    daemon.stop();
}

/// What is under way when one side closes still arrives; then the other side is closed too.
#[test]
fn both_sides_end_together_and_nothing_is_lost() {
    let daemon = start("31400-31499");
    let tcp = daemon.addresses().tcp[0];
    let mut client = Client::tcp(tcp);
    allocate(&mut client);
    for peer_ends in [true, false] {
        let (data, mut peer) = bridge(&mut client, tcp);
        let sent: Vec<u8> = (0..3_000_000_u32).map(|n| (n / 3) as u8).collect();
        let (mut from, mut to) = match peer_ends {
            true => (peer.try_clone().unwrap(), data.connection.socket.try_clone().unwrap()),
            false => (data.connection.socket.try_clone().unwrap(), peer.try_clone().unwrap()),
        };
        drop((data, std::mem::replace(&mut peer, connect(tcp))));
        let expected = sent.clone();
        let sender = thread::spawn(move || from.write_all(&sent).unwrap());
        to.set_read_timeout(Some(PATIENCE)).unwrap();
        let (heard, end) = rest(&mut to);
        sender.join().unwrap();
        assert_eq!((heard.len(), end), (expected.len(), End::Closed), "the peer ends: {peer_ends}");
        assert!(heard == expected);
    }
    daemon.stop();
}

/// A connection that is closed with something unread is reset, and what is on its way to the other end destroyed.
#[test]
fn what_one_side_said_last_arrives_though_the_other_never_stops_talking() {
    let daemon = start("31600-31699");
    let tcp = daemon.addresses().tcp[0];
    let mut client = Client::tcp(tcp);
    allocate(&mut client);
    let (mut data, mut peer) = bridge(&mut client, tcp);

    let mut talking = data.connection.socket.try_clone().unwrap();
    let talker = thread::spawn(move || while talking.write_all(&[7; 10_000]).is_ok() {});
    let said: Vec<u8> = (0..1_000_000_u32).map(|n| (n / 3) as u8).collect();
    peer.write_all(&said).unwrap();
    peer.shutdown(std::net::Shutdown::Write).unwrap();

    assert!(data.bytes(said.len()) == said);
    assert_eq!(data.connection.read(&mut [0]).unwrap(), 0);
    drop(peer);
    data.connection.socket.shutdown(std::net::Shutdown::Both).unwrap();
    talker.join().unwrap();
    daemon.stop();
}

/// Each move costs two threads work: a client is moved once at most, and not at all before it has authenticated or
/// without the option.
#[test]
fn a_connection_moves_to_another_thread_at_most_once() {
    for (ports, tcp, most) in [("31700-31799", true, 1), ("31800-31899", false, 0)] {
        let daemon = start_secure(ports, |config| config.relay.tcp = tcp);
        let mut client = Client::tcp(daemon.addresses().tcp[0]);
        let bind = |client: &mut Client, id: u32| {
            client.request(CONNECTION_BIND).attr(CONNECTION_ID, &id.to_be_bytes())
        };
        for id in 0..20 {
            let request = bind(&mut client, id);
            assert_eq!(client.exchange(&request.0).code(), Some(401));
        }
        client.challenge();
        for id in 0..20 {
            let request = bind(&mut client, id);
            assert_eq!(client.ask(request).code(), Some(400));
        }
        let (method, refused) = if tcp {
            (Method::ConnectionBind, Refusal::BadRequest)
        } else {
            (Method::Unknown, Refusal::UnknownMethod)
        };
        for (refusal, most) in [(Refusal::Challenge, 0), (refused, most)] {
            let answered = [0, 1].map(|shard| daemon.metrics().shard(shard).refusals(method, refusal));
            assert!(answered[0].min(answered[1]) <= most && answered[0] + answered[1] == 20, "{answered:?}");
        }
        daemon.stop();
    }
}

#[test]
fn everything_ends_with_the_control_connection() {
    let daemon = start("31500-31599");
    let tcp = daemon.addresses().tcp[0];
    let mut client = Client::tcp(tcp);
    let relayed = allocate(&mut client);
    let (mut data, peer) = bridge(&mut client, tcp);
    drop(client);
    let nothing_is_left = || daemon.metrics().sum(|counters| counters.streams.get()) == 0;
    within(Duration::from_secs(1), "nothing is left", nothing_is_left);
    assert_eq!((rest(peer).1, data.end()), (End::Closed, End::Closed));
    assert!(TcpStream::connect(relayed).is_err());
    daemon.stop();
}
