//! A daemon for one test, and clients that talk to it over UDP.

use std::io::ErrorKind;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::path::Path;
use std::time::Duration;

use hairpin::clock::Clock;
use hairpin::config::Config;
use hairpin::daemon::Daemon;
use hairpin::sections::relay::Switch;
use hairpin::sections::value::Text as _;

use super::certificate::Folder;
use super::session::{Session, Turn};
use super::stun::{
    ALLOCATE, Builder, Message, REQUESTED_ADDRESS_FAMILY, REQUESTED_TRANSPORT, XOR_RELAYED_ADDRESS,
    channel_data,
};

/// Two shards whatever the machine has, so that clients meet across them.
const CONFIG: &str = r#"
threads = 2
addresses = ["127.0.0.1", "::1"]
[credentials]
realm = "hairpin.test"
users = { alice = "a password of the tests" }
[http]
listen = []
[limits]
allocations_per_user = 20000
allocations_per_ip = 20000
packets_per_second = 1000000
bits_per_second = 100000000000
answers_per_ip = 100000
answers_per_network = 100000
[peers]
loopback = true
"#;

/// What a test waits for an answer, which comes at once, or is lost.
pub const PATIENCE: Duration = Duration::from_secs(5);

/// Starts a daemon on loopback with its relay ports in `ports`, which no other test may use.
pub fn start(ports: &str) -> Daemon {
    start_on(ports, &["127.0.0.1:0", "[::1]:0"])
}

/// Starts a daemon that listens on `udp`.
pub fn start_on(ports: &str, udp: &[&str]) -> Daemon {
    Daemon::start(&config(ports, udp), Clock::start()).expect("the daemon starts")
}

/// Starts a daemon whose configuration the test has changed something in.
pub fn start_with(ports: &str, change: impl FnOnce(&mut Config)) -> Daemon {
    let mut config = config(ports, &["127.0.0.1:0"]);
    change(&mut config);
    Daemon::start(&config, Clock::start()).expect("the daemon starts")
}

/// The same, with a certificate for turn.example.
pub fn start_secure(ports: &str, change: impl FnOnce(&mut Config)) -> Daemon {
    let folder = Folder::new(ports);
    folder.pair("turn", "turn.example");
    start_with(ports, |config| {
        folder.configure(config, &["turn"]);
        change(config);
    })
}

/// The configuration of a daemon for a test. `HAIRPIN_RELAY__UDP_OFFLOAD` and `HAIRPIN_RELAY__SK_LOOKUP` change it for all
/// tests, as they do for a daemon that is a process of its own.
pub fn config(ports: &str, udp: &[&str]) -> Config {
    let mut config = Config::parse(&config_text(ports, udp), Path::new("test")).unwrap();
    if let Ok(offload) = std::env::var("HAIRPIN_RELAY__UDP_OFFLOAD") {
        config.relay.udp_offload = Switch::parse(&offload).unwrap();
    }
    if let Ok(lookup) = std::env::var("HAIRPIN_RELAY__SK_LOOKUP") {
        config.relay.sk_lookup = Switch::parse(&lookup).unwrap();
    }
    config
}

/// The same as the text of a file.
pub fn config_text(ports: &str, udp: &[&str]) -> String {
    let tcp = ["127.0.0.1:0", "[::1]:0"];
    format!("[listen]\nudp = {udp:?}\ntcp = {tcp:?}\n[relay]\nports = {ports:?}\n{CONFIG}")
}

/// A TURN client with a socket of its own.
pub struct Client {
    pub socket: UdpSocket,
    pub server: SocketAddr,
    session: Session,
}

impl Client {
    /// A client of the daemon's listener of the same family as `from`.
    pub fn of(daemon: &Daemon, from: &str) -> Self {
        let from: IpAddr = from.parse().unwrap();
        let listeners = daemon.addresses().udp.clone();
        let server = *listeners.iter().find(|address| address.is_ipv4() == from.is_ipv4()).unwrap();
        Self::to(server, from)
    }

    /// The same client, with another credential.
    #[must_use]
    pub fn with(mut self, username: &str, password: &str) -> Self {
        self.session.username = username.to_owned();
        self.session.password = password.to_owned();
        self
    }

    pub fn to(server: SocketAddr, from: IpAddr) -> Self {
        Self { socket: peer(from), server, session: Session::default() }
    }

    /// Allocates an address of the client's own family.
    pub fn allocate(&mut self) -> SocketAddr {
        let answer = self.try_allocate(|request| request);
        assert_eq!(answer.code(), None);
        answer.address(XOR_RELAYED_ADDRESS)
    }

    pub fn try_allocate(&mut self, extend: impl Fn(Builder) -> Builder) -> Message {
        self.challenge();
        let mut request = self.request(ALLOCATE).attr(REQUESTED_TRANSPORT, &[17, 0, 0, 0]);
        if self.server.is_ipv6() {
            request = request.attr(REQUESTED_ADDRESS_FAMILY, &[2, 0, 0, 0]);
        }
        self.ask(extend(request))
    }

    pub fn exchange(&self, message: &[u8]) -> Message {
        self.send(message);
        Message::read(&self.receive())
    }

    pub fn send(&self, message: &[u8]) {
        self.socket.send_to(message, self.server).unwrap();
    }

    /// The next datagram, which must come from the address that the client talks to.
    pub fn receive(&self) -> Vec<u8> {
        let (datagram, from) = receive(&self.socket);
        assert_eq!(from, self.server);
        datagram
    }
}

/// A client whose packets go to a peer and back.
pub struct Call {
    pub client: Client,
    pub peer: UdpSocket,
    pub relayed: SocketAddr,
}

/// The channel of every call.
pub const CHANNEL: u16 = 0x4000;

impl Call {
    pub fn begin(mut client: Client) -> Self {
        let relayed = client.allocate();
        let peer = peer([127, 0, 0, 1].into());
        client.bind(CHANNEL, peer.local_addr().unwrap());
        Self { client, peer, relayed }
    }

    /// One packet up, and one down.
    pub fn goes_on(&self) {
        self.client.send(&channel_data(CHANNEL, b"up"));
        assert_eq!(receive(&self.peer), (b"up".to_vec(), self.relayed));
        self.peer.send_to(b"down", self.relayed).unwrap();
        assert_eq!(self.client.receive(), channel_data(CHANNEL, b"down"));
    }
}

impl Turn for Client {
    fn session(&mut self) -> &mut Session {
        &mut self.session
    }

    fn send(&mut self, message: &[u8]) {
        Self::send(self, message);
    }

    fn exchange(&mut self, request: &[u8]) -> Message {
        Self::exchange(self, request)
    }
}

/// A peer's socket.
pub fn peer(ip: IpAddr) -> UdpSocket {
    let socket = UdpSocket::bind(SocketAddr::new(ip, 0)).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    socket
}

/// The next datagram that arrives.
pub fn receive(socket: &UdpSocket) -> (Vec<u8>, SocketAddr) {
    let mut buffer = vec![0; 65_536];
    loop {
        match socket.recv_from(&mut buffer) {
            Ok((length, from)) => {
                buffer.truncate(length);
                return (buffer, from);
            }
            // A signal, such as that a child of another test has ended, is no answer.
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => panic!("no datagram arrives: {error}"),
        }
    }
}
