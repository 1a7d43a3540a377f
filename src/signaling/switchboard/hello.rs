//! PURE  How a socket comes to a session: a new one, or one that goes on.

use std::time::Duration;

use crate::bounds::rate::Rate;
use crate::clock::{Now, Unix};
use crate::room_token::TokenError;
use crate::secret::{Digest, Secret};
use crate::signaling::heartbeat::{DEAD, PING};
use crate::signaling::pace::{MESSAGES_AT_ONCE, MESSAGES_PER_SECOND};
use crate::signaling::post::Post;
use crate::signaling::protocol::codes::{Close, ErrorCode};
use crate::signaling::protocol::names::{RoomName, SessionId};
use crate::signaling::protocol::{
    BODY_MAX, CANDIDATES_MAX, FRAME_MAX, Fault, Heartbeats, Hello, LeaveReason, Limits, Resume, SDP_MAX,
    ServerMessage, VERSION, Welcome,
};
use crate::signaling::rooms::Pass;
use crate::signaling::seats::Crowded;
use crate::signaling::sessions::{Attachment, GRACE, SocketId};
use crate::signaling::switchboard::{Effect, Switchboard, Turn, Visit, aside};

/// A session, the token by which it can be resumed, and whether it just was.
type Begun = (SessionId, Secret, bool);
/// Why there is none, and how the socket ends if it does.
type Unwelcome = (Fault, Option<Close>);

/// How often a session may go on on another socket, each minute and at once: each socket may send at once what its pace
/// allows, and two tabs must not take one session from each other for ever.
const RESUMES_PER_MINUTE: u64 = 30;
const RESUMES_AT_ONCE: u64 = 5;

impl Switchboard {
    /// The first frame of a socket, or the next after one that could not be resumed.
    pub(super) fn hello(
        &mut self,
        socket: SocketId,
        visit: Visit,
        id: Option<u32>,
        hello: &Hello,
        turn: &mut Turn<'_>,
    ) {
        let begun = match &hello.resume {
            _ if !hello.versions.contains(&VERSION) => {
                Err((ErrorCode::BadVersion.into(), Some(Close::Protocol)))
            }
            _ if self.draining => Err((ErrorCode::Draining.into(), Some(Close::Drain))),
            Some(resume) => self.resume(socket, visit, resume, turn),
            None => self.begin(socket, visit, hello.token.as_ref(), turn),
        };
        let (session, resume, resumed) = match begun {
            Ok(begun) => begun,
            Err((fault, close)) => return self.turn_down(socket, id, fault, close, turn),
        };
        let welcome = welcome(session, resume, resumed, turn.now.unix);
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
        token: Option<&Secret>,
        turn: &mut Turn<'_>,
    ) -> Result<Begun, Unwelcome> {
        let unauthorized = |code: ErrorCode| (Fault::from(code), Some(Close::Unauthorized));
        let pass = match token {
            Some(token) => Some(self.pass(token, turn.now).map_err(unauthorized)?),
            None if visit.needs_token => return Err(unauthorized(ErrorCode::Unauthorized)),
            None => None,
        };
        if self.sessions.is_full()
            && let Some(oldest) = self.seats.oldest(|other| self.is_welcome(other), turn.now.moment)
        {
            self.crowded(Crowded::Server, turn.now.moment);
            self.send_away(oldest, turn);
        }
        let begun = self.sessions.begin(socket, visit.ip, pass, turn.rng);
        let (session, token) = begun.ok_or((ErrorCode::ServerFull.into(), Some(Close::Full)))?;
        Ok((session, token, false))
    }

    /// What a room token allows. A name that cannot be a room's can be joined by nobody.
    fn pass(&self, token: &Secret, now: Now) -> Result<Pass, ErrorCode> {
        let grant = self.tokens.check(token.reveal(), now.unix).map_err(|error| match error {
            TokenError::Expired => ErrorCode::TokenExpired,
            TokenError::Invalid => ErrorCode::Unauthorized,
        })?;
        let only = grant.room.map(RoomName::try_from).transpose().map_err(|_| ErrorCode::Unauthorized)?;
        Ok(Pass { only, token: Digest::of(token.reveal()) })
    }

    /// Goes on with a session. Nobody guesses 256 bits, so a wrong token is an old one, and may be tried at any rate.
    fn resume(
        &mut self,
        socket: SocketId,
        visit: Visit,
        resume: &Resume,
        turn: &mut Turn<'_>,
    ) -> Result<Begun, Unwelcome> {
        let failed = (Fault::from(ErrorCode::ResumeFailed), None);
        let id = self.sessions.by_token(&resume.token).ok_or(failed)?;
        let session = self.sessions.get(id).ok_or(failed)?;
        let rate = Rate::new(RESUMES_PER_MINUTE, Duration::from_secs(60), RESUMES_AT_ONCE);
        if !session.resumes.take(rate, 1, turn.now.moment) {
            let wait = session.resumes.wait(rate, 1, turn.now.moment);
            return Err((Fault::later(ErrorCode::RateLimited, wait), Some(Close::RateLimited)));
        }
        let is_whole = session.replay.after(resume.last).is_some();
        session.ip = visit.ip;
        self.rooms.set_ip(id, visit.ip);
        if let Attachment::Socket(old) =
            std::mem::replace(&mut session.attachment, Attachment::Socket(socket))
        {
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
            session.replay.show();
        }
        let mut post = Post::default();
        self.rooms.set_away(id, false, &mut post);
        self.deliver(post, turn);
    }
}

fn welcome(session: SessionId, resume: Secret, resumed: bool, now: Unix) -> ServerMessage {
    ServerMessage::Welcome(Welcome {
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
        now,
        build: env!("CARGO_PKG_VERSION").to_owned(),
    })
}
