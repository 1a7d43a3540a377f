//! PURE  One room: its members, its host, and what it tells its members.

mod lobby;
mod member;

use std::collections::VecDeque;
use std::net::IpAddr;
use std::time::Duration;

use crate::clock::Moment;
use crate::credentials::tag::Pseudonym;
use crate::observed;
use crate::secret::{Digest, Secret};
use crate::signaling::post::{Act, Post};
use crate::signaling::protocol::codes::ErrorCode;
use crate::signaling::protocol::names::{PeerId, RoomName, SessionId};
use crate::signaling::protocol::{
    Join, Joined, KickReason, LeaveReason, MemberState, Peer, ServerMessage, StateChange,
};
use crate::signaling::room::lobby::{Lobby, knock, turn_away};
use crate::signaling::room::member::Member;

pub use lobby::{KNOCK, WAITING_MAX};

/// The most bans; when there are more, the oldest ends.
pub const BANS_MAX: usize = 64;
/// How long an empty room is kept, so that all members may reload their pages at once.
pub const EMPTY: Duration = Duration::from_secs(60);

/// A room.
#[derive(Debug)]
pub struct Room {
    name: RoomName,
    cap: usize,
    key: Option<Digest>,
    host_token: Digest,
    locked: bool,
    /// One of the members; `None` if there are none.
    host: Option<PeerId>,
    /// In the order in which they came.
    members: Vec<Member>,
    lobby: Lobby,
    bans: VecDeque<Ban>,
    next_seq: u64,
    since: Moment,
    empty_since: Option<Moment>,
}

/// A client that wants to come in.
#[derive(Debug, Clone)]
pub struct Newcomer {
    /// The session.
    pub session: SessionId,
    /// The address, normalized by `client_net::address`.
    pub ip: IpAddr,
    /// Its id in the room, if it comes in.
    pub id: PeerId,
}

/// Whether a newcomer was let in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Entrance {
    /// It was.
    Entered,
    /// It waits for the host. If the lobby was full, another waiting client was evicted for it.
    Waits {
        /// The session of the evicted client.
        instead_of: Option<SessionId>,
    },
}

#[derive(Debug)]
struct Ban {
    ip: IpAddr,
    until: Moment,
}

impl Room {
    /// An empty room with its creator's key and the hash of its creator's host token.
    #[must_use]
    pub fn new(name: RoomName, cap: usize, key: Option<&Secret>, host_token: Digest, now: Moment) -> Self {
        Self {
            name,
            cap,
            key: key.map(|key| Digest::of(key.reveal())),
            host_token,
            locked: false,
            host: None,
            members: Vec::new(),
            lobby: Lobby::default(),
            bans: VecDeque::new(),
            next_seq: 1,
            since: now,
            empty_since: None,
        }
    }

    /// Lets a newcomer in. With `knock`, the newcomer waits for the decision of the host, if there is one, unless it is
    /// the creator.
    ///
    /// # Errors
    /// Why the newcomer is refused. The host token overrides everything but a full room.
    pub fn come(
        &mut self,
        newcomer: &Newcomer,
        join: &Join,
        knock: bool,
        now: Moment,
        post: &mut Post,
    ) -> Result<Entrance, ErrorCode> {
        let is_host = self.is_creator(join);
        if !is_host {
            self.check(newcomer, join, now)?;
        }
        if self.members.len() >= join.most.map_or(self.cap, |most| most.min(self.cap)) {
            return Err(ErrorCode::RoomFull);
        }
        let member = self.member(newcomer, join);
        if let (true, false, Some(_)) = (knock, is_host, self.host) {
            return self.wait(member, now, post);
        }
        self.enter(member, is_host, post);
        Ok(Entrance::Entered)
    }

    /// Removes a member or a waiting client. If it was the last member, returns the sessions of the clients that still
    /// waited. An empty room is unlocked, because nobody in it could unlock it.
    pub fn leave(
        &mut self,
        session: SessionId,
        reason: LeaveReason,
        now: Moment,
        post: &mut Post,
    ) -> Vec<SessionId> {
        if let Some(member) = self.lobby.take(session) {
            self.tell_host(ServerMessage::PeerLeft { peer: member.peer.id, reason }, post);
        }
        let Some(index) = self.members.iter().position(|member| member.session == session) else {
            return Vec::new();
        };
        let peer = self.members.remove(index).peer.id;
        self.tell_all(ServerMessage::PeerLeft { peer, reason }, post);
        if self.host == Some(peer) {
            // Members are in join order, so this one has the lowest seq.
            self.host = self.members.first().map(|member| member.peer.id);
            self.announce(post);
            self.knock_again(post);
        }
        if !self.members.is_empty() {
            return Vec::new();
        }
        self.empty_since = Some(now);
        self.locked = false;
        self.lobby.turn_all_away(post)
    }

