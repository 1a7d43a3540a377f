//! Reads the JSON of a request: an object, or nothing, which stands for an empty one.

use axum::body::Bytes;
use axum::extract::{FromRequest, Request};
use axum::http::StatusCode;
use serde::de::DeserializeOwned;

use crate::http::problem::Problem;

/// What a request asks for. Its content type does not matter: whoever writes JSON means it.
pub(super) struct Body<T>(pub(super) T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Body<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        let bytes = Bytes::from_request(request, state).await;
        let bytes = bytes.map_err(|rejection| Problem::new(rejection.status(), rejection.body_text()))?;
        let json: &[u8] = if bytes.is_empty() { b"{}" } else { &bytes };
        let wrong = |error| {
            Problem::new(StatusCode::BAD_REQUEST, format!("the body is not as it should be: {error}"))
        };
        serde_json::from_slice(json).map(Self).map_err(wrong)
    }
}
