//! TCP and TLS connections as a source of messages, and a way to their clients: bounded in memory and time.
//!
//! A connection comes here when it has shown what it speaks, and stays until it ends. What it says is read in turns,
//! so that a client that floods cannot keep others from being heard. What it is sent waits in an outbox of whole
//! messages: when that is full, messages are dropped, as a network would.

use std::collections::{BTreeSet, VecDeque};
use std::io::{self, Read as _, Write as _};
use std::net::SocketAddr;
use std::sync::Arc;

use mio::event::Event;
use mio::net::TcpStream;
use mio::{Interest, Registry, Token};
use rustls::ServerConnection;
use slab::Slab;

use crate::clock::Moment;
use crate::metrics::Counters;
use crate::outcome::{Ending, Ignored};
use crate::relay::address::{ClientPath, StreamId, Via};
use crate::relay::admission::Permit;
use crate::relay::framing::MESSAGE_MAX;
use crate::relay::patience::Patience;

/// A connection that has shown what it speaks.
#[derive(Debug)]
pub struct Arrival {
    /// The connection, non-blocking.
    pub socket: std::net::TcpStream,
    /// TLS, after its handshake.
    pub tls: Option<Box<ServerConnection>>,
    /// The client, as a proxy says if one stands between.
    pub client: SocketAddr,
    /// The address of ours that the client talks to.
    pub server: SocketAddr,
    /// When the client could first have sent a message.
    pub since: Moment,
    /// Its right to be there.
    pub permit: Permit,
}

/// The connections of one shard.
pub struct Streams {
    slots: Slab<Stream>,
    registry: Registry,
    counters: Arc<Counters>,
    /// Those that may have something to read, in the order of their turns; each at most once.
    readable: VecDeque<StreamId>,
    /// Those that have something to send that was not tried yet; each at most once.
    pending: Vec<StreamId>,
    /// For each connection, a moment no later than the end of its patience.
    deadlines: BTreeSet<(Moment, StreamId)>,
    /// Where TLS records are read to.
    records: Box<[u8]>,
}

/// What arrived on a connection: the beginning of a message that was there before, and what came now.
pub struct Arrived {
    bytes: Box<[u8]>,
    end: usize,
}

/// What a turn of reading brought.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Receipt {
    /// Bytes, or nothing.
    Open,
    /// Perhaps bytes; and then the end.
    Ended(Ending),
}

struct Stream {
    socket: TcpStream,
    tls: Option<Box<ServerConnection>>,
    path: ClientPath,
    patience: Patience,
    /// Its entry in the deadlines.
    deadline: Moment,
    /// The beginning of a message.
    unfinished: Vec<u8>,
    outbox: VecDeque<u8>,
    /// It waits for its turn to be read.
    is_readable: bool,
    /// It is among those that have something to send.
    is_pending: bool,
    /// The other side has sent its last byte, so that reading must go on until it is met: no event will tell of it.
    is_closing: bool,
    _permit: Permit,
}

/// What is held for one client that does not read: the outbox, and what TLS has encrypted already.
const HELD_MAX: usize = 256 << 10;
/// What TLS encrypts at once.
const TLS_CHUNK: usize = 32 << 10;
/// Room in the outbox that media leave to answers.
const ANSWERS: usize = 16 << 10;
const OUTBOX_MAX: usize = HELD_MAX - TLS_CHUNK;
/// What the kernel may hold of what it has not sent: enough to keep a fast link busy, and no more, because what it
/// holds cannot be dropped.
const NOT_SENT_MAX: u32 = 64 << 10;
/// What one turn reads.
const READ: usize = 16 << 10;
/// TLS hands out what it was given before, too: one record at most.
const ARRIVED: usize = MESSAGE_MAX + 3 * READ;
/// Buffers above this are given back when they are empty.
const KEPT: usize = 4 << 10;

const FIRST_STREAM: usize = 1 << 32;

impl Arrived {
    /// Nothing.
    #[must_use]
    pub fn new() -> Self {
        Self { bytes: vec![0; ARRIVED].into(), end: 0 }
    }

    /// The bytes.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes[..self.end]
    }
}

impl Default for Arrived {
    fn default() -> Self {
        Self::new()
    }
}

