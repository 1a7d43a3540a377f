//! PURE  Which frames a session can best do without, when not all can be kept.

use crate::signaling::protocol::ServerMessage;
use crate::signaling::protocol::names::PeerId;

/// What a frame is about, as far as it matters for leaving it out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Worth {
    /// Text from a member.
    Text(PeerId),
    /// A signal from a member.
    Signal(PeerId),
    /// A member has come, or a client has knocked.
    Came(PeerId),
    /// A member has left, or a client no longer knocks.
    Went(PeerId),
    /// A member's visible state.
    State(PeerId),
    /// Whether a member is away.
    Presence(PeerId),
    /// The room's lock, capacity and host.
    Room,
    /// ICE credentials.
    Ice,
    /// Indispensable. No other client can cause such frames.
    Much,
}

impl Worth {
    /// What a message is about.
    #[must_use]
    pub fn of(message: &ServerMessage) -> Self {
        match message {
            ServerMessage::Msg { from, .. } => Self::Text(*from),
            ServerMessage::Signal { from, .. } => Self::Signal(*from),
            ServerMessage::PeerJoined { member } => Self::Came(member.id),
            ServerMessage::Knock { peer, .. } => Self::Came(*peer),
            ServerMessage::PeerLeft { peer, .. } => Self::Went(*peer),
            ServerMessage::PeerState { peer, .. } => Self::State(*peer),
            ServerMessage::PeerAway { peer } | ServerMessage::PeerBack { peer } => Self::Presence(*peer),
            ServerMessage::Room { .. } => Self::Room,
            ServerMessage::Ice(_) => Self::Ice,
            ServerMessage::Welcome(_)
            | ServerMessage::Joined(_)
            | ServerMessage::Waiting { .. }
            | ServerMessage::Kicked { .. }
            | ServerMessage::Goaway { .. }
            | ServerMessage::Pong { .. }
            | ServerMessage::Ok
            | ServerMessage::Error(_) => Self::Much,
        }
    }

    /// The member that the frame is from, or about.
    #[must_use]
    pub const fn peer(self) -> Option<PeerId> {
        match self {
            Self::Text(peer)
            | Self::Signal(peer)
            | Self::Came(peer)
            | Self::Went(peer)
            | Self::State(peer)
            | Self::Presence(peer) => Some(peer),
            Self::Room | Self::Ice | Self::Much => None,
        }
    }

    /// Whether a member sent it.
    #[must_use]
    pub const fn is_said(self) -> bool {
        matches!(self, Self::Text(_) | Self::Signal(_))
    }

    /// Whether a member or a knocking client has left.
    #[must_use]
    pub const fn is_went(self) -> bool {
        matches!(self, Self::Went(_))
    }

    /// Whether it can replace an earlier frame.
    #[must_use]
    pub const fn can_outdate(self) -> bool {
        match self {
            Self::State(_) | Self::Presence(_) | Self::Room | Self::Ice | Self::Went(_) => true,
            Self::Text(_) | Self::Signal(_) | Self::Came(_) | Self::Much => false,
        }
    }

    /// Whether it replaces `earlier`. A client that learns of a member only that it has left misses nothing.
    #[must_use]
    pub fn outdates(self, earlier: Self) -> bool {
        match (self, earlier) {
            (Self::Went(gone), Self::State(peer) | Self::Presence(peer) | Self::Signal(peer)) => gone == peer,
            (now, earlier) => now.can_outdate() && now == earlier && !now.is_went(),
        }
    }
}
