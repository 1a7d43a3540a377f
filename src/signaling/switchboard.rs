//! PURE  Connects sockets, sessions and rooms: takes what a socket hears, and says what is to be sent where.
//!
//! A frame that a session is sent has the session's next number, and is kept until it has arrived; so whoever resumes
//! gets exactly what was missed, replies included, and knows that a request without a reply was never read.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use rand::{Rng as _, RngCore};

use crate::api_key::ROOM;
use crate::clock::{Moment, Now};
use crate::credentials::Credentials;
use crate::ice::{IceConfiguration, IceServers};
use crate::relay::engine::limits::Rate;
use crate::relay::engine::quotas::address;
use crate::room_token::{RoomTokens, TokenError};
use crate::signaling::counters::Counters;
use crate::signaling::heartbeat::{DEAD, PING};
use crate::signaling::pace::{MESSAGES_AT_ONCE, MESSAGES_PER_SECOND};
use crate::signaling::post::{Act, Post};
use crate::signaling::protocol::codes::{Close, ErrorCode};
use crate::signaling::protocol::names::{PeerId, RoomName, SessionId};
use crate::signaling::protocol::parse::Mistake;
use crate::signaling::protocol::{
    self, BODY_MAX, CANDIDATES_MAX, ClientMessage, FRAME_MAX, Fault, GoawayAction, Heartbeats, Hello, Join,
    LeaveReason, Limits, Request, Resume, SDP_MAX, ServerMessage, VERSION, Welcome,
};
use crate::signaling::replay::Frame;
use crate::signaling::room::Caller;
use crate::signaling::rooms::{Pass, Rooms, Rules};
use crate::signaling::sessions::{GRACE, Line, Session, Sessions, SocketId};
use crate::throttle::Throttle;

/// Who is at the other end of a socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Visit {
    /// The address.
    pub ip: IpAddr,
    /// Whether it must show a room token: no browser vouches for where it comes from.
    pub needs_token: bool,
}

/// What is to be done with a socket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    /// Send a frame.
    Send(SocketId, Frame),
    /// Close it, after what was sent before. The switchboard knows it no longer.
    Close(SocketId, Close),
}

/// What the switchboard is made of.
pub struct Parts {
    /// What rooms are like.
    pub rules: Rules,
    /// Sessions in all.
    pub sessions: usize,
    /// Joins of one address, each minute.
    pub joins_per_minute: u32,
    /// The relay that members are given.
    pub relay: Relay,
    /// The room tokens that are accepted.
    pub tokens: RoomTokens,
    /// Counts what happens.
    pub counters: Arc<Counters>,
}

/// The relay that members are given.
pub struct Relay {
    /// Its URLs.
    pub servers: IceServers,
    /// What credentials are made from.
    pub credentials: Credentials,
    /// How long one is valid.
    pub ttl: Duration,
}

/// Sockets, sessions and rooms.
pub struct Switchboard {
    sockets: BTreeMap<SocketId, Socket>,
    sessions: Sessions,
    rooms: Rooms,
    joins: Throttle<IpAddr>,
    failures: Throttle<IpAddr>,
    relay: Relay,
    tokens: RoomTokens,
    counters: Arc<Counters>,
    draining: bool,
}

#[derive(Debug, Clone, Copy)]
struct Socket {
    visit: Visit,
    session: Option<SessionId>,
}

/// What one call does: what is to be done with sockets, and with which clock and which chance.
struct Turn<'a> {
    effects: Vec<Effect>,
    now: Now,
    chance: &'a mut dyn RngCore,
}

/// Joins that failed because something was guessed wrong, of one address each minute.
const FAILURES_PER_MINUTE: u64 = 10;
/// Changes of its state that a member may make each second, and at once.
const CHANGES_PER_SECOND: u64 = 5;
const CHANGES_AT_ONCE: u64 = 10;
/// Clients that must connect again do so within so many milliseconds, not all at once.
const RETURN_WITHIN: u64 = 2000;

