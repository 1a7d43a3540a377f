//! Connections are bounded, and whoever is already there is served whatever the crowd at the door does.

use std::collections::VecDeque;
use std::io::ErrorKind;
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::thread;
use std::time::Duration;

use hairpin::daemon::Daemon;
use hairpin::outcome::Ending;
use hairpin::sections::number::Count;
use hairpin::sections::value::Auto;

use crate::support::daemon::{Client as UdpClient, config_text, peer, receive, start_with};
use crate::support::process::Process;
use crate::support::session::Turn;
use crate::support::stream::{
    Client, Connection, End, connect, connect_from, eventually, padded_channel_data, within,
};
use crate::support::stun::{BINDING, LIFETIME, REFRESH};

const CHANNEL: u16 = 0x4000;

/// C11
#[test]
fn two_thousand_idle_connections_fill_the_daemon_disturb_nobody_and_keep_nobody_out() {
    const ALL: usize = 2000;
    let daemon = start_with("31940-31959", |config| config.limits.connections = Auto(Count::new(ALL as u32)));
    let server = daemon.addresses().tcp[0];
    // A hundred of each address, and four hundred of each network.
    let from = |n: usize| IpAddr::from([127, 0, 10 + (n / 400) as u8, (n % 400 / 100) as u8 + 1]);
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

    let mut idle = VecDeque::new();
    for n in 0..ALL - 1 {
        let mut client = Client::tcp_from(from(n), server);
        // Who has said something may be idle for two minutes.
        client.mapped();
        idle.push_back(client);
        if n % 100 == 0 {
            relays();
        }
    }
    // Whoever comes now is served, and the one that has idled for longest makes way; never the one that relays.
    for n in 0..100 {
        let mut newcomer = Client::tcp_from(from(ALL + n), server);
        assert_eq!(newcomer.mapped().ip(), from(ALL + n));
        assert_eq!(idle.pop_front().unwrap().end(), End::Closed);
        idle.push_back(newcomer);
    }
    eventually("they are counted", || ended(&daemon, Ending::MadeWay) == 100);
    relays();

    drop(idle);
    eventually("all have left", || daemon.metrics().sum(|shard| shard.streams.get()) == 1);
    Client::tcp_from(from(ALL), server).mapped();
    relays();
    assert_eq!(ended(&daemon, Ending::Crowded), 0);
    daemon.stop();
}

/// C11, F6: those who share an address with a crowd are served, and those who are served stay.
#[test]
fn an_address_has_its_share_of_which_its_own_strangers_make_way() {
    const SHARE: usize = 32;
    let daemon =
        start_with("31960-31969", |config| config.limits.connections_per_ip = Auto(Count::new(SHARE as u32)));
    let server = daemon.addresses().tcp[0];
    let elsewhere = [127, 0, 3, 3].into();
    let mut other = Client::tcp_from(elsewhere, server);
    other.mapped();
    let mut served = [Client::tcp(server), Client::tcp(server)];
    let relayed = served.each_mut().map(Client::allocate);
    let mut crowd: VecDeque<Client> = VecDeque::new();
    for n in 2..5 * SHARE {
        let mut client = Client::tcp(server);
        assert_eq!(client.mapped().ip(), server.ip());
        crowd.push_back(client);
        if n >= SHARE {
            assert_eq!(crowd.pop_front().unwrap().end(), End::Closed);
        }
    }
    let mut neighbour = Client::tcp(server);
    neighbour.allocate();
    let peer = peer([127, 0, 0, 1].into());
    for (client, relayed) in served.iter_mut().zip(relayed) {
        client.permit(peer.local_addr().unwrap());
        client.indicate(peer.local_addr().unwrap(), b"still there");
        assert_eq!(receive(&peer), (b"still there".to_vec(), relayed));
    }
    other.mapped();
    assert_eq!(ended(&daemon, Ending::Crowded), 0);
    daemon.stop();
}

/// Where nobody is a stranger, nobody makes way.
#[test]
fn when_all_of_an_address_have_allocations_the_next_is_closed_at_once() {
    let daemon = start_with("31920-31939", |config| config.limits.connections_per_ip = Auto(Count::new(4)));
    let server = daemon.addresses().tcp[0];
    let mut held: Vec<Client> = (0..4).map(|_| Client::tcp(server)).collect();
    held.iter_mut().for_each(|client| assert_eq!(client.allocate().ip(), server.ip()));

    assert_eq!(Client::tcp(server).end(), End::Closed);
    eventually("it is counted", || ended(&daemon, Ending::Crowded) == 1);

    Client::tcp_from([127, 0, 3, 3].into(), server).mapped();
    // Whoever gives its allocation back is a stranger again.
    assert_eq!(held[2].refresh(0).code(), None);
    Client::tcp(server).mapped();
    assert_eq!(held[2].end(), End::Closed);
    assert_eq!(held[0].refresh(600).code(), None);
    daemon.stop();
}

