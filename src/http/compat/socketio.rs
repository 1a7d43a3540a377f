//! engine.io, version 4: long polling and WebSockets of socket.io's clients, and the script that pages load for them.

use std::sync::{Arc, Weak};
use std::time::Duration;

use axum::body::{Body, to_bytes};
use axum::extract::ws::{Message, WebSocket, WebSocketUpgrade};
use axum::extract::{FromRequestParts as _, Query, Request};
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::http::request::Parts;
use axum::http::{HeaderValue, Method, StatusCode};
use axum::response::{IntoResponse as _, Response};
use serde::Deserialize;
use serde_json::json;
use tokio::time::timeout;

use crate::bounds::admission::Permit;
use crate::compat::socketio::engine::{PROBE, PROBE_ANSWER, Packet, SEPARATOR};
use crate::compat::socketio::session::{Session, Transport};
use crate::http::app_state::AppState;
use crate::http::bounded_stream::Control;
use crate::http::compat::let_read;
use crate::http::counters::Route;
use crate::http::problem::Problem;
use crate::http::requester::Requester;
use crate::http::screen::Bare;
use crate::http::websocket::{FOREIGN_PAGE, bounded, refuse};
use crate::secret::Secret;
use crate::signaling::heartbeat::DEAD;
use crate::signaling::protocol::codes::Close;
use crate::signaling::protocol::{FRAME_MAX, TOKEN_MAX};
use crate::signaling::socket::{GOODBYE, blame, byte_rate, goodbye};
use crate::signaling::switchboard::Visit;

/// What a request asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Asked {
    /// A transport.
    Transport,
    /// The script.
    Script,
}

/// The parameters of a transport.
#[derive(Debug, Deserialize)]
struct Parameters {
    #[serde(rename = "EIO")]
    version: Option<String>,
    transport: Option<String>,
    sid: Option<String>,
    token: Option<String>,
}

/// An error of engine.io, by its number.
#[derive(Debug, Clone, Copy)]
enum Wrong {
    Transport = 0,
    Session = 1,
    Handshake = 2,
    Request = 3,
    Version = 5,
}

/// Why a request gets no packets.
enum Refusal {
    Engine(Wrong),
    Problem(Problem),
}

/// How long a client may take to change to a WebSocket that it has opened.
const CHANGE: Duration = Duration::from_secs(10);
const VERSION: &str = "4";
const TEXT: &str = "text/plain; charset=UTF-8";

impl Asked {
    /// What the request for `path` asks for; `None` if it is for something else.
    pub(super) fn of(path: &str) -> Option<Self> {
        match path {
            "/socket.io" | "/socket.io/" => Some(Self::Transport),
            "/socket.io/socket.io.js" | "/socket.io/socket.io.min.js" => Some(Self::Script),
            _ => None,
        }
    }
}

/// Answers such a request.
pub(super) async fn answer(asked: Asked, state: &Arc<AppState>, request: Request) -> Response {
    let (mut parts, body) = request.into_parts();
    let mut response = match asked {
        Asked::Script => script(state, &parts),
        Asked::Transport => {
            let answer = transport(state, &mut parts, body).await;
            let mut response = answer.unwrap_or_else(Refusal::into_response);
            response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
            let_read(&mut response, parts.extensions.get());
            response
        }
    };
    response.extensions_mut().insert(Route::SocketIo);
    if asked == Asked::Script {
        // It is no document, and pages of all sites load it.
        response.extensions_mut().insert(Bare);
    }
    response
}

/// A room token in a URL, if it can be one.
pub(super) fn shown_token(token: Option<String>) -> Option<Secret> {
    token.filter(|token| token.len() <= TOKEN_MAX).map(Secret::new)
}

fn script(state: &AppState, parts: &Parts) -> Response {
    match state.socketio_script.get().as_ref() {
        Some(asset) if parts.method == Method::GET || parts.method == Method::HEAD => {
            asset.answer(&parts.headers)
        }
        Some(_) => Problem::of(StatusCode::METHOD_NOT_ALLOWED).into_response(),
        None => Problem::new(StatusCode::NOT_FOUND, NO_SCRIPT).into_response(),
    }
}

