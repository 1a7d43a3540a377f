//! PURE  Why a message is refused, and why a socket is closed.

use serde::{Deserialize, Serialize};

/// Why a message is refused, in the words of the protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ErrorCode {
    /// The frame is no text, no JSON object, or nested too deeply.
    BadJson,
    /// The client speaks no version that the server speaks.
    BadVersion,
    /// The first frame is not `hello`.
    HelloRequired,
    /// The first frame did not come in time.
    HelloTimeout,
    /// The server knows no message of this type.
    UnknownType,
    /// A field is missing, or of the wrong type, or out of its range.
    BadField,
    /// A description, a list of candidates, or a text is longer than allowed.
    TooLarge,
    /// Too often; `retry_after_ms` says when it may be tried again.
    RateLimited,
    /// A token is needed, and there is none, or it is not good for this.
    Unauthorized,
    /// The token's time is over.
    TokenExpired,
    /// The page that opened the socket is not of an allowed origin.
    OriginForbidden,
    /// There is no such room that this client may know of.
    RoomNotFound,
    /// This cannot be a room's name.
    RoomNameInvalid,
    /// The room has as many members as allowed.
    RoomFull,
    /// The host lets nobody in.
    RoomLocked,
    /// The room has a key, and this is not it.
    BadKey,
    /// The host did not let the client in.
    KnockDenied,
    /// The session is in a room already.
    AlreadyJoined,
    /// The session is in no room.
    NotInRoom,
    /// No such member in this room.
    PeerNotFound,
    /// Only the room's host may do that.
    NotHost,
    /// The session is over, or what it missed is not kept any more.
    ResumeFailed,
    /// The session goes on on another socket.
    Replaced,
    /// The host removed the client from the room.
    Kicked,
    /// The server has as many sessions or rooms as allowed.
    ServerFull,
    /// The server is about to stop.
    Draining,
    /// A bug of the server.
    Internal,
}

impl ErrorCode {
    /// Every code, in the order of its index.
    pub const ALL: [Self; 27] = [
        Self::BadJson,
        Self::BadVersion,
        Self::HelloRequired,
        Self::HelloTimeout,
        Self::UnknownType,
        Self::BadField,
        Self::TooLarge,
        Self::RateLimited,
        Self::Unauthorized,
        Self::TokenExpired,
        Self::OriginForbidden,
        Self::RoomNotFound,
        Self::RoomNameInvalid,
        Self::RoomFull,
        Self::RoomLocked,
        Self::BadKey,
        Self::KnockDenied,
        Self::AlreadyJoined,
        Self::NotInRoom,
        Self::PeerNotFound,
        Self::NotHost,
        Self::ResumeFailed,
        Self::Replaced,
        Self::Kicked,
        Self::ServerFull,
        Self::Draining,
        Self::Internal,
    ];

    /// The code as it is written on the wire, in metrics and in logs.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::BadJson => "bad_json",
            Self::BadVersion => "bad_version",
            Self::HelloRequired => "hello_required",
            Self::HelloTimeout => "hello_timeout",
            Self::UnknownType => "unknown_type",
            Self::BadField => "bad_field",
            Self::TooLarge => "too_large",
            Self::RateLimited => "rate_limited",
            Self::Unauthorized => "unauthorized",
            Self::TokenExpired => "token_expired",
            Self::OriginForbidden => "origin_forbidden",
            Self::RoomNotFound => "room_not_found",
            Self::RoomNameInvalid => "room_name_invalid",
            Self::RoomFull => "room_full",
            Self::RoomLocked => "room_locked",
            Self::BadKey => "bad_key",
            Self::KnockDenied => "knock_denied",
            Self::AlreadyJoined => "already_joined",
            Self::NotInRoom => "not_in_room",
            Self::PeerNotFound => "peer_not_found",
            Self::NotHost => "not_host",
            Self::ResumeFailed => "resume_failed",
            Self::Replaced => "replaced",
            Self::Kicked => "kicked",
            Self::ServerFull => "server_full",
            Self::Draining => "draining",
            Self::Internal => "internal",
        }
    }

    /// What it means, for the developer who reads it.
    #[must_use]
    pub const fn message(self) -> &'static str {
        match self {
            Self::BadJson => "the frame is not a JSON object in text, or is nested more than 8 deep",
            Self::BadVersion => "unsupported version: send v: [1]",
            Self::HelloRequired => "send hello first",
            Self::HelloTimeout => "no hello within 5 seconds",
            Self::UnknownType => "unknown message type",
            Self::BadField => "a field is missing, of the wrong type, or out of range",
            Self::TooLarge => "over the size limit of a message",
            Self::RateLimited => "too often: try again after retry_after_ms",
            Self::Unauthorized => "a valid token is required",
            Self::TokenExpired => "the token has expired",
            Self::OriginForbidden => "pages of this origin are not allowed",
            Self::RoomNotFound => "room not found",
            Self::RoomNameInvalid => "a room name must have 1 to 64 visible characters and no slash",
            Self::RoomFull => "the room is full",
            Self::RoomLocked => "the room is locked",
            Self::BadKey => "wrong room key",
            Self::KnockDenied => "the host did not let you in",
            Self::AlreadyJoined => "this session is already in a room: leave it first",
            Self::NotInRoom => "this session is not in a room",
            Self::PeerNotFound => "this room has no such member",
            Self::NotHost => "only the host may do that",
            Self::ResumeFailed => "the session is over: send hello without resume, and join again",
            Self::Replaced => "another socket has resumed the session",
            Self::Kicked => "the host has removed you",
            Self::ServerFull => "the server is full",
            Self::Draining => "the server is about to stop",
            Self::Internal => "internal server error",
        }
    }
}

