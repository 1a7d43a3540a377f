//! The daemon: four services and their administration, started from one configuration, and their life together.
//!
//! [`Daemon::start`] finds out what this machine has, binds every socket, makes the plans and starts the services. When it
//! returns, clients are served.

mod error;
mod listen;
mod plan;
mod process;
mod resources;

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::ops::RangeInclusive;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use rand::TryRngCore;
use rand::rngs::OsRng;
use serde_json::Value;

use crate::admin::{Admin, Administered};
use crate::bounds::admission::Admission;
use crate::certificates::{Certificates, Renewal};
use crate::clock::{Clock, Unix};
use crate::config::Config;
use crate::credentials::{Credentials, RevokeError};
use crate::daemon::plan::{Found, Plans};
use crate::daemon::resources::{Connections, Resources};
use crate::front::{Door, Front, Kind};
use crate::http::Site;
use crate::life::Denied;
use crate::log;
use crate::metrics::{Metrics, ReloadCounters};
use crate::network::address::RelayAddress;
use crate::network::interfaces;
use crate::observed::{Lifecycle, Observed};
use crate::peers::PeerPolicy;
use crate::relay::Relay;
use crate::relay::datagrams::DatagramSocket;
use crate::secret::Secret;
use crate::sections::admin::AdminAddress;
use crate::signaling::hub::Hub;

pub use error::StartError;

/// A running daemon.
pub struct Daemon {
    services: Arc<Services>,
    admin: Option<Admin>,
    addresses: Addresses,
    metrics: Metrics,
    credentials: Credentials,
    certificates: Option<Arc<Certificates>>,
}

/// What serves clients.
struct Services {
    relay: Relay,
    hub: Arc<Hub>,
    site: Site,
    front: Front,
    renewal: Option<Renewal>,
    lifecycle: Mutex<Lifecycle>,
    /// What [`Administered::configuration`] shows.
    configuration: Value,
    started: Unix,
    reloads: ReloadCounters,
    clock: Clock,
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
        let certificates = config.tls.load().map_err(StartError::Certificates)?;
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
        let own = interfaces::own().map_err(StartError::Blind)?;
        let relay_addresses = relay_addresses(config, &own.addresses)?;
        let admission = Arc::new(admission(config, relay_addresses.len()));
        let shards = config.relay.threads.0.map_or_else(cores, |threads| threads.get() as usize);
        let (udp, sockets) = listen::udp(&config.listen.udp, shards)?;
        let (tcp, tcp_sockets) = listen::tcp("listen.tcp", &config.listen.tcp)?;
        let (tls, tls_sockets) = listen::tcp("listen.tls", &config.listen.tls)?;
        let (http, http_sockets) = listen::tcp("http.listen", &config.http.listen)?;
        let (admin, admin_sockets) = listen::admin(&config.admin.listen)?;
        let ports = config.relay.ports.clone();
        let addresses = Addresses { udp, tcp, tls, http, relay: relay_addresses, ports, admin };
        let certificates = certificates.map(Arc::new);
        let secret = (!config.credentials.is_configured()).then(seed).transpose()?.map(Secret::from_random);
        let found = Found { addresses, own, certificates, secret };
        let plans = plan::plans(config, &found);
        say(config, &found, &plans);

