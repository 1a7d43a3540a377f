//! The way into the rooms: `GET /ws`, which becomes a WebSocket.
//!
//! Browsers let any page open a WebSocket to anywhere, so the page's origin is checked before there is one. Whoever sends
//! no origin is no browser, and must show a room token.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::ws::WebSocketUpgrade;
use axum::extract::ws::rejection::WebSocketUpgradeRejection;
use axum::extract::{Extension, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse as _, Response};

use crate::http::line::Meter;
use crate::http::origins::PageOf;
use crate::http::problem::Problem;
use crate::http::{Site, Visitor};
use crate::signaling::hub::Crowded;
use crate::signaling::protocol::FRAME_MAX;
use crate::signaling::socket;
use crate::signaling::switchboard::Visit;

/// The subprotocol that clients name, and that the answer names if they do.
const SUBPROTOCOL: &str = "signal.v1";
/// What a socket reads and writes at once: most frames are smaller, and an idle member costs this much.
const BUFFER: usize = 4 << 10;
/// What may wait to be written inside the socket: one frame of the largest size that the server sends, and a ping.
const WRITE_BUFFER_MAX: usize = 2 * FRAME_MAX;
/// After how long who found no place may try again.
const LATER: Duration = Duration::from_secs(5);

/// Opens a WebSocket.
pub async fn upgrade(
    State(site): State<Arc<Site>>,
    Extension(visitor): Extension<Visitor>,
    Extension(meter): Extension<Meter>,
    headers: HeaderMap,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Response {
    let needs_token = match site.origins.page_of(visitor, &headers) {
        PageOf::Own | PageOf::Allowed => false,
        PageOf::Nobody => true,
        PageOf::Stranger => {
            let detail = "pages of this origin may not open a WebSocket: see http.allowed_origins";
            return Problem::new(StatusCode::FORBIDDEN, detail).into_response();
        }
    };
    let upgrade = match upgrade {
        Ok(upgrade) => upgrade,
        Err(rejection) => return Problem::new(rejection.status(), rejection.body_text()).into_response(),
    };
    match site.hub.connect(Visit { ip: visitor.ip, needs_token }) {
        Ok(connection) => bounded(upgrade).on_upgrade(move |socket| {
            meter.start();
            socket::serve(socket, connection, meter.permit())
        }),
        Err(Crowded::Address) => Problem::too_often(LATER).into_response(),
        Err(Crowded::Server | Crowded::Draining) => {
            Problem::new(StatusCode::SERVICE_UNAVAILABLE, "there is no place for one more").into_response()
        }
    }
}

/// A WebSocket that speaks our subprotocol, and takes and holds no more than that needs.
pub fn bounded(upgrade: WebSocketUpgrade) -> WebSocketUpgrade {
    upgrade
        .protocols([SUBPROTOCOL])
        .read_buffer_size(BUFFER)
        .write_buffer_size(0)
        .max_write_buffer_size(WRITE_BUFFER_MAX)
        .max_frame_size(FRAME_MAX)
        .max_message_size(FRAME_MAX)
}
