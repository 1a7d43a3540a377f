//! The server of PeerJS clients: ids, the list of peers, and the WebSocket.

use std::sync::Arc;

use axum::extract::ws::WebSocketUpgrade;
use axum::extract::{FromRequestParts as _, Request};
use axum::http::header::{ACCESS_CONTROL_ALLOW_ORIGIN, CACHE_CONTROL, CONTENT_TYPE, VARY};
use axum::http::request::Parts;
use axum::http::{HeaderValue, Method, StatusCode};
use axum::response::{IntoResponse as _, Response};
use serde_json::json;

use crate::compat::peerjs::arrival::Arrival;
use crate::compat::peerjs::broker::Refused;
use crate::compat::peerjs::socket;
use crate::http::app_state::AppState;
use crate::http::bounded_stream::Control;
use crate::http::counters::Route;
use crate::http::problem::Problem;
use crate::http::requester::Requester;
use crate::http::websocket::{FOREIGN_PAGE, bounded, refuse};
use crate::sections::compat::Compat;
use crate::signaling::socket::byte_rate;

/// What a request asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Asked {
    /// What this is.
    About,
    /// An id that nobody has.
    Id,
    /// The ids of the peers that are there; whether the right key was named.
    Peers(bool),
    /// The WebSocket.
    Socket,
}

impl Asked {
    /// What the request for `path` asks for; `None` if it is for something else.
    pub(super) fn of(compat: &Compat, path: &str) -> Option<Self> {
        let base = compat.peerjs.0.as_ref()?;
        let rest = base.rest(path)?;
        let mut segments = rest.split('/').skip(1);
        match (segments.next(), segments.next(), segments.next()) {
            // The root of the site is the site's.
            (None | Some(""), None, None) if !base.is_root() => Some(Self::About),
            (Some("peerjs"), None, None) => Some(Self::Socket),
            (Some(key), Some("id"), None) if !key.is_empty() => Some(Self::Id),
            (Some(key), Some("peers"), None) => Some(Self::Peers(key == compat.peerjs_key.as_str())),
            _ => None,
        }
    }
}

/// Answers such a request.
pub(super) async fn answer(asked: Asked, state: &Arc<AppState>, request: Request) -> Response {
    let (mut parts, _) = request.into_parts();
    let mut response = match respond(asked, state, &mut parts).await {
        Ok(response) => response,
        Err(problem) => problem.into_response(),
    };
    let headers = response.headers_mut();
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.append(VARY, HeaderValue::from_static("Origin"));
    if let Some(requester) = parts.extensions.get::<Requester>()
        && let Some(origin) =
            requester.origin_header().filter(|_| requester.page.needs_token() == Some(false))
    {
        headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
    }
    response.extensions_mut().insert(Route::PeerJs);
    response
}

async fn respond(asked: Asked, state: &Arc<AppState>, parts: &mut Parts) -> Result<Response, Problem> {
    if !matches!(parts.method, Method::GET | Method::HEAD) {
        return Err(Problem::of(StatusCode::METHOD_NOT_ALLOWED));
    }
    let requester = Requester::from_request_parts(parts, state).await?;
    if asked == Asked::Socket {
        return upgrade(state, &requester, parts).await;
    }
    state.ids.take(requester.ip, state.clock.now().moment)?;
    match asked {
        Asked::Id => Ok(([(CONTENT_TYPE, PLAIN)], state.peerjs.new_id()).into_response()),
        Asked::Peers(right_key) if right_key && state.compat.get().peerjs_discovery => {
            Ok(([(CONTENT_TYPE, JSON)], list(&state.peerjs.ids())).into_response())
        }
        Asked::Peers(_) => Err(Problem::new(StatusCode::UNAUTHORIZED, NO_LIST)),
        Asked::About | Asked::Socket => Ok(([(CONTENT_TYPE, JSON)], about().to_string()).into_response()),
    }
}

/// Opens a WebSocket.
async fn upgrade(
    state: &Arc<AppState>,
    requester: &Requester,
    parts: &mut Parts,
) -> Result<Response, Problem> {
    // Browsers let any page open a WebSocket to any server, and no client of PeerJS has a room token.
    if requester.page.needs_token() != Some(false) {
        state.refusals.page(requester, &state.trust.get().origins, state.clock.now().moment);
        return Err(Problem::origin_forbidden(FOREIGN_PAGE));
    }
    let control = parts.extensions.get::<Control>().cloned().ok_or(Problem::of(StatusCode::BAD_REQUEST))?;
    let upgrade = WebSocketUpgrade::from_request_parts(parts, state).await;
    let upgrade = upgrade.map_err(|rejection| Problem::new(rejection.status(), rejection.body_text()))?;
    let key = state.compat.get().peerjs_key.clone();
    let arrival = Arrival::read(parts.uri.query().unwrap_or_default(), key.as_str());
    let peer = state.peerjs.connect(requester.ip, arrival).map_err(|why| match why {
        Refused::NoSeat(why) => refuse(why),
        Refused::TooOften(wait) => Problem::too_often(wait),
    })?;
    Ok(bounded(upgrade).on_upgrade(move |socket| {
        control.meter(byte_rate());
        socket::serve(socket, peer, control.permit())
    }))
}

fn list(ids: &[Arc<str>]) -> String {
    let ids: Vec<&str> = ids.iter().map(|id| &**id).collect();
    json!(ids).to_string()
}

fn about() -> serde_json::Value {
    json!({
        "name": "Hairpin, for clients of PeerJS",
        "description": "Connects clients of PeerJS with each other.",
        "website": "https://peerjs.com/",
    })
}

const PLAIN: &str = "text/plain; charset=utf-8";
const JSON: &str = "application/json; charset=utf-8";
const NO_LIST: &str = "the peers are not listed: set compat.peerjs_discovery, and name the right key";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sections::compat::SitePath;
    use crate::sections::value::{Off, Text as _};

    fn asked(base: &str, path: &str) -> Option<Asked> {
        let peerjs = Off(SitePath::parse(base).ok());
        Asked::of(&Compat { peerjs, ..Compat::default() }, path)
    }

    #[test]
    fn everything_is_below_the_path() {
        for (path, expected) in [
            ("/peerjs", Some(Asked::About)),
            ("/peerjs/", Some(Asked::About)),
            ("/peerjs/peerjs", Some(Asked::Socket)),
            ("/peerjs/any/id", Some(Asked::Id)),
            ("/peerjs/peerjs/peers", Some(Asked::Peers(true))),
            ("/peerjs/other/peers", Some(Asked::Peers(false))),
            ("/peerjs//id", None),
            ("/peerjs/peerjs/", None),
            ("/peerjs/peerjs/id/more", None),
            ("/peerjs/peerjs/other", None),
            ("/peerjsx/peerjs", None),
            ("/", None),
        ] {
            assert_eq!(asked("/peerjs", path), expected, "{path}");
            assert_eq!(asked("off", path), None, "{path}");
        }
    }

    #[test]
    fn the_root_stays_the_sites() {
        for (path, expected) in [
            ("/", None),
            ("/peerjs", Some(Asked::Socket)),
            ("/peerjs/id", Some(Asked::Id)),
            ("/peerjs/peers", Some(Asked::Peers(true))),
            ("/api/v1/unknown", None),
        ] {
            assert_eq!(asked("/", path), expected, "{path}");
        }
    }
}
