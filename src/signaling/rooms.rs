//! PURE  All rooms: creates them, finds a session's room, and removes them.
//!
//! A request either succeeds and returns the reply, or changes nothing and returns the reason. The messages for others
//! go into the [`Post`]. Only members of a room learn what happens in it.

use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;
use std::ops::Bound;
use std::time::Duration;

use rand::RngCore;

use crate::clock::Moment;
use crate::secret::{Digest, Secret};
use crate::sections::rooms::Rooms as Section;
use crate::signaling::post::{Act, Post};
use crate::signaling::protocol::codes::ErrorCode;
use crate::signaling::protocol::names::{PeerId, RoomName, SessionId};
use crate::signaling::protocol::{ClientMessage, Content, Join, Joined, LeaveReason, ServerMessage};
use crate::signaling::room::{Entrance, Newcomer, Room};

/// What a room token allows its holder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pass {
    /// The only room that may be joined; `None` for every room.
    pub only: Option<RoomName>,
    /// The token's hash, by which its holder is known.
    pub token: Digest,
}

/// All rooms.
#[derive(Debug)]
pub struct Rooms {
    section: Section,
    rooms: BTreeMap<RoomName, Room>,
    /// The room that a session is in, or waits to enter.
    places: HashMap<SessionId, RoomName>,
    /// Sessions that have left their room since the last [`Rooms::take_gone`].
    gone: Vec<SessionId>,
}

/// The longest ban, in seconds: a day.
const BAN_MAX: u32 = 24 * 3600;

impl Rooms {
    /// No rooms yet.
    #[must_use]
    pub fn new(section: Section) -> Self {
        Self { section, rooms: BTreeMap::new(), places: HashMap::new(), gone: Vec::new() }
    }

    /// Another `[rooms]` holds from now on. Rooms that are there stay as they are.
    pub fn apply(&mut self, section: Section) {
        self.section = section;
    }

    /// The number of rooms.
    #[must_use]
    pub fn count(&self) -> usize {
        self.rooms.len()
    }

    /// The number of members and waiting clients.
    #[must_use]
    pub fn members(&self) -> usize {
        self.places.len()
    }

    /// Whether a session is in a room, or waits to enter one.
    #[must_use]
    pub fn has(&self, session: SessionId) -> bool {
        self.places.contains_key(&session)
    }

    /// A session's room, and its id there.
    #[must_use]
    pub fn place(&self, session: SessionId) -> Option<(&RoomName, PeerId)> {
        let name = self.places.get(&session)?;
        self.rooms.get(name)?.role(session).map(|(peer, _)| (name, peer))
    }

    /// Whether the client created the room that it wants to join. The host token has 256 bits, so guesses need no
    /// limit.
    #[must_use]
    pub fn is_creator(&self, join: &Join) -> bool {
        self.rooms.get(&join.room).is_some_and(|room| room.is_creator(join))
    }

    /// Lets a session into a room, and creates the room if necessary.
    ///
    /// # Errors
    /// Why not. A client that may not create rooms gets the same error for a missing room and for a wrong key.
    pub fn join(
        &mut self,
        newcomer: &Newcomer,
        join: &Join,
        pass: Option<&Pass>,
        now: Moment,
        (rng, post): (&mut dyn RngCore, &mut Post),
    ) -> Result<ServerMessage, ErrorCode> {
        if self.has(newcomer.session) {
            return Err(ErrorCode::AlreadyJoined);
        }
        if pass.and_then(|pass| pass.only.as_ref()).is_some_and(|only| !join.room.is_called(only)) {
            return Err(ErrorCode::Unauthorized);
        }
        let may_create = !self.section.create.needs_token() || pass.is_some();
        let host_token = match self.rooms.contains_key(&join.room) {
            true => None,
            false if may_create => Some(self.create(join, now, rng)?),
            false => return Err(ErrorCode::RoomNotFound),
        };
        let room = self.rooms.get_mut(&join.room).ok_or(ErrorCode::Internal)?;
        let come = room.come(newcomer, join, self.section.knock, now, post);
        let hide =
            |code| if code == ErrorCode::BadKey && !may_create { ErrorCode::RoomNotFound } else { code };
        let entrance = come.map_err(hide)?;
        self.places.insert(newcomer.session, join.room.clone());
        match (entrance, room.as_seen_by(newcomer.session)) {
            (Entrance::Entered, Some(joined)) => {
                Ok(ServerMessage::Joined(Box::new(Joined { host_token, ..joined })))
            }
            (Entrance::Entered, None) => Err(ErrorCode::Internal),
            (Entrance::Waits { instead_of }, _) => {
                instead_of.into_iter().for_each(|session| self.forget(session));
                Ok(ServerMessage::Waiting { you: newcomer.id })
            }
        }
    }

