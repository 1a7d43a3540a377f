//! Whether a request may ask: over TCP it must show the token of `[admin] token_hash`.

use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};

use crate::api_key::KeyHash;
use crate::http::authentication::bearer;
use crate::http::problem::Problem;

/// The token that a request must show.
#[derive(Debug, Clone, Copy)]
pub(super) enum Token {
    /// None: the file system says who may connect.
    Needless,
    /// The token with this hash; without a hash, no token is right.
    Required(Option<KeyHash>),
}

/// Passes a request on if it shows the token, and answers 401 if it does not.
pub(super) async fn authorize(State(token): State<Token>, request: Request, next: Next) -> Response {
    let is_right = match token {
        Token::Needless => true,
        // Hashes are compared, so the time that this takes tells nothing of the token.
        Token::Required(hash) => {
            bearer(request.headers()).is_some_and(|shown| hash == Some(KeyHash::of(shown)))
        }
    };
    if is_right {
        return next.run(request).await;
    }
    Problem::new(StatusCode::UNAUTHORIZED, WRONG).into_response()
}

const WRONG: &str = "the admin token is missing or wrong: send \"Authorization: Bearer hairpin_...\"; \
                     `hairpin admin-token` makes a token and prints the line for the configuration";