async fn transport(state: &Arc<AppState>, parts: &mut Parts, body: Body) -> Result<Response, Refusal> {
    let requester = Requester::from_request_parts(parts, state).await?;
    let Some(needs_token) = requester.page.needs_token() else {
        state.refusals.page(&requester, &state.trust.get().origins, state.clock.now().moment);
        return Err(Problem::origin_forbidden(FOREIGN_PAGE).into());
    };
    let Query(parameters): Query<Parameters> =
        Query::from_request_parts(parts, state).await.map_err(Problem::from)?;
    if parameters.version.as_deref() != Some(VERSION) {
        return Err(Wrong::Version.into());
    }
    let (method, name) = (parts.method.clone(), parameters.transport.as_deref());
    match (method, name, &parameters.sid) {
        (Method::GET, Some("polling"), sid) => {
            let session = match sid {
                Some(sid) => state.socketio.get(sid).ok_or(Wrong::Session)?,
                None => open(state, &requester, parameters.token, Transport::Polling)?,
            };
            poll(&session).await
        }
        (Method::POST, Some("polling"), Some(sid)) => {
            let session = state.socketio.get(sid).ok_or(Wrong::Session)?;
            take(&session, body, needs_token).await
        }
        (Method::GET, Some("websocket"), _) => {
            upgrade(state, (&requester, needs_token), parameters, parts).await
        }
        (Method::OPTIONS, ..) => Ok(preflight()),
        (_, Some("polling" | "websocket"), _) => Err(Wrong::Handshake.into()),
        _ => Err(Wrong::Transport.into()),
    }
}

/// Begins a session. Its page is looked at when the client enters the main namespace: to the server that it comes from, a
/// browser sends no `Origin` with the GET that begins long polling, but with the POST that follows.
fn open(
    state: &AppState,
    requester: &Requester,
    token: Option<String>,
    transport: Transport,
) -> Result<Arc<Session>, Problem> {
    let visit = Visit { ip: requester.ip, needs_token: false };
    state.socketio.open(visit, shown_token(token), transport).map_err(refuse)
}

async fn poll(session: &Session) -> Result<Response, Refusal> {
    let packets = session.poll().await.map_err(|_| Wrong::Request)?.ok_or(Wrong::Session)?;
    let body = packets.join(&SEPARATOR.to_string());
    Ok(([(CONTENT_TYPE, TEXT)], body).into_response())
}

/// Takes the packets that a client of long polling sends.
async fn take(session: &Session, body: Body, needs_token: bool) -> Result<Response, Refusal> {
    if session.transport() == Transport::Socket {
        return Err(Wrong::Request.into());
    }
    if session.is_over() {
        return Err(Wrong::Session.into());
    }
    let Ok(bytes) = to_bytes(body, FRAME_MAX).await else {
        session.end(Some(Close::TooBig));
        return Err(Problem::new(StatusCode::PAYLOAD_TOO_LARGE, TOO_LARGE).into());
    };
    let Ok(text) = str::from_utf8(&bytes) else {
        session.end(Some(Close::BadText));
        return Err(Wrong::Request.into());
    };
    text.split(SEPARATOR).for_each(|packet| session.hear(packet, needs_token));
    Ok(([(CONTENT_TYPE, TEXT)], "ok").into_response())
}

async fn upgrade(
    state: &Arc<AppState>,
    (requester, needs_token): (&Requester, bool),
    parameters: Parameters,
    parts: &mut Parts,
) -> Result<Response, Refusal> {
    let control = parts.extensions.get::<Control>().cloned().ok_or(Wrong::Request)?;
    let upgrade = WebSocketUpgrade::from_request_parts(parts, state).await;
    let upgrade = upgrade.map_err(|rejection| Problem::new(rejection.status(), rejection.body_text()))?;
    let (session, is_new) = match parameters.sid {
        Some(sid) => (state.socketio.get(&sid).ok_or(Wrong::Session)?, false),
        None => (open(state, requester, parameters.token, Transport::Socket)?, true),
    };
    Ok(bounded(upgrade).on_upgrade(async move |mut socket| {
        control.meter(byte_rate());
        if is_new || change(&mut socket, &session).await {
            serve(socket, &session, needs_token, control.permit()).await;
        }
    }))
}

