//! A daemon with certificates, and clients of it over UDP, TCP and TLS.

use std::net::{SocketAddrV4, UdpSocket};
use std::path::Path;
use std::sync::Arc;
use std::time::SystemTime;

use rustls::ClientConfig;

use crate::Outcome;
use crate::authority::{Authority, CERTIFICATE, KEY, client_of};
use crate::child::{Daemon as Child, Folder};
use crate::link::Link;
use crate::net::{loopback, raise_file_limit};
use crate::server;
use crate::stream::Stream;
use crate::turn::{Credential, Session};

const SECRET: &str = "a secret of the benches that is long enough to be taken";
/// UDP, TCP and TLS alike; below the ports that the kernel gives away, and benches/run takes.
const PORT: u16 = 9490;
const OPEN_FILES: u64 = 8192;
const CHANNEL: u16 = 0x4000;

pub struct Daemon {
    child: Child,
    trust: Arc<ClientConfig>,
    credential: Credential,
    /// Goes after the daemon.
    _folder: Folder,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Transport {
    Udp,
    Tcp,
    Tls,
}

impl Transport {
    pub fn name(self) -> &'static str {
        match self {
            Self::Udp => "UDP",
            Self::Tcp => "TCP",
            Self::Tls => "TLS",
        }
    }
}

impl Daemon {
    /// Starts one with so many threads that relay, and no limit in the way.
    pub fn start(threads: &str) -> Outcome<Self> {
        raise_file_limit(OPEN_FILES)?;
        let folder = Folder::new("streams")?;
        let path = folder.path();
        let trusted = path.join("authority.pem");
        let authority = Authority::new()?;
        authority.introduce(&trusted)?;
        authority.renew(path, 1)?;
        let trust = client_of(&trusted)?;
        let credential = Credential::issue(SECRET, SystemTime::now())?;
        let child = Child::start(&folder, "daemon", &config(path, threads), "serves STUN and TURN")?;
        Ok(Self { child, trust, credential, _folder: folder })
    }

    pub fn pid(&self) -> u32 {
        self.child.pid()
    }

    pub fn resident(&self) -> Outcome<u64> {
        server::resident(self.pid())
    }

    pub fn address() -> SocketAddrV4 {
        loopback(PORT)
    }

    /// A client that has said nothing yet.
    pub fn connect(&self, transport: Transport) -> Outcome<Session> {
        let link = match transport {
            Transport::Udp => {
                let socket = UdpSocket::bind(loopback(0))?;
                socket.connect(Self::address())?;
                Link::Datagrams(socket)
            }
            Transport::Tcp => Link::Stream(Box::new(Stream::tcp(Self::address())?)),
            Transport::Tls => Link::Stream(Box::new(Stream::tls(Self::address(), &self.trust)?)),
        };
        Ok(Session::new(link))
    }

    pub fn allocate(&self, session: &mut Session) -> Outcome<SocketAddrV4> {
        session.allocate(&self.credential)
    }

    /// A client with a channel to `peer`, and its relayed address.
    pub fn client(&self, transport: Transport, peer: SocketAddrV4) -> Outcome<(Session, SocketAddrV4)> {
        let mut session = self.connect(transport)?;
        let relayed = self.allocate(&mut session)?;
        session.bind_channel(CHANNEL, peer, &self.credential)?;
        Ok((session, relayed))
    }
}

/// A payload of a multiple of four bytes as `ChannelData` of the clients that [`Daemon::client`] makes.
pub fn channel_data(payload: &[u8]) -> Vec<u8> {
    let length = u16::try_from(payload.len()).expect("our payloads are short");
    [&CHANNEL.to_be_bytes(), &length.to_be_bytes(), payload].concat()
}

/// The payload of `ChannelData`.
pub fn payload(message: &[u8]) -> Option<&[u8]> {
    message.strip_prefix(&CHANNEL.to_be_bytes())?.get(2..)
}

fn config(folder: &Path, threads: &str) -> String {
    let (certificate, key) = (folder.join(CERTIFICATE), folder.join(KEY));
    let listen = [Daemon::address().to_string()];
    format!(
        r#"
        [http]
        listen = []
        [listen]
        udp = {listen:?}
        tcp = {listen:?}
        [tls]
        certificate = {certificate:?}
        key = {key:?}
        [relay]
        addresses = ["127.0.0.1"]
        ports = "50000-59999"
        threads = {threads}
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
        packets_per_second = 1000000
        bits_per_second = 100000000000
        answers_per_ip = 1000000
        answers_per_network = 1000000
        "#
    )
}
