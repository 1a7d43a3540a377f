//! One connection: its socket, TLS if it speaks it, and what waits to be sent.

use std::io::{self, Read as _, Write as _};
use std::net::{Shutdown, SocketAddr};
use std::time::Duration;

use mio::net::TcpStream;
use rustls::ServerConnection;

use crate::bounds::admission::Permit;
use crate::clock::Moment;
use crate::outcome::Ending;
use crate::relay::framing::MESSAGE_MAX;
use crate::relay::patience::{IDLE, Patience, STALLED};
use crate::relay::streams::outbox::Outbox;
use crate::relay::streams::role::Role;

/// One connection.
pub(super) struct Stream {
    pub(super) socket: TcpStream,
    pub(super) tls: Option<Box<ServerConnection>>,
    /// The other end.
    pub(super) remote: SocketAddr,
    pub(super) role: Role,
    pub(super) permit: Permit,
    pub(super) patience: Patience,
    /// Its entry in the deadlines: no later than the end of its patience.
    pub(super) deadline: Moment,
    /// What arrived and could not be used yet: the beginning of a message.
    pub(super) unfinished: Vec<u8>,
    outbox: Outbox,
    pub(super) flags: Flags,
    /// How it has ended, where something was still to be done then.
    pub(super) ended: Option<Ending>,
}

/// What is meant to be done with a connection.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Flags {
    /// The other side has sent its last byte, so that reading must go on until it is met: no event will tell of it.
    pub(super) closing: bool,
    /// Whole messages are among what is unused, and nothing more is to be read until they are.
    pub(super) backlog: bool,
    /// It carried more than it may, and is not read until its pause is over.
    pub(super) paused: bool,
    /// It came from another shard, and goes to no third.
    pub(super) moved: bool,
    /// It is not read as long as its mate's outbox is full.
    pub(super) held: bool,
    /// Its client has an allocation, as far as its last answer knew, and keeps its place among the connections.
    pub(super) settled: bool,
}

/// What arrived on a connection: what was there before, and what came now.
pub(super) struct Arrived {
    bytes: Box<[u8]>,
    end: usize,
}

/// What is held for one client that does not read: the outbox, and what TLS has encrypted already.
const HELD_MAX: usize = 256 << 10;
/// What TLS encrypts at once, unless a message goes beyond it; rustls itself takes no more than [`TLS_MAX`].
const TLS_CHUNK: usize = 32 << 10;
const TLS_MAX: usize = 64 << 10;
/// The bound of an outbox.
pub(super) const OUTBOX_MAX: usize = HELD_MAX - TLS_MAX;
/// What the kernel may hold of what it has not sent: enough to keep a fast link busy, and no more, because what it
/// holds cannot be dropped.
const NOT_SENT_MAX: u32 = 64 << 10;
/// How often the kernel asks whether an idle client is still there, and how often in vain.
const PROBE: Duration = Duration::from_secs(15);
const PROBES: u32 = 4;
/// What one turn reads.
pub(super) const READ: usize = 16 << 10;
/// The beginning of a message, what one turn reads, and one record that TLS had not decrypted before.
const ARRIVED: usize = MESSAGE_MAX + 3 * READ;
/// Buffers above this are given back when they are empty.
const KEPT: usize = 4 << 10;

impl Arrived {
    /// Nothing.
    pub(super) fn new() -> Self {
        Self { bytes: vec![0; ARRIVED].into(), end: 0 }
    }

    /// The bytes.
    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes[..self.end]
    }

    /// Begins anew, with what was there before.
    pub(super) fn begin(&mut self, before: &[u8]) {
        self.end = before.len();
        self.bytes[..self.end].copy_from_slice(before);
    }

    /// Takes what TLS has decrypted.
    fn take(&mut self, tls: &mut ServerConnection) -> Result<(), Ending> {
        loop {
            match tls.reader().read(&mut self.bytes[self.end..]) {
                Ok(0) => return Ok(()),
                Ok(count) => self.end += count,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(_) => return Err(Ending::Closed),
            }
        }
    }
}

