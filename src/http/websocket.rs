//! The way into the rooms: `GET /ws`, which becomes a WebSocket.
//!
//! Browsers let any page open a WebSocket to any server, so the page's origin is checked before there is one. A client that
//! sends no origin is not a browser, and must show a room token.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::ws::WebSocketUpgrade;
use axum::extract::ws::rejection::WebSocketUpgradeRejection;
use axum::extract::{Extension, State};
use axum::http::StatusCode;
use axum::http::header::VARY;
use axum::response::{IntoResponse as _, Response};

use crate::http::app_state::AppState;
use crate::http::bounded_stream::Control;
use crate::http::problem::Problem;
use crate::http::requester::Requester;
use crate::signaling::hub::SocketHandle;
use crate::signaling::protocol::FRAME_MAX;
use crate::signaling::seats::NoSeat;
use crate::signaling::socket;
use crate::signaling::switchboard::Visit;

/// The subprotocol that clients name, and that the answer names if they do.
const SUBPROTOCOL: &str = "signal.v1";
/// What a socket reads and writes at once: most frames are smaller, and an idle member costs this much.
const BUFFER: usize = 4 << 10;
/// What may wait to be written inside the socket: one frame of the largest size that the server sends, and a ping.
const WRITE_BUFFER_MAX: usize = 2 * FRAME_MAX;
/// How long a client that found no place should wait before it tries again.
const LATER: Duration = Duration::from_secs(5);

/// Opens a WebSocket.
pub(super) async fn upgrade(
    State(state): State<Arc<AppState>>,
    requester: Requester,
    Extension(control): Extension<Control>,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Response {
    let refusal = match admit(&state, &requester, upgrade) {
        Ok((upgrade, connection)) => {
            return bounded(upgrade).on_upgrade(move |socket| {
                control.meter(socket::byte_rate());
                socket::serve(socket, connection, control.permit())
            });
        }
        Err(problem) => problem,
    };
    ([(VARY, "Origin")], refusal).into_response()
}

/// Whether the requester may open a WebSocket now.
fn admit(
    state: &AppState,
    requester: &Requester,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Result<(WebSocketUpgrade, SocketHandle), Problem> {
    let Some(needs_token) = requester.page.needs_token() else {
        state.refusals.page(requester, &state.origins, state.clock.now().moment);
        return Err(Problem::origin_forbidden(FOREIGN_PAGE));
    };
    let upgrade = upgrade.map_err(|rejection| Problem::new(rejection.status(), rejection.body_text()))?;
    let connection = state.hub.connect(Visit { ip: requester.ip, needs_token }).map_err(refuse)?;
    Ok((upgrade, connection))
}

fn refuse(why: NoSeat) -> Problem {
    let (status, detail) = match why {
        NoSeat::Address | NoSeat::Network => {
            (StatusCode::TOO_MANY_REQUESTS, "too many WebSockets are open from your network")
        }
        NoSeat::Server => {
            (StatusCode::SERVICE_UNAVAILABLE, "the server has as many WebSockets as it may: try again later")
        }
        NoSeat::Draining => (StatusCode::SERVICE_UNAVAILABLE, "the server is about to stop"),
    };
    Problem::no_place(status, no_seat_code(why), detail, LATER)
}

/// Why there is no place, in the words of the API.
pub(super) const fn no_seat_code(why: NoSeat) -> &'static str {
    match why {
        NoSeat::Address | NoSeat::Network => "too_many",
        NoSeat::Server => "full",
        NoSeat::Draining => "draining",
    }
}

const FOREIGN_PAGE: &str = "pages of this origin may not open a WebSocket: open the page at http.public_url, or add \
                            the origin to http.allowed_origins";

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
