//! What clients, and strangers, can make the daemon's memory grow by.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;

use hairpin::daemon::Daemon;
use hairpin::outcome::{Ignored, Method, Refusal};
use hairpin::relay::datagrams::{Batch, DatagramSocket, Outgoing, SLOTS};
use support::daemon::{Client, config_text, start_on};
use support::stun::{
    ALLOCATE, Builder, Class, MESSAGE_INTEGRITY, NONCE, REALM, REQUESTED_TRANSPORT, USERNAME,
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
    let daemon = Process::start("12000-27999");
    let mut clients = vec![daemon.client()];

    let before = resident(daemon.child.id());
    clients.extend((0..ALLOCATIONS).map(|_| daemon.client()));
    let each = (resident(daemon.child.id()) - before) / ALLOCATIONS as f64;

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
    let mut batch = Batch::new();
    let mut flood = |from: u64, to: u64| {
        for first in (from..to).step_by(SLOTS) {
            for n in first..first + SLOTS as u64 {
                let request = if n % 2 == 0 { &bare } else { &forged };
                let (slot, range) = batch.compose(&request.0).unwrap();
                // A new address of 127.0.0.0/8 for every packet.
                let local = Some(IpAddr::V4(Ipv4Addr::from(0x7F00_0002 + n as u32 * 13 % 0x00FF_0000)));
                batch.send(
                    slot,
                    Outgoing { via: (), to: server, local, class: 0, dont_fragment: false, range },
                );
            }
            assert_eq!(batch.flush(|()| Some(&socket)), 0);
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

/// A daemon in a process of its own, which ends with the test.
struct Process {
    child: Child,
    server: SocketAddr,
}

impl Process {
    fn start(ports: &str) -> Self {
        let file = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join("memory.toml");
        fs::write(&file, config_text(ports, &["127.0.0.1:0"])).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_hairpin"));
        let mut child = command.arg("--config").arg(&file).stderr(Stdio::piped()).spawn().unwrap();
        let log = BufReader::new(child.stderr.take().unwrap()).lines();
        let ready = log
            .map(Result::unwrap)
            .find_map(|line| line.split_once("STUN and TURN on UDP ").map(|(_, rest)| rest.to_owned()));
        let address = ready.unwrap().split(',').next().unwrap().parse().unwrap();
        Self { child, server: address }
    }

    /// A client that has allocated, on an address whose ports are no relay ports.
    fn client(&self) -> Client {
        let mut client = Client::to(self.server, [127, 0, 0, 2].into());
        client.allocate();
        client
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

/// The resident memory of a process in bytes, exactly.
fn resident(process: u32) -> f64 {
    let rollup = fs::read_to_string(format!("/proc/{process}/smaps_rollup")).unwrap();
    let line = rollup.lines().find_map(|line| line.strip_prefix("Rss:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<f64>().unwrap() * KIB
}
