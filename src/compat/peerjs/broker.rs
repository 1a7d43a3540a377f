//! PURE  Gives each peer its id, and carries messages from one id to another.
//!
//! A peer is settled once a message went between it and another. Until then it may be evicted for a newcomer where a limit
//! is reached, so that sockets which do nothing keep nobody out.

use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use crate::bounds::client_net::address;
use crate::bounds::headcount::Crowded;
use crate::bounds::net_throttle::NetThrottle;
use crate::bounds::rate::Rate;
use crate::bounds::reached::Limit;
use crate::clock::Moment;
use crate::compat::peerjs::arrival::{Arrival, Unfit};
use crate::compat::peerjs::counters::Counters;
use crate::compat::peerjs::message::{self, Answer, Kind, Said};
use crate::compat::peerjs::waiting::{Expired, Letter, Waiting};
use crate::journal::Journal;
use crate::journal::cause::Cause;
use crate::secret::Digest;
use crate::sections::rooms::Rooms;
use crate::signaling::protocol::codes::Close;
use crate::signaling::seats::{NoSeat, Seats};
use crate::signaling::sessions::SocketId;

/// Bytes of the ids that `/peers` lists. The rest is left out.
pub const LIST_MAX: usize = 64 << 10;

/// What to do with a socket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    /// Send this text.
    Send(SocketId, Arc<str>),
    /// Close it after the texts before. The broker no longer knows it.
    Close(SocketId, Close),
}

/// Why a socket is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refused {
    /// There is no place for it.
    NoSeat(NoSeat),
    /// Its address or network has opened too many lately; it may try again after this time.
    TooOften(Duration),
}

/// All peers.
#[derive(Debug)]
pub struct Broker {
    sockets: BTreeMap<SocketId, Peer>,
    ids: HashMap<Arc<str>, SocketId>,
    seats: Seats,
    opens: NetThrottle,
    waiting: Waiting,
    journal: Arc<Journal>,
    counters: Arc<Counters>,
    draining: bool,
}

/// A client with its id.
#[derive(Debug, Clone)]
struct Peer {
    from: IpAddr,
    id: Arc<str>,
    token: Digest,
    settled: bool,
}

impl Broker {
    /// No peers yet. Of `rooms` the limits on WebSockets and joins count.
    #[must_use]
    pub fn new(rooms: &Rooms, journal: Arc<Journal>, counters: Arc<Counters>) -> Self {
        Self {
            sockets: BTreeMap::new(),
            ids: HashMap::new(),
            seats: Seats::new(rooms.members.get() as usize, rooms.sockets_per_ip.get()),
            opens: NetThrottle::new(opens(rooms)),
            waiting: Waiting::default(),
            journal,
            counters,
            draining: false,
        }
    }

    /// Other limits hold from now on. Whoever is there stays.
    pub fn apply(&mut self, rooms: &Rooms) {
        self.seats.limit(rooms.members.get() as usize, rooms.sockets_per_ip.get());
        self.opens.limit(opens(rooms));
    }

