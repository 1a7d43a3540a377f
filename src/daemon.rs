//! Builds every part from the configuration, owns every thread, and ends them.
//!
//! [`Daemon::start`] returns when every socket is bound: from then on clients are served.

mod error;
mod listen;
mod resources;
mod site;
mod surroundings;

use std::convert::Infallible;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::num::NonZeroU64;
use std::ops::RangeInclusive;
use std::sync::{Arc, mpsc as threads};
use std::thread;
use std::time::Duration;

use rand::TryRngCore;
use rand::rngs::OsRng;
use tokio::sync::mpsc;

use crate::bounds::admission::Admission;
use crate::bounds::rate::Rate;
use crate::certificates::Certificates;
use crate::clock::Clock;
use crate::config::Config;
use crate::credentials::{Credentials, Secret};
use crate::daemon::error::Listener;
use crate::daemon::resources::Resources;
use crate::daemon::surroundings::Surroundings;
use crate::front::{Front, Handshakes, Order};
use crate::life::{self, Denied, Threads};
use crate::metrics::Metrics;
use crate::network::address::RelayAddress;
use crate::network::interfaces;
use crate::peers::PeerPolicy;
use crate::relay::datagrams::DatagramSocket;
use crate::relay::engine::Settings;
use crate::relay::engine::bandwidth::CHUNK;
use crate::relay::engine::limits::Limits;
use crate::relay::{self, Relay};
use crate::sections::limits::Limits as LimitsConfig;
use crate::sections::number::Count;
use crate::signaling::hub::Hub;

pub use error::StartError;

/// A running daemon.
pub struct Daemon {
    threads: Threads,
    pulse: Pulse,
    addresses: Addresses,
    metrics: Metrics,
    credentials: Credentials,
    certificates: Option<Arc<Certificates>>,
    hub: Arc<Hub>,
    /// Held for as long as the machine's addresses are to be followed.
    following: threads::Sender<Infallible>,
}

/// Asks the threads of a daemon for a sign of life.
#[derive(Debug, Clone)]
pub struct Pulse {
    relay: Relay,
    front: mpsc::UnboundedSender<Order>,
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
        let certificates = certificates.map(Arc::new);
        let own = surroundings::read()?;
        let relay_addresses = relay_addresses(config, &own.addresses)?;
        let admission = Arc::new(admission(config, relay_addresses.len()));
        let shards = config.relay.threads.0.map_or_else(cores, |threads| threads.get() as usize);
        let (udp, sockets) = listen::sockets(&config.listen.udp, shards)?;
        let mut doors = Vec::new();
        let tcp = listen::doors(Listener::Tcp, &config.listen.tcp, &mut doors)?;
        let tls = listen::doors(Listener::Tls, &config.listen.tls, &mut doors)?;
        let http = listen::doors(Listener::Http, &config.http.listen, &mut doors)?;
        let ports = config.relay.ports.clone();
        let addresses = Addresses { udp, tcp, tls, http, relay: relay_addresses, ports };
        let surroundings = Surroundings::new(own.clone(), &addresses);
        let threads = Threads::default();
        let plan = relay::Plan {
            settings: settings(config, &addresses.relay)?,
            peers: surroundings.policy(config, &addresses),
            addresses: addresses.relay.clone(),
            ports: addresses.ports.clone(),
        };
        let credentials = plan.settings.credentials.clone();
        let relay = Relay::start(plan, sockets, Arc::clone(&admission), clock, seed()?, &threads)?;
        let metrics = Metrics::new(relay.counters().to_vec());
        let (http, hub) = site::open(config, &addresses, &credentials, &own.addresses, &relay, clock)?;
        let front = Front {
            relay: relay.clone(),
            admission,
            certificates: certificates.clone(),
            handshakes: Handshakes::new(config.limits.handshakes_per_ip.get().into()),
            proxies: config.listen.proxies.clone(),
            http,
            hub: Arc::clone(&hub),
            clock,
            counters: metrics.front(),
        };
        let (orders, inbox) = mpsc::unbounded_channel();
        threads.spawn("front".to_owned(), move || front.run(doors, inbox))?;
        let (following, until) = threads::channel();
        let to = relay.clone();
        threads.spawn("network".to_owned(), move || surroundings.follow(&to, clock, &until))?;
        let pulse = Pulse { relay, front: orders };
        Ok(Self { threads, pulse, addresses, metrics, credentials, certificates, hub, following })
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

    /// Where its rooms are.
    #[must_use]
    pub fn hub(&self) -> &Hub {
        &self.hub
    }

    /// Feels whether the threads live.
    #[must_use]
    pub fn pulse(&self) -> Pulse {
        self.pulse.clone()
    }

