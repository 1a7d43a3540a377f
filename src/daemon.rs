//! The daemon: four services and their administration, started from one configuration, and their life together.
//!
//! [`Daemon::start`] finds out what this machine has, binds every socket, makes the plans and starts the services. When it
//! returns, clients are served.

mod drain;
mod error;
mod follow;
mod listen;
mod plan;
mod process;
mod reload;
mod resources;
mod takeover;

use std::net::{SocketAddr, TcpListener};
use std::ops::RangeInclusive;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use serde_json::Value;
use tokio::sync::Notify;

use crate::acme::Acme;
use crate::admin::{self, Admin, Administered, Report};
use crate::bounds::admission::Admission;
use crate::certificates::{Certificates, Renewal};
use crate::clock::{Clock, Unix};
use crate::config::Config;
use crate::credentials::{Credentials, RevokeError};
use crate::current::Current;
use crate::daemon::follow::Follower;
use crate::daemon::listen::{Bound, Opened, Way};
use crate::daemon::plan::{Found, Plans};
use crate::daemon::resources::Resources;
use crate::daemon::takeover::Predecessor;
use crate::discovery::Finder;
use crate::files::state_directory;
use crate::front::{Door, Front, Kind};
use crate::http::Site;
use crate::journal::Journal;
use crate::journal::minutes::Minutes;
use crate::life::Denied;
use crate::log;
use crate::metrics::{Metrics, ReloadCounters};
use crate::network::address::RelayAddress;
use crate::network::interfaces;
use crate::observed::{Lifecycle, Observed};
use crate::relay::Relay;
use crate::secret::Secret;
use crate::sections::admin::AdminAddress;
use crate::signaling::hub::Hub;
use crate::system;
use crate::usage::Usage;

pub use error::StartError;
pub use reload::NotReloaded;

/// A running daemon.
pub struct Daemon {
    services: Arc<Services>,
    admin: Option<Admin>,
    follower: Follower,
    metrics: Metrics,
    certificates: Arc<Certificates>,
}

/// What serves clients.
struct Services {
    relay: Relay,
    hub: Arc<Hub>,
    site: Site,
    front: Front,
    renewal: Renewal,
    acme: Acme,
    minutes: Minutes,
    usage: Usage,
    lifecycle: Mutex<Lifecycle>,
    /// Wakes the one that waits for a drain to begin.
    draining: Notify,
    started: Unix,
    addresses: Current<Addresses>,
    effective: Current<Effective>,
    administration: Arc<Current<admin::Plan>>,
    /// Finds the relay addresses. Held while plans change, so that one change comes after the other.
    finder: Mutex<Finder>,
    reloads: ReloadCounters,
    clock: Clock,
}

/// What the services work by, until a reload replaces it.
struct Effective {
    config: Config,
    found: Found,
    listeners: Listeners,
}

/// The listeners, by the key that wants them.
#[derive(Debug, Clone, Default)]
struct Listeners {
    udp: Vec<Bound>,
    tcp: Vec<Bound>,
    tls: Vec<Bound>,
    http: Vec<Bound>,
}

/// Where a daemon is reached, and where it relays from.
#[derive(Debug, Clone)]
pub struct Addresses {
    /// STUN and TURN over UDP.
    pub udp: Vec<SocketAddr>,
    /// STUN and TURN over TCP, and over TLS where there is a certificate.
    pub tcp: Vec<SocketAddr>,
    /// TURN and HTTP over TLS alone.
    pub tls: Vec<SocketAddr>,
    /// HTTP without TLS.
    pub http: Vec<SocketAddr>,
    /// The relay addresses.
    pub relay: Vec<RelayAddress>,
    /// The relay ports.
    pub ports: RangeInclusive<u16>,
    /// Where administrators reach it.
    pub admin: Vec<AdminAddress>,
}

