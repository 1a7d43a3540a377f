//! A daemon under measurement: a child process that no limit keeps from being filled.

use std::fs::{self, File};
use std::net::SocketAddrV4;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use rustls::ClientConfig;

use crate::Outcome;
use crate::authority::{Authority, CERTIFICATE, KEY, client_of};
use crate::net::{loopback, raise_file_limit};
use crate::server;

/// Below the ports that the kernel gives away, and beside those of the other benches.
const HTTP: u16 = 9580;
const TURN: u16 = 9590;
const TLS: u16 = 9543;
/// The site that members say they are of.
pub const PUBLIC: &str = "https://rooms.example";
const READY_WITHIN: Duration = Duration::from_secs(10);
const READY_PAUSE: Duration = Duration::from_millis(50);
const OPEN_FILES: u64 = 8192;

/// A port of the daemon, and whom to trust behind it.
#[derive(Clone)]
pub struct Door {
    pub address: SocketAddrV4,
    pub trust: Option<Arc<ClientConfig>>,
}

pub struct Daemon {
    child: Child,
    folder: PathBuf,
    trust: Arc<ClientConfig>,
}

impl Daemon {
    pub fn start(capacity: usize) -> Outcome<Self> {
        raise_file_limit(OPEN_FILES)?;
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("rooms-{}", std::process::id()));
        fs::create_dir_all(&folder)?;
        let (trusted, file, log) =
            (folder.join("authority.pem"), folder.join("config.toml"), folder.join("log"));
        let authority = Authority::new()?;
        authority.introduce(&trusted)?;
        authority.renew(&folder, 1)?;
        fs::write(&file, config(&folder, capacity))?;
        // If the measurement is killed, its daemon ends with it.
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "KILL", env!("CARGO_BIN_EXE_hairpin")]);
        let child = command.arg("--config").arg(&file).stderr(File::create(&log)?).spawn()?;
        let mut daemon = Self { child, folder, trust: client_of(&trusted)? };
        daemon.wait_until_ready(&log)?;
        Ok(daemon)
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    pub fn resident(&self) -> Outcome<u64> {
        server::resident(self.pid())
    }

    /// Where members find it: over TLS, or not.
    pub fn door(&self, secure: bool) -> Door {
        let port = if secure { TLS } else { HTTP };
        Door { address: loopback(port), trust: secure.then(|| Arc::clone(&self.trust)) }
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

fn config(folder: &Path, capacity: usize) -> String {
    let [http, turn, tls] = [HTTP, TURN, TLS].map(|port| [loopback(port).to_string()]);
    let (certificate, key) = (folder.join(CERTIFICATE), folder.join(KEY));
    format!(
        r#"
        [http]
        listen = {http:?}
        public_url = "{PUBLIC}"
        [listen]
        udp = {turn:?}
        tcp = []
        tls = {tls:?}
        [tls]
        certificate = {certificate:?}
        key = {key:?}
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
