//! PURE  Why a message is refused, and why a socket is closed.

use serde::{Deserialize, Serialize};

use crate::labels::labels;

labels! {
    /// Why a message is refused: the error codes of the protocol.
    #[derive(Serialize, Deserialize)]
    #[serde(rename_all = "snake_case")]
    pub enum ErrorCode {
        /// The frame is not text, not a JSON object, or nested too deeply.
        BadJson = "bad_json",
        /// The client and the server have no version in common.
        BadVersion = "bad_version",
        /// The first frame is not `hello`.
        HelloRequired = "hello_required",
        /// The first frame did not arrive in time.
        HelloTimeout = "hello_timeout",
        /// The server knows no message of this type.
        UnknownType = "unknown_type",
        /// A field is missing, or of the wrong type, or out of its range.
        BadField = "bad_field",
        /// A description, a list of candidates, or a text is longer than allowed.
        TooLarge = "too_large",
        /// Too many requests; `retry_after_ms` says when the client may retry.
        RateLimited = "rate_limited",
        /// A valid token is required: there is none, or it does not allow this.
        Unauthorized = "unauthorized",
        /// The token has expired.
        TokenExpired = "token_expired",
        /// The page that opened the socket is not of an allowed origin.
        OriginForbidden = "origin_forbidden",
        /// The room does not exist, or this client may not know that it does.
        RoomNotFound = "room_not_found",
        /// This is not a valid room name.
        RoomNameInvalid = "room_name_invalid",
        /// The room has as many members as allowed.
        RoomFull = "room_full",
        /// The host has locked the room.
        RoomLocked = "room_locked",
        /// The room has a key, and the client sent none or a wrong one.
        BadKey = "bad_key",
        /// The host did not let the client in.
        KnockDenied = "knock_denied",
        /// The session is in a room already.
        AlreadyJoined = "already_joined",
        /// The session is in no room.
        NotInRoom = "not_in_room",
        /// No such member in this room.
        PeerNotFound = "peer_not_found",
        /// Only the room's host may do that.
        NotHost = "not_host",
        /// The session has ended, or what it missed is no longer kept.
        ResumeFailed = "resume_failed",
        /// The session continues on another socket.
        Replaced = "replaced",
        /// The host removed the client from the room.
        Kicked = "kicked",
        /// The server has as many sessions or rooms as allowed.
        ServerFull = "server_full",
        /// The server is about to stop.
        Draining = "draining",
        /// A bug of the server.
        Internal = "internal",
    }
}

impl ErrorCode {
    /// The message for developers.
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

labels! {
    /// Why the server closes a socket.
    pub enum Close {
        /// The client said goodbye.
        Bye = "bye",
        /// The server stops; the client may come back.
        Drain = "drain",
        /// The frames violate RFC 6455.
        BadFrame = "bad_frame",
        /// Text that is not UTF-8.
        BadText = "bad_text",
        /// A frame longer than 64 KiB.
        TooBig = "too_big",
        /// The client neither reads nor answers.
        Dead = "dead",
        /// The server has as many sessions as allowed; the client may come back later.
        Full = "full",
        /// The client broke the protocol, for example with its first frame.
        Protocol = "protocol",
        /// A valid token is required.
        Unauthorized = "unauthorized",
        /// The host removed the client, or ended the room.
        Kicked = "kicked",
        /// The first frame did not arrive in time.
        HelloTimeout = "hello_timeout",
        /// The session continues on another socket.
        Replaced = "replaced",
        /// The client reads more slowly than messages arrive for it.
        SlowConsumer = "slow_consumer",
        /// The client sends faster than is allowed.
        RateLimited = "rate_limited",
        /// The client was in no room and was evicted for another; it may come back later.
        Crowded = "crowded",
    }
}

impl Close {
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
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_is_called_the_same_everywhere() {
        for code in ErrorCode::ALL {
            assert_eq!(serde_json::to_string(&code).unwrap(), format!("\"{}\"", code.name()));
        }
    }
}
