//! The state that all handlers share: one value, made when the daemon starts.

use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use base64::prelude::{BASE64_URL_SAFE_NO_PAD, Engine as _};
use rand::rngs::StdRng;
use rand::{RngCore as _, SeedableRng as _};

use crate::bounds::net_throttle::NetThrottle;
use crate::bounds::rate::Rate;
use crate::clock::{Clock, Moment};
use crate::credentials::Credentials;
use crate::http::counters::HttpCounters;
use crate::http::keys::Keys;
use crate::http::origins::Origins;
use crate::http::plan::Plan;
use crate::http::problem::Problem;
use crate::http::refusals::Refusals;
use crate::ice::IceServers;
use crate::relay::Relay;
use crate::room_token::{Create, RoomTokens};
use crate::signaling::hub::Hub;

/// The state that all handlers share.
pub(super) struct AppState {
    /// The clock.
    pub(super) clock: Clock,
    /// Counts requests.
    pub(super) counters: Arc<HttpCounters>,
    /// Which pages may do what.
    pub(super) origins: Arc<Origins>,
    /// Logs refused pages.
    pub(super) refusals: Refusals,
    /// Who may create rooms and test the connection.
    pub(super) create: Create,
    /// Issues credentials, and knows the revoked ones.
    pub(super) credentials: Credentials,
    /// The servers that credentials are for.
    pub(super) ice: IceServers,
    /// Makes and checks room tokens.
    pub(super) room_tokens: RoomTokens,
    /// The relay, which revokes credentials.
    pub(super) relay: Relay,
    /// The rooms.
    pub(super) hub: Arc<Hub>,
    /// Limits how often each address and each network tests the connection.
    pub(super) checks: Limiter,
    /// Limits how often each address and each network asks whether it may open a WebSocket.
    pub(super) doors: Limiter,
    keys: Mutex<Keys>,
    rng: Mutex<StdRng>,
}

/// A rate limit for each client address and network.
pub(super) struct Limiter(Mutex<NetThrottle>);

/// Connection tests of one address, per minute and at once: a class behind one address tests at the same time. The
/// credentials for these tests have the same limits as all others.
const CHECKS: u64 = 60;
const CHECKS_AT_ONCE: u64 = 120;
/// How often one address may ask whether it may open a WebSocket, per minute and at once. A class behind one address opens
/// its pages at the same time, and the answer costs less than a page.
const DOORS: u64 = 600;
const DOORS_AT_ONCE: u64 = 200;

const MINUTE: Duration = Duration::from_secs(60);

impl AppState {
    /// The initial state. `seed` must be unpredictable: it makes the names of users for whom a backend gives no name.
    pub(super) fn new(plan: Plan, relay: Relay, hub: Arc<Hub>, clock: Clock, seed: [u8; 32]) -> Self {
        let Plan { origins, create, credentials, ice, keys, proxies: _ } = plan;
        Self {
            clock,
            counters: Arc::default(),
            origins: Arc::new(origins),
            refusals: Refusals::default(),
            create,
            room_tokens: RoomTokens::new(credentials.secrets()),
            credentials,
            ice,
            relay,
            hub,
            checks: Limiter::new(Rate::new(CHECKS, MINUTE, CHECKS_AT_ONCE)),
            doors: Limiter::new(Rate::new(DOORS, MINUTE, DOORS_AT_ONCE)),
            keys: Mutex::new(Keys::new(&keys)),
            rng: Mutex::new(StdRng::from_seed(seed)),
        }
    }

    /// The API keys. Their counts are consistent after every statement, so a poisoned lock does no harm.
    pub(super) fn keys(&self) -> MutexGuard<'_, Keys> {
        self.keys.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A name of 72 random bits, for a user without a name.
    pub(super) fn random_user(&self) -> String {
        let mut bytes = [0; 9];
        self.rng.lock().unwrap_or_else(PoisonError::into_inner).fill_bytes(&mut bytes);
        BASE64_URL_SAFE_NO_PAD.encode(bytes)
    }
}

impl Limiter {
    fn new(of_address: Rate) -> Self {
        Self(Mutex::new(NetThrottle::new(of_address)))
    }

    /// Counts one request from `ip`. An error says when the client may try again.
    pub(super) fn take(&self, ip: IpAddr, now: Moment) -> Result<(), Problem> {
        let mut throttle = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        throttle.take(ip, now).map_err(|(_, wait)| Problem::too_often(wait))
    }
}
