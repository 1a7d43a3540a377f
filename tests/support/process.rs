//! The daemon as a process of its own, which ends with the test.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use hairpin::clock::{Clock, Moment};

use super::daemon::PATIENCE;
use super::seeds;

/// A running daemon, ready to serve.
pub struct Process {
    child: Child,
    pub udp: Vec<SocketAddr>,
    pub tcp: Vec<SocketAddr>,
    pub tls: Vec<SocketAddr>,
    /// What it says, line by line.
    pub log: Receiver<String>,
    valve: Arc<Valve>,
}

/// Whether what the daemon says is read.
#[derive(Default)]
struct Valve {
    closed: Mutex<bool>,
    turned: Condvar,
}

impl Process {
    /// Starts one with the text of a configuration, in a file of this name.
    pub fn start(name: &str, config: &str) -> Self {
        Self::run(name, config, Command::new(env!("CARGO_BIN_EXE_hairpin")))
    }

    /// The same, with no more than `files` open files.
    pub fn start_with_files(name: &str, config: &str, files: u32) -> Self {
        let mut shell = Command::new("sh");
        let script = format!("ulimit -n {files} && exec \"$0\" \"$@\"");
        shell.args(["-c", &script, env!("CARGO_BIN_EXE_hairpin")]);
        Self::run(name, config, shell)
    }

    /// The same, by a command that the test has changed something in.
    pub fn run(name: &str, config: &str, mut command: Command) -> Self {
        let mut child =
            command.arg("--config").arg(file(name, config)).stderr(Stdio::piped()).spawn().unwrap();
        let lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let (say, log) = channel();
        let valve = Arc::new(Valve::default());
        let through = Arc::clone(&valve);
        // Ends with the process, whose end of the pipe then closes.
        std::thread::spawn(move || {
            lines.map_while(Result::ok).try_for_each(|line| {
                let closed = through.closed.lock().unwrap();
                drop(through.turned.wait_while(closed, |closed| *closed).unwrap());
                say.send(line)
            })
        });
        let mut process = Self { child, udp: Vec::new(), tcp: Vec::new(), tls: Vec::new(), log, valve };
        let ready = process.line("serves STUN and TURN on ");
        process.learn(&ready);
        process
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// The next line of the log that contains `text`, which must come soon; lines before it are skipped.
    pub fn line(&self, text: &str) -> String {
        loop {
            let line =
                self.log.recv_timeout(PATIENCE).unwrap_or_else(|_| panic!("the log never says {text:?}"));
            if line.contains(text) {
                return line;
            }
        }
    }

    /// Has it read its certificates again.
    pub fn hang_up(&self) {
        self.signal("HUP");
    }

    /// Sends it a signal.
    pub fn signal(&self, name: &str) {
        let id = self.id().to_string();
        assert!(Command::new("kill").args(["-s", name, &id]).status().unwrap().success(), "{name}");
    }

    /// From now on nobody reads what it says, but for what has been read already.
    pub fn stop_reading(&self) {
        *self.valve.closed.lock().unwrap() = true;
    }

    /// From now on it is read again.
    pub fn read_on(&self) {
        *self.valve.closed.lock().unwrap() = false;
        self.valve.turned.notify_all();
    }

    /// How it ends; `None` if it does not within `patience`.
    pub fn end(&mut self, patience: Duration) -> Option<ExitStatus> {
        ended(&mut self.child, patience)
    }

    /// Reads the addresses: "UDP a, b, TCP c, d, TLS e, relays from f".
    fn learn(&mut self, ready: &str) {
        let (_, list) = ready.split_once("serves STUN and TURN on ").unwrap();
        let (list, _) = list.split_once(", relays from").unwrap();
        let mut protocol = "";
        for item in list.split(", ") {
            let (named, address) = item.split_once(' ').unwrap_or((protocol, item));
            protocol = named;
            let addresses = match protocol {
                "UDP" => &mut self.udp,
                "TCP" => &mut self.tcp,
                "TLS" => &mut self.tls,
                other => panic!("{other}: {ready}"),
            };
            addresses.push(address.parse().unwrap());
        }
    }
}

/// Writes a file for one test; returns its path.
pub fn file(name: &str, text: &str) -> String {
    seeds::keep("config", text.as_bytes());
    let path = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    fs::write(&path, text).unwrap();
    path.to_str().unwrap().to_owned()
}

/// How a child ends; `None` if it does not within `patience`.
pub fn ended(child: &mut Child, patience: Duration) -> Option<ExitStatus> {
    let clock = Clock::start();
    loop {
        if let Some(status) = child.try_wait().unwrap() {
            return Some(status);
        }
        if clock.now().moment.since(Moment::default()) > patience {
            return None;
        }
        // Between two looks, not instead of one: std has no wait that ends.
        std::thread::sleep(Duration::from_millis(10));
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.read_on();
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

/// The resident memory of a process in bytes, exactly.
pub fn resident(process: u32) -> f64 {
    let rollup = fs::read_to_string(format!("/proc/{process}/smaps_rollup")).unwrap();
    let line = rollup.lines().find_map(|line| line.strip_prefix("Rss:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<f64>().unwrap() * 1024.0
}
