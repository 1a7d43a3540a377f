//! Gives each UDP client that has an allocation a socket of its own, so that another process can take over the listeners.
//!
//! The kernel prefers a connected socket to every socket that only listens. A client whose socket is connected therefore
//! stays with this process, whatever else is bound to the address; all others reach the process that was bound last.

use std::collections::HashMap;
use std::mem;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use mio::Interest;
use slab::Slab;
use tokio::sync::oneshot;

use crate::clock::{Moment, Now};
use crate::journal::shown;
use crate::metrics::SocketKind;
use crate::relay::address::{ClientPath, DirectId, ListenerId, Via};
use crate::relay::datagrams::DatagramSocket;
use crate::relay::ready::Ready;
use crate::relay::shard::datagram::receive;
use crate::relay::shard::{Command, Shard, SocketId};
use crate::relay::source::{Source, Watcher};

/// The clients that have sockets of their own.
#[derive(Default)]
pub(super) struct Direct {
    sockets: Slab<(ClientPath, DatagramSocket)>,
    by_path: HashMap<ClientPath, DirectId>,
    /// The sockets that may have something to read.
    readable: Ready<DirectId>,
    /// The sockets whose allocations have ended. What waits to be sent by them goes first.
    ended: Vec<DirectId>,
    /// When to look for such sockets; `None` while there are no sockets.
    look_at: Option<Moment>,
    /// The clients that are still to be given a socket.
    waiting: Vec<ClientPath>,
    kept: Kept,
    report: Option<oneshot::Sender<Kept>>,
}

/// How many clients stay with this process when another one takes over the listeners.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Kept {
    /// Clients over UDP that have sockets of their own now.
    pub clients: usize,
    /// Clients over UDP for which the system refused a socket.
    pub lost: usize,
}

/// Sockets that are made in one round. Each costs some ten microseconds, and packets wait for it.
const MADE_A_ROUND: usize = 32;
/// Sockets that are read between two reads of the listeners, and slots that each may fill in that time.
const READ_A_ROUND: usize = 16;
const TURN: usize = 16;
/// How often sockets are looked for whose allocations have ended. Until such a socket is closed, what its client sends does
/// not reach the other process.
const LOOKING: Duration = Duration::from_secs(1);

impl Direct {
    /// Whether a shard must not wait for events: there is more to do.
    pub(super) fn is_busy(&self) -> bool {
        !self.waiting.is_empty() || !self.readable.is_empty()
    }

    /// When there is something to do next.
    pub(super) fn next_deadline(&self) -> Option<Moment> {
        self.look_at
    }

    /// A socket has an event.
    pub(super) fn on_event(&mut self, id: DirectId) {
        self.readable.push(id);
    }

    /// A client's own socket.
    pub(super) fn by_path(&self, path: &ClientPath) -> Option<DirectId> {
        self.by_path.get(path).copied()
    }

    /// The socket with this id.
    pub(super) fn socket(&self, id: DirectId) -> Option<&DatagramSocket> {
        self.sockets.get(id.0 as usize).map(|(_, socket)| socket)
    }

    /// Gives a client a socket, unless the system refuses one.
    fn open(&mut self, path: ClientPath, watcher: &Watcher) {
        let slot = self.sockets.vacant_entry();
        let id = DirectId(slot.key() as u32);
        let opened = DatagramSocket::connected(path.server, path.client).and_then(|mut socket| {
            watcher.watch(socket.source(), Source::Direct(id), Interest::READABLE)?;
            Ok(socket)
        });
        match opened {
            Ok(socket) => {
                slot.insert((path, socket));
                self.by_path.insert(path, id);
                self.kept.clients += 1;
            }
            Err(error) => {
                tracing::debug!(%error, client = shown::socket(path.client), "no socket of its own");
                self.kept.lost += 1;
            }
        }
    }

    /// `to` reports the socket with this index, if there is one, instead of `from`.
    pub(super) fn rewatch(&mut self, index: usize, from: &Watcher, to: &Watcher) {
        if let Some((_, socket)) = self.sockets.get_mut(index) {
            let source = Source::Direct(DirectId(index as u32));
            // If it was opened a moment ago, it is watched already.
            let _ = to.watch_instead(from, socket.source(), source, Interest::READABLE);
        }
    }

    /// An index that no socket reaches.
    pub(super) fn end(&self) -> usize {
        self.sockets.capacity()
    }

    /// Closes the sockets whose allocations have ended: a new request from there is for the next process.
    pub(super) fn reap(&mut self) {
        for id in mem::take(&mut self.ended) {
            if let Some((path, _)) = self.sockets.try_remove(id.0 as usize) {
                self.by_path.remove(&path);
            }
        }
    }
}

impl Shard {
    /// Lets sockets of another process, and those of single clients, be bound to the addresses of the listeners.
    pub(super) fn share_listeners(&self) {
        for (_, listener) in self.listeners.iter() {
            if let Err(error) = listener.socket.admit_others(true) {
                tracing::warn!(%error, address = %listener.address, "this address cannot be taken over");
            }
        }
    }