impl Streams {
    /// No connections yet.
    #[must_use]
    pub fn new(registry: Registry, counters: Arc<Counters>) -> Self {
        Self {
            slots: Slab::new(),
            registry,
            counters,
            readable: VecDeque::new(),
            pending: Vec::new(),
            deadlines: BTreeSet::new(),
            records: vec![0; READ].into(),
        }
    }

    /// Takes in a connection. One that the kernel refuses to poll is closed.
    pub fn adopt(&mut self, arrival: Arrival) {
        let Arrival { socket, tls, client, server, since, permit } = arrival;
        tune(&socket);
        let mut socket = TcpStream::from_std(socket);
        let slot = self.slots.vacant_entry();
        let id = StreamId(slot.key() as u32);
        let token = Token(FIRST_STREAM + slot.key());
        if let Err(error) =
            self.registry.register(&mut socket, token, Interest::READABLE | Interest::WRITABLE)
        {
            tracing::warn!(%error, "a connection could not be registered");
            return;
        }
        let patience = Patience::new(since);
        let (deadline, _) = patience.end(false);
        slot.insert(Stream {
            socket,
            tls,
            path: ClientPath { client, server, via: Via::Stream(id) },
            patience,
            deadline,
            unfinished: Vec::new(),
            outbox: VecDeque::new(),
            is_readable: false,
            is_pending: false,
            is_closing: false,
            _permit: permit,
        });
        self.deadlines.insert((deadline, id));
        self.counters.streams.add(1);
        // TLS may have decrypted a message with the end of the handshake, of which the kernel knows nothing more.
        self.expect_reading(id);
    }

    /// Whether an event is about a connection; then it is noted.
    pub fn expect(&mut self, event: &Event) -> bool {
        let Some(key) = event.token().0.checked_sub(FIRST_STREAM) else { return false };
        let id = StreamId(key as u32);
        if event.is_read_closed()
            && let Some(stream) = self.slots.get_mut(key)
        {
            stream.is_closing = true;
        }
        if event.is_readable() || event.is_read_closed() || event.is_error() {
            self.expect_reading(id);
        }
        if event.is_writable() && self.slots.get(key).is_some_and(Stream::has_to_send) {
            self.expect_sending(id);
        }
        true
    }

    /// Gives a connection a turn to be read, if it is not waiting for one.
    pub fn expect_reading(&mut self, id: StreamId) {
        let Some(stream) = self.slots.get_mut(id.0 as usize) else { return };
        if !std::mem::replace(&mut stream.is_readable, true) {
            self.readable.push_back(id);
        }
    }

    fn expect_sending(&mut self, id: StreamId) {
        let Some(stream) = self.slots.get_mut(id.0 as usize) else { return };
        if !std::mem::replace(&mut stream.is_pending, true) {
            self.pending.push(id);
        }
    }

    /// Whether some connection waits for its turn.
    #[must_use]
    pub fn is_readable(&self) -> bool {
        !self.readable.is_empty()
    }

    /// The connection whose turn it is.
    pub fn next_turn(&mut self) -> Option<StreamId> {
        while let Some(id) = self.readable.pop_front() {
            if let Some(stream) = self.slots.get_mut(id.0 as usize) {
                stream.is_readable = false;
                return Some(id);
            }
        }
        None
    }

    /// The client of a connection, if the connection is still there.
    #[must_use]
    pub fn path(&self, id: StreamId) -> Option<ClientPath> {
        self.slots.get(id.0 as usize).map(|stream| stream.path)
    }

    /// Whether no message has come on a connection yet.
    #[must_use]
    pub fn is_first(&self, id: StreamId) -> bool {
        self.slots.get(id.0 as usize).is_some_and(|stream| stream.patience.is_first())
    }

    /// Reads what there is, up to a turn's worth, behind what was left over before. A connection that may have more
    /// gets another turn.
    pub fn receive(&mut self, id: StreamId, arrived: &mut Arrived) -> Receipt {
        let Some(stream) = self.slots.get_mut(id.0 as usize) else { return Receipt::Open };
        arrived.end = stream.unfinished.len();
        arrived.bytes[..arrived.end].copy_from_slice(&stream.unfinished);
        let receipt = stream.read(arrived, &mut self.records);
        let (again, pending) = (receipt == Ok(true), stream.has_to_send());
        if again {
            self.expect_reading(id);
        }
        if pending {
            self.expect_sending(id);
        }
        receipt.map_or_else(Receipt::Ended, |_| Receipt::Open)
    }

