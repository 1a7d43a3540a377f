//! Builds every part from the configuration, owns every thread, and ends them.
//!
//! [`Daemon::start`] returns when every socket is bound: from then on clients are served.

use std::collections::BTreeSet;
use std::fmt;
use std::future::{Future as _, poll_fn};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::ops::RangeInclusive;
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use rand::TryRngCore;
use rand::rngs::OsRng;
use tokio::sync::oneshot;

use crate::certificates::{CertificateError, Certificates};
use crate::clock::Clock;
use crate::config::{Config, Limits as LimitsConfig};
use crate::credentials::{Credentials, Secret};
use crate::metrics::Metrics;
use crate::network;
use crate::relay::datagrams::DatagramSocket;
use crate::relay::engine::answers::AnswerBudget;
use crate::relay::engine::limits::{Limits, Rate};
use crate::relay::engine::nonce::Nonces;
use crate::relay::engine::peers::PeerPolicy;
use crate::relay::engine::quotas::Quotas;
use crate::relay::engine::{Settings, Shared};
use crate::relay::ports::{PortPool, RelayAddress};
use crate::relay::shard::{Command, Handle, Parts, Shard};

/// A running daemon.
pub struct Daemon {
    shards: Vec<Running>,
    addresses: Addresses,
    metrics: Metrics,
    settings: Arc<Settings>,
    certificates: Option<Arc<Certificates>>,
}

/// Asks the threads of a daemon for a sign of life.
#[derive(Debug, Clone)]
pub struct Pulse(Vec<Handle>);

/// Where a daemon is reached, and where it relays from.
#[derive(Debug, Clone)]
pub struct Addresses {
    /// STUN and TURN over UDP.
    pub udp: Vec<SocketAddr>,
    /// The relay addresses.
    pub relay: Vec<RelayAddress>,
    /// The relay ports.
    pub ports: RangeInclusive<u16>,
}

/// Why a daemon does not start.
#[derive(Debug)]
pub enum StartError {
    /// An address cannot be listened on.
    Listen(SocketAddr, io::Error),
    /// An address cannot be relayed from.
    Relay(IpAddr, io::Error),
    /// There is no address to relay from.
    Disconnected,
    /// A certificate or its key cannot be used.
    Certificate(CertificateError),
    /// The system denies something that every program needs.
    System(&'static str, io::Error),
}

struct Running {
    handle: Handle,
    thread: JoinHandle<io::Result<()>>,
    /// Closes when the thread ends, for whatever reason.
    ended: oneshot::Receiver<()>,
}

impl Daemon {
    /// Binds every socket and starts every thread.
    ///
    /// # Errors
    /// What cannot be had, in words for the operator.
    pub fn start(config: &Config, clock: Clock) -> Result<Self, StartError> {
        let certificates = config.tls.load().map_err(StartError::Certificate)?.map(Arc::new);
        let relay = relay_addresses(config)?;
        raise_open_files(config.relay.ports.len() * relay.len());
        let threads = config.relay.threads.map_or_else(cores, |threads| threads as usize);
        let (udp, listeners) = listen(&config.listen.udp, threads)?;
        let settings = Arc::new(settings(config, &relay, &udp)?);
        let parts = Parts {
            shared: Shared {
                nonces: Nonces::new(seed()?, settings.credentials.offers_user_hash()),
                quotas: Arc::new(Quotas::new(&settings.limits)),
                answers: Arc::new(AnswerBudget::new(&settings.limits, u64::from_ne_bytes(seed()?))),
                settings: Arc::clone(&settings),
            },
            pool: Arc::new(PortPool::new(&relay, config.relay.ports.clone())),
            clock,
        };
        let metrics = Metrics::new(threads);
        let mut shards = Vec::with_capacity(threads);
        for (index, sockets) in listeners.into_iter().enumerate() {
            let made = Shard::new(&parts, metrics.shard(index), sockets, seed()?);
            let (shard, handle) = made.map_err(|error| StartError::System("a poll", error))?;
            shards.push(spawn(index, shard, handle)?);
        }
        let addresses = Addresses { udp, relay, ports: config.relay.ports.clone() };
        Ok(Self { shards, addresses, metrics, settings, certificates })
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
        &self.settings.credentials
    }

    /// What it shows to TLS clients, if it has any to show.
    #[must_use]
    pub fn certificates(&self) -> Option<&Arc<Certificates>> {
        self.certificates.as_ref()
    }

