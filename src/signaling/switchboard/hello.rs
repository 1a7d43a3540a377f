//! PURE  Gives a socket its session: a new one, or a resumed one.

use std::time::Duration;

use crate::bounds::rate::Rate;
use crate::bounds::reached::Limit;
use crate::clock::{Now, Unix};
use crate::journal::cause::Cause;
use crate::room_token::TokenError;
use crate::secret::{Digest, Secret};
use crate::signaling::heartbeat::{DEAD, PING};
use crate::signaling::pace::{MESSAGES_AT_ONCE, MESSAGES_PER_SECOND};
use crate::signaling::post::Post;
use crate::signaling::protocol::codes::{Close, ErrorCode};
use crate::signaling::protocol::names::{RoomName, SessionId};
use crate::signaling::protocol::{
    BODY_MAX, CANDIDATES_MAX, FRAME_MAX, Heartbeats, Hello, LeaveReason, MessageLimits, RequestError, Resume,
    SDP_MAX, ServerMessage, VERSION, Welcome,
};
use crate::signaling::rooms::Pass;
use crate::signaling::seats::NoSeat;
use crate::signaling::sessions::{Attachment, GRACE, SocketId};
use crate::signaling::switchboard::{Effect, Step, Switchboard, Visit};

/// A session, its resume token, and whether it was resumed.
type Begun = (SessionId, Secret, bool);
/// Why a socket gets no session, and how it is closed, if it is.
type Unwelcome = (RequestError, Option<Close>);

/// How often a session may be resumed, per minute and at once. Each new socket may send a full burst, and two tabs must
/// not take one session from each other endlessly.
const RESUMES_PER_MINUTE: u64 = 30;
const RESUMES_AT_ONCE: u64 = 5;

impl Switchboard {
    /// Handles the first frame of a socket, or the next after a failed resume.
    pub(super) fn hello(
        &mut self,
        socket: SocketId,
        visit: Visit,
        id: Option<u32>,
        hello: &Hello,
        step: &mut Step<'_>,
    ) {
        let begun = match &hello.resume {
            _ if !hello.versions.contains(&VERSION) => {
                Err((ErrorCode::BadVersion.into(), Some(Close::Protocol)))
            }
            _ if self.draining => Err((ErrorCode::Draining.into(), Some(Close::Drain))),
            Some(resume) => self.resume(socket, visit, resume, step),
            None => self.begin(socket, visit, hello.token.as_ref(), step),
        };
        let (session, resume, resumed) = match begun {
            Ok(begun) => begun,
            Err((error, close)) => return self.turn_down(socket, id, error, close, step),
        };
        let welcome = welcome(session, resume, resumed, step.now.unix);
        step.effects.push(self.aside(socket, id, &welcome));
        self.sockets.entry(socket).and_modify(|socket| socket.session = Some(session));
        if resumed {
            self.catch_up(socket, session, hello.resume.as_ref().map_or(0, |resume| resume.last), step);
        }
    }

    fn begin(
        &mut self,
        socket: SocketId,
        visit: Visit,
        token: Option<&Secret>,
        step: &mut Step<'_>,
    ) -> Result<Begun, Unwelcome> {
        let unauthorized = |code: ErrorCode| (RequestError::from(code), Some(Close::Unauthorized));
        let pass = match token {
            Some(token) => {
                let pass = self.pass(token, step.now);
                Some(pass.inspect_err(|code| self.report(*code, visit, step.now)).map_err(unauthorized)?)
            }
            None if visit.needs_token => return Err(unauthorized(ErrorCode::Unauthorized)),
            None => None,
        };
        if self.sessions.is_full()
            && let Some(oldest) = self.seats.oldest(|other| self.is_welcome(other), step.now.moment)
        {
            self.crowded(NoSeat::Server, step.now.moment);
            self.send_away(oldest, step);
        }
        let begun = self.sessions.begin(socket, visit.ip, pass, step.rng);
        let Some((session, token)) = begun else {
            self.journal.limit(Limit::Members, step.now.moment);
            return Err((ErrorCode::ServerFull.into(), Some(Close::Full)));
        };
        Ok((session, token, false))
    }

