//! `/api/v1/credentials/{username}/revoke`: revokes a credential before it expires, and ends its allocations.

use std::sync::Arc;

use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::StatusCode;

use crate::clock::{Expiry, Unix};
use crate::credentials::tag::Issuer;
use crate::credentials::{RevokeError, expiry, tag};
use crate::http::app_state::AppState;
use crate::http::authentication::Backend;
use crate::http::problem::Problem;
use crate::sections::http::{ApiKey, KeyTtl};

/// Bytes of the longest user name that a request can carry (RFC 8489 §14.3).
const USERNAME_MAX: usize = 508;

/// `POST /api/v1/credentials/{username}/revoke`
pub(super) async fn revoke(
    State(state): State<Arc<AppState>>,
    Backend(key): Backend,
    username: Result<Path<String>, PathRejection>,
) -> Result<StatusCode, Problem> {
    let Path(username) = username?;
    let now = state.clock.now().unix;
    check(&username, &key, now)?;
    state.relay.revoke(&username, now)?;
    Ok(StatusCode::NO_CONTENT)
}

/// Checks that this credential was made with `key`: a key may only revoke its own credentials. The credential must expire
/// within a day, which bounds how long the server remembers revoked names.
fn check(username: &str, key: &ApiKey, now: Unix) -> Result<(), Problem> {
    if !username.contains(':') && expiry(username).is_none() {
        return Err(Problem::new(StatusCode::NOT_FOUND, STATIC));
    }
    let expires =
        expiry(username).filter(|_| username.len() <= USERNAME_MAX).ok_or(RevokeError::Malformed)?;
    let own = Issuer::of(tag(username)) == Issuer::Key(key.id.as_str());
    if own && expires <= Expiry::after(now, KeyTtl::MAX.get()) {
        return Ok(());
    }
    Err(Problem::new(StatusCode::FORBIDDEN, OTHERS))
}

const STATIC: &str = "not the user name of a time-limited credential; to revoke a static user, remove it from the configuration";
const OTHERS: &str = "this key did not make this credential: revoke it with the key that did";
