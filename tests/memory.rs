//! What clients, and strangers, can make the daemon's memory grow by.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::io::Write as _;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpStream};
use std::sync::Mutex;
use std::time::Duration;

use hairpin::daemon::Daemon;
use hairpin::metrics::Direction;
use hairpin::outcome::{Ending, Ignored, Method, Refusal};
use hairpin::relay::datagrams::{Batch, DatagramSocket, Flushed, Outgoing, SLOTS};
use hairpin::sections::number::Bounded;
use hairpin::sections::relay::Switch;
use hairpin::sections::value::Auto;
use socket2::{Domain, Socket, Type};
use support::certificate::Folder;
use support::daemon::{Client, config_text, peer, start_on, start_secure};
use support::http::Http;
use support::process::{Process, resident};
use support::session::Turn;
use support::stream::{self, End, connect, eventually, rest, within};
use support::stun::{
    ALLOCATE, BINDING, Builder, Class, MESSAGE_INTEGRITY, NONCE, REALM, REQUESTED_TRANSPORT, USERNAME,
};

mod support;

/// The tests here measure the whole process, so only one may run.
static ALONE: Mutex<()> = Mutex::new(());

const KIB: f64 = 1024.0;

#[test]
fn an_idle_allocation_costs_less_than_four_kib() {
    const ALLOCATIONS: usize = 10_000;
    let _alone = ALONE.lock();
    rlimit::increase_nofile_limit(u64::MAX).unwrap();
    // A process of its own: the sockets of both sides are more than one may have open.
    let daemon = Process::start("memory.toml", &config_text("12000-27999", &["127.0.0.1:0"]));
    let mut clients = vec![allocated(daemon.udp[0])];

    let before = resident(daemon.id());
    clients.extend((0..ALLOCATIONS).map(|_| allocated(daemon.udp[0])));
    let each = (resident(daemon.id()) - before) / ALLOCATIONS as f64;

    println!("{ALLOCATIONS} idle allocations: {each:.0} bytes of RSS each");
    assert!(each <= 4.0 * KIB);
}

#[test]
fn a_million_spoofed_allocates_cost_less_than_one_mib_in_all() {
    const SPOOFED: u64 = 1_000_000;
    let _alone = ALONE.lock();
    let daemon = start_on("28000-28099", &["127.0.0.1:0"]);
    let server = daemon.addresses().udp[0];
    let socket = DatagramSocket::listen("0.0.0.0:0".parse().unwrap(), false).unwrap();
    let bare = Builder::new(Class::Request, ALLOCATE, [1; 12]).attr(REQUESTED_TRANSPORT, &[17, 0, 0, 0]);
    let forged = bare
        .clone()
        .attr(USERNAME, b"1800000000:mallory")
        .attr(REALM, b"hairpin.test")
        .attr(NONCE, &[b'x'; 32])
        .attr(MESSAGE_INTEGRITY, &[9; 20]);
    let mut batch = Batch::new(Switch::Auto);
    let mut flood = |from: u64, to: u64| {
        for first in (from..to).step_by(SLOTS) {
            for n in first..first + SLOTS as u64 {
                let request = if n % 2 == 0 { &bare } else { &forged };
                let message = batch.compose(&request.0);
                // A new address of 127.0.0.0/8 for every packet.
                let local = Some(IpAddr::V4(Ipv4Addr::from(0x7F00_0002 + n as u32 * 13 % 0x00FF_0000)));
                batch.send(
                    message.into(),
                    Outgoing { via: (), to: server, local, class: 0, dont_fragment: false },
                );
            }
            assert_eq!(batch.flush(|()| Some(&socket)), Flushed::default());
            while heard(&daemon) < first + SLOTS as u64 {
                std::thread::yield_now();
            }
        }
    };
    flood(0, 640);

    let before = resident(std::process::id());
    flood(640, 640 + SPOOFED);
    let grown = (resident(std::process::id()) - before) / KIB;

    println!("{SPOOFED} spoofed Allocates: RSS grew by {grown:.0} KiB in all");
    assert!(grown <= 1024.0);
    assert_eq!(daemon.metrics().sum(|shard| shard.allocations.get()), 0);
    daemon.stop();
}

