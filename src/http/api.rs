//! The API for backends and their pages: its routes, and what its answers are made from.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::http::header::CONTENT_TYPE;
use axum::middleware::from_fn_with_state;
use axum::routing::{MethodRouter, get, post};
use base64::prelude::{BASE64_URL_SAFE_NO_PAD, Engine as _};
use rand::rngs::StdRng;
use rand::{RngCore as _, SeedableRng as _};

use crate::bounds::net_throttle::NetThrottle;
use crate::bounds::rate::Rate;
use crate::config::ApiKey;
use crate::credentials::Credentials;
use crate::http::keys::Keys;
use crate::http::{Site, cors, credentials, door, revocation, room_tokens};
use crate::ice::IceServers;
use crate::relay::Relay;
use crate::room_token::RoomTokens;

/// What the answers are made from.
pub struct Api {
    pub(super) credentials: Credentials,
    pub(super) ice: IceServers,
    pub(super) room_tokens: RoomTokens,
    /// Where credentials are revoked.
    pub(super) relay: Relay,
    /// How often each address, and each network, checks the connection.
    pub(super) checks: Mutex<NetThrottle>,
    /// How often each asks whether it would be let in.
    pub(super) doors: Mutex<NetThrottle>,
    keys: Mutex<Keys>,
    rng: Mutex<StdRng>,
}

/// Checks of the connection that one address may make, in a minute and at once: a class behind one address checks at the same
/// time. What it may have by these credentials is bounded as for any other.
const CHECKS: u64 = 60;
const CHECKS_AT_ONCE: u64 = 120;
/// How often one address may ask whether it would be let in, in a minute and at once. A class behind one address opens its
/// pages at the same time, and the answer costs less than a page.
const DOORS: u64 = 600;
const DOORS_AT_ONCE: u64 = 200;

const MINUTE: Duration = Duration::from_secs(60);

const OPENAPI: &str = include_str!("openapi.json");

impl Api {
    /// An API that gives credentials for `ice` to whoever has one of `keys`. `seed` must be unpredictable: users without
    /// a name get one from it.
    #[must_use]
    pub fn new(
        credentials: Credentials,
        ice: IceServers,
        keys: &[ApiKey],
        relay: Relay,
        seed: [u8; 32],
    ) -> Self {
        Self {
            room_tokens: RoomTokens::new(credentials.secrets()),
            credentials,
            ice,
            relay,
            checks: Mutex::new(NetThrottle::new(Rate::new(CHECKS, MINUTE, CHECKS_AT_ONCE))),
            doors: Mutex::new(NetThrottle::new(Rate::new(DOORS, MINUTE, DOORS_AT_ONCE))),
            keys: Mutex::new(Keys::new(keys)),
            rng: Mutex::new(StdRng::from_seed(seed)),
        }
    }

    /// The keys. What they count is right between any two statements, so a panic elsewhere spoils nothing.
    pub(super) fn keys(&self) -> MutexGuard<'_, Keys> {
        self.keys.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A name for somebody who has none: 72 random bits.
    pub(super) fn somebody(&self) -> String {
        let mut bytes = [0; 9];
        self.rng.lock().unwrap_or_else(PoisonError::into_inner).fill_bytes(&mut bytes);
        BASE64_URL_SAFE_NO_PAD.encode(bytes)
    }
}

/// The routes of the API.
pub(super) fn routes(site: &Arc<Site>) -> Router<Arc<Site>> {
    let shared = |route: MethodRouter<Arc<Site>>| route.options(cors::preflight);
    Router::new()
        .route("/turn", shared(get(credentials::turn).post(credentials::post_turn)))
        .route("/turn/credentials", shared(get(credentials::turn).post(credentials::post_turn)))
        .route(
            "/api/v1/ice-servers",
            shared(get(credentials::ice_servers).post(credentials::make_ice_servers)),
        )
        .route("/api/v1/credentials/{username}/revoke", shared(post(revocation::revoke)))
        .route("/api/v1/room-tokens", shared(post(room_tokens::make)))
        .route("/api/v1/door", shared(post(door::ask)))
        .route("/api/v1/check-ice", post(credentials::check_ice))
        .route("/api/v1/openapi.json", get(async || ([(CONTENT_TYPE, "application/json")], OPENAPI)))
        .layer(from_fn_with_state(Arc::clone(site), cors::share))
}