impl Daemon {
    /// Reads the certificates, binds every socket and starts every thread.
    ///
    /// # Errors
    /// What cannot be had, in words for the operator.
    pub fn start(config: &Config, clock: Clock) -> Result<Self, StartError> {
        let certificates = config.tls.load(&state_directory()).map_err(StartError::Certificates)?;
        Self::start_with(config, certificates, clock)
    }

    /// The same, with the certificates of the configuration, which the caller has read.
    ///
    /// # Errors
    /// As [`Self::start`], without [`StartError::Certificates`].
    pub fn start_with(
        config: &Config,
        certificates: Option<Certificates>,
        clock: Clock,
    ) -> Result<Self, StartError> {
        let predecessor = drain::meeting_point(&config.listen).and_then(Predecessor::at);
        let way = Way::of(config.listen.takeover, predecessor.is_some());
        let own = interfaces::own().map_err(StartError::Blind)?;
        let mut finder = Finder::new(clock, seed()?);
        let looked = finder.look(config.relay.wanted(), &own.addresses);
        let relay_addresses = looked.every_named_one().map_err(|(ip, error)| StartError::Relay(ip, error))?;
        let shards = config.relay.threads.0.map_or_else(cores, |threads| threads.get() as usize);
        let Opened { listeners, sockets, admin } = listen::all(config, shards, way)?;
        let resources = Resources::take(plan::relay_sockets(config, relay_addresses.len()));
        let addresses = listeners.addresses(relay_addresses, config.relay.ports.clone(), admin);
        let secret = (!config.credentials.is_configured()).then(seed).transpose()?.map(Secret::from_random);
        let found = Found { addresses, own, resources, secret, former: None };
        let plans = plan::plans(config, &found);
        plan::connections(config, &found).say(&config.limits, &found.resources);
        say(config, &plans);
        follow::say(config, &found.addresses.relay);

        let Plans { relay, rooms, site, front, admin, usage, acme } = plans;
        let administration = Arc::new(Current::new(admin));
        let certificates = Arc::new(certificates.unwrap_or_default());
        let admission = Arc::new(Admission::new(front.connections));
        let journal = Arc::<Journal>::default();
        let told = || Arc::clone(&journal);
        let minutes = Minutes::start(told(), clock)?;
        let usage = Usage::start(usage, clock)?;
        let reports = (told(), Arc::clone(usage.ledger()));
        let relay = Relay::start(relay, sockets.udp, Arc::clone(&admission), reports, clock, seed()?)?;
        let hub = Hub::start(rooms, told(), clock, seed()?)?;
        let neighbours = (relay.clone(), Arc::clone(&hub), Arc::clone(certificates.challenges()));
        let site = Site::start(site, neighbours, told(), clock, seed()?);
        let doors = doors(&site, sockets.tcp, sockets.tls, sockets.http);
        let shared = (admission, Arc::clone(&certificates));
        let front = Front::start(front, doors, relay.clone(), shared, told(), clock)?;
        let metrics = Metrics::new(relay.counters().to_vec(), Arc::clone(front.counters()));
        let renewal = Renewal::start(Arc::clone(&certificates), clock)?;
        let acme = Acme::start(acme, Arc::clone(&certificates), renewal.reloader(), clock, seed()?)?;
        let services = Arc::new(Services {
            relay,
            hub,
            site,
            front,
            renewal,
            acme,
            minutes,
            usage,
            lifecycle: Mutex::new(Lifecycle::Serving),
            draining: Notify::new(),
            addresses: Current::new(found.addresses.clone()),
            effective: Current::new(Effective { config: config.clone(), found, listeners }),
            administration: Arc::clone(&administration),
            finder: Mutex::new(finder),
            reloads: ReloadCounters::default(),
            clock,
            started: clock.now().unix,
        });
        let admin = admin_service(administration, sockets.admin, &services, clock)?;
        let follower = Follower::start(Arc::clone(&services))?;
        if let Some(predecessor) = predecessor {
            predecessor.relieve();
        }
        Ok(Self { services, admin, follower, metrics, certificates })
    }

