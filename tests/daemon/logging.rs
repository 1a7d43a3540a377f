//! A log that takes no lines stops neither the relay nor its end, and says how much it missed.

use std::fs::{File, OpenOptions};
use std::io::Read as _;
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use hairpin::secret::Secret;

use crate::support::daemon::{Call, Client, config_text, peer};
use crate::support::process::{Process, ended, file};
use crate::support::session::Turn;
use crate::support::stun::{BINDING, LIFETIME, REFRESH, XOR_MAPPED_ADDRESS};

const SECRET: &str = "6f0c1d3a8b5e4f7096a2c4d8e1b3f507";
/// How long the end may take.
const END: Duration = Duration::from_secs(3);

/// A configuration at the level debug, with a secret, for which names are as long as who comes likes.
fn talkative(ports: &str, udp: &str) -> String {
    let text = config_text(ports, &[udp]) + "[log]\nlevel = \"debug\"\n";
    text.replace("[credentials]\n", &format!("[credentials]\nsecrets = [{SECRET:?}]\n"))
}

/// A client with a name of which the log's line has some 2,400 bytes.
fn long_named(server: SocketAddr) -> Client {
    let name = format!("4000000000:{}", "\u{1}".repeat(480));
    let password = Secret::new(SECRET).password(&name);
    Client::to(server, [127, 0, 0, 1].into()).with(&name, password.reveal())
}

/// Makes the daemon say more than a pipe of 64 KiB and every bound behind it can hold.
fn fill_the_log(server: SocketAddr) {
    let mut client = long_named(server);
    for _ in 0..400 {
        client.allocate();
        let request = client.request(REFRESH).attr(LIFETIME, &[0; 4]);
        assert_eq!(client.ask(request).code(), None);
    }
}

fn is_served(server: SocketAddr) -> bool {
    let mut client = Client::to(server, [127, 0, 0, 1].into());
    let request = client.request(BINDING);
    client.exchange(&request.0).address(XOR_MAPPED_ADDRESS) == client.socket.local_addr().unwrap()
}

/// A socket for administrators, and the section of a configuration that names it.
fn admin(name: &str) -> (String, String) {
    let socket = format!("{}.sock", file(name, ""));
    let section = format!("[admin]\nlisten = [{socket:?}]\n");
    (socket, section)
}

/// How many lines of the log are lost, as administrators see it.
fn lines_lost(admin: &str) -> u64 {
    let mut command = Command::new(env!("CARGO_BIN_EXE_hairpin"));
    let output = command.args(["status", "--json", "--admin", admin]).output().unwrap();
    let status: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    status["log_lines_lost"].as_u64().unwrap()
}

/// F1, R19
#[test]
fn a_log_that_nobody_reads_stops_nothing_and_says_later_what_it_missed() {
    let (admin, section) = admin("unread");
    let mut process = Process::start("unread.toml", &(talkative("22000-22099", "127.0.0.1:0") + &section));
    let server = process.udp[0];
    let call = Call::begin(Client::to(server, [127, 0, 0, 1].into()));

    process.stop_reading();
    fill_the_log(server);

    for _ in 0..20 {
        assert!(is_served(server));
        call.goes_on();
    }
    assert!(lines_lost(&admin) > 0);
    process.read_on();
    let missed = process.line("log lines were lost");
    assert!(missed.contains("WARN") && missed.contains("lost="), "{missed}");

    process.stop_reading();
    fill_the_log(server);
    process.signal("TERM");
    let status = process.end(END).expect("nobody reads, and it ends all the same");
    assert!(status.success(), "{status}");
}

/// F1: what is said at the end is said, though nobody had read for long.
#[test]
fn what_is_lost_is_said_at_the_end_if_somebody_reads_then() {
    let mut process = Process::start("unread-end.toml", &talkative("22100-22199", "127.0.0.1:0"));
    process.stop_reading();
    fill_the_log(process.udp[0]);
    process.signal("TERM");
    process.read_on();
    process.line("log lines were lost");
    assert!(process.end(END).is_some_and(|status| status.success()));
}

/// Starts a daemon that takes `stream` for the journal, and has it say an error, a warning and what is normal.
fn three_lines(name: &str, ports: &str, stream: &str, log: &str) -> [String; 3] {
    let script = format!("export JOURNAL_STREAM={stream}; exec \"$0\" \"$@\"");
    let mut shell = Command::new("sh");
    shell.args(["-c", &script, env!("CARGO_BIN_EXE_hairpin")]);
    let good = config_text(ports, &["127.0.0.1:0"]) + log;
    let process = Process::run(name, &good, shell);
    file(name, &good.replace("loopback = true", "loopback = maybe"));
    process.hang_up();
    let error = process.line("not reloaded");
    process.signal("USR1");
    let warning = process.line("SIGUSR1 is ignored");
    file(name, &good);
    process.hang_up();
    [error, warning, process.line("read again")]
}

/// So that `journalctl -p warning` leaves out what is normal (sd-daemon(3)).
#[test]
fn the_journal_is_told_the_priority_of_each_line_and_nobody_else_is() {
    let (this, another) = ("$(stat -Lc %d:%i /proc/self/fd/2)", "1:2");
    for (name, log, begins) in [
        ("priorities.toml", "[log]\nformat = \"text\"\n", "2"),
        ("priorities-json.toml", "[log]\nformat = \"json\"\n", "{"),
    ] {
        let lines = three_lines(name, "22940-22949", this, log);
        for (line, priority) in lines.iter().zip(["<3>", "<4>", "<6>"]) {
            assert!(line.strip_prefix(priority).is_some_and(|line| line.starts_with(begins)), "{line}");
        }
        let lines = three_lines(name, "22940-22949", another, log);
        assert!(lines.iter().all(|line| line.starts_with(begins)), "{lines:?}");
    }
}