impl Switchboard {
    /// Nobody there yet.
    #[must_use]
    pub fn new(parts: Parts) -> Self {
        let minute = Duration::from_secs(60);
        let joins = u64::from(parts.joins_per_minute);
        Self {
            sockets: BTreeMap::new(),
            sessions: Sessions::new(parts.sessions),
            rooms: Rooms::new(parts.rules),
            joins: Throttle::new(Rate::new(joins, minute, joins)),
            failures: Throttle::new(Rate::new(FAILURES_PER_MINUTE, minute, FAILURES_PER_MINUTE)),
            relay: parts.relay,
            tokens: parts.tokens,
            counters: parts.counters,
            draining: false,
        }
    }

    /// A socket is open.
    pub fn open(&mut self, socket: SocketId, visit: Visit) {
        self.sockets
            .insert(socket, Socket { visit: Visit { ip: address(visit.ip), ..visit }, session: None });
    }

    /// A frame has come on a socket.
    pub fn hear(
        &mut self,
        socket: SocketId,
        heard: Result<Request, Mistake>,
        now: Now,
        chance: &mut dyn RngCore,
    ) -> Vec<Effect> {
        let mut turn = Turn { effects: Vec::new(), now, chance };
        // A socket that is being closed is not listened to.
        let Some(Socket { visit, session }) = self.sockets.get(&socket).copied() else { return turn.effects };
        match (session, heard) {
            (None, Ok(Request { id, message: ClientMessage::Hello(hello) })) => {
                self.hello(socket, visit, id, &hello, &mut turn);
            }
            (None, Ok(Request { id, .. })) => {
                self.turn_down(socket, id, ErrorCode::HelloRequired.into(), Some(Close::Protocol), &mut turn);
            }
            (None, Err(Mistake { re, fault })) => {
                self.turn_down(socket, re, fault, Some(Close::Protocol), &mut turn);
            }
            (Some(session), Ok(request)) => self.request(socket, session, request, &mut turn),
            (Some(session), Err(Mistake { re, fault })) => self.say(session, re, fault.into(), &mut turn),
        }
        self.count();
        turn.effects
    }

    /// Everything up to `n` has arrived on a socket.
    pub fn acknowledge(&mut self, socket: SocketId, n: u64) {
        if let Some(session) = self.session_of(socket).and_then(|id| self.sessions.get(id)) {
            session.replay.acknowledge(n);
        }
    }

    /// A socket is closed, or may as well be.
    pub fn lost(&mut self, socket: SocketId, now: Now, chance: &mut dyn RngCore) -> Vec<Effect> {
        let mut turn = Turn { effects: Vec::new(), now, chance };
        let Some(Socket { session: Some(id), .. }) = self.sockets.remove(&socket) else {
            return turn.effects;
        };
        match self.sessions.get(id) {
            // Others wait for its return.
            Some(session) if self.rooms.has(id) => {
                session.line = Line::Down(now.moment);
                let mut post = Post::default();
                self.rooms.set_away(id, true, &mut post);
                self.deliver(post, &mut turn);
            }
            // In no room there is nothing to go on with.
            Some(_) | None => drop(self.sessions.end(id)),
        }
        self.count();
        turn.effects
    }

    /// Does what is due: ends sessions that were not resumed, renews credentials, forgets rooms.
    pub fn tick(&mut self, now: Now, chance: &mut dyn RngCore) -> Vec<Effect> {
        let mut turn = Turn { effects: Vec::new(), now, chance };
        let mut post = Post::default();
        self.rooms.tick(now.moment, &mut post);
        self.deliver(post, &mut turn);
        for id in self.sessions.over(now.moment) {
            self.end(id, LeaveReason::Timeout, &mut turn);
        }
        for id in self.sessions.to_renew(now.moment) {
            match self.ice(id, now) {
                Some(ice) => self.say(id, None, ServerMessage::Ice(ice), &mut turn),
                None => self.sessions.get(id).into_iter().for_each(|session| session.renew_at = None),
            }
        }
        self.count();
        turn.effects
    }

    /// Says goodbye to everybody, and welcomes nobody any more.
    pub fn drain(&mut self, chance: &mut dyn RngCore) -> Vec<Effect> {
        self.draining = true;
        let mut effects = Vec::new();
        for socket in std::mem::take(&mut self.sockets).into_keys() {
            // Rooms live in this process, and so there is nothing to resume in the next.
            let (action, after_ms) = (GoawayAction::Rejoin, chance.random_range(0..RETURN_WITHIN));
            effects.push(aside(socket, None, &ServerMessage::Goaway { action, after_ms }));
            effects.push(Effect::Close(socket, Close::Drain));
        }
        effects
    }

