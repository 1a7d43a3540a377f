//! However a stream is cut, its messages are found; and what is no message ends it, and it alone.

use std::io::Write as _;
use std::net::UdpSocket;

use hairpin::daemon::Daemon;
use hairpin::metrics::Direction;
use hairpin::outcome::{Ending, Ignored};
use hairpin::sections::number::Bounded;
use hairpin::sections::value::Auto;

use crate::support::daemon::{Client as UdpClient, peer, receive, start_secure};
use crate::support::session::Turn;
use crate::support::stream::{Client, End, connect, eventually, padded_channel_data, rest};
use crate::support::stun::{BINDING, Builder, Class, DATA, Message, SOFTWARE};

const CHANNEL: u16 = 0x4000;

/// A daemon with a single thread, so that [`Site::settle`] works.
struct Site {
    daemon: Daemon,
    other: UdpClient,
}

impl Site {
    fn new(ports: &str) -> Self {
        let daemon = start_secure(ports, |config| config.relay.threads = Auto(Bounded::new(1)));
        let other = UdpClient::of(&daemon, "127.0.0.1");
        Self { daemon, other }
    }

    /// Clients over TCP and TLS with a channel to a peer.
    fn clients(&self) -> [(Client, UdpSocket); 2] {
        let addresses = self.daemon.addresses();
        [Client::tcp(addresses.tcp[0]), Client::tls(addresses.tls[0])].map(|mut client| {
            let peer = peer([127, 0, 0, 1].into());
            client.allocate();
            client.bind(CHANNEL, peer.local_addr().unwrap());
            (client, peer)
        })
    }

    /// Returns when the daemon has read what it was sent: its thread answers somebody else's later question.
    fn settle(&mut self) {
        let request = self.other.request(BINDING);
        assert_eq!(self.other.exchange(&request.0).code(), None);
    }

    fn endings(&self, ending: Ending) -> u64 {
        self.daemon.metrics().sum(|shard| shard.endings(ending))
    }
}

/// A Binding request whose one attribute has padding.
fn binding(number: u8) -> Vec<u8> {
    Builder::new(Class::Request, BINDING, [number; 12]).attr(SOFTWARE, b"tests").0
}

/// C1
#[test]
fn messages_may_come_byte_by_byte() {
    let site = Site::new("29400-29499");
    for (mut client, peer) in site.clients() {
        client.drip(&padded_channel_data(CHANNEL, b"drop by drop"));
        client.drip(&binding(1));
        assert_eq!(receive(&peer).0, b"drop by drop");
        assert_eq!(Message::read(&client.receive()).transaction, [1; 12]);
    }
    site.daemon.stop();
}

/// C2
#[test]
fn hundreds_of_messages_in_one_write_are_all_served_in_order() {
    let site = Site::new("29500-29599");
    for (mut client, peer) in site.clients() {
        let both = |n| [binding(n), padded_channel_data(CHANNEL, &[n])].concat();
        let all: Vec<u8> = (0..200).flat_map(both).collect();

        client.send(&all);

        for n in 0..200 {
            assert_eq!(Message::read(&client.receive()).transaction, [n; 12]);
            assert_eq!(receive(&peer).0, [n]);
        }
    }
    site.daemon.stop();
}

/// C3
#[test]
fn a_message_may_be_split_anywhere() {
    let mut site = Site::new("29600-29699");
    for (mut client, peer) in site.clients() {
        let both = [padded_channel_data(CHANNEL, b"split"), binding(3)].concat();
        for cut in 1..both.len() {
            client.send(&both[..cut]);
            site.settle();
            client.send(&both[cut..]);
            assert_eq!(receive(&peer).0, b"split", "cut at {cut}");
            assert_eq!(Message::read(&client.receive()).transaction, [3; 12], "cut at {cut}");
        }
    }
    site.daemon.stop();
}

/// C4: `pion` waits until nine bytes are there.
#[test]
fn short_channel_data_reaches_the_peer_without_another_byte() {
    let site = Site::new("29700-29799");
    for (mut client, peer) in site.clients() {
        for size in 0..=5 {
            client.send(&padded_channel_data(CHANNEL, &b"short"[..size]));
            assert_eq!(receive(&peer).0, b"short"[..size]);
        }
    }
    site.daemon.stop();
}

/// C5
#[test]
fn what_is_in_the_padding_does_not_matter_nor_when_it_comes() {
    let mut site = Site::new("29800-29899");
    for (mut client, peer) in site.clients() {
        let mut data = padded_channel_data(CHANNEL, b"hello");
        data[9..].fill(0xFF);
        let mut request = binding(5);
        let end = request.len();
        request[end - 3..].fill(0xFF);
        for at in [data.len() - 3, data.len() - 2, data.len() - 1] {
            client.send(&data[..at]);
            site.settle();
            client.send(&data[at..]);
            client.send(&request);
            assert_eq!(receive(&peer).0, b"hello");
            assert_eq!(Message::read(&client.receive()).code(), None);
        }
    }
    site.daemon.stop();
}

/// C5: the two ends then no longer agree where messages begin, and what follows must not be taken for anything.
#[test]
fn missing_padding_ends_the_connection_and_no_other() {
    let site = Site::new("29900-29999");
    let [mut unharmed, _] = site.clients();
    for (mut client, peer) in site.clients() {
        let unpadded = &padded_channel_data(CHANNEL, b"hello")[..9];
        client.send(&[unpadded, &binding(5)].concat());
        assert_eq!(receive(&peer).0, b"hello");
        assert_eq!(client.end(), End::Closed);
    }
    eventually("both are counted", || site.endings(Ending::BadMessage) == 2);
    unharmed.0.send(&padded_channel_data(CHANNEL, b"still here"));
    assert_eq!(receive(&unharmed.1).0, b"still here");
    site.daemon.stop();
}

