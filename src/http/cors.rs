//! Lets pages of allowed sites read the answers of the API (Fetch standard, "CORS protocol").

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, CACHE_CONTROL, VARY,
};
use axum::http::{HeaderValue, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};

use crate::http::app_state::AppState;
use crate::http::problem::Problem;
use crate::http::requester::Requester;

/// Allows the page to read an answer, and forbids caches to store it. Requests with cookies are not allowed, because the API
/// uses none.
pub(super) async fn share(requester: Requester, request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.append(VARY, HeaderValue::from_static("Origin"));
    if let Some(origin) = requester.origin_header().filter(|_| requester.page.may_read()) {
        headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
        headers.insert(ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static("Retry-After"));
    }
    response
}

/// Answers a preflight request.
pub(super) async fn preflight(State(state): State<Arc<AppState>>, requester: Requester) -> Response {
    if !requester.page.may_read() {
        state.refusals.page(&requester, &state.trust.get().origins, state.clock.now().moment);
        return Problem::origin_forbidden(FOREIGN_PAGE).into_response();
    }
    let allowed = [
        (ACCESS_CONTROL_ALLOW_METHODS, "GET, POST"),
        (ACCESS_CONTROL_ALLOW_HEADERS, "Authorization, Content-Type"),
        (ACCESS_CONTROL_MAX_AGE, "600"),
    ];
    (StatusCode::NO_CONTENT, allowed).into_response()
}

const FOREIGN_PAGE: &str = "pages of this origin may not use the API: add the origin to http.allowed_origins, or to the origins of a key";
