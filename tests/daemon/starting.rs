//! A daemon starts with every socket bound or not at all, says why not, and leaves nothing behind.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::net::UdpSocket;
use std::process::{Command, Stdio};
use std::time::Duration;

use hairpin::clock::Clock;
use hairpin::daemon::Daemon;
use hairpin::network::address::RelayAddress;
use hairpin::observed::prometheus::render;
use hairpin::observed::{Lifecycle, Reloads};
use hairpin::outcome::Method;
use hairpin::sections::tls::OneOrMore;
use hairpin::sections::value::Auto;
use rcgen::{CertificateParams, KeyPair};
use tokio::runtime;

use crate::support::daemon::{Client, config, config_text, start, start_on};
use crate::support::session::Turn;
use crate::support::stun::{BINDING, XOR_MAPPED_ADDRESS};

#[test]
fn a_port_in_use_is_named_with_what_to_do() {
    let other = UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = other.local_addr().unwrap().to_string();
    let error = Daemon::start(&config("21000-21099", &[&address]), Clock::start()).err().unwrap().to_string();
    assert!(error.contains(&address) && error.contains("ss -ulpn"), "{error}");
}

/// The sockets of one daemon share their port, and must not share it with another daemon's.
#[test]
fn a_second_daemon_on_the_same_port_does_not_start() {
    let first = start("21100-21199");
    let address = first.addresses().udp[0].to_string();
    assert!(Daemon::start(&config("21100-21199", &[&address]), Clock::start()).is_err());
    first.stop();
}

#[test]
fn an_address_of_another_machine_cannot_be_relayed_from() {
    let mut config = config("21200-21299", &["127.0.0.1:0"]);
    let ip = [192, 0, 2, 99].into();
    config.relay.addresses = Auto(Some(vec![RelayAddress { bind: ip, public: ip }.into()]));
    let error = Daemon::start(&config, Clock::start()).err().unwrap().to_string();
    assert!(error.contains("192.0.2.99") && error.contains("public ="), "{error}");
}

#[test]
fn a_key_of_another_certificate_keeps_it_from_starting_and_an_expired_certificate_does_not() {
    let folder = std::env::temp_dir().join(format!("hairpin-starting-{}", std::process::id()));
    fs::create_dir_all(&folder).unwrap();
    let (certificate, key) = (folder.join("a.pem"), folder.join("a.key"));
    let pair = KeyPair::generate().unwrap();
    let mut expired = CertificateParams::new(["turn.example".to_owned()]).unwrap();
    expired.not_after = rcgen::date_time_ymd(2020, 1, 1);
    fs::write(&certificate, expired.self_signed(&pair).unwrap().pem()).unwrap();
    let mut config = config("21250-21299", &["127.0.0.1:0"]);
    config.tls.certificate = OneOrMore(vec![certificate]);
    config.tls.key = OneOrMore(vec![key.clone()]);

    fs::write(&key, KeyPair::generate().unwrap().serialize_pem()).unwrap();
    let error = Daemon::start(&config, Clock::start()).err().unwrap().to_string();
    fs::write(&key, pair.serialize_pem()).unwrap();
    let daemon = Daemon::start(&config, Clock::start()).unwrap();

    assert!(error.contains("tls.key: ") && error.contains("does not match the certificate"), "{error}");
    let warnings = daemon.certificates().unwrap().warnings(Clock::start().now().unix);
    assert!(warnings[0].contains("expired on 2020-01-01"), "{warnings:?}");
    daemon.stop();
    fs::remove_dir_all(folder).unwrap();
}

#[test]
fn what_stops_can_start_again_at_once_on_the_same_port() {
    let first = start("21300-21399");
    let address = first.addresses().udp[0].to_string();
    Client::of(&first, "127.0.0.1").allocate();
    first.stop();
    let second = start_on("21300-21399", &[&address]);
    Client::of(&second, "127.0.0.1").allocate();
    second.stop();
}

