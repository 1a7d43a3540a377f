//! Serves one connection: HTTP/1.1 or HTTP/2, with bounds on what its client may send and how long it may take.

use std::convert::Infallible;
use std::net::{IpAddr, Ipv4Addr};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::response::{IntoResponse as _, Response};
use hyper::body::Incoming;
use hyper::header::{HOST, HeaderValue};
use hyper::http::uri::PathAndQuery;
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper::{Request, StatusCode, Uri};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::watch;
use tokio::time::{sleep, timeout};
use tower_service::Service as _;

use crate::bounds::admission::Permit;
use crate::clock::Clock;
use crate::current::Current;
use crate::http::bounded_stream::{BoundedStream, Control};
use crate::http::frames::Frames;
use crate::http::problem::Problem;
use crate::http::requester::{Requester, Trust};
use crate::journal::shown;
use crate::origin::public_url::within;

/// Serves the connections that the front hands over. Clones are the same server.
#[derive(Debug, Clone)]
pub struct Server {
    router: Router,
    trust: Arc<Current<Trust>>,
    clock: Clock,
    /// Whether the server has stopped taking requests. Each connection holds a receiver.
    stopped: Arc<watch::Sender<bool>>,
}

/// A connection, as the front has identified it.
#[derive(Debug)]
pub struct Client {
    /// The address that connected: the client's, or that of its reverse proxy.
    pub peer: IpAddr,
    /// Whether it is TLS.
    pub secure: bool,
    /// Which HTTP it speaks.
    pub protocol: Protocol,
    /// The permit of the connection.
    pub permit: Permit,
}

/// Which HTTP a connection speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// HTTP/1.1 (RFC 9112), which can become a WebSocket.
    Http1,
    /// HTTP/2 (RFC 9113), if the client offers it with ALPN.
    Http2,
}

/// How many requests a connection has begun, and how many of these are not answered yet.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Requests {
    begun: u64,
    open: u64,
}

/// How long a request's header may take. Over HTTP/1.1 this also limits the time between two requests.
const HEADER: Duration = Duration::from_secs(10);
/// How long an HTTP/2 connection may be without a request.
const IDLE: Duration = Duration::from_secs(60);
/// At most this many header fields in one request, and this many bytes in them.
const HEADERS_MAX: usize = 100;
const HEADER_BYTES_MAX: usize = 16 << 10;
/// Concurrent requests of an HTTP/2 client.
const STREAMS_MAX: u32 = 32;
/// Streams that an HTTP/2 client may open and reset before they are served: a browser that leaves a page resets all its
/// requests.
const RESETS_MAX: usize = STREAMS_MAX as usize;
/// Bytes that may wait to be sent on one HTTP/2 stream.
const SEND_BUFFER: usize = 64 << 10;
/// How often an HTTP/2 client is pinged, and how long it may take to answer.
const PING: Duration = Duration::from_secs(20);
const PONG: Duration = Duration::from_secs(10);
/// How long a connection may last, because an HTTP/2 client may otherwise never take its answers. An open WebSocket has no
/// such limit.
const LIFETIME: Duration = Duration::from_secs(600);
/// How long the last requests of an old connection may take.
const FAREWELL: Duration = Duration::from_secs(5);

impl Server {
    /// Serves `router`. Recognises senders by `trust`, and refuses those that are denied.
    #[must_use]
    pub fn new(router: Router, trust: Arc<Current<Trust>>, clock: Clock) -> Self {
        Self { router, trust, clock, stopped: Arc::default() }
    }

