//! PURE  The messages of the signaling protocol, version 1; `docs/signaling.md` is the same for people.
//!
//! Each frame is one JSON object with its type in `t`. What a client sends is read by [`parse`], field by field, so that
//! an error can name the field; what the server sends is written by serde and put into a frame by [`frame`].

pub mod codes;
pub mod names;
pub mod parse;

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Number;

use crate::clock::Unix;
use crate::ice::IceConfiguration;
use crate::secret::Secret;
use crate::signaling::protocol::codes::ErrorCode;
use crate::signaling::protocol::names::{BadName, Name, PeerId, RoomName, SessionId};

/// The version of the protocol.
pub const VERSION: u32 = 1;
/// Bytes of a frame.
pub const FRAME_MAX: usize = 64 * 1024;
/// How deep arrays and objects may be nested in a frame.
pub const DEPTH_MAX: usize = 8;
/// Bytes of a session description.
pub const SDP_MAX: usize = 32 * 1024;
/// Candidates in one frame.
pub const CANDIDATES_MAX: usize = 64;
/// Bytes of each text of a candidate.
pub const CANDIDATE_MAX: usize = 1024;
/// Bytes of the text of a `msg`.
pub const BODY_MAX: usize = 4 * 1024;
/// Bytes of the kind of a `msg`.
pub const KIND_MAX: usize = 32;
/// Bytes of a room's key.
pub const KEY_MAX: usize = 256;
/// Bytes of any token.
pub const TOKEN_MAX: usize = 4 * 1024;

/// What a client sends.
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
    /// Begins a session, or goes on with one.
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
    /// Asks for a sign of life.
    Ping {
        /// Comes back in `pong`.
        ts: Option<Number>,
        /// The last frame that has arrived.
        last: Option<u64>,
    },
    /// The host lets nobody in any more, or again.
    Lock {
        /// Whether the room is to be locked.
        on: bool,
    },
    /// The host removes a member.
    Kick {
        /// The member.
        peer: PeerId,
        /// For how many seconds nobody from the member's address may come back.
        ban_s: u32,
    },
    /// The host lets somebody in who knocked.
    Admit {
        /// Who knocked.
        peer: PeerId,
    },
    /// The host does not let somebody in who knocked.
    Deny {
        /// Who knocked.
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
    /// The session to go on with.
    pub resume: Option<Resume>,
}

/// The session to go on with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resume {
    /// The token that `welcome` gave.
    pub token: Secret,
    /// The `n` of the last frame that has arrived.
    pub last: u64,
}

/// Who wants to enter which room, and what they show for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Join {
    /// The room.
    pub room: RoomName,
    /// What the others are to call the newcomer.
    pub name: Name,
    /// The room's key; whoever creates the room sets it.
    pub key: Option<Secret>,
    /// Proof that the newcomer created the room.
    pub host_token: Option<Secret>,
    /// What the others are shown of the newcomer.
    pub state: StateChange,
}

/// What is signaled; the server looks at nothing but its size and type.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Content {
    /// An `RTCSessionDescriptionInit`.
    #[serde(rename = "d")]
    Description(Description),
    /// `RTCIceCandidateInit`s; `null` says that there are no more.
    #[serde(rename = "c")]
    Candidates(Vec<Option<Candidate>>),
}

/// An `RTCSessionDescriptionInit`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Description {
    /// What it does.
    #[serde(rename = "type")]
    pub kind: DescriptionKind,
    /// The SDP; empty for a rollback.
    #[serde(default)]
    pub sdp: String,
}

/// An `RTCSdpType`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DescriptionKind {
    /// Offers.
    Offer,
    /// Answers.
    Answer,
    /// Answers for now.
    Pranswer,
    /// Takes an offer back.
    Rollback,
}