        let Plans { relay, rooms, site, front, admin: admin_plan } = plans;
        let credentials = relay.settings.credentials.clone();
        let relay = Relay::start(relay, sockets, Arc::clone(&admission), clock, seed()?)?;
        let hub = Hub::start(rooms, clock, seed()?)?;
        let site = Site::start(site, relay.clone(), Arc::clone(&hub), clock, seed()?);
        let doors = Door::each(tcp_sockets, Kind::Any(site.server()))
            .chain(Door::each(tls_sockets, Kind::Tls(site.server())))
            .chain(Door::each(http_sockets, Kind::Http(site.server())));
        let front = Front::start(front, doors.collect(), relay.clone(), admission, clock)?;
        let metrics = Metrics::new(relay.counters().to_vec(), Arc::clone(front.counters()));
        let Found { addresses, certificates, own: _, secret: _ } = found;
        let renewal =
            certificates.clone().map(|certificates| Renewal::start(certificates, clock)).transpose()?;
        let lifecycle = Mutex::new(Lifecycle::Serving);
        let services = Arc::new(Services {
            relay,
            hub,
            site,
            front,
            renewal,
            lifecycle,
            configuration: config.to_json(),
            started: clock.now().unix,
            reloads: ReloadCounters::default(),
            clock,
        });
        let admin = match admin_sockets.is_empty() {
            true => None,
            false => Some(Admin::start(admin_plan, admin_sockets, Arc::clone(&services) as Arc<_>, clock)?),
        };
        Ok(Self { services, admin, addresses, metrics, credentials, certificates })
    }

    /// Where it is reached.
    #[must_use]
    pub fn addresses(&self) -> &Addresses {
        &self.addresses
    }

    /// What it has counted.
    #[must_use]
    pub fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    /// Who may use it.
    #[must_use]
    pub fn credentials(&self) -> &Credentials {
        &self.credentials
    }

    /// What it shows to TLS clients, if it has any to show.
    #[must_use]
    pub fn certificates(&self) -> Option<&Arc<Certificates>> {
        self.certificates.as_ref()
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

    /// Reads the certificates again, and logs what became of it. Returns `false` if there are none.
    pub fn reload_certificates(&self) -> bool {
        self.services.renewal.as_ref().inspect(|renewal| renewal.reload()).is_some()
    }

    /// What it holds and has counted.
    #[must_use]
    pub fn snapshot(&self) -> Observed {
        self.services.observe()
    }

    /// Whether every thread of every service answers within `patience`. The thread that renews certificates is not asked;
    /// [`Self::failed`] returns if it ends.
    pub async fn is_alive(&self, patience: Duration) -> bool {
        let Services { relay, hub, site, front, .. } = &*self.services;
        let admin = async {
            match &self.admin {
                Some(admin) => admin.is_alive(patience).await,
                None => true,
            }
        };
        let (relay, hub, site, front, admin) = tokio::join!(
            relay.is_alive(patience),
            hub.is_alive(patience),
            site.is_alive(patience),
            front.is_alive(patience),
            admin,
        );
        relay && hub && site && front && admin
    }

    /// Waits until a thread ends by itself, which is always a bug.
    pub async fn failed(&self) {
        let Services { relay, hub, front, renewal, .. } = &*self.services;
        tokio::select! {
            () = relay.failed() => {}
            () = hub.failed() => {}
            () = front.failed() => {}
            () = if_any(renewal.as_ref().map(Renewal::failed)) => {}
            () = if_any(self.admin.as_ref().map(Admin::failed)) => {}
        }
    }

    /// Ends every service, and closes every socket. Members of rooms are told, and have a second to hear it.
    pub fn stop(&self) {
        let Services { relay, hub, site, front, renewal, .. } = &*self.services;
        *self.services.lifecycle() = Lifecycle::Draining;
        if let Some(renewal) = renewal {
            renewal.stop();
        }
        relay.stop();
        // Before the front, whose thread carries the goodbyes of the hub.
        hub.stop();
        site.stop();
        front.stop();
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
            front: self.front.snapshot(),
            certificates: self.renewal.as_ref().map(Renewal::snapshot),
            reloads: self.reloads.snapshot(),
            log_lines_lost: log::lost(),
            process: process::process(),
        }
    }

    fn configuration(&self) -> Value {
        self.configuration.clone()
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
}

/// Says what the operator should know of what the configuration became on this machine.
fn say(config: &Config, found: &Found, plans: &Plans) {
    if found.secret.is_some() {
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

/// Every allocation needs a socket, so the daemon takes as many open files as the system allows.
fn admission(config: &Config, relay_addresses: usize) -> Admission {
    let relay_sockets = config.relay.ports.len() * relay_addresses;
    let resources = Resources::take(relay_sockets);
    let connections = Connections::new(&config.limits, relay_sockets, &resources);
    connections.say(&config.limits, &resources);
    Admission::new(connections.bounds)
}

fn relay_addresses(config: &Config, own: &[IpAddr]) -> Result<Vec<RelayAddress>, StartError> {
    let Some(addresses) = &config.relay.addresses.0 else {
        let found = interfaces::default_relay_addresses(own);
        if found.is_empty() {
            return Err(StartError::Disconnected);
        }
        for address in &found {
            if !PeerPolicy::is_global(&address.public.into()) {
                tracing::warn!(
                    address = %address.public,
                    "the relay address is not public: behind a NAT, write both addresses in relay.addresses"
                );
            }
        }
        return Ok(found);
    };
    for address in addresses {
        let probe = DatagramSocket::relay(SocketAddr::new(address.bind, 0));
        probe.map_err(|error| StartError::Relay(address.bind, error))?;
    }
    Ok(addresses.clone())
}

fn cores() -> usize {
    thread::available_parallelism().map_or(1, usize::from)
}

/// Unpredictable bytes from the kernel.
fn seed<const N: usize>() -> Result<[u8; N], StartError> {
    let mut bytes = [0; N];
    let filled = OsRng.try_fill_bytes(&mut bytes);
    filled.map_err(|error| Denied("randomness", io::Error::other(error)))?;
    Ok(bytes)
}
