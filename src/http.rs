//! What browsers and backends ask for over HTTP: pages, credentials, and the way into a room.
//!
//! A connection comes from the front, plain or decrypted, and is served by hyper with bounds on time and size
//! ([`connection`]). Each request is screened ([`screen`]), gets a [`Visitor`] that says who asks, and goes to one of the
//! routes below. What backends ask for is [`api`]: a key is admitted ([`keys`]), the wish checked, and the answer written in
//! the form that its client knows. Errors are RFC 9457 problems ([`problem`]).

pub mod api;
pub mod assets;
mod body;
mod caller;
pub mod connection;
mod cors;
mod credentials;
mod door;
mod formats;
mod frames;
pub mod keys;
pub mod line;
pub mod origins;
pub mod problem;
pub mod refusals;
mod revocation;
mod room_tokens;
pub mod screen;
mod served;
pub mod signaling;
pub mod visitor;
mod wish;

use std::sync::Arc;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::http::StatusCode;
use axum::middleware::{from_fn, from_fn_with_state};
use axum::routing::get;

use crate::clock::Clock;
use crate::config::Create;
use crate::http::api::Api;
use crate::http::origins::Origins;
use crate::http::problem::Problem;
use crate::http::refusals::Refusals;
use crate::signaling::hub::Hub;

pub use visitor::Visitor;

/// What all answers depend on.
pub struct Site {
    /// The clock.
    pub clock: Clock,
    /// Whose pages may do what.
    pub origins: Origins,
    /// What the operator was told of those who may not.
    pub refusals: Refusals,
    /// Who may create rooms, and check the connection.
    pub create: Create,
    /// What backends ask for.
    pub api: Api,
    /// Where rooms are.
    pub hub: Arc<Hub>,
}

/// The largest body that is read, in bytes.
pub const BODY_MAX: usize = 16 << 10;

/// Every route of the site.
pub fn router(site: Arc<Site>) -> Router {
    let policy = Arc::new(screen::Policy::of(&site.origins));
    Router::new()
        .route("/healthz", get(async || "ok\n"))
        .route("/ws", get(signaling::upgrade))
        .merge(assets::routes())
        .merge(api::routes(&site))
        .fallback(assets::not_found)
        .method_not_allowed_fallback(async || Problem::of(StatusCode::METHOD_NOT_ALLOWED))
        .layer(DefaultBodyLimit::max(BODY_MAX))
        .layer(from_fn(screen::screen))
        .layer(from_fn_with_state(policy, screen::harden))
        .with_state(site)
}
