//! `/api/v1/ice-servers`: gives a backend, or a page that has an API key, a time-limited credential with its ICE servers.

use std::sync::Arc;

use axum::Json;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::http::{HeaderMap, StatusCode};
use serde::Deserialize;
use serde_json::Value;

use crate::bounds::reached::Limit;
use crate::http::app_state::AppState;
use crate::http::authentication::{self, KeyHolder};
use crate::http::body::Body;
use crate::http::counters::Endpoint;
use crate::http::credential_request::{CredentialQuery, CredentialRequest, is_cut, ttl};
use crate::http::formats::Format;
use crate::http::problem::Problem;
use crate::http::requester::Requester;
use crate::sections::http::ApiKey;

/// The format of the answer, in the URL of any request.
#[derive(Deserialize)]
pub(super) struct FormatQuery {
    #[serde(default)]
    format: Format,
}

/// The API key, in the URL of a GET request.
#[derive(Deserialize)]
pub(super) struct KeyQuery {
    key: Option<String>,
}

/// The parameters in a URL, or why they are invalid.
pub(super) type Parsed<T> = Result<Query<T>, QueryRejection>;
/// A credential in the requested format, or why there is none.
pub(super) type Issued = Result<(StatusCode, Json<Value>), Problem>;

/// `GET /api/v1/ice-servers`, for software that can only fetch a URL.
pub(super) async fn in_url(
    State(state): State<Arc<AppState>>,
    requester: Requester,
    headers: HeaderMap,
    key: Parsed<KeyQuery>,
    format: Parsed<FormatQuery>,
    query: Parsed<CredentialQuery>,
) -> Issued {
    let Query(KeyQuery { key }) = key?;
    let shown = authentication::shown(&headers, key.as_deref()).ok_or_else(authentication::no_key)?;
    let key = authentication::admit(&state, &requester, shown)?;
    let request = CredentialRequest::try_from(query?.0)?;
    issue(&state, &key, &request, (format?.format, Endpoint::IceServers))
}

/// `POST /api/v1/ice-servers`
pub(super) async fn in_body(
    State(state): State<Arc<AppState>>,
    KeyHolder(key): KeyHolder,
    format: Parsed<FormatQuery>,
    Body(request): Body<CredentialRequest>,
) -> Issued {
    let (_, answer) = issue(&state, &key, &request, (format?.format, Endpoint::IceServers))?;
    Ok((StatusCode::CREATED, answer))
}

/// Makes the credential that the holder of `key` requests at an endpoint, in a format.
pub(super) fn issue(
    state: &AppState,
    key: &ApiKey,
    request: &CredentialRequest,
    (format, endpoint): (Format, Endpoint),
) -> Issued {
    state.admits_new()?;
    let (rules, somebody) = (state.rules(), state.random_user());
    let tag = request.tag(key, &rules.credentials, &somebody)?;
    let (ttl, transports) = (ttl(request.ttl, key)?, request.transports()?);
    let now = state.clock.now();
    if is_cut(request.ttl, key) {
        state.journal.limit(Limit::KeyLifetime, now.moment);
    }
    let given = rules.ice.configuration(&rules.credentials, &tag, now.unix, ttl, transports);
    let answer = format.write(&given.ok_or_else(no_server)?);
    state.counters.issued(endpoint);
    Ok((StatusCode::OK, Json(answer)))
}

/// The answer if there is no TURN URL, or no credential can be made.
pub(super) fn no_server() -> Problem {
    Problem::new(StatusCode::NOT_FOUND, NO_SERVER)
}

const NO_SERVER: &str = "there is no server to use: no secret is configured, browsers can use none of its ports, or \
                         all credentials of this user are revoked";
