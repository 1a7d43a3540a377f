//! Reads the body of a request. The Content-Type is ignored.

use axum::body::Bytes;
use axum::extract::{FromRequest, Request};
use serde::de::DeserializeOwned;
use url::form_urlencoded;

use crate::http::problem::{Problem, bad};

/// The JSON object with a request's parameters. A missing body counts as an empty object.
pub(super) struct Body<T>(pub(super) T);

/// The fields of a form, in their order.
pub(super) struct Form(pub(super) Vec<(String, String)>);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Body<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        let bytes = read(request, state).await?;
        let json: &[u8] = if bytes.is_empty() { b"{}" } else { &bytes };
        // serde would accept a list of the fields' values in order, which is not part of the API.
        if json.trim_ascii_start().first() == Some(&b'[') {
            return Err(bad("the body must be an object, such as {\"ttl\": 600}, or empty"));
        }
        serde_json::from_slice(json).map(Self).map_err(|error| bad(format!("invalid request body: {error}")))
    }
}

impl<S: Send + Sync> FromRequest<S> for Form {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        let bytes = read(request, state).await?;
        Ok(Self(form_urlencoded::parse(&bytes).into_owned().collect()))
    }
}

async fn read<S: Send + Sync>(request: Request, state: &S) -> Result<Bytes, Problem> {
    let bytes = Bytes::from_request(request, state).await;
    bytes.map_err(|rejection| Problem::new(rejection.status(), rejection.body_text()))
}
