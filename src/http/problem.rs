//! Errors in the form of RFC 9457.

use std::fmt;
use std::time::Duration;

use axum::extract::rejection::{PathRejection, QueryRejection};
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use serde_json::json;

use crate::credentials::RevokeError;

/// Why a request is refused, as the client reads it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    status: StatusCode,
    detail: Option<String>,
    /// A code for programs, where a program can react to it.
    code: Option<&'static str>,
    retry_after: Option<Duration>,
}

/// 400, with what to change in the request.
#[must_use]
pub fn bad(detail: impl fmt::Display) -> Problem {
    Problem::new(StatusCode::BAD_REQUEST, detail)
}

impl Problem {
    /// A problem that its status explains.
    #[must_use]
    pub const fn of(status: StatusCode) -> Self {
        Self { status, detail: None, code: None, retry_after: None }
    }

    /// A problem, with what to change.
    #[must_use]
    pub fn new(status: StatusCode, detail: impl fmt::Display) -> Self {
        Self { status, detail: Some(detail.to_string()), code: None, retry_after: None }
    }

    /// Turns 401 into 403, for clients that must not be asked for another key.
    #[must_use]
    pub fn as_forbidden(self) -> Self {
        match self.status {
            StatusCode::UNAUTHORIZED => Self { status: StatusCode::FORBIDDEN, ..self },
            _ => self,
        }
    }

    /// 403: the page's site may not do this.
    #[must_use]
    pub fn origin_forbidden(detail: impl fmt::Display) -> Self {
        Self { code: Some("origin_forbidden"), ..Self::new(StatusCode::FORBIDDEN, detail) }
    }

    /// A problem that programs recognise by `code`.
    #[must_use]
    pub fn coded(status: StatusCode, code: &'static str, detail: impl fmt::Display) -> Self {
        Self { code: Some(code), ..Self::new(status, detail) }
    }

    /// A limit is reached, which `code` names; the client may try again after `wait`.
    #[must_use]
    pub fn no_place(
        status: StatusCode,
        code: &'static str,
        detail: impl fmt::Display,
        wait: Duration,
    ) -> Self {
        Self { code: Some(code), retry_after: Some(wait), ..Self::new(status, detail) }
    }

    /// 429: too many requests; the client may try again after `wait`.
    #[must_use]
    pub fn too_often(wait: Duration) -> Self {
        let detail = "too many requests: wait for the number of seconds in Retry-After";
        Self { retry_after: Some(wait), ..Self::new(StatusCode::TOO_MANY_REQUESTS, detail) }
    }
}

impl From<RevokeError> for Problem {
    fn from(error: RevokeError) -> Self {
        match error {
            RevokeError::Malformed => bad(NOT_A_CREDENTIAL),
            RevokeError::Full => Self::new(StatusCode::SERVICE_UNAVAILABLE, TOO_MANY_REVOKED),
        }
    }
}

impl From<QueryRejection> for Problem {
    fn from(rejection: QueryRejection) -> Self {
        Self::new(rejection.status(), rejection.body_text())
    }
}

impl From<PathRejection> for Problem {
    fn from(rejection: PathRejection) -> Self {
        Self::new(rejection.status(), rejection.body_text())
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let title = self.status.canonical_reason().unwrap_or("error");
        let mut body = json!({ "title": title, "status": self.status.as_u16() });
        if let Some(detail) = self.detail {
            body["detail"] = detail.into();
        }
        if let Some(code) = self.code {
            body["code"] = code.into();
        }
        let headers = [(CONTENT_TYPE, "application/problem+json"), (CACHE_CONTROL, "no-store")];
        let mut response = (self.status, headers, body.to_string()).into_response();
        if self.status == StatusCode::UNAUTHORIZED {
            response.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        if let Some(wait) = self.retry_after {
            // Rounded up, so that a client that waits this long is not too early.
            let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
            response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}

const NOT_A_CREDENTIAL: &str = "not the user name of a credential: send the full name, such as \
                                1800000000:key.alice, percent-encoded";
const TOO_MANY_REVOKED: &str =
    "the list of revoked credentials is full: replace the secret in the configuration";
