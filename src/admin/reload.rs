//! Reloads the configuration.

use std::time::Duration;

use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::post;
use axum::{Json, Router};
use tokio::time::timeout;

use crate::admin::Report;
use crate::admin::router::Daemon;
use crate::http::problem::Problem;

/// The routes of this file.
pub(super) fn routes() -> Router<Daemon> {
    Router::new().route("/reload", post(reload))
}

/// How long the answer waits for the reload. Shorter than the time in which every request must be answered.
const PATIENCE: Duration = Duration::from_secs(8);
const SLOW: &str = "the reload takes longer than 8 seconds and goes on: the log says what becomes of it";

async fn reload(State(daemon): State<Daemon>) -> Result<Json<Report>, Problem> {
    // If this request ends before the reload, the reload is still finished.
    let reloaded = timeout(PATIENCE, tokio::task::spawn_blocking(move || daemon.reload())).await;
    let reloaded = reloaded.map_err(|_| Problem::new(StatusCode::SERVICE_UNAVAILABLE, SLOW))?;
    let report = reloaded.map_err(|_| Problem::of(StatusCode::INTERNAL_SERVER_ERROR))?;
    report.map(Json).map_err(|reason| Problem::new(StatusCode::UNPROCESSABLE_ENTITY, reason))
}
