//! The next daemon takes over the listen addresses of one that drains, and no packet is lost.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use crate::support::daemon::{Client, config_text, peer};
use crate::support::process::{Process, file};
use crate::support::session::Turn;
use crate::support::stream::{Client as Stream, eventually, padded_channel_data};
use crate::support::stun::{LIFETIME, REFRESH, channel_data};

const CHANNEL: u16 = 0x4000;
const CALLS: usize = 24;
const PACKETS_MIN: u64 = 10;

/// The configuration of a daemon that listens here, and may take these addresses over.
fn config(ports: &str, udp: SocketAddr, tcp: SocketAddr) -> String {
    config_text(ports, &[&udp.to_string()])
        .replace("tcp = [\"127.0.0.1:0\", \"[::1]:0\"]", &format!("tcp = [\"{tcp}\"]\ntakeover = true"))
        .replace("threads = 2", "threads = 2\ndrain_timeout = \"1h\"")
}

fn daemon(name: &str, ports: &str, udp: SocketAddr, tcp: SocketAddr) -> Process {
    Process::start(name, &config(ports, udp, tcp))
}

/// A peer that sends everything back, until the test ends.
fn echo(ip: IpAddr) -> SocketAddr {
    let peer = peer(ip);
    let address = peer.local_addr().unwrap();
    peer.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    thread::spawn(move || {
        let mut buffer = [0; 2048];
        while let Ok((length, from)) = peer.recv_from(&mut buffer) {
            peer.send_to(&buffer[..length], from).unwrap();
        }
    });
    address
}

/// A client that always has one packet on its way to the peer and back. It panics if one is lost. Returns the client when
/// `over` is set, and at least [`PACKETS_MIN`] packets made it.
fn call(mut client: Client, peer: SocketAddr, over: &Arc<AtomicBool>) -> JoinHandle<Client> {
    client.allocate();
    client.bind(CHANNEL, peer);
    let over = Arc::clone(over);
    thread::spawn(move || {
        for number in 0_u64.. {
            if over.load(Ordering::Relaxed) && number > PACKETS_MIN {
                return client;
            }
            let packet = channel_data(CHANNEL, &number.to_be_bytes());
            client.send(&packet);
            assert_eq!(client.receive(), packet, "packet {number} of {:?}", client.socket);
        }
        unreachable!("a call is over before it has sent 2^64 packets")
    })
}

fn hang_up(client: &mut Client) {
    let request = client.request(REFRESH).attr(LIFETIME, &[0; 4]);
    assert_eq!(client.ask(request).code(), None);
}

/// Whether a daemon has a socket for this client alone. The kernel's list may miss one while
/// others open and close their sockets, so it is asked again.
fn is_kept(client: &Client) -> bool {
    let to = format!(":{:04X}", client.socket.local_addr().unwrap().port());
    let table = if client.server.is_ipv4() { "/proc/net/udp" } else { "/proc/net/udp6" };
    let table = std::fs::read_to_string(table).unwrap();
    // The third field is the address that a socket is connected to.
    table.lines().any(|line| line.split_whitespace().nth(2).is_some_and(|remote| remote.ends_with(&to)))
}