/// C6: sums of these lengths with a header, or with padding, leave 16 bits.
#[test]
fn the_longest_channel_data_is_dropped_and_the_connection_lives() {
    let mut site = Site::new("30000-30039");
    for (mut client, peer) in site.clients() {
        for length in 0xFFFC..=0xFFFF {
            let before = site.daemon.metrics().sum(|shard| shard.drops(Ignored::SendFailed));
            let message = padded_channel_data(CHANNEL, &vec![7; length]);

            client.send(&message[..4]);
            site.settle();
            client.send(&message[4..]);

            client.send(&padded_channel_data(CHANNEL, b"next"));
            assert_eq!(receive(&peer).0, b"next", "no datagram can be as long as {length}");
            site.settle();
            assert_eq!(site.daemon.metrics().sum(|shard| shard.drops(Ignored::SendFailed)), before + 1);
        }
        // The kernel's refusal is not passed on to a client that has not shown that it knows RFC 8656.
        assert_eq!(client.mapped(), client.connection.socket.local_addr().unwrap());
    }
    assert_eq!(site.daemon.metrics().sum(|shard| shard.packets(Direction::Up)), 16);
    site.daemon.stop();
}

/// C6: on one thread a packet does not leave the process, so that it may be longer than a datagram.
#[test]
fn the_longest_channel_data_reaches_another_client_if_a_message_can_hold_it() {
    let site = Site::new("30040-30079");
    let addresses = site.daemon.addresses();
    let mut sender = Client::tcp(addresses.tcp[0]);
    let mut receivers = [Client::tcp(addresses.tcp[0]), Client::tls(addresses.tls[0])];
    let relayed = sender.allocate();
    let dropped = || site.daemon.metrics().sum(|shard| shard.drops(Ignored::SendFailed));
    for (receiver, channel) in receivers.iter_mut().zip(CHANNEL..) {
        let other = receiver.allocate();
        sender.bind(channel, other);
        receiver.permit(relayed);
        // A message is no longer than 20 + 0xFFFC bytes, and 16 of them are in front of its data.
        for (length, fits) in
            [(65_515, true), (65_516, true), (65_517, false), (0xFFFC, false), (0xFFFF, false)]
        {
            let payload = vec![7; length];
            sender.send(&padded_channel_data(channel, &payload));
            if fits {
                assert_eq!(Message::read(&receiver.receive()).get(DATA), Some(&payload[..]), "{length}");
            }
        }
        // Its answer comes when all that was before it has been relayed.
        assert_eq!(sender.mapped().ip(), addresses.tcp[0].ip());
        receiver.bind(CHANNEL, relayed);
        for length in [65_508, 0xFFFC, 0xFFFD, 0xFFFE, 0xFFFF] {
            let message = padded_channel_data(channel, &vec![7; length]);
            sender.send(&message);
            assert!(receiver.receive()[2..] == message[2..], "{length}");
        }
    }
    assert_eq!(dropped(), 6);
    site.daemon.stop();
}

/// C6
#[test]
fn the_longest_stun_messages_are_read_whole_or_refused_by_their_length() {
    let mut site = Site::new("30100-30199");
    for length in 0xFFEC..=0xFFFF_usize {
        for (mut client, _) in site.clients() {
            let mut request = Builder::new(Class::Request, BINDING, [6; 12]).0;
            // Attributes of type 0 and length 0.
            request.resize(20 + length, 0);
            let request = Builder(request).set_length(length).0;
            client.send(&request[..4]);
            if length % 4 != 0 {
                assert_eq!(client.end(), End::Closed, "{length}");
                continue;
            }
            site.settle();
            client.send(&request[4..]);
            assert_eq!(Message::read(&client.receive()).code(), Some(420), "{length}");
            assert_eq!(client.mapped(), client.connection.socket.local_addr().unwrap());
        }
    }
    site.daemon.stop();
}

/// C6, C9, C12: nobody has a channel yet, and whatever else this is, it is refused by its first bytes.
#[test]
fn what_does_not_begin_with_stun_is_closed_at_once() {
    let mut site = Site::new("30200-30299");
    let port = site.daemon.addresses().tcp[0];
    let beginnings: [&[u8]; 7] = [
        &[0x40, 0x00, 0xFF, 0xFC],
        &[0x40, 0x00, 0xFF, 0xFF],
        b"GET / HTTP/1.1\r\nHost: turn.example\r\n\r\n",
        b"SSH-2.0-OpenSSH_9.2\r\n",
        &[0x80, 0x2E, 0x01, 0x00, 0x02],
        &[0x00, 0x01, 0x00, 0x00, 0x00],
        &[0xFF],
    ];
    for (beginning, nth) in beginnings.into_iter().zip(1..) {
        let mut socket = connect(port);
        socket.write_all(beginning).unwrap();
        assert_eq!(rest(&socket), (Vec::new(), End::Closed), "{beginning:?}");
        eventually("it is counted", || site.endings(Ending::BadMessage) == nth);
    }
    site.settle();
    site.daemon.stop();
}
