//! A running daemon relays, over IPv4 and IPv6, whatever the size, and across its threads.

use std::net::SocketAddr;

use hairpin::clock::{Clock, Moment};
use hairpin::daemon::Daemon;
use hairpin::metrics::Direction;
use hairpin::network::address::RelayAddress;
use hairpin::observed::Relay;
use hairpin::outcome::Method;
use hairpin::relay::datagrams::{Batch, DatagramSocket, Flushed, Outgoing, SLOTS};
use hairpin::sections::number::Bounded;
use hairpin::sections::relay::Switch;
use hairpin::sections::value::Auto;

use crate::support::daemon::{Client, PATIENCE, config, peer, receive, start, start_on, start_with};
use crate::support::session::Turn;
use crate::support::stun::{
    ADDITIONAL_ADDRESS_FAMILY, BINDING, Builder, Class, DATA, EVEN_PORT, ICMP, Message, RESERVATION_TOKEN,
    XOR_MAPPED_ADDRESS, XOR_PEER_ADDRESS, XOR_RELAYED_ADDRESS, channel_data,
};

const CHANNEL: u16 = 0x4000;

#[test]
fn data_goes_both_ways_on_channels_and_in_indications_over_either_family() {
    let daemon = start("20000-20099");
    for ip in ["127.0.0.1", "::1"] {
        let mut client = Client::of(&daemon, ip);
        let relayed = client.allocate();
        let [one, two] = [peer(ip.parse().unwrap()), peer(ip.parse().unwrap())];
        let [to_one, to_two] = [one.local_addr().unwrap(), two.local_addr().unwrap()];
        client.bind(CHANNEL, to_one);
        client.permit(to_two);

        client.send(&channel_data(CHANNEL, b"over a channel"));
        assert_eq!(receive(&one), (b"over a channel".to_vec(), relayed));
        one.send_to(b"back", relayed).unwrap();
        assert_eq!(client.receive(), channel_data(CHANNEL, b"back"));

        client.indicate(to_two, b"in an indication");
        assert_eq!(receive(&two), (b"in an indication".to_vec(), relayed));
        two.send_to(b"back again", relayed).unwrap();
        let indication = Message::read(&client.receive());
        assert_eq!(indication.get(DATA), Some(&b"back again"[..]));
        assert_eq!(indication.address(XOR_PEER_ADDRESS), to_two);
    }
    let metrics = daemon.metrics();
    assert_eq!(metrics.sum(|shard| shard.successes(Method::Allocate)), 2);
    assert_eq!(metrics.sum(|shard| shard.packets(Direction::Up)), 4);
    assert_eq!(metrics.sum(|shard| shard.packets(Direction::Down)), 4);
    // The sessions are still running.
    let Relay { flows, held, permissions, channels, .. } = daemon.snapshot().relay;
    for family in ["ipv4", "ipv6"] {
        let flows = flows.iter().filter(|flow| (flow.transport, flow.family) == ("udp", family));
        let counted: Vec<_> =
            flows.map(|flow| (flow.direction, flow.relayed.packets, flow.relayed.bytes)).collect();
        assert_eq!(counted, [("up", 2, 14 + 16), ("down", 2, 4 + 10)], "{family}");
        let held = held.iter().filter(|held| (held.transport, held.family) == ("udp", family));
        assert_eq!(held.map(|held| held.count).sum::<u64>(), 1, "{family}");
    }
    assert_eq!((permissions, channels), (2, 2), "both peers of a client have one address");
    daemon.stop();
}

/// The crate had buffers of 1500 bytes and relayed the rest away.
#[test]
fn every_size_passes_whole() {
    let daemon = start("20100-20199");
    let mut client = Client::of(&daemon, "127.0.0.1");
    let relayed = client.allocate();
    let peer = peer([127, 0, 0, 1].into());
    client.bind(CHANNEL, peer.local_addr().unwrap());
    for size in [0, 1, 1500, 1501, 9000, 65_503] {
        let payload: Vec<u8> = (0..size).map(|n: u32| n as u8).collect();
        client.send(&channel_data(CHANNEL, &payload));
        assert_eq!(receive(&peer).0, payload, "{size} up");
        peer.send_to(&payload, relayed).unwrap();
        assert_eq!(client.receive(), channel_data(CHANNEL, &payload), "{size} down");
    }
    daemon.stop();
}

#[test]
fn two_clients_of_one_server_meet_on_whichever_threads_they_are() {
    let daemon = start("20200-20299");
    let mut first = Client::of(&daemon, "127.0.0.1");
    let first_relayed = first.allocate();
    // Enough clients that some are on the same thread as the first, and some are not.
    for (number, second) in (0..).zip(&mut several(&daemon, 12)) {
        let second_relayed = second.allocate();
        first.bind(CHANNEL + number, second_relayed);
        second.permit(first_relayed);
        first.send(&channel_data(CHANNEL + number, b"hello"));
        let heard = Message::read(&second.receive());
        assert_eq!((heard.get(DATA), heard.address(XOR_PEER_ADDRESS)), (Some(&b"hello"[..]), first_relayed));
        second.indicate(first_relayed, b"hello yourself");
        assert_eq!(first.receive(), channel_data(CHANNEL + number, b"hello yourself"));
    }
    daemon.stop();
}