/// Both daemons relay from the same ports, and both have two threads.
fn takes_over(name: &str, ports: &str, bind: &str, ip: &str) {
    let any = SocketAddr::new(bind.parse().unwrap(), 0);
    let mut old = daemon(&format!("{name}-old.toml"), ports, any, any);
    let (udp, tcp) = (old.udp[0], old.tcp[0]);
    let ip: IpAddr = ip.parse().unwrap();
    let at = |address: SocketAddr| SocketAddr::new(ip, address.port());
    let to = echo(ip);
    let over = Arc::new(AtomicBool::new(false));
    let calls: Vec<_> = (0..CALLS).map(|_| call(Client::to(at(udp), ip), to, &over)).collect();
    let mut connected = Stream::tcp(at(tcp));
    connected.allocate();
    connected.bind(CHANNEL, echo([127, 0, 0, 1].into()));

    old.signal("TERM");
    let kept = old.line("another daemon may take over the listen addresses");
    assert!(kept.contains(&format!("clients={CALLS}")), "{kept}");
    let refused = Client::to(at(udp), ip).try_allocate(|request| request).code();
    assert_eq!(refused, Some(508), "the draining daemon answers as long as it is alone");
    let new = daemon(&format!("{name}-new.toml"), ports, udp, tcp);
    old.line("another daemon has taken over the listen addresses");

    // Enough that each of several sockets would get some.
    for _ in 0..20 {
        Client::to(at(udp), ip).allocate();
        Stream::tcp(at(tcp)).allocate();
    }
    connected.send(&padded_channel_data(CHANNEL, b"still here"));
    assert_eq!(connected.receive(), padded_channel_data(CHANNEL, b"still here"));
    over.store(true, Ordering::Relaxed);
    let mut clients: Vec<Client> = Vec::new();
    for call in calls {
        clients.push(call.join().expect("no packet is lost"));
    }
    // A client that has given up its allocation, and wants another, is new. What it sends before its old socket is closed is
    // lost; other clients than those of the tests would send it again.
    assert!(is_kept(&clients[0]));
    hang_up(&mut clients[0]);
    eventually("the old daemon lets go of the client", || !is_kept(&clients[0]));
    clients[0].allocate();
    clients[1..].iter_mut().for_each(hang_up);
    assert_eq!(connected.refresh(0).code(), None);
    assert!(old.end(Duration::from_secs(5)).is_some_and(|status| status.success()));
    let refresh = clients[0].request(REFRESH);
    assert_eq!(clients[0].ask(refresh).code(), None, "the new daemon has it");
    drop(new);
}

#[test]
fn no_packet_is_lost_where_both_listen_on_all_addresses() {
    takes_over("take-all", "24000-24099", "0.0.0.0", "127.0.0.1");
}

#[test]
fn no_packet_is_lost_where_both_listen_on_one_address() {
    takes_over("take-one", "24100-24199", "127.0.0.1", "127.0.0.1");
}

#[test]
fn no_packet_is_lost_over_ipv6() {
    takes_over("take-six-all", "24200-24299", "::", "::1");
    takes_over("take-six-one", "24200-24299", "::1", "::1");
}

#[test]
fn a_client_whose_allocation_is_ended_for_it_belongs_to_the_next_daemon() {
    let any = "127.0.0.1:0".parse().unwrap();
    let text = config("24320-24339", any, any);
    let old = Process::start("silent-old.toml", &text);
    let [mut silent, mut other] =
        ["127.0.9.7", "127.0.8.7"].map(|ip| Client::to(old.udp[0], ip.parse().unwrap()));
    silent.allocate();
    other.allocate();
    old.signal("TERM");
    old.line("another daemon may take over the listen addresses");
    eventually("the old daemon keeps both clients", || is_kept(&silent) && is_kept(&other));

    file("silent-old.toml", &(text + "[clients]\ndeny = [\"127.0.9.0/24\"]\n"));
    old.hang_up();

    eventually("the old daemon lets go of the client, and keeps the other", || {
        !is_kept(&silent) && is_kept(&other)
    });
}

#[test]
fn a_daemon_that_serves_is_not_taken_over() {
    let any = "127.0.0.1:0".parse().unwrap();
    let old = daemon("serving-old.toml", "24300-24309", any, any);
    let config =
        config_text("24310-24319", &[&old.udp[0].to_string()]).replace("udp =", "takeover = true\nudp =");
    let config = file("serving-new.toml", &config);
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_hairpin"));
    let output = command.args(["--config", &config]).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && said.contains("another program uses it"), "{said}");
    Client::to(old.udp[0], [127, 0, 0, 1].into()).allocate();
}
