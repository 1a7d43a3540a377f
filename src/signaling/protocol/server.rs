//! PURE  The messages that the server sends.

use serde::{Deserialize, Serialize};
use serde_json::Number;

use crate::clock::Unix;
use crate::ice::IceConfiguration;
use crate::secret::Secret;
use crate::signaling::protocol::client::StateChange;
use crate::signaling::protocol::codes::ErrorCode;
use crate::signaling::protocol::content::Content;
use crate::signaling::protocol::names::{Name, PeerId, RoomName, SessionId};

/// A message from the server.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "t", rename_all = "snake_case")]
pub enum ServerMessage {
    /// The session has begun, or is resumed.
    Welcome(Welcome),
    /// The client is in the room.
    Joined(Box<Joined>),
    /// The client has knocked, and the host decides.
    Waiting {
        /// The id that the client has if it is let in.
        you: PeerId,
    },
    /// For the host: a client has knocked.
    Knock {
        /// The id for `admit` and `deny`.
        peer: PeerId,
        /// The name that the client has chosen.
        name: Name,
    },
    /// Another member has come.
    PeerJoined {
        /// The member.
        member: Peer,
    },
    /// A member has left; for the host, also a client that had knocked.
    PeerLeft {
        /// The member.
        peer: PeerId,
        /// Why.
        reason: LeaveReason,
    },
    /// A member has lost its socket. It may come back within 30 seconds, and its media may continue meanwhile.
    PeerAway {
        /// The member.
        peer: PeerId,
    },
    /// A member is back.
    PeerBack {
        /// The member.
        peer: PeerId,
    },
    /// The state or the name of a member has changed.
    PeerState {
        /// The member.
        peer: PeerId,
        /// Its name.
        name: Name,
        /// All of its state.
        state: MemberState,
    },
    /// A signal from another member of the room.
    Signal {
        /// The member.
        from: PeerId,
        /// The epoch of the pair.
        e: u32,
        /// What is signaled.
        #[serde(flatten)]
        content: Content,
    },
    /// Text from another member of the room.
    Msg {
        /// The member.
        from: PeerId,
        /// Whether it is for this member only.
        direct: bool,
        /// What kind of text it is.
        kind: String,
        /// The text.
        body: String,
    },
    /// The lock, the capacity or the host of the room has changed.
    Room {
        /// Whether the room is locked.
        locked: bool,
        /// The maximum number of members.
        cap: usize,
        /// The host.
        host: PeerId,
    },
    /// Fresh ICE credentials: requested, or because the present ones expire soon.
    Ice(IceConfiguration),
    /// The host has removed this client or ended the room; the socket is closed.
    Kicked {
        /// Which of the two.
        reason: KickReason,
    },
    /// The server is about to close the socket.
    Goaway {
        /// What the client should do after that.
        action: GoawayAction,
        /// How many milliseconds it should wait before that.
        after_ms: u64,
    },
    /// The answer to `ping`.
    Pong {
        /// The ping's `ts`.
        #[serde(skip_serializing_if = "Option::is_none")]
        ts: Option<Number>,
    },
    /// The request was carried out.
    Ok,
    /// The request was refused.
    Error(ErrorBody),
}

/// The session's data for its client.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Welcome {
    /// The version of the protocol.
    pub v: u32,
    /// The session.
    pub session: SessionId,
    /// The token with which another socket resumes it. It is secret.
    pub resume: Secret,
    /// Whether this is the session that the client asked to resume; the frames that it missed follow.
    pub resumed: bool,
    /// The heartbeat: the interval of pings, and how long an end may be silent.
    pub hb: Heartbeats,
    /// The limits of what the server accepts.
    pub limits: MessageLimits,
    /// The server's time.
    pub now: Unix,
    /// The server's version.
    pub build: String,
}

/// The heartbeat: the interval of pings, and how long an end may be silent, in seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Heartbeats {
    /// The server sends a WebSocket ping at least this often.
    pub ping: u64,
    /// An end that has been silent for this long counts as dead.
    pub dead: u64,
}

/// The limits of what the server accepts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct MessageLimits {
    /// Bytes of a frame.
    pub frame: usize,
    /// Bytes of a session description.
    pub sdp: usize,
    /// Candidates in one frame.
    pub candidates: usize,
    /// Bytes of the text of a `msg`.
    pub body: usize,
    /// Messages per second, in the long run.
    pub rate: u64,
    /// Messages in a burst.
    pub burst: u64,
    /// Seconds that a session outlasts its socket.
    pub grace: u64,
}

/// The room, as a newcomer sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Joined {
    /// Its name, normalized.
    pub room: RoomName,
    /// The newcomer.
    pub you: PeerId,
    /// The host.
    pub host: PeerId,
    /// Whether the room is locked.
    pub locked: bool,
    /// The maximum number of members.
    pub cap: usize,
    /// The other members, in the order in which they came.
    pub peers: Vec<Peer>,
    /// The argument of `new RTCPeerConnection`; absent if the server has no relay to offer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ice: Option<IceConfiguration>,
    /// Only for the client that created the room: the token that makes it host again when it comes back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host_token: Option<Secret>,
}

/// A member, as the others see it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Peer {
    /// Its id.
    pub id: PeerId,
    /// Join order, counted from 1.
    pub seq: u64,
    /// Its name.
    pub name: Name,
    /// Its visible state.
    pub state: MemberState,
    /// Whether its socket is lost.
    pub away: bool,
}

/// A member's visible state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct MemberState {
    /// Whether the microphone is on.
    pub mic: bool,
    /// Whether the camera is on.
    pub cam: bool,
    /// Whether the screen is shared.
    pub screen: bool,
    /// Whether a hand is raised.
    pub hand: bool,
    /// Whether the member has never set any of these, so that only its media show them.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub unsaid: bool,
}

/// Why a member has left.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LeaveReason {
    /// It left.
    Left,
    /// Its session was not resumed, or its knock was not answered.
    Timeout,
    /// The host has removed it.
    Kicked,
    /// Reserved: the server that it was connected to is gone.
    NodeLost,
}

/// Why this client is no longer in the room.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum KickReason {
    /// The host has removed it.
    Kicked,
    /// The host or an administrator has ended the room.
    Ended,
}

/// What a client should do when the server closes its socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GoawayAction {
    /// Connect and resume the session.
    Resume,
    /// Connect and join again.
    Rejoin,
    /// Do not come back.
    Stop,
}

/// What is wrong, and what the client can do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErrorBody {
    /// The code, for programs.
    pub code: ErrorCode,
    /// The text, for developers.
    pub message: String,
    /// The field that is wrong.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub field: Option<String>,
    /// How long to wait before a retry, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_after_ms: Option<u64>,
}

impl ServerMessage {
    /// The message as JSON.
    #[must_use]
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).expect("texts and numbers can always be written as JSON")
    }
}

impl MemberState {
    /// The state of a member that has never set any.
    pub const UNSAID: Self = Self { mic: false, cam: false, screen: false, hand: false, unsaid: true };

    /// The state after `change`.
    #[must_use]
    pub fn after(self, change: &StateChange) -> Self {
        Self {
            mic: change.mic.unwrap_or(self.mic),
            cam: change.cam.unwrap_or(self.cam),
            screen: change.screen.unwrap_or(self.screen),
            hand: change.hand.unwrap_or(self.hand),
            unsaid: self.unsaid && change.is_silent(),
        }
    }
}
