//! `/api/v1/room-tokens`: gives a backend a token that lets one of its users into rooms.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::bounds::reached::Limit;
use crate::clock::Expiry;
use crate::http::app_state::AppState;
use crate::http::authentication::Backend;
use crate::http::body::Body;
use crate::http::counters::Endpoint;
use crate::http::credential_request::{is_cut, room, ttl};
use crate::http::problem::Problem;
use crate::signaling::protocol::names::RoomName;

/// The parameters of a request, all optional.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct TokenRequest {
    /// The only room that the token is for.
    room: Option<String>,
    /// The lifetime in seconds.
    ttl: Option<u64>,
}

/// `POST /api/v1/room-tokens`
pub(super) async fn make(
    State(state): State<Arc<AppState>>,
    Backend(key): Backend,
    Body(request): Body<TokenRequest>,
) -> Result<(StatusCode, Json<Value>), Problem> {
    let room = request.room.map(room).transpose()?;
    let now = state.clock.now();
    let expires_at = Expiry::after(now.unix, ttl(request.ttl, &key)?);
    if is_cut(request.ttl, &key) {
        state.journal.limit(Limit::KeyLifetime, now.moment);
    }
    let token = state.rules().room_tokens.issue(room.as_ref().map(RoomName::as_str), expires_at);
    let token = token.ok_or_else(|| Problem::new(StatusCode::NOT_FOUND, NO_SECRET))?;
    state.counters.issued(Endpoint::RoomTokens);
    Ok((StatusCode::CREATED, Json(json!({ "token": token, "expires_at": expires_at }))))
}

const NO_SECRET: &str = "no secret is configured to make tokens from: add one to credentials.secrets";