    /// The number of open connections, without open WebSockets.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.stopped.receiver_count()
    }

    /// Stops taking requests, on open connections and on new ones.
    pub fn stop(&self) {
        self.stopped.send_replace(true);
    }

    /// The status of the response to a request for `/healthz`.
    pub(super) async fn health(&self) -> StatusCode {
        let mut request = Request::new(Body::empty());
        *request.uri_mut() = Uri::from_static("/healthz");
        request.headers_mut().insert(HOST, HeaderValue::from_static("localhost"));
        let (ip, secure) = (IpAddr::from(Ipv4Addr::LOCALHOST), false);
        let requester = Requester::of(ip, secure, request.headers(), &self.trust.get());
        request.extensions_mut().insert(requester);
        let Ok(response) = self.router.clone().call(request).await;
        response.status()
    }

    /// Whether an address is that of a trusted proxy.
    #[must_use]
    pub fn is_proxy(&self, ip: IpAddr) -> bool {
        self.trust.get().proxies.iter().any(|net| net.contains(&ip.to_canonical()))
    }

    /// Serves a connection until it ends or becomes a WebSocket. Its permit lives until the stream is closed, in both cases.
    pub async fn serve<S>(self, stream: S, client: Client)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let Client { peer, secure, protocol, permit } = client;
        let frames = (protocol == Protocol::Http2).then(Frames::new);
        let (stream, control) = BoundedStream::new(stream, permit, frames, self.clock);
        let io = TokioIo::new(stream);
        let (count, requests) = watch::channel(Requests::default());
        let mut stopped = self.stopped.subscribe();
        let stopped = async move { drop(stopped.wait_for(|stopped| *stopped).await) };
        let service = service_fn(move |request| {
            self.clone().answer(request, (peer, secure), control.clone(), Open::of(&count))
        });
        let ended = match protocol {
            Protocol::Http1 => {
                let mut server = http1::Builder::new();
                server.timer(TokioTimer::new()).header_read_timeout(HEADER);
                server.max_headers(HEADERS_MAX).max_buf_size(HEADER_BYTES_MAX);
                let connection = server.serve_connection(io, service).with_upgrades();
                let over = either(sleep(LIFETIME), stopped);
                see_through(connection, over, http1::UpgradeableConnection::graceful_shutdown).await
            }
            Protocol::Http2 => {
                let mut server = http2::Builder::new(TokioExecutor::new());
                server.timer(TokioTimer::new()).keep_alive_interval(PING).keep_alive_timeout(PONG);
                server.max_concurrent_streams(STREAMS_MAX).max_pending_accept_reset_streams(RESETS_MAX);
                server.max_header_list_size(HEADER_BYTES_MAX as u32).max_send_buf_size(SEND_BUFFER);
                let over = either(timeout(LIFETIME, idle(requests)), stopped);
                let connection = server.serve_connection(io, service);
                see_through(connection, over, http2::Connection::graceful_shutdown).await
            }
        };
        if let Err(error) = ended {
            tracing::debug!(client = shown::ip(peer), error, "HTTP connection failed");
        }
    }

    async fn answer(
        mut self,
        request: Request<Incoming>,
        (peer, secure): (IpAddr, bool),
        control: Control,
        _open: Open,
    ) -> Result<Response, Infallible> {
        if let Some(permit) = control.permit().upgrade() {
            permit.renew();
        }
        let mut request = request.map(Body::new);
        let trust = self.trust.get();
        let requester = Requester::of(peer, secure, request.headers(), &trust);
        if trust.denied.contains(requester.ip) {
            return Ok(Problem::new(StatusCode::FORBIDDEN, DENIED).into_response());
        }
        request.extensions_mut().insert(requester);
        request.extensions_mut().insert(control);
        enter(request.uri_mut(), trust.origins.base());
        self.router.call(request).await
    }
}

/// Takes the path of the site out of the URI, if it is still there.
fn enter(uri: &mut Uri, base: &str) {
    let Some(path) = uri.path_and_query().map(PathAndQuery::as_str) else { return };
    let inside = within(path, base);
    if inside.len() == path.len() {
        return;
    }
    let inside = if inside.starts_with('/') { inside.to_owned() } else { format!("/{inside}") };
    let mut parts = uri.clone().into_parts();
    parts.path_and_query = inside.parse().ok();
    if let Ok(entered) = Uri::from_parts(parts) {
        *uri = entered;
    }
}

const DENIED: &str = "clients of your network are refused here";

/// Waits until one of two futures is ready.
async fn either(one: impl Future, other: impl Future) {
    tokio::select! {
        _ = one => {}
        _ = other => {}
    }
}

/// Serves a connection until it ends. When `over` is ready, the connection takes no more requests and must end within
/// [`FAREWELL`].
async fn see_through<C>(
    connection: C,
    over: impl Future,
    take_no_more: impl FnOnce(Pin<&mut C>),
) -> Result<(), String>
where
    C: Future<Output = hyper::Result<()>>,
{
    let mut connection = pin!(connection);
    tokio::select! {
        ended = connection.as_mut() => return ended.map_err(|error| error.to_string()),
        _ = over => take_no_more(connection.as_mut()),
    }
    let ended = timeout(FAREWELL, connection).await;
    ended
        .map_err(|_| "the connection was finished but did not close".to_owned())?
        .map_err(|error| error.to_string())
}

/// Waits until a connection has had no request for too long.
async fn idle(mut requests: watch::Receiver<Requests>) {
    loop {
        let Requests { begun, open } = *requests.borrow_and_update();
        let patience = match (begun, open) {
            (0, _) => HEADER,
            (_, 0) => IDLE,
            _ => LIFETIME,
        };
        match timeout(patience, requests.changed()).await {
            Ok(Ok(())) => {}
            Ok(Err(_)) | Err(_) => return,
        }
    }
}

/// A request that is not answered yet.
struct Open(watch::Sender<Requests>);

impl Open {
    fn of(requests: &watch::Sender<Requests>) -> Self {
        requests.send_modify(|requests| {
            *requests = Requests { begun: requests.begun + 1, open: requests.open + 1 }
        });
        Self(requests.clone())
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.send_modify(|requests| requests.open -= 1);
    }
}
