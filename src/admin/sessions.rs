//! Sessions: lists and shows them, and ends one, all of a user, or all of a credential.

use axum::extract::rejection::{PathRejection, QueryRejection};
use axum::extract::{FromRequestParts, Path, Query, State};
use axum::http::StatusCode;
use axum::http::header::CACHE_CONTROL;
use axum::http::request::Parts;
use axum::response::IntoResponse;
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::Deserialize;
use serde_json::json;

use crate::admin::router::Daemon;
use crate::http::problem::{Problem, bad};
use crate::observed::session::{self, Cursor, LIMIT_MAX, SessionId, Sort};

/// The routes of this file.
pub(super) fn routes() -> Router<Daemon> {
    Router::new()
        .route("/sessions", get(list).delete(end_user))
        .route("/sessions/{id}", get(show).delete(end))
        .route("/credentials/{username}/revoke", post(revoke))
}

/// The parameters of a list. A misspelt parameter is an error, because the list would be another one than was asked for.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ListParameters {
    user: Option<String>,
    #[serde(default)]
    sort: Sort,
    limit: Option<usize>,
    cursor: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct UserParameters {
    user: String,
}

type Parameters<T> = Result<Query<T>, QueryRejection>;

/// `GET /sessions`
async fn list(
    State(daemon): State<Daemon>,
    parameters: Parameters<ListParameters>,
) -> Result<impl IntoResponse, Problem> {
    let Query(ListParameters { user, sort, limit, cursor }) = parameters?;
    let defaults = session::Query::default();
    let limit = limit.unwrap_or(defaults.limit);
    if !(1..=LIMIT_MAX).contains(&limit) {
        return Err(bad(format!("limit must be a number from 1 to {LIMIT_MAX}")));
    }
    let cursor = cursor.map(|text| text.parse::<Cursor>()).transpose();
    let cursor = cursor.map_err(|_| bad("cursor must be `next` of an earlier response"))?;
    let sessions = daemon.relay().sessions(&session::Query { user, sort, limit, cursor }).await;
    Ok(([(CACHE_CONTROL, "no-store")], Json(sessions)))
}

/// `GET /sessions/{id}`
async fn show(State(daemon): State<Daemon>, Id(id): Id) -> Result<impl IntoResponse, Problem> {
    let session = daemon.relay().session(id).await.ok_or_else(missing)?;
    Ok(([(CACHE_CONTROL, "no-store")], Json(session)))
}

/// `DELETE /sessions/{id}`
async fn end(State(daemon): State<Daemon>, Id(id): Id) -> Result<StatusCode, Problem> {
    if daemon.relay().end(id).await { Ok(StatusCode::NO_CONTENT) } else { Err(missing()) }
}

/// `DELETE /sessions?user=TAG`
async fn end_user(
    State(daemon): State<Daemon>,
    parameters: Parameters<UserParameters>,
) -> Result<impl IntoResponse, Problem> {
    // Without this parameter the request would mean all sessions, which is hardly ever meant.
    let Query(UserParameters { user }) = parameters?;
    Ok(Json(json!({ "ended": daemon.relay().end_user(&user).await })))
}

/// `POST /credentials/{username}/revoke`
async fn revoke(
    State(daemon): State<Daemon>,
    username: Result<Path<String>, PathRejection>,
) -> Result<StatusCode, Problem> {
    let Path(username) = username?;
    daemon.revoke(&username)?;
    Ok(StatusCode::NO_CONTENT)
}

/// The id in the path. A text that is not an id names no session.
struct Id(SessionId);

impl<S: Send + Sync> FromRequestParts<S> for Id {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let Path(text) = Path::<String>::from_request_parts(parts, state).await?;
        text.parse().map(Self).map_err(|_| missing())
    }
}

fn missing() -> Problem {
    Problem::new(StatusCode::NOT_FOUND, "there is no session with this id: it has ended, or never existed")
}
