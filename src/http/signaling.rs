//! The way into the rooms: `GET /ws`, which becomes a WebSocket.
//!
//! Browsers let any page open a WebSocket to anywhere, so the page's origin is checked before there is one. Whoever sends
//! no origin is no browser, and must show a room token.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::ws::WebSocketUpgrade;
use axum::extract::ws::rejection::WebSocketUpgradeRejection;
use axum::extract::{Extension, State};
use axum::http::header::VARY;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse as _, Response};

use crate::http::line::Meter;
use crate::http::problem::Problem;
use crate::http::{Site, Visitor, door};
use crate::signaling::hub::Connection;
use crate::signaling::protocol::FRAME_MAX;
use crate::signaling::seats::Crowded;
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
    let welcome = admit(&site, visitor, &headers, upgrade);
    let refusal = match welcome {
        Ok((upgrade, connection)) => {
            return bounded(upgrade).on_upgrade(move |socket| {
                meter.start();
                socket::serve(socket, connection, meter.permit())
            });
        }
        Err(problem) => problem,
    };
    ([(VARY, "Origin")], refusal).into_response()
}

/// Whether a page, or whoever it is, may open a WebSocket now.
fn admit(
    site: &Site,
    visitor: Visitor,
    headers: &HeaderMap,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Result<(WebSocketUpgrade, Connection), Problem> {
    let Some(needs_token) = site.origins.page_of(visitor, headers).needs_token() else {
        site.refusals.stranger(headers, &site.origins, site.clock.now().moment);
        return Err(Problem::origin_forbidden(FOREIGN_PAGE));
    };
    let upgrade = upgrade.map_err(|rejection| Problem::new(rejection.status(), rejection.body_text()))?;
    let connection = site.hub.connect(Visit { ip: visitor.ip, needs_token }).map_err(no_place)?;
    Ok((upgrade, connection))
}

fn no_place(crowded: Crowded) -> Problem {
    let (status, detail) = match crowded {
        Crowded::Address | Crowded::Network => {
            (StatusCode::TOO_MANY_REQUESTS, "too many WebSockets are open from your network")
        }
        Crowded::Server => (StatusCode::SERVICE_UNAVAILABLE, "there is no place for one more"),
        Crowded::Draining => (StatusCode::SERVICE_UNAVAILABLE, "the server is about to stop"),
    };
    Problem::no_place(status, door::code(crowded), detail, LATER)
}

const FOREIGN_PAGE: &str = "pages of this origin may not open a WebSocket: open the page at http.public_url, or name the origin in http.allowed_origins";

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