    /// Keeps the beginning of a message until the rest comes. So many `messages` were before it.
    pub fn keep(&mut self, id: StreamId, messages: usize, unfinished: &[u8], now: Moment) {
        let Some(stream) = self.slots.get_mut(id.0 as usize) else { return };
        stream.unfinished.clear();
        if unfinished.is_empty() && stream.unfinished.capacity() > KEPT {
            stream.unfinished = Vec::new();
        }
        stream.unfinished.extend_from_slice(unfinished);
        let partial = !unfinished.is_empty();
        stream.patience.received(messages, partial, now);
        self.reschedule(id);
    }

    /// Sends an answer, when [`Self::flush`] is called.
    pub fn answer(&mut self, id: StreamId, message: &[u8]) {
        self.push(id, message, OUTBOX_MAX);
    }

    /// Sends media, when [`Self::flush`] is called.
    pub fn relay(&mut self, id: StreamId, message: &[u8]) {
        self.push(id, message, OUTBOX_MAX - ANSWERS);
    }

    fn push(&mut self, id: StreamId, message: &[u8], most: usize) {
        let Some(stream) = self.slots.get_mut(id.0 as usize) else { return };
        let needed = stream.outbox.len() + message.len();
        if needed > most {
            self.counters.ignored(Ignored::SlowReader);
            return;
        }
        if needed > stream.outbox.capacity() {
            // By doubling, but to no more than may be held.
            let room = (2 * stream.outbox.capacity()).clamp(needed, OUTBOX_MAX);
            stream.outbox.reserve_exact(room - stream.outbox.len());
        }
        stream.outbox.extend(message);
        self.expect_sending(id);
    }

    /// Sends what waits, each connection's messages together; returns the connections that turn out to have ended.
    pub fn flush(&mut self, now: Moment) -> Vec<StreamId> {
        let mut ended = Vec::new();
        let mut pending = std::mem::take(&mut self.pending);
        for id in pending.drain(..) {
            let Some(stream) = self.slots.get_mut(id.0 as usize) else { continue };
            stream.is_pending = false;
            match stream.send() {
                Ok(progress) => stream.patience.sent(progress, stream.has_to_send(), now),
                Err(_) => ended.push(id),
            }
            self.reschedule(id);
        }
        self.pending = pending;
        ended
    }

    /// When [`Self::impatient`] has something to say; `None` while there is no connection.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Moment> {
        self.deadlines.first().map(|(moment, _)| *moment)
    }

    /// The next connection whose patience has ended, and with what. It is to be closed.
    pub fn impatient(
        &mut self,
        now: Moment,
        allocated: impl Fn(&ClientPath) -> bool,
    ) -> Option<(StreamId, Ending)> {
        while let Some((_, id)) = self.deadlines.first().copied().filter(|(moment, _)| *moment <= now) {
            let stream = self.slots.get_mut(id.0 as usize)?;
            let (end, ending) = stream.patience.end(allocated(&stream.path));
            if end <= now {
                return Some((id, ending));
            }
            // Whoever has an allocation now may be without one later.
            let next = end.min(now + crate::relay::patience::IDLE);
            self.deadlines.remove(&(stream.deadline, id));
            stream.deadline = next;
            self.deadlines.insert((next, id));
        }
        None
    }

    /// Moves a deadline forward, if patience ends earlier than was thought; later is found out when it comes.
    fn reschedule(&mut self, id: StreamId) {
        let Some(stream) = self.slots.get_mut(id.0 as usize) else { return };
        let (end, _) = stream.patience.end(true);
        if end < stream.deadline {
            self.deadlines.remove(&(stream.deadline, id));
            stream.deadline = end;
            self.deadlines.insert((end, id));
        }
    }

    /// Ends a connection. What can leave at once still does.
    pub fn close(&mut self, id: StreamId, ending: Ending) {
        let Some(mut stream) = self.slots.try_remove(id.0 as usize) else { return };
        self.deadlines.remove(&(stream.deadline, id));
        // It ends anyway, by an error too.
        let _ = stream.send();
        // Behind this a client reads nothing more, so it comes last, or not at all.
        if let Some(tls) = stream.tls.as_mut().filter(|_| stream.outbox.is_empty()) {
            tls.send_close_notify();
            let _ = stream.send();
        }
        let _ = self.registry.deregister(&mut stream.socket);
        let client = stream.path.client;
        // Who is counted as gone has left: the socket is closed, and the place is free for another.
        drop(stream);
        self.counters.streams.sub(1);
        self.counters.ended(ending);
        tracing::debug!(%client, reason = ending.name(), "connection ended");
    }
}

