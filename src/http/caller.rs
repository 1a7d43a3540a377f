//! Finds out which backend asks: the API key that a request shows, and whether the page that shows it may.

use std::sync::Arc;

use axum::extract::FromRequestParts;
use axum::http::header::AUTHORIZATION;
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode};

use crate::config::ApiKey;
use crate::http::keys::{Denied, Shown};
use crate::http::origins::{PageOf, page};
use crate::http::problem::Problem;
use crate::http::{Site, Visitor};

/// Whoever shows a good key in the `Authorization` header.
pub(super) struct Caller(pub(super) ApiKey);

impl FromRequestParts<Arc<Site>> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, site: &Arc<Site>) -> Result<Self, Problem> {
        let visitor = Visitor::from_request_parts(parts, site).await?;
        let shown = shown(&parts.headers, None).ok_or_else(no_key)?;
        admit(site, visitor, &parts.headers, shown).map(Self)
    }
}

/// Whoever shows a good key that no page and no URL has, so that it is really a backend that asks.
pub(super) struct Backend(pub(super) ApiKey);

impl FromRequestParts<Arc<Site>> for Backend {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, site: &Arc<Site>) -> Result<Self, Problem> {
        let Caller(key) = Caller::from_request_parts(parts, site).await?;
        if key.is_public() { Err(Problem::new(StatusCode::FORBIDDEN, PUBLIC_KEY)) } else { Ok(Self(key)) }
    }
}

/// The key that a request shows: in the header, else in the URL as `in_url`.
pub(super) fn shown<'a>(headers: &'a HeaderMap, in_url: Option<&'a str>) -> Option<Shown<'a>> {
    let header = bearer(headers).map(|text| Shown { text, in_url: false });
    header.or(in_url.map(|text| Shown { text, in_url: true }))
}

/// The key that is shown, if this visitor may use it now, on this page.
pub(super) fn admit(
    site: &Site,
    visitor: Visitor,
    headers: &HeaderMap,
    shown: Shown<'_>,
) -> Result<ApiKey, Problem> {
    let now = site.clock.now().moment;
    let mut keys = site.api.keys();
    let key = keys.admit(shown, visitor.ip, now).map_err(refuse)?;
    let own = site.origins.page_of(visitor, headers) != PageOf::Stranger;
    let named = page(headers).is_some_and(|page| key.origins.iter().any(|origin| origin.matches(page)));
    if own || named {
        return Ok(key.clone());
    }
    site.refusals.stranger(headers, &site.origins, now);
    Err(Problem::origin_forbidden(FOREIGN_PAGE))
}

/// What is said to who shows no key.
pub(super) fn no_key() -> Problem {
    Problem::new(StatusCode::UNAUTHORIZED, NO_KEY)
}

fn refuse(denied: Denied) -> Problem {
    match denied {
        Denied::Unknown => Problem::new(StatusCode::UNAUTHORIZED, UNKNOWN_KEY),
        Denied::InUrl => Problem::new(StatusCode::FORBIDDEN, KEY_IN_URL),
        Denied::TooOften(wait) => Problem::too_often(wait),
    }
}

/// The token of `Authorization: Bearer` (RFC 6750 §2.1).
pub(super) fn bearer(headers: &HeaderMap) -> Option<&str> {
    let (scheme, token) = headers.get(AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

const NO_KEY: &str = "show an API key: \"Authorization: Bearer hairpin_...\"; `hairpin api-key` makes one";
const UNKNOWN_KEY: &str = "there is no such API key: `hairpin api-key` makes one and says how to let it in";
const KEY_IN_URL: &str =
    "this key must not stand in a URL: send it as \"Authorization: Bearer\", or set allow_query for it";
const PUBLIC_KEY: &str = "this key is out in pages or URLs, and so is good for ICE servers alone: use a key without origins and \
                          allow_query";
const FOREIGN_PAGE: &str =
    "pages of this origin may not use the key: name the origin in the key's origins, or ask from a backend";
