//! The state that all handlers share: one value, made when the daemon starts. A reload replaces its rules.

use std::net::IpAddr;
use std::num::NonZeroU64;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::http::StatusCode;
use base64::prelude::{BASE64_URL_SAFE_NO_PAD, Engine as _};
use rand::rngs::StdRng;
use rand::{RngCore as _, SeedableRng as _};

use crate::bounds::net_throttle::NetThrottle;
use crate::bounds::rate::Rate;
use crate::certificates::Challenges;
use crate::clock::{Clock, Moment};
use crate::compat;
use crate::compat::peerjs::exchange::Exchange;
use crate::compat::socketio::sessions::Sessions;
use crate::credentials::Credentials;
use crate::current::Current;
use crate::http::asset::Asset;
use crate::http::assets::{Assets, SCRIPT};
use crate::http::counters::HttpCounters;
use crate::http::keys::Keys;
use crate::http::passwords::Passwords;
use crate::http::plan::Plan;
use crate::http::problem::Problem;
use crate::http::refusals::Refusals;
use crate::http::requester::Trust;
use crate::http::screen::Policy;
use crate::ice::IceServers;
use crate::journal::Journal;
use crate::origin::Origin;
use crate::password::PasswordHash;
use crate::relay::Relay;
use crate::room_token::{Create, RoomTokens};
use crate::sections::compat::Compat;
use crate::sections::http::ApiKey;
use crate::signaling::hub::Hub;

/// The state that all handlers share.
pub(super) struct AppState {
    /// The clock.
    pub(super) clock: Clock,
    /// Counts requests.
    pub(super) counters: Arc<HttpCounters>,
    /// What the senders of requests are recognised by.
    pub(super) trust: Arc<Current<Trust>>,
    /// The headers of every answer.
    pub(super) policy: Arc<Current<Policy>>,
    /// The pages, and their scripts, styles and images.
    pub(super) assets: Arc<Current<Assets>>,
    /// What is reported for the log.
    pub(super) journal: Arc<Journal>,
    /// Logs refused pages.
    pub(super) refusals: Refusals,
    /// The relay, which revokes credentials.
    pub(super) relay: Relay,
    /// The rooms.
    pub(super) hub: Arc<Hub>,
    /// The clients of PeerJS.
    pub(super) peerjs: Arc<Exchange>,
    /// The clients of socket.io.
    pub(super) socketio: Arc<Sessions>,
    /// The script that their pages load.
    pub(super) socketio_script: Current<Option<Asset>>,
    /// Which clients of other signaling servers are served, and where.
    pub(super) compat: Current<Compat>,
    /// What a certificate authority asks for.
    pub(super) challenges: Arc<Challenges>,
    /// Limits how often each address and each network tests the connection.
    pub(super) checks: Limiter,
    /// Limits how often each address and each network asks for the ICE servers of a page.
    pub(super) pages: Limiter,
    /// Limits how often each address and each network asks whether it may open a WebSocket.
    pub(super) doors: Limiter,
    /// Limits how often each address and each network asks for an id or for the list of peers.
    pub(super) ids: Limiter,
    /// Checks passwords.
    pub(super) passwords: Passwords,
    rules: Current<Rules>,
    /// Whether the daemon is about to stop.
    draining: AtomicBool,
    keys: Mutex<Keys>,
    rng: Mutex<StdRng>,
}

/// What the configuration decides for handlers.
pub(super) struct Rules {
    /// Who may create rooms and test the connection.
    pub(super) create: Create,
    /// The hash of the password for which people may create rooms.
    pub(super) password: Option<PasswordHash>,
    /// Issues credentials, and knows the revoked ones.
    pub(super) credentials: Credentials,
    /// The servers that credentials are for.
    pub(super) ice: IceServers,
    /// Bits of payload that one connection may relay per second in each direction.
    pub(super) bits_per_second: NonZeroU64,
    /// Makes and checks room tokens.
    pub(super) room_tokens: RoomTokens,
}

/// A rate limit for each client address and network.
pub(super) struct Limiter(Mutex<NetThrottle>);

/// Connection tests of one address, per minute and at once, and pages that ask for ICE servers: a class behind one address
/// begins at the same time. The credentials for these have the same limits as all others.
const CHECKS: u64 = 60;
const CHECKS_AT_ONCE: u64 = 120;
/// How often one address may ask whether it may open a WebSocket, or for an id of a PeerJS client, per minute and at once. A class behind one address opens
/// its pages at the same time, and the answer costs less than a page.
const DOORS: u64 = 600;
const DOORS_AT_ONCE: u64 = 200;