    /// Reports a client with a wrong or expired token.
    fn report(&self, code: ErrorCode, visit: Visit, now: Now) {
        let cause = if code == ErrorCode::TokenExpired { Cause::ExpiredToken } else { Cause::WrongToken };
        self.journal.refused(visit.ip, cause, None, now.moment);
    }

    /// What a room token allows. A token for an invalid room name is refused.
    fn pass(&self, token: &Secret, now: Now) -> Result<Pass, ErrorCode> {
        let grant = self.tokens.check(token.reveal(), now.unix).map_err(|error| match error {
            TokenError::Expired => ErrorCode::TokenExpired,
            TokenError::Invalid => ErrorCode::Unauthorized,
        })?;
        let only = grant.room.map(RoomName::try_from).transpose().map_err(|_| ErrorCode::Unauthorized)?;
        Ok(Pass { only, token: Digest::of(token.reveal()) })
    }

    /// Resumes a session. The token has 256 bits, so a wrong one is an old one, not a guess, and needs no limit.
    fn resume(
        &mut self,
        socket: SocketId,
        visit: Visit,
        resume: &Resume,
        step: &mut Step<'_>,
    ) -> Result<Begun, Unwelcome> {
        let failed = (RequestError::from(ErrorCode::ResumeFailed), None);
        let id = self.sessions.by_token(&resume.token).ok_or(failed)?;
        let session = self.sessions.get(id).ok_or(failed)?;
        let rate = Rate::new(RESUMES_PER_MINUTE, Duration::from_secs(60), RESUMES_AT_ONCE);
        if !session.resumes.take(rate, 1, step.now.moment) {
            let wait = session.resumes.wait(rate, 1, step.now.moment);
            return Err((RequestError::later(ErrorCode::RateLimited, wait), Some(Close::RateLimited)));
        }
        let is_whole = session.replay.after(resume.last).is_some();
        session.ip = visit.ip;
        self.rooms.set_ip(id, visit.ip);
        if let Attachment::Socket(old) =
            std::mem::replace(&mut session.attachment, Attachment::Socket(socket))
        {
            step.effects.push(self.aside(old, None, &RequestError::from(ErrorCode::Replaced).into()));
            self.close(old, Close::Replaced, step);
        }
        if !is_whole {
            self.end(id, LeaveReason::Timeout, step);
            return Err(failed);
        }
        Ok((id, resume.token.clone(), true))
    }

    /// Sends a resumed session the frames that it missed, and tells the others that it is back.
    fn catch_up(&mut self, socket: SocketId, id: SessionId, last: u64, step: &mut Step<'_>) {
        if let Some(session) = self.sessions.get(id) {
            session.replay.acknowledge(last);
            let missed = session.replay.after(last).into_iter().flatten();
            step.effects.extend(missed.map(|frame| Effect::Send(socket, frame)));
            session.replay.show();
        }
        let mut post = Post::default();
        self.rooms.set_away(id, false, &mut post);
        self.deliver(post, step);
    }
}

fn welcome(session: SessionId, resume: Secret, resumed: bool, now: Unix) -> ServerMessage {
    ServerMessage::Welcome(Welcome {
        v: VERSION,
        session,
        resume,
        resumed,
        hb: Heartbeats { ping: PING.as_secs(), dead: DEAD.as_secs() },
        limits: MessageLimits {
            frame: FRAME_MAX,
            sdp: SDP_MAX,
            candidates: CANDIDATES_MAX,
            body: BODY_MAX,
            rate: MESSAGES_PER_SECOND,
            burst: MESSAGES_AT_ONCE,
            grace: GRACE.as_secs(),
        },
        now,
        build: env!("CARGO_PKG_VERSION").to_owned(),
    })
}
