//! `/api/v1/door`: tells a page whether it may open a WebSocket, because a browser does not say why one was refused.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use serde_json::{Value, json};

use crate::http::app_state::AppState;
use crate::http::problem::Problem;
use crate::http::requester::Requester;
use crate::http::websocket::no_seat_code;
use crate::ice::Transport;
use crate::origin::Origin;

/// `POST /api/v1/door`. Not GET: a browser sends no `Origin` with a GET request to the server that the page came from.
pub(super) async fn ask(
    State(state): State<Arc<AppState>>,
    requester: Requester,
) -> Result<Json<Value>, Problem> {
    state.doors.take(requester.ip, state.clock.now().moment)?;
    let needs_token = requester.page.needs_token();
    let (rules, trust) = (state.rules(), state.trust.get());
    Ok(Json(json!({
        "origin": requester.origin(),
        "expected": trust.origins.public().map(Origin::as_str),
        "allowed": needs_token.is_some(),
        "needs_token": needs_token.unwrap_or(false),
        "sockets": state.hub.room_for(requester.ip).err().map_or("ok", no_seat_code),
        "create": rules.create.name(),
        "tls": rules.ice.uris(Some(&[Transport::Tls])).next().is_some(),
    })))
}