/// An `RTCIceCandidateInit`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Candidate {
    /// The candidate-attribute (RFC 8839 §5.1).
    pub candidate: String,
    /// The media section, by its identification tag.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sdp_mid: Option<String>,
    /// The media section, by its index.
    #[serde(default, skip_serializing_if = "Option::is_none", rename = "sdpMLineIndex")]
    pub sdp_mline_index: Option<u16>,
    /// The ICE generation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub username_fragment: Option<String>,
}

/// What the others are shown of a member.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct State {
    /// Whether the microphone is on.
    pub mic: bool,
    /// Whether the camera is on.
    pub cam: bool,
    /// Whether the screen is shared.
    pub screen: bool,
    /// Whether a hand is raised.
    pub hand: bool,
    /// Whether none of it was ever said, so that all that is known is what arrives.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub unsaid: bool,
}

/// What is to change of it; the rest stays.
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

/// A message of the server.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "t", rename_all = "snake_case")]
pub enum ServerMessage {
    /// The session has begun, or goes on.
    Welcome(Welcome),
    /// The client is in the room.
    Joined(Box<Joined>),
    /// The client has knocked, and the host decides.
    Waiting {
        /// What the client will be called if it is let in.
        you: PeerId,
    },
    /// For the host: somebody has knocked.
    Knock {
        /// To be used in `admit` and `deny`.
        peer: PeerId,
        /// What they call themselves.
        name: Name,
    },
    /// Another member has come.
    PeerJoined {
        /// The member.
        member: Peer,
    },
    /// A member has left, or, for the host, somebody who had knocked.
    PeerLeft {
        /// The member.
        peer: PeerId,
        /// Why.
        reason: LeaveReason,
    },
    /// A member's socket is lost; the member may be back within 30 seconds, and its media may go on all the while.
    PeerAway {
        /// The member.
        peer: PeerId,
    },
    /// A member is back.
    PeerBack {
        /// The member.
        peer: PeerId,
    },
    /// A member shows something else of itself.
    PeerState {
        /// The member.
        peer: PeerId,
        /// Its name.
        name: Name,
        /// All of its state.
        state: State,
    },
    /// From another member of the room.
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
        /// Whether it is for this member alone.
        direct: bool,
        /// What kind of text it is.
        kind: String,
        /// The text.
        body: String,
    },
    /// Something of the room has changed.
    Room {
        /// Whether nobody is let in.
        locked: bool,
        /// How many members there may be.
        cap: usize,
        /// The host.
        host: PeerId,
    },
    /// Fresh ICE credentials: asked for, or because the last ones end soon.
    Ice(IceConfiguration),
    /// The host has removed this client or ended the room; the socket is closed.
    Kicked {
        /// Which of the two.
        reason: KickReason,
    },
    /// The server is about to close the socket.
    Goaway {
        /// What the client should do then.
        action: GoawayAction,
        /// How many milliseconds it should wait before.
        after_ms: u64,
    },
    /// The answer to `ping`.
    Pong {
        /// What the ping had.
        #[serde(skip_serializing_if = "Option::is_none")]
        ts: Option<Number>,
    },
    /// What was asked for is done.
    Ok,
    /// What was asked for is refused.
    Error(ErrorBody),
}

/// Begins a session, or goes on with one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Welcome {
    /// The version of the protocol.
    pub v: u32,
    /// The session.
    pub session: SessionId,
    /// The token with which another socket goes on with it; keep it secret.
    pub resume: Secret,
    /// Whether this is the session that the client asked to go on with; what it missed follows.
    pub resumed: bool,
    /// When to expect signs of life.
    pub hb: Heartbeats,
    /// What the server takes.
    pub limits: Limits,
    /// The server's time.
    pub now: Unix,
    /// The server's version.
    pub build: String,
}

/// When to expect signs of life, in seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Heartbeats {
    /// The server sends a WebSocket ping so often.
    pub ping: u64,
    /// After so long without one, the other end is dead.
    pub dead: u64,
}

