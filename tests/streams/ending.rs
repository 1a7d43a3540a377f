//! A connection ends when its client is gone or guesses, and with it, at once, all that it held.

use std::io::Write as _;
use std::net::{Shutdown, SocketAddr, UdpSocket};
use std::time::Duration;

use hairpin::daemon::Daemon;
use hairpin::outcome::Ending;
use hairpin::sections::limits::Failures;
use hairpin::sections::number::Count;
use hairpin::sections::value::Auto;

use crate::support::daemon::{start_secure, start_with};
use crate::support::session::Turn;
use crate::support::stream::{Client, End, client_hello, connect, eventually, rest};
use crate::support::stun::{ALLOCATE, BINDING, Message, REFRESH, REQUESTED_TRANSPORT, XOR_MAPPED_ADDRESS};

/// Waits until the daemon has neither a connection nor an allocation, and has closed `relayed`.
fn nothing_is_left(daemon: &Daemon, relayed: SocketAddr) {
    let metrics = daemon.metrics();
    eventually("no connection", || metrics.sum(|shard| shard.streams.get()) == 0);
    eventually("no allocation", || metrics.sum(|shard| shard.allocations.get()) == 0);
    eventually("the port is free", || UdpSocket::bind(relayed).is_ok());
}

/// How a client leaves.
type Leave = fn(&mut Client);
/// How a client sends a last request, and leaves.
type Ask = fn(&mut Client, &[u8]);

/// C8
#[test]
fn an_allocation_ends_with_its_connection_however_that_ends() {
    let daemon = start_secure("30300-30399", |_| {});
    let [tcp, tls] = [daemon.addresses().tcp[0], daemon.addresses().tls[0]];
    let endings: [(&str, Leave); 5] = [
        ("FIN", |_| {}),
        ("FIN within a message", |client| client.send(&[0, 1, 0, 8, 0x21])),
        ("RST", reset),
        ("RST within a message", |client| {
            client.send(&[0, 1, 0, 8, 0x21]);
            reset(client);
        }),
        ("close_notify", |client| {
            if let Some(tls) = &mut client.connection.tls {
                tls.send_close_notify();
                tls.complete_io(&mut client.connection.socket).unwrap();
            }
        }),
    ];
    for (name, end) in endings {
        for (client, port) in [(Client::tcp as fn(SocketAddr) -> Client, tcp), (Client::tls, tls)] {
            let mut client = client(port);
            let relayed = client.allocate();
            assert!(UdpSocket::bind(relayed).is_err(), "{name}");
            end(&mut client);
            drop(client);
            nothing_is_left(&daemon, relayed);
        }
    }
    assert_eq!(daemon.metrics().sum(|shard| shard.endings(Ending::Closed)), 10);
    daemon.stop();
}

/// Makes closing the socket an RST.
fn reset(client: &mut Client) {
    let socket = socket2::SockRef::from(&client.connection.socket);
    socket.set_linger(Some(Duration::ZERO)).unwrap();
}

/// C8: TURN has no half-open clients; but what was asked before the end is answered.
#[test]
fn what_was_asked_before_the_end_is_answered() {
    let daemon = start_secure("30400-30499", |_| {});
    let [tcp, tls] = [daemon.addresses().tcp[0], daemon.addresses().tls[0]];
    let endings: [(&str, Ask); 2] = [
        ("its half is closed", |client, request| match &mut client.connection.tls {
            None => {
                client.send(request);
                client.connection.socket.shutdown(Shutdown::Write).unwrap();
            }
            Some(tls) => {
                tls.writer().write_all(request).unwrap();
                tls.send_close_notify();
                tls.complete_io(&mut client.connection.socket).unwrap();
            }
        }),
        ("what follows is not STUN", |client, request| client.send(&[request, &[0xFF]].concat())),
    ];
    for (name, end) in endings {
        for (client, port) in [(Client::tcp as fn(SocketAddr) -> Client, tcp), (Client::tls, tls)] {
            let mut client = client(port);
            let relayed = client.allocate();
            // More than one turn treats.
            let refreshes = (0..100).flat_map(|_| {
                let refresh = client.request(REFRESH);
                client.sign(refresh)
            });
            let refreshes: Vec<u8> = refreshes.collect();

            end(&mut client, &refreshes);

            for number in 0..100 {
                let answer = client.next().unwrap_or_else(|| panic!("no answer {number}: {name}"));
                assert_eq!(Message::read(&answer).code(), None);
            }
            assert_eq!(client.next(), None, "{name}");
            nothing_is_left(&daemon, relayed);
        }
    }
    daemon.stop();
}

/// C8
#[test]
fn who_leaves_before_the_first_message_leaves_nothing_behind() {
    let daemon = start_secure("30500-30599", |config| config.limits.connections_per_ip = Auto(Count::new(1)));
    let [tcp, tls] = [daemon.addresses().tcp[0], daemon.addresses().tls[0]];
    let hello = client_hello();
    let beginnings: [&[u8]; 4] = [&[], &hello[..1], &hello[..hello.len() / 2], &[0, 1]];
    for beginning in beginnings {
        for port in [tcp, tls] {
            let mut socket = connect(port);
            socket.write_all(beginning).unwrap();
            socket.shutdown(Shutdown::Write).unwrap();
            assert_eq!(rest(&socket).1, End::Closed, "{beginning:?}");
        }
    }
    let metrics = daemon.metrics();
    eventually("all are counted", || {
        let ended = |ending| metrics.sum(|shard| shard.endings(ending));
        ended(Ending::Closed) + ended(Ending::BadHandshake) == 8
    });
    // One connection at a time is allowed, so every other was given back.
    assert_eq!(Client::tls(tls).mapped().ip(), tls.ip());
    daemon.stop();
}

#[test]
fn who_guesses_passwords_is_told_so_as_often_as_allowed_and_then_closed() {
    let daemon = start_with("30600-30699", |config| config.limits.failures_per_minute = Failures::of::<3>());
    let mut client = Client::tcp(daemon.addresses().tcp[0]);
    let mut bystander = Client::tcp(daemon.addresses().tcp[0]);
    client.challenge();
    client.session.password = "a wrong one".to_owned();
    let mut guess = || {
        let request = client.request(ALLOCATE).attr(REQUESTED_TRANSPORT, &[17, 0, 0, 0]);
        let signed = client.sign(request);
        client.send(&signed);
        client.next().map(|answer| Message::read(&answer).code())
    };

    assert_eq!([guess(), guess(), guess()], [Some(Some(401)); 3]);
    assert_eq!(guess(), None);

    eventually("it is counted", || daemon.metrics().sum(|shard| shard.endings(Ending::BadMessage)) == 1);
    let request = bystander.request(BINDING);
    assert_eq!(
        bystander.exchange(&request.0).address(XOR_MAPPED_ADDRESS).ip(),
        daemon.addresses().tcp[0].ip()
    );
    daemon.stop();
}
