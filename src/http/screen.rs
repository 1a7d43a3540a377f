//! Refuses requests that no legitimate client sends, bounds how long a request takes, and adds security headers to answers.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{MatchedPath, Request, State};
use axum::http::header::{
    CONNECTION, CONTENT_SECURITY_POLICY, HOST, HeaderName, REFERRER_POLICY, STRICT_TRANSPORT_SECURITY,
    TRANSFER_ENCODING, X_CONTENT_TYPE_OPTIONS,
};
use axum::http::uri::Authority;
use axum::http::{HeaderValue, Method, StatusCode, Version};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};

use crate::current::Current;
use crate::http::origins::Origins;
use crate::http::problem::Problem;
use crate::http::requester::Requester;
use crate::origin::Origin;
use crate::origin::public_url::ROOT;

/// How long a request may take, including its body.
const PATIENCE: Duration = Duration::from_secs(10);

/// The headers of every answer.
#[derive(Debug)]
pub struct Policy {
    headers: Vec<(HeaderName, HeaderValue)>,
    /// Whether browsers reach the site over TLS.
    is_secure: bool,
}

const OPENER_POLICY: HeaderName = HeaderName::from_static("cross-origin-opener-policy");

impl Policy {
    /// Allows only the browser features that our own pages need, and only those sites to show our pages in a frame.
    #[must_use]
    pub fn of(origins: &Origins, frame_ancestors: &[Origin]) -> Self {
        let secure = origins.public().filter(|origin| origin.is_secure());
        // Older versions of Safari do not count WebSockets as 'self'.
        let sockets = secure.map(|origin| format!(" wss://{}", origin.authority())).unwrap_or_default();
        let ancestors = match frame_ancestors {
            [] => "'none'".to_owned(),
            sites => sites.iter().map(Origin::as_str).collect::<Vec<_>>().join(" "),
        };
        let content = format!(
            "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; media-src 'self' blob:; \
             font-src 'self'; connect-src 'self'{sockets}; worker-src 'self'; manifest-src 'self'; base-uri 'none'; \
             form-action 'none'; frame-ancestors {ancestors}; require-trusted-types-for 'script'"
        );
        let content = HeaderValue::try_from(content).expect("an origin is ASCII");
        let mut headers = vec![
            (CONTENT_SECURITY_POLICY, content),
            (HeaderName::from_static("permissions-policy"), HeaderValue::from_static(PERMISSIONS)),
            (REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
            (X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
            (OPENER_POLICY, HeaderValue::from_static("same-origin")),
            (
                HeaderName::from_static("cross-origin-resource-policy"),
                HeaderValue::from_static("same-origin"),
            ),
        ];
        // The header counts for the whole host, which a site under a path shares with others.
        let is_secure = secure.is_some();
        if is_secure && origins.base() == ROOT {
            headers.push((STRICT_TRANSPORT_SECURITY, HeaderValue::from_static(A_YEAR)));
        }
        Self { headers, is_secure }
    }

    /// Whether browsers ignore the opener policy of an answer to this request, and report it to whoever looks at the console:
    /// they do for an origin that somebody on the way could have replaced (Secure Contexts §3.1).
    fn ignores_opener(&self, request: &Request) -> bool {
        let is_direct = request.extensions().get::<Requester>().is_some_and(|requester| requester.direct);
        is_direct && !self.is_secure && !host(request).is_some_and(|host| is_of_this_machine(&host))
    }
}

/// The host that the request was sent to, without the port.
fn host(request: &Request) -> Option<String> {
    let authority = request.headers().get(HOST)?.to_str().ok()?.parse::<Authority>().ok()?;
    Some(authority.host().to_owned())
}

/// Whether this host never leads to another machine: `localhost`, a name below it, or a loopback address.
fn is_of_this_machine(host: &str) -> bool {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    bare.parse::<IpAddr>()
        .map_or_else(|_| bare.rsplit('.').next() == Some("localhost"), |ip| ip.is_loopback())
}

/// Marks a response that is no document and holds nothing private: the headers that only matter for these are left out.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bare;

/// Adds the headers of the policy, unless the route has set them itself.
pub async fn harden(State(policy): State<Arc<Current<Policy>>>, request: Request, next: Next) -> Response {
    let policy = policy.get();
    let ignores_opener = policy.ignores_opener(&request);
    let mut response = next.run(request).await;
    let is_bare = response.extensions().get::<Bare>().is_some();
    let matters = |name: &HeaderName| {
        (!is_bare || name == X_CONTENT_TYPE_OPTIONS) && !(ignores_opener && name == OPENER_POLICY)
    };
    for (name, value) in policy.headers.iter().filter(|(name, _)| matters(name)) {
        response.headers_mut().entry(name).or_insert_with(|| value.clone());
    }
    response
}

/// Passes a valid request on, and answers 408 if it takes longer than `PATIENCE`.
pub async fn screen(request: Request, next: Next) -> Response {
    if let Err(problem) = check(&request) {
        return close(problem);
    }
    // RFC 9112 §6.1: Transfer-Encoding together with Content-Length, which hyper does not show us, may be an attempt to
    // smuggle a second request past a proxy. So nothing is read after this request.
    let last = request.headers().contains_key(TRANSFER_ENCODING);
    let method = request.method().clone();
    // The route, not the path: a path may name a room.
    let route = request.extensions().get::<MatchedPath>().map(|path| path.as_str().to_owned());
    let Ok(mut response) = tokio::time::timeout(PATIENCE, next.run(request)).await else {
        return close(Problem::new(StatusCode::REQUEST_TIMEOUT, "the request was not complete in time"));
    };
    if last {
        response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    }
    tracing::debug!(%method, route, status = response.status().as_u16(), "HTTP request");
    response
}

/// Refuses a request that no legitimate client sends.
fn check(request: &Request) -> Result<(), Problem> {
    let wrong = |detail| Err(Problem::new(StatusCode::BAD_REQUEST, detail));
    let headers = request.headers();
    if matches!(*request.method(), Method::CONNECT | Method::TRACE) {
        return Err(Problem::of(StatusCode::METHOD_NOT_ALLOWED));
    }
    if request.version() == Version::HTTP_2 {
        return Ok(());
    }
    // RFC 9112 §3.2: exactly one Host header, otherwise 400.
    let hosts = headers.get_all(HOST).iter().count();
    if hosts > 1 || (hosts == 0 && request.version() == Version::HTTP_11) {
        return wrong("a request must have exactly one Host header");
    }
    if request.uri().authority().is_some() {
        return wrong("this server is not a proxy: send only the path");
    }
    Ok(())
}

fn close(problem: Problem) -> Response {
    ([(CONNECTION, "close")], problem).into_response()
}

const PERMISSIONS: &str = "camera=(self), microphone=(self), display-capture=(self), autoplay=(self), fullscreen=(self), \
                           screen-wake-lock=(self), speaker-selection=(self), geolocation=(), payment=(), usb=()";
const A_YEAR: &str = "max-age=31536000";