    /// Whether a socket has been welcomed.
    #[must_use]
    pub fn is_welcome(&self, socket: SocketId) -> bool {
        self.session_of(socket).is_some()
    }

    fn session_of(&self, socket: SocketId) -> Option<SessionId> {
        self.sockets.get(&socket)?.session
    }

    fn hello(&mut self, socket: SocketId, visit: Visit, id: Option<u32>, hello: &Hello, turn: &mut Turn<'_>) {
        let welcome = match &hello.resume {
            _ if !hello.versions.contains(&VERSION) => {
                Err((ErrorCode::BadVersion.into(), Some(Close::Protocol)))
            }
            _ if self.draining => Err((ErrorCode::Draining.into(), Some(Close::Drain))),
            Some(resume) => self.resume(socket, resume, turn),
            None => self.begin(socket, visit, hello.token.as_deref(), turn),
        };
        let (session, resume, resumed) = match welcome {
            Ok(welcome) => welcome,
            Err((fault, close)) => return self.turn_down(socket, id, fault, close, turn),
        };
        let welcome = ServerMessage::Welcome(Welcome {
            v: VERSION,
            session,
            resume,
            resumed,
            hb: Heartbeats { ping: PING.as_secs(), dead: DEAD.as_secs() },
            limits: Limits {
                frame: FRAME_MAX,
                sdp: SDP_MAX,
                candidates: CANDIDATES_MAX,
                body: BODY_MAX,
                rate: MESSAGES_PER_SECOND,
                burst: MESSAGES_AT_ONCE,
                grace: GRACE.as_secs(),
            },
            now: turn.now.unix,
            build: env!("CARGO_PKG_VERSION").to_owned(),
        });
        turn.effects.push(aside(socket, id, &welcome));
        self.sockets.entry(socket).and_modify(|socket| socket.session = Some(session));
        if resumed {
            self.catch_up(socket, session, hello.resume.as_ref().map_or(0, |resume| resume.last), turn);
        }
    }

    fn begin(
        &mut self,
        socket: SocketId,
        visit: Visit,
        token: Option<&str>,
        turn: &mut Turn<'_>,
    ) -> Result<(SessionId, String, bool), (Fault, Option<Close>)> {
        let unauthorized = |code: ErrorCode| (Fault::from(code), Some(Close::Unauthorized));
        let pass = match token {
            Some(token) => Some(self.pass(token, turn.now).map_err(unauthorized)?),
            None if visit.needs_token => return Err(unauthorized(ErrorCode::Unauthorized)),
            None => None,
        };
        let begun = self.sessions.begin(socket, visit.ip, pass, turn.chance);
        let (session, token) = begun.ok_or((ErrorCode::ServerFull.into(), Some(Close::Full)))?;
        Ok((session, token, false))
    }

    /// What a room token allows. A name that cannot be a room's can be joined by nobody.
    fn pass(&self, token: &str, now: Now) -> Result<Pass, ErrorCode> {
        let grant = self.tokens.check(token, now.unix).map_err(|error| match error {
            TokenError::Expired => ErrorCode::TokenExpired,
            TokenError::Invalid => ErrorCode::Unauthorized,
        })?;
        let only = grant.room.map(RoomName::try_from).transpose().map_err(|_| ErrorCode::Unauthorized)?;
        Ok(Pass { only })
    }

    /// Goes on with a session. Nobody guesses 256 bits, so a wrong token is an old one, and may be tried at any rate.
    fn resume(
        &mut self,
        socket: SocketId,
        resume: &Resume,
        turn: &mut Turn<'_>,
    ) -> Result<(SessionId, String, bool), (Fault, Option<Close>)> {
        let failed = (Fault::from(ErrorCode::ResumeFailed), None);
        let id = self.sessions.by_token(&resume.token).ok_or(failed)?;
        let session = self.sessions.get(id).ok_or(failed)?;
        let is_whole = session.replay.after(resume.last).is_some();
        if let Line::Up(old) = std::mem::replace(&mut session.line, Line::Up(socket)) {
            turn.effects.push(aside(old, None, &Fault::from(ErrorCode::Replaced).into()));
            self.close(old, Close::Replaced, turn);
        }
        if !is_whole {
            self.end(id, LeaveReason::Timeout, turn);
            return Err(failed);
        }
        Ok((id, resume.token.clone(), true))
    }

