//! One connection: its socket, TLS if it uses it, and what waits to be sent.

use std::io::{self, Read as _};
use std::net::{Shutdown, SocketAddr};
use std::time::Duration;

use mio::net::TcpStream;

use crate::bounds::admission::Permit;
use crate::clock::Moment;
use crate::outcome::Ending;
use crate::relay::framing::MESSAGE_MAX;
use crate::relay::patience::{IDLE, Patience, STALLED};
use crate::relay::streams::outbox::{Outbox, Spares};
use crate::relay::streams::role::Role;
use crate::relay::streams::tls::{ENCRYPTED_MAX, TlsSession};

/// One connection.
pub(super) struct Stream {
    pub(super) socket: TcpStream,
    pub(super) tls: Option<TlsSession>,
    /// The other end.
    pub(super) remote: SocketAddr,
    pub(super) role: Role,
    pub(super) permit: Permit,
    pub(super) patience: Patience,
    /// Its entry in the deadlines: no later than the end of its patience.
    pub(super) deadline: Moment,
    /// Bytes that arrived and could not be processed yet: the beginning of a message.
    pub(super) unfinished: Vec<u8>,
    outbox: Outbox,
    pub(super) flags: Flags,
    /// How it has ended, if something was still to be done then.
    pub(super) ended: Option<Ending>,
}

/// The state of a connection.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Flags {
    /// The other side has sent its last byte. Reading must go on until the end is reached, because no event will report
    /// it.
    pub(super) closing: bool,
    /// The unprocessed bytes contain whole messages, and nothing more is read until these are processed.
    pub(super) backlog: bool,
    /// It exceeded its rate, and is not read until its pause is over.
    pub(super) paused: bool,
    /// It came from another shard, and is not moved again.
    pub(super) moved: bool,
    /// It is not read while the outbox of its mate is full.
    pub(super) held: bool,
    /// Its client had an allocation at the last answer, so it keeps its place among the connections.
    pub(super) settled: bool,
}

/// The bytes of a connection: what was left over, and what arrived now.
pub(super) struct Arrived {
    bytes: Box<[u8]>,
    end: usize,
}

/// The most bytes held for a client that does not read: the outbox, and what TLS has already encrypted.
const HELD_MAX: usize = 256 << 10;
/// The most bytes in an outbox.
pub(super) const OUTBOX_MAX: usize = HELD_MAX - ENCRYPTED_MAX;
/// How much unsent data the kernel may hold: enough to keep a fast link busy, and no more, because data in the kernel
/// can no longer be dropped.
const NOT_SENT_MAX: u32 = 64 << 10;
/// How often the kernel probes whether an idle client still exists, and how many probes may fail.
const PROBE: Duration = Duration::from_secs(15);
const PROBES: u32 = 4;
/// How much one turn reads.
pub(super) const READ: usize = 16 << 10;
/// The beginning of a message, one turn's worth, and one record that TLS had not decrypted before.
const ARRIVED: usize = MESSAGE_MAX + 3 * READ;
/// Larger buffers are released when they are empty.
const KEPT: usize = 4 << 10;

impl Arrived {
    /// An empty buffer.
    pub(super) fn new() -> Self {
        Self { bytes: vec![0; ARRIVED].into(), end: 0 }
    }

    /// The bytes.
    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes[..self.end]
    }

    /// Starts again, with what was left over.
    pub(super) fn begin(&mut self, before: &[u8]) {
        self.end = before.len();
        self.bytes[..self.end].copy_from_slice(before);
    }

    /// Appends what `read` writes into the room that is left; it returns how many bytes these are.
    pub(super) fn append<E>(&mut self, read: impl FnOnce(&mut [u8]) -> Result<usize, E>) -> Result<(), E> {
        self.end += read(&mut self.bytes[self.end..])?;
        Ok(())
    }
}

impl Stream {
    pub(super) fn new(
        socket: TcpStream,
        tls: Option<TlsSession>,
        remote: SocketAddr,
        role: Role,
        patience: Patience,
        permit: Permit,
    ) -> Self {
        tune(&socket);
        let (deadline, _) = patience.end(false);
        Self {
            socket,
            tls,
            remote,
            role,
            permit,
            patience,
            deadline,
            unfinished: Vec::new(),
            outbox: Outbox::default(),
            flags: Flags::default(),
            ended: None,
        }
    }

    /// Whether its client has an allocation. If so, the connection cannot be evicted. When the client gives the
    /// allocation back, the connection may be evicted again, as if it were new.
    pub(super) fn stand(&mut self, allocated: bool) {
        if allocated {
            self.patience.authenticate();
        }
        if std::mem::replace(&mut self.flags.settled, allocated) != allocated {
            if allocated { self.permit.settle() } else { self.permit.renew() }
        }
    }

