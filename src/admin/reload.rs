//! Reloads the configuration.

use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::post;
use axum::{Json, Router};

use crate::admin::Report;
use crate::admin::router::Daemon;
use crate::http::problem::Problem;

/// The routes of this file.
pub(super) fn routes() -> Router<Daemon> {
    Router::new().route("/reload", post(reload))
}

async fn reload(State(daemon): State<Daemon>) -> Result<Json<Report>, Problem> {
    // If this request ends before the reload, the reload is still finished.
    let reloaded = tokio::task::spawn_blocking(move || daemon.reload()).await;
    let report = reloaded.map_err(|_| Problem::of(StatusCode::INTERNAL_SERVER_ERROR))?;
    report.map(Json).map_err(|reason| Problem::new(StatusCode::UNPROCESSABLE_ENTITY, reason))
}
