//! TLS on a connection: decrypts the records that arrived, and puts messages into records.

use std::io::{self, Read as _};

use mio::net::TcpStream;
use rustls::ServerConnection;

use crate::outcome::Ending;
use crate::relay::streams::outbox::Outbox;
use crate::relay::streams::stream::Arrived;

/// TLS on one connection, after the handshake.
#[derive(Debug)]
pub struct TlsSession {
    connection: Box<ServerConnection>,
    /// Whether messages share records. Some clients take a record for a message, such as Debian's `turnutils_uclient`.
    coalesce: bool,
}

/// How much is encrypted at once, unless one message is longer; rustls itself takes at most [`ENCRYPTED_MAX`].
const CHUNK: usize = 32 << 10;
pub(super) const ENCRYPTED_MAX: usize = 64 << 10;
/// The most bytes of messages that share a record. A record is decrypted when its last byte has arrived, so on a slow link
/// its first message would wait long for the last one of a larger record.
const RECORD: usize = 4 << 10;

impl TlsSession {
    /// The session of a connection. With `coalesce`, messages that are sent together share records.
    #[must_use]
    pub fn new(connection: ServerConnection, coalesce: bool) -> Self {
        Self { connection: Box::new(connection), coalesce }
    }

    /// Whether something is encrypted that has not been sent.
    pub(super) fn has_to_send(&self) -> bool {
        self.connection.wants_write()
    }

    /// Appends what has been decrypted.
    pub(super) fn take(&mut self, arrived: &mut Arrived) -> Result<(), Ending> {
        match arrived.append(|room| self.connection.reader().read(room)) {
            Ok(_) => Ok(()),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(()),
            Err(_) => Err(Ending::Closed),
        }
    }

    /// Decrypts what arrived on the socket, and appends it.
    pub(super) fn decrypt(&mut self, mut records: &[u8], arrived: &mut Arrived) -> Result<(), Ending> {
        while !records.is_empty() {
            self.connection.read_tls(&mut records).map_err(|_| Ending::BadMessage)?;
            let state = self.connection.process_new_packets().map_err(|_| Ending::BadMessage)?;
            if state.plaintext_bytes_to_read() > 0 {
                self.take(arrived)?;
            }
            if state.peer_has_closed() {
                return Err(Ending::Closed);
            }
        }
        Ok(())
    }

    /// Sends the records that wait, many in one call. If there are none, messages are encrypted first.
    pub(super) fn send(&mut self, outbox: &mut Outbox, socket: &mut TcpStream) -> io::Result<usize> {
        if !self.has_to_send() {
            self.encrypt(outbox)?;
        }
        self.connection.write_tls(socket)
    }

    /// Announces that nothing more is sent.
    pub(super) fn say_goodbye(&mut self) {
        self.connection.send_close_notify();
    }

    /// Encrypts messages, until there is enough for one system call.
    fn encrypt(&mut self, outbox: &mut Outbox) -> io::Result<()> {
        let most = if self.coalesce { RECORD } else { 0 };
        let mut encrypted = 0;
        while encrypted < CHUNK && !outbox.is_empty() {
            encrypted += outbox.write_to(&mut self.connection.writer(), most)?;
        }
        Ok(())
    }
}
