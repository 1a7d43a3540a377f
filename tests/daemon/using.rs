//! What users use outlives the daemon, and neither a full disk nor a limit of one day ends what runs.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use hairpin::clock::{Clock, Moment};
use hairpin::daemon::Daemon;
use hairpin::sections::usage::UsagePath;
use serde_json::Value;

use crate::support::daemon::{Client, PATIENCE, config, config_text, peer, receive};
use crate::support::process::Process;
use crate::support::session::Turn;
use crate::support::stun::{ALLOCATE, LIFETIME, REFRESH, REQUESTED_TRANSPORT, channel_data};

const CHANNEL: u16 = 0x4000;

/// A folder with a daemon's file and its socket for administrators.
struct Folder(PathBuf);

impl Folder {
    fn new(test: &str) -> Self {
        let path = std::env::temp_dir().join(format!("hairpin-usage-{}-{test}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    /// The configuration of a daemon that stores usage in `file`, with a key for `[limits]`.
    fn config(&self, ports: &str, file: &Path, limit: &str) -> String {
        let text =
            config_text(ports, &["127.0.0.1:0"]).replace("[limits]\n", &format!("[limits]\n{limit}\n"));
        format!("{text}[admin]\nlisten = [{:?}]\n[usage]\npath = {file:?}\n", self.socket())
    }

    fn file(&self) -> PathBuf {
        self.0.join("usage.db")
    }

    fn socket(&self) -> PathBuf {
        self.0.join("admin.sock")
    }

    /// `hairpin usage`: what it prints, what it says is wrong, and its exit code.
    fn usage(&self, arguments: &[&str]) -> (String, String, Option<i32>) {
        let mut command = Command::new(env!("CARGO_BIN_EXE_hairpin"));
        command.arg("usage").args(arguments).arg("--admin").arg(self.socket());
        let output = command.output().unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        (text(output.stdout), text(output.stderr), output.status.code())
    }

    /// What is told of alice: sessions, seconds, and bytes up and down.
    fn of_alice(&self) -> [u64; 4] {
        let (printed, said, code) = self.usage(&["--json", "--user", "alice"]);
        assert_eq!(code, Some(0), "{said}");
        let usage: Value = serde_json::from_str(&printed).unwrap();
        let entries = usage["usage"].as_array().unwrap();
        assert!(entries.iter().all(|entry| entry["user"] == "alice" && entry["kind"] == "static"));
        // Midnight may pass during a test.
        ["sessions", "seconds", "bytes_up", "bytes_down"]
            .map(|key| entries.iter().map(|entry| entry[key].as_u64().unwrap()).sum())
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// A client of the process, with an allocation that carries `up` packets of 1,000 bytes to a peer and `down` back.
fn client(process: &Process, up: usize, down: usize) -> Client {
    let mut client = Client::to(process.udp[0], [127, 0, 0, 1].into());
    let relayed = client.allocate();
    let peer = peer([127, 0, 0, 1].into());
    client.bind(CHANNEL, peer.local_addr().unwrap());
    for _ in 0..up {
        client.send(&channel_data(CHANNEL, &[7; 1000]));
        assert_eq!(receive(&peer).0.len(), 1000);
    }
    for _ in 0..down {
        peer.send_to(&[8; 1000], relayed).unwrap();
        client.receive();
    }
    client
}

fn end(client: &mut Client) {
    let request = client.request(REFRESH).attr(LIFETIME, &[0; 4]);
    assert_eq!(client.ask(request).code(), None);
}

/// Waits until `is` is true.
fn until(patience: Duration, is: impl Fn() -> bool) {
    let clock = Clock::start();
    while !is() {
        assert!(clock.now().moment.since(Moment::default()) < patience, "it does not happen");
        // Between two looks, not instead of one.
        std::thread::sleep(Duration::from_millis(100));
    }
}

#[test]
fn after_a_kill_the_next_daemon_reports_what_was_used_and_still_counts_it_for_the_limit() {
    let folder = Folder::new("killed");
    let config = folder.config("38800-38819", &folder.file(), "bytes_per_user_per_day = 5000");
    let process = Process::start("killed.toml", &config);
    end(&mut client(&process, 2, 1));
    let _runs = client(&process, 1, 1);
    // What runs is known within 20 seconds, and asking for a report writes it.
    until(Duration::from_secs(40), || folder.of_alice()[2] == 3000);
    let before = folder.of_alice();
    assert_eq!([before[0], before[2], before[3]], [2, 3000, 2000]);
    drop(process);

    let process = Process::start("killed.toml", &config);

    let after = folder.of_alice();
    assert_eq!([after[0], after[2], after[3]], [2, 3000, 2000]);
    let mut refused = Client::to(process.udp[0], [127, 0, 0, 1].into());
    refused.challenge();
    let request = refused.request(ALLOCATE).attr(REQUESTED_TRANSPORT, &[17, 0, 0, 0]);
    assert_eq!(refused.ask(request).code(), Some(486));
    let said = process.line("limit reached: a user has carried the bytes of one day");
    assert!(
        said.contains("raise limits.bytes_per_user_per_day") && said.contains("user=\"alice\""),
        "{said}"
    );
    let (table, _, _) = folder.usage(&[]);
    let lines: Vec<&str> = table.lines().collect();
    assert_eq!(lines.len(), 2, "{table}");
    assert!(lines[0].starts_with("USER   KIND    SESSIONS"), "{table}");
    assert!(lines[1].starts_with("alice  static  2") && lines[1].ends_with("3.0 kB  2.0 kB"), "{table}");
}

#[test]
fn what_was_used_is_written_when_the_daemon_stops() {
    let folder = Folder::new("stopped");
    let config = folder.config("38820-38839", &folder.file(), "");
    let mut process = Process::start("stopped.toml", &config);
    let _runs = client(&process, 1, 0);
    process.signal("TERM");
    assert!(process.end(PATIENCE).is_some_and(|status| status.success()));

    let _next = Process::start("stopped.toml", &config);

    assert_eq!(folder.of_alice()[2], 1000);
    let mode = std::os::unix::fs::PermissionsExt::mode(&fs::metadata(folder.file()).unwrap().permissions());
    assert_eq!(mode & 0o777, 0o600);
}

/// The disk is a small one that only the daemon sees; the test reaches it through /proc.
#[test]
fn a_full_disk_ends_nothing_and_what_was_used_is_written_when_there_is_room_again() {
    let folder = Folder::new("full");
    let disk = folder.0.join("disk");
    fs::create_dir(&disk).unwrap();
    let config = folder.config("38840-38859", &disk.join("usage.db"), "");
    let mut shell = Command::new("unshare");
    let script = "mount -t tmpfs -o size=512k none \"$0\" && exec \"$@\"";
    shell
        .args(["--map-root-user", "--mount", "sh", "-c", script])
        .arg(&disk)
        .arg(env!("CARGO_BIN_EXE_hairpin"));
    let process = Process::run("full-disk.toml", &config, shell);
    let rest = format!("/proc/{}/root{}", process.id(), disk.join("rest").display());
    assert!(fs::write(&rest, vec![0; 1 << 20]).is_err(), "the rest of the disk is used");

    end(&mut client(&process, 2, 1));

    // Asking for a report writes it.
    let (_, said, code) = folder.usage(&[]);
    assert!(said.contains("full or broken") && code == Some(71), "{said}");
    let said = process.line("usage cannot be written and stays in memory meanwhile");
    assert!(said.contains("ERROR") && said.contains("full or broken"), "{said}");
    fs::remove_file(rest).unwrap();
    until(PATIENCE, || folder.usage(&[]).2 == Some(0));
    let [sessions, _, up, down] = folder.of_alice();
    assert_eq!([sessions, up, down], [1, 2000, 1000]);
}

#[test]
fn a_reload_begins_and_ends_to_store_usage() {
    let folder = Folder::new("reloaded");
    let mut wanted = config("38880-38899", &["127.0.0.1:0"]);
    let daemon = Daemon::start(&wanted, Clock::start()).unwrap();
    let stores = |daemon: &Daemon| daemon.snapshot().usage.stores;
    assert!(!stores(&daemon));

    wanted.usage.path = UsagePath::File(folder.file());
    let report = daemon.reload(&wanted).unwrap();
    assert_eq!((report.changed, report.needs_restart), (vec!["usage.path".to_owned()], Vec::new()));
    until(PATIENCE, || stores(&daemon) && folder.file().exists());

    wanted.usage.path = UsagePath::Off;
    daemon.reload(&wanted).unwrap();
    until(PATIENCE, || !stores(&daemon));
    daemon.stop();
}

#[test]
fn a_daemon_that_stores_nothing_says_so() {
    let folder = Folder::new("off");
    let config = folder.config("38860-38879", &folder.file(), "").replace("[usage]\npath", "[usage]\n#");
    let process = Process::start("off.toml", &config);
    end(&mut client(&process, 1, 0));
    let (_, said, code) = folder.usage(&["--since", "30d"]);
    assert!(said.contains("usage is not stored: set usage.path") && code == Some(1), "{said}");
    assert!(!folder.file().exists());
}
