//! PURE  Handles the requests of a session, within their limits.

use std::net::IpAddr;
use std::time::Duration;

use crate::bounds::rate::Rate;
use crate::bounds::reached::Limit;
use crate::clock::Moment;
use crate::credentials::tag::Pseudonym;
use crate::journal::cause::{Cause, Tried};
use crate::journal::shown;
use crate::secret::Secret;
use crate::signaling::guesses::{Guesser, Wrong};
use crate::signaling::joins::Held;
use crate::signaling::post::Post;
use crate::signaling::protocol::codes::{Close, ErrorCode};
use crate::signaling::protocol::names::{PeerId, SessionId};
use crate::signaling::protocol::{ClientMessage, Join, LeaveReason, Request, RequestError, ServerMessage};
use crate::signaling::room::Newcomer;
use crate::signaling::sessions::SocketId;
use crate::signaling::switchboard::{Step, Switchboard};

/// How often a member may change its state, per second and at once.
const CHANGES_PER_SECOND: u64 = 5;
const CHANGES_AT_ONCE: u64 = 10;

impl Switchboard {
    /// Carries out a client's request, answers it, and informs the others.
    pub(super) fn request(
        &mut self,
        socket: SocketId,
        session: SessionId,
        request: Request,
        step: &mut Step<'_>,
    ) {
        let Request { id, message } = request;
        let mut post = Post::default();
        let reply = match message {
            ClientMessage::Ping { ts, last } => {
                self.acknowledge(socket, last.unwrap_or_default());
                return step.effects.push(self.aside(socket, id, &ServerMessage::Pong { ts }));
            }
            ClientMessage::Bye => {
                self.end(session, LeaveReason::Left, step);
                return self.close(socket, Close::Bye, step);
            }
            ClientMessage::Hello(_) => Err(RequestError::field("t")),
            ClientMessage::Join(join) => self.join(session, &join, step, &mut post),
            ClientMessage::Ice => {
                let ice = self.ice(session, step.now).map(ServerMessage::Ice);
                ice.ok_or_else(|| self.without_ice(session).into())
            }
            ClientMessage::State(_) if self.is_restless(session, step.now.moment) => Err(
                RequestError::later(ErrorCode::RateLimited, Duration::from_millis(1000 / CHANGES_PER_SECOND)),
            ),
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
                self.rooms.ask(session, message, step.now.moment, &mut post).map_err(RequestError::from)
            }
        };
        match reply {
            // A request without an id gets no `ok`.
            Ok(ServerMessage::Ok) if id.is_none() => {}
            Ok(message) => self.say(session, id, message, step),
            Err(error) => self.say(session, id, error.into(), step),
        }
        self.deliver(post, step);
    }

    fn join(
        &mut self,
        id: SessionId,
        join: &Join,
        step: &mut Step<'_>,
        post: &mut Post,
    ) -> Result<ServerMessage, RequestError> {
        let now = step.now.moment;
        let session = self.sessions.get(id).ok_or(ErrorCode::Internal)?;
        let (ip, pass) = (session.ip, session.pass.clone());
        let guesser = pass.as_ref().map_or(Guesser::Stranger(ip), |pass| Guesser::Holder(pass.token));
        let newcomer = Newcomer { session: id, ip, id: PeerId::random(step.rng) };
        let joined = match self.may_join(id, ip, (guesser, join), now) {
            Ok(()) => self
                .rooms
                .join(&newcomer, join, pass.as_ref(), now, (&mut *step.rng, post))
                .map_err(RequestError::from),
            Err(error) => Err(error),
        };
        joined.inspect_err(|error| {
            let room = self.ice.credentials.pseudonym(join.room.as_str());
            let room = room.as_ref().map(Pseudonym::as_str);
            tracing::debug!(client = shown::ip(ip), room, reason = error.code.name(), "join refused");
            self.counters.refused(error.code);
            let tried = || Some(Tried::of((join.room.as_str(), join.key.as_ref().map(Secret::reveal))));
            if error.code == ErrorCode::BadKey {
                self.guesses.count(guesser, &join.room, Wrong::Key, now);
                self.journal.refused(ip, Cause::WrongRoomKey, tried(), now);
            } else if error.code == ErrorCode::RoomNotFound {
                self.guesses.count(guesser, &join.room, Wrong::NameOrKey, now);
                self.journal.refused(ip, Cause::UnknownRoom, tried(), now);
            } else if error.code == ErrorCode::RoomFull {
                self.journal.limit(Limit::Capacity, now);
            } else if error.code == ErrorCode::ServerFull {
                self.journal.limit(Limit::Members, now);
            }
        })
    }

    /// Checks the limits on joins and guesses that apply to this join.
    fn may_join(
        &mut self,
        id: SessionId,
        ip: IpAddr,
        (guesser, join): (Guesser, &Join),
        now: Moment,
    ) -> Result<(), RequestError> {
        let later = |wait| Err(RequestError::later(ErrorCode::RateLimited, wait));
        let wait = self.guesses.wait(guesser, &join.room, now);
        if !wait.is_zero() && !self.rooms.is_creator(join) {
            self.journal.refused(ip, Cause::RoomGuessLimit, None, now);
            return later(wait);
        }
        let session = self.sessions.get(id).ok_or(ErrorCode::Internal)?;
        let taken = self.joins.take(&mut session.joins, ip, now);
        taken.or_else(|(held, wait)| {
            match held {
                // One session's limit concerns nobody else, and no key raises it.
                Held::Session => {}
                Held::Address => self.journal.limit(Limit::AddressJoins, now),
                Held::Network => self.journal.limit(Limit::NetworkJoins, now),
            }
            self.journal.refused(ip, Cause::JoinLimit, None, now);
            later(wait)
        })
    }

    fn is_restless(&mut self, session: SessionId, now: Moment) -> bool {
        let rate = Rate::new(CHANGES_PER_SECOND, Duration::from_secs(1), CHANGES_AT_ONCE);
        self.sessions.get(session).is_some_and(|session| !session.changes.take(rate, 1, now))
    }

    fn without_ice(&self, session: SessionId) -> ErrorCode {
        // A member gets no credentials only if the daemon has no secret or no address.
        if self.rooms.place(session).is_some() { ErrorCode::Internal } else { ErrorCode::NotInRoom }
    }
}
