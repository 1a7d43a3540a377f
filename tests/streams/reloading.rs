//! A reload under load: 200 calls over UDP, TCP and TLS lose nothing, whatever is changed.

use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use hairpin::api_key::{KeyHash, KeyId};
use hairpin::config::Config;
use hairpin::daemon::Daemon;
use hairpin::origin::{OriginPattern, PublicUrl};
use hairpin::room_token::Create;
use hairpin::secret::Secret;
use hairpin::sections::http::ApiKey;
use hairpin::sections::log::LogFormat;
use hairpin::sections::number::Count;
use hairpin::sections::value::{Auto, Off};

use crate::support::certificate::Folder;
use crate::support::daemon::{self, config, peer, receive};
use crate::support::session::Turn as _;
use crate::support::stream::{Client, eventually};
use crate::support::stun::channel_data;

const CALLS: usize = 200;
const THREADS: usize = 4;
const CHANNEL: u16 = 0x4000;

/// A client that has an allocation and a channel to the peer that sends everything back.
enum Call {
    Udp(daemon::Client),
    Stream(Client),
}

impl Call {
    fn begin(daemon: &Daemon, number: usize, echo: SocketAddr) -> Self {
        let addresses = daemon.addresses();
        match number % 3 {
            0 => {
                let mut client = daemon::Client::of(daemon, "127.0.0.1");
                client.allocate();
                client.bind(CHANNEL, echo);
                Self::Udp(client)
            }
            way => {
                let tls = way == 2;
                let mut client =
                    if tls { Client::tls(addresses.tls[0]) } else { Client::tcp(addresses.tcp[0]) };
                client.allocate();
                client.bind(CHANNEL, echo);
                Self::Stream(client)
            }
        }
    }

    /// Sends a packet to the peer, and waits until it has come back.
    fn exchange(&mut self, number: u64) {
        let message = channel_data(CHANNEL, &number.to_be_bytes());
        let back = match self {
            Self::Udp(client) => {
                client.send(&message);
                client.receive()
            }
            Self::Stream(client) => {
                client.send(&message);
                client.receive()
            }
        };
        assert_eq!(back, message);
    }
}

