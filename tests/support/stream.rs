//! TURN clients over TCP and over TLS.

use std::fmt::Debug;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use hairpin::clock::Clock;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::ring;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::version::TLS13;
use rustls::{
    ClientConfig, ClientConnection, DigitallySignedStruct, SignatureScheme, SupportedProtocolVersion,
};

use super::daemon::PATIENCE;
use super::session::{Session, Turn};
use super::stun::{ALLOCATE, BINDING, LIFETIME, Message, REFRESH, REQUESTED_TRANSPORT, XOR_RELAYED_ADDRESS};

/// A TCP connection, with TLS in it or without.
pub struct Connection {
    pub socket: TcpStream,
    pub tls: Option<Box<ClientConnection>>,
}

/// A TURN client with a connection of its own.
pub struct Client {
    pub connection: Connection,
    pub session: Session,
    /// What has arrived, and is no whole message yet.
    unread: Vec<u8>,
}

/// What a test wants to know of a connection's end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    Closed,
    StillOpen,
}

/// Connects, from any address.
pub fn connect(server: SocketAddr) -> TcpStream {
    ready(TcpStream::connect(server).unwrap())
}

/// Connects from an address.
pub fn connect_from(from: IpAddr, server: SocketAddr) -> TcpStream {
    let socket =
        socket2::Socket::new(socket2::Domain::for_address(server), socket2::Type::STREAM, None).unwrap();
    socket.bind(&SocketAddr::new(from, 0).into()).unwrap();
    socket.connect(&server.into()).unwrap();
    ready(socket.into())
}

fn ready(socket: TcpStream) -> TcpStream {
    socket.set_nodelay(true).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    socket.set_write_timeout(Some(PATIENCE)).unwrap();
    socket
}

/// Reads to the end of a connection, or for as long as the socket's timeout allows; returns what came.
pub fn rest(mut socket: impl Read) -> (Vec<u8>, End) {
    let (mut all, mut buffer) = (Vec::new(), [0; 4096]);
    loop {
        match socket.read(&mut buffer) {
            Ok(0) => return (all, End::Closed),
            Ok(count) => all.extend(&buffer[..count]),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                return (all, End::StillOpen);
            }
            Err(_) => return (all, End::Closed),
        }
    }
}

impl Connection {
    /// TLS over a connection; what goes wrong with the handshake is returned.
    pub fn secure(mut socket: TcpStream, config: &Arc<ClientConfig>, name: &'static str) -> io::Result<Self> {
        let mut tls = ClientConnection::new(Arc::clone(config), name.try_into().unwrap()).unwrap();
        while tls.is_handshaking() {
            tls.complete_io(&mut socket)?;
        }
        Ok(Self { socket, tls: Some(Box::new(tls)) })
    }
}

impl Read for Connection {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match &mut self.tls {
            None => self.socket.read(buffer),
            Some(tls) => rustls::Stream::new(tls.as_mut(), &mut self.socket).read(buffer),
        }
    }
}

impl Write for Connection {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match &mut self.tls {
            None => self.socket.write(bytes),
            Some(tls) => rustls::Stream::new(tls.as_mut(), &mut self.socket).write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match &mut self.tls {
            None => self.socket.flush(),
            Some(tls) => rustls::Stream::new(tls.as_mut(), &mut self.socket).flush(),
        }
    }
}

impl Client {
    pub fn over(connection: Connection) -> Self {
        Self { connection, session: Session::default(), unread: Vec::new() }
    }

    pub fn tcp(server: SocketAddr) -> Self {
        Self::over(Connection { socket: connect(server), tls: None })
    }

    pub fn tcp_from(from: IpAddr, server: SocketAddr) -> Self {
        Self::over(Connection { socket: connect_from(from, server), tls: None })
    }

    /// A client that verifies nothing, over TLS 1.3.
    pub fn tls(server: SocketAddr) -> Self {
        let config = Arc::new(tls_config(&TLS13, &["stun.turn"]));
        Self::over(Connection::secure(connect(server), &config, "turn.example").unwrap())
    }

    /// Asks who it is.
    pub fn mapped(&mut self) -> SocketAddr {
        let request = self.request(BINDING);
        self.exchange(&request.0).address(super::stun::XOR_MAPPED_ADDRESS)
    }

    pub fn allocate(&mut self) -> SocketAddr {
        let answer = self.try_allocate();
        assert_eq!(answer.code(), None);
        answer.address(XOR_RELAYED_ADDRESS)
    }

    pub fn try_allocate(&mut self) -> Message {
        self.challenge();
        let request = self.request(ALLOCATE).attr(REQUESTED_TRANSPORT, &[17, 0, 0, 0]);
        self.ask(request)
    }

