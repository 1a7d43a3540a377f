//! The UDP sockets that clients talk to: opened at the start and by a reload, and closed when nothing needs them any more.
//!
//! The sockets of all shards at one address form one group, among which the kernel distributes the clients. If one of them
//! closed, the clients of the others would be distributed anew, and lose their allocations. So a listener that the
//! configuration gives up goes on serving the clients that have an allocation there, and no others. When no shard has such
//! a client left, all shards close their sockets.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use mio::Interest;

use crate::clock::{Moment, Now};
use crate::relay::address::{ListenerId, Via};
use crate::relay::datagrams::DatagramSocket;
use crate::relay::ready::Ready;
use crate::relay::shard::{Command, Shard};
use crate::relay::source::{Source, Watcher};

/// The sockets of one shard.
#[derive(Debug)]
pub(super) struct Listeners {
    watcher: Watcher,
    slots: Vec<Option<Listener>>,
    /// Those that may have something to read.
    pub(super) readable: Ready<ListenerId>,
    /// When to look whether those that are given up are still needed.
    look_at: Moment,
}

/// A socket for clients.
#[derive(Debug)]
pub(super) struct Listener {
    pub(super) socket: DatagramSocket,
    pub(super) address: SocketAddr,
    given_up: Option<GivenUp>,
}

#[derive(Debug)]
struct GivenUp {
    everywhere: Arc<Retirement>,
    /// Whether this shard has said that it does not need the listener.
    released: bool,
}

/// A listener that the configuration gives up, on all shards.
#[derive(Debug)]
pub(in crate::relay) struct Retirement {
    address: SocketAddr,
    /// The shards that may have an allocation of a client there.
    needed_by: AtomicUsize,
    /// The shards that have not closed it.
    open_at: AtomicUsize,
}

/// How often to look whether a listener is still needed.
const PERIOD: Duration = Duration::from_secs(1);

impl Retirement {
    pub(in crate::relay) fn new(address: SocketAddr, shards: usize) -> Self {
        Self { address, needed_by: shards.into(), open_at: shards.into() }
    }

    /// Its address, until every shard has closed it.
    pub(in crate::relay) fn open_address(&self) -> Option<SocketAddr> {
        (self.open_at.load(Ordering::Acquire) > 0).then_some(self.address)
    }
}

impl Listeners {
    pub(super) fn new(watcher: Watcher) -> Self {
        Self { watcher, slots: Vec::new(), readable: Ready::default(), look_at: Moment::MAX }
    }

    /// Listens on one more socket.
    ///
    /// # Errors
    /// If the kernel refuses to poll it.
    pub(super) fn add(&mut self, mut socket: DatagramSocket) -> io::Result<()> {
        let free = self.slots.iter().position(Option::is_none).unwrap_or(self.slots.len());
        let id = ListenerId(free as u16);
        let address = socket.local_addr()?;
        self.watcher.watch(socket.source(), Source::Listener(id), Interest::READABLE)?;
        let listener = Some(Listener { socket, address, given_up: None });
        match self.slots.get_mut(free) {
            Some(slot) => *slot = listener,
            None => self.slots.push(listener),
        }
        // Something may have come before it was polled.
        self.readable.push(id);
        Ok(())
    }

    /// Another watcher reports them from now on, instead of `from`.
    ///
    /// # Errors
    /// If the kernel refuses, which is always a bug in this program.
    pub(super) fn change_watcher(&mut self, watcher: Watcher, from: &Watcher) -> io::Result<()> {
        self.watcher = watcher;
        for (slot, index) in self.slots.iter_mut().zip(0..) {
            let Some(listener) = slot else { continue };
            let (socket, source) = (listener.socket.source(), Source::Listener(ListenerId(index)));
            self.watcher.watch_instead(from, socket, source, Interest::READABLE)?;
        }
        Ok(())
    }

    pub(super) fn get(&self, id: ListenerId) -> Option<&Listener> {
        self.slots.get(usize::from(id.0))?.as_ref()
    }

    /// The open ones.
    pub(super) fn iter(&self) -> impl Iterator<Item = (ListenerId, &Listener)> {
        self.slots.iter().zip(0..).filter_map(|(slot, index)| Some((ListenerId(index), slot.as_ref()?)))
    }

    /// Gives up a listener.
    pub(super) fn retire(&mut self, everywhere: &Arc<Retirement>, now: Moment) {
        let mut listeners = self.slots.iter_mut().flatten();
        if let Some(listener) = listeners.find(|listener| listener.is_at(everywhere.address)) {
            listener.given_up = Some(GivenUp { everywhere: Arc::clone(everywhere), released: false });
            self.look_at = now;
        }
    }

    /// Closes a listener that was given up.
    pub(super) fn close(&mut self, everywhere: &Arc<Retirement>) {
        let is_meant = |listener: &Listener| {
            listener.given_up.as_ref().is_some_and(|given_up| Arc::ptr_eq(&given_up.everywhere, everywhere))
        };
        for slot in self.slots.iter_mut().filter(|slot| slot.as_ref().is_some_and(is_meant)) {
            *slot = None;
            everywhere.open_at.fetch_sub(1, Ordering::Release);
        }
    }

    /// When to look whether a listener is still needed; never, if none is given up.
    pub(super) fn look_at(&self) -> Moment {
        self.look_at
    }
}

impl Listener {
    /// Whether it serves only clients that have an allocation.
    pub(super) fn is_given_up(&self) -> bool {
        self.given_up.is_some()
    }

    fn is_at(&self, address: SocketAddr) -> bool {
        self.address == address && self.given_up.is_none()
    }
}

impl Shard {
    /// Has all shards close the listeners that are given up and that none of them needs.
    pub(super) fn release_listeners(&mut self, now: Now) {
        if now.moment < self.listeners.look_at {
            return;
        }
        let allocations = self.engine.allocations();
        let mut waits = false;
        for (slot, index) in self.listeners.slots.iter_mut().zip(0..) {
            let Some(GivenUp { everywhere, released }) = slot.as_mut().and_then(|it| it.given_up.as_mut())
            else {
                continue;
            };
            let here = Via::Socket(ListenerId(index));
            *released = *released || {
                let free = allocations.iter().all(|(_, allocation)| allocation.path.via != here);
                // From now on this shard makes no allocation there, so it stays free.
                if free && everywhere.needed_by.fetch_sub(1, Ordering::AcqRel) == 1 {
                    let all = self.neighbours.get().into_iter().flatten();
                    all.for_each(|shard| shard.tell(Command::Close(Arc::clone(everywhere))));
                }
                free
            };
            waits |= !*released;
        }
        self.listeners.look_at = if waits { now.moment + PERIOD } else { Moment::MAX };
    }
}
