//! Takes a credential back before its time: its allocations end, and it opens no more.

use std::sync::Arc;

use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::StatusCode;

use crate::config::{ApiKey, KEY_TTL};
use crate::credentials::{RevokeError, expiry, tag};
use crate::http::Site;
use crate::http::caller::Backend;
use crate::http::problem::{Problem, bad};

/// Bytes of the longest user name that a request can carry (RFC 8489 §14.3).
const USERNAME_MAX: usize = 508;

/// `POST /api/v1/credentials/{username}/revoke`
pub(super) async fn revoke(
    State(site): State<Arc<Site>>,
    Backend(key): Backend,
    username: Result<Path<String>, PathRejection>,
) -> Result<StatusCode, Problem> {
    let Path(username) = username?;
    let unix = site.clock.now().unix;
    check(&username, &key, unix)?;
    site.api.relay.revoke(&username, unix).map_err(|error| match error {
        RevokeError::Malformed => bad(MALFORMED),
        RevokeError::Full => Problem::new(StatusCode::SERVICE_UNAVAILABLE, FULL),
    })?;
    Ok(StatusCode::NO_CONTENT)
}

/// Whether a key may have made this credential. Nobody else's can be revoked with it, and none that lives so long that
/// a backend could make us remember names for ever.
fn check(username: &str, key: &ApiKey, unix: u64) -> Result<(), Problem> {
    if !username.contains(':') && expiry(username).is_none() {
        return Err(Problem::new(StatusCode::NOT_FOUND, STATIC));
    }
    let expires =
        expiry(username).filter(|_| username.len() <= USERNAME_MAX).ok_or_else(|| bad(MALFORMED))?;
    let own = tag(username).strip_prefix(&key.id).is_some_and(|rest| rest.starts_with('.'));
    if own && expires <= unix.saturating_add(KEY_TTL.end().as_secs()) {
        return Ok(());
    }
    Err(Problem::new(StatusCode::FORBIDDEN, OTHERS))
}

const STATIC: &str =
    "no time-limited credential has such a name; a static user is removed from the configuration";
const MALFORMED: &str = "this is no user name of a credential: send the whole of it, such as 1800000000:key.alice, \
                         percent-encoded";
const OTHERS: &str = "this key has not made this credential: revoke it with the key that has";
const FULL: &str =
    "too many credentials are revoked to remember one more: replace the secret in the configuration";
