//! PURE  Why a request is refused.

use std::time::Duration;

use crate::signaling::protocol::codes::ErrorCode;
use crate::signaling::protocol::names::BadName;
use crate::signaling::protocol::server::{ErrorBody, ServerMessage};

/// Why a request is refused, before it becomes a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RequestError {
    /// Why.
    pub code: ErrorCode,
    /// The field that is wrong.
    pub field: Option<&'static str>,
    /// How long to wait before a retry.
    pub retry_after: Option<Duration>,
    /// What is wrong with a name.
    pub name: Option<BadName>,
}

impl RequestError {
    const fn of(code: ErrorCode) -> Self {
        Self { code, field: None, retry_after: None, name: None }
    }

    /// This field is invalid.
    #[must_use]
    pub const fn field(field: &'static str) -> Self {
        Self { field: Some(field), ..Self::of(ErrorCode::BadField) }
    }

    /// This field is too long.
    #[must_use]
    pub const fn too_large(field: &'static str) -> Self {
        Self { field: Some(field), ..Self::of(ErrorCode::TooLarge) }
    }

    /// The name in this field is invalid.
    #[must_use]
    pub const fn name(field: &'static str, why: BadName) -> Self {
        Self { name: Some(why), ..Self::field(field) }
    }

    /// The name of the room is invalid.
    #[must_use]
    pub const fn room(why: BadName) -> Self {
        Self { name: Some(why), ..Self::of(ErrorCode::RoomNameInvalid) }
    }

    /// Too many requests: the client may try again after `after`.
    #[must_use]
    pub const fn later(code: ErrorCode, after: Duration) -> Self {
        Self { retry_after: Some(after), ..Self::of(code) }
    }
}

impl From<ErrorCode> for RequestError {
    fn from(code: ErrorCode) -> Self {
        Self::of(code)
    }
}

impl From<RequestError> for ServerMessage {
    fn from(error: RequestError) -> Self {
        // Rounded up, so that a client that waits this long has waited long enough.
        let millis = |time: Duration| u64::try_from(time.as_nanos().div_ceil(1_000_000)).unwrap_or(u64::MAX);
        Self::Error(ErrorBody {
            code: error.code,
            message: match error.name {
                Some(why) => format!("this cannot be a name: {why}"),
                None => error.code.message().to_owned(),
            },
            field: error.field.map(str::to_owned),
            retry_after_ms: error.retry_after.map(millis),
        })
    }
}
