//! A daemon under measurement: a child process that no limit keeps from being filled.

use std::fs::{self, File};
use std::net::SocketAddrV4;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::thread;
use std::time::{Duration, Instant};

use crate::Outcome;
use crate::net::{loopback, raise_file_limit};
use crate::server;

/// Below the ports that the kernel gives away, and beside those of the other benches.
const HTTP: u16 = 9580;
const TURN: u16 = 9590;
const READY_WITHIN: Duration = Duration::from_secs(10);
const READY_PAUSE: Duration = Duration::from_millis(50);
const OPEN_FILES: u64 = 8192;

pub struct Daemon {
    child: Child,
    folder: PathBuf,
}

impl Daemon {
    pub fn start(capacity: usize) -> Outcome<Self> {
        raise_file_limit(OPEN_FILES).map_err(|error| error.to_string())?;
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("rooms-{}", std::process::id()));
        fs::create_dir_all(&folder)?;
        let (file, log) = (folder.join("config.toml"), folder.join("log"));
        fs::write(&file, config(capacity))?;
        // If the measurement is killed, its daemon ends with it.
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "KILL", env!("CARGO_BIN_EXE_hairpin")]);
        let child = command.arg("--config").arg(&file).stderr(File::create(&log)?).spawn()?;
        let mut daemon = Self { child, folder };
        daemon.wait_until_ready(&log)?;
        Ok(daemon)
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    pub fn resident(&self) -> Outcome<u64> {
        server::resident(self.pid()).map_err(|error| error.to_string().into())
    }

    pub fn http(&self) -> SocketAddrV4 {
        loopback(HTTP)
    }

    fn wait_until_ready(&mut self, log: &Path) -> Outcome<()> {
        let deadline = Instant::now() + READY_WITHIN;
        while Instant::now() < deadline && self.child.try_wait()?.is_none() {
            if fs::read_to_string(log)?.contains("pages, credentials and rooms") {
                return Ok(());
            }
            thread::sleep(READY_PAUSE);
        }
        Err(format!("the daemon does not start:\n{}", fs::read_to_string(log)?).into())
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        // It is ours, and may be gone already.
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = fs::remove_dir_all(&self.folder);
    }
}

fn config(capacity: usize) -> String {
    let (http, turn) = ([loopback(HTTP).to_string()], [loopback(TURN).to_string()]);
    format!(
        r#"
        [http]
        listen = {http:?}
        [listen]
        udp = {turn:?}
        tcp = []
        [relay]
        addresses = ["127.0.0.1"]
        ports = "50000-50999"
        [credentials]
        secrets = ["a secret of the benches that is long enough to be taken"]
        [rooms]
        capacity = {capacity}
        sockets_per_ip = 100000
        joins_per_minute = 1000000
        [limits]
        connections_per_ip = 100000
        "#
    )
}
