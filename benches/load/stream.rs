//! A client's TCP or TLS connection, as a sequence of STUN messages and `ChannelData`.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddrV4, TcpStream};
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::CertificateDer;
use rustls::{ClientConfig, ClientConnection};

use crate::Outcome;
use crate::authority::HOST;
use crate::net::uninterrupted;
use crate::stun::Response;

const PATIENCE: Duration = Duration::from_secs(5);
const STUN_HEADER: usize = 20;
const CHANNEL_HEADER: usize = 4;
const READ: usize = 16 << 10;

/// A blocking connection; what waits longer than five seconds is an error.
pub struct Stream {
    socket: TcpStream,
    tls: Option<Box<ClientConnection>>,
    received: Vec<u8>,
    /// How much of it has been handed out.
    taken: usize,
}

impl Stream {
    pub fn tcp(server: SocketAddrV4) -> io::Result<Self> {
        let socket = TcpStream::connect(server)?;
        socket.set_nodelay(true)?;
        socket.set_read_timeout(Some(PATIENCE))?;
        socket.set_write_timeout(Some(PATIENCE))?;
        Ok(Self { socket, tls: None, received: Vec::new(), taken: 0 })
    }

    /// Returns after the handshake.
    pub fn tls(server: SocketAddrV4, config: &Arc<ClientConfig>) -> Outcome<Self> {
        let mut stream = Self::tcp(server)?;
        let mut tls = ClientConnection::new(Arc::clone(config), HOST.try_into()?)?;
        while tls.is_handshaking() {
            tls.complete_io(&mut stream.socket)?;
        }
        stream.tls = Some(Box::new(tls));
        Ok(stream)
    }

    /// The certificate that the server has shown.
    pub fn certificate(&self) -> Option<&CertificateDer<'static>> {
        self.tls.as_ref()?.peer_certificates()?.first()
    }

    pub fn local_port(&self) -> io::Result<u16> {
        Ok(self.socket.local_addr()?.port())
    }

    /// Sends one message, whose length is a multiple of four, as one TLS record.
    pub fn send(&mut self, message: &[u8]) -> io::Result<()> {
        let Some(tls) = &mut self.tls else { return self.socket.write_all(message) };
        tls.writer().write_all(message)?;
        while tls.wants_write() {
            tls.write_tls(&mut self.socket)?;
        }
        Ok(())
    }

    /// Reads once, and waits for it.
    pub fn receive(&mut self) -> io::Result<()> {
        self.received.drain(..self.taken);
        self.taken = 0;
        let end = self.received.len();
        let Some(tls) = &mut self.tls else {
            self.received.resize(end + READ, 0);
            let count = uninterrupted(|| self.socket.read(&mut self.received[end..]));
            self.received.truncate(end + count.as_ref().unwrap_or(&0));
            return some(count?);
        };
        some(uninterrupted(|| tls.read_tls(&mut self.socket))?)?;
        tls.process_new_packets().map_err(io::Error::other)?;
        match tls.reader().read_to_end(&mut self.received) {
            Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(()),
            other => some(other?),
        }
    }

    /// The next whole message that was received.
    pub fn next(&mut self) -> Option<&[u8]> {
        let rest = &self.received[self.taken..];
        let [kind, _, high, low, ..] = *rest else { return None };
        let body = usize::from(u16::from_be_bytes([high, low]));
        let length = match kind >> 6 {
            0 => STUN_HEADER + body,
            _ => (CHANNEL_HEADER + body).next_multiple_of(4),
        };
        let message = rest.get(..length)?;
        self.taken += length;
        Some(message)
    }

    /// Sends a request and waits for the answer; data before it are lost.
    pub fn transact(&mut self, request: &[u8]) -> Outcome<Response> {
        self.send(request)?;
        loop {
            while let Some(message) = self.next() {
                if let Some(response) = Response::to(request, message) {
                    return Ok(response);
                }
            }
            self.receive()?;
        }
    }
}

impl AsFd for Stream {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

/// No bytes are the end, which nobody here expects.
fn some(count: usize) -> io::Result<()> {
    if count == 0 { Err(ErrorKind::UnexpectedEof.into()) } else { Ok(()) }
}