/// Why the server closes a socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Close {
    /// The client said goodbye.
    Bye,
    /// The server stops; the client may come back.
    Drain,
    /// The frames are not what RFC 6455 says.
    BadFrame,
    /// Text that is not UTF-8.
    BadText,
    /// A frame longer than 64 KiB.
    TooBig,
    /// The client neither reads nor answers.
    Dead,
    /// The server has as many sessions as allowed; the client may come back later.
    Full,
    /// The conversation began wrongly.
    Protocol,
    /// A token is needed.
    Unauthorized,
    /// The host removed the client, or ended the room.
    Kicked,
    /// The first frame did not come in time.
    HelloTimeout,
    /// The session goes on on another socket.
    Replaced,
    /// The client does not read as fast as messages come for it.
    SlowConsumer,
    /// The client sends faster than is allowed.
    RateLimited,
    /// The client was in no room, and others need its place; it may come back later.
    Crowded,
}

impl Close {
    /// Every reason, in the order of its index.
    pub const ALL: [Self; 15] = [
        Self::Bye,
        Self::Drain,
        Self::BadFrame,
        Self::BadText,
        Self::TooBig,
        Self::Dead,
        Self::Full,
        Self::Protocol,
        Self::Unauthorized,
        Self::Kicked,
        Self::HelloTimeout,
        Self::Replaced,
        Self::SlowConsumer,
        Self::RateLimited,
        Self::Crowded,
    ];

    /// The status code of the Close frame (RFC 6455 §7.4).
    #[must_use]
    pub const fn code(self) -> u16 {
        match self {
            Self::Bye => 1000,
            Self::Drain | Self::Dead => 1001,
            Self::BadFrame => 1002,
            Self::BadText => 1007,
            Self::TooBig => 1009,
            Self::Full | Self::Crowded => 1013,
            Self::Protocol => 4400,
            Self::Unauthorized => 4401,
            Self::Kicked => 4403,
            Self::HelloTimeout => 4408,
            Self::Replaced => 4409,
            Self::SlowConsumer => 4413,
            Self::RateLimited => 4429,
        }
    }

    /// The reason in the Close frame, and the label in metrics and logs.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Bye => "bye",
            Self::Drain => "drain",
            Self::BadFrame => "bad_frame",
            Self::BadText => "bad_text",
            Self::TooBig => "too_big",
            Self::Dead => "dead",
            Self::Full => "full",
            Self::Protocol => "protocol",
            Self::Unauthorized => "unauthorized",
            Self::Kicked => "kicked",
            Self::HelloTimeout => "hello_timeout",
            Self::Replaced => "replaced",
            Self::SlowConsumer => "slow_consumer",
            Self::RateLimited => "rate_limited",
            Self::Crowded => "crowded",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_stands_at_its_index_and_is_called_the_same_everywhere() {
        assert!(Close::ALL.iter().enumerate().all(|(i, close)| *close as usize == i));
        for (i, code) in ErrorCode::ALL.into_iter().enumerate() {
            assert_eq!(
                (code as usize, serde_json::to_string(&code).unwrap()),
                (i, format!("\"{}\"", code.name()))
            );
        }
    }
}