    /// Waits until a thread ends by itself, which is always a bug.
    pub async fn failed(&self) {
        self.threads.failed().await;
    }

    /// Ends every thread and closes every socket.
    pub fn stop(self) {
        self.pulse.relay.stop();
        drop(self.following);
        // If the front has ended, it needs no order.
        let _ = self.pulse.front.send(Order::Stop);
        self.threads.join();
    }
}

impl Pulse {
    /// Whether every thread answers within `patience`.
    pub async fn is_alive(&self, patience: Duration) -> bool {
        // If the front has ended, the order and its ping are dropped here.
        let front =
            life::all_answer([&self.front], |front, ping| drop(front.send(Order::Ping(ping))), patience);
        let (relay, front) = tokio::join!(self.relay.is_alive(patience), front);
        relay && front
    }
}

/// Every allocation needs a socket, so the daemon takes as many open files as the system allows.
fn admission(config: &Config, relay_addresses: usize) -> Admission {
    let relay_sockets = config.relay.ports.len() * relay_addresses;
    let resources = Resources::take(relay_sockets);
    let plan = resources::Plan::new(&config.limits, relay_sockets, &resources);
    plan.say(&config.limits, &resources);
    Admission::new(plan.bounds)
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
                    "the relay address is not a public one: behind a NAT, name both sides in relay.addresses"
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

fn settings(config: &Config, relay: &[RelayAddress]) -> Result<Settings, StartError> {
    let mut secrets = config.credentials.secrets.clone();
    if !config.credentials.is_configured() {
        secrets.push(Secret::from_random(seed()?));
        tracing::warn!(
            "no secret is configured: made one for this run; to issue credentials elsewhere, set credentials.secrets"
        );
    }
    let users = config.credentials.users.clone();
    let (realm, check_expiry) = (config.credentials.realm.as_str(), config.credentials.check_expiry);
    Ok(Settings {
        credentials: Credentials::new(realm, secrets, users, check_expiry),
        limits: limits(&config.limits, config.relay.ports.len() * most_of_a_family(relay)),
        rfc5766_channels: config.relay.rfc5766_channels,
        rfc3489: config.listen.rfc3489,
        tcp: config.relay.tcp,
    })
}

/// How many relay addresses the family has that has more: a port of each family may go to one allocation.
fn most_of_a_family(relay: &[RelayAddress]) -> usize {
    let v4 = relay.iter().filter(|address| address.bind.is_ipv4()).count();
    v4.max(relay.len() - v4)
}

fn limits(config: &LimitsConfig, ports: usize) -> Limits {
    let second = Duration::from_secs(1);
    // The last free ports are hard to find and even pairs run out first, so "auto" leaves a tenth.
    let most = u32::try_from(ports * 9 / 10).unwrap_or(u32::MAX).max(1);
    let allocations = config.allocations.0.map_or(most, Count::get);
    // Ten rooms of eight fit behind one address; and one network cannot take all.
    let share = |parts: u32| (allocations / parts).max(1);
    let allocations_per_ip = config.allocations_per_ip.0.map_or(share(4), Count::get);
    let failures = u64::from(config.failures_per_minute.get());
    let answers =
        |rate: Count, burst: Count| Rate::new(rate.get().into(), second, burst.max(rate).get().into());
    Limits {
        allocations,
        allocations_per_user: config.allocations_per_user.get(),
        users: config.users.iter().map(|(user, most)| (user.as_str().into(), most.get())).collect(),
        allocations_per_ip,
        allocations_per_network: share(2).max(allocations_per_ip),
        permissions: config.permissions.get() as usize,
        channels: config.channels.get() as usize,
        new_peers: Rate::new(
            config.new_peers_per_second.get().into(),
            second,
            config.new_peers_burst.get().into(),
        ),
        packets: Rate::per_second(config.packets_per_second.get().into()),
        bytes: bytes(config.bits_per_second),
        user_bytes: config.bits_per_second_per_user.0.map(bytes),
        total_bytes: config.bits_per_second_total.0.map(bytes),
        answers_per_ip: answers(config.answers_per_ip, config.answers_per_ip_burst),
        answers_per_network: answers(config.answers_per_network, config.answers_per_network_burst),
        failures: Rate::new(failures, Duration::from_secs(60), failures),
    }
}

/// So many bits a second, of which a second's worth may come at once, and a datagram of the largest size beside what a shard
/// takes in advance.
fn bytes(bits_per_second: NonZeroU64) -> Rate {
    let bits_per_second = bits_per_second.get();
    let burst = (bits_per_second / 8).max(u64::from(u16::MAX) + CHUNK);
    Rate::new(bits_per_second.div_ceil(8), Duration::from_secs(1), burst)
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