    /// Sends a resumed session what it missed, and lets the others know that it is back.
    fn catch_up(&mut self, socket: SocketId, id: SessionId, last: u64, turn: &mut Turn<'_>) {
        if let Some(session) = self.sessions.get(id) {
            session.replay.acknowledge(last);
            let missed = session.replay.after(last).into_iter().flatten();
            turn.effects.extend(missed.map(|frame| Effect::Send(socket, frame)));
        }
        let mut post = Post::default();
        self.rooms.set_away(id, false, &mut post);
        self.deliver(post, turn);
    }

    fn request(&mut self, socket: SocketId, session: SessionId, request: Request, turn: &mut Turn<'_>) {
        let Request { id, message } = request;
        let mut post = Post::default();
        let reply = match message {
            ClientMessage::Ping { ts, last } => {
                self.acknowledge(socket, last.unwrap_or_default());
                return turn.effects.push(aside(socket, id, &ServerMessage::Pong { ts }));
            }
            ClientMessage::Bye => {
                self.end(session, LeaveReason::Left, turn);
                return self.close(socket, Close::Bye, turn);
            }
            ClientMessage::Hello(_) => Err(Fault::field("t")),
            ClientMessage::Join(join) => self.join(session, &join, turn, &mut post),
            ClientMessage::Ice => {
                let ice = self.ice(session, turn.now).map(ServerMessage::Ice);
                ice.ok_or_else(|| self.without_ice(session).into())
            }
            ClientMessage::State(_) if self.is_restless(session, turn.now.moment) => {
                Err(Fault::later(ErrorCode::RateLimited, Duration::from_millis(1000 / CHANGES_PER_SECOND)))
            }
            message @ (ClientMessage::Leave
            | ClientMessage::Signal { .. }
            | ClientMessage::State(_)
            | ClientMessage::Msg { .. }
            | ClientMessage::Lock { .. }
            | ClientMessage::Kick { .. }
            | ClientMessage::Admit { .. }
            | ClientMessage::Deny { .. }
            | ClientMessage::Host { .. }
            | ClientMessage::End) => {
                self.rooms.ask(session, message, turn.now.moment, &mut post).map_err(Fault::from)
            }
        };
        match reply {
            // Who gave no id does not want to hear that all is well.
            Ok(ServerMessage::Ok) if id.is_none() => {}
            Ok(message) => self.say(session, id, message, turn),
            Err(fault) => self.say(session, id, fault.into(), turn),
        }
        self.deliver(post, turn);
    }

    fn join(
        &mut self,
        id: SessionId,
        join: &Join,
        turn: &mut Turn<'_>,
        post: &mut Post,
    ) -> Result<ServerMessage, Fault> {
        let now = turn.now.moment;
        let session = self.sessions.get(id).ok_or(ErrorCode::Internal)?;
        let (ip, pass) = (session.ip, session.pass.clone());
        let allowed = match self.failures.wait(&ip, now) {
            Duration::ZERO => self.joins.take(ip, now),
            wait => Err(wait),
        };
        let caller = Caller { session: id, ip, id: PeerId::random(turn.chance) };
        let joined = match allowed {
            Ok(()) => self
                .rooms
                .join(&caller, join, pass.as_ref(), now, (&mut *turn.chance, post))
                .map_err(Fault::from),
            Err(wait) => Err(Fault::later(ErrorCode::RateLimited, wait)),
        };
        joined.inspect_err(|fault| {
            self.counters.refused(fault.code);
            let guessed =
                [ErrorCode::BadKey, ErrorCode::RoomNotFound, ErrorCode::Unauthorized, ErrorCode::Kicked];
            if guessed.contains(&fault.code) {
                // It was looked at above whether there are failures left.
                let _ = self.failures.take(ip, now);
            }
        })
    }

