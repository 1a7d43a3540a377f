//! The daemon as a process of its own, which ends with the test.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};

use super::daemon::PATIENCE;

/// A running daemon, ready to serve.
pub struct Process {
    child: Child,
    pub udp: Vec<SocketAddr>,
    pub tcp: Vec<SocketAddr>,
    pub tls: Vec<SocketAddr>,
    /// What it says, line by line.
    pub log: Receiver<String>,
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

    fn run(name: &str, config: &str, mut command: Command) -> Self {
        let file = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        fs::write(&file, config).unwrap();
        let mut child = command.arg("--config").arg(&file).stderr(Stdio::piped()).spawn().unwrap();
        let lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let (say, log) = channel();
        // Ends with the process, whose end of the pipe then closes.
        std::thread::spawn(move || lines.map_while(Result::ok).try_for_each(|line| say.send(line)));
        let mut process = Self { child, udp: Vec::new(), tcp: Vec::new(), tls: Vec::new(), log };
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
        let id = self.id().to_string();
        assert!(Command::new("kill").args(["-HUP", &id]).status().unwrap().success());
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

impl Drop for Process {
    fn drop(&mut self) {
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