impl Stream {
    pub(super) fn new(
        socket: TcpStream,
        tls: Option<Box<ServerConnection>>,
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

    /// Whether its client has an allocation. If so, it is no stranger; whoever has given it back may have to make way for
    /// others, as one that has just come.
    pub(super) fn stand(&mut self, allocated: bool) {
        if allocated {
            self.patience.authenticate();
        }
        if std::mem::replace(&mut self.flags.settled, allocated) != allocated {
            if allocated { self.permit.settle() } else { self.permit.renew() }
        }
    }

    /// Whether the peer of a connection that is being made has answered; `None` while that is not known. Later, whether
    /// the connection still is.
    pub(super) fn is_connected(&self) -> Option<bool> {
        match (self.socket.take_error(), self.socket.peer_addr()) {
            (Ok(None), Ok(_)) => Some(true),
            (Ok(None), Err(_)) => None,
            _ => Some(false),
        }
    }

    /// How much waits in the outbox.
    pub(super) fn waiting(&self) -> usize {
        self.outbox.held()
    }

    pub(super) fn has_to_send(&self) -> bool {
        !self.outbox.is_empty() || self.tls.as_ref().is_some_and(|tls| tls.wants_write())
    }

    /// Puts a whole message into the outbox, unless that would then hold more than `most` bytes.
    pub(super) fn push(&mut self, message: &[u8], most: usize) -> bool {
        self.outbox.push(message, most)
    }

    /// Keeps what could not be used yet.
    pub(super) fn keep(&mut self, unfinished: &[u8]) {
        self.unfinished.clear();
        if unfinished.is_empty() && self.unfinished.capacity() > KEPT {
            self.unfinished = Vec::new();
        }
        self.unfinished.extend_from_slice(unfinished);
    }

    /// Reads a turn's worth; whether there may be more.
    pub(super) fn read(&mut self, arrived: &mut Arrived, records: &mut [u8]) -> Result<bool, Ending> {
        let Some(tls) = &mut self.tls else {
            let room = &mut arrived.bytes[arrived.end..arrived.end + READ];
            let Some(count) = read(&mut self.socket, room)? else { return Ok(false) };
            arrived.end += count;
            return Ok(count == READ || self.flags.closing);
        };
        arrived.take(tls)?;
        let Some(count) = read(&mut self.socket, records)? else { return Ok(false) };
        let mut rest = &records[..count];
        while !rest.is_empty() {
            tls.read_tls(&mut rest).map_err(|_| Ending::BadMessage)?;
            let state = tls.process_new_packets().map_err(|_| Ending::BadMessage)?;
            arrived.take(tls)?;
            if state.peer_has_closed() {
                return Err(Ending::Closed);
            }
        }
        Ok(count == records.len() || self.flags.closing)
    }

    /// Sends what the socket takes, many messages at once; whether it took anything. TLS puts each into a record of its
    /// own: some clients, such as Debian's uclient, take a record for a message.
    pub(super) fn send(&mut self) -> io::Result<bool> {
        let mut progress = false;
        while self.has_to_send() {
            let sent = match &mut self.tls {
                None => {
                    let sent = self.socket.write_vectored(&self.outbox.all());
                    sent.inspect(|sent| self.outbox.sent(*sent))
                }
                Some(tls) => {
                    if !tls.wants_write() {
                        encrypt(tls, &mut self.outbox)?;
                    }
                    tls.write_tls(&mut self.socket)
                }
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

    /// Says that nothing more comes, and listens for a while to hear the other end say so.
    pub(super) fn shut(&mut self, now: Moment) {
        self.patience.leaving(now);
        self.say_goodbye();
        // It may have failed already, which reading will tell.
        let _ = self.socket.shutdown(Shutdown::Write);
    }

    /// Lets the other end take its time: it may be a person who pauses a download, and nothing is held for it meanwhile
    /// but the outbox. Best effort, as it was to set it.
    pub(super) fn be_patient(&self) {
        let _ = socket2::SockRef::from(&self.socket).set_tcp_user_timeout(None);
    }

    /// Says goodbye, as far as that can leave at once.
    pub(super) fn part(&mut self) {
        // It ends anyway, by an error too.
        let _ = self.send();
        self.say_goodbye();
    }

    /// Behind this the other end reads nothing more, so it comes last, or not at all.
    fn say_goodbye(&mut self) {
        if let Some(tls) = self.tls.as_mut().filter(|_| self.outbox.is_empty()) {
            tls.send_close_notify();
            let _ = self.send();
        }
    }
}

/// Encrypts messages, until it is enough for one system call.
fn encrypt(tls: &mut ServerConnection, outbox: &mut Outbox) -> io::Result<()> {
    let mut encrypted = 0;
    while encrypted < TLS_CHUNK && !outbox.is_empty() {
        let taken = tls.writer().write_vectored(&outbox.first())?;
        outbox.sent(taken);
        encrypted += taken;
    }
    Ok(())
}

/// Reads once; `None` if there is nothing.
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

/// Media want to leave at once, and not to wait in the kernel behind what is no longer of use; and a client that
/// vanished shall be noticed. Best effort: without any of it a connection works.
fn tune(socket: &TcpStream) {
    let socket = socket2::SockRef::from(socket);
    let keepalive = socket2::TcpKeepalive::new().with_time(IDLE).with_interval(PROBE).with_retries(PROBES);
    let _ = socket.set_tcp_nodelay(true);
    let _ = socket.set_tcp_notsent_lowat(NOT_SENT_MAX);
    let _ = socket.set_tcp_user_timeout(Some(STALLED));
    let _ = socket.set_tcp_keepalive(&keepalive);
}
