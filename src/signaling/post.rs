//! PURE  What rooms send: messages for sessions, in the order of delivery.

use crate::signaling::protocol::codes::ErrorCode;
use crate::signaling::protocol::names::SessionId;
use crate::signaling::protocol::{KickReason, RequestError, ServerMessage};

/// One message or action.
#[derive(Debug, Clone, PartialEq)]
pub enum Act {
    /// A message for some sessions.
    Tell {
        /// The sessions.
        to: Vec<SessionId>,
        /// The message.
        message: ServerMessage,
    },
    /// Sends a session the reason for its end, and ends it.
    Dismiss(SessionId, KickReason),
}

/// Messages and actions, in order.
#[derive(Debug, Default)]
pub struct Post(Vec<Act>);

impl Post {
    /// Adds one.
    pub fn push(&mut self, act: Act) {
        self.0.push(act);
    }

    /// Adds a message for one session.
    pub fn tell(&mut self, session: SessionId, message: ServerMessage) {
        self.push(Act::Tell { to: vec![session], message });
    }

    /// Adds a refusal for one session.
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