#[test]
fn two_clients_behind_a_one_to_one_nat_meet_by_the_public_address() {
    let mut config = config("20300-20399", &["127.0.0.1:0"]);
    let public = [198, 51, 100, 10].into();
    config.relay.addresses = Auto(Some(vec![RelayAddress { bind: [127, 0, 0, 1].into(), public }.into()]));
    let daemon = Daemon::start(&config, Clock::start()).unwrap();
    let mut first = Client::of(&daemon, "127.0.0.1");
    let first_relayed = first.allocate();
    assert_eq!(first_relayed.ip(), public);
    for second in &mut several(&daemon, 6) {
        let second_relayed = second.allocate();
        second.permit(first_relayed);
        first.permit(second_relayed);
        first.indicate(second_relayed, b"hello");
        let heard = Message::read(&second.receive());
        assert_eq!((heard.get(DATA), heard.address(XOR_PEER_ADDRESS)), (Some(&b"hello"[..]), first_relayed));
    }
    daemon.stop();
}

#[test]
fn a_reserved_port_is_had_from_any_thread() {
    let daemon = start("20400-20499");
    for [one, other] in several(&daemon, 16).as_chunks_mut::<2>().0 {
        let first = one.try_allocate(|request| request.attr(EVEN_PORT, &[0x80]));
        let token = first.get(RESERVATION_TOKEN).unwrap();
        let second = other.try_allocate(|request| request.attr(RESERVATION_TOKEN, token));
        let [first, second] = [first, second].map(|answer| answer.address(XOR_RELAYED_ADDRESS).port());
        assert_eq!((first % 2, second), (0, first + 1));
    }
    daemon.stop();
}

#[test]
fn an_unreachable_peer_is_reported_and_the_others_are_served() {
    let daemon = start("20500-20599");
    let mut client = Client::of(&daemon, "127.0.0.1");
    // By this it shows that it knows RFC 8656.
    let answer = client.try_allocate(|request| request.attr(ADDITIONAL_ADDRESS_FAMILY, &[2, 0, 0, 0]));
    assert_eq!(answer.code(), None);
    let closed = peer([127, 0, 0, 1].into()).local_addr().unwrap();
    let open = peer([127, 0, 0, 1].into());
    client.permit(closed);

    client.indicate(closed, b"anybody?");

    let error = Message::read(&client.receive());
    assert_eq!(error.address(XOR_PEER_ADDRESS), closed);
    // Destination unreachable, port unreachable: 7 bits of type, 9 of code (RFC 8656 §18.13).
    assert_eq!((error.get(ICMP), error.get(DATA)), (Some(&[0, 0, 0x06, 0x03, 0, 0, 0, 0][..]), None));
    client.indicate(open.local_addr().unwrap(), b"somebody");
    assert_eq!(receive(&open).0, b"somebody");
    daemon.stop();
}

#[test]
fn the_traffic_class_is_copied_both_ways() {
    let daemon = start("20600-20699");
    let mut client = Client::of(&daemon, "127.0.0.1");
    let relayed = client.allocate();
    let peer = DatagramSocket::relay("127.0.0.1:0".parse().unwrap()).unwrap();
    client.bind(CHANNEL, peer.local_addr().unwrap());
    socket2::SockRef::from(&client.socket).set_tos_v4(0xB9).unwrap();

    client.send(&channel_data(CHANNEL, b"expedited, ECT(1)"));

    let mut batch = Batch::<()>::new(Switch::Auto);
    let datagram = loop {
        match batch.receive(&peer, 1) {
            Ok(mut arrivals) => break arrivals.next(&batch).unwrap(),
            Err(_) => std::thread::yield_now(),
        }
    };
    let received = batch.received(datagram);
    assert_eq!((received.class, received.from), (0xB9, relayed));
    daemon.stop();
}

#[test]
fn answers_come_from_the_address_that_was_asked() {
    let daemon = start_on("20700-20799", &["0.0.0.0:0"]);
    let port = daemon.addresses().udp[0].port();
    for ip in [[127, 0, 0, 1], [127, 0, 0, 5], [127, 1, 2, 3]] {
        let client = Client::to(SocketAddr::new(ip.into(), port), [127, 0, 0, 1].into());
        // `exchange` checks whom the answer is from.
        let answer = client.exchange(&Builder::new(Class::Request, BINDING, [1; 12]).0);
        assert_eq!(answer.address(XOR_MAPPED_ADDRESS), client.socket.local_addr().unwrap());
    }
    daemon.stop();
}

