//! TLS is spoken where it should be, in its two good versions, and by nobody else.

use std::io::{self, Write as _};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use hairpin::clock::Clock;
use hairpin::config::Config;
use hairpin::daemon::Daemon;
use hairpin::outcome::Ending;
use hairpin::sections::number::Count;
use rustls::version::{TLS12, TLS13};
use rustls::{AlertDescription, ClientConfig, HandshakeKind, ProtocolVersion};

use crate::support::certificate::Folder;
use crate::support::daemon::{peer, receive, start_secure, start_with};
use crate::support::session::Turn;
use crate::support::stream::{
    Client, Connection, End, client_hello, connect, connect_from, eventually, rest, tls_config, within,
};
use crate::support::stun::{BINDING, Builder, Class};

/// Connects with a configuration and a server name.
fn handshake(server: SocketAddr, config: ClientConfig, name: &'static str) -> io::Result<Connection> {
    Connection::secure(connect(server), &Arc::new(config), name)
}

/// The alert that a handshake met.
fn alert(met: io::Result<Connection>) -> AlertDescription {
    let error = met.err().expect("the handshake is refused").into_inner().unwrap();
    match error.downcast_ref() {
        Some(rustls::Error::AlertReceived(alert)) => *alert,
        other => panic!("no alert: {other:?}"),
    }
}

/// F7: who is refused has cost us nothing but a message.
#[test]
fn handshakes_of_an_address_have_a_rate_and_neighbours_are_served() {
    let daemon = start_secure("31100-31109", |config| config.limits.handshakes_per_ip = Count::of::<1>());
    let server = daemon.addresses().tls[0];
    let config = Arc::new(tls_config(&TLS13, &["stun.turn"]));
    let from =
        |last| Connection::secure(connect_from([127, 0, 0, last].into(), server), &config, "turn.example");
    // A room full of people, at once.
    let mut served: Vec<Client> = (0..20).map(|_| Client::over(from(1).unwrap())).collect();
    served.iter_mut().for_each(|client| assert_eq!(client.mapped().ip(), server.ip()));

    let refused = || daemon.metrics().sum(|shard| shard.endings(Ending::TooManyHandshakes));
    let flood: Vec<_> = (0..200)
        .map(|_| {
            let mut bare = connect(server);
            bare.write_all(&client_hello()).unwrap();
            bare
        })
        .collect();
    eventually("some of them do not even get a ServerHello", || refused() >= 1);
    drop(flood);

    served.iter_mut().for_each(|client| assert_eq!(client.mapped().ip(), server.ip()));
    assert_eq!(Client::over(from(2).unwrap()).mapped().ip().to_string(), "127.0.0.2");
    within(Duration::from_secs(5), "soon one more is allowed", || from(1).is_ok());
    let counted = |outcome| daemon.snapshot().front.handshakes[outcome];
    eventually("all are counted", || counted("ok") >= 22 && counted("refused") >= refused());
    daemon.stop();
}

/// C9
#[test]
fn tls_1_2_and_1_3_carry_a_session_and_nothing_is_resumed() {
    let daemon = start_secure("31000-31099", |_| {});
    for server in [daemon.addresses().tls[0], daemon.addresses().tcp[0]] {
        for (version, protocol) in [(&TLS12, ProtocolVersion::TLSv1_2), (&TLS13, ProtocolVersion::TLSv1_3)] {
            let config = Arc::new(tls_config(version, &["stun.turn"]));
            for _ in 0..2 {
                let connection = Connection::secure(connect(server), &config, "turn.example").unwrap();
                let mut client = Client::over(connection);
                let relayed = client.allocate();
                let peer = peer([127, 0, 0, 1].into());
                client.permit(peer.local_addr().unwrap());
                client.indicate(peer.local_addr().unwrap(), b"through TLS");
                assert_eq!(receive(&peer), (b"through TLS".to_vec(), relayed));

                let tls = client.connection.tls.as_ref().unwrap();
                assert_eq!(tls.protocol_version(), Some(protocol));
                assert_eq!(
                    (tls.handshake_kind(), tls.tls13_tickets_received()),
                    (Some(HandshakeKind::Full), 0)
                );
            }
        }
    }
    daemon.stop();
}

