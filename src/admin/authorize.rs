//! Whether a request may ask: over TCP it must show the token of `[admin] token_hash`.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::StatusCode;
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

/// Passes a request on if it shows the token, and answers 401 if it does not.
pub(super) async fn authorize(State(token): State<Token>, request: Request, next: Next) -> Response {
    let is_right = match token {
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

const WRONG: &str = "the admin token is missing or wrong: send \"Authorization: Bearer hairpin_...\"; \
                     `hairpin admin-token` makes a token and prints the line for the configuration";
