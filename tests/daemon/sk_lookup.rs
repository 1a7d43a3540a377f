//! The kernel delivers what peers send to any relay port of a shard to one socket, if the process may have it so
//! (`relay.sk_lookup`). These tests need `CAP_BPF` and `CAP_NET_ADMIN`; without them they only say so.
//! With `HAIRPIN_RELAY__SK_LOOKUP=auto`, every other test of a daemon runs this way, too.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::process::{Command, Stdio};
use std::thread;

use hairpin::clock::Clock;
use hairpin::daemon::Daemon;
use hairpin::sections::relay::Switch;

use crate::support::daemon::{Call, Client, PATIENCE, config, config_text, peer, receive};
use crate::support::process::{Process, ended, file};
use crate::support::session::Turn;
use crate::support::stun::{
    ADDITIONAL_ADDRESS_FAMILY, DATA, ICMP, LIFETIME, Message, REFRESH, XOR_PEER_ADDRESS, channel_data,
};

/// Whether this process has both capabilities (capabilities(7): 12 and 39).
fn may() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("CapEff:")).unwrap();
    let effective = u64::from_str_radix(line.trim(), 16).unwrap();
    let may = effective & (1 << 12) != 0 && effective & (1 << 39) != 0;
    if !may {
        println!("not tested: it takes CAP_BPF and CAP_NET_ADMIN");
    }
    may
}

fn start(ports: &str) -> Daemon {
    let mut config = config(ports, &["127.0.0.1:0", "[::1]:0"]);
    config.relay.sk_lookup = Switch::On;
    Daemon::start(&config, Clock::start()).expect("the daemon starts")
}

#[test]
fn each_client_gets_what_came_for_its_own_port_over_either_family() {
    if !may() {
        return;
    }
    let daemon = start("27800-27859");
    for ip in ["127.0.0.1", "::1"] {
        let ip: IpAddr = ip.parse().unwrap();
        let everybody = peer(ip);
        let mut clients: Vec<(Client, SocketAddr)> = (0..20)
            .map(|_| {
                let mut client = Client::of(&daemon, &ip.to_string());
                let relayed = client.allocate();
                client.bind(0x4000, everybody.local_addr().unwrap());
                (client, relayed)
            })
            .collect();
        for round in 0..20_u8 {
            for (number, (_, relayed)) in (0..).zip(&clients) {
                everybody.send_to(&[number, round], *relayed).unwrap();
            }
            for (number, (client, _)) in (0..).zip(&clients) {
                assert_eq!(client.receive(), channel_data(0x4000, &[number, round]));
            }
        }
        // Their ports still send.
        for (client, relayed) in &clients {
            client.send(&channel_data(0x4000, b"up"));
            assert_eq!(receive(&everybody), (b"up".to_vec(), *relayed));
        }
        // What comes for a port that is closed again is nobody's.
        let (mut gone, relayed) = clients.swap_remove(0);
        let request = gone.request(REFRESH).attr(LIFETIME, &[0; 4]);
        assert_eq!(gone.ask(request).code(), None);
        everybody.send_to(b"late", relayed).unwrap();
        let (client, relayed) = &clients[0];
        everybody.send_to(b"in time", *relayed).unwrap();
        assert_eq!(client.receive(), channel_data(0x4000, b"in time"));
    }
    daemon.stop();
}

#[test]
fn two_daemons_beside_each_other_get_what_is_theirs() {
    if !may() {
        return;
    }
    let daemons = [start("27900-27909"), start("27910-27919")];
    let calls = daemons.each_ref().map(|daemon| Call::begin(Client::of(daemon, "127.0.0.1")));
    calls.iter().for_each(Call::goes_on);
    let [first, second] = daemons;
    first.stop();
    calls[1].goes_on();
    second.stop();
}

/// From the first loss on, a flooded port receives by its own socket. What has come before is in the common one.
#[test]
fn of_more_than_a_port_can_receive_some_is_lost_and_the_rest_is_in_order() {
    const TOO_MANY: u32 = 40_000;
    const ENOUGH: usize = 20_000;
    if !may() {
        return;
    }
    let process = Process::start("flooded.toml", &configuration("27960-27969", "on"));
    let Call { client, peer, relayed } = Call::begin(Client::to(process.udp[0], [127, 0, 0, 1].into()));
    let send = |number: u32| assert_eq!(peer.send_to(&number.to_be_bytes(), relayed).unwrap(), 4);
    process.signal("STOP");
    (0..TOO_MANY).for_each(send);
    process.signal("CONT");
    thread::scope(|scope| {
        let reading = scope.spawn(|| {
            let numbers = || u32::from_be_bytes(client.receive()[4..].try_into().unwrap());
            let numbers: Vec<u32> = std::iter::repeat_with(numbers).take(ENOUGH).collect();
            assert!(numbers.is_sorted());
            assert!(numbers.iter().filter(|number| **number < TOO_MANY).count() < TOO_MANY as usize);
        });
        (TOO_MANY..).take_while(|_| !reading.is_finished()).for_each(send);
    });
}

#[test]
fn a_client_that_knows_rfc_8656_still_gets_the_icmp_errors_of_its_packets() {
    if !may() {
        return;
    }
    let daemon = start("27920-27929");
    let mut client = Client::of(&daemon, "127.0.0.1");
    let answer = client.try_allocate(|request| request.attr(ADDITIONAL_ADDRESS_FAMILY, &[2, 0, 0, 0]));
    assert_eq!(answer.code(), None);
    let closed = peer([127, 0, 0, 1].into()).local_addr().unwrap();
    client.permit(closed);
    client.indicate(closed, b"anybody?");
    let error = Message::read(&client.receive());
    assert_eq!((error.address(XOR_PEER_ADDRESS), error.get(DATA)), (closed, None));
    assert!(error.get(ICMP).is_some());
    daemon.stop();
}

/// The daemon, without the capabilities that count: root only in a namespace of its own.
fn without_capabilities() -> Command {
    let mut command = Command::new("unshare");
    command.args(["--map-root-user", env!("CARGO_BIN_EXE_hairpin")]);
    // What is tested is what the configuration says.
    command.env_remove("HAIRPIN_RELAY__SK_LOOKUP");
    command
}

fn configuration(ports: &str, wanted: &str) -> String {
    let text = config_text(ports, &["127.0.0.1:0"]);
    text.replace("[relay]\n", &format!("[relay]\nsk_lookup = {wanted:?}\n"))
}

#[test]
fn a_process_that_may_not_serves_without_it() {
    let config = configuration("27930-27939", "auto");
    let process = Process::run("may-not.toml", &config, without_capabilities());
    Call::begin(Client::to(process.udp[0], [127, 0, 0, 1].into())).goes_on();
}

#[test]
fn a_process_that_must_and_may_not_says_what_it_needs() {
    let config = file("must.toml", &configuration("27940-27949", "on"));
    let mut child =
        without_capabilities().args(["--config", &config]).stderr(Stdio::piped()).spawn().unwrap();
    let status = ended(&mut child, PATIENCE);
    // If it serves, this ends it.
    let _ = child.kill();
    let said = io::read_to_string(child.stderr.take().unwrap()).unwrap();
    assert_eq!(status.and_then(|status| status.code()), Some(71), "{said}");
    assert!(said.contains("relay.sk_lookup") && said.contains("CAP_BPF"), "{said}");
}
