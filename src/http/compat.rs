//! Answers the clients of other signaling servers, whose paths the configuration names.

mod peerjs;

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::response::Response;

use crate::http::app_state::AppState;
use crate::http::assets;

/// The answer to a request that no route of the site answers: theirs, or that there is nothing.
pub(super) async fn fallback(State(state): State<Arc<AppState>>, request: Request) -> Response {
    match peerjs::Asked::of(&state.compat.get(), request.uri().path()) {
        Some(asked) => peerjs::answer(asked, &state, request).await,
        None => assets::not_found(State(state), request.headers().clone()).await,
    }
}