impl Stream {
    fn has_to_send(&self) -> bool {
        !self.outbox.is_empty() || self.tls.as_ref().is_some_and(|tls| tls.wants_write())
    }

    /// Reads a turn's worth; whether there may be more.
    fn read(&mut self, arrived: &mut Arrived, records: &mut [u8]) -> Result<bool, Ending> {
        let Some(tls) = &mut self.tls else {
            let room = &mut arrived.bytes[arrived.end..arrived.end + READ];
            let Some(count) = read(&mut self.socket, room)? else { return Ok(false) };
            arrived.end += count;
            return Ok(count == READ || self.is_closing);
        };
        arrived.take(tls)?;
        let Some(count) = read(&mut self.socket, records)? else { return Ok(false) };
        let mut rest = &records[..count];
        while !rest.is_empty() {
            tls.read_tls(&mut rest).map_err(|_| Ending::BadMessage)?;
            let state = tls.process_new_packets().map_err(|_| Ending::BadMessage)?;
            arrived.take(tls)?;
            if state.peer_has_closed() {
                return Err(Ending::Client);
            }
        }
        Ok(count == records.len() || self.is_closing)
    }

    /// Sends what the socket takes; whether it took anything.
    fn send(&mut self) -> io::Result<bool> {
        let mut progress = false;
        while self.has_to_send() {
            let sent = match &mut self.tls {
                None => {
                    let (front, back) = self.outbox.as_slices();
                    let sent = self.socket.write_vectored(&[io::IoSlice::new(front), io::IoSlice::new(back)]);
                    sent.inspect(|sent| drop(self.outbox.drain(..*sent)))
                }
                Some(tls) => {
                    if !tls.wants_write() {
                        let (front, _) = self.outbox.as_slices();
                        let taken = tls.writer().write(&front[..front.len().min(TLS_CHUNK)])?;
                        self.outbox.drain(..taken);
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
        if self.outbox.is_empty() && self.outbox.capacity() > KEPT {
            self.outbox = VecDeque::new();
        }
        Ok(progress)
    }
}

impl Arrived {
    /// Takes what TLS has decrypted.
    fn take(&mut self, tls: &mut ServerConnection) -> Result<(), Ending> {
        loop {
            match tls.reader().read(&mut self.bytes[self.end..]) {
                Ok(0) => return Ok(()),
                Ok(count) => self.end += count,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(_) => return Err(Ending::Client),
            }
        }
    }
}

/// Reads once; `None` if there is nothing.
fn read(socket: &mut TcpStream, room: &mut [u8]) -> Result<Option<usize>, Ending> {
    loop {
        match socket.read(room) {
            Ok(0) => return Err(Ending::Client),
            Ok(count) => return Ok(Some(count)),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(None),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(_) => return Err(Ending::Client),
        }
    }
}

/// Media want to leave at once, and not to wait in the kernel behind what is no longer of use; and a client that
/// vanished shall be noticed. Best effort: without any of it a connection works.
fn tune(socket: &std::net::TcpStream) {
    let socket = socket2::SockRef::from(socket);
    let keepalive = socket2::TcpKeepalive::new().with_time(crate::relay::patience::IDLE);
    let _ = socket.set_tcp_nodelay(true);
    let _ = socket.set_tcp_notsent_lowat(NOT_SENT_MAX);
    let _ = socket.set_tcp_user_timeout(Some(crate::relay::patience::STALLED));
    let _ = socket.set_tcp_keepalive(&keepalive);
}
