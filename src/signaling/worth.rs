//! PURE  What a frame is worth to somebody who missed it, when not everything can be kept.

use crate::signaling::protocol::ServerMessage;
use crate::signaling::protocol::names::PeerId;

/// What a frame is about, as far as that says whether it may be left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Worth {
    /// Text from a member.
    Text(PeerId),
    /// A signal from a member.
    Signal(PeerId),
    /// A member has come, or knocks.
    Came(PeerId),
    /// A member has left, or knocks no more.
    Went(PeerId),
    /// What a member shows of itself now.
    State(PeerId),
    /// Whether a member is away now.
    Presence(PeerId),
    /// What the room is like now.
    Room,
    /// The credentials of now.
    Ice,
    /// Nobody else can make the server send it, and it must not be missed.
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

    /// Whose doing it is, or of whom it tells.
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

    /// Whether a member said it.
    #[must_use]
    pub const fn is_said(self) -> bool {
        matches!(self, Self::Text(_) | Self::Signal(_))
    }

    /// Whether it tells of a member's end.
    #[must_use]
    pub const fn is_went(self) -> bool {
        matches!(self, Self::Went(_))
    }

    /// Whether something earlier may be needless because of it.
    #[must_use]
    pub const fn can_outdate(self) -> bool {
        match self {
            Self::State(_) | Self::Presence(_) | Self::Room | Self::Ice | Self::Went(_) => true,
            Self::Text(_) | Self::Signal(_) | Self::Came(_) | Self::Much => false,
        }
    }

    /// Whether `earlier` is needless because of it. Who hears of a member only that it has left loses nothing.
    #[must_use]
    pub fn outdates(self, earlier: Self) -> bool {
        match (self, earlier) {
            (Self::Went(gone), Self::State(peer) | Self::Presence(peer) | Self::Signal(peer)) => gone == peer,
            (now, earlier) => now.can_outdate() && now == earlier && !now.is_went(),
        }
    }
}
