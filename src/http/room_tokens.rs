//! Gives tokens that let the users of a backend into rooms.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::http::Site;
use crate::http::body::Body;
use crate::http::caller::Backend;
use crate::http::problem::Problem;
use crate::http::wish::{self, ttl};
use crate::signaling::protocol::names::RoomName;

/// What a request may say, all of it optional.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Wish {
    room: Option<String>,
    ttl: Option<u64>,
}

/// `POST /api/v1/room-tokens`
pub(super) async fn make(
    State(site): State<Arc<Site>>,
    Backend(key): Backend,
    Body(wish): Body<Wish>,
) -> Result<(StatusCode, Json<Value>), Problem> {
    let room = wish.room.map(wish::room).transpose()?;
    let expires_at = site.clock.now().unix.saturating_add(ttl(wish.ttl, &key)?);
    let token = site.api.room_tokens.issue(room.as_ref().map(RoomName::as_str), expires_at);
    let token = token.ok_or_else(|| Problem::new(StatusCode::NOT_FOUND, NO_SECRET))?;
    Ok((StatusCode::CREATED, Json(json!({ "token": token, "expires_at": expires_at }))))
}

const NO_SECRET: &str = "there is no secret to make tokens from: name one in credentials.secrets";