    pub fn refresh(&mut self, lifetime: u32) -> Message {
        let request = self.request(REFRESH).attr(LIFETIME, &lifetime.to_be_bytes());
        self.ask(request)
    }

    pub fn exchange(&mut self, message: &[u8]) -> Message {
        self.send(message);
        let answer = Message::read(&self.receive());
        assert_eq!(answer.transaction[..], message[8..20]);
        answer
    }

    /// Sends everything at once.
    pub fn send(&mut self, bytes: &[u8]) {
        self.connection.write_all(bytes).unwrap();
        self.connection.flush().unwrap();
    }

    /// Sends each byte by itself: in its own segment, and with TLS in its own record.
    pub fn drip(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|byte| self.send(std::slice::from_ref(byte)));
    }

    /// The next message, with its padding.
    pub fn receive(&mut self) -> Vec<u8> {
        self.next().expect("a message comes before the end")
    }

    /// The next message, or `None` when the connection has ended between two messages.
    pub fn next(&mut self) -> Option<Vec<u8>> {
        let mut buffer = [0; 16 << 10];
        loop {
            if let Some(length) = message_length(&self.unread).filter(|length| *length <= self.unread.len()) {
                return Some(self.unread.drain(..length).collect());
            }
            match self.connection.read(&mut buffer) {
                Ok(0) => {
                    assert!(self.unread.is_empty(), "the connection ends within a message");
                    return None;
                }
                Ok(count) => self.unread.extend(&buffer[..count]),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => panic!("no message arrives: {error}"),
            }
        }
    }

    /// The next bytes, whatever they are.
    pub fn bytes(&mut self, count: usize) -> Vec<u8> {
        let mut bytes: Vec<u8> = self.unread.drain(..count.min(self.unread.len())).collect();
        let begun = bytes.len();
        bytes.resize(count, 0);
        self.connection.read_exact(&mut bytes[begun..]).unwrap();
        bytes
    }

    /// Whether the daemon has closed the connection, after what it may have sent; waits for it.
    pub fn end(&mut self) -> End {
        rest(&mut self.connection).1
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

/// How long the message is that `bytes` begin with, padding included.
fn message_length(bytes: &[u8]) -> Option<usize> {
    let field = bytes.get(2..4)?;
    let length = usize::from(u16::from_be_bytes([field[0], field[1]]));
    match bytes[0] >> 6 {
        0 => Some(20 + length),
        1 => Some((4 + length).next_multiple_of(4)),
        _ => panic!("neither STUN nor ChannelData: {:?}", &bytes[..4]),
    }
}

/// A ChannelData message as a stream carries it: padded.
pub fn padded_channel_data(number: u16, payload: &[u8]) -> Vec<u8> {
    let mut message = super::stun::channel_data(number, payload);
    message.resize(message.len().next_multiple_of(4), 0);
    message
}

/// TLS of one version for a client that believes everything.
pub fn tls_config(version: &'static SupportedProtocolVersion, alpn: &[&str]) -> ClientConfig {
    let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()));
    let builder = builder.with_protocol_versions(&[version]).unwrap().dangerous();
    let mut config = builder.with_custom_certificate_verifier(Arc::new(Gullible)).with_no_client_auth();
    config.alpn_protocols = alpn.iter().map(|protocol| protocol.as_bytes().to_vec()).collect();
    config
}

/// The first flight of a TLS client.
pub fn client_hello() -> Vec<u8> {
    let config = Arc::new(tls_config(&TLS13, &["stun.turn"]));
    let mut tls = ClientConnection::new(config, "turn.example".try_into().unwrap()).unwrap();
    let mut hello = Vec::new();
    tls.write_tls(&mut hello).unwrap();
    hello
}

/// Waits until something holds, which it must soon.
pub fn eventually(what: &str, holds: impl FnMut() -> bool) {
    within(PATIENCE, what, holds);
}

/// Waits until something holds, for at most so long; returns how long it took.
pub fn within(limit: Duration, what: &str, mut holds: impl FnMut() -> bool) -> Duration {
    let clock = Clock::start();
    let begun = clock.now().moment;
    loop {
        let holds = holds();
        let elapsed = clock.now().moment.since(begun);
        if holds && elapsed <= limit {
            return elapsed;
        }
        assert!(elapsed <= limit, "not within {limit:?}: {what}");
        // Most things take no time, and what does take some should have the processor.
        if elapsed < Duration::from_millis(2) {
            std::thread::yield_now();
        } else {
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

/// Believes every certificate.
#[derive(Debug)]
struct Gullible;

impl ServerCertVerifier for Gullible {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        ring::default_provider().signature_verification_algorithms.supported_schemes()
    }
}
