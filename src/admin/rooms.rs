//! Rooms: lists them under their pseudonyms, and ends one.

use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::http::header::CACHE_CONTROL;
use axum::response::IntoResponse;
use axum::routing::{delete, get};
use axum::{Json, Router};
use serde_json::json;

use crate::admin::router::Daemon;
use crate::http::problem::Problem;

/// The routes of this file.
pub(super) fn routes() -> Router<Daemon> {
    Router::new().route("/rooms", get(list)).route("/rooms/{pseudonym}", delete(end))
}

/// `GET /rooms`
async fn list(State(daemon): State<Daemon>) -> impl IntoResponse {
    ([(CACHE_CONTROL, "no-store")], Json(json!({ "rooms": daemon.hub().rooms() })))
}

/// `DELETE /rooms/{pseudonym}`
async fn end(
    State(daemon): State<Daemon>,
    pseudonym: Result<Path<String>, PathRejection>,
) -> Result<StatusCode, Problem> {
    let Path(pseudonym) = pseudonym?;
    if daemon.hub().end_room(&pseudonym) {
        return Ok(StatusCode::NO_CONTENT);
    }
    let detail = "there is no room with this pseudonym: it has ended, or never existed";
    Err(Problem::new(StatusCode::NOT_FOUND, detail))
}