    /// A member's socket is lost, or its session is resumed. The others are told, unless the client still waits.
    pub fn set_away(&mut self, session: SessionId, away: bool, post: &mut Post) {
        if let Some(member) = self.lobby.get_mut(session) {
            member.peer.away = away;
            return;
        }
        let Some(member) = self.members.iter_mut().find(|member| member.session == session) else { return };
        if member.peer.away == away {
            return;
        }
        member.peer.away = away;
        let peer = member.peer.id;
        let message = if away { ServerMessage::PeerAway { peer } } else { ServerMessage::PeerBack { peer } };
        self.tell_others(session, message, post);
    }

    /// The address of a member or a waiting client has changed. A ban applies to the newest address.
    pub fn set_ip(&mut self, session: SessionId, ip: IpAddr) {
        let members = self.members.iter_mut().filter(|member| member.session == session);
        members.chain(self.lobby.get_mut(session)).for_each(|member| member.ip = ip);
    }

    /// Changes a member's visible state.
    pub fn change(&mut self, session: SessionId, change: &StateChange, post: &mut Post) {
        let Some(member) = self.members.iter_mut().find(|member| member.session == session) else { return };
        let peer = &mut member.peer;
        peer.state = peer.state.after(change);
        peer.name = change.name.clone().unwrap_or_else(|| peer.name.clone());
        let message = ServerMessage::PeerState { peer: peer.id, name: peer.name.clone(), state: peer.state };
        self.tell_others(session, message, post);
    }

    /// Locks or unlocks the room.
    pub fn lock(&mut self, on: bool, post: &mut Post) {
        self.locked = on;
        self.announce(post);
    }

    /// Makes a member the host.
    ///
    /// # Errors
    /// If there is no such member.
    pub fn set_host(&mut self, peer: PeerId, post: &mut Post) -> Result<(), ErrorCode> {
        self.session_of(peer).ok_or(ErrorCode::PeerNotFound)?;
        self.host = Some(peer);
        self.announce(post);
        self.knock_again(post);
        Ok(())
    }

    /// Removes a member, and bans its present address for `ban`.
    ///
    /// # Errors
    /// If there is no such member, or it is the host itself.
    pub fn kick(
        &mut self,
        peer: PeerId,
        ban: Duration,
        now: Moment,
        post: &mut Post,
    ) -> Result<SessionId, ErrorCode> {
        let found = self.members.iter().find(|member| member.peer.id == peer && self.host != Some(peer));
        let (session, ip) = found.map(|member| (member.session, member.ip)).ok_or(ErrorCode::PeerNotFound)?;
        if !ban.is_zero() {
            self.bans.retain(|ban| ban.until > now);
            self.bans.push_back(Ban { ip, until: now + ban });
            if self.bans.len() > BANS_MAX {
                self.bans.pop_front();
            }
        }
        post.push(Act::Dismiss(session, KickReason::Kicked));
        self.leave(session, LeaveReason::Kicked, now, post);
        Ok(session)
    }

    /// Lets a waiting client in.
    ///
    /// # Errors
    /// If no such client waits, or the room has become full.
    pub fn admit(&mut self, peer: PeerId, post: &mut Post) -> Result<(), ErrorCode> {
        if !self.lobby.has(peer) {
            return Err(ErrorCode::PeerNotFound);
        }
        if self.members.len() >= self.cap {
            return Err(ErrorCode::RoomFull);
        }
        let member = self.lobby.take_peer(peer).ok_or(ErrorCode::PeerNotFound)?;
        let session = member.session;
        self.enter(member, false, post);
        if let Some(joined) = self.as_seen_by(session) {
            post.tell(session, ServerMessage::Joined(Box::new(joined)));
        }
        Ok(())
    }

    /// Turns a waiting client away.
    ///
    /// # Errors
    /// If no such client waits.
    pub fn deny(&mut self, peer: PeerId, post: &mut Post) -> Result<SessionId, ErrorCode> {
        let member = self.lobby.take_peer(peer).ok_or(ErrorCode::PeerNotFound)?;
        Ok(turn_away(&member, post))
    }

    /// Empties the room: dismisses all members, except the one who ends it, and turns the waiting clients away. Returns
    /// all their sessions.
    pub fn end(&mut self, by: Option<SessionId>, post: &mut Post) -> Vec<SessionId> {
        let mut gone = self.lobby.turn_all_away(post);
        for member in self.members.drain(..) {
            if Some(member.session) != by {
                post.push(Act::Dismiss(member.session, KickReason::Ended));
            }
            gone.push(member.session);
        }
        gone
    }

    /// Turns away the clients that have waited too long, and returns their sessions.
    pub fn expire(&mut self, now: Moment, post: &mut Post) -> Vec<SessionId> {
        let late = self.lobby.take_late(now);
        for member in &late {
            let left = ServerMessage::PeerLeft { peer: member.peer.id, reason: LeaveReason::Timeout };
            self.tell_host(left, post);
        }
        late.iter().map(|member| turn_away(member, post)).collect()
    }

    /// Whether a request to join contains the host token, which proves that the client created the room.
    #[must_use]
    pub fn is_creator(&self, join: &Join) -> bool {
        join.host_token.as_ref().is_some_and(|token| self.host_token.is_of(token.reveal()))
    }