    /// Admits a socket, and gives its client the id. If that cannot be, the client is told why, and its socket is closed.
    ///
    /// A client that shows the same id and token again gets its id, and the socket that had it is closed.
    ///
    /// # Errors
    /// Why the socket cannot be opened at all.
    pub fn open(
        &mut self,
        socket: SocketId,
        ip: IpAddr,
        arrival: Result<Arrival, Unfit>,
        now: Moment,
    ) -> Result<Vec<Effect>, Refused> {
        if self.draining {
            return Err(Refused::NoSeat(NoSeat::Draining));
        }
        self.take_open(ip, now)?;
        let Arrival { id, token } = match arrival {
            Ok(arrival) => arrival,
            Err(unfit) => return Ok(self.turn_down(socket, unfit)),
        };
        let holder = self.ids.get(id.as_str()).copied();
        if holder.and_then(|holder| self.sockets.get(&holder)).is_some_and(|peer| peer.token != token) {
            self.counters.answered(Answer::IdTaken);
            return Ok(ending(socket, message::id_taken(), Close::Protocol));
        }
        let mut effects = Vec::new();
        if let Some(evicted) = self.make_way(ip, now)? {
            self.close(evicted, Close::Crowded, &mut effects);
        }
        // It may have been the one that was evicted.
        if let Some(holder) = self.ids.get(id.as_str()).copied() {
            self.close(holder, Close::Replaced, &mut effects);
        }
        self.seats.take(socket, ip, now);
        let id: Arc<str> = id.into();
        self.ids.insert(Arc::clone(&id), socket);
        self.sockets.insert(socket, Peer { from: ip, id: Arc::clone(&id), token, settled: false });
        self.counters.answered(Answer::Open);
        effects.push(Effect::Send(socket, message::open().into()));
        effects.extend(self.waiting.claim(&id).into_iter().map(|letter| Effect::Send(socket, letter.text)));
        self.counters.waiting.set(self.waiting.bytes() as u64);
        Ok(effects)
    }

    /// Handles a message from a socket.
    pub fn hear(&mut self, socket: SocketId, said: Said<'_>, now: Moment) -> Vec<Effect> {
        let mut effects = Vec::new();
        // What comes on a socket that is being closed is ignored.
        let Some(peer) = self.sockets.get(&socket).cloned() else { return effects };
        self.counters.received(said.kind);
        match (said.kind, said.dst()) {
            (Kind::Heartbeat | Kind::Other, _) => {}
            (Kind::Leave, None) => self.close(socket, Close::Bye, &mut effects),
            (Kind::Offer | Kind::Answer | Kind::Candidate | Kind::Expire, None) => {}
            (Kind::Offer | Kind::Answer | Kind::Candidate | Kind::Leave | Kind::Expire, Some(dst)) => {
                self.carry((socket, peer), said, dst, now, &mut effects);
            }
        }
        effects
    }

    /// A socket is closed, or about to be closed. What it has sent to peers that are not there goes on waiting.
    pub fn lost(&mut self, socket: SocketId) {
        self.forget(socket);
    }

    /// Tells those whose messages have expired.
    pub fn tick(&mut self, now: Moment) -> Vec<Effect> {
        let expired = self.waiting.expire(now);
        self.counters.waiting.set(self.waiting.bytes() as u64);
        expired.into_iter().filter_map(|expired| self.expire(&expired)).collect()
    }

    /// Closes the sockets of clients whose addresses are such.
    pub fn remove(&mut self, such: impl Fn(IpAddr) -> bool, close: Close) -> Vec<Effect> {
        let removed: Vec<_> =
            self.sockets.iter().filter(|(_, peer)| such(peer.from)).map(|(socket, _)| *socket).collect();
        let mut effects = Vec::new();
        removed.into_iter().for_each(|socket| self.close(socket, close, &mut effects));
        effects
    }

    /// Closes all sockets, and refuses new ones.
    pub fn drain(&mut self) -> Vec<Effect> {
        self.draining = true;
        self.remove(|_| true, Close::Drain)
    }

    /// The ids of all peers, those that came first in front; at most [`LIST_MAX`] bytes of them.
    #[must_use]
    pub fn ids(&self) -> Vec<Arc<str>> {
        let mut bytes = 0;
        let fits = |id: &Arc<str>| {
            bytes += id.len();
            bytes <= LIST_MAX
        };
        self.sockets.values().map(|peer| Arc::clone(&peer.id)).take_while(fits).collect()
    }

    /// Whether a message went between this peer and another.
    #[must_use]
    pub fn is_settled(&self, socket: SocketId) -> bool {
        self.sockets.get(&socket).is_some_and(|peer| peer.settled)
    }

