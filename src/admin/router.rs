//! All routes of the admin service, and the layers that every request passes.

use std::sync::Arc;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::http::StatusCode;
use axum::middleware::{from_fn, from_fn_with_state};

use crate::admin::authorize::{Token, authorize};
use crate::admin::observe::History;
use crate::admin::{Administered, drain, observe, reload, rooms, sessions, usage};
use crate::current::Current;
use crate::http::assets;
use crate::http::origins::Origins;
use crate::http::problem::Problem;
use crate::http::screen::{self, Policy};

/// What the handlers share.
pub(super) type Daemon = Arc<dyn Administered>;

/// Bytes of the largest request body; a larger one is answered 413.
const BODY_MAX: usize = 16 << 10;

/// Every route, for requests that show `token`. Only the status page itself needs none.
pub(super) fn router(daemon: Daemon, history: History, token: Token) -> Router {
    let policy = Arc::new(Current::new(Policy::of(&Origins::default(), &[])));
    let routes = Router::new()
        .merge(observe::routes())
        .merge(observe::history_routes(history))
        .merge(sessions::routes())
        .merge(rooms::routes())
        .merge(reload::routes())
        .merge(drain::routes())
        .merge(usage::routes())
        .fallback(async || Problem::of(StatusCode::NOT_FOUND))
        .method_not_allowed_fallback(async || Problem::of(StatusCode::METHOD_NOT_ALLOWED))
        .layer(DefaultBodyLimit::max(BODY_MAX))
        .layer(from_fn_with_state(token, authorize));
    // The status page holds nothing by itself. It asks for the token, and shows it with each request.
    routes
        .merge(assets::admin_routes())
        .layer(from_fn(screen::screen))
        .layer(from_fn_with_state(policy, screen::harden))
        .with_state(daemon)
}
