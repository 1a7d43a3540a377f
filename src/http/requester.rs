//! The sender of a request: the client's address, and which site's page. Determined once, when the request arrives.

use std::net::IpAddr;

use axum::extract::FromRequestParts;
use axum::http::header::ORIGIN;
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use ipnet::IpNet;

use crate::bounds::denied::DenyList;
use crate::http::forwarded::{client_address, is_direct};
use crate::http::origins::{Origins, PageOf};
use crate::http::problem::Problem;

/// What senders are recognised by.
#[derive(Debug, Clone, Default)]
pub struct Trust {
    /// Which pages may do what.
    pub origins: Origins,
    /// The reverse proxies that are trusted to name their clients.
    pub proxies: Vec<IpNet>,
    /// The networks whose clients are refused.
    pub denied: DenyList,
}

/// The sender of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Requester {
    /// The client's address, for limits.
    pub ip: IpAddr,
    /// Which site's page sent the request.
    pub page: PageOf,
    /// Whether the request came without TLS and, as far as its headers show, without a proxy.
    pub direct: bool,
    /// The `Origin` header, if there is exactly one.
    origin: Option<HeaderValue>,
}

impl Requester {
    /// The sender of a request with `headers` over a connection from `peer`, which uses TLS if `secure`. Only the addresses
    /// that trusted proxies wrote into `X-Forwarded-For` count.
    #[must_use]
    pub fn of(peer: IpAddr, secure: bool, headers: &HeaderMap, trust: &Trust) -> Self {
        let Trust { origins, proxies, denied: _ } = trust;
        let mut lines = headers.get_all(ORIGIN).iter();
        let origin = lines.next().filter(|_| lines.next().is_none()).cloned();
        let direct = is_direct(secure, headers);
        let page = if headers.contains_key(ORIGIN) {
            let origin = origin.as_ref().and_then(|origin| origin.to_str().ok());
            origins.page_of(origin, direct)
        } else {
            PageOf::Nobody
        };
        Self { ip: client_address(peer, headers, proxies), page, direct, origin }
    }

    /// The origin of the page that sent the request, if there is exactly one and it is ASCII.
    #[must_use]
    pub fn origin(&self) -> Option<&str> {
        self.origin.as_ref()?.to_str().ok()
    }

    /// The `Origin` header, if there is exactly one.
    #[must_use]
    pub fn origin_header(&self) -> Option<&HeaderValue> {
        self.origin.as_ref()
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Requester {
    type Rejection = Problem;

    /// Reads what [`crate::http::connection`] has determined.
    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        parts.extensions.get().cloned().ok_or(Problem::of(StatusCode::INTERNAL_SERVER_ERROR))
    }
}
