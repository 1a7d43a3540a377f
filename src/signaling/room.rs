//! PURE  One room: who is in it, who knocks, who is host, and what they are told of each other.

use std::collections::VecDeque;
use std::net::IpAddr;
use std::time::Duration;

use crate::bounds::client_net::network;
use crate::clock::Moment;
use crate::secret::{Digest, Secret};
use crate::signaling::post::{Act, Post};
use crate::signaling::protocol::codes::ErrorCode;
use crate::signaling::protocol::names::{PeerId, RoomName, SessionId};
use crate::signaling::protocol::{
    Join, Joined, KickReason, LeaveReason, Peer, ServerMessage, State, StateChange,
};

/// Who may knock at once; for more, the room is full, unless most of them are of one network.
pub const WAITING_MAX: usize = 8;
/// Who may be kept out at once; of more, the oldest may come back.
pub const BANS_MAX: usize = 64;
/// How long a knock waits for the host.
pub const KNOCK: Duration = Duration::from_secs(120);
/// How long a room is kept with nobody in it, so that all may reload their pages at once.
pub const EMPTY: Duration = Duration::from_secs(60);

/// A room.
#[derive(Debug)]
pub struct Room {
    name: RoomName,
    cap: usize,
    key: Option<Digest>,
    host_token: Digest,
    locked: bool,
    /// One of the members, unless there are none.
    host: Option<PeerId>,
    /// In the order in which they came.
    members: Vec<Member>,
    waiting: Vec<Waiting>,
    bans: VecDeque<Ban>,
    next_seq: u64,
    empty_since: Option<Moment>,
}

/// Whoever comes to a door.
#[derive(Debug, Clone)]
pub struct Caller {
    /// The session.
    pub session: SessionId,
    /// The address, as what counts as one.
    pub ip: IpAddr,
    /// Who it will be, if it comes in.
    pub id: PeerId,
}

/// What became of whoever came to the door.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Entrance {
    /// In.
    Entered,
    /// The host is asked; somebody who knocked may have had to make way.
    Waits {
        /// Who that was.
        instead_of: Option<SessionId>,
    },
}

#[derive(Debug)]
struct Member {
    session: SessionId,
    ip: IpAddr,
    peer: Peer,
}

#[derive(Debug)]
struct Waiting {
    member: Member,
    since: Moment,
}

#[derive(Debug)]
struct Ban {
    ip: IpAddr,
    until: Moment,
}

impl Room {
    /// An empty room, with the key that others will need, and the hash of the token by which its creator is known.
    #[must_use]
    pub fn new(name: RoomName, cap: usize, key: Option<&Secret>, host_token: Digest) -> Self {
        Self {
            name,
            cap,
            key: key.map(|key| Digest::of(key.reveal())),
            host_token,
            locked: false,
            host: None,
            members: Vec::new(),
            waiting: Vec::new(),
            bans: VecDeque::new(),
            next_seq: 1,
            empty_since: None,
        }
    }

    /// Lets a caller in, or lets them wait until the host does, where callers must `knock`.
    ///
    /// # Errors
    /// Why the caller stays outside. The host token opens every door but that of a full room.
    pub fn come(
        &mut self,
        caller: &Caller,
        join: &Join,
        knock: bool,
        now: Moment,
        post: &mut Post,
    ) -> Result<Entrance, ErrorCode> {
        let is_host = self.is_creator(join);
        if !is_host {
            self.check(caller, join, now)?;
        }
        if self.members.len() >= self.cap {
            return Err(ErrorCode::RoomFull);
        }
        let member = self.member(caller, join);
        if let (true, false, Some(_)) = (knock, is_host, self.host) {
            return self.wait(member, now, post);
        }
        self.enter(member, is_host, post);
        Ok(Entrance::Entered)
    }