    /// Where it is reached.
    #[must_use]
    pub fn addresses(&self) -> Arc<Addresses> {
        self.services.addresses.get()
    }

    /// What it has counted.
    #[must_use]
    pub fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    /// Who may use it.
    #[must_use]
    pub fn credentials(&self) -> Credentials {
        self.services.relay.credentials()
    }

    /// What it shows to TLS clients, if it has any to show.
    #[must_use]
    pub fn certificates(&self) -> Option<&Arc<Certificates>> {
        (!self.certificates.is_empty()).then_some(&self.certificates)
    }

    /// Where its sessions are.
    #[must_use]
    pub fn relay(&self) -> &Relay {
        &self.services.relay
    }

    /// Where its rooms are.
    #[must_use]
    pub fn hub(&self) -> &Hub {
        &self.services.hub
    }

    /// Reads the configuration file again, and applies what has changed. The log and the counters say what became of it.
    ///
    /// # Errors
    /// Why nothing has changed.
    pub fn reload_file(&self) -> Result<Report, NotReloaded> {
        self.services.reload_file()
    }

    /// Applies another configuration, as [`Self::reload_file`] does.
    ///
    /// # Errors
    /// Why nothing has changed.
    pub fn reload(&self, config: &Config) -> Result<Report, NotReloaded> {
        self.services.reload_with(config)
    }

    /// What it holds and has counted.
    #[must_use]
    pub fn snapshot(&self) -> Observed {
        self.services.observe()
    }

    /// Whether every thread of every service answers within `patience`. The threads that read and write files, or ask for
    /// public addresses, are not asked; [`Self::failed`] returns if one ends.
    pub async fn is_alive(&self, patience: Duration) -> bool {
        let Services { relay, hub, site, front, minutes, .. } = &*self.services;
        let admin = async {
            match &self.admin {
                Some(admin) => admin.is_alive(patience).await,
                None => true,
            }
        };
        let (relay, hub, site, front, minutes, admin) = tokio::join!(
            relay.is_alive(patience),
            hub.is_alive(patience),
            site.is_alive(patience),
            front.is_alive(patience),
            minutes.is_alive(patience),
            admin,
        );
        relay && hub && site && front && minutes && admin
    }

    /// Waits until a thread ends by itself, which is always a bug.
    pub async fn failed(&self) {
        let Services { relay, hub, front, renewal, acme, minutes, usage, .. } = &*self.services;
        tokio::select! {
            () = relay.failed() => {}
            () = hub.failed() => {}
            () = front.failed() => {}
            () = minutes.failed() => {}
            () = renewal.failed() => {}
            () = acme.failed() => {}
            () = usage.failed() => {}
            () = self.follower.failed() => {}
            () = if_any(self.admin.as_ref().map(Admin::failed)) => {}
        }
    }

    /// Ends every service, and closes every socket. Members of rooms are told, and have a second to hear it.
    pub fn stop(&self) {
        let Services { relay, hub, site, front, renewal, acme, minutes, usage, .. } = &*self.services;
        *self.services.lifecycle() = Lifecycle::Draining;
        self.follower.stop();
        acme.stop();
        renewal.stop();
        // Before the relay, because a shard that hangs must not keep the members of rooms waiting; and before the front,
        // whose thread carries the goodbyes of the hub.
        hub.stop();
        relay.stop();
        site.stop();
        front.stop();
        minutes.stop();
        // After the relay, whose shards tell at their end what was used.
        usage.stop();
        if let Some(admin) = &self.admin {
            admin.stop();
        }
        *self.services.lifecycle() = Lifecycle::Stopped;
    }
}

/// What `future` returns; without one, this waits forever.
async fn if_any(future: Option<impl Future<Output = ()>>) {
    match future {
        Some(future) => future.await,
        None => std::future::pending().await,
    }
}

