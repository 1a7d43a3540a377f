//! All routes, and the layers that every request passes before its handler.

use std::sync::Arc;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::http::StatusCode;
use axum::middleware::{from_fn, from_fn_with_state};
use axum::routing::get;

use crate::http::app_state::AppState;
use crate::http::problem::Problem;
use crate::http::screen::Policy;
use crate::http::{api, assets, screen, websocket};

/// Bytes of the largest request body; a larger one is answered 413.
const BODY_MAX: usize = 16 << 10;

/// Every route, with `state` for its handlers.
pub(super) fn router(state: Arc<AppState>) -> Router {
    let policy = Arc::new(Policy::of(&state.origins));
    Router::new()
        .route("/healthz", get(async || "ok\n"))
        .route("/ws", get(websocket::upgrade))
        .merge(assets::routes())
        .merge(api::routes())
        .fallback(assets::not_found)
        .method_not_allowed_fallback(async || Problem::of(StatusCode::METHOD_NOT_ALLOWED))
        .layer(DefaultBodyLimit::max(BODY_MAX))
        .layer(from_fn(screen::screen))
        .layer(from_fn_with_state(policy, screen::harden))
        .with_state(state)
}