/// What the server takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// Bytes of a frame.
    pub frame: usize,
    /// Bytes of a session description.
    pub sdp: usize,
    /// Candidates in one frame.
    pub candidates: usize,
    /// Bytes of the text of a `msg`.
    pub body: usize,
    /// Messages a second, in the long run.
    pub rate: u64,
    /// Messages at once.
    pub burst: u64,
    /// Seconds that a session outlasts its socket.
    pub grace: u64,
}

/// The room, as a newcomer finds it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Joined {
    /// Its name, normalized.
    pub room: RoomName,
    /// The newcomer.
    pub you: PeerId,
    /// The host.
    pub host: PeerId,
    /// Whether nobody is let in.
    pub locked: bool,
    /// How many members there may be.
    pub cap: usize,
    /// The other members, in the order in which they came.
    pub peers: Vec<Peer>,
    /// What `new RTCPeerConnection` takes; absent if the server has no relay to offer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ice: Option<IceConfiguration>,
    /// For whoever created the room: proof of it, to be host again after coming back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host_token: Option<Secret>,
}

/// A member, as the others see it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Peer {
    /// Who.
    pub id: PeerId,
    /// The how-manieth to have come.
    pub seq: u64,
    /// What it is called.
    pub name: Name,
    /// What it shows of itself.
    pub state: State,
    /// Whether its socket is lost.
    pub away: bool,
}

/// Why a member has left.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LeaveReason {
    /// It said so.
    Left,
    /// Its socket was lost, and it did not come back in time.
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
    /// The host has ended the room.
    Ended,
}

/// What a client should do when the server closes its socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GoawayAction {
    /// Connect and go on with the session.
    Resume,
    /// Connect and join again.
    Rejoin,
    /// Stay away.
    Stop,
}

/// What is wrong, and what the client can do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErrorBody {
    /// For programs.
    pub code: ErrorCode,
    /// For developers.
    pub message: String,
    /// The field that is wrong.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub field: Option<String>,
    /// When it may be tried again, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_after_ms: Option<u64>,
}

/// Why something is refused, before it is put into words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fault {
    /// Why.
    pub code: ErrorCode,
    /// The field that is wrong.
    pub field: Option<&'static str>,
    /// When it may be tried again.
    pub retry_after: Option<Duration>,
    /// What is wrong with a name.
    pub name: Option<BadName>,
}

impl Fault {
    const fn of(code: ErrorCode) -> Self {
        Self { code, field: None, retry_after: None, name: None }
    }

    /// This field is wrong.
    #[must_use]
    pub const fn field(field: &'static str) -> Self {
        Self { field: Some(field), ..Self::of(ErrorCode::BadField) }
    }

    /// This field has more than is allowed.
    #[must_use]
    pub const fn too_large(field: &'static str) -> Self {
        Self { field: Some(field), ..Self::of(ErrorCode::TooLarge) }
    }

    /// This field cannot be a name.
    #[must_use]
    pub const fn name(field: &'static str, why: BadName) -> Self {
        Self { name: Some(why), ..Self::field(field) }
    }

    /// This cannot be a room's name.
    #[must_use]
    pub const fn room(why: BadName) -> Self {
        Self { name: Some(why), ..Self::of(ErrorCode::RoomNameInvalid) }
    }

    /// Too often, or too many: try again after so long.
    #[must_use]
    pub const fn later(code: ErrorCode, after: Duration) -> Self {
        Self { retry_after: Some(after), ..Self::of(code) }
    }
}

impl From<ErrorCode> for Fault {
    fn from(code: ErrorCode) -> Self {
        Self::of(code)
    }
}

impl From<Fault> for ServerMessage {
    fn from(fault: Fault) -> Self {
        // Rounded up, so that who waits so long has waited long enough.
        let millis = |time: Duration| u64::try_from(time.as_nanos().div_ceil(1_000_000)).unwrap_or(u64::MAX);
        Self::Error(ErrorBody {
            code: fault.code,
            message: match fault.name {
                Some(why) => format!("this cannot be a name: {why}"),
                None => fault.code.message().to_owned(),
            },
            field: fault.field.map(str::to_owned),
            retry_after_ms: fault.retry_after.map(millis),
        })
    }
}

