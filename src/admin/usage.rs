//! What each user has used on each day.

use std::time::Duration;

use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::http::header::CACHE_CONTROL;
use axum::response::IntoResponse;
use axum::routing::get;
use axum::{Json, Router};
use base64::prelude::{BASE64_URL_SAFE_NO_PAD, Engine as _};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::time::timeout;

use crate::admin::router::Daemon;
use crate::http::problem::{Problem, bad};
use crate::usage::day::Day;
use crate::usage::{self, Entry, Key, ReportError, columns};

/// Entries of one response, if the request does not say how many.
const USUAL: u32 = 1000;
/// The most entries of one response: some 2 MB.
const MOST: u32 = 10_000;
/// How long a response waits for the disk.
const PATIENCE: Duration = Duration::from_secs(8);

/// The query of the URL.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Asked {
    since: Option<String>,
    user: Option<String>,
    limit: Option<u32>,
    cursor: Option<String>,
}

/// The routes of this file.
pub(super) fn routes() -> Router<Daemon> {
    Router::new().route("/usage", get(report))
}

async fn report(
    State(daemon): State<Daemon>,
    asked: Result<Query<Asked>, QueryRejection>,
) -> Result<impl IntoResponse, Problem> {
    let Query(asked) = asked?;
    let query = asked.read()?;
    let limit = query.limit;
    let report = timeout(PATIENCE, daemon.usage().report(query)).await;
    let report = report.map_err(|_| unavailable(SLOW))?.map_err(|error| match error {
        ReportError::Off => Problem::new(StatusCode::NOT_FOUND, OFF),
        ReportError::Unreadable(reason) => unavailable(&reason),
    })?;
    let last = report.entries.last().filter(|_| report.entries.len() as u64 == u64::from(limit));
    let body = json!({
        "since": report.since.to_string(),
        "seconds_behind": report.behind.as_secs(),
        "usage": report.entries.iter().map(show).collect::<Value>(),
        "cursor": last.map(|last| write_cursor(&last.key())),
    });
    Ok(([(CACHE_CONTROL, "no-store")], Json(body)))
}

impl Asked {
    fn read(self) -> Result<usage::Query, Problem> {
        let since = self.since.map(|since| since.parse::<Day>()).transpose();
        let limit = self.limit.unwrap_or(USUAL);
        if !(1..=MOST).contains(&limit) {
            return Err(bad(format!("limit={limit} is not allowed: write a number from 1 to {MOST}")));
        }
        let cursor = self.cursor.map(|cursor| read_cursor(&cursor).ok_or_else(|| bad(CURSOR)));
        Ok(usage::Query {
            since: since.map_err(|error| bad(format!("since: {error}")))?.unwrap_or_default(),
            user: self.user,
            after: cursor.transpose()?,
            limit,
        })
    }
}

fn show(entry: &Entry) -> Value {
    let (kind, user) = columns(entry.owner.as_ref());
    let usage::ledger::Used { sessions, seconds, bytes_up, bytes_down } = entry.used;
    json!({
        "day": entry.day.to_string(),
        "kind": kind,
        "user": user,
        "sessions": sessions,
        "seconds": seconds,
        "bytes_up": bytes_up,
        "bytes_down": bytes_down,
    })
}

fn write_cursor(Key { day, kind, user }: &Key) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(format!("{day} {kind} {user}"))
}

fn read_cursor(cursor: &str) -> Option<Key> {
    let text = String::from_utf8(BASE64_URL_SAFE_NO_PAD.decode(cursor).ok()?).ok()?;
    let mut parts = text.splitn(3, ' ').map(str::to_owned);
    Some(Key { day: parts.next()?.parse().ok()?, kind: parts.next()?, user: parts.next()? })
}

fn unavailable(reason: &str) -> Problem {
    Problem::new(StatusCode::SERVICE_UNAVAILABLE, reason)
}

const OFF: &str = "usage is not stored: set usage.path in the configuration";
const SLOW: &str = "the file of usage.path does not answer: check its disk";
const CURSOR: &str = "cursor is not one that a response contained: leave it out to begin at the first entry";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_is_read_as_it_is_written_and_anything_else_is_an_error() {
        let key =
            Key { day: "2026-11-27".parse().unwrap(), kind: "tag".to_owned(), user: "a b 한".to_owned() };
        assert_eq!(read_cursor(&write_cursor(&key)), Some(key));
        for wrong in ["", "?", "AAAA", "MjAyNi0xMS0yNw", "eCB5IHo"] {
            assert_eq!(read_cursor(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_query_is_checked_before_the_daemon_is_asked() {
        let limit = |limit| Asked { limit: Some(limit), ..Asked::default() };
        assert!(limit(0).read().is_err() && limit(MOST + 1).read().is_err() && limit(MOST).read().is_ok());
        assert!(Asked { since: Some("7d".to_owned()), ..Asked::default() }.read().is_err());
        assert!(Asked { cursor: Some("x".to_owned()), ..Asked::default() }.read().is_err());
        assert_eq!(Asked::default().read().map(|query| query.limit), Ok(USUAL));
    }
}