    /// Carries out a member's request in its room.
    ///
    /// # Errors
    /// Why it is refused.
    pub fn ask(
        &mut self,
        session: SessionId,
        message: ClientMessage,
        now: Moment,
        post: &mut Post,
    ) -> Result<ServerMessage, ErrorCode> {
        match message {
            ClientMessage::Leave => {
                if !self.leave(session, LeaveReason::Left, now, post) {
                    return Err(ErrorCode::NotInRoom);
                }
            }
            ClientMessage::Signal { to, e, content } => self.signal(session, to, e, content, post)?,
            ClientMessage::State(change) => self.room(session)?.0.change(session, &change, post),
            ClientMessage::Msg { to, kind, body } => self.pass_on(session, to, (kind, body), post)?,
            ClientMessage::Lock { on } => self.hosted(session)?.lock(on, post),
            ClientMessage::Kick { peer, ban_s } => {
                let ban = Duration::from_secs(ban_s.min(BAN_MAX).into());
                let gone = self.hosted(session)?.kick(peer, ban, now, post)?;
                self.forget(gone);
            }
            ClientMessage::Admit { peer } => self.hosted(session)?.admit(peer, post)?,
            ClientMessage::Deny { peer } => {
                let gone = self.hosted(session)?.deny(peer, post)?;
                self.forget(gone);
            }
            ClientMessage::Host { peer } => self.hosted(session)?.set_host(peer, post)?,
            ClientMessage::End => self.end(session, post)?,
            ClientMessage::Hello(_)
            | ClientMessage::Join(_)
            | ClientMessage::Bye
            | ClientMessage::Ice
            | ClientMessage::Ping { .. } => return Err(ErrorCode::Internal),
        }
        Ok(ServerMessage::Ok)
    }

    /// Takes a session out of its room. Returns whether it was in one.
    pub fn leave(&mut self, session: SessionId, reason: LeaveReason, now: Moment, post: &mut Post) -> bool {
        let Some(name) = self.places.get(&session).cloned() else { return false };
        self.forget(session);
        if let Some(room) = self.rooms.get_mut(&name) {
            let in_vain = room.leave(session, reason, now, post);
            in_vain.iter().for_each(|session| self.forget(*session));
        }
        true
    }

    /// A session's socket is lost, or the session is resumed on another.
    pub fn set_away(&mut self, session: SessionId, away: bool, post: &mut Post) {
        if let Some(room) = self.places.get(&session).and_then(|name| self.rooms.get_mut(name)) {
            room.set_away(session, away, post);
        }
    }

    /// A session's address has changed.
    pub fn set_ip(&mut self, session: SessionId, ip: IpAddr) {
        if let Some(room) = self.places.get(&session).and_then(|name| self.rooms.get_mut(name)) {
            room.set_ip(session, ip);
        }
    }

    /// Does what is due: turns away clients whose knock got no answer, and removes rooms that have been empty for
    /// [`EMPTY`](super::room::EMPTY).
    pub fn tick(&mut self, now: Moment, post: &mut Post) {
        let late: Vec<_> = self.rooms.values_mut().flat_map(|room| room.expire(now, post)).collect();
        late.iter().for_each(|session| self.forget(*session));
        self.rooms.retain(|_, room| !room.is_over(now));
    }

