//! A client over TCP or TLS has what a client over UDP has, and meets it.

use hairpin::metrics::Direction;

use crate::support::daemon::{Client as UdpClient, peer, receive, start_secure, start_with};
use crate::support::session::Turn;
use crate::support::stream::{Client, padded_channel_data};
use crate::support::stun::{DATA, Message, XOR_PEER_ADDRESS, channel_data};

const CHANNEL: u16 = 0x4000;

#[test]
fn data_goes_both_ways_on_channels_and_in_indications_over_tcp_and_tls() {
    let daemon = start_secure("29000-29049", |_| {});
    let [tcp, tls] = [daemon.addresses().tcp[0], daemon.addresses().tls[0]];
    for mut client in [Client::tcp(tcp), Client::tls(tls), Client::tls(tcp)] {
        assert_eq!(client.mapped(), client.connection.socket.local_addr().unwrap());
        let relayed = client.allocate();
        let [one, two] = [peer([127, 0, 0, 1].into()), peer([127, 0, 0, 1].into())];
        let [to_one, to_two] = [one.local_addr().unwrap(), two.local_addr().unwrap()];
        client.bind(CHANNEL, to_one);
        client.permit(to_two);

        client.send(&padded_channel_data(CHANNEL, b"over a channel"));
        assert_eq!(receive(&one), (b"over a channel".to_vec(), relayed));
        one.send_to(b"back", relayed).unwrap();
        assert_eq!(client.receive(), padded_channel_data(CHANNEL, b"back"));

        client.indicate(to_two, b"in an indication");
        assert_eq!(receive(&two), (b"in an indication".to_vec(), relayed));
        two.send_to(b"back again", relayed).unwrap();
        let indication = Message::read(&client.receive());
        assert_eq!(indication.get(DATA), Some(&b"back again"[..]));
        assert_eq!(indication.address(XOR_PEER_ADDRESS), to_two);
    }
    assert_eq!(daemon.metrics().sum(|shard| shard.packets(Direction::Up)), 6);
    daemon.stop();
}

#[test]
fn every_size_passes_whole_and_padded() {
    let daemon = start_secure("29100-29199", |_| {});
    let [tcp, tls] = [daemon.addresses().tcp[0], daemon.addresses().tls[0]];
    for mut client in [Client::tcp(tcp), Client::tls(tls)] {
        let relayed = client.allocate();
        let peer = peer([127, 0, 0, 1].into());
        client.bind(CHANNEL, peer.local_addr().unwrap());
        for size in [0, 1, 2, 3, 4, 5, 1500, 9001, 16_383, 16_385, 65_507] {
            let payload: Vec<u8> = (0..size).map(|n: u32| n as u8).collect();
            client.send(&padded_channel_data(CHANNEL, &payload));
            assert_eq!(receive(&peer).0, payload, "{size} up");
            peer.send_to(&payload, relayed).unwrap();
            assert_eq!(client.receive(), padded_channel_data(CHANNEL, &payload), "{size} down");
        }
    }
    daemon.stop();
}

/// Connections take turns on the two threads, so every pair of places occurs.
#[test]
fn clients_over_tcp_tls_and_udp_meet_on_whichever_threads_they_are() {
    let daemon = start_secure("29200-29299", |_| {});
    let [udp, tcp, tls] = {
        let all = daemon.addresses();
        [&all.udp, &all.tcp, &all.tls].map(|list| list[0])
    };
    let mut first = Client::tcp(tcp);
    let first_relayed = first.allocate();
    for number in 0..4 {
        for mut second in [Client::tcp(tcp), Client::tls(tls)] {
            let second_relayed = second.allocate();
            first.permit(second_relayed);
            second.bind(CHANNEL, first_relayed);
            first.indicate(second_relayed, b"hello");
            assert_eq!(second.receive(), padded_channel_data(CHANNEL, b"hello"));
            second.send(&padded_channel_data(CHANNEL, b"hello yourself"));
            let heard = Message::read(&first.receive());
            assert_eq!(
                (heard.get(DATA), heard.address(XOR_PEER_ADDRESS)),
                (Some(&b"hello yourself"[..]), second_relayed)
            );
        }
        let mut third = UdpClient::to(udp, [127, 0, 0, 1].into());
        let third_relayed = third.allocate();
        first.bind(CHANNEL + number, third_relayed);
        third.bind(CHANNEL, first_relayed);
        first.send(&padded_channel_data(CHANNEL + number, b"hello"));
        assert_eq!(third.receive(), channel_data(CHANNEL, b"hello"));
        third.send(&channel_data(CHANNEL, b"hello yourself"));
        assert_eq!(first.receive(), padded_channel_data(CHANNEL + number, b"hello yourself"));
    }
    daemon.stop();
}

#[test]
fn after_its_allocation_a_connection_can_have_another() {
    let daemon = start_with("29300-29399", |_| {});
    let mut client = Client::tcp(daemon.addresses().tcp[0]);
    client.allocate();

    assert_eq!(client.refresh(0).code(), None);

    assert_eq!(client.mapped(), client.connection.socket.local_addr().unwrap());
    let relayed = client.allocate();
    let peer = peer([127, 0, 0, 1].into());
    client.permit(peer.local_addr().unwrap());
    client.indicate(peer.local_addr().unwrap(), b"on the second");
    assert_eq!(receive(&peer), (b"on the second".to_vec(), relayed));
    daemon.stop();
}
