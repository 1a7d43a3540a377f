//! Administrators reach the daemon on listeners of their own, and nobody else does.

use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::process::Command;

use hairpin::api_key::KeyHash;
use hairpin::clock::{Clock, Moment};
use hairpin::daemon::Daemon;
use hairpin::sections::admin::AdminAddress;
use hairpin::sections::value::Auto;
use serde_json::Value;
use socket2::{Domain, Socket, Type};

use crate::support::daemon::{PATIENCE, start_with};
use crate::support::http::{Answer, Http};

const TOKEN: &str = "hairpin_of_the_tests";

/// A daemon that listens for administrators over TCP and at a Unix socket.
fn start(ports: &str, socket: &str) -> (Daemon, PathBuf) {
    let path = std::env::temp_dir().join(format!("hairpin-{}-{socket}.sock", std::process::id()));
    let unix = AdminAddress::Unix(path.clone());
    let daemon = start_with(ports, |config| {
        let tcp = AdminAddress::Tcp("127.0.0.1:0".parse().unwrap());
        config.admin.listen = Auto(Some(vec![tcp, unix]));
        config.admin.token_hash = Some(KeyHash::of(TOKEN));
        config.http.listen = vec!["127.0.0.1:0".parse().unwrap()];
    });
    (daemon, path)
}

fn over_tcp(daemon: &Daemon) -> Http {
    Http::to(daemon.addresses().admin[0].tcp().unwrap())
}

fn ask(daemon: &Daemon, path: &str, authorization: &[(&str, &str)]) -> Answer {
    over_tcp(daemon).ask("GET", path, authorization, "")
}

/// `hairpin status` and its like: what it printed, and its exit code.
fn hairpin(arguments: &[&str], token: Option<&str>) -> (String, String, Option<i32>) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_hairpin"));
    command.args(arguments).env_remove("HAIRPIN_ADMIN").env_remove("HAIRPIN_ADMIN_TOKEN");
    let output = command.envs(token.map(|token| ("HAIRPIN_ADMIN_TOKEN", token))).output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    (text(&output.stdout), text(&output.stderr), output.status.code())
}

#[test]
fn over_tcp_only_the_token_opens_and_it_opens_everything() {
    let (daemon, _) = start("37000-37019", "token");
    for wrong in [&[][..], &[("authorization", "Bearer hairpin_guessed")], &[("authorization", TOKEN)]] {
        for path in ["/metrics", "/status", "/nothing"] {
            let answer = ask(&daemon, path, wrong);
            assert_eq!(answer.status, 401, "{path} {wrong:?}: {}", answer.body);
            assert!(answer.head.to_lowercase().contains("www-authenticate: bearer"));
        }
    }
    let right = &[("authorization", "Bearer hairpin_of_the_tests")];
    let metrics = ask(&daemon, "/metrics", right);
    assert!(metrics.status == 200 && metrics.body.contains("\nhairpin_shard_allocations{shard=\"1\"} 0\n"));
    let status: Value = serde_json::from_str(&ask(&daemon, "/status", right).body).unwrap();
    assert_eq!((&status["lifecycle"], &status["relay"]["connections"]), (&"serving".into(), &0.into()));
    let config: Value = serde_json::from_str(&ask(&daemon, "/config", right).body).unwrap();
    let hidden = &config["credentials"]["users"]["alice"];
    assert_eq!((hidden, &config["limits"]["channels"]), (&"(hidden)".into(), &32.into()));
    assert_eq!(ask(&daemon, "/nothing", right).status, 404);
    daemon.stop();
}

#[test]
fn a_unix_socket_is_its_owners_alone_and_is_gone_after_the_end() {
    let (daemon, path) = start("37020-37039", "owner");
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    let (printed, _, code) = hairpin(&["status", "--admin", path.to_str().unwrap()], None);
    assert!(printed.starts_with("state                    serving\n") && code == Some(0), "{printed}");
    daemon.stop();
    assert!(!path.exists());
}

#[test]
fn nothing_of_it_is_on_the_public_listener() {
    let (daemon, _) = start("37040-37059", "public");
    for path in ["/metrics", "/status"] {
        let right = &[("authorization", "Bearer hairpin_of_the_tests")];
        assert_eq!(Http::of(&daemon).ask("GET", path, right, "").status, 404, "{path}");
    }
    daemon.stop();
}

#[test]
fn a_command_says_why_it_failed_and_its_exit_code_says_it_to_scripts() {
    let (daemon, _) = start("37060-37079", "codes");
    let address = daemon.addresses().admin[0].to_string();
    let (printed, _, code) = hairpin(&["status", "--json", "--admin", &address], Some(TOKEN));
    let status: Value = serde_json::from_str(&printed).unwrap();
    assert!(status["rooms"]["rooms"] == 0 && code == Some(0));
    let (_, said, code) = hairpin(&["status", "--admin", &address], Some("hairpin_guessed"));
    assert!(said.contains("the admin token is missing or wrong") && code == Some(1), "{said}");
    daemon.stop();
    // Bound, so that nobody else gets the port, and not listening.
    let nobody = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    nobody.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into()).unwrap();
    let address = nobody.local_addr().unwrap().as_socket().unwrap().to_string();
    let (_, said, code) = hairpin(&["status", "--admin", &address], Some(TOKEN));
    assert!(said.contains("is the daemon running") && code == Some(71), "{said}");
}

#[test]
fn clients_that_do_not_read_keep_nobody_out() {
    let (daemon, _) = start("37080-37099", "stalled");
    let request = "GET /metrics HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer hairpin_of_the_tests\r\n\r\n";
    let mut stalled: Vec<Http> = (0..64).map(|_| over_tcp(&daemon)).collect();
    for client in &mut stalled {
        // The oldest may have been closed for a newer one.
        let _ = client.try_send(request.repeat(5));
    }
    // Only so many connections may be closing at a time, so the first tries may be refused.
    let clock = Clock::start();
    let answer = std::iter::repeat_with(|| {
        let mut client = over_tcp(&daemon);
        let sent = client.try_send(request);
        sent.ok().and_then(|()| client.try_answer())
    });
    let answer =
        answer.take_while(|_| clock.now().moment.since(Moment::default()) < PATIENCE).flatten().next();
    assert_eq!(answer.map(|answer| answer.status), Some(200));
    let alive = tokio::runtime::Runtime::new().unwrap().block_on(daemon.is_alive(PATIENCE));
    assert!(alive);
    daemon.stop();
}
