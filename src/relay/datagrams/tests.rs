use std::net::SocketAddr;

use super::*;
use crate::relay::wire::{DATA_HEADER_MAX, DATA_PADDING_MAX, Icmp};
use crate::sections::relay::Switch;

fn pair() -> (DatagramSocket, DatagramSocket, SocketAddr) {
    let listener = DatagramSocket::listen("127.0.0.1:0".parse().unwrap(), false).unwrap();
    let relay = DatagramSocket::relay("127.0.0.1:0".parse().unwrap()).unwrap();
    let to = listener.local_addr().unwrap();
    (listener, relay, to)
}

fn way(to: SocketAddr) -> Outgoing<()> {
    Outgoing { via: (), to, local: None, class: 0, dont_fragment: false }
}

/// Sends these messages by `from` to `to`, in one flush.
fn send(batch: &mut Batch<()>, from: &DatagramSocket, to: SocketAddr, messages: &[Vec<u8>]) -> Flushed {
    for message in messages {
        let message = batch.compose(message);
        batch.send(message.into(), way(to));
    }
    batch.flush(|()| Some(from))
}

/// Receives what has arrived, in one read.
fn receive(batch: &mut Batch<()>, socket: &DatagramSocket) -> Vec<Segment> {
    socket.wait_readable();
    let mut arrivals = batch.receive(socket, SLOTS).unwrap();
    std::iter::from_fn(|| arrivals.next(batch)).collect()
}

/// The same, as bytes; the slots are free again.
fn receive_bytes(batch: &mut Batch<()>, socket: &DatagramSocket) -> Vec<Vec<u8>> {
    let datagrams = receive(batch, socket);
    let bytes = datagrams.into_iter().map(|datagram| batch.bytes(datagram).to_vec()).collect();
    batch.flush(|()| None);
    bytes
}

/// Receives until so many datagrams have come.
fn receive_all(batch: &mut Batch<()>, socket: &DatagramSocket, count: usize) -> Vec<Vec<u8>> {
    let mut all = Vec::new();
    while all.len() < count {
        all.extend(receive_bytes(batch, socket));
    }
    all
}

/// Messages of these lengths, each of other bytes.
fn messages(lengths: &[usize]) -> Vec<Vec<u8>> {
    let message =
        |(index, length): (usize, &usize)| (0..*length).map(|byte| (byte + 31 * index) as u8).collect();
    lengths.iter().enumerate().map(message).collect()
}

const SENT: Flushed = Flushed { failed: 0, uncut: 0, news: None };
const WAYS: [Switch; 3] = [Switch::Auto, Switch::On, Switch::Off];

#[test]
fn what_is_composed_arrives_in_order_with_its_sender_and_class() {
    let (listener, relay, to) = pair();
    let mut batch = Batch::new(Switch::Auto);
    for (n, class) in [(0_u8, 0), (1, 0xB9), (2, 0)] {
        let message = batch.compose(&vec![n; usize::from(n) * 1000]);
        batch.send(message.into(), Outgoing { class, ..way(to) });
    }
    assert_eq!(batch.flush(|()| Some(&relay)), SENT);

    let datagrams = receive(&mut batch, &listener);
    let got: Vec<_> =
        datagrams.iter().map(|it| (batch.bytes(*it).to_vec(), batch.received(*it).class)).collect();
    assert_eq!(got, [(vec![], 0), (vec![1; 1000], 0xB9), (vec![2; 2000], 0)]);
    assert_eq!(batch.received(datagrams[0]).from, relay.local_addr().unwrap());
}

#[test]
fn datagrams_of_all_lengths_pass_whole_and_in_order_however_they_cross_the_stack() {
    let (listener, relay, to) = pair();
    let lengths =
        [1200, 1200, 1200, 1199, 0, 0, 1, 1, 1472, 1472, 9000, 9000, 65_507, 1200, 1200, 300, 300, 1, 0];
    let expected = messages(&lengths);
    for offload in WAYS {
        let (mut sender, mut receiver) = (Batch::new(offload), Batch::new(offload));
        // The second time the kernel may join what arrives.
        for _ in 0..2 {
            assert_eq!(send(&mut sender, &relay, to, &expected), SENT);
            assert!(receive_all(&mut receiver, &listener, lengths.len()) == expected, "{offload:?}");
        }
    }
}