    /// Ends a room, for the member `by` or for an administrator: its other members are dismissed. Returns whether the room
    /// existed.
    pub fn end_room(&mut self, name: &RoomName, by: Option<SessionId>, post: &mut Post) -> bool {
        let Some(mut room) = self.rooms.remove(name) else { return false };
        room.end(by, post).iter().for_each(|session| self.forget(*session));
        true
    }

    /// The rooms behind the room `after`, in the order of their names.
    pub fn after(&self, after: Option<&RoomName>) -> impl Iterator<Item = (&RoomName, &Room)> {
        let behind = after.map_or(Bound::Unbounded, Bound::Excluded);
        self.rooms.range((behind, Bound::Unbounded))
    }

    /// The sessions that have left their room since the last call.
    pub fn take_gone(&mut self) -> Vec<SessionId> {
        std::mem::take(&mut self.gone)
    }

    fn forget(&mut self, session: SessionId) {
        if self.places.remove(&session).is_some() {
            self.gone.push(session);
        }
    }

    /// Creates a room, and returns its host token.
    fn create(&mut self, join: &Join, now: Moment, rng: &mut dyn RngCore) -> Result<Secret, ErrorCode> {
        if self.rooms.len() >= self.section.members.get() as usize {
            self.rooms.retain(|_, room| !room.is_empty());
        }
        if self.rooms.len() >= self.section.members.get() as usize {
            return Err(ErrorCode::ServerFull);
        }
        let token = Secret::random(rng);
        let (cap, host_token) = (self.section.capacity.get() as usize, Digest::of(token.reveal()));
        let room = Room::new(join.room.clone(), cap, join.key.as_ref(), host_token, now);
        self.rooms.insert(join.room.clone(), room);
        Ok(token)
    }

    fn signal(
        &mut self,
        session: SessionId,
        to: PeerId,
        e: u32,
        content: Content,
        post: &mut Post,
    ) -> Result<(), ErrorCode> {
        let (room, from, _) = self.room(session)?;
        let target = room.session_of(to).filter(|target| *target != session);
        post.tell(target.ok_or(ErrorCode::PeerNotFound)?, ServerMessage::Signal { from, e, content });
        Ok(())
    }

    fn pass_on(
        &mut self,
        session: SessionId,
        to: Option<PeerId>,
        (kind, body): (String, String),
        post: &mut Post,
    ) -> Result<(), ErrorCode> {
        let (room, from, _) = self.room(session)?;
        let others = room.others(session);
        let message = ServerMessage::Msg { from, direct: to.is_some(), kind, body };
        let to = match to {
            None => others,
            Some(peer) => {
                let target = room.session_of(peer).filter(|target| *target != session);
                vec![target.ok_or(ErrorCode::PeerNotFound)?]
            }
        };
        post.push(Act::Tell { to, message });
        Ok(())
    }

    fn end(&mut self, session: SessionId, post: &mut Post) -> Result<(), ErrorCode> {
        self.hosted(session)?;
        let name = self.places.get(&session).cloned().ok_or(ErrorCode::NotInRoom)?;
        self.end_room(&name, Some(session), post);
        Ok(())
    }

    /// A session's room, its id there, and whether it is the host.
    fn room(&mut self, session: SessionId) -> Result<(&mut Room, PeerId, bool), ErrorCode> {
        let name = self.places.get(&session).ok_or(ErrorCode::NotInRoom)?;
        let room = self.rooms.get_mut(name).ok_or(ErrorCode::NotInRoom)?;
        let (peer, is_host) = room.role(session).ok_or(ErrorCode::NotInRoom)?;
        Ok((room, peer, is_host))
    }

    /// The room whose host a session is.
    fn hosted(&mut self, session: SessionId) -> Result<&mut Room, ErrorCode> {
        match self.room(session)? {
            (room, _, true) => Ok(room),
            (_, _, false) => Err(ErrorCode::NotHost),
        }
    }
}