type Change = (&'static str, Box<dyn Fn(&mut Config)>);

/// A change of each kind, by the first key that it changes.
fn changes(folder: Folder, free: SocketAddr, free_udp: SocketAddr) -> Vec<Change> {
    let change = |key, change: fn(&mut Config)| -> Change { (key, Box::new(change)) };
    vec![
        change("credentials.secrets", |config| {
            config.credentials.secrets = vec![Secret::new("e47ab2905d13c86ff8026e91b7d5430c")];
        }),
        change("credentials.users", |config| {
            config.credentials.users.insert("bob".to_owned(), Secret::new("another password of the tests"));
        }),
        change("http.keys", |config| {
            config.http.keys = vec![ApiKey::new(KeyId::parse("shop").unwrap(), KeyHash::of("a key"))];
        }),
        change("http.allowed_origins", |config| {
            config.http.allowed_origins = vec![OriginPattern::parse("https://friend.example").unwrap()];
        }),
        change("peers.allow", |config| config.peers.allow = vec![]),
        change("peers.deny", |config| config.peers.deny = vec!["192.0.2.0/24".parse().unwrap()]),
        change("limits.allocations_per_user", |config| config.limits.allocations_per_user = Count::of::<1>()),
        change("limits.allocations", |config| config.limits.allocations = Auto(Count::new(1))),
        change("limits.connections", |config| config.limits.connections = Auto(Count::new(1))),
        change("limits.bits_per_second_total", |config| {
            config.limits.bits_per_second_total = Off(Some(10_000_000_000.try_into().unwrap()));
        }),
        change("limits.channels", |config| {
            (config.limits.channels, config.limits.permissions) = (Count::of::<1>(), Count::of::<1>());
        }),
        change("rooms.create", |config| config.rooms.create = Create::Token),
        change("log.format", |config| config.log.format = LogFormat::Json),
        change("tls.coalesce", |config| config.tls.coalesce = true),
        (
            "tls.certificate",
            Box::new(move |config: &mut Config| {
                let listen = config.listen.tls.clone();
                folder.pair("second", "turn.example");
                folder.configure(config, &["second"]);
                config.listen.tls = listen;
            }),
        ),
        change("listen.proxies", |config| config.listen.proxies = vec!["192.0.2.7/32".parse().unwrap()]),
        change("http.public_url", |config| {
            config.http.public_url = Some(PublicUrl::parse("https://call.example").unwrap());
        }),
        change("http.ice_host", |config| {
            config.http.ice_host = Some(hairpin::origin::host::HostName::parse("turn.example").unwrap());
        }),
        ("http.listen", Box::new(move |config: &mut Config| config.http.listen = vec![free])),
        change("listen.tcp", |config| config.listen.tcp.clear()),
        ("listen.udp", Box::new(move |config: &mut Config| config.listen.udp = vec![free_udp])),
    ]
}

/// Sends back what comes, until it is told to stop by a datagram from itself.
fn echo() -> (SocketAddr, std::thread::JoinHandle<()>) {
    let socket = peer([127, 0, 0, 1].into());
    let address = socket.local_addr().unwrap();
    let thread = std::thread::spawn(move || {
        loop {
            let (datagram, from) = receive(&socket);
            if datagram.is_empty() {
                return;
            }
            socket.send_to(&datagram, from).unwrap();
        }
    });
    (address, thread)
}

#[test]
fn no_packet_of_two_hundred_calls_is_lost_whatever_is_changed() {
    let folder = Folder::new("24000");
    folder.pair("turn", "turn.example");
    let mut config = config("24000-24399", &["127.0.0.1:0"]);
    folder.configure(&mut config, &["turn"]);
    let daemon = Daemon::start(&config, hairpin::clock::Clock::start()).unwrap();
    let (peer, thread) = echo();
    let mut calls: Vec<Call> = (0..CALLS).map(|number| Call::begin(&daemon, number, peer)).collect();
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let free_udp = UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let (over, rounds) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let mut clients = Vec::new();
    for _ in 0..THREADS {
        let mut calls = calls.split_off(calls.len() - CALLS / THREADS);
        let (over, rounds) = (Arc::clone(&over), Arc::clone(&rounds));
        clients.push(std::thread::spawn(move || {
            let mut number = 0;
            while !over.load(Ordering::Relaxed) {
                number += 1;
                calls.iter_mut().for_each(|call| call.exchange(number));
                rounds.fetch_add(1, Ordering::Relaxed);
            }
            (calls, number)
        }));
    }

    for (key, change) in changes(folder, free, free_udp) {
        let before = rounds.load(Ordering::Relaxed);
        change(&mut config);
        let report = daemon.reload(&config).unwrap();
        assert!(
            key == "peers.allow" || report.changed.iter().any(|changed| changed == key),
            "{key}: {report:?}"
        );
        assert!(report.needs_restart.is_empty(), "{report:?}");
        let enough = before + 2 * THREADS as u64;
        eventually("every call goes on", || rounds.load(Ordering::Relaxed) >= enough);
    }

    over.store(true, Ordering::Relaxed);
    // Kept: with its connection, an allocation over TCP ends.
    let calls: Vec<(Vec<Call>, u64)> = clients.into_iter().map(|client| client.join().unwrap()).collect();
    assert!(calls.iter().all(|(_, exchanged)| *exchanged > 20));
    let observed = daemon.snapshot();
    assert_eq!(observed.relay.allocations.iter().sum::<u64>(), 200);
    assert_eq!(observed.reloads.good, 21);
    UdpSocket::bind("127.0.0.1:0").unwrap().send_to(&[], peer).unwrap();
    thread.join().unwrap();
    daemon.stop();
}