    /// Whether there are neither peers nor messages that wait.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.sockets.is_empty() && self.waiting.bytes() == 0
    }

    fn carry(
        &mut self,
        (socket, peer): (SocketId, Peer),
        said: Said<'_>,
        dst: &str,
        now: Moment,
        effects: &mut Vec<Effect>,
    ) {
        let text = said.carried(&peer.id, dst);
        if let Some(receiver) = self.ids.get(dst).copied() {
            if receiver != socket {
                self.settle(socket, now);
                self.settle(receiver, now);
            }
            self.counters.carried(said.kind);
            effects.push(Effect::Send(receiver, text));
        } else if !matches!(said.kind, Kind::Leave | Kind::Expire) {
            let letter = Letter { src: Arc::clone(&peer.id), ip: peer.from, text };
            if self.waiting.add(dst, letter, now).is_err() {
                // As if it had waited: the client does the same in both cases.
                effects.extend(self.expire(&Expired { src: peer.id, dst: dst.into() }));
            }
            self.counters.waiting.set(self.waiting.bytes() as u64);
        }
    }

    /// Tells the sender, if it is still there.
    fn expire(&self, expired: &Expired) -> Option<Effect> {
        let sender = self.ids.get(&expired.src)?;
        self.counters.answered(Answer::Expire);
        Some(Effect::Send(*sender, message::expire(&expired.dst, &expired.src).into()))
    }

    fn settle(&mut self, socket: SocketId, now: Moment) {
        if let Some(peer) = self.sockets.get_mut(&socket).filter(|peer| !peer.settled) {
            peer.settled = true;
            self.seats.is_in_room(socket, true, now);
        }
    }

    /// Counts a socket against the rate of its address and network.
    fn take_open(&mut self, ip: IpAddr, now: Moment) -> Result<(), Refused> {
        self.opens.take(ip, now).map_err(|(crowded, wait)| {
            let limit = match crowded {
                Crowded::Address => Limit::AddressJoins,
                Crowded::Network => Limit::NetworkJoins,
            };
            self.journal.limit(limit, now);
            self.journal.refused(address(ip), Cause::JoinLimit, None, now);
            Refused::TooOften(wait)
        })
    }

    /// The socket that must be evicted for one more of `ip`, if there is no free seat.
    fn make_way(&self, ip: IpAddr, now: Moment) -> Result<Option<SocketId>, Refused> {
        let way = self.seats.way(ip, now);
        match way.map_or_else(Some, |way| way.map(|(_, crowded)| crowded)) {
            Some(NoSeat::Address) => self.journal.limit(Limit::AddressSockets, now),
            Some(NoSeat::Network) => self.journal.limit(Limit::NetworkSockets, now),
            Some(NoSeat::Server) => self.journal.limit(Limit::Members, now),
            Some(NoSeat::Draining) | None => {}
        }
        if way.is_err() {
            self.journal.refused(address(ip), Cause::SocketLimit, None, now);
        }
        way.map(|way| way.map(|(oldest, _)| oldest)).map_err(Refused::NoSeat)
    }

    fn turn_down(&self, socket: SocketId, unfit: Unfit) -> Vec<Effect> {
        self.counters.answered(match unfit {
            Unfit::Key => Answer::InvalidKey,
            Unfit::Incomplete | Unfit::TooLong => Answer::Error,
        });
        ending(socket, unfit.message(), Close::Protocol)
    }

    fn close(&mut self, socket: SocketId, close: Close, effects: &mut Vec<Effect>) {
        self.forget(socket);
        effects.push(Effect::Close(socket, close));
    }

    fn forget(&mut self, socket: SocketId) {
        self.seats.leave(socket);
        if let Some(peer) = self.sockets.remove(&socket) {
            self.ids.remove(&peer.id);
        }
    }
}

/// A last text for a socket, which is then closed.
fn ending(socket: SocketId, text: String, close: Close) -> Vec<Effect> {
    vec![Effect::Send(socket, text.into()), Effect::Close(socket, close)]
}

/// How many sockets one address may open: as often as it may join rooms.
fn opens(rooms: &Rooms) -> Rate {
    let per_minute = rooms.joins_per_minute.get().into();
    Rate::new(per_minute, Duration::from_secs(60), per_minute)
}

#[cfg(test)]
mod tests;
