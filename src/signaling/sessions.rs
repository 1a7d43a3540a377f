//! PURE  The sessions: each outlasts its socket for a while, and can be resumed on another.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use rand::RngCore;

use crate::bounds::rate::Bucket;
use crate::clock::Moment;
use crate::secret::{Digest, Secret};
use crate::signaling::protocol::names::SessionId;
use crate::signaling::replay::Replay;
use crate::signaling::rooms::Pass;

/// How long a session outlasts its socket.
pub const GRACE: Duration = Duration::from_secs(30);

/// One socket; ids are never reused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SocketId(pub u64);

/// A session.
#[derive(Debug)]
pub struct Session {
    /// How the client is reached.
    pub attachment: Attachment,
    /// The frames that it was sent and may not have received.
    pub replay: Replay,
    /// Its address, normalized by `client_net::address`.
    pub ip: IpAddr,
    /// The room token that it has shown.
    pub pass: Option<Pass>,
    /// How many state changes it has left.
    pub changes: Bucket,
    /// How many resumes it has left.
    pub resumes: Bucket,
    /// How many joins it has left.
    pub joins: Bucket,
    /// When it needs fresh ICE credentials.
    pub renew_at: Option<Moment>,
    token: Digest,
}

/// How a client is reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Attachment {
    /// On this socket.
    Socket(SocketId),
    /// Not at all, since this moment.
    Lost(Moment),
}

/// All sessions.
#[derive(Debug)]
pub struct Sessions {
    most: usize,
    sessions: BTreeMap<SessionId, Session>,
    tokens: BTreeMap<Digest, SessionId>,
}

impl Sessions {
    /// No sessions yet, and never more than `most`.
    #[must_use]
    pub fn new(most: usize) -> Self {
        Self { most, sessions: BTreeMap::new(), tokens: BTreeMap::new() }
    }

    /// Changes how many there may be. None ends.
    pub fn limit(&mut self, most: usize) {
        self.most = most;
    }

    /// Has every session that gets ICE credentials get fresh ones, evenly spread over `time`.
    pub fn renew_within(&mut self, time: Duration, now: Moment) {
        let count = self.sessions.len().max(1) as u32;
        let times = self.sessions.values_mut().filter_map(|session| session.renew_at.as_mut());
        for (at, number) in times.zip(0..) {
            *at = (*at).min(now + time * number / count);
        }
    }

    /// Begins a session, and returns it with its resume token; `None` if there are too many.
    pub fn begin(
        &mut self,
        socket: SocketId,
        ip: IpAddr,
        pass: Option<Pass>,
        rng: &mut dyn RngCore,
    ) -> Option<(SessionId, Secret)> {
        if self.is_full() {
            return None;
        }
        let (id, token) = (SessionId::random(rng), Secret::random(rng));
        let session = Session {
            attachment: Attachment::Socket(socket),
            replay: Replay::default(),
            ip,
            pass,
            changes: Bucket::default(),
            resumes: Bucket::default(),
            joins: Bucket::default(),
            renew_at: None,
            token: Digest::of(token.reveal()),
        };
        self.tokens.insert(session.token, id);
        self.sessions.insert(id, session);
        Some((id, token))
    }

    /// Ends a session. Returns how the client was reached.
    pub fn end(&mut self, id: SessionId) -> Option<Attachment> {
        let session = self.sessions.remove(&id)?;
        self.tokens.remove(&session.token);
        Some(session.attachment)
    }

    /// The session with this resume token.
    #[must_use]
    pub fn by_token(&self, token: &Secret) -> Option<SessionId> {
        self.tokens.get(&Digest::of(token.reveal())).copied()
    }

    /// A session.
    pub fn get(&mut self, id: SessionId) -> Option<&mut Session> {
        self.sessions.get_mut(&id)
    }

    /// Whether no more sessions may begin.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.sessions.len() >= self.most
    }

    /// How many sessions there are.
    #[must_use]
    pub fn count(&self) -> usize {
        self.sessions.len()
    }

    /// The sessions that have been without a socket for longer than [`GRACE`].
    #[must_use]
    pub fn over(&self, now: Moment) -> Vec<SessionId> {
        let is_over = |session: &Session| match session.attachment {
            Attachment::Socket(_) => false,
            Attachment::Lost(since) => since + GRACE <= now,
        };
        self.find(is_over)
    }

    /// The sessions that need fresh ICE credentials.
    #[must_use]
    pub fn to_renew(&self, now: Moment) -> Vec<SessionId> {
        self.find(|session| session.renew_at.is_some_and(|at| at <= now))
    }

    fn find(&self, is_meant: impl Fn(&Session) -> bool) -> Vec<SessionId> {
        self.sessions.iter().filter(|(_, session)| is_meant(session)).map(|(id, _)| *id).collect()
    }
}
