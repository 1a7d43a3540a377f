//! `/api/v1/check-ice`: gives our own `/check` page, which has no API key, a credential for its connection test, and the limit
//! that the test cannot exceed.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};

use crate::credentials::tag::Tag;
use crate::http::api::ice_servers::{Issued, no_server};
use crate::http::app_state::AppState;
use crate::http::authentication::bearer;
use crate::http::counters::Endpoint;
use crate::http::formats::Format;
use crate::http::origins::PageOf;
use crate::http::problem::Problem;
use crate::http::requester::Requester;
use crate::journal::cause::Cause;
use crate::room_token::TokenError;

/// How long the credential is valid.
const TTL: Duration = Duration::from_secs(120);

/// `POST /api/v1/check-ice`
pub(super) async fn check_ice(
    State(state): State<Arc<AppState>>,
    requester: Requester,
    headers: HeaderMap,
) -> Issued {
    let now = state.clock.now();
    if requester.page.is_foreign() {
        state.refusals.page(&requester, &state.trust.get().origins, now.moment);
    }
    if requester.page != PageOf::Own {
        return Err(Problem::origin_forbidden(FOREIGN_PAGE));
    }
    let token = bearer(&headers).unwrap_or_default();
    // If creating a room needs a token, relaying needs one too.
    let rules = state.rules();
    if rules.create.needs_token()
        && let Err(error) = rules.room_tokens.check(token, now.unix)
    {
        if !token.is_empty() {
            state.journal.refused(requester.ip, wrong(error), None, now.moment);
        }
        return Err(Problem::new(StatusCode::UNAUTHORIZED, NO_TOKEN));
    }
    state.admits_new()?;
    state.checks.take(requester.ip, now.moment)?;
    let id = state.random_user();
    let tag = Tag::Check { id: &id };
    let given = rules.ice.configuration(&rules.credentials, &tag, now.unix, TTL, None);
    let mut answer = Format::Object.write(&given.ok_or_else(no_server)?);
    answer["bits_per_second"] = rules.bits_per_second.get().into();
    state.counters.issued(Endpoint::CheckIce);
    Ok((StatusCode::CREATED, Json(answer)))
}

/// Why a token is refused, for the log.
pub(super) fn wrong(error: TokenError) -> Cause {
    match error {
        TokenError::Expired => Cause::ExpiredToken,
        TokenError::Invalid => Cause::WrongToken,
    }
}

const NO_TOKEN: &str =
    "rooms and connection tests need a room token on this server: send it as \"Authorization: Bearer\"";
const FOREIGN_PAGE: &str =
    "only this server's own pages may use this: a backend uses /api/v1/ice-servers with a key";
