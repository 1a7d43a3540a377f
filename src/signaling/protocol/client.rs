//! PURE  The messages that a client sends.

use serde_json::Number;

use crate::secret::Secret;
use crate::signaling::protocol::content::Content;
use crate::signaling::protocol::names::{Name, PeerId, RoomName};

/// A request: a message of a client, and the id that its reply will carry.
#[derive(Debug, Clone, PartialEq)]
pub struct Request {
    /// Chosen by the client; the reply carries it as `re`.
    pub id: Option<u32>,
    /// The message.
    pub message: ClientMessage,
}

/// A message of a client.
#[derive(Debug, Clone, PartialEq)]
pub enum ClientMessage {
    /// Begins a session, or resumes one.
    Hello(Hello),
    /// Enters a room.
    Join(Join),
    /// Leaves the room.
    Leave,
    /// Ends the session, at once.
    Bye,
    /// For one member of the room.
    Signal {
        /// The member.
        to: PeerId,
        /// The epoch of the pair: which of its peer connections this is about.
        e: u32,
        /// What is signaled.
        content: Content,
    },
    /// Changes what the others are shown of this member.
    State(StateChange),
    /// Text for one member or for all others.
    Msg {
        /// The member; all others if absent.
        to: Option<PeerId>,
        /// What kind of text it is, in words that the clients agree on.
        kind: String,
        /// The text.
        body: String,
    },
    /// Asks for fresh ICE credentials.
    Ice,
    /// Asks the server for a `pong`.
    Ping {
        /// Comes back in `pong`.
        ts: Option<Number>,
        /// The last frame that has arrived.
        last: Option<u64>,
    },
    /// The host locks the room, or unlocks it.
    Lock {
        /// Whether the room is to be locked.
        on: bool,
    },
    /// The host removes a member.
    Kick {
        /// The member.
        peer: PeerId,
        /// For how many seconds nobody at the member's address may come back.
        ban_s: u32,
    },
    /// The host lets a client in that has knocked.
    Admit {
        /// The client.
        peer: PeerId,
    },
    /// The host turns a client away that has knocked.
    Deny {
        /// The client.
        peer: PeerId,
    },
    /// The host makes another member the host.
    Host {
        /// The member.
        peer: PeerId,
    },
    /// The host ends the room for all.
    End,
}

/// The first message of a socket.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Hello {
    /// The versions that the client speaks.
    pub versions: Vec<u32>,
    /// A room token, from `POST /api/v1/room-tokens`.
    pub token: Option<Secret>,
    /// The session to resume.
    pub resume: Option<Resume>,
}

/// The session to resume.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resume {
    /// The token that `welcome` gave.
    pub token: Secret,
    /// The `n` of the last frame that has arrived.
    pub last: u64,
}

/// Who wants to enter which room, and with which proof.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Join {
    /// The room.
    pub room: RoomName,
    /// What the others are to call the newcomer.
    pub name: Name,
    /// The room's key. The client that creates the room sets it.
    pub key: Option<Secret>,
    /// Proof that the newcomer created the room.
    pub host_token: Option<Secret>,
    /// What the others are shown of the newcomer.
    pub state: StateChange,
}

/// What changes in what the others are shown of a member; absent fields stay as they are.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct StateChange {
    /// The microphone.
    pub mic: Option<bool>,
    /// The camera.
    pub cam: Option<bool>,
    /// The screen.
    pub screen: Option<bool>,
    /// The hand.
    pub hand: Option<bool>,
    /// The name.
    pub name: Option<Name>,
}

impl StateChange {
    /// Whether it says nothing but a name.
    pub(super) fn is_silent(&self) -> bool {
        [self.mic, self.cam, self.screen, self.hand].iter().all(Option::is_none)
    }
}
