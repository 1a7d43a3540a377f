//! Tells a page whether it would be let into the rooms: a WebSocket that is refused does not let it see why.

use std::sync::{Arc, PoisonError};

use axum::Json;
use axum::extract::State;
use axum::http::HeaderMap;
use serde_json::{Value, json};

use crate::config::Create;
use crate::http::origins::page;
use crate::http::problem::Problem;
use crate::http::{Site, Visitor};
use crate::ice::Transport;
use crate::origin::Origin;
use crate::signaling::seats::Crowded;

/// `POST /api/v1/door`. Not GET, with which browsers send no origin to the server that the page is of.
pub(super) async fn ask(
    State(site): State<Arc<Site>>,
    visitor: Visitor,
    headers: HeaderMap,
) -> Result<Json<Value>, Problem> {
    let now = site.clock.now().moment;
    let mut asked = site.api.doors.lock().unwrap_or_else(PoisonError::into_inner);
    asked.take(visitor.ip, now).map_err(|(_, wait)| Problem::too_often(wait))?;
    drop(asked);
    let needs_token = site.origins.page_of(visitor, &headers).needs_token();
    let create = match site.create {
        Create::Anyone => "anyone",
        Create::Token => "token",
    };
    Ok(Json(json!({
        "origin": page(&headers),
        "expected": site.origins.public().map(Origin::as_str),
        "allowed": needs_token.is_some(),
        "needs_token": needs_token.unwrap_or(false),
        "sockets": site.hub.room_for(visitor.ip).err().map_or("ok", code),
        "create": create,
        "tls": site.api.ice.uris(Some(&[Transport::Tls])).next().is_some(),
    })))
}

/// Why there is no place, in the words of the API.
pub(super) const fn code(crowded: Crowded) -> &'static str {
    match crowded {
        Crowded::Address | Crowded::Network => "too_many",
        Crowded::Server => "full",
        Crowded::Draining => "draining",
    }
}
