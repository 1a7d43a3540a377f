//! Lets pages of the sites that the operator names read what the API answers (Fetch standard, "CORS protocol").

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, CACHE_CONTROL, ORIGIN, VARY,
};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};

use crate::http::origins::{PageOf, page};
use crate::http::problem::Problem;
use crate::http::{Site, Visitor};

/// Says who may read an answer, and that nobody may keep it. Cookies are never asked for, so that no answer depends on
/// whose browser it is.
pub(super) async fn share(
    State(site): State<Arc<Site>>,
    visitor: Visitor,
    request: Request,
    next: Next,
) -> Response {
    let reader =
        request.headers().get(ORIGIN).filter(|_| may_read(&site, visitor, request.headers())).cloned();
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.append(VARY, HeaderValue::from_static("Origin"));
    if let Some(origin) = reader {
        headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin);
        headers.insert(ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static("Retry-After"));
    }
    response
}

/// Answers a browser that asks whether a page may send what it wants to send.
pub(super) async fn preflight(
    State(site): State<Arc<Site>>,
    visitor: Visitor,
    headers: HeaderMap,
) -> Response {
    if !may_read(&site, visitor, &headers) {
        site.refusals.stranger(&headers, &site.origins, site.clock.now().moment);
        return Problem::origin_forbidden(FOREIGN_PAGE).into_response();
    }
    let allowed = [
        (ACCESS_CONTROL_ALLOW_METHODS, "GET, POST"),
        (ACCESS_CONTROL_ALLOW_HEADERS, "Authorization, Content-Type"),
        (ACCESS_CONTROL_MAX_AGE, "600"),
    ];
    (StatusCode::NO_CONTENT, allowed).into_response()
}

/// Whether the page that asks is one that may use a key; which key it is, a browser does not say in advance.
fn may_read(site: &Site, visitor: Visitor, headers: &HeaderMap) -> bool {
    match site.origins.page_of(visitor, headers) {
        PageOf::Own | PageOf::Allowed | PageOf::Nameless => true,
        PageOf::Nobody => false,
        PageOf::Stranger => page(headers).is_some_and(|page| site.api.keys().are_for(page)),
    }
}

const FOREIGN_PAGE: &str =
    "pages of this origin may not ask: name the origin in http.allowed_origins, or in the origins of a key";
