//! Answers the clients of other signaling servers, whose paths the configuration names.

mod peerjs;
mod plain;
mod socketio;

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::HeaderValue;
use axum::http::header::{ACCESS_CONTROL_ALLOW_ORIGIN, VARY};
use axum::response::Response;

use crate::http::app_state::AppState;
use crate::http::assets;
use crate::http::requester::Requester;

/// The answer to a request that no route of the site answers: theirs, or that there is nothing.
pub(super) async fn fallback(State(state): State<Arc<AppState>>, request: Request) -> Response {
    let (compat, path) = (state.compat.get(), request.uri().path());
    if let Some(asked) = socketio::Asked::of(path).filter(|_| compat.socketio) {
        return socketio::answer(asked, &state, request).await;
    }
    if compat
        .websocket
        .0
        .as_ref()
        .is_some_and(|own| own.rest(path).is_some_and(|rest| matches!(rest, "" | "/")))
    {
        return plain::answer(&state, request).await;
    }
    match peerjs::Asked::of(&compat, path) {
        Some(asked) => peerjs::answer(asked, &state, request).await,
        None => assets::not_found(State(state), request.headers().clone()).await,
    }
}

/// Allows the page that has sent a request to read its answer, if its site may enter rooms.
fn let_read(response: &mut Response, requester: Option<&Requester>) {
    let headers = response.headers_mut();
    headers.append(VARY, HeaderValue::from_static("Origin"));
    let may_read = |requester: &&Requester| requester.page.may_read();
    if let Some(origin) = requester.filter(may_read).and_then(Requester::origin_header) {
        headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
    }
}