/// The reason for which a start fails is an error of the journal's, too.
#[test]
fn the_journal_is_told_the_priority_of_the_last_words() {
    let config = file("last-words.toml", "[listen]\nudq = []\ntcq = []\n");
    let script = "export JOURNAL_STREAM=$(stat -Lc %d:%i /proc/self/fd/2); exec \"$0\" --config \"$1\"";
    let mut shell = Command::new("sh");
    let output = shell.args(["-c", script, env!("CARGO_BIN_EXE_hairpin"), &config]).output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(said.lines().count(), 2, "{said}");
    assert!(said.lines().all(|line| line.starts_with("<3>hairpin: ")), "{said}");
}

/// Until it listens, the kernel says that nobody does.
fn wait_for(server: SocketAddr) {
    let socket = peer([127, 0, 0, 1].into());
    socket.connect(server).unwrap();
    let mut client = Client::to(server, [127, 0, 0, 1].into());
    let request = client.request(BINDING).0;
    let answered = || {
        socket.send(&request)?;
        socket.recv(&mut [0; 512])
    };
    assert!((0..1_000_000).any(|_| answered().is_ok()), "it never serves");
}

/// Asks it to end, which it must.
fn end(child: &mut Child) {
    assert!(Command::new("kill").arg(child.id().to_string()).status().unwrap().success());
    let status = ended(child, END);
    if status.is_none() {
        child.kill().unwrap();
    }
    assert!(status.expect("it ends").success());
}

/// F1, R19
#[test]
fn a_full_disk_and_a_closed_pipe_stop_nothing() {
    let full = OpenOptions::new().write(true).open("/dev/full").unwrap();
    let (reader, closed) = std::io::pipe().unwrap();
    drop(reader);
    for (stderr, name, port) in [(Stdio::from(full), "full", 22_290), (Stdio::from(closed), "closed", 22_291)]
    {
        let server = SocketAddr::from(([127, 0, 0, 1], port));
        let (admin, section) = admin(name);
        let config = talkative("22200-22289", &server.to_string()) + &section;
        let mut command = Command::new(env!("CARGO_BIN_EXE_hairpin"));
        command.args(["--config", &file(&format!("{name}.toml"), &config)]);
        let mut child = command.stderr(stderr).spawn().unwrap();
        wait_for(server);
        let call = Call::begin(Client::to(server, [127, 0, 0, 1].into()));
        fill_the_log(server);
        assert!(is_served(server));
        call.goes_on();
        assert!(lines_lost(&admin) > 0, "{name}");
        drop(call);
        end(&mut child);
    }
}

/// The kernel's signal for a file that may grow no more ends a program that does not expect it.
#[test]
fn a_log_in_a_file_that_may_grow_no_more_stops_nothing() {
    let server = SocketAddr::from(([127, 0, 0, 1], 22_391));
    let config = file("limited.toml", &talkative("22300-22389", &server.to_string()));
    let log = file("limited.log", "");
    let script = "ulimit -f 64 && exec \"$0\" --config \"$1\" 2>\"$2\"";
    let mut shell = Command::new("bash");
    let mut child = shell.args(["-c", script, env!("CARGO_BIN_EXE_hairpin"), &config, &log]).spawn().unwrap();
    wait_for(server);

    fill_the_log(server);

    assert!(is_served(server));
    end(&mut child);
    let mut text = Vec::new();
    File::open(&log).unwrap().read_to_end(&mut text).unwrap();
    assert_eq!(text.len(), 64 << 10, "the limit was reached");
}

/// Where nobody reads why it does not start, it still ends.
#[test]
fn a_start_that_fails_ends_though_nobody_reads_why() {
    let (_reader, full) = std::io::pipe().unwrap();
    let mut filler = full.try_clone().unwrap();
    std::io::Write::write_all(&mut filler, &[b'\n'; 65_536]).unwrap();
    let config = file("unread-start.toml", "[listen]\nudq = []\n");
    let mut command = Command::new(env!("CARGO_BIN_EXE_hairpin"));
    let mut child = command.args(["--config", &config]).stderr(full).spawn().unwrap();
    let status = ended(&mut child, 3 * END);
    if status.is_none() {
        child.kill().unwrap();
    }
    assert_eq!(status.expect("it ends").code(), Some(78));
}

/// What was said before the end is there after it.
#[test]
fn a_start_that_fails_says_why_before_it_ends() {
    let taken = peer([127, 0, 0, 1].into());
    let address = taken.local_addr().unwrap().to_string();
    let text = config_text("22400-22499", &[&address]) + "[log]\nformat = \"json\"\n";
    let config = file("taken.toml", &text);
    for _ in 0..10 {
        let mut command = Command::new(env!("CARGO_BIN_EXE_hairpin"));
        let output = command.args(["--config", &config]).stdin(Stdio::null()).output().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(71), "{said}");
        assert!(said.lines().last().unwrap().contains("ss -ulpn"), "{said}");
        assert!(said.contains("peers.loopback"), "what was said before it: {said}");
    }
}