    /// The clients over UDP that have allocations.
    pub(super) fn clients(&self) -> impl Iterator<Item = ClientPath> {
        let paths = self.engine.allocations().iter().map(|(_, allocation)| allocation.path);
        paths.filter(|path| !path.is_stream())
    }

    /// Begins to give each client over UDP that has an allocation a socket of its own. `report` is sent when each has one.
    pub(super) fn keep_clients(&mut self, report: oneshot::Sender<Kept>) {
        self.direct.waiting = self.clients().collect();
        self.direct.report = Some(report);
    }

    /// Gives some of the waiting clients their sockets.
    pub(super) fn keep_some_clients(&mut self, now: Moment) {
        let direct = &mut self.direct;
        let some = direct.waiting.len().saturating_sub(MADE_A_ROUND);
        for path in direct.waiting.split_off(some) {
            // The allocation may have ended since the client was put on the list.
            if self.engine.allocations().by_path(&path).is_some() {
                direct.open(path, &self.watcher);
                direct.look_at.get_or_insert(now + LOOKING);
            }
        }
        if direct.waiting.is_empty()
            && let Some(report) = direct.report.take()
        {
            // If the receiver is gone, nobody needs the number.
            let _ = report.send(direct.kept);
        }
    }

    /// Reads the clients' own sockets.
    pub(super) fn read_direct(&mut self, now: Now) {
        for _ in 0..READ_A_ROUND {
            let Some(id) = self.direct.readable.pop() else { return };
            if self.batch.free() < TURN {
                self.flush();
            }
            let Some((path, socket)) = self.direct.sockets.get(id.0 as usize) else { continue };
            let path = *path;
            let mut arrivals = receive(&mut self.batch, socket, TURN);
            if arrivals.is_full() {
                self.direct.readable.push(id);
            }
            if arrivals.overflowed() > 0 {
                self.counters.overflowed(SocketKind::Listener, arrivals.overflowed());
            }
            while let Some(datagram) = arrivals.next(&self.batch) {
                let from = ClientPath { client: self.batch.received(datagram).from, ..path };
                if from == path || self.engine.allocations().by_path(&from).is_some() {
                    self.client_sent(from, datagram, now);
                } else {
                    self.forward_stray(from, self.batch.bytes(datagram));
                }
            }
            if self.engine.allocations().by_path(&path).is_none() {
                self.direct.ended.push(id);
            }
        }
    }

    /// Finds, once in a while, the sockets whose allocations have ended though their clients sent nothing: those that have
    /// expired, or were ended by an administrator.
    pub(super) fn look_for_ended(&mut self, now: Moment) {
        let direct = &mut self.direct;
        if direct.look_at.is_none_or(|at| now < at) {
            return;
        }
        let allocations = self.engine.allocations();
        let ended = direct.by_path.iter().filter(|(path, _)| allocations.by_path(path).is_none());
        direct.ended.extend(ended.map(|(_, id)| *id));
        direct.look_at = (!direct.by_path.is_empty()).then(|| now + LOOKING);
    }

    /// Between its bind and its connect, a socket receives what other clients send, too. Their shards get it from here.
    fn forward_stray(&self, path: ClientPath, datagram: &[u8]) {
        let others = self.neighbours.get().into_iter().flatten().enumerate();
        for (_, other) in others.filter(|(index, _)| *index != self.shard.index as usize) {
            other.tell(Command::Stray(path.client, path.server, datagram.into()));
        }
    }

    /// Another shard has received a datagram of a client that may be one of this shard.
    pub(super) fn on_stray(&mut self, client: SocketAddr, server: SocketAddr, datagram: &[u8], now: Now) {
        let Some(path) = self.path_between(client, server) else { return };
        if self.batch.is_heavy() {
            self.flush();
        }
        let datagram = self.batch.compose(datagram);
        self.client_sent(path, datagram, now);
    }

    /// The path of the allocation that a client has here, at the address of a listener. Each shard numbers its listeners in
    /// its own way.
    fn path_between(&self, client: SocketAddr, server: SocketAddr) -> Option<ClientPath> {
        let via = self.listeners.iter().map(|(id, _)| Via::Socket(id));
        let mut paths = via.map(|via| ClientPath { client, server, via });
        paths.find(|path| self.engine.allocations().by_path(path).is_some())
    }

    /// The socket by which a client over UDP is reached, and the address that its packets must name as their source. It is
    /// open as long as the client has an allocation.
    pub(super) fn way_to(
        &self,
        path: &ClientPath,
        listener: ListenerId,
    ) -> Option<(SocketId, Option<IpAddr>)> {
        if let Some(direct) = self.direct.by_path(path) {
            return Some((SocketId::Direct(direct), None));
        }
        let wildcard = self.listeners.get(listener)?.socket.is_wildcard();
        Some((SocketId::Listener(listener), wildcard.then_some(path.server.ip())))
    }
}
