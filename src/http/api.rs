//! The API for backends and their pages: its routes.

mod check_ice;
mod door;
mod ice_servers;
mod page_ice;
mod revocation;
mod room_password;
mod token_issuance;
mod turn_rest;

use std::sync::Arc;

use axum::Router;
use axum::http::header::CONTENT_TYPE;
use axum::middleware::from_fn;
use axum::routing::{MethodRouter, get, post};

use crate::http::app_state::AppState;
use crate::http::cors;

const OPENAPI: &str = include_str!("openapi.json");

/// The routes of the API.
pub(super) fn routes() -> Router<Arc<AppState>> {
    let shared = |route: MethodRouter<Arc<AppState>>| route.options(cors::preflight);
    Router::new()
        .route("/turn", shared(get(turn_rest::turn).post(turn_rest::post_turn)))
        .route("/turn/credentials", shared(get(turn_rest::turn).post(turn_rest::post_turn)))
        .route("/api/v1/ice-servers", shared(get(ice_servers::in_url).post(ice_servers::in_body)))
        .route("/api/v1/credentials/{username}/revoke", shared(post(revocation::revoke)))
        .route("/api/v1/room-tokens", shared(post(token_issuance::make)))
        .route("/api/v1/page-ice", shared(post(page_ice::give)))
        .route("/api/v1/door", shared(post(door::ask)))
        .route("/api/v1/room-password", post(room_password::exchange))
        .route("/api/v1/check-ice", post(check_ice::check_ice))
        .route("/api/v1/openapi.json", get(async || ([(CONTENT_TYPE, "application/json")], OPENAPI)))
        .layer(from_fn(cors::share))
}