/// F8: whoever wonders why connections are refused finds the reason.
#[test]
fn the_log_says_how_many_connections_there_may_be_and_what_bounds_them() {
    let file = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join("bounded.toml");
    fs::write(&file, config_text("21430-21439", &["127.0.0.1:0"])).unwrap();
    for (limit, bounds) in [
        ("-n 300", ["limit=180", "the limit of open files (LimitNOFILE)", "per_ip=45"]),
        // Of a gigabyte, less what the program itself takes.
        ("-v 1048576", ["limit=19", "the limit of address space (ulimit -v)", "per_ip=4"]),
    ] {
        let script = format!("ulimit {limit} && exec \"$0\" --config \"$1\"");
        let mut shell = Command::new("sh");
        shell.args(["-c", &script, env!("CARGO_BIN_EXE_hairpin")]).arg(&file).stderr(Stdio::piped());
        let mut child = shell.spawn().unwrap();
        let lines = BufReader::new(child.stderr.take().unwrap()).lines().map_while(Result::ok);
        let said = lines.into_iter().find(|line| line.contains("connections over TCP and TLS"));
        child.kill().unwrap();
        child.wait().unwrap();
        let said = said.expect("it is said");
        assert!(said.contains("INFO") && bounds.iter().all(|bound| said.contains(bound)), "{limit}: {said}");
    }
}

/// R13
#[test]
fn the_limit_of_open_files_is_raised_as_far_as_it_goes_and_it_is_said_if_that_is_too_few() {
    let raised = |ports: &str| {
        let file = scratch("raised.toml", &config_text(ports, &["127.0.0.1:0"]));
        let mut shell = Command::new("sh");
        let script = "ulimit -Sn 64 && ulimit -Hn 256 && exec \"$0\" --config \"$1\"";
        shell.args(["-c", script, env!("CARGO_BIN_EXE_hairpin"), &file]).stderr(Stdio::piped());
        let mut child = shell.spawn().unwrap();
        let lines = BufReader::new(child.stderr.take().unwrap()).lines().map_while(Result::ok);
        let mut said = String::new();
        for line in lines.take_while(|line| !line.contains("serves STUN and TURN on ")) {
            said += &line;
        }
        let limits = fs::read_to_string(format!("/proc/{}/limits", child.id())).unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
        let files = limits.lines().find_map(|line| line.strip_prefix("Max open files")).unwrap();
        assert_eq!(files.split_whitespace().take(2).collect::<Vec<_>>(), ["256", "256"]);
        said
    };
    // Each port on two addresses, and a hundred files for the daemon itself.
    assert!(!raised("20900-20909").contains("raise LimitNOFILE"));
    let said = raised("20900-20999");
    assert!(
        said.contains("WARN") && said.contains("limit=256 needed=300") && said.contains("raise LimitNOFILE")
    );
}

/// Otherwise IPv4 clients would be told that they are `::ffff:a.b.c.d`, which is no address of theirs.
#[test]
fn a_listener_on_all_ipv6_addresses_leaves_ipv4_alone() {
    let daemon = start_on("21600-21699", &["[::]:0"]);
    let port = daemon.addresses().udp[0].port();
    assert!(UdpSocket::bind(("0.0.0.0", port)).is_ok());
    let mut client = Client::to(([0, 0, 0, 0, 0, 0, 0, 1], port).into(), [0, 0, 0, 0, 0, 0, 0, 1].into());
    let request = client.request(BINDING);
    assert_eq!(client.exchange(&request.0).address(XOR_MAPPED_ADDRESS), client.socket.local_addr().unwrap());
    daemon.stop();
}

#[test]
fn clients_are_divided_among_the_threads() {
    let daemon = start("21500-21599");
    for _ in 0..64 {
        let mut client = Client::of(&daemon, "127.0.0.1");
        let request = client.request(BINDING);
        client.exchange(&request.0);
    }
    let served = [0, 1].map(|shard| daemon.metrics().shard(shard).successes(Method::Binding));
    assert!(served[0] > 0 && served[1] > 0 && served[0] + served[1] == 64, "{served:?}");
    daemon.stop();
}

