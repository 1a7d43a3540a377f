//! Connections are bounded, and whoever is already there is served whatever the crowd at the door does.

use std::net::{Ipv4Addr, SocketAddr};
use std::thread;
use std::time::Duration;

use hairpin::outcome::Ending;

use crate::support::daemon::{Client as UdpClient, config_text, peer, receive, start_with};
use crate::support::process::Process;
use crate::support::session::Turn;
use crate::support::stream::{Client, End, connect, eventually, padded_channel_data, within};
use crate::support::stun::BINDING;

const CHANNEL: u16 = 0x4000;

/// C11
#[test]
fn two_thousand_idle_connections_fill_the_daemon_and_disturb_nobody() {
    const ALL: usize = 2000;
    let daemon = start_with("31940-31959", |config| config.limits.connections = Some(ALL as u32));
    let server = daemon.addresses().tcp[0];
    let from = |n: usize| Ipv4Addr::from(0x7F00_0A00 + n as u32 / 100).into();
    let mut relaying = Client::tcp(server);
    let relayed = relaying.allocate();
    let peer = peer([127, 0, 0, 1].into());
    relaying.bind(CHANNEL, peer.local_addr().unwrap());
    let mut relays = || {
        relaying.send(&padded_channel_data(CHANNEL, b"up"));
        assert_eq!(receive(&peer).0, b"up");
        peer.send_to(b"down", relayed).unwrap();
        assert_eq!(relaying.receive(), padded_channel_data(CHANNEL, b"down"));
    };

    let mut idle = Vec::new();
    for n in 0..ALL - 1 {
        let mut client = Client::tcp_from(from(n), server);
        // Who has said something may be idle for two minutes.
        client.mapped();
        idle.push(client);
        if n % 100 == 0 {
            relays();
        }
    }
    daemon_refuses(&daemon, Client::tcp_from(from(ALL), server), 1);
    relays();

    drop(idle);
    eventually("all have left", || daemon.metrics().sum(|shard| shard.streams.get()) == 1);
    Client::tcp_from(from(ALL), server).mapped();
    relays();
    daemon.stop();
}

/// C11
#[test]
fn the_hundred_and_twenty_ninth_connection_of_an_address_is_closed_at_once() {
    let daemon = start_with("31960-31969", |_| {});
    let server = daemon.addresses().tcp[0];
    let mut held: Vec<Client> = (0..128).map(|_| Client::tcp(server)).collect();
    held.iter_mut().for_each(|client| assert_eq!(client.mapped().ip(), server.ip()));

    daemon_refuses(&daemon, Client::tcp(server), 1);

    Client::tcp_from([127, 0, 0, 3].into(), server).mapped();
    held.pop();
    eventually("one has left", || daemon.metrics().sum(|shard| shard.streams.get()) <= 127);
    Client::tcp(server).mapped();
    daemon.stop();
}

/// The connection is closed, and counted as the `nth` that is.
fn daemon_refuses(daemon: &hairpin::daemon::Daemon, mut client: Client, nth: u64) {
    assert_eq!(client.end(), End::Closed);
    let refused = || daemon.metrics().sum(|shard| shard.endings(Ending::Crowded));
    eventually("it is counted", || refused() == nth);
}

/// C11, R13
#[test]
fn without_open_files_the_daemon_waits_and_serves_whom_it_has() {
    const FILES: usize = 300;
    let limits = "[limits]\nconnections = 1000\nconnections_per_ip = 1000\n";
    let config = config_text("31970-31999", &["127.0.0.1:0"]).replace("[limits]\n", limits);
    let daemon = Process::start_with_files("starving.toml", &config, FILES as u32);
    let mut udp = UdpClient::to(daemon.udp[0], [127, 0, 0, 1].into());
    let mut binding = || {
        let request = udp.request(BINDING);
        udp.exchange(&request.0).code()
    };

    let crowd: Vec<_> = (0..FILES + 50).map(|_| connect(daemon.tcp[0])).collect();
    daemon.line("no connection can be accepted: raise LimitNOFILE");

    let before = cpu_ticks(daemon.id());
    assert_eq!(binding(), None);
    // What is measured is what happens while nothing happens.
    thread::sleep(Duration::from_secs(1));
    let ticks = cpu_ticks(daemon.id()) - before;
    assert!(ticks <= 5, "5 % of a second: {ticks} ticks of 10 ms");
    assert_eq!(binding(), None);
    assert_eq!(allocate(daemon.udp[0]), Some(508));

    drop(crowd);
    within(Duration::from_secs(1), "a new connection is served", || {
        Client::tcp(daemon.tcp[0]).mapped().ip() == daemon.tcp[0].ip()
    });
    assert_eq!(allocate(daemon.udp[0]), None);
}

/// Allocates over UDP; returns the error code, if it is refused.
fn allocate(server: SocketAddr) -> Option<u16> {
    UdpClient::to(server, [127, 0, 0, 1].into()).try_allocate(|request| request).code()
}

/// The CPU time that a process has used, in ticks of 10 ms (`proc_pid_stat(5)`, fields 14 and 15).
fn cpu_ticks(process: u32) -> u64 {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).unwrap();
    let (_, fields) = stat.rsplit_once(") ").unwrap();
    let fields: Vec<&str> = fields.split(' ').collect();
    fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap()
}
