//! What outlasts a daemon: its addresses, files and configuration, and what its clients know of it.

use std::net::{Ipv4Addr, SocketAddrV4, UdpSocket};
use std::sync::Arc;
use std::time::SystemTime;

use hairpin::api_key::KeyHash;
use rustls::ClientConfig;

use crate::Outcome;
use crate::authority::{Authority, CERTIFICATE, KEY, client_of};
use crate::child::{Daemon, Folder};
use crate::http::{self, Answer};
use crate::link::Link;
use crate::net::{loopback, raise_file_limit};
use crate::stream::Stream;
use crate::turn::{Credential, Session};

const SECRET: &str = "a secret of the benches that is long enough to be taken";
const API_KEY: &str = "a key of the benches";
/// UDP, TCP and TLS alike; below the ports that the kernel gives away, and that other benches take.
const TURN: u16 = 9690;
const HTTP: u16 = 9680;
/// Clients over UDP have an address of their own, and so do not take the ports that the daemon relays from.
const CLIENTS: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);
/// Twice as many as the largest measurement needs, because a network may have half of them.
pub const RELAY_PORTS: std::ops::RangeInclusive<u16> = 33_000..=60_999;

pub struct Site {
    pub folder: Folder,
    pub authority: Authority,
    pub credential: Credential,
    trust: Arc<ClientConfig>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Transport {
    Udp,
    Tcp,
    Tls,
}

pub const TRANSPORTS: [Transport; 3] = [Transport::Udp, Transport::Tcp, Transport::Tls];

impl Transport {
    pub fn name(self) -> &'static str {
        match self {
            Self::Udp => "UDP",
            Self::Tcp => "TCP",
            Self::Tls => "TLS",
        }
    }
}

impl Site {
    /// This process needs so many open files.
    pub fn new(open_files: u64) -> Outcome<Self> {
        raise_file_limit(open_files)?;
        let folder = Folder::new("operations")?;
        let trusted = folder.path().join("authority.pem");
        let authority = Authority::new()?;
        authority.introduce(&trusted)?;
        authority.renew(folder.path(), 1)?;
        let trust = client_of(&trusted)?;
        let credential = Credential::issue(SECRET, SystemTime::now())?;
        Ok(Self { folder, authority, credential, trust })
    }

    /// Starts a daemon whose files have this name. No limit is in the way, and it drains for so many seconds.
    pub fn start(&self, name: &str, drain: u64) -> Outcome<Daemon> {
        Daemon::start(&self.folder, name, &self.config(drain), "serves STUN and TURN")
    }

    pub fn address() -> SocketAddrV4 {
        loopback(TURN)
    }

    /// A client that has said nothing yet.
    pub fn connect(&self, transport: Transport) -> Outcome<Session> {
        let link = match transport {
            Transport::Udp => {
                let socket = UdpSocket::bind((CLIENTS, 0))?;
                socket.connect(Self::address())?;
                Link::Datagrams(socket)
            }
            Transport::Tcp => Link::Stream(Box::new(Stream::tcp(Self::address())?)),
            Transport::Tls => Link::Stream(Box::new(self.handshake()?)),
        };
        Ok(Session::new(link))
    }

    pub fn handshake(&self) -> Outcome<Stream> {
        Stream::tls(Self::address(), &self.trust)
    }

    /// What a load balancer asks.
    pub fn readiness() -> Outcome<Answer> {
        http::ask(loopback(HTTP), "GET /readyz", "")
    }

    /// What a backend asks when one of its users wants to call.
    pub fn request_credential() -> Outcome<Answer> {
        let lines = format!("Authorization: Bearer {API_KEY}\r\nContent-Length: 0\r\n");
        http::ask(loopback(HTTP), "POST /api/v1/ice-servers", &lines)
    }

    fn config(&self, drain: u64) -> String {
        let [certificate, key] = [CERTIFICATE, KEY].map(|file| self.folder.path().join(file));
        let [turn, http] = [TURN, HTTP].map(|port| [loopback(port).to_string()]);
        let (first, last) = RELAY_PORTS.into_inner();
        format!(
            r#"
            [http]
            listen = {http:?}
            [[http.keys]]
            id = "bench"
            hash = "{hash}"
            per_minute = 1000000
            [listen]
            udp = {turn:?}
            tcp = {turn:?}
            takeover = true
            [tls]
            certificate = {certificate:?}
            key = {key:?}
            [relay]
            addresses = ["127.0.0.1"]
            ports = "{first}-{last}"
            drain_timeout = "{drain}s"
            [credentials]
            realm = "bench"
            secrets = [{SECRET:?}]
            [peers]
            loopback = true
            [limits]
            allocations_per_user = 100000000
            allocations_per_ip = 100000000
            connections_per_ip = 100000
            handshakes_per_ip = 100000
            answers_per_ip = 1000000
            answers_per_network = 1000000
            "#,
            hash = KeyHash::of(API_KEY),
        )
    }
}