/// F6: an IPv4 /24 or an IPv6 /48 is often one customer's.
#[test]
fn a_network_has_its_share_whatever_addresses_it_has() {
    let daemon = start_with("31890-31899", |config| {
        config.limits.connections = Auto(Count::new(40));
        config.limits.connections_per_ip = Auto(Count::new(2));
    });
    let server = daemon.addresses().tcp[0];
    let mut other = Client::tcp_from([127, 0, 8, 1].into(), server);
    other.mapped();
    let mut crowd: VecDeque<Client> = VecDeque::new();
    for n in 0..60 {
        let mut client = Client::tcp_from([127, 0, 7, n + 1].into(), server);
        client.mapped();
        crowd.push_back(client);
        if n >= 10 {
            assert_eq!(crowd.pop_front().unwrap().end(), End::Closed);
        }
    }
    assert_eq!(daemon.metrics().sum(|shard| shard.streams.get()), 11, "a quarter of 40, and the other");
    let mut neighbour = Client::tcp_from([127, 0, 7, 200].into(), server);
    neighbour.allocate();
    other.mapped();
    daemon.stop();
}

/// What is limited is said, with the key to raise, and once.
#[test]
fn the_log_says_whose_connections_are_all_taken_and_what_to_raise() {
    let limits = "[limits]\nconnections_per_ip = 2\n";
    let config = config_text("31880-31889", &["127.0.0.1:0"]).replace("[limits]\n", limits);
    let daemon = Process::start("crowded.toml", &config);
    let mut held: Vec<_> = (0..50).map(|_| Client::tcp(daemon.tcp[0])).collect();
    held.last_mut().unwrap().mapped();
    let said = daemon.line("an address has as many connections as allowed");
    assert!(said.contains("INFO") && said.contains("raise limits.connections_per_ip"), "{said}");
    assert!(!said.contains("127.0.0.1"), "{said}");
    let more = daemon.log.try_iter().filter(|line| line.contains("has as many connections as allowed"));
    assert_eq!(more.count(), 0);
}

fn ended(daemon: &Daemon, ending: Ending) -> u64 {
    daemon.metrics().sum(|shard| shard.endings(ending))
}

/// F13
#[test]
fn where_files_are_few_a_crowd_leaves_those_that_relays_need() {
    const FILES: usize = 300;
    /// One address has a quarter of the connections that so few files leave, which are 180.
    const SHARE: usize = 45;
    let daemon = Process::start_with_files(
        "few_files.toml",
        &config_text("31900-31919", &["127.0.0.1:0"]),
        FILES as u32,
    );
    let mut crowd: Vec<_> = (0..2 * FILES).map(|_| connect(daemon.tcp[0])).collect();
    // Whoever comes faster than others can leave is refused, and so would a newcomer be until these have left.
    eventually("of the crowd its share stays", || {
        crowd.retain(is_open);
        crowd.len() <= SHARE
    });
    crowd.extend((0..20).map(|n| connect_from([127, 0, n, 2].into(), daemon.tcp[0])));
    for _ in 0..10 {
        assert_eq!(allocate(daemon.udp[0]), None);
    }
    for newcomer in [[127, 0, 0, 1].into(), [127, 0, 9, 9].into()] {
        assert_eq!(Client::tcp_from(newcomer, daemon.tcp[0]).mapped().ip(), newcomer);
    }
}

/// C11, R13: allocations may have every file that there is.
#[test]
fn without_open_files_the_daemon_waits_and_serves_whom_it_has() {
    const FILES: usize = 256;
    let daemon = Process::start_with_files(
        "starving.toml",
        &config_text("34000-34499", &["127.0.0.1:0"]),
        FILES as u32,
    );
    let mut udp = UdpClient::to(daemon.udp[0], [127, 0, 0, 1].into());
    let mut binding = || {
        let request = udp.request(BINDING);
        udp.exchange(&request.0).code()
    };
    let mut early = Client::tcp(daemon.tcp[0]);
    early.allocate();
    let mut allocated = Vec::new();
    loop {
        let mut client = UdpClient::to(daemon.udp[0], [127, 0, 0, 2].into());
        if client.try_allocate(|request| request).code() == Some(508) {
            break;
        }
        allocated.push(client);
        assert!(allocated.len() < FILES);
    }

    let waiting = connect(daemon.tcp[0]);
    daemon.line("cannot accept connections: raise LimitNOFILE");

    let before = cpu_ticks(daemon.id());
    assert_eq!(binding(), None);
    // What is measured is what happens while nothing happens.
    thread::sleep(Duration::from_secs(1));
    let ticks = cpu_ticks(daemon.id()) - before;
    assert!(ticks <= 5, "5 % of a second: {ticks} ticks of 10 ms");
    assert_eq!(binding(), None);
    assert_eq!(early.refresh(600).code(), None);

    for mut client in allocated {
        let release = client.request(REFRESH).attr(LIFETIME, &[0; 4]);
        assert_eq!(client.ask(release).code(), None);
    }
    let mut waiting = Client::over(Connection { socket: waiting, tls: None });
    within(Duration::from_secs(1), "who has waited is served", || {
        waiting.mapped().ip() == daemon.tcp[0].ip()
    });
    assert_eq!(allocate(daemon.udp[0]), None);
}

/// Whether the daemon has not ended a connection on which nothing is said.
fn is_open(socket: &TcpStream) -> bool {
    socket.set_nonblocking(true).unwrap();
    let error = socket.peek(&mut [0]).err().map(|error| error.kind());
    error == Some(ErrorKind::WouldBlock)
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