/// C9
#[test]
fn a_client_that_can_do_no_better_than_tls_1_1_is_refused_by_an_alert() {
    let daemon = start_secure("31100-31199", |_| {});
    for minor in [1, 2] {
        for server in [daemon.addresses().tls[0], daemon.addresses().tcp[0]] {
            let mut socket = connect(server);
            socket.write_all(&old_hello(minor)).unwrap();
            let (said, end) = rest(&socket);
            // A fatal alert: handshake_failure.
            assert_eq!((said.first(), said.last_chunk(), end), (Some(&21), Some(&[2, 40]), End::Closed));
        }
    }
    counted(&daemon, Ending::BadHandshake, 4);
    daemon.stop();
}

/// A `ClientHello` of TLS 1.0 (minor 1) or 1.1 (minor 2).
fn old_hello(minor: u8) -> Vec<u8> {
    // No session; TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA and TLS_RSA_WITH_AES_128_CBC_SHA; no compression.
    let body = [&[3, minor][..], &[7; 32], &[0, 0, 4, 0xC0, 0x13, 0, 0x2F, 1, 0]].concat();
    let header = [22, 3, 1, 0, body.len() as u8 + 4, 1, 0, 0, body.len() as u8];
    [&header[..], &body].concat()
}

/// C9, RFC 7443
#[test]
fn who_speaks_turn_or_does_not_say_is_served_and_who_speaks_only_something_else_is_not() {
    let daemon = start_secure("31200-31299", |_| {});
    let server = daemon.addresses().tls[0];
    for version in [&TLS12, &TLS13] {
        let offer = |alpn: &[&str]| handshake(server, tls_config(version, alpn), "turn.example");
        for (alpn, chosen) in [
            (&["stun.turn"][..], Some(&b"stun.turn"[..])),
            (&["h2", "stun.turn"], Some(b"stun.turn")),
            (&["stun.nat-discovery"], Some(b"stun.nat-discovery")),
            (&[], None),
        ] {
            let connection = offer(alpn).unwrap();
            assert_eq!(connection.tls.as_ref().unwrap().alpn_protocol(), chosen);
            assert_eq!(Client::over(connection).mapped().ip(), server.ip());
        }
        assert_eq!(alert(offer(&["imap"])), AlertDescription::NoApplicationProtocol);
        assert_eq!(alert(offer(&["h3", "ftp"])), AlertDescription::NoApplicationProtocol);
    }
    counted(&daemon, Ending::BadHandshake, 4);
    daemon.stop();
}

/// C9
#[test]
fn a_client_sees_the_certificate_for_its_name_and_with_any_other_name_the_first() {
    let folder = Folder::new("several-names");
    let [first, second] = [("first", "first.example"), ("second", "second.example")]
        .map(|(name, host)| folder.pair(name, host));
    let configure = |config: &mut Config| folder.configure(config, &["first", "second"]);
    let daemon = start_with("31300-31399", configure);
    let server = daemon.addresses().tls[0];
    for version in [&TLS12, &TLS13] {
        for (name, expected) in [
            ("first.example", &first),
            ("second.example", &second),
            ("unknown.example", &first),
            ("127.0.0.1", &first), // which is never said
        ] {
            let connection = handshake(server, tls_config(version, &[]), name).unwrap();
            let shown = connection.tls.as_ref().unwrap().peer_certificates().unwrap();
            assert_eq!(shown[0].as_ref(), expected, "{name}");
        }
    }
    daemon.stop();
}

