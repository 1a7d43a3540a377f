//! The WebSocket of pages that speak JSON of their own.

use std::sync::Arc;

use axum::extract::ws::WebSocketUpgrade;
use axum::extract::{FromRequestParts as _, Query, Request};
use axum::http::StatusCode;
use axum::http::header::VARY;
use axum::http::request::Parts;
use axum::response::{IntoResponse as _, Response};
use serde::Deserialize;

use crate::compat::plain::member::Member;
use crate::compat::plain::socket;
use crate::http::app_state::AppState;
use crate::http::bounded_stream::Control;
use crate::http::compat::socketio::shown_token;
use crate::http::counters::Route;
use crate::http::problem::{Problem, bad};
use crate::http::requester::Requester;
use crate::http::websocket::{FOREIGN_PAGE, bounded, refuse};
use crate::signaling::socket::byte_rate;
use crate::signaling::switchboard::Visit;

/// What such a page may say in the URL.
#[derive(Debug, Deserialize)]
struct Asked {
    room: Option<String>,
    token: Option<String>,
}

/// Opens a WebSocket.
pub(super) async fn answer(state: &Arc<AppState>, request: Request) -> Response {
    let (mut parts, _) = request.into_parts();
    let answer = upgrade(state, &mut parts).await;
    let mut response = ([(VARY, "Origin")], answer).into_response();
    response.extensions_mut().insert(Route::Plain);
    response
}

async fn upgrade(state: &Arc<AppState>, parts: &mut Parts) -> Result<Response, Problem> {
    let requester = Requester::from_request_parts(parts, state).await?;
    let Some(needs_token) = requester.page.needs_token() else {
        state.refusals.page(&requester, &state.trust.get().origins, state.clock.now().moment);
        return Err(Problem::origin_forbidden(FOREIGN_PAGE));
    };
    let control = parts.extensions.get::<Control>().cloned().ok_or(Problem::of(StatusCode::BAD_REQUEST))?;
    let Query(Asked { room, token }) =
        Query::from_request_parts(parts, state).await.map_err(Problem::from)?;
    let member = Member::of(room.as_deref()).map_err(|code| bad(format!("room: {}", code.message())))?;
    let upgrade = WebSocketUpgrade::from_request_parts(parts, state).await;
    let upgrade = upgrade.map_err(|rejection| Problem::new(rejection.status(), rejection.body_text()))?;
    let seat = state.hub.connect(Visit { ip: requester.ip, needs_token }).map_err(refuse)?;
    let token = shown_token(token);
    Ok(bounded(upgrade).on_upgrade(move |socket| {
        control.meter(byte_rate());
        socket::serve(socket, seat, (member, token), control.permit())
    }))
}