    /// Whether a connection to a peer has been established; `None` while that is unknown. Later, whether it still is.
    pub(super) fn is_connected(&self) -> Option<bool> {
        match (self.socket.take_error(), self.socket.peer_addr()) {
            (Ok(None), Ok(_)) => Some(true),
            (Ok(None), Err(_)) => None,
            _ => Some(false),
        }
    }

    /// How many bytes wait in the outbox.
    pub(super) fn waiting(&self) -> usize {
        self.outbox.held()
    }

    pub(super) fn has_to_send(&self) -> bool {
        !self.outbox.is_empty() || self.tls.as_ref().is_some_and(TlsSession::has_to_send)
    }

    /// Puts a whole message, in parts, into the outbox, unless the outbox would then hold more than `most` bytes. An empty
    /// outbox gets a buffer from `spares`.
    pub(super) fn push(&mut self, parts: &[&[u8]], most: usize, spares: &mut Spares) -> bool {
        if self.outbox.is_empty() {
            self.outbox = spares.take();
        }
        self.outbox.push(parts, most)
    }

    /// Gives the outbox's buffer back, if nothing waits in it.
    pub(super) fn spare(&mut self, spares: &mut Spares) {
        spares.keep(&mut self.outbox);
    }

    /// Keeps bytes that could not be processed yet.
    pub(super) fn keep(&mut self, unfinished: &[u8]) {
        self.unfinished.clear();
        if unfinished.is_empty() && self.unfinished.capacity() > KEPT {
            self.unfinished = Vec::new();
        }
        self.unfinished.extend_from_slice(unfinished);
    }

    /// Reads a turn's worth; returns whether there may be more.
    pub(super) fn read(&mut self, arrived: &mut Arrived, records: &mut [u8]) -> Result<bool, Ending> {
        let Some(tls) = &mut self.tls else {
            let room = &mut arrived.bytes[arrived.end..arrived.end + READ];
            let Some(count) = read(&mut self.socket, room)? else { return Ok(false) };
            arrived.end += count;
            return Ok(count == READ || self.flags.closing);
        };
        tls.take(arrived)?;
        let Some(count) = read(&mut self.socket, records)? else { return Ok(false) };
        tls.decrypt(&records[..count], arrived)?;
        Ok(count == records.len() || self.flags.closing)
    }

    /// Sends what the socket takes, many messages at once; returns whether it took anything.
    pub(super) fn send(&mut self) -> io::Result<bool> {
        let mut progress = false;
        while self.has_to_send() {
            let sent = match &mut self.tls {
                None => self.outbox.write_to(&mut self.socket, usize::MAX),
                Some(tls) => tls.send(&mut self.outbox, &mut self.socket),
            };
            match sent {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(_) => progress = true,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(progress)
    }

    /// Closes the sending side, and waits for a while for the other end to close too.
    pub(super) fn shut(&mut self, now: Moment) {
        self.patience.leaving(now);
        self.say_goodbye();
        // If the connection has already failed, reading will report it.
        let _ = self.socket.shutdown(Shutdown::Write);
    }

    /// Removes the limit on unacknowledged data: the other end may be a person who pauses a download, and only the
    /// outbox is held meanwhile. Best effort, as setting the limit was.
    pub(super) fn be_patient(&self) {
        let _ = socket2::SockRef::from(&self.socket).set_tcp_user_timeout(None);
    }

    /// Sends a TLS close, as far as that is possible at once.
    pub(super) fn part(&mut self) {
        // The connection ends anyway, even after an error.
        let _ = self.send();
        self.say_goodbye();
    }

    /// The other end reads nothing after this, so it is sent last or not at all.
    fn say_goodbye(&mut self) {
        if let Some(tls) = self.tls.as_mut().filter(|_| self.outbox.is_empty()) {
            tls.say_goodbye();
            let _ = self.send();
        }
    }
}

/// Reads once; `None` if nothing is available.
fn read(socket: &mut TcpStream, room: &mut [u8]) -> Result<Option<usize>, Ending> {
    loop {
        match socket.read(room) {
            Ok(0) => return Err(Ending::Closed),
            Ok(count) => return Ok(Some(count)),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(None),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(_) => return Err(Ending::Closed),
        }
    }
}

/// Media should be sent at once, and not wait in the kernel behind data that is no longer useful. A client that has
/// vanished must be noticed. Best effort: the connection works without these options.
fn tune(socket: &TcpStream) {
    let socket = socket2::SockRef::from(socket);
    let keepalive = socket2::TcpKeepalive::new().with_time(IDLE).with_interval(PROBE).with_retries(PROBES);
    let _ = socket.set_tcp_nodelay(true);
    let _ = socket.set_tcp_notsent_lowat(NOT_SENT_MAX);
    let _ = socket.set_tcp_user_timeout(Some(STALLED));
    let _ = socket.set_tcp_keepalive(&keepalive);
}
