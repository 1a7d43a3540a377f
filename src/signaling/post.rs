//! PURE  What rooms have to say: messages for sessions, in the order in which they are to be heard.

use crate::signaling::protocol::codes::ErrorCode;
use crate::signaling::protocol::names::SessionId;
use crate::signaling::protocol::{KickReason, RequestError, ServerMessage};

/// Something to say or to do.
#[derive(Debug, Clone, PartialEq)]
pub enum Act {
    /// A message for some sessions.
    Tell {
        /// The sessions.
        to: Vec<SessionId>,
        /// The message.
        message: ServerMessage,
    },
    /// A session is told why, and ends.
    Dismiss(SessionId, KickReason),
}

/// What is to be said and done, in this order.
#[derive(Debug, Default)]
pub struct Post(Vec<Act>);

impl Post {
    /// One more thing to do.
    pub fn push(&mut self, act: Act) {
        self.0.push(act);
    }

    /// A message for one session.
    pub fn tell(&mut self, session: SessionId, message: ServerMessage) {
        self.push(Act::Tell { to: vec![session], message });
    }

    /// A refusal for one session.
    pub fn refuse(&mut self, session: SessionId, code: ErrorCode) {
        self.tell(session, RequestError::from(code).into());
    }
}

impl IntoIterator for Post {
    type Item = Act;
    type IntoIter = std::vec::IntoIter<Act>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}