/// C9
#[test]
fn what_is_not_tls_is_closed_at_once_on_the_tls_port() {
    let daemon = start_secure("31400-31499", |_| {});
    let server = daemon.addresses().tls[0];
    let binding = Builder::new(Class::Request, BINDING, [9; 12]).0;
    // An SSLv2 hello, as OpenSSL of twenty years ago sent it.
    let ssl2 = [0x80, 0x2E, 0x01, 0x03, 0x01, 0x00, 0x15, 0x00, 0x00, 0x00, 0x10];
    let beginnings: [&[u8]; 5] = [
        &binding,
        b"GET / HTTP/1.1\r\nHost: turn.example\r\n\r\n",
        &ssl2,
        b"SSH-2.0-OpenSSH_9.2\r\n",
        &[0xFF; 64],
    ];
    for beginning in beginnings {
        let mut socket = connect(server);
        socket.write_all(beginning).unwrap();
        let (said, end) = rest(&socket);
        assert_eq!(end, End::Closed, "{beginning:?}");
        assert!(said.is_empty() || said[0] == 21, "nothing, or an alert: {said:?}");
    }
    counted(&daemon, Ending::BadHandshake, 5);
    assert_eq!(Client::tls(server).mapped().ip(), server.ip());
    daemon.stop();
}

/// C9
#[test]
fn without_a_certificate_tls_is_refused_at_once_like_anything_that_is_not_stun() {
    let daemon = start_with("31500-31599", |_| {});
    let server = daemon.addresses().tcp[0];
    let mut socket = connect(server);
    socket.write_all(&client_hello()).unwrap();
    assert_eq!(rest(&socket), (Vec::new(), End::Closed));
    counted(&daemon, Ending::BadMessage, 1);
    assert_eq!(Client::tcp(server).mapped().ip(), server.ip());
    daemon.stop();
}

/// C9: past 64 KiB of records nothing more is kept; `waiting` has one that stops before.
#[test]
fn a_client_hello_in_records_of_one_byte_is_understood_or_refused_when_it_takes_too_much() {
    let daemon = start_secure("31600-31699", |_| {});
    let server = daemon.addresses().tls[0];
    let cut =
        |message: &[u8]| -> Vec<u8> { message.iter().flat_map(|byte| [22, 3, 1, 0, 1, *byte]).collect() };
    let [hello, long] =
        [client_hello()[5..].to_vec(), [&[1, 0, 0x40, 0, 3, 3][..], &[7; (16 << 10) - 2]].concat()];

    let mut socket = connect(server);
    socket.write_all(&cut(&hello)).unwrap();
    let mut answer = [0; 3];
    io::Read::read_exact(&mut socket, &mut answer).unwrap();
    // A handshake record.
    assert_eq!(answer, [22, 3, 3]);

    let mut socket = connect(server);
    let clock = Clock::start();
    let begun = clock.now().moment;
    // The daemon may close before everything is sent.
    drop(socket.write_all(&cut(&long)));
    assert_eq!(rest(&socket).1, End::Closed);
    assert!(clock.now().moment.since(begun).as_secs() < 5, "it is not the ten seconds that end it");
    counted(&daemon, Ending::BadHandshake, 1);
    daemon.stop();
}

/// C9: after the handshake, too.
#[test]
fn what_is_not_stun_inside_tls_is_closed_at_once() {
    let daemon = start_secure("31700-31799", |_| {});
    let mut broken = Client::tls(daemon.addresses().tls[0]);
    broken.mapped();
    // A record that cannot be decrypted.
    broken.connection.socket.write_all(&[23, 3, 3, 0, 32]).unwrap();
    broken.connection.socket.write_all(&[7; 32]).unwrap();
    assert_eq!(rest(&broken.connection.socket).1, End::Closed);

    let mut client = Client::tls(daemon.addresses().tls[0]);
    client.send(b"GET / HTTP/1.1\r\nHost: turn.example\r\n\r\n");
    assert_eq!((client.next(), client.connection.tls.unwrap().is_handshaking()), (None, false));
    counted(&daemon, Ending::BadMessage, 2);
    daemon.stop();
}

fn counted(daemon: &Daemon, ending: Ending, count: u64) {
    eventually("each ending is counted", || daemon.metrics().sum(|shard| shard.endings(ending)) == count);
}
