//! PURE  The types of messages, as their field `t` and the counters name them.

use crate::labels::labels;
use crate::signaling::protocol::{ClientMessage, ServerMessage};

labels! {
    /// The type of what a client sent.
    pub enum ClientKind {
        /// [`ClientMessage::Hello`].
        Hello = "hello",
        /// [`ClientMessage::Join`].
        Join = "join",
        /// [`ClientMessage::Leave`].
        Leave = "leave",
        /// [`ClientMessage::Bye`].
        Bye = "bye",
        /// [`ClientMessage::Signal`].
        Signal = "signal",
        /// [`ClientMessage::State`].
        State = "state",
        /// [`ClientMessage::Msg`].
        Msg = "msg",
        /// [`ClientMessage::Ice`].
        Ice = "ice",
        /// [`ClientMessage::Ping`].
        Ping = "ping",
        /// [`ClientMessage::Lock`].
        Lock = "lock",
        /// [`ClientMessage::Kick`].
        Kick = "kick",
        /// [`ClientMessage::Admit`].
        Admit = "admit",
        /// [`ClientMessage::Deny`].
        Deny = "deny",
        /// [`ClientMessage::Host`].
        Host = "host",
        /// [`ClientMessage::End`].
        End = "end",
        /// Not a message of the protocol.
        Invalid = "invalid",
    }
}

labels! {
    /// The type of a message from the server.
    pub enum ServerKind {
        /// [`ServerMessage::Welcome`].
        Welcome = "welcome",
        /// [`ServerMessage::Joined`].
        Joined = "joined",
        /// [`ServerMessage::Waiting`].
        Waiting = "waiting",
        /// [`ServerMessage::Knock`].
        Knock = "knock",
        /// [`ServerMessage::PeerJoined`].
        PeerJoined = "peer_joined",
        /// [`ServerMessage::PeerLeft`].
        PeerLeft = "peer_left",
        /// [`ServerMessage::PeerAway`].
        PeerAway = "peer_away",
        /// [`ServerMessage::PeerBack`].
        PeerBack = "peer_back",
        /// [`ServerMessage::PeerState`].
        PeerState = "peer_state",
        /// [`ServerMessage::Signal`].
        Signal = "signal",
        /// [`ServerMessage::Msg`].
        Msg = "msg",
        /// [`ServerMessage::Room`].
        Room = "room",
        /// [`ServerMessage::Ice`].
        Ice = "ice",
        /// [`ServerMessage::Kicked`].
        Kicked = "kicked",
        /// [`ServerMessage::Goaway`].
        Goaway = "goaway",
        /// [`ServerMessage::Pong`].
        Pong = "pong",
        /// [`ServerMessage::Ok`].
        Ok = "ok",
        /// [`ServerMessage::Error`].
        Error = "error",
    }
}

impl ClientMessage {
    /// Its type.
    #[must_use]
    pub const fn kind(&self) -> ClientKind {
        match self {
            Self::Hello(_) => ClientKind::Hello,
            Self::Join(_) => ClientKind::Join,
            Self::Leave => ClientKind::Leave,
            Self::Bye => ClientKind::Bye,
            Self::Signal { .. } => ClientKind::Signal,
            Self::State(_) => ClientKind::State,
            Self::Msg { .. } => ClientKind::Msg,
            Self::Ice => ClientKind::Ice,
            Self::Ping { .. } => ClientKind::Ping,
            Self::Lock { .. } => ClientKind::Lock,
            Self::Kick { .. } => ClientKind::Kick,
            Self::Admit { .. } => ClientKind::Admit,
            Self::Deny { .. } => ClientKind::Deny,
            Self::Host { .. } => ClientKind::Host,
            Self::End => ClientKind::End,
        }
    }
}

impl ServerMessage {
    /// Its type.
    #[must_use]
    pub const fn kind(&self) -> ServerKind {
        match self {
            Self::Welcome(_) => ServerKind::Welcome,
            Self::Joined(_) => ServerKind::Joined,
            Self::Waiting { .. } => ServerKind::Waiting,
            Self::Knock { .. } => ServerKind::Knock,
            Self::PeerJoined { .. } => ServerKind::PeerJoined,
            Self::PeerLeft { .. } => ServerKind::PeerLeft,
            Self::PeerAway { .. } => ServerKind::PeerAway,
            Self::PeerBack { .. } => ServerKind::PeerBack,
            Self::PeerState { .. } => ServerKind::PeerState,
            Self::Signal { .. } => ServerKind::Signal,
            Self::Msg { .. } => ServerKind::Msg,
            Self::Room { .. } => ServerKind::Room,
            Self::Ice(_) => ServerKind::Ice,
            Self::Kicked { .. } => ServerKind::Kicked,
            Self::Goaway { .. } => ServerKind::Goaway,
            Self::Pong { .. } => ServerKind::Pong,
            Self::Ok => ServerKind::Ok,
            Self::Error(_) => ServerKind::Error,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::signaling::protocol::parse::parse;

    #[test]
    fn a_type_is_called_as_on_the_wire() {
        for t in ["leave", "bye", "ice", "ping", "end"] {
            assert_eq!(parse(&format!("{{\"t\":\"{t}\"}}")).unwrap().message.kind().name(), t);
        }
        for message in [ServerMessage::Ok, ServerMessage::Pong { ts: None }] {
            assert!(message.to_json().contains(&format!("\"t\":\"{}\"", message.kind().name())));
        }
    }
}