    /// Feels whether the threads live.
    #[must_use]
    pub fn pulse(&self) -> Pulse {
        Pulse(self.shards.iter().map(|shard| shard.handle.clone()).collect())
    }

    /// Waits until a shard ends by itself, which is always a bug.
    pub async fn failed(&mut self) {
        poll_fn(|context| {
            let ended =
                self.shards.iter_mut().any(|shard| Pin::new(&mut shard.ended).poll(context).is_ready());
            if ended { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
    }

    /// Ends every thread and closes every socket.
    pub fn stop(self) {
        for shard in &self.shards {
            shard.handle.tell(Command::Stop);
        }
        for shard in self.shards {
            match shard.thread.join() {
                Ok(Ok(())) => {}
                Ok(Err(error)) => tracing::error!(%error, "a shard had stopped"),
                Err(_) => tracing::error!("a shard had panicked; this is a bug, please report it"),
            }
        }
    }
}

impl Pulse {
    /// Whether every thread of the relay answers within `patience`.
    pub async fn is_alive(&self, patience: Duration) -> bool {
        let ask = |handle: &Handle| {
            let (answer, answered) = oneshot::channel();
            handle.tell(Command::Ping(answer));
            answered
        };
        let answers: Vec<_> = self.0.iter().map(ask).collect();
        let all = async {
            for answer in answers {
                if answer.await.is_err() {
                    return false;
                }
            }
            true
        };
        tokio::time::timeout(patience, all).await.unwrap_or(false)
    }
}

fn spawn(index: usize, shard: Shard, handle: Handle) -> Result<Running, StartError> {
    let (alive, ended) = oneshot::channel();
    let run = move || {
        // Dropped at the end of the thread, by return or by panic.
        let _alive: oneshot::Sender<()> = alive;
        shard.run()
    };
    let spawned = thread::Builder::new().name(format!("relay-{index}")).spawn(run);
    let thread = spawned.map_err(|error| StartError::System("a thread", error))?;
    Ok(Running { handle, thread, ended })
}

/// Binds every address once for each of `threads` threads; returns the addresses as bound, and each thread's sockets.
fn listen(
    addresses: &[SocketAddr],
    threads: usize,
) -> Result<(Vec<SocketAddr>, Vec<Vec<DatagramSocket>>), StartError> {
    let mut bound = Vec::with_capacity(addresses.len());
    let mut sockets: Vec<Vec<DatagramSocket>> = (0..threads).map(|_| Vec::new()).collect();
    for address in addresses {
        let failed = |error| StartError::Listen(*address, error);
        // The first socket must have the address alone; shared from the start, it might share with another Hairpin.
        let first = match DatagramSocket::listen(*address, false) {
            Err(error) if is_family_missing(*address, &error) && addresses.len() > 1 => {
                tracing::warn!(%address, "this machine has no IPv6; serving IPv4 alone");
                continue;
            }
            first => first.map_err(failed)?,
        };
        let actual = first.local_addr().map_err(failed)?;
        first.share().map_err(failed)?;
        let others = (1..threads).map(|_| DatagramSocket::listen(actual, true).map_err(failed));
        let all: Vec<_> = std::iter::once(Ok(first)).chain(others).collect::<Result<_, _>>()?;
        sockets.iter_mut().zip(all).for_each(|(sockets, socket)| sockets.push(socket));
        bound.push(actual);
    }
    match (bound.is_empty(), addresses.first()) {
        (true, Some(address)) => Err(StartError::Listen(*address, io::ErrorKind::AddrNotAvailable.into())),
        _ => Ok((bound, sockets)),
    }
}

fn is_family_missing(address: SocketAddr, error: &io::Error) -> bool {
    let missing = [libc::EAFNOSUPPORT, libc::EADDRNOTAVAIL];
    address.is_ipv6()
        && address.ip().is_unspecified()
        && error.raw_os_error().is_some_and(|code| missing.contains(&code))
}

fn relay_addresses(config: &Config) -> Result<Vec<RelayAddress>, StartError> {
    let Some(addresses) = &config.relay.addresses else {
        let found = network::default_relay_addresses();
        if found.is_empty() {
            return Err(StartError::Disconnected);
        }
        for address in &found {
            if !PeerPolicy::default().permits_ip(address.public, false) {
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

fn settings(config: &Config, relay: &[RelayAddress], udp: &[SocketAddr]) -> Result<Settings, StartError> {
    let mut secrets = config.credentials.secrets.clone();
    if secrets.is_empty() && config.credentials.users.is_empty() {
        secrets.push(Secret::from_random(seed()?));
        tracing::warn!(
            "no secret is configured: made one for this run; to issue credentials elsewhere, set credentials.secrets"
        );
    }
    let users = config.credentials.users.clone();
    let (realm, check_expiry) = (&config.credentials.realm, config.credentials.check_expiry);
    let mut own: BTreeSet<IpAddr> = network::interface_addresses().into_iter().collect();
    own.extend(relay.iter().flat_map(|address| [address.bind, address.public]));
    own.extend(udp.iter().map(SocketAddr::ip));
    Ok(Settings {
        credentials: Credentials::new(realm, secrets, users, check_expiry),
        peers: PeerPolicy {
            allow: config.peers.allow.clone(),
            deny: config.peers.deny.clone(),
            nat64: config.peers.nat64_prefixes.clone(),
            loopback: config.peers.loopback,
            own: own.into_iter().collect(),
            listeners: udp.to_vec(),
        },
        limits: limits(&config.limits, config.relay.ports.len() * most_of_a_family(relay)),
        rfc5766_channels: config.relay.rfc5766_channels,
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
    let failures = u64::from(config.failures_per_minute);
    Limits {
        allocations: config.allocations.unwrap_or(most),
        allocations_per_user: config.allocations_per_user,
        allocations_per_ip: config.allocations_per_ip,
        permissions: config.permissions as usize,
        channels: config.channels as usize,
        new_peers: Rate::new(config.new_peers_per_second.into(), second, config.new_peers_burst.into()),
        packets: Rate::per_second(config.packets_per_second.into()),
        // A datagram of the largest size must fit even where a second's worth is less.
        bytes: Rate::new(
            config.bits_per_second.div_ceil(8),
            second,
            (config.bits_per_second / 8).max(65_535),
        ),
        answers_per_ip: Rate::per_second(config.answers_per_ip.into()),
        answers_per_network: Rate::per_second(config.answers_per_network.into()),
        failures: Rate::new(failures, Duration::from_secs(60), failures),
    }
}

/// Every allocation needs a socket, so as many open files as the system allows.
fn raise_open_files(relay_sockets: usize) {
    let needed = relay_sockets as u64 + 100;
    match rlimit::increase_nofile_limit(u64::MAX) {
        Ok(limit) if limit < needed => {
            tracing::warn!(
                limit,
                needed,
                "fewer open files are allowed than relay ports configured: raise LimitNOFILE"
            );
        }
        Ok(_) => {}
        Err(error) => tracing::warn!(%error, "the limit of open files could not be raised"),
    }
}

fn cores() -> usize {
    thread::available_parallelism().map_or(1, usize::from)
}

/// Unpredictable bytes from the kernel.
fn seed<const N: usize>() -> Result<[u8; N], StartError> {
    let mut bytes = [0; N];
    let filled = OsRng.try_fill_bytes(&mut bytes);
    filled.map_err(|error| StartError::System("randomness", io::Error::other(error)))?;
    Ok(bytes)
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Listen(address, error) => {
                let remedy = match error.raw_os_error() {
                    Some(libc::EADDRINUSE) => "another program holds it; `ss -ulpn` shows which",
                    Some(libc::EACCES) => "ports below 1024 need CAP_NET_BIND_SERVICE",
                    Some(libc::EADDRNOTAVAIL) => "it is no address of this machine; `ip address` shows them",
                    _ => "check listen.udp",
                };
                write!(f, "cannot listen on {address} ({error}): {remedy}")
            }
            Self::Relay(ip, error) => write!(
                f,
                "cannot relay from {ip} ({error}): relay.addresses must be addresses of this machine; behind a NAT \
                 write {{ bind = \"the machine's\", public = \"the NAT's\" }}"
            ),
            Self::Disconnected => write!(
                f,
                "this machine has no address to relay from: connect it to a network first, or name relay.addresses; \
                 [\"127.0.0.1\"] will do for tests on this machine alone"
            ),
            Self::Certificate(error) => write!(f, "{}: {error}", error.key()),
            Self::System(what, error) => write!(f, "the system gives no {what} ({error})"),
        }
    }
}

impl std::error::Error for StartError {}
