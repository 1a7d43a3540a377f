//! PURE  Connects sockets, sessions and rooms: takes the frames of clients, and decides what is sent to which socket.
//!
//! A frame for a session has the session's next number, and is kept until it has arrived. So a resuming client gets
//! exactly what it missed, replies included, and knows that a request without a reply was never read.

pub mod administration;
mod hello;
mod request;

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use rand::{Rng as _, RngCore};

use crate::bounds::client_net::address;
use crate::bounds::reached::Limit;
use crate::clock::{Moment, Now};
use crate::credentials::tag::Tag;
use crate::ice::IceConfiguration;
use crate::journal::Journal;
use crate::journal::cause::Cause;
use crate::room_token::RoomTokens;
use crate::signaling::counters::Counters;
use crate::signaling::frame::Frame;
use crate::signaling::guesses::Guesses;
use crate::signaling::joins::Joins;
use crate::signaling::plan::{IceSource, Plan};
use crate::signaling::post::{Act, Post};
use crate::signaling::protocol::codes::{Close, ErrorCode};
use crate::signaling::protocol::names::SessionId;
use crate::signaling::protocol::parse::ParseError;
use crate::signaling::protocol::{
    ClientKind, ClientMessage, GoawayAction, LeaveReason, Request, RequestError, ServerMessage,
};
use crate::signaling::replay::Way;
use crate::signaling::rooms::Rooms;
use crate::signaling::seats::{NoSeat, Seats};
use crate::signaling::sessions::{Attachment, Session, Sessions, SocketId};
use crate::signaling::worth::Worth;

/// The client of a socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Visit {
    /// The address.
    pub ip: IpAddr,
    /// Whether it must show a room token, because no browser vouches for its origin.
    pub needs_token: bool,
}

/// What to do with a socket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    /// Send a frame.
    Send(SocketId, Frame),
    /// Close it after the frames before. The switchboard no longer knows it.
    Close(SocketId, Close),
}

/// Sockets, sessions and rooms.
pub struct Switchboard {
    sockets: BTreeMap<SocketId, OpenSocket>,
    seats: Seats,
    sessions: Sessions,
    rooms: Rooms,
    joins: Joins,
    guesses: Guesses,
    journal: Arc<Journal>,
    ice: IceSource,
    tokens: RoomTokens,
    counters: Arc<Counters>,
    draining: bool,
}

#[derive(Debug, Clone, Copy)]
struct OpenSocket {
    /// The whole address; what counts as one address is in `visit`.
    from: IpAddr,
    visit: Visit,
    session: Option<SessionId>,
}

/// The context of one call: its effects on sockets, its time, and its random numbers.
struct Step<'a> {
    effects: Vec<Effect>,
    now: Now,
    rng: &'a mut dyn RngCore,
}

/// An evicted client waits at least this many milliseconds before it reconnects, and at most twice as many.
const MAKE_WAY_FOR: u64 = 5000;
/// After a shutdown, clients reconnect within this many milliseconds, so that they do not all come at once.
const RETURN_WITHIN: u64 = 2000;

/// How long it takes until all members have what a reload has changed for them, so that not all of them are told at once.
const SPREAD: Duration = Duration::from_secs(20);

impl Switchboard {
    /// No sockets, sessions or rooms yet.
    #[must_use]
    pub fn new(plan: Plan, journal: Arc<Journal>, counters: Arc<Counters>) -> Self {
        counters.most_sessions.set(plan.sessions as u64);
        Self {
            sockets: BTreeMap::new(),
            seats: Seats::new(plan.sessions, plan.rooms.sockets_per_ip.get()),
            sessions: Sessions::new(plan.sessions),
            joins: Joins::new(plan.rooms.joins_per_minute.get()),
            rooms: Rooms::new(plan.rooms),
            guesses: Guesses::default(),
            journal,
            ice: plan.ice,
            tokens: plan.tokens,
            counters,
            draining: false,
        }
    }

