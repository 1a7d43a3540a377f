//! A client that reads slowly loses messages, whole ones; and one that reads nothing is closed.

use std::net::{SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use hairpin::clock::Clock;
use hairpin::daemon::Daemon;
use hairpin::outcome::Ignored;

use crate::support::daemon::{peer, start_secure};
use crate::support::session::Turn;
use crate::support::stream::{Client, eventually, within};

const CHANNEL: u16 = 0x4000;

/// A client with a channel to a peer; and the relayed address.
fn with_peer(mut client: Client) -> (Client, UdpSocket, SocketAddr) {
    let peer = peer([127, 0, 0, 1].into());
    let relayed = client.allocate();
    client.bind(CHANNEL, peer.local_addr().unwrap());
    (client, peer, relayed)
}

fn dropped(daemon: &Daemon) -> u64 {
    daemon.metrics().sum(|shard| shard.drops(Ignored::SlowReader))
}

/// C13
#[test]
fn who_reads_nothing_is_closed_after_half_a_minute_and_others_are_served_meanwhile() {
    let daemon = start_secure("30800-30899", |_| {});
    let [tcp, tls] = [daemon.addresses().tcp[0], daemon.addresses().tls[0]];
    let mut other = Client::tcp(tcp);
    let clock = Clock::start();
    let begun = clock.now().moment;
    let stalled = [Client::tcp(tcp), Client::tls(tls)].map(|client| {
        let (client, peer, relayed) = with_peer(client);
        let before = dropped(&daemon);
        eventually("the outbox is full", || {
            (0..50).for_each(|_| assert_eq!(peer.send_to(&[7; 8000], relayed).unwrap(), 8000));
            dropped(&daemon) > before
        });
        (client, relayed)
    });
    let full = clock.now().moment.since(begun);

    let metrics = daemon.metrics();
    let closed = within(Duration::from_secs(32), "both are closed", || {
        other.mapped();
        metrics.sum(|shard| shard.streams.get()) == 1
    });

    assert!(closed + full >= Duration::from_secs(30), "{closed:?} after {full:?}");
    assert_eq!(metrics.sum(|shard| shard.allocations.get()), 0);
    for (client, relayed) in stalled {
        eventually("the port is free", || UdpSocket::bind(relayed).is_ok());
        drop(client);
    }
    daemon.stop();
}

/// C13, R11
#[test]
fn what_reaches_a_client_that_reads_now_and_then_is_whole_and_in_order() {
    const STALLS: u32 = 10;
    const MESSAGES: u32 = 10_000;
    let daemon = start_secure("30900-30999", |_| {});
    let [tcp, tls] = [daemon.addresses().tcp[0], daemon.addresses().tls[0]];
    for client in [Client::tcp(tcp), Client::tls(tls)] {
        let (mut client, peer, relayed) = with_peer(client);
        let enough = AtomicBool::new(false);
        let (mut last, mut missed) = (None, 0);
        thread::scope(|scope| {
            let _done = Done(&enough);
            scope.spawn(|| {
                for number in (0_u32..).take_while(|_| !enough.load(Ordering::Relaxed)) {
                    peer.send_to(&numbered(number), relayed).unwrap();
                }
            });
            for _ in 0..STALLS {
                let before = dropped(&daemon);
                eventually("messages are dropped", || dropped(&daemon) > before);
                for _ in 0..MESSAGES {
                    let number = number_of(&client.receive());
                    let expected = last.map_or(0, |last| last + 1);
                    assert!(number >= expected, "{number} after {last:?}");
                    missed += number - expected;
                    last = Some(number);
                }
            }
        });
        assert!(missed > 0, "nothing was ever dropped");
    }
    daemon.stop();
}

/// Says that it is enough, by the end of a test or by its failure.
struct Done<'a>(&'a AtomicBool);

impl Drop for Done<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// A payload that shows its number, and whether it is whole.
fn numbered(number: u32) -> Vec<u8> {
    let mut payload = number.to_be_bytes().to_vec();
    payload.resize(4 + number as usize % 997, (number % 251) as u8);
    payload
}

/// The number of a message with such a payload.
fn number_of(message: &[u8]) -> u32 {
    assert_eq!(message[..2], CHANNEL.to_be_bytes());
    let number = u32::from_be_bytes(message[4..8].try_into().unwrap());
    assert_eq!(message, crate::support::stream::padded_channel_data(CHANNEL, &numbered(number)));
    number
}
