//! Relay ports are used to the last one, every one comes back, and those of other programs are left alone.

use std::net::UdpSocket;
use std::time::Duration;

use hairpin::clock::Clock;
use hairpin::daemon::Daemon;
use hairpin::sections::number::Count;
use hairpin::sections::value::Auto;

use crate::support::daemon::{Client, start_with};
use crate::support::session::Turn;
use crate::support::stream::eventually;
use crate::support::stun::{LIFETIME, REFRESH};

const PORTS: usize = 100;
/// Ports of the range that another program uses: the first, the last, and one between.
const FOREIGN: [u16; 3] = [20_800, 20_850, 20_899];
/// How often a port is taken and given back.
const CYCLES: usize = 1_000;

/// A daemon with these relay ports, of which one for each allocation may be taken; usually it is 90 % of them.
fn start(ports: &str) -> Daemon {
    start_with(ports, |config| config.limits.allocations = Auto(Count::new(2 * PORTS as u32)))
}

fn give_back(client: &mut Client) {
    let request = client.request(REFRESH).attr(LIFETIME, &[0; 4]);
    assert_eq!(client.ask(request).code(), None);
}

/// R15
#[test]
fn ports_are_used_to_the_last_one_and_every_one_comes_back() {
    let others = FOREIGN.map(|port| UdpSocket::bind(("127.0.0.1", port)).unwrap());
    let daemon = start("20800-20899");
    let client = || Client::of(&daemon, "127.0.0.1");
    let mut late = client();
    let mut is_full = || late.try_allocate(|request| request).code() == Some(508);

    let mut clients: Vec<Client> = (0..PORTS - FOREIGN.len()).map(|_| client()).collect();
    for client in &mut clients {
        client.allocate();
    }
    assert!(is_full());
    drop(others);
    for _ in FOREIGN {
        let mut client = client();
        assert!(FOREIGN.contains(&client.allocate().port()));
        clients.push(client);
    }
    assert!(is_full());

    clients.iter_mut().for_each(give_back);
    for cycle in 0..CYCLES {
        let client = &mut clients[cycle % PORTS];
        client.allocate();
        give_back(client);
    }

    // A port is free a moment after the answer to who has given it back.
    for client in &mut clients {
        eventually("a port is free", || client.try_allocate(|request| request).code().is_none());
    }
    assert!(is_full());
    daemon.stop();
}

/// R15
#[test]
fn a_client_hears_at_once_that_every_port_is_taken() {
    let daemon = start("24400-24499");
    let mut clients: Vec<Client> = (0..PORTS).map(|_| Client::of(&daemon, "127.0.0.1")).collect();
    for client in &mut clients {
        client.allocate();
    }
    let clock = Clock::start();
    let mut late = Client::of(&daemon, "127.0.0.1");

    let waited = (0..20).map(|_| {
        let asked = clock.now().moment;
        assert_eq!(late.try_allocate(|request| request).code(), Some(508));
        clock.now().moment.since(asked)
    });

    // The fastest one, because this machine may have other work.
    let waited = waited.min().unwrap();
    assert!(waited <= Duration::from_millis(5), "{waited:?}");
    daemon.stop();
}