    /// Whether nobody is in the room.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    /// Whether the room has been empty for so long that it may be removed.
    #[must_use]
    pub fn is_over(&self, now: Moment) -> bool {
        self.is_empty() && self.empty_since.is_some_and(|since| since + EMPTY <= now)
    }

    /// A session's id in this room, and whether it is the host.
    #[must_use]
    pub fn role(&self, session: SessionId) -> Option<(PeerId, bool)> {
        let member = self.members.iter().find(|member| member.session == session)?;
        Some((member.peer.id, self.host == Some(member.peer.id)))
    }

    /// The session of a member.
    #[must_use]
    pub fn session_of(&self, peer: PeerId) -> Option<SessionId> {
        self.members.iter().find(|member| member.peer.id == peer).map(|member| member.session)
    }

    /// The sessions of all members but one.
    #[must_use]
    pub fn others(&self, session: SessionId) -> Vec<SessionId> {
        self.members.iter().map(|member| member.session).filter(|other| *other != session).collect()
    }

    /// The room, as a new member sees it.
    #[must_use]
    pub fn as_seen_by(&self, session: SessionId) -> Option<Joined> {
        let (you, _) = self.role(session)?;
        let others = self.members.iter().filter(|member| member.session != session);
        Some(Joined {
            room: self.name.clone(),
            you,
            host: self.host?,
            locked: self.locked,
            cap: self.cap,
            peers: others.map(|member| member.peer.clone()).collect(),
            ice: None,
            host_token: None,
        })
    }

    /// The room, as an administrator sees it under its `pseudonym`.
    #[must_use]
    pub fn observed(&self, pseudonym: &Pseudonym, now: Moment) -> observed::room::Room {
        observed::room::Room {
            room: pseudonym.to_string(),
            members: self.members.len(),
            away: self.members.iter().filter(|member| member.peer.away).count(),
            waiting: self.lobby.count(),
            capacity: self.cap,
            locked: self.locked,
            has_key: self.key.is_some(),
            age: now.since(self.since).as_secs(),
        }
    }

    /// Whether a newcomer who is not the creator may come in.
    fn check(&self, newcomer: &Newcomer, join: &Join, now: Moment) -> Result<(), ErrorCode> {
        if self.bans.iter().any(|ban| ban.ip == newcomer.ip && ban.until > now) {
            return Err(ErrorCode::Kicked);
        }
        let shown = join.key.as_ref().map(Secret::reveal).unwrap_or_default();
        if self.key.is_some_and(|key| !key.is_of(shown)) {
            return Err(ErrorCode::BadKey);
        }
        if self.locked { Err(ErrorCode::RoomLocked) } else { Ok(()) }
    }

    fn member(&self, newcomer: &Newcomer, join: &Join) -> Member {
        let (id, state) = (newcomer.id, MemberState::UNSAID.after(&join.state));
        let name = join.state.name.clone().unwrap_or_else(|| join.name.clone());
        let peer = Peer { id, seq: self.next_seq, name, state, away: false };
        Member { session: newcomer.session, ip: newcomer.ip, peer }
    }

    fn wait(&mut self, member: Member, now: Moment, post: &mut Post) -> Result<Entrance, ErrorCode> {
        let mut instead_of = None;
        if self.lobby.is_full() {
            let other = self.lobby.take_for(member.ip).ok_or(ErrorCode::RoomFull)?;
            let left = ServerMessage::PeerLeft { peer: other.peer.id, reason: LeaveReason::Timeout };
            self.tell_host(left, post);
            instead_of = Some(turn_away(&other, post));
        }
        self.tell_host(knock(&member), post);
        self.lobby.enter(member, now);
        Ok(Entrance::Waits { instead_of })
    }

    fn enter(&mut self, mut member: Member, is_host: bool, post: &mut Post) {
        member.peer.seq = self.next_seq;
        self.next_seq += 1;
        self.empty_since = None;
        self.tell_all(ServerMessage::PeerJoined { member: member.peer.clone() }, post);
        let takes_over = is_host || self.host.is_none();
        if takes_over {
            self.host = Some(member.peer.id);
            self.announce(post);
        }
        self.members.push(member);
        if takes_over {
            self.knock_again(post);
        }
    }

    /// Tells a new host which clients wait.
    fn knock_again(&self, post: &mut Post) {
        self.lobby.knocks().for_each(|knock| self.tell_host(knock, post));
    }

    fn announce(&self, post: &mut Post) {
        if let Some(host) = self.host {
            self.tell_all(ServerMessage::Room { locked: self.locked, cap: self.cap, host }, post);
        }
    }

    fn tell_host(&self, message: ServerMessage, post: &mut Post) {
        if let Some(session) = self.host.and_then(|host| self.session_of(host)) {
            post.tell(session, message);
        }
    }

    fn tell_others(&self, session: SessionId, message: ServerMessage, post: &mut Post) {
        post.push(Act::Tell { to: self.others(session), message });
    }

    fn tell_all(&self, message: ServerMessage, post: &mut Post) {
        let to = self.members.iter().map(|member| member.session).collect();
        post.push(Act::Tell { to, message });
    }
}