#[test]
fn a_run_crosses_the_stack_as_one_and_arrives_as_one_where_runs_have_been_seen() {
    let (listener, relay, to) = pair();
    let run = messages(&[[1000; 20].as_slice(), &[500]].concat());
    let (mut sender, mut receiver) = (Batch::new(Switch::Auto), Batch::new(Switch::Auto));
    let slots = |sender: &mut Batch<()>, receiver: &mut Batch<()>| {
        assert_eq!(send(sender, &relay, to, &run), SENT);
        listener.wait_readable();
        let mut arrivals = receiver.receive(&listener, SLOTS).unwrap();
        let datagrams: Vec<_> = std::iter::from_fn(|| arrivals.next(receiver)).collect();
        assert_eq!(datagrams.len(), run.len());
        let slots = SLOTS - receiver.free();
        for (datagram, sent) in datagrams.into_iter().zip(&run) {
            assert_eq!(receiver.bytes(datagram), sent);
            assert_eq!(receiver.received(datagram).from, relay.local_addr().unwrap());
        }
        receiver.flush(|()| None);
        slots
    };
    assert_eq!(slots(&mut sender, &mut receiver), run.len());
    assert_eq!(slots(&mut sender, &mut receiver), 1);
}

#[test]
fn datagrams_that_came_as_one_get_headers_of_their_own() {
    let (listener, relay, to) = pair();
    let (mut sender, mut batch) = (Batch::new(Switch::On), Batch::new(Switch::On));
    let run = messages(&[100, 100, 100, 41]);
    // The socket has joined what arrives since its first read.
    send(&mut sender, &relay, to, &messages(&[1]));
    receive_bytes(&mut batch, &listener);
    send(&mut sender, &relay, to, &run);
    let peer = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    for (datagram, number) in receive(&mut batch, &listener).into_iter().zip(0_u8..) {
        let message =
            Message::new(&[number; 4], datagram.part(&(1..datagram.length())), usize::from(number % 4));
        batch.send(message, way(peer.local_addr().unwrap()));
    }
    assert_eq!(batch.free(), SLOTS - 1);
    assert_eq!(batch.flush(|()| Some(&listener)), SENT);
    for (number, sent) in run.iter().enumerate() {
        let mut buffer = [0; 200];
        let length = peer.recv(&mut buffer).unwrap();
        let expected = [&[number as u8; 4], &sent[1..], &vec![0; number % 4]].concat();
        assert_eq!(buffer[..length], expected);
    }
}

#[test]
fn where_the_kernel_refuses_to_cut_a_run_its_datagrams_leave_one_by_one() {
    let (listener, relay, to) = pair();
    // The kernel cuts nothing without checksums.
    relay.send_without_checksums();
    let (mut sender, mut receiver) = (Batch::new(Switch::Auto), Batch::new(Switch::Off));
    let run = messages(&[1000, 1000, 1000, 7]);
    let refused = Flushed { failed: 0, uncut: 1, news: Some((1000, libc::EINVAL)) };
    assert_eq!(send(&mut sender, &relay, to, &run), refused);
    assert!(receive_all(&mut receiver, &listener, run.len()) == run);
    // It is not asked again.
    assert_eq!(send(&mut sender, &relay, to, &run), SENT);
    assert!(receive_all(&mut receiver, &listener, run.len()) == run);
}

#[test]
fn a_run_that_cannot_be_sent_at_all_is_no_reason_to_cut_no_more() {
    let (listener, relay, to) = pair();
    let (mut sender, mut receiver) = (Batch::new(Switch::Auto), Batch::new(Switch::On));
    let run = messages(&[1000, 1000, 1000]);
    let nowhere = SocketAddr::new(to.ip(), 0);
    assert_eq!(send(&mut sender, &relay, nowhere, &run), Flushed { failed: 3, ..SENT });
    send(&mut sender, &relay, to, &run[..1]);
    receive_all(&mut receiver, &listener, 1);
    send(&mut sender, &relay, to, &run);
    assert_eq!(receive(&mut receiver, &listener).len(), 3);
    assert_eq!(receiver.free(), SLOTS - 1);
}

#[test]
fn a_listener_on_all_addresses_learns_and_keeps_the_one_that_was_meant() {
    let listener = DatagramSocket::listen("0.0.0.0:0".parse().unwrap(), true).unwrap();
    let port = listener.local_addr().unwrap().port();
    let client = DatagramSocket::relay("127.0.0.1:0".parse().unwrap()).unwrap();
    for offload in WAYS {
        let mut batch = Batch::new(offload);
        let question = messages(&[10, 10]);
        send(&mut batch, &client, SocketAddr::new([127, 0, 0, 9].into(), port), &question);

        let questions = receive(&mut batch, &listener);
        let Received { from, local, .. } = batch.received(questions[0]);
        assert_eq!(local, Some([127, 0, 0, 9].into()));
        for answer in [b"answer", b"and on"] {
            let answer = batch.compose(answer);
            batch.send(answer.into(), Outgoing { local, ..way(from) });
        }
        assert_eq!(batch.flush(|()| Some(&listener)), SENT);

        let answers = receive(&mut batch, &client);
        let got = answers.iter().map(|answer| (batch.bytes(*answer), batch.received(*answer).from.ip()));
        let meant = [127, 0, 0, 9].into();
        assert_eq!(got.collect::<Vec<_>>(), [(&b"answer"[..], meant), (&b"and on"[..], meant)]);
    }
}

