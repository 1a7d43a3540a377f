//! Whether a request may ask: over TCP it must show the token of `[admin] token_hash`, and over a Unix socket it must not
//! come from a page of another site.

use std::net::IpAddr;
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::header::{HOST, HeaderName, ORIGIN};
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};

use crate::admin::Plan;
use crate::api_key::KeyHash;
use crate::current::Current;
use crate::http::authentication::bearer;
use crate::http::problem::Problem;

/// The token that a request must show.
#[derive(Debug, Clone)]
pub(super) enum Token {
    /// None: the file system says who may connect.
    Needless,
    /// The token whose hash is in the plan; without a hash, no token is right.
    Required(Arc<Current<Plan>>),
}

/// Passes a request on if it shows the token, and answers 401 if it does not. Without a token, answers 403 to what a browser
/// sends for a page of another site.
pub(super) async fn authorize(State(token): State<Token>, request: Request, next: Next) -> Response {
    let is_right = match token {
        Token::Needless if is_foreign(request.headers()) => {
            return Problem::new(StatusCode::FORBIDDEN, FOREIGN).into_response();
        }
        Token::Needless => true,
        // Hashes are compared, so the time that this takes tells nothing of the token.
        Token::Required(plan) => {
            bearer(request.headers()).is_some_and(|shown| plan.get().token == Some(KeyHash::of(shown)))
        }
    };
    if is_right {
        return next.run(request).await;
    }
    Problem::new(StatusCode::UNAUTHORIZED, WRONG).into_response()
}

/// Whether a request comes from a page of another site, in a browser that reaches the Unix socket through a tunnel. A name
/// with a dot may be one that the site's DNS points to the tunnel; then the page is the tunnel's own to the browser.
fn is_foreign(headers: &HeaderMap) -> bool {
    let text = |name: &HeaderName| headers.get(name).map(|value| value.to_str().unwrap_or_default());
    let authority = text(&HOST).unwrap_or_default();
    let host =
        Uri::try_from(authority).ok().and_then(|uri| uri.host().map(str::to_owned)).unwrap_or_default();
    let is_address = host.trim_matches(['[', ']']).parse::<IpAddr>().is_ok();
    let other_origin = text(&ORIGIN).is_some_and(|origin| origin.strip_prefix("http://") != Some(authority));
    let other_site = text(&FETCH_SITE).is_some_and(|site| !matches!(site, "same-origin" | "none"));
    (host.contains('.') && !is_address) || other_origin || other_site
}

/// Where a browser says whose page sent a request (W3C Fetch Metadata).
const FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");
const FOREIGN: &str =
    "this request comes from a page of another site: open the status page at http://localhost instead";
const WRONG: &str = "the admin token is missing or wrong: send \"Authorization: Bearer hairpin_...\"; \
                     `hairpin admin-token` makes a token and prints the line for the configuration";

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(fields: &[(&str, &str)]) -> HeaderMap {
        let field = |(name, value): &(&str, &str)| {
            (HeaderName::from_bytes(name.as_bytes()).unwrap(), value.parse().unwrap())
        };
        fields.iter().map(field).collect()
    }

    #[test]
    fn programs_and_the_status_page_itself_may_ask_without_a_token() {
        for own in [
            &[("host", "hairpin")][..],
            &[("host", "localhost:9090")],
            &[("host", "[::1]:9090"), ("sec-fetch-site", "none")],
            &[
                ("host", "127.0.0.1:9090"),
                ("origin", "http://127.0.0.1:9090"),
                ("sec-fetch-site", "same-origin"),
            ],
        ] {
            assert!(!is_foreign(&headers(own)), "{own:?}");
        }
    }

    #[test]
    fn pages_of_other_sites_may_not_whatever_name_they_have_for_the_tunnel() {
        for foreign in [
            &[("host", "localhost:9090"), ("origin", "https://evil.example")][..],
            &[("host", "localhost:9090"), ("origin", "null")],
            &[("host", "localhost:9090"), ("origin", "http://localhost:8080")],
            &[("host", "localhost:9090"), ("sec-fetch-site", "cross-site")],
            &[("host", "localhost:9090"), ("sec-fetch-site", "same-site")],
            &[("host", "evil.example:9090"), ("sec-fetch-site", "same-origin")],
            &[("host", "evil.example:9090")],
        ] {
            assert!(is_foreign(&headers(foreign)), "{foreign:?}");
        }
    }
}
