//! A daemon that is about to stop loses nothing that it relays, and sends everybody else away.

use std::process::Command;
use std::time::Duration;

use hairpin::observed::Lifecycle;
use serde_json::json;

use crate::support::daemon::{Client, config_text, peer, receive, start_with};
use crate::support::http::Http;
use crate::support::process::Process;
use crate::support::session::Turn;
use crate::support::stream::Client as Stream;
use crate::support::stun::{BINDING, LIFETIME, REFRESH, channel_data};

const CHANNEL: u16 = 0x4000;
/// What a daemon needs that ends at once.
const AT_ONCE: Duration = Duration::from_secs(3);

/// Says that the allocation is no longer needed.
fn hang_up(client: &mut impl Turn) {
    let request = client.request(REFRESH).attr(LIFETIME, &[0; 4]);
    assert_eq!(client.ask(request).code(), None);
}

/// A process that drains as long as `timeout` says, and a client that has an allocation there.
fn process(name: &str, ports: &str, timeout: &str) -> (Process, Client) {
    let config = config_text(ports, &["127.0.0.1:0"])
        .replace("threads = 2", &format!("threads = 2\ndrain_timeout = {timeout:?}"));
    let process = Process::start(name, &config);
    let mut client = Client::to(process.udp[0], [127, 0, 0, 1].into());
    client.allocate();
    (process, client)
}

#[test]
fn what_is_relayed_goes_on_and_new_clients_are_refused() {
    let daemon = start_with("21600-21699", |config| config.listen.tcp = vec!["127.0.0.1:0".parse().unwrap()]);
    let mut client = Client::of(&daemon, "127.0.0.1");
    let relayed = client.allocate();
    let peer = peer([127, 0, 0, 1].into());
    let mut connected = Stream::tcp(daemon.addresses().tcp[0]);
    connected.allocate();

    daemon.drain();

    client.bind(CHANNEL, peer.local_addr().unwrap());
    client.send(&channel_data(CHANNEL, b"there"));
    assert_eq!(receive(&peer), (b"there".to_vec(), relayed));
    peer.send_to(b"and back", relayed).unwrap();
    assert_eq!(client.receive(), channel_data(CHANNEL, b"and back"));
    let refresh = client.request(REFRESH);
    assert_eq!((client.ask(refresh).code(), connected.refresh(600).code()), (None, None));
    let mut late = Client::of(&daemon, "127.0.0.1");
    assert_eq!(late.try_allocate(|request| request).code(), Some(508));
    assert_eq!(Stream::tcp(daemon.addresses().tcp[0]).try_allocate().code(), Some(508));
    let binding = late.request(BINDING);
    assert_eq!(late.exchange(&binding.0).code(), None, "whoever only asks for its address is answered");
    let observed = daemon.snapshot();
    assert_eq!(observed.lifecycle, Lifecycle::Draining);
    let refused = &observed.relay.requests["allocate"].refused;
    assert!(
        refused.iter().any(|refusal| (refusal.code, refusal.reason, refusal.count) == (508, "draining", 2))
    );
    daemon.stop();
}

#[test]
fn load_balancers_send_new_clients_elsewhere_and_nobody_kills_the_daemon() {
    let daemon =
        start_with("21700-21709", |config| config.http.listen = vec!["127.0.0.1:0".parse().unwrap()]);
    let status = |path: &str| Http::of(&daemon).get(path).status;
    assert_eq!((status("/healthz"), status("/readyz")), (200, 200));

    daemon.drain();

    assert_eq!((status("/healthz"), status("/readyz")), (200, 503));
    let unready = Http::of(&daemon).get("/readyz");
    assert_eq!((unready.header("retry-after"), &unready.json()["code"]), (Some("5"), &json!("draining")));
    daemon.stop();
}

#[test]
fn it_ends_when_the_last_allocation_has_ended() {
    let (mut process, mut client) = process("emptied.toml", "21710-21719", "1h");
    process.signal("TERM");
    process.line("draining: new clients are refused");
    let mut late = Client::to(process.udp[0], [127, 0, 0, 1].into());
    assert_eq!(late.try_allocate(|request| request).code(), Some(508));
    hang_up(&mut client);
    assert!(process.end(AT_ONCE).is_some_and(|status| status.success()));
    process.line("the last allocation has ended");
}

#[test]
fn it_ends_when_its_time_has_passed() {
    let (mut process, _client) = process("timed-out.toml", "21720-21729", "200ms");
    process.signal("TERM");
    assert!(process.end(AT_ONCE).is_some_and(|status| status.success()));
    process.line("relay.drain_timeout has passed");
}

#[test]
fn a_second_signal_ends_it_at_once() {
    for (first, second) in [("TERM", "TERM"), ("INT", "INT"), ("TERM", "INT")] {
        let (mut process, _client) = process("twice.toml", "21730-21739", "1h");
        process.signal(first);
        process.line("draining: ");
        process.signal(second);
        assert!(process.end(AT_ONCE).is_some_and(|status| status.success()), "{first}, {second}");
        process.line("a second signal");
    }
}

/// So that `systemctl restart` stays quick.
#[test]
fn without_a_timeout_the_first_signal_ends_it_at_once() {
    let (mut process, _client) = process("quick.toml", "21740-21749", "0s");
    process.signal("TERM");
    assert!(process.end(AT_ONCE).is_some_and(|status| status.success()));
}

/// What was asked for is a drain and not a stop, so the timeout of a stop does not count.
#[test]
fn an_administrator_may_have_it_drained() {
    let socket = std::env::temp_dir().join(format!("hairpin-{}-drain.sock", std::process::id()));
    let path = socket.to_str().unwrap();
    let config = config_text("21750-21759", &["127.0.0.1:0"]) + &format!("[admin]\nlisten = [{path:?}]\n");
    let mut process = Process::start("drain-asked.toml", &config);
    let mut client = Client::to(process.udp[0], [127, 0, 0, 1].into());
    client.allocate();
    let drain = || {
        let mut command = Command::new(env!("CARGO_BIN_EXE_hairpin"));
        let output = command.args(["drain", "--admin", path]).output().unwrap();
        (String::from_utf8(output.stdout).unwrap(), output.status.code())
    };
    for _ in 0..2 {
        let (printed, code) = drain();
        assert!(printed.starts_with("draining: 1 allocations go on") && code == Some(0), "{printed}");
    }
    let refresh = client.request(REFRESH);
    assert_eq!(client.ask(refresh).code(), None);
    hang_up(&mut client);
    assert!(process.end(AT_ONCE).is_some_and(|status| status.success()));
}