#[test]
fn a_closed_port_stops_nothing_and_is_reported_where_that_is_wanted() {
    for wanted in [true, false] {
        let (listener, relay, open) = pair();
        let closed = std::net::UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        if wanted {
            relay.report_errors().unwrap();
        }
        let mut batch = Batch::new(Switch::Auto);
        for to in [closed, open, open] {
            let message = batch.compose(b"x");
            batch.send(message.into(), way(to));
        }
        assert_eq!(batch.flush(|()| Some(&relay)), SENT);
        assert_eq!(receive_all(&mut batch, &listener, 2).len(), 2);
        let report = (closed, Some(Icmp { kind: 3, code: 3, data: 0 }));
        assert_eq!([relay.take_error(), relay.take_error()], [wanted.then_some(report), None]);
    }
}

#[test]
fn datagrams_that_the_receive_buffer_does_not_hold_are_counted_once() {
    let (_, relay, _) = pair();
    relay.limit_receive_buffer(4 << 10);
    let (to, peer) = (relay.local_addr().unwrap(), std::net::UdpSocket::bind("127.0.0.1:0").unwrap());
    let mut batch = Batch::<()>::new(Switch::Auto);
    // Receives all that waits, until nothing does.
    let mut receive_all = || {
        let (mut received, mut overflowed) = (0, 0);
        while let Ok(mut arrivals) = batch.receive(&relay, SLOTS) {
            overflowed += arrivals.overflowed() as usize;
            received += std::iter::from_fn(|| arrivals.next(&batch)).count();
            batch.flush(|()| None);
        }
        (received, overflowed)
    };
    for round in 1..=2 {
        (0..100).for_each(|_| assert_eq!(peer.send_to(&[7; 1000], to).unwrap(), 1000));
        let (kept, _) = receive_all();
        assert!(kept < 100, "{kept} of 100 fit into 4 KiB");
        // The kernel tells the number with the next datagram.
        peer.send_to(b"x", to).unwrap();
        assert_eq!(receive_all(), (1, 100 - kept), "round {round}");
    }
}

#[test]
fn a_datagram_that_cannot_be_sent_is_counted_and_the_rest_goes_out() {
    let (listener, relay, open) = pair();
    let mut batch = Batch::new(Switch::Auto);
    for to in ["[2001:db8::1]:9".parse().unwrap(), open] {
        let message = batch.compose(b"x");
        batch.send(message.into(), way(to));
    }
    assert_eq!(batch.flush(|()| Some(&relay)), Flushed { failed: 1, ..SENT });
    assert_eq!(receive_all(&mut batch, &listener, 1), [b"x"]);
}

#[test]
fn a_header_and_padding_go_around_a_part_of_a_datagram_and_change_nothing_else() {
    let mut batch = Batch::<()>::new(Switch::Auto);
    let datagrams = [&b"before"[..], b"headdatatail", b"behind"].map(|text| batch.compose(text));
    let data = datagrams[1].part(&(4..8));
    assert_eq!((batch.bytes(data), data.length()), (&b"data"[..], 4));
    let message = Message::new(&[7; DATA_HEADER_MAX], data, DATA_PADDING_MAX);
    assert_eq!(
        batch.parts(&message).concat(),
        [&[7; DATA_HEADER_MAX][..], b"data", &[0; DATA_PADDING_MAX]].concat()
    );
    assert_eq!(message.length(), DATA_HEADER_MAX + 4 + DATA_PADDING_MAX);
    assert_eq!(datagrams.map(|datagram| batch.bytes(datagram)), [&b"before"[..], b"headdatatail", b"behind"]);
}

#[test]
fn a_batch_says_when_it_is_full_and_is_empty_after_a_flush() {
    let (listener, relay, to) = pair();
    let mut batch = Batch::new(Switch::Off);
    for _ in 0..SLOTS + 6 {
        send(&mut batch, &relay, to, &messages(&[1]));
    }
    listener.wait_readable();
    assert!(batch.receive(&listener, SLOTS).unwrap().is_full());
    assert_eq!(batch.free(), 0);
    assert!(!batch.is_heavy());
    for _ in 0..3 {
        batch.compose(&[0; 60_000]);
    }
    assert!(batch.is_heavy());
    batch.flush(|()| None);
    assert!(batch.free() == SLOTS && !batch.is_heavy());
    assert!(!batch.receive(&listener, SLOTS).unwrap().is_full());
    assert_eq!(batch.free(), SLOTS - 6);
}
