//! Serves one connection: HTTP/1.1 or HTTP/2, with bounds on what its client may send and how long it may take.

use std::convert::Infallible;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::response::Response;
use hyper::Request;
use hyper::body::Incoming;
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use ipnet::IpNet;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::timeout;
use tower_service::Service as _;

use crate::http::Visitor;
use crate::http::line::Line;
use crate::relay::admission::Permit;

/// The site, for connections that come from the front.
#[derive(Debug, Clone)]
pub struct Server {
    router: Router,
    proxies: Arc<[IpNet]>,
}

/// Which HTTP a connection speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// HTTP/1.1 (RFC 9112), which can become a WebSocket.
    Http1,
    /// HTTP/2 (RFC 9113), where the client offered it.
    Http2,
}

/// How long a request's header may take, and how long a connection may say nothing between two requests.
const HEADER: Duration = Duration::from_secs(10);
/// Header fields of one request, and their bytes.
const HEADERS_MAX: usize = 100;
const HEADER_BYTES_MAX: usize = 16 << 10;
/// Requests of an HTTP/2 client at a time.
const STREAMS_MAX: u32 = 32;
/// Streams that an HTTP/2 client may open and reset before they are served, and bytes that may wait for it on one.
const RESETS_MAX: usize = 20;
const SEND_BUFFER: usize = 64 << 10;
/// How often an HTTP/2 client is asked for a sign of life, and how long it may take.
const PING: Duration = Duration::from_secs(20);
const PONG: Duration = Duration::from_secs(10);
/// How long any connection may last. Whoever has more to ask connects anew; a WebSocket is not bound by it.
const LIFETIME: Duration = Duration::from_secs(600);

impl Server {
    /// Serves `router`, believing what `proxies` say of who their clients are.
    #[must_use]
    pub fn new(router: Router, proxies: &[IpNet]) -> Self {
        Self { router, proxies: proxies.into() }
    }

    /// Serves a connection from `peer` until it ends; its `permit` is given back with its last byte, that of a WebSocket
    /// included.
    pub async fn serve<S>(self, stream: S, peer: IpAddr, protocol: Protocol, permit: Permit)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let io = TokioIo::new(Line::new(stream, permit));
        let service = service_fn(move |request| self.clone().answer(request, peer));
        let served = async {
            match protocol {
                Protocol::Http1 => {
                    let mut server = http1::Builder::new();
                    server.timer(TokioTimer::new()).header_read_timeout(HEADER);
                    server.max_headers(HEADERS_MAX).max_buf_size(HEADER_BYTES_MAX);
                    server.serve_connection(io, service).with_upgrades().await
                }
                Protocol::Http2 => {
                    let mut server = http2::Builder::new(TokioExecutor::new());
                    server.timer(TokioTimer::new()).keep_alive_interval(PING).keep_alive_timeout(PONG);
                    server.max_concurrent_streams(STREAMS_MAX).max_pending_accept_reset_streams(RESETS_MAX);
                    server.max_header_list_size(HEADER_BYTES_MAX as u32).max_send_buf_size(SEND_BUFFER);
                    server.serve_connection(io, service).await
                }
            }
        };
        match timeout(LIFETIME, served).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::debug!(client = %peer, %error, "HTTP connection failed"),
            Err(_) => tracing::debug!(client = %peer, "HTTP connection ended: it was old"),
        }
    }

    async fn answer(mut self, request: Request<Incoming>, peer: IpAddr) -> Result<Response, Infallible> {
        let mut request = request.map(Body::new);
        let visitor = Visitor::of(peer, request.headers(), &self.proxies);
        request.extensions_mut().insert(visitor);
        self.router.call(request).await
    }
}