impl Services {
    fn lifecycle(&self) -> MutexGuard<'_, Lifecycle> {
        self.lifecycle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Administered for Services {
    fn observe(&self) -> Observed {
        Observed {
            version: env!("CARGO_PKG_VERSION"),
            started: self.started.as_secs(),
            lifecycle: *self.lifecycle(),
            relay: self.relay.snapshot(),
            rooms: self.hub.snapshot(),
            site: self.site.snapshot(),
            compat: self.site.compat(),
            front: self.front.snapshot(),
            certificates: self.renewal.snapshot(),
            acme: self.acme.snapshot(),
            usage: self.usage.snapshot(),
            reloads: self.reloads.snapshot(),
            log_lines_lost: log::lost(),
            process: process::process(),
        }
    }

    fn configuration(&self) -> Value {
        self.effective.get().config.to_json()
    }

    fn reload(&self) -> Result<Report, String> {
        self.reload_file().map_err(|reason| reason.to_string())
    }

    fn relay(&self) -> &Relay {
        &self.relay
    }

    fn hub(&self) -> &Hub {
        &self.hub
    }

    fn revoke(&self, username: &str) -> Result<(), RevokeError> {
        self.relay.revoke(username, self.clock.now().unix)
    }

    fn drain(&self) {
        self.start_draining();
    }

    fn usage(&self) -> &Usage {
        &self.usage
    }
}

/// Says what the operator should know of what the configuration became on this machine.
fn say(config: &Config, plans: &Plans) {
    if !config.credentials.is_configured() {
        tracing::warn!(
            "no secret is configured, so this run uses a random one; to issue credentials elsewhere, set \
             credentials.secrets"
        );
    }
    let peers = &plans.relay.peers;
    for warning in config.needless_openings(&peers.own) {
        tracing::warn!("{warning}");
    }
    let neighbours: Vec<String> = peers.closed_neighbours().iter().map(ToString::to_string).collect();
    if !neighbours.is_empty() {
        let networks = neighbours.join(", ");
        tracing::info!(
            "this machine's own networks are closed to clients: {networks}; peers.allow can open them"
        );
    }
}

/// The admin service, if it has a socket.
fn admin_service(
    plan: Arc<Current<admin::Plan>>,
    sockets: Vec<admin::listen::Socket>,
    services: &Arc<Services>,
    clock: Clock,
) -> Result<Option<Admin>, StartError> {
    if sockets.is_empty() {
        return Ok(None);
    }
    Ok(Some(Admin::start(plan, sockets, Arc::clone(services) as Arc<_>, clock)?))
}

/// The doors of the front, with what is served at each of them.
fn doors(site: &Site, tcp: Vec<TcpListener>, tls: Vec<TcpListener>, http: Vec<TcpListener>) -> Vec<Door> {
    let any = Door::each(tcp, Kind::Any(site.server()));
    let tls = Door::each(tls, Kind::Tls(site.server()));
    any.chain(tls).chain(Door::each(http, Kind::Http(site.server()))).collect()
}

impl Listeners {
    /// Where the daemon is reached, and where it relays from.
    fn addresses(
        &self,
        relay: Vec<RelayAddress>,
        ports: RangeInclusive<u16>,
        admin: Vec<AdminAddress>,
    ) -> Addresses {
        let actual = |listeners: &[Bound]| listeners.iter().map(|listener| listener.actual).collect();
        Addresses {
            udp: actual(&self.udp),
            tcp: actual(&self.tcp),
            tls: actual(&self.tls),
            http: actual(&self.http),
            relay,
            ports,
            admin,
        }
    }
}

fn cores() -> usize {
    thread::available_parallelism().map_or(1, usize::from)
}

/// Unpredictable bytes from the kernel.
fn seed<const N: usize>() -> Result<[u8; N], StartError> {
    Ok(system::random_bytes().map_err(|error| Denied("randomness", error))?)
}