    /// Another plan holds from now on. Whoever is there stays, whatever the new limits are. If members would get other ICE
    /// servers or credentials now, they are sent them within `SPREAD`.
    pub fn apply(&mut self, plan: Plan, now: Moment) {
        let Plan { rooms, sessions, ice, tokens } = plan;
        self.seats.limit(sessions, rooms.sockets_per_ip.get());
        self.sessions.limit(sessions);
        self.counters.most_sessions.set(sessions as u64);
        self.joins.limit(rooms.joins_per_minute.get());
        self.rooms.apply(rooms);
        self.tokens = tokens;
        if !self.ice.gives_the_same_as(&ice) {
            self.sessions.renew_within(SPREAD, now);
        }
        self.ice = ice;
    }

    /// Admits a socket; another may be evicted for it.
    ///
    /// # Errors
    /// Which limit is reached.
    pub fn open(
        &mut self,
        socket: SocketId,
        visit: Visit,
        now: Now,
        rng: &mut dyn RngCore,
    ) -> Result<Vec<Effect>, NoSeat> {
        let mut step = Step { effects: Vec::new(), now, rng };
        let from = visit.ip;
        let visit = Visit { ip: address(from), ..visit };
        let way = self.seats.way(visit.ip, now.moment);
        if let Some(crowded) = way.map_or_else(Some, |way| way.map(|(_, crowded)| crowded)) {
            self.crowded(crowded, now.moment);
        }
        if way.is_err() {
            self.journal.refused(visit.ip, Cause::SocketLimit, None, now.moment);
        }
        if let Some((oldest, _)) = way? {
            self.send_away(oldest, &mut step);
        }
        self.seats.take(socket, visit.ip, now.moment);
        self.sockets.insert(socket, OpenSocket { from, visit, session: None });
        Ok(step.effects)
    }

    /// Whether one more socket of `ip` can be admitted, perhaps by evicting another.
    ///
    /// # Errors
    /// Which limit is reached.
    pub fn room_for(&self, ip: IpAddr, now: Moment) -> Result<(), NoSeat> {
        self.seats.way(ip, now).map(drop)
    }

    /// Logs that a socket was refused, or admitted by evicting another.
    pub fn crowded(&self, crowded: NoSeat, now: Moment) {
        match crowded {
            NoSeat::Address => self.journal.limit(Limit::AddressSockets, now),
            NoSeat::Network => self.journal.limit(Limit::NetworkSockets, now),
            NoSeat::Server => self.journal.limit(Limit::Members, now),
            // The shutdown is logged elsewhere.
            NoSeat::Draining => {}
        }
    }

    /// Handles a frame from a socket.
    pub fn hear(
        &mut self,
        socket: SocketId,
        heard: Result<Request, ParseError>,
        now: Now,
        rng: &mut dyn RngCore,
    ) -> Vec<Effect> {
        let mut step = Step { effects: Vec::new(), now, rng };
        // Frames on a socket that is being closed are ignored.
        let Some(OpenSocket { visit, session, .. }) = self.sockets.get(&socket).copied() else {
            return step.effects;
        };
        self.counters.received(heard.as_ref().map_or(ClientKind::Invalid, |request| request.message.kind()));
        match (session, heard) {
            (None, Ok(Request { id, message: ClientMessage::Hello(hello) })) => {
                self.hello(socket, visit, id, &hello, &mut step);
            }
            (None, Ok(Request { id, .. })) => {
                self.turn_down(socket, id, ErrorCode::HelloRequired.into(), Some(Close::Protocol), &mut step);
            }
            (None, Err(ParseError { re, error })) => {
                self.turn_down(socket, re, error, Some(Close::Protocol), &mut step);
            }
            (Some(session), Ok(request)) => self.request(socket, session, request, &mut step),
            (Some(session), Err(ParseError { re, error })) => self.say(session, re, error.into(), &mut step),
        }
        self.settle(Some(socket), now.moment);
        step.effects
    }

    /// Everything up to `n` has arrived at a socket's client.
    pub fn acknowledge(&mut self, socket: SocketId, n: u64) {
        if let Some(session) = self.session_of(socket).and_then(|id| self.sessions.get(id)) {
            session.replay.acknowledge(n);
        }
    }

