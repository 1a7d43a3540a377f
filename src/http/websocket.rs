//! `GET /ws`: opens the WebSocket of the rooms.
//!
//! Browsers let any page open a WebSocket to any server, so the page's origin is checked first. A client that sends no
//! origin is not a browser, and needs a room token.

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

/// The subprotocol. The answer names it if the client offers it.
const SUBPROTOCOL: &str = "signal.v1";
/// Bytes of the read buffer: most frames are smaller, and an idle member costs this much memory.
const BUFFER: usize = 4 << 10;
/// Bytes that may wait to be written inside the socket: one frame of the largest size, and a ping.
const WRITE_BUFFER_MAX: usize = 2 * FRAME_MAX;
/// How long a client that was refused should wait before it tries again.
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
        state.refusals.page(requester, &state.trust.get().origins, state.clock.now().moment);
        return Err(Problem::origin_forbidden(FOREIGN_PAGE));
    };
    let upgrade = upgrade.map_err(|rejection| Problem::new(rejection.status(), rejection.body_text()))?;
    let connection = state.hub.connect(Visit { ip: requester.ip, needs_token }).map_err(refuse)?;
    Ok((upgrade, connection))
}

/// The answer to a WebSocket for which there is no place.
pub(super) fn refuse(why: NoSeat) -> Problem {
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

/// The API's code for a refused WebSocket.
pub(super) const fn no_seat_code(why: NoSeat) -> &'static str {
    match why {
        NoSeat::Address | NoSeat::Network => "too_many",
        NoSeat::Server => "full",
        NoSeat::Draining => "draining",
    }
}

/// Why the page of a foreign site gets no WebSocket.
pub(super) const FOREIGN_PAGE: &str = "pages of this origin may not open a WebSocket: open the page at http.public_url, or add \
                            the origin to http.allowed_origins";

/// Sets the subprotocol, and limits the buffers and the size of a frame.
pub fn bounded(upgrade: WebSocketUpgrade) -> WebSocketUpgrade {
    upgrade
        .protocols([SUBPROTOCOL])
        .read_buffer_size(BUFFER)
        .write_buffer_size(0)
        .max_write_buffer_size(WRITE_BUFFER_MAX)
        .max_frame_size(FRAME_MAX)
        .max_message_size(FRAME_MAX)
}
