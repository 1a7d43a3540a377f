//! All routes, and the layers that every request passes before its handler.

use std::sync::Arc;

use axum::Router;
use axum::extract::{DefaultBodyLimit, MatchedPath, Path, Request, State};
use axum::http::StatusCode;
use axum::middleware::{Next, from_fn, from_fn_with_state};
use axum::response::Response;
use axum::routing::get;

use crate::http::app_state::AppState;
use crate::http::bounded_stream::Control;
use crate::http::counters::Route;
use crate::http::problem::Problem;
use crate::http::{api, assets, compat, screen, websocket};

/// Bytes of the largest request body; a larger one is answered 413.
const BODY_MAX: usize = 16 << 10;

/// Every route, with `state` for its handlers.
pub(super) fn router(state: Arc<AppState>) -> Router {
    Router::new()
        .route("/healthz", get(async || "ok\n"))
        .route("/readyz", get(ready))
        .route("/ws", get(websocket::upgrade))
        .route("/.well-known/acme-challenge/{token}", get(challenge))
        .merge(assets::routes(&state.assets))
        .merge(api::routes())
        .fallback(compat::fallback)
        .method_not_allowed_fallback(async || Problem::of(StatusCode::METHOD_NOT_ALLOWED))
        .layer(DefaultBodyLimit::max(BODY_MAX))
        .layer(from_fn(screen::screen))
        .layer(from_fn_with_state(Arc::clone(&state), count))
        .layer(from_fn_with_state(Arc::clone(&state.policy), screen::harden))
        .with_state(state)
}

/// Counts a request, unless it is the daemon's own question whether the site is alive, which no connection carries.
async fn count(State(state): State<Arc<AppState>>, request: Request, next: Next) -> Response {
    if request.extensions().get::<Control>().is_none() {
        return next.run(request).await;
    }
    let template = request.extensions().get::<MatchedPath>().map(MatchedPath::as_str);
    let route = Route::of(template, assets::is_file);
    let begun = state.clock.now().moment;
    let response = next.run(request).await;
    let route = response.extensions().get().copied().unwrap_or(route);
    state.counters.answered(route, response.status().as_u16(), state.clock.now().moment.since(begun));
    response
}

/// Answers a certificate authority that verifies a name (RFC 8555 §8.3).
async fn challenge(State(state): State<Arc<AppState>>, Path(token): Path<String>) -> Result<String, Problem> {
    state.challenges.key_authorization(&token).ok_or_else(|| Problem::of(StatusCode::NOT_FOUND))
}

/// Whether new clients may come. Load balancers ask this; whoever restarts daemons that hang asks `/healthz`.
async fn ready(State(state): State<Arc<AppState>>) -> Result<&'static str, Problem> {
    state.admits_new().map(|()| "ready\n")
}