#[test]
fn every_thread_has_a_pulse() {
    let daemon = start("21400-21499");
    let runtime = runtime::Builder::new_current_thread().enable_time().build().unwrap();
    assert!(runtime.block_on(daemon.is_alive(Duration::from_secs(5))));
    daemon.stop();
    assert!(!runtime.block_on(daemon.is_alive(Duration::from_secs(5))));
}

#[test]
fn a_wrong_configuration_exits_with_78_and_says_where() {
    let file = scratch("wrong.toml", "[listen]\nudq = []\n");
    for arguments in [vec!["--config", &file], vec!["serve", "--config", &file], vec!["check-config", &file]]
    {
        let output = Command::new(env!("CARGO_BIN_EXE_hairpin")).args(arguments).output().unwrap();
        let error = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(78));
        assert!(error.contains("wrong.toml:2: listen.udq"), "{error}");
    }
}

#[test]
fn a_good_configuration_is_called_good_and_doubts_are_said() {
    let file = scratch("good.toml", "[peers]\nloopback = true\n");
    let output = Command::new(env!("CARGO_BIN_EXE_hairpin")).args(["check-config", &file]).output().unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(
        output.status.success() && said.contains("warning: peers.loopback") && said.ends_with("good\n"),
        "{said}"
    );
}

#[test]
fn a_credential_is_printed_as_json_or_it_is_said_what_is_missing() {
    let file = scratch("secret.toml", "[credentials]\nsecrets = [\"6f0c1d3a8b5e4f7096a2c4d8e1b3f507\"]\n");
    let run = |arguments: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_hairpin"));
        command.arg("credential").args(arguments).stdin(Stdio::null()).output().unwrap()
    };
    let output = run(&["--user", "alice", "--ttl", "30m", "--config", &file]);
    let json: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert!(json["username"].as_str().unwrap().ends_with(":alice"));
    assert_eq!((json["password"].as_str().unwrap().len(), &json["ttl"]), (28, &serde_json::json!(1800)));

    let output = run(&[]);
    assert_eq!(output.status.code(), Some(78));
    assert!(String::from_utf8(output.stderr).unwrap().contains("--config"));
}

/// Writes a file for one test; returns its path.
fn scratch(name: &str, text: &str) -> String {
    let path = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    std::fs::write(&path, text).unwrap();
    path.to_str().unwrap().to_owned()
}

#[test]
fn a_daemon_says_what_it_holds_and_where_it_is_in_its_life() {
    let daemon = start("21440-21449");
    Client::of(&daemon, "127.0.0.1").allocate();

    let serving = daemon.snapshot();
    daemon.stop();

    assert_eq!(serving.lifecycle, Lifecycle::Serving);
    assert_eq!(serving.relay.allocations.len(), 2, "one number for each shard");
    assert_eq!(serving.relay.allocations.iter().sum::<u64>(), 1);
    assert_eq!(serving.relay.requests["allocate"].granted, 1);
    assert!(serving.certificates.is_none());
    assert_eq!(serde_json::to_value(&serving).unwrap()["lifecycle"], "serving");
    assert_eq!((serving.reloads, serving.version), (Reloads::default(), env!("CARGO_PKG_VERSION")));
    let text = render(&serving);
    assert!(text.contains("hairpin_answers_total{method=\"allocate\",code=\"success\",cause=\"granted\"} 1"));
    for name in [
        "process_cpu_seconds_total",
        "process_open_fds",
        "hairpin_thread_cpu_seconds_total{thread=\"relay-0\"}",
    ] {
        assert!(text.contains(&format!("\n{name} ")), "{name}\n{text}");
    }
    assert_eq!(daemon.snapshot().lifecycle, Lifecycle::Stopped);
}