impl State {
    /// Of who has said nothing yet.
    pub const UNSAID: Self = Self { mic: false, cam: false, screen: false, hand: false, unsaid: true };

    /// The state after a change.
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

impl StateChange {
    /// Whether it says nothing but a name.
    fn is_silent(&self) -> bool {
        [self.mic, self.cam, self.screen, self.hand].iter().all(Option::is_none)
    }
}

impl ServerMessage {
    /// The message as JSON, to be put into a [`frame`] for each who gets it.
    #[must_use]
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).expect("texts and numbers can always be written as JSON")
    }
}

/// The text of a frame: a message as JSON, its number in the session, and the request that it answers.
#[must_use]
pub fn frame(json: &str, n: Option<u64>, re: Option<u32>) -> String {
    let mut text = String::with_capacity(json.len() + 32);
    text.push('{');
    if let Some(n) = n {
        text.push_str(&format!("\"n\":{n},"));
    }
    if let Some(re) = re {
        text.push_str(&format!("\"re\":{re},"));
    }
    text.push_str(json.strip_prefix('{').unwrap_or(json));
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_has_its_number_and_what_it_answers_in_front_of_the_message() {
        let json = ServerMessage::Ok.to_json();
        assert_eq!(frame(&json, Some(7), Some(3)), "{\"n\":7,\"re\":3,\"t\":\"ok\"}");
        assert_eq!(frame(&json, None, None), "{\"t\":\"ok\"}");
    }

    #[test]
    fn what_a_change_does_not_name_stays() {
        let state = State { mic: true, cam: true, ..State::default() };
        let change = StateChange { cam: Some(false), hand: Some(true), ..StateChange::default() };
        assert_eq!(state.after(&change), State { mic: true, hand: true, ..State::default() });
    }

    #[test]
    fn no_log_shows_a_token_or_a_key() {
        let heard = [
            r#"{"t":"hello","v":[1],"token":"sesame","resume":"sesame","last":1}"#,
            r#"{"t":"join","room":"sesame","key":"sesame","host_token":"sesame"}"#,
        ];
        let peer = "AAECAwQFBgcICQoL";
        let said = [
            format!(
                r#"{{"t":"welcome","v":1,"session":"{peer}","resume":"sesame","resumed":false,"hb":{{"ping":1,"dead":2}},
                "limits":{{"frame":1,"sdp":1,"candidates":1,"body":1,"rate":1,"burst":1,"grace":1}},"now":1,"build":""}}"#
            ),
            format!(
                r#"{{"t":"joined","room":"sesame","you":"{peer}","host":"{peer}","locked":false,"cap":4,"peers":[],
                "ice":{{"iceServers":[{{"urls":[],"credential":"sesame"}}],"ttl":1,"expires_at":1}},"host_token":"sesame"}}"#
            ),
        ];
        let heard = heard.map(|text| format!("{:?}", parse::parse(text).unwrap()));
        let said = said.map(|text| serde_json::from_str::<ServerMessage>(&text).unwrap());
        assert!(said.iter().all(|message| message.to_json().contains("sesame")), "{said:?}");
        for shown in heard.into_iter().chain(said.map(|message| format!("{message:?}"))) {
            assert!(!shown.contains("sesame") && shown.contains("(..)"), "{shown}");
        }
    }

    #[test]
    fn a_fault_says_when_to_try_again_rounded_up() {
        let fault = Fault::later(ErrorCode::RateLimited, Duration::from_micros(1500));
        let ServerMessage::Error(body) = fault.into() else { panic!("it is an error") };
        assert_eq!((body.code, body.retry_after_ms), (ErrorCode::RateLimited, Some(2)));
    }
}