/// When a client may try again that was refused because the daemon is about to stop. By then a load balancer has chosen
/// another server, or this one has been restarted.
const AFTER_DRAINING: Duration = Duration::from_secs(5);

const MINUTE: Duration = Duration::from_secs(60);

impl AppState {
    /// The initial state. `seed` must be unpredictable: it makes the names of users for whom a backend gives no name.
    pub(super) fn new(
        plan: Plan,
        (relay, hub, challenges): (Relay, Arc<Hub>, Arc<Challenges>),
        journal: Arc<Journal>,
        clock: Clock,
        seed: [u8; 32],
    ) -> Self {
        let (trust, rules, ancestors, keys, compat) = split(plan);
        let mut rng = StdRng::from_seed(seed);
        let peerjs = Exchange::new(&compat, Arc::clone(&journal), clock, random(&mut rng));
        let socketio = Sessions::new(Arc::clone(&hub), clock, random(&mut rng));
        Self {
            clock,
            counters: Arc::default(),
            policy: Arc::new(Current::new(Policy::of(&trust.origins, &ancestors))),
            assets: Arc::new(Current::new(Assets::new(trust.origins.base(), &ancestors))),
            trust: Arc::new(Current::new(trust)),
            journal,
            refusals: Refusals::default(),
            rules: Current::new(rules),
            relay,
            hub,
            peerjs,
            socketio,
            socketio_script: Current::new(socketio_script(&compat)),
            compat: Current::new(compat.compat),
            challenges,
            checks: Limiter::new(Rate::new(CHECKS, MINUTE, CHECKS_AT_ONCE)),
            pages: Limiter::new(Rate::new(CHECKS, MINUTE, CHECKS_AT_ONCE)),
            doors: Limiter::new(Rate::new(DOORS, MINUTE, DOORS_AT_ONCE)),
            ids: Limiter::new(Rate::new(DOORS, MINUTE, DOORS_AT_ONCE)),
            passwords: Passwords::default(),
            draining: AtomicBool::new(false),
            keys: Mutex::new(Keys::new(&keys)),
            rng: Mutex::new(rng),
        }
    }

    /// Replaces what the configuration decides. What was counted stays counted.
    pub(super) fn apply(&self, plan: Plan) {
        let (trust, rules, ancestors, keys, compat) = split(plan);
        self.keys().apply(&keys);
        self.peerjs.apply(&compat, &trust.denied);
        self.socketio_script.set(socketio_script(&compat));
        if !compat.compat.socketio {
            self.socketio.end_all();
        }
        self.compat.set(compat.compat);
        self.rules.set(rules);
        self.policy.set(Policy::of(&trust.origins, &ancestors));
        self.assets.set(Assets::new(trust.origins.base(), &ancestors));
        self.trust.set(trust);
    }

    /// What the configuration decides. A handler asks once, so that all its answers are of one configuration.
    pub(super) fn rules(&self) -> Arc<Rules> {
        self.rules.get()
    }

    /// Refuses new clients from now on, because the daemon is about to stop.
    pub(super) fn drain(&self) {
        self.draining.store(true, Ordering::Relaxed);
        self.peerjs.drain();
    }

    /// Whether new clients may come: a credential from a server that is about to stop is of no use.
    pub(super) fn admits_new(&self) -> Result<(), Problem> {
        if !self.draining.load(Ordering::Relaxed) {
            return Ok(());
        }
        let (status, detail) =
            (StatusCode::SERVICE_UNAVAILABLE, "the server is about to stop: ask another one");
        Err(Problem::no_place(status, "draining", detail, AFTER_DRAINING))
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

fn socketio_script(plan: &compat::Plan) -> Option<Asset> {
    plan.socketio_client.as_deref().map(|text| Asset::new(SCRIPT, text.as_bytes().to_vec()))
}

fn random(rng: &mut StdRng) -> [u8; 32] {
    let mut bytes = [0; 32];
    rng.fill_bytes(&mut bytes);
    bytes
}

fn split(plan: Plan) -> (Trust, Rules, Vec<Origin>, Vec<ApiKey>, compat::Plan) {
    let Plan {
        origins,
        frame_ancestors,
        create,
        password,
        credentials,
        ice,
        bits_per_second,
        keys,
        proxies,
        denied,
        compat,
    } = plan;
    let room_tokens = RoomTokens::new(credentials.secrets()).with_password(password.as_ref());
    (
        Trust { origins, proxies, denied },
        Rules { create, password, credentials, ice, bits_per_second, room_tokens },
        frame_ancestors,
        keys,
        compat,
    )
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