    fn is_restless(&mut self, session: SessionId, now: Moment) -> bool {
        let rate = Rate::new(CHANGES_PER_SECOND, Duration::from_secs(1), CHANGES_AT_ONCE);
        self.sessions.get(session).is_some_and(|session| !session.changes.take(rate, 1, now))
    }

    /// Fresh ICE credentials for a member, which are renewed when four fifths of their time are over.
    fn ice(&mut self, id: SessionId, now: Now) -> Option<IceConfiguration> {
        let (room, peer) = self.rooms.place(id)?;
        let (tag, ttl) = (format!("{ROOM}.{}.{peer}", room.hash()), self.relay.ttl);
        let Relay { servers, credentials, .. } = &self.relay;
        let ice = servers.configuration(credentials, &tag, now.unix, ttl.as_secs(), None)?;
        self.sessions.get(id)?.renew_at = Some(now.moment + ttl * 4 / 5);
        Some(ice)
    }

    fn without_ice(&self, session: SessionId) -> ErrorCode {
        // In a room, it is the daemon that has no secret or no address.
        if self.rooms.place(session).is_some() { ErrorCode::Internal } else { ErrorCode::NotInRoom }
    }

    /// Ends a session; its socket is another matter.
    fn end(&mut self, id: SessionId, reason: LeaveReason, turn: &mut Turn<'_>) {
        self.sessions.end(id);
        let mut post = Post::default();
        self.rooms.leave(id, reason, turn.now.moment, &mut post);
        self.deliver(post, turn);
    }

    fn deliver(&mut self, post: Post, turn: &mut Turn<'_>) {
        for act in post {
            match act {
                Act::Tell { to, message } if to.len() == 1 => self.say(to[0], None, message, turn),
                Act::Tell { to, message } => {
                    let json = message.to_json();
                    to.iter().for_each(|session| self.send(*session, None, &json, turn));
                }
                Act::Dismiss(session, reason) => {
                    self.say(session, None, ServerMessage::Kicked { reason }, turn);
                    if let Some(Line::Up(socket)) = self.sessions.end(session) {
                        self.close(socket, Close::Kicked, turn);
                    }
                }
            }
        }
    }

    /// Sends one session a message; whoever has joined a room gets credentials with it.
    fn say(&mut self, session: SessionId, re: Option<u32>, mut message: ServerMessage, turn: &mut Turn<'_>) {
        if let ServerMessage::Joined(joined) = &mut message {
            joined.ice = self.ice(session, turn.now);
        }
        self.send(session, re, &message.to_json(), turn);
    }

    fn send(&mut self, session: SessionId, re: Option<u32>, json: &str, turn: &mut Turn<'_>) {
        let Some(Session { replay, line, .. }) = self.sessions.get(session) else { return };
        let frame = replay.push(|n| protocol::frame(json, Some(n), re));
        match *line {
            Line::Up(socket) => turn.effects.push(Effect::Send(socket, frame)),
            Line::Down(_) => {}
        }
    }

    /// Says no to a socket without a session.
    fn turn_down(
        &mut self,
        socket: SocketId,
        re: Option<u32>,
        fault: Fault,
        close: Option<Close>,
        turn: &mut Turn<'_>,
    ) {
        turn.effects.push(aside(socket, re, &fault.into()));
        if let Some(close) = close {
            self.close(socket, close, turn);
        }
    }

    fn close(&mut self, socket: SocketId, close: Close, turn: &mut Turn<'_>) {
        self.sockets.remove(&socket);
        turn.effects.push(Effect::Close(socket, close));
    }

    fn count(&self) {
        self.counters.rooms.set(self.rooms.count() as u64);
        self.counters.members.set(self.rooms.members() as u64);
        self.counters.sessions.set(self.sessions.count() as u64);
    }
}

/// What concerns a socket alone: it has no number, and nobody who resumes needs it.
fn aside(socket: SocketId, re: Option<u32>, message: &ServerMessage) -> Effect {
    let text = protocol::frame(&message.to_json(), None, re).into();
    Effect::Send(socket, Frame { n: None, text })
}