    /// A socket is closed, or about to be closed.
    pub fn lost(&mut self, socket: SocketId, now: Now, rng: &mut dyn RngCore) -> Vec<Effect> {
        let mut step = Step { effects: Vec::new(), now, rng };
        let Some(OpenSocket { session: Some(id), .. }) = self.forget(socket) else {
            return step.effects;
        };
        match self.sessions.get(id) {
            // The other members wait for it to come back.
            Some(session) if self.rooms.has(id) => {
                session.attachment = Attachment::Lost(now.moment);
                let mut post = Post::default();
                self.rooms.set_away(id, true, &mut post);
                self.deliver(post, &mut step);
            }
            // Outside a room there is nothing to resume.
            Some(_) | None => drop(self.sessions.end(id)),
        }
        self.settle(None, now.moment);
        step.effects
    }

    /// Does what is due: ends sessions that were not resumed, renews credentials, removes rooms.
    pub fn tick(&mut self, now: Now, rng: &mut dyn RngCore) -> Vec<Effect> {
        let mut step = Step { effects: Vec::new(), now, rng };
        let mut post = Post::default();
        self.rooms.tick(now.moment, &mut post);
        self.deliver(post, &mut step);
        for id in self.sessions.over(now.moment) {
            self.end(id, LeaveReason::Timeout, &mut step);
        }
        for id in self.sessions.to_renew(now.moment) {
            match self.ice(id, now) {
                Some(ice) => self.say(id, None, ServerMessage::Ice(ice), &mut step),
                None => self.sessions.get(id).into_iter().for_each(|session| session.renew_at = None),
            }
        }
        self.settle(None, now.moment);
        step.effects
    }

    /// Closes the sockets of clients whose addresses are such, and ends their sessions.
    pub fn remove(&mut self, such: impl Fn(IpAddr) -> bool, now: Now, rng: &mut dyn RngCore) -> Vec<Effect> {
        let mut step = Step { effects: Vec::new(), now, rng };
        let removed = self.sockets.iter().filter(|(_, socket)| such(socket.from));
        for (id, socket) in removed.map(|(id, socket)| (*id, *socket)).collect::<Vec<_>>() {
            if let Some(session) = socket.session {
                self.end(session, LeaveReason::Kicked, &mut step);
            }
            self.close(id, Close::Kicked, &mut step);
        }
        self.settle(None, now.moment);
        step.effects
    }

    /// Closes all sockets, and refuses new ones.
    pub fn drain(&mut self, rng: &mut dyn RngCore) -> Vec<Effect> {
        self.draining = true;
        let mut effects = Vec::new();
        for socket in std::mem::take(&mut self.sockets).into_keys() {
            self.seats.leave(socket);
            // Rooms exist only in this process, so there is nothing to resume in the next.
            let (action, after_ms) = (GoawayAction::Rejoin, rng.random_range(0..RETURN_WITHIN));
            effects.push(self.aside(socket, None, &ServerMessage::Goaway { action, after_ms }));
            effects.push(Effect::Close(socket, Close::Drain));
        }
        effects
    }

    /// Whether new sockets are refused because the server stops.
    #[must_use]
    pub fn is_draining(&self) -> bool {
        self.draining
    }

    /// Whether a socket belongs to a session.
    #[must_use]
    pub fn is_welcome(&self, socket: SocketId) -> bool {
        self.session_of(socket).is_some()
    }

    /// Whether a socket's session is in a room.
    #[must_use]
    pub fn is_in_room(&self, socket: SocketId) -> bool {
        self.session_of(socket).is_some_and(|session| self.rooms.has(session))
    }

    fn session_of(&self, socket: SocketId) -> Option<SessionId> {
        self.sockets.get(&socket)?.session
    }

    /// Fresh ICE credentials for a member. They are renewed after four fifths of their lifetime.
    fn ice(&mut self, id: SessionId, now: Now) -> Option<IceConfiguration> {
        let (room, peer) = self.rooms.place(id)?;
        let IceSource { servers, credentials, ttl } = &self.ice;
        let tag = Tag::Room { room: credentials.pseudonym(room.as_str())?, peer: &peer.to_string() };
        let ice = servers.configuration(credentials, &tag, now.unix, *ttl, None)?;
        self.sessions.get(id)?.renew_at = Some(now.moment + *ttl * 4 / 5);
        self.counters.credentials.add(1);
        Some(ice)
    }

    /// Ends a session, but does not close its socket.
    fn end(&mut self, id: SessionId, reason: LeaveReason, step: &mut Step<'_>) {
        self.sessions.end(id);
        let mut post = Post::default();
        self.rooms.leave(id, reason, step.now.moment, &mut post);
        self.deliver(post, step);
    }

