//! Says who sent a request: which client, and which site's page. Both are found out once, when the request comes in.

use std::net::IpAddr;

use axum::extract::FromRequestParts;
use axum::http::header::ORIGIN;
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use ipnet::IpNet;

use crate::http::forwarded::{client_address, is_direct};
use crate::http::origins::{Origins, PageOf};
use crate::http::problem::Problem;

/// Who sent a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Requester {
    /// The client's address, which limits are counted by.
    pub ip: IpAddr,
    /// Which site's page sent it.
    pub page: PageOf,
    /// The `Origin` header, if there is exactly one.
    origin: Option<HeaderValue>,
}

impl Requester {
    /// Who sent a request with `headers` over a connection from `peer`, which is TLS if it is `secure`. `X-Forwarded-For` counts
    /// only as far as `proxies` have written it.
    #[must_use]
    pub fn of(peer: IpAddr, secure: bool, headers: &HeaderMap, proxies: &[IpNet], origins: &Origins) -> Self {
        let mut lines = headers.get_all(ORIGIN).iter();
        let origin = lines.next().filter(|_| lines.next().is_none()).cloned();
        let page = if headers.contains_key(ORIGIN) {
            let origin = origin.as_ref().and_then(|origin| origin.to_str().ok());
            origins.page_of(origin, is_direct(secure, headers))
        } else {
            PageOf::Nobody
        };
        Self { ip: client_address(peer, headers, proxies), page, origin }
    }

    /// The origin of the page that sent the request, if it is one text.
    #[must_use]
    pub fn origin(&self) -> Option<&str> {
        self.origin.as_ref()?.to_str().ok()
    }

    /// The same, as the header that names it.
    #[must_use]
    pub fn origin_header(&self) -> Option<&HeaderValue> {
        self.origin.as_ref()
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Requester {
    type Rejection = Problem;

    /// What [`crate::http::connection`] has found out.
    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        parts.extensions.get().cloned().ok_or(Problem::of(StatusCode::INTERNAL_SERVER_ERROR))
    }
}
