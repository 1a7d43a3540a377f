//! A daemon whose rooms no limit keeps from being filled.

use std::net::SocketAddrV4;
use std::path::Path;
use std::sync::Arc;

use rustls::ClientConfig;

use crate::Outcome;
use crate::authority::{Authority, CERTIFICATE, KEY, client_of};
use crate::child::{Daemon as Child, Folder};
use crate::net::{loopback, raise_file_limit};
use crate::server;

/// Below the ports that the kernel gives away, and beside those of the other benches.
const HTTP: u16 = 9580;
const TURN: u16 = 9590;
const TLS: u16 = 9543;
/// The site that members say they are of.
pub const PUBLIC: &str = "https://rooms.example";
const OPEN_FILES: u64 = 8192;

/// A port of the daemon, and whom to trust behind it.
#[derive(Clone)]
pub struct Door {
    pub address: SocketAddrV4,
    pub trust: Option<Arc<ClientConfig>>,
}

pub struct Daemon {
    child: Child,
    trust: Arc<ClientConfig>,
    /// Goes after the daemon.
    _folder: Folder,
}

impl Daemon {
    pub fn start(capacity: usize) -> Outcome<Self> {
        raise_file_limit(OPEN_FILES)?;
        let folder = Folder::new("rooms")?;
        let trusted = folder.path().join("authority.pem");
        let authority = Authority::new()?;
        authority.introduce(&trusted)?;
        authority.renew(folder.path(), 1)?;
        let (config, trust) = (config(folder.path(), capacity), client_of(&trusted)?);
        let child = Child::start(&folder, "daemon", &config, "pages, credentials and rooms")?;
        Ok(Self { child, trust, _folder: folder })
    }

    pub fn pid(&self) -> u32 {
        self.child.pid()
    }

    pub fn resident(&self) -> Outcome<u64> {
        server::resident(self.pid())
    }

    /// Where members find it: over TLS, or not.
    pub fn door(&self, secure: bool) -> Door {
        let port = if secure { TLS } else { HTTP };
        Door { address: loopback(port), trust: secure.then(|| Arc::clone(&self.trust)) }
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
        handshakes_per_ip = 100000
        "#
    )
}
