//! Begins a drain: no new clients are admitted, and the daemon ends when the last allocation has ended.

use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::post;
use axum::{Json, Router};
use serde_json::{Value, json};

use crate::admin::router::Daemon;

/// The routes of this file.
pub(super) fn routes() -> Router<Daemon> {
    Router::new().route("/drain", post(drain))
}

/// The same request again changes nothing, and reports how many allocations are left.
async fn drain(State(daemon): State<Daemon>) -> (StatusCode, Json<Value>) {
    daemon.drain();
    let allocations: u64 = daemon.observe().relay.allocations.iter().sum();
    (StatusCode::ACCEPTED, Json(json!({ "allocations": allocations })))
}
