//! PURE  The messages that a client sends.

use serde_json::Number;

use crate::secret::Secret;
use crate::signaling::protocol::content::Content;
use crate::signaling::protocol::names::{Name, PeerId, RoomName};

/// A request: a client's message, and the id that the reply will carry.
#[derive(Debug, Clone, PartialEq)]
pub struct Request {
    /// Chosen by the client; the reply carries it as `re`.
    pub id: Option<u32>,
    /// The message.
    pub message: ClientMessage,
}

/// A client's message.
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
    /// Signals to one member of the room.
    Signal {
        /// The member.
        to: PeerId,
        /// The epoch of the pair: which of its peer connections this is about.
        e: u32,
        /// What is signaled.
        content: Content,
    },
    /// Changes this member's visible state.
    State(StateChange),
    /// Sends text to one member or to all others.
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
    /// The host locks or unlocks the room.
    Lock {
        /// Whether to lock the room.
        on: bool,
    },
    /// The host removes a member.
    Kick {
        /// The member.
        peer: PeerId,
        /// For how many seconds the member's address is banned.
        ban_s: u32,
    },
    /// The host lets in a client that has knocked.
    Admit {
        /// The client.
        peer: PeerId,
    },
    /// The host turns away a client that has knocked.
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

/// Which room a client wants to enter, under which name, and with which proof.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Join {
    /// The room.
    pub room: RoomName,
    /// The newcomer's name, as the others see it.
    pub name: Name,
    /// The room's key. The client that creates the room sets it.
    pub key: Option<Secret>,
    /// Proof that the newcomer created the room.
    pub host_token: Option<Secret>,
    /// The newcomer's visible state.
    pub state: StateChange,
    /// The most members that the room may have with the newcomer, if its client can deal with fewer than the room's capacity.
    /// No frame says this.
    pub most: Option<usize>,
}

/// A change of a member's visible state; absent fields stay as they are.
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
    /// Whether it changes nothing, except perhaps the name.
    pub(super) fn is_silent(&self) -> bool {
        [self.mic, self.cam, self.screen, self.hand].iter().all(Option::is_none)
    }
}