/// A client of long polling tries a WebSocket. Returns whether it uses it from now on.
async fn change(socket: &mut WebSocket, session: &Session) -> bool {
    let asked = timeout(CHANGE, hear_text(socket)).await.ok().flatten();
    let is_probe = asked.is_some_and(|text| Packet::parse(&text) == Some(Packet::Ping(PROBE)));
    if !is_probe || session.try_socket().is_err() {
        return false;
    }
    let tried = timeout(CHANGE, async {
        let answered = socket.send(Message::Text(PROBE_ANSWER.into())).await;
        let said = hear_text(socket).await.filter(|_| answered.is_ok());
        said.is_some_and(|text| Packet::parse(&text) == Some(Packet::Upgrade))
    });
    let works = tried.await.unwrap_or(false);
    session.decide(works);
    works && !session.is_over()
}

async fn hear_text(socket: &mut WebSocket) -> Option<String> {
    match socket.recv().await {
        Some(Ok(Message::Text(text))) => Some(text.to_string()),
        Some(Ok(Message::Binary(_) | Message::Ping(_) | Message::Pong(_) | Message::Close(_)) | Err(_))
        | None => None,
    }
}

/// Carries packets until the session or the WebSocket ends. `permit` is the permit of its connection.
async fn serve(mut socket: WebSocket, session: &Session, needs_token: bool, permit: Weak<Permit>) {
    let mut stranger = Some(permit);
    loop {
        tokio::select! {
            packets = session.packets() => {
                let Some(packets) = packets else { break };
                if !send_all(&mut socket, packets).await {
                    session.end(Some(Close::SlowConsumer));
                }
            }
            heard = socket.recv() => match heard {
                Some(Ok(Message::Text(text))) => session.hear(&text, needs_token),
                Some(Ok(Message::Ping(_) | Message::Pong(_))) => session.hear_nothing(),
                Some(Ok(Message::Binary(_))) => session.end(Some(Close::Protocol)),
                Some(Ok(Message::Close(_))) | None => {
                    session.end(None);
                    break;
                }
                Some(Err(error)) => {
                    session.end(blame(error));
                    break;
                }
            },
        }
        // Once a client is in a room, its connection cannot be evicted.
        if let Some(permit) = stranger.take_if(|_| session.is_in_room()).and_then(|permit| permit.upgrade()) {
            permit.settle();
        }
    }
    // A client that takes longer misses the reason.
    let _ = timeout(GOODBYE, goodbye(socket, session.why())).await;
}

/// Sends packets. Returns whether the client takes them.
async fn send_all(socket: &mut WebSocket, packets: Vec<String>) -> bool {
    for packet in packets {
        match timeout(DEAD, socket.send(Message::Text(packet.into()))).await {
            Ok(Ok(())) => {}
            Ok(Err(_)) | Err(_) => return false,
        }
    }
    true
}

fn preflight() -> Response {
    let allowed = [
        ("access-control-allow-methods", "GET, POST"),
        ("access-control-allow-headers", "Authorization, Content-Type"),
        ("access-control-max-age", "600"),
    ];
    (StatusCode::NO_CONTENT, allowed).into_response()
}

impl Refusal {
    fn into_response(self) -> Response {
        match self {
            Self::Engine(wrong) => {
                let body = json!({ "code": wrong as u8, "message": wrong.message() });
                (StatusCode::BAD_REQUEST, axum::Json(body)).into_response()
            }
            Self::Problem(problem) => problem.into_response(),
        }
    }
}

impl Wrong {
    /// The texts of engine.io, which programs may compare.
    const fn message(self) -> &'static str {
        match self {
            Self::Transport => "Transport unknown",
            Self::Session => "Session ID unknown",
            Self::Handshake => "Bad handshake method",
            Self::Request => "Bad request",
            Self::Version => "Unsupported protocol version",
        }
    }
}

impl From<Wrong> for Refusal {
    fn from(wrong: Wrong) -> Self {
        Self::Engine(wrong)
    }
}

impl From<Problem> for Refusal {
    fn from(problem: Problem) -> Self {
        Self::Problem(problem)
    }
}

const NO_SCRIPT: &str = "this server has no copy of socket.io's client: name the file in compat.socketio_client, or let the \
                         page load the script from somewhere else";
const TOO_LARGE: &str = "the packets of one request may have 64 KiB";
