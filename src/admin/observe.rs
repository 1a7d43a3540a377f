//! What the daemon holds and has counted: for Prometheus, for programs, and as signs of life.

use std::sync::{Arc, Mutex, PoisonError};

use axum::extract::State;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::response::IntoResponse;
use axum::routing::get;
use axum::{Json, Router};

use crate::admin::router::Daemon;
use crate::observed::{history, prometheus};

/// Prometheus' text format, version 0.0.4.
const PROMETHEUS: &str = "text/plain; version=0.0.4; charset=utf-8";

/// The samples of the last hour, which the service takes.
pub(super) type History = Arc<Mutex<history::History>>;

/// The routes that ask the daemon.
pub(super) fn routes() -> Router<Daemon> {
    Router::new()
        .route("/metrics", get(metrics))
        .route("/status", get(status))
        .route("/config", get(configuration))
}

async fn metrics(State(daemon): State<Daemon>) -> impl IntoResponse {
    ([(CONTENT_TYPE, PROMETHEUS), (CACHE_CONTROL, "no-store")], prometheus::render(&daemon.observe()))
}

async fn configuration(State(daemon): State<Daemon>) -> impl IntoResponse {
    ([(CACHE_CONTROL, "no-store")], Json(daemon.configuration()))
}

async fn status(State(daemon): State<Daemon>) -> impl IntoResponse {
    ([(CACHE_CONTROL, "no-store")], Json(daemon.observe()))
}

/// The route of the last hour.
pub(super) fn history_routes(history: History) -> Router<Daemon> {
    Router::new().route("/history", get(last_hour)).with_state(history)
}

async fn last_hour(State(history): State<History>) -> impl IntoResponse {
    // A sample is added in one step, so a poisoned lock does no harm.
    let history = history.lock().unwrap_or_else(PoisonError::into_inner).clone();
    ([(CACHE_CONTROL, "no-store")], Json(history))
}