/// C13: a quarter of a MiB for each client, whatever is sent to it.
#[test]
fn clients_that_do_not_read_cost_less_than_256_kib_each() {
    const CLIENTS: usize = 8;
    const PUSHED: u64 = 128 << 20;
    const DATAGRAM: usize = 8000;
    const BATCH: usize = 8;
    let _alone = ALONE.lock();
    let daemon = start_secure("28100-28199", |config| config.relay.threads = Auto(Bounded::new(1)));
    let [tcp, tls] = [daemon.addresses().tcp[0], daemon.addresses().tls[0]];
    let peer = peer([127, 0, 0, 1].into());
    let push = |relayed, bytes: u64| {
        let packets = || daemon.metrics().sum(|shard| shard.packets(Direction::Down));
        // A few at a time, for which the kernel has room however slow the relay is.
        for _ in 0..bytes / (BATCH * DATAGRAM) as u64 {
            let end = packets() + BATCH as u64;
            for _ in 0..BATCH {
                assert_eq!(peer.send_to(&[7; DATAGRAM], relayed).unwrap(), DATAGRAM);
            }
            eventually("all are relayed", || packets() >= end);
        }
    };
    let dropped = || daemon.metrics().sum(|shard| shard.drops(Ignored::SlowReader));
    // The relay's own buffers are used once, and then are in memory.
    let mut other = Client::of(&daemon, "127.0.0.1");
    let relayed = other.allocate();
    other.permit(peer.local_addr().unwrap());
    push(relayed, PUSHED / 8);

    let mut held = Vec::new();
    for (name, connect, server) in
        [("TCP", stream::Client::tcp as fn(_) -> _, tcp), ("TLS", stream::Client::tls, tls)]
    {
        let mut clients = [(); CLIENTS].map(|()| connect(server));
        let relayed = clients.each_mut().map(|client| {
            let relayed = client.allocate();
            client.bind(0x4000, peer.local_addr().unwrap());
            relayed
        });
        let already = dropped();

        let before = resident(std::process::id());
        relayed.into_iter().for_each(|relayed| push(relayed, PUSHED / CLIENTS as u64));
        let each = (resident(std::process::id()) - before) / KIB / CLIENTS as f64;

        println!("{name} clients that do not read what they are sent: {each:.0} KiB of RSS each");
        assert!(each <= 256.0);
        assert!(dropped() - already > PUSHED / DATAGRAM as u64 * 9 / 10);
        held.extend(clients);
    }
    daemon.stop();
}

/// Nobody needs a credential for this, so it must cost less than what a client with an allocation may.
#[test]
fn strangers_that_ask_and_do_not_read_cost_less_than_96_kib_each() {
    const STRANGERS: usize = 32;
    let _alone = ALONE.lock();
    let daemon = start_secure("28300-28399", |config| config.relay.threads = Auto(Bounded::new(1)));
    let server = daemon.addresses().tcp[0];
    let questions = Builder::new(Class::Request, BINDING, [7; 12]).0.repeat(16 << 10);
    let ask = || {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        // The kernel takes little for them, so that the daemon has to.
        socket.set_recv_buffer_size(4 << 10).unwrap();
        socket.connect(&server.into()).unwrap();
        let mut socket = TcpStream::from(socket);
        socket.write_all(&questions).unwrap();
        socket
    };
    let dropped = || daemon.metrics().sum(|shard| shard.drops(Ignored::SlowReader));
    drop(ask());
    eventually("the first is gone", || daemon.metrics().sum(|shard| shard.streams.get()) == 0);
    let already = dropped();
    let asked = || daemon.metrics().sum(|shard| shard.successes(Method::Binding));
    let all = asked() + (STRANGERS * (16 << 10)) as u64;

    let before = resident(std::process::id());
    let strangers = [(); STRANGERS].map(|()| ask());
    within(Duration::from_secs(60), "all is asked", || asked() >= all);
    let each = (resident(std::process::id()) - before) / KIB / STRANGERS as f64;

    println!("strangers that ask and do not read: {each:.0} KiB of RSS each");
    assert!(each <= 96.0);
    assert!(dropped() > already);
    drop(strangers);
    daemon.stop();
}

/// F8: what the daemon allows for a connection where it decides from the machine's memory how many there may be.
#[test]
fn http_2_clients_that_take_no_answer_cost_less_than_is_allowed_for_each() {
    const CLIENTS: usize = 100;
    const ALLOWED: f64 = 270.0;
    let _alone = ALONE.lock();
    let text = config_text("28400-28499", &["127.0.0.1:0"]);
    let folder = Folder::new("28400");
    folder.pair("turn", "turn.example");
    let daemon = Process::start("zero_window.toml", &folder.configure_text(&text, "turn"));
    // 32 requests, and an initial window of nothing (RFC 9113 §6.5.2).
    let mut said = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\x06\x04\0\0\0\0\0\0\x04\0\0\0\0".to_vec();
    for stream in (1..=63).step_by(2) {
        said.extend([0, 0, 9, 1, 5, 0, 0, 0, stream]);
        said.extend(b"\x82\x87\x84\x41\x04a.bc");
    }
    let ask = || {
        let mut http = Http::secure(daemon.tls[0], &["h2"]);
        http.send(&said);
        // Its settings have come, and so has the header of each answer.
        http.bytes(500).unwrap();
        http
    };
    drop([(); 8].map(|()| ask()));

    let before = resident(daemon.id());
    let clients: Vec<_> = (0..CLIENTS).map(|_| ask()).collect();
    let each = (resident(daemon.id()) - before) / KIB / CLIENTS as f64;

    println!("HTTP/2 clients that take no answer: {each:.0} KiB of RSS each");
    assert!(each <= ALLOWED);
    drop(clients);
}