    fn deliver(&mut self, post: Post, step: &mut Step<'_>) {
        for act in post {
            match act {
                Act::Tell { to, message } if to.len() == 1 => self.say(to[0], None, message, step),
                Act::Tell { to, message } => {
                    let json = Arc::from(message.to_json());
                    to.iter().for_each(|session| self.send(*session, None, (&message, &json), step));
                }
                Act::Dismiss(session, reason) => {
                    self.say(session, None, ServerMessage::Kicked { reason }, step);
                    if let Some(Attachment::Socket(socket)) = self.sessions.end(session) {
                        self.close(socket, Close::Kicked, step);
                    }
                }
            }
        }
    }

    /// Sends one session a message. `joined` gets ICE credentials with it.
    fn say(&mut self, session: SessionId, re: Option<u32>, mut message: ServerMessage, step: &mut Step<'_>) {
        if let ServerMessage::Joined(joined) = &mut message {
            joined.ice = self.ice(session, step.now);
        }
        self.send(session, re, (&message, &message.to_json().into()), step);
    }

    /// Sends one session a message, whose JSON is made once for all who get it.
    fn send(
        &mut self,
        session: SessionId,
        re: Option<u32>,
        (message, json): (&ServerMessage, &Arc<str>),
        step: &mut Step<'_>,
    ) {
        let Some(Session { replay, attachment, .. }) = self.sessions.get(session) else { return };
        self.counters.sent(message);
        let (worth, json) = (Worth::of(message), Arc::clone(json));
        match *attachment {
            Attachment::Socket(socket) => {
                let frame = replay.push(worth, Way::Socket, re, json);
                step.effects.push(Effect::Send(socket, frame));
            }
            Attachment::Lost(_) => drop(replay.push(worth, Way::Waits, re, json)),
        }
    }

    /// Refuses a request on a socket without a session.
    fn turn_down(
        &mut self,
        socket: SocketId,
        re: Option<u32>,
        error: RequestError,
        close: Option<Close>,
        step: &mut Step<'_>,
    ) {
        step.effects.push(self.aside(socket, re, &error.into()));
        if let Some(close) = close {
            self.close(socket, close, step);
        }
    }

    /// Evicts a socket whose client is in no room.
    fn send_away(&mut self, socket: SocketId, step: &mut Step<'_>) {
        let after_ms = MAKE_WAY_FOR + step.rng.random_range(0..MAKE_WAY_FOR);
        let goaway = ServerMessage::Goaway { action: GoawayAction::Rejoin, after_ms };
        step.effects.push(self.aside(socket, None, &goaway));
        // Outside a room there is nothing to resume.
        if let Some(session) = self.session_of(socket) {
            self.sessions.end(session);
        }
        self.close(socket, Close::Crowded, step);
    }

    fn close(&mut self, socket: SocketId, close: Close, step: &mut Step<'_>) {
        self.forget(socket);
        step.effects.push(Effect::Close(socket, close));
    }

    fn forget(&mut self, socket: SocketId) -> Option<OpenSocket> {
        self.seats.leave(socket);
        self.sockets.remove(&socket)
    }

    /// Called at the end of each step: a session that has entered a room keeps its seat, and one that has left may be
    /// evicted.
    fn settle(&mut self, socket: Option<SocketId>, now: Moment) {
        let mut moved = self.rooms.take_gone();
        moved.extend(socket.and_then(|socket| self.session_of(socket)));
        for id in moved {
            if let Some(&mut Session { attachment: Attachment::Socket(socket), .. }) = self.sessions.get(id) {
                self.seats.is_in_room(socket, self.rooms.has(id), now);
            }
        }
        self.count();
    }

    fn count(&self) {
        self.counters.rooms.set(self.rooms.count() as u64);
        self.counters.members.set(self.rooms.members() as u64);
        self.counters.sessions.set(self.sessions.count() as u64);
    }

    /// A frame for a socket only: it has no number, and a resume does not repeat it.
    fn aside(&self, socket: SocketId, re: Option<u32>, message: &ServerMessage) -> Effect {
        self.counters.sent(message);
        Effect::Send(socket, Frame::aside(re, message))
    }
}
