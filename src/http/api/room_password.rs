//! `/api/v1/room-password`: gives our own page a room token for the password of `[rooms]`.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::clock::{Expiry, Now};
use crate::http::app_state::{AppState, Rules};
use crate::http::authentication::bearer;
use crate::http::body::Body;
use crate::http::counters::Endpoint;
use crate::http::origins::PageOf;
use crate::http::passwords::{Guesser, Unchecked};
use crate::http::problem::Problem;
use crate::http::requester::Requester;
use crate::journal::cause::{Cause, Tried};
use crate::room_token::{Create, TokenError};
use crate::secret::{Digest, Secret};

/// How long the token is valid. Another password ends it earlier.
const TTL: Duration = Duration::from_secs(30 * 24 * 3600);
/// When a client may try again if too many wait.
const SOON: Duration = Duration::from_secs(1);

/// The parameters of a request.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PasswordRequest {
    password: Secret,
}

/// `POST /api/v1/room-password`
pub(super) async fn exchange(
    State(state): State<Arc<AppState>>,
    requester: Requester,
    headers: HeaderMap,
    Body(request): Body<PasswordRequest>,
) -> Result<(StatusCode, Json<Value>), Problem> {
    let (now, rules) = (state.clock.now(), state.rules());
    if requester.page.is_foreign() {
        state.refusals.page(&requester, &state.trust.get().origins, now.moment);
    }
    if requester.page != PageOf::Own {
        return Err(Problem::origin_forbidden(FOREIGN_PAGE));
    }
    let hash = rules.password.clone().filter(|_| rules.create == Create::Password);
    let hash = hash.ok_or_else(|| Problem::new(StatusCode::NOT_FOUND, NO_PASSWORD))?;
    state.admits_new()?;
    let guesser = guesser(&rules, &requester, bearer(&headers), now);
    let tried = Tried::of(request.password.reveal());
    let refused = |cause, tried| state.journal.refused(requester.ip, cause, tried, now.moment);
    match state.passwords.check(guesser, (request.password, hash), now.moment).await {
        Ok(true) => {}
        Ok(false) => {
            refused(Cause::WrongRoomPassword, Some(tried));
            return Err(Problem::coded(StatusCode::FORBIDDEN, "wrong_password", WRONG));
        }
        Err(Unchecked::TooOften(wait)) => {
            refused(Cause::GuessLimit, None);
            return Err(Problem::too_often(wait));
        }
        Err(Unchecked::Busy) => {
            return Err(Problem::no_place(StatusCode::SERVICE_UNAVAILABLE, "busy", BUSY, SOON));
        }
    }
    let expires_at = Expiry::after(now.unix, TTL);
    let token = rules.room_tokens.issue_for_password(expires_at);
    let token = token.ok_or_else(|| Problem::new(StatusCode::NOT_FOUND, NO_SECRET))?;
    state.counters.issued(Endpoint::RoomPassword);
    Ok((StatusCode::CREATED, Json(json!({ "token": token, "expires_at": expires_at }))))
}

/// A browser that shows a genuine token, which may have expired, has known the password before.
fn guesser(rules: &Rules, requester: &Requester, token: Option<&str>, now: Now) -> Guesser {
    let known = token.filter(|token| match rules.room_tokens.check(token, now.unix) {
        Ok(_) | Err(TokenError::Expired) => true,
        Err(TokenError::Invalid) => false,
    });
    known.map_or(Guesser::Stranger(requester.ip), |token| Guesser::Known(Digest::of(token)))
}

const FOREIGN_PAGE: &str =
    "only this server's own pages may use this: a backend uses /api/v1/room-tokens with a key";
const NO_PASSWORD: &str = "rooms are not opened with a password on this server: see rooms.create";
const NO_SECRET: &str = "no secret is configured to make tokens from: add one to credentials.secrets";
const WRONG: &str = "the password is wrong";
const BUSY: &str = "too many passwords are being checked: try again in a moment";