/// F24
#[test]
fn what_a_crowd_took_is_given_back_when_it_has_left() {
    const CROWD: usize = 400;
    let _alone = ALONE.lock();
    let limits = "[limits]\nconnections = 2000\nconnections_per_ip = 1000\n";
    let text = config_text("28500-28599", &["127.0.0.1:0"]).replace("[limits]\n", limits);
    let folder = Folder::new("28500");
    folder.pair("turn", "turn.example");
    let daemon = Process::start("crowd.toml", &folder.configure_text(&text, "turn"));
    let unfinished = [&[0, 1, 0xFF, 0, 0x21, 0x12, 0xA4, 0x42][..], &[7; 60 << 10]].concat();
    let round = || {
        let before = resident(daemon.id());
        let crowd: Vec<_> = (0..CROWD)
            .map(|_| {
                let mut client = stream::Client::tls(daemon.tls[0]);
                client.mapped();
                client.send(&unfinished);
                client
            })
            .collect();
        within(Duration::from_secs(5), "all is there", || {
            resident(daemon.id()) - before > (CROWD * (40 << 10)) as f64
        });
        drop(crowd);
        before
    };
    let before = round();
    let most = before + 6.0 * KIB * KIB;
    let took = within(Duration::from_secs(15), "it is given back", || resident(daemon.id()) < most);
    round();
    within(Duration::from_secs(15), "it is given back again", || resident(daemon.id()) < most);
    let [before, after] = [before, resident(daemon.id())].map(|bytes| bytes / KIB);
    println!(
        "{CROWD} TLS clients: {before:.0} KiB before, {after:.0} KiB after two rounds, the first in {took:?}"
    );
}

/// C12
#[test]
fn two_hundred_mib_of_garbage_cost_nothing() {
    const CONNECTIONS: u64 = 100;
    let _alone = ALONE.lock();
    let daemon = start_secure("28200-28299", |_| {});
    let garbage: Vec<u8> =
        (0..1_u32 << 20).map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8 | 0x80).collect();
    let mut bystander = stream::Client::tcp(daemon.addresses().tcp[0]);
    let mut throw = |connections: u64| {
        for _ in 0..connections {
            for server in [daemon.addresses().tcp[0], daemon.addresses().tls[0]] {
                let mut socket = connect(server);
                // It may be closed before all of it is sent.
                drop(socket.write_all(&garbage));
                assert_eq!(rest(&socket).1, End::Closed);
            }
            assert_eq!(bystander.mapped(), bystander.connection.socket.local_addr().unwrap());
        }
    };
    throw(10);

    let before = resident(std::process::id());
    throw(CONNECTIONS);
    let grown = (resident(std::process::id()) - before) / KIB;

    println!("{} MiB of garbage: RSS grew by {grown:.0} KiB in all", 2 * CONNECTIONS);
    assert!(grown <= 256.0);
    let ended = |ending| daemon.metrics().sum(|shard| shard.endings(ending));
    eventually("all are counted", || {
        (ended(Ending::BadMessage), ended(Ending::BadHandshake)) == (CONNECTIONS + 10, CONNECTIONS + 10)
    });
    daemon.stop();
}

/// How many spoofed requests the daemon has dealt with.
fn heard(daemon: &Daemon) -> u64 {
    daemon.metrics().sum(|shard| {
        let refused = |refusal| shard.refusals(Method::Allocate, refusal);
        refused(Refusal::Challenge)
            + refused(Refusal::WrongRealm)
            + refused(Refusal::WrongPassword)
            + refused(Refusal::UnknownUser)
            + shard.drops(Ignored::GuessBudget)
    })
}

/// A client that has allocated, on an address whose ports are no relay ports.
fn allocated(server: SocketAddr) -> Client {
    let mut client = Client::to(server, [127, 0, 0, 2].into());
    client.allocate();
    client
}
