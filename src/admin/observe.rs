//! What the daemon holds and has counted: for Prometheus, for programs, and as signs of life.

use axum::extract::State;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::response::IntoResponse;
use axum::routing::get;
use axum::{Json, Router};

use crate::admin::router::Daemon;
use crate::observed::prometheus;

/// Prometheus' text format, version 0.0.4.
const PROMETHEUS: &str = "text/plain; version=0.0.4; charset=utf-8";

/// The routes of this file.
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
