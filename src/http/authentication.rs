//! Authenticates a request to the API by its key, and checks that the page that sent it may use the key.

use std::sync::Arc;

use axum::extract::FromRequestParts;
use axum::http::header::AUTHORIZATION;
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode};

use crate::bounds::reached::Limit;
use crate::http::app_state::AppState;
use crate::http::keys::{Denied, Shown};
use crate::http::origins::PageOf;
use crate::http::problem::Problem;
use crate::http::requester::Requester;
use crate::journal::cause::{Cause, Tried};
use crate::sections::http::ApiKey;

/// A request with a valid key in its `Authorization` header.
pub(super) struct KeyHolder(pub(super) ApiKey);

impl FromRequestParts<Arc<AppState>> for KeyHolder {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &Arc<AppState>) -> Result<Self, Problem> {
        let requester = Requester::from_request_parts(parts, state).await?;
        let shown = shown(&parts.headers, None).ok_or_else(no_key)?;
        admit(state, &requester, shown).map(Self)
    }
}

/// A request with a valid key that is not public (not used in pages or URLs), so that only a backend can have sent it.
pub(super) struct Backend(pub(super) ApiKey);

impl FromRequestParts<Arc<AppState>> for Backend {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &Arc<AppState>) -> Result<Self, Problem> {
        let KeyHolder(key) = KeyHolder::from_request_parts(parts, state).await?;
        if key.is_public() { Err(Problem::new(StatusCode::FORBIDDEN, PUBLIC_KEY)) } else { Ok(Self(key)) }
    }
}

/// The key of a request: from the header, or else `in_url` from the URL.
pub(super) fn shown<'a>(headers: &'a HeaderMap, in_url: Option<&'a str>) -> Option<Shown<'a>> {
    let header = bearer(headers).map(|text| Shown { text, in_url: false });
    header.or(in_url.map(|text| Shown { text, in_url: true }))
}

/// Accepts the key if it is valid, within its limits, and allowed on the requester's page.
pub(super) fn admit(state: &AppState, requester: &Requester, shown: Shown<'_>) -> Result<ApiKey, Problem> {
    let now = state.clock.now().moment;
    let admitted = state.keys().admit(shown, requester.ip, now).cloned();
    let key = admitted.map_err(|denied| refuse(state, requester, shown, denied))?;
    let allowed = match requester.page {
        PageOf::Nobody | PageOf::Own | PageOf::Allowed | PageOf::Nameless => true,
        PageOf::SomeKey => {
            requester.origin().is_some_and(|page| key.origins.iter().any(|origin| origin.matches(page)))
        }
        PageOf::Stranger => false,
    };
    if allowed {
        return Ok(key);
    }
    state.refusals.page(requester, &state.trust.get().origins, now);
    Err(Problem::origin_forbidden(FOREIGN_PAGE))
}

/// The answer to a request without a key.
pub(super) fn no_key() -> Problem {
    Problem::new(StatusCode::UNAUTHORIZED, NO_KEY)
}

/// The token of `Authorization: Bearer` (RFC 6750 §2.1).
#[must_use]
pub fn bearer(headers: &HeaderMap) -> Option<&str> {
    let (scheme, token) = headers.get(AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

/// Answers a request whose key is refused, and reports it.
fn refuse(state: &AppState, requester: &Requester, shown: Shown<'_>, denied: Denied) -> Problem {
    let now = state.clock.now().moment;
    let report = |cause, tried| state.journal.refused(requester.ip, cause, tried, now);
    match denied {
        Denied::Unknown => {
            report(Cause::WrongApiKey, Some(Tried::of(shown.text)));
            Problem::new(StatusCode::UNAUTHORIZED, UNKNOWN_KEY)
        }
        Denied::Guessing(wait) => {
            report(Cause::WrongApiKey, Some(Tried::of(shown.text)));
            Problem::too_often(wait)
        }
        Denied::TooOften(wait) => {
            report(Cause::ApiKeyLimit, None);
            Problem::too_often(wait)
        }
        Denied::Spent(wait) => {
            state.journal.limit(Limit::KeyRequests, now);
            report(Cause::ApiKeyLimit, None);
            Problem::too_often(wait)
        }
        Denied::InUrl => Problem::new(StatusCode::FORBIDDEN, KEY_IN_URL),
    }
}

const NO_KEY: &str =
    "an API key is required: send \"Authorization: Bearer hairpin_...\"; `hairpin api-key` makes a key";
const UNKNOWN_KEY: &str =
    "unknown API key: `hairpin api-key` makes one and prints the lines for the configuration";
const KEY_IN_URL: &str =
    "this key is not allowed in a URL: send it as \"Authorization: Bearer\", or set its allow_query";
const PUBLIC_KEY: &str = "this key is public (used in pages or URLs), so it may only request ICE servers: use a key without \
                          origins and allow_query";
const FOREIGN_PAGE: &str =
    "pages of this origin may not use the key: add the origin to the key's origins, or ask from your backend";
