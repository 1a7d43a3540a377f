//! `/api/v1/page-ice`: gives a page that may enter rooms the ICE servers of this server, for `/compat.js`.
//!
//! A page of such a site could enter a room of its own and get them there, so this opens nothing that is not open. Only the
//! `Origin` tells whose page asks, and browsers send none when a page includes a script. So the credentials are in this
//! answer, and not in the script, which any page may include.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};

use crate::credentials::tag::Tag;
use crate::http::api::check_ice::wrong;
use crate::http::api::ice_servers::{Issued, no_server};
use crate::http::app_state::AppState;
use crate::http::authentication::bearer;
use crate::http::counters::Endpoint;
use crate::http::formats::Format;
use crate::http::problem::Problem;
use crate::http::requester::Requester;

/// How long the credential is valid. The script asks for another before that.
const TTL: Duration = Duration::from_secs(3600);
/// Stands for a room in the user names of these credentials. No room has this name.
const NO_ROOM: &str = "/compat.js";

/// `POST /api/v1/page-ice`. Not GET, for which browsers send no `Origin` to the server that the page came from.
pub(super) async fn give(
    State(state): State<Arc<AppState>>,
    requester: Requester,
    headers: HeaderMap,
) -> Issued {
    if !state.compat.get().script {
        return Err(Problem::new(StatusCode::FORBIDDEN, OFF));
    }
    let now = state.clock.now();
    let Some(needs_token) = requester.page.needs_token() else {
        state.refusals.page(&requester, &state.trust.get().origins, now.moment);
        return Err(Problem::origin_forbidden(FOREIGN_PAGE));
    };
    let (rules, token) = (state.rules(), bearer(&headers).unwrap_or_default());
    // If creating a room needs a token, relaying needs one too.
    if (needs_token || rules.create.needs_token())
        && let Err(error) = rules.room_tokens.check(token, now.unix)
    {
        if !token.is_empty() {
            state.journal.refused(requester.ip, wrong(error), None, now.moment);
        }
        return Err(Problem::new(StatusCode::UNAUTHORIZED, NO_TOKEN));
    }
    state.admits_new()?;
    state.pages.take(requester.ip, now.moment)?;
    let id = state.random_user();
    let room = rules.credentials.pseudonym(NO_ROOM).ok_or_else(no_server)?;
    let tag = Tag::Room { room, peer: &id };
    let given = rules.ice.configuration(&rules.credentials, &tag, now.unix, TTL, None);
    let answer = Format::Object.write(&given.ok_or_else(no_server)?);
    state.counters.issued(Endpoint::PageIce);
    Ok((StatusCode::CREATED, Json(answer)))
}

const OFF: &str = "pages get no ICE servers without a key here: set compat.script = true, or use /api/v1/ice-servers with a key";
const NO_TOKEN: &str = "ICE servers need a room token on this server: send it as \"Authorization: Bearer\"";
const FOREIGN_PAGE: &str =
    "pages of this origin may not use the relay: add the origin to http.allowed_origins, or use a key";