    /// A member leaves, or somebody who waits does. Returns who waited for the last member of all, in vain. With nobody in
    /// it a room is open: who is to unlock it?
    pub fn leave(
        &mut self,
        session: SessionId,
        reason: LeaveReason,
        now: Moment,
        post: &mut Post,
    ) -> Vec<SessionId> {
        if let Some(index) = self.waiting.iter().position(|waiting| waiting.member.session == session) {
            let peer = self.waiting.remove(index).member.peer.id;
            self.tell_host(ServerMessage::PeerLeft { peer, reason }, post);
        }
        let Some(index) = self.members.iter().position(|member| member.session == session) else {
            return Vec::new();
        };
        let peer = self.members.remove(index).peer.id;
        self.tell_all(ServerMessage::PeerLeft { peer, reason }, post);
        if self.host == Some(peer) {
            // The lowest seq: they stand in the order in which they came.
            self.host = self.members.first().map(|member| member.peer.id);
            self.announce(post);
            self.knock_again(post);
        }
        if !self.members.is_empty() {
            return Vec::new();
        }
        self.empty_since = Some(now);
        self.locked = false;
        self.turn_away(|_| true, post)
    }

    /// A member's socket is lost, or the member is back on another. Of those who wait nobody is told, until they are in.
    pub fn set_away(&mut self, session: SessionId, away: bool, post: &mut Post) {
        let waits = self.waiting.iter_mut().find(|waiting| waiting.member.session == session);
        if let Some(waiting) = waits {
            waiting.member.peer.away = away;
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

    /// A member, or somebody who waits, is at another address now: that is the one that a ban is for.
    pub fn set_ip(&mut self, session: SessionId, ip: IpAddr) {
        let waiting = self.waiting.iter_mut().map(|waiting| &mut waiting.member);
        let moved = self.members.iter_mut().chain(waiting).filter(|member| member.session == session);
        moved.for_each(|member| member.ip = ip);
    }

    /// A member shows something else of itself.
    pub fn change(&mut self, session: SessionId, change: &StateChange, post: &mut Post) {
        let Some(member) = self.members.iter_mut().find(|member| member.session == session) else { return };
        let peer = &mut member.peer;
        peer.state = peer.state.after(change);
        peer.name = change.name.clone().unwrap_or_else(|| peer.name.clone());
        let message = ServerMessage::PeerState { peer: peer.id, name: peer.name.clone(), state: peer.state };
        self.tell_others(session, message, post);
    }

    /// Lets nobody in any more, or again.
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

    /// Removes a member, and keeps everybody at the address that it has now out for `ban`.
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

    /// Lets somebody in who waits.
    ///
    /// # Errors
    /// If nobody of that name waits, or the room is full meanwhile.
    pub fn admit(&mut self, peer: PeerId, post: &mut Post) -> Result<(), ErrorCode> {
        let index = self.waiting.iter().position(|waiting| waiting.member.peer.id == peer);
        let index = index.ok_or(ErrorCode::PeerNotFound)?;
        if self.members.len() >= self.cap {
            return Err(ErrorCode::RoomFull);
        }
        let member = self.waiting.remove(index).member;
        let session = member.session;
        self.enter(member, false, post);
        if let Some(joined) = self.as_seen_by(session) {
            post.tell(session, ServerMessage::Joined(Box::new(joined)));
        }
        Ok(())
    }

    /// Does not let somebody in who waits.
    ///
    /// # Errors
    /// If nobody of that name waits.
    pub fn deny(&mut self, peer: PeerId, post: &mut Post) -> Result<SessionId, ErrorCode> {
        let is_meant = |waiting: &Waiting| waiting.member.peer.id == peer;
        self.turn_away(is_meant, post).pop().ok_or(ErrorCode::PeerNotFound)
    }

    /// Sends everybody away but the host. Returns who was in the room, or waited.
    pub fn end(&mut self, post: &mut Post) -> Vec<SessionId> {
        let mut gone = self.turn_away(|_| true, post);
        for member in self.members.drain(..) {
            if Some(member.peer.id) != self.host {
                post.push(Act::Dismiss(member.session, KickReason::Ended));
            }
            gone.push(member.session);
        }
        gone
    }

    /// Turns those away who have waited for too long, and returns them.
    pub fn expire(&mut self, now: Moment, post: &mut Post) -> Vec<SessionId> {
        let late = |waiting: &Waiting| waiting.since + KNOCK <= now;
        for peer in self.waiting.iter().filter(|waiting| late(waiting)).map(|waiting| waiting.member.peer.id)
        {
            self.tell_host(ServerMessage::PeerLeft { peer, reason: LeaveReason::Timeout }, post);
        }
        self.turn_away(late, post)
    }

    /// Whether the token of whoever created the room is shown.
    #[must_use]
    pub fn is_creator(&self, join: &Join) -> bool {
        join.host_token.as_ref().is_some_and(|token| self.host_token.is_of(token.reveal()))
    }

    /// Whether nobody is in the room.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    /// Whether nobody has been in the room for so long that it is forgotten.
    #[must_use]
    pub fn is_over(&self, now: Moment) -> bool {
        self.is_empty() && self.empty_since.is_some_and(|since| since + EMPTY <= now)
    }

    /// Who a session is in this room, and whether it is the host.
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

    /// The room, as a member finds it who has just come.
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

    /// Whether a caller who is not the creator may come in.
    fn check(&self, caller: &Caller, join: &Join, now: Moment) -> Result<(), ErrorCode> {
        if self.bans.iter().any(|ban| ban.ip == caller.ip && ban.until > now) {
            return Err(ErrorCode::Kicked);
        }
        let shown = join.key.as_ref().map(Secret::reveal).unwrap_or_default();
        if self.key.is_some_and(|key| !key.is_of(shown)) {
            return Err(ErrorCode::BadKey);
        }
        if self.locked { Err(ErrorCode::RoomLocked) } else { Ok(()) }
    }

    fn member(&self, caller: &Caller, join: &Join) -> Member {
        let (id, state) = (caller.id, State::UNSAID.after(&join.state));
        let name = join.state.name.clone().unwrap_or_else(|| join.name.clone());
        let peer = Peer { id, seq: self.next_seq, name, state, away: false };
        Member { session: caller.session, ip: caller.ip, peer }
    }

    fn wait(&mut self, member: Member, now: Moment, post: &mut Post) -> Result<Entrance, ErrorCode> {
        let is_full = self.waiting.len() >= WAITING_MAX;
        let instead_of =
            is_full.then(|| self.make_way(member.ip, post).ok_or(ErrorCode::RoomFull)).transpose()?;
        let knock = ServerMessage::Knock { peer: member.peer.id, name: member.peer.name.clone() };
        self.tell_host(knock, post);
        self.waiting.push(Waiting { member, since: now });
        Ok(Entrance::Waits { instead_of })
    }

    /// Makes room for one who knocks from another network: of the network that has the most who wait, the last is turned
    /// away. So nobody keeps a door closed by knocking at it.
    fn make_way(&mut self, ip: IpAddr, post: &mut Post) -> Option<SessionId> {
        let of =
            |net: IpAddr| self.waiting.iter().filter(|waiting| network(waiting.member.ip) == net).count();
        let last = self.waiting.iter().max_by_key(|waiting| of(network(waiting.member.ip)))?;
        let (peer, net) = (last.member.peer.id, network(last.member.ip));
        if of(net) <= of(network(ip)) + 1 {
            return None;
        }
        self.tell_host(ServerMessage::PeerLeft { peer, reason: LeaveReason::Timeout }, post);
        self.turn_away(|waiting| waiting.member.peer.id == peer, post).pop()
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

    /// Turns some of those away who wait, and returns them.
    fn turn_away(&mut self, whom: impl Fn(&Waiting) -> bool, post: &mut Post) -> Vec<SessionId> {
        let (gone, stay): (Vec<_>, Vec<_>) = std::mem::take(&mut self.waiting).into_iter().partition(whom);
        self.waiting = stay;
        let gone: Vec<_> = gone.into_iter().map(|waiting| waiting.member.session).collect();
        gone.iter().for_each(|session| post.refuse(*session, ErrorCode::KnockDenied));
        gone
    }

    /// Tells a new host who waits.
    fn knock_again(&self, post: &mut Post) {
        for Waiting { member, .. } in &self.waiting {
            self.tell_host(
                ServerMessage::Knock { peer: member.peer.id, name: member.peer.name.clone() },
                post,
            );
        }
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