/// Clients that live together: one with the port of another before it would meet its allocation.
fn several(daemon: &Daemon, count: usize) -> Vec<Client> {
    (0..count).map(|_| Client::of(daemon, "127.0.0.1")).collect()
}

/// Whatever shards the two have, and in whichever way the kernel distributes clients among the shards.
#[test]
fn clients_that_are_each_others_peers_get_everything_once_and_in_order() {
    const CLIENTS: usize = 12;
    const MESSAGES: u16 = 300;
    let daemon = start_with("28640-28699", |config| config.relay.threads = Auto(Bounded::new(4)));
    let mut clients: Vec<(Client, SocketAddr)> = (0..CLIENTS)
        .map(|_| {
            let mut client = Client::of(&daemon, "127.0.0.1");
            let relayed = client.allocate();
            (client, relayed)
        })
        .collect();
    let relayed: Vec<SocketAddr> = clients.iter().map(|(_, relayed)| *relayed).collect();
    for (index, (client, _)) in clients.iter_mut().enumerate() {
        // The next one on a channel, and the one before in indications: all pairs of neighbours.
        client.bind(CHANNEL, relayed[(index + 1) % CLIENTS]);
        client.permit(relayed[(index + CLIENTS - 1) % CLIENTS]);
    }
    for number in 0..MESSAGES {
        for (index, (client, _)) in clients.iter().enumerate() {
            let text = [&[index as u8][..], &number.to_be_bytes(), &vec![7; usize::from(number)]].concat();
            client.send(&channel_data(CHANNEL, &text));
        }
        // So that no receive buffer overflows.
        if number % 20 == 19 {
            for (index, (client, _)) in clients.iter().enumerate() {
                let before = (index + CLIENTS - 1) % CLIENTS;
                for number in number - 19..=number {
                    let got = Message::read(&client.receive());
                    let expected =
                        [&[before as u8][..], &number.to_be_bytes(), &vec![7; usize::from(number)]].concat();
                    assert_eq!(
                        (got.address(XOR_PEER_ADDRESS), got.get(DATA)),
                        (relayed[before], Some(&expected[..]))
                    );
                }
            }
        }
    }
    let shards = (0..4).filter(|shard| daemon.metrics().shard(*shard).allocations.get() > 0).count();
    assert!(shards > 1, "the kernel has distributed {CLIENTS} clients");
    daemon.stop();
}

#[test]
fn runs_of_datagrams_pass_whole_and_in_order_both_ways_however_they_cross_the_stack() {
    let lengths =
        [[1100; 30].as_slice(), &[400, 0, 1, 1199, 1200, 1200, 1472, 1472, 9000, 1200, 20_000, 20]].concat();
    for (offload, ports) in
        [(Switch::Auto, "28610-28619"), (Switch::On, "28620-28629"), (Switch::Off, "28630-28639")]
    {
        let daemon = start_with(ports, |config| config.relay.udp_offload = offload);
        let mut client = Client::of(&daemon, "127.0.0.1");
        let relayed = client.allocate();
        let peer = DatagramSocket::relay("127.0.0.1:0".parse().unwrap()).unwrap();
        client.bind(CHANNEL, peer.local_addr().unwrap());
        let mut batch = Batch::<()>::new(Switch::On);
        // Sockets learn in the first rounds that datagrams follow one another.
        for round in 0..5_u8 {
            let data = |index: usize| vec![(index as u8) ^ round; lengths[index]];
            for index in 0..lengths.len() {
                client.send(&channel_data(CHANNEL, &data(index)));
            }
            let (mut arrived, clock) = (Vec::new(), Clock::start());
            while arrived.len() < lengths.len() {
                assert!(clock.now().moment < Moment::default() + PATIENCE, "{} arrived", arrived.len());
                let Ok(mut arrivals) = batch.receive(&peer, SLOTS) else { continue };
                arrived.extend(std::iter::from_fn(|| Some(batch.bytes(arrivals.next(&batch)?).to_vec())));
                batch.flush(|()| None);
            }
            assert!(arrived.into_iter().eq((0..lengths.len()).map(data)), "up, {offload:?}, round {round}");

            for index in 0..lengths.len() {
                let message = batch.compose(&data(index));
                let way = Outgoing { via: (), to: relayed, local: None, class: 0, dont_fragment: false };
                batch.send(message.into(), way);
            }
            assert_eq!(batch.flush(|()| Some(&peer)), Flushed::default());
            for index in 0..lengths.len() {
                let expected = channel_data(CHANNEL, &data(index));
                assert!(client.receive() == expected, "down, {offload:?}, round {round}, number {index}");
            }
        }
        daemon.stop();
    }
}
