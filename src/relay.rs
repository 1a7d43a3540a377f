//! The relay: STUN and TURN.
//!
//! The path of a datagram: a shard (`shard.rs`) reads it in a batch ([`datagrams`]) and passes it to its [`engine`],
//! which checks it ([`wire`]) and decides: answer it, relay it to a peer, or ignore it. Data from a peer to a relay
//! socket ([`ports`]) takes the opposite path. Everything that belongs to one client (its packets, its allocation, its
//! relay sockets) is on one shard, so nothing on this path is locked or shared.
//!
//! A TCP or TLS connection is given to one shard, too ([`streams`]). Each message in it ([`framing`]) is then treated
//! as a datagram. Which connections of clients and peers carry each other's bytes (RFC 6062) is kept in one value:
//! `bridges.rs`.
//!
//! [`Relay`] is all shards together and the only entry point: nothing outside this folder holds a shard.

pub mod address;
mod bridges;
pub mod datagrams;
pub mod engine;
pub mod framing;
mod lookup;
mod own_addresses;
mod page;
pub mod patience;
mod plan;
pub mod ports;
mod ready;
mod sessions;
mod shard;
mod source;
pub mod streams;
pub mod wire;
mod worker;

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};
use tokio::sync::oneshot;

use crate::bounds::admission::Admission;
use crate::clock::{Clock, Unix};
use crate::credentials::{Credentials, RevokeError, SessionsBySecret};
use crate::journal::Journal;
use crate::life::{self, Denied, Threads};
use crate::metrics::{self, Counters};
use crate::network::address::Family;
use crate::observed;
use crate::relay::datagrams::DatagramSocket;
use crate::relay::engine::answers::AnswerBudget;
use crate::relay::engine::nonce::Nonces;
use crate::relay::engine::quotas::Quotas;
use crate::relay::engine::{Settings, ShardIndex, Shared};
use crate::relay::own_addresses::OwnAddresses;
use crate::relay::ports::PortPool;
use crate::relay::shard::{Command, Handle, Neighbours, Parts, Retirement, Rules, Shard};
use crate::relay::worker::Workers;
use crate::usage::ledger::Ledger;

pub use plan::Plan;
pub use shard::Kept;
pub use streams::{Arrival, TlsSession};

/// A running relay. Clones are the same relay.
#[derive(Debug, Clone)]
pub struct Relay(Arc<Running>);

#[derive(Debug)]
struct Running {
    settings: Mutex<Arc<Settings>>,
    quotas: Arc<Quotas>,
    pool: Arc<PortPool>,
    shards: Vec<Handle>,
    workers: Arc<Workers>,
    /// The thread that watches the addresses of this machine.
    network: Sender<own_addresses::Order>,
    counters: Vec<Arc<Counters>>,
    /// The listeners that were given up, and may be open still.
    given_up: Mutex<Vec<Arc<Retirement>>>,
    /// How many connections have been given to shards.
    adopted: AtomicUsize,
    /// Held while a list of sessions is put together.
    listing: tokio::sync::Mutex<()>,
    threads: Threads,
}

impl Relay {
    /// Starts a shard for each list in `sockets`, on which it listens for clients. `seed` must be unpredictable:
    /// nonces, ports and tokens come from it. What users use is added to `usage`.
    ///
    /// # Errors
    /// If the operating system refuses a poll or a thread.
    pub fn start(
        plan: Plan,
        sockets: Vec<Vec<DatagramSocket>>,
        admission: Arc<Admission>,
        (journal, usage): (Arc<Journal>, Arc<Ledger>),
        clock: Clock,
        seed: [u8; 32],
    ) -> Result<Self, Denied> {
        let mut seeds = StdRng::from_seed(seed);
        let Plan { settings, denied, peers, fixed, addresses, ports, offload, lookup } = plan;
        let settings = Arc::new(settings);
        let quotas = Arc::new(Quotas::new(Arc::clone(&settings)));
        let own = OwnAddresses::new(peers.own.clone(), fixed);
        let (lookup, common) = lookup::attach(lookup, &ports, addresses.len(), sockets.len())?;
        let pool = Arc::new(PortPool::new(&addresses, ports, clock).with_lookup(lookup));
        let parts = Parts {
            shared: Shared {
                nonces: Nonces::new(seeds.random(), settings.credentials.offers_user_hash()),
                quotas: Arc::clone(&quotas),
                carried: Arc::default(),
                answers: Arc::new(AnswerBudget::new(seeds.random())),
                journal,
                usage,
                settings: Arc::clone(&settings),
                denied: Arc::new(denied),
                peers,
            },
            pool: Arc::clone(&pool),
            admission,
            neighbours: Neighbours::default(),
            offload,
            clock,
        };
        let threads = Threads::default();
        let Started { workers, shards, counters } =
            start_shards(&parts, sockets.into_iter().zip(common), &mut seeds, &threads)?;
        let (network, inbox) = channel();
        let told = shards.clone();
        threads.spawn("network".to_owned(), move || {
            own.follow(&told, clock, &inbox);
            Ok(())
        })?;
        Ok(Self(Arc::new(Running {
            settings: Mutex::new(settings),
            quotas,
            pool,
            shards,
            workers,
            network,
            counters,
            given_up: Mutex::default(),
            adopted: AtomicUsize::new(0),
            listing: tokio::sync::Mutex::default(),
            threads,
        })))
    }

    /// Serves a connection from now on. Shards receive connections in turn.
    pub fn adopt(&self, arrival: Box<Arrival>) {
        let Running { shards, adopted, .. } = &*self.0;
        let next = adopted.fetch_add(1, Ordering::Relaxed) % shards.len();
        shards[next].tell(Command::Adopt(arrival));
    }

    /// Whether there are former relay addresses that no allocation uses any more. The next [`Self::apply`] forgets them.
    #[must_use]
    pub fn has_unused_addresses(&self) -> bool {
        self.0.pool.offered().has_unused()
    }

    /// Serves by another plan from now on. Nothing that is there ends, except what the new rules for clients and peers deny:
    /// allocations keep their relayed addresses, and new ones use those of the plan. The ports stay the same.
    pub fn apply(&self, plan: Plan) {
        let Plan { settings, denied, peers, fixed, addresses, ports: _, offload, lookup: _ } = plan;
        let (settings, denied) = (Arc::new(settings), Arc::new(denied));
        *self.0.settings.lock().unwrap_or_else(PoisonError::into_inner) = Arc::clone(&settings);
        self.0.quotas.apply(Arc::clone(&settings));
        // If the thread has ended, `failed` says so.
        let _ = self.0.network.send(own_addresses::Order::Fixed(fixed.clone()));
        let offered = self.0.pool.offer(&addresses);
        self.tell_all(|| {
            Command::Apply(Box::new(Rules {
                settings: Arc::clone(&settings),
                denied: Arc::clone(&denied),
                peers: peers.clone(),
                fixed: fixed.clone(),
                offered: Arc::clone(&offered),
                offload,
            }))
        });
    }

    /// How many shards there are.
    #[must_use]
    pub fn shards(&self) -> usize {
        self.0.shards.len()
    }

    /// Serves clients on these sockets too: a list for each shard.
    pub fn listen(&self, sockets: Vec<Vec<DatagramSocket>>) {
        for (shard, sockets) in self.0.shards.iter().zip(sockets) {
            shard.tell(Command::Listen(sockets));
        }
    }

    /// Gives up listeners. Clients that have an allocation there keep it; nobody else is served. When there is no such
    /// client, the sockets are closed.
    pub fn retire(&self, listeners: &[SocketAddr]) {
        for address in listeners {
            let retirement = Arc::new(Retirement::new(*address, self.shards()));
            self.given_up().push(Arc::clone(&retirement));
            self.tell_all(|| Command::Retire(Arc::clone(&retirement)));
        }
    }

    /// The listeners that were given up and are still open.
    #[must_use]
    pub fn retiring(&self) -> Vec<SocketAddr> {
        let mut given_up = self.given_up();
        given_up.retain(|retirement| retirement.open_address().is_some());
        given_up.iter().filter_map(|retirement| retirement.open_address()).collect()
    }

    /// Revokes a time-limited credential: no further request is granted with it, and the allocations that were made
    /// with it end.
    ///
    /// # Errors
    /// Why it cannot be revoked. A static user cannot be revoked.
    pub fn revoke(&self, username: &str, now: Unix) -> Result<(), RevokeError> {
        // In this order: a shard that has received the command finds the name in the list for every later request.
        self.settings().credentials.revoke(username, now)?;
        let username: Arc<str> = username.into();
        self.tell_all(|| Command::Revoke(Arc::clone(&username)));
        Ok(())
    }

    /// Refuses new allocations from now on. Existing ones go on until they end.
    pub fn drain(&self) {
        self.tell_all(|| Command::Drain);
    }

    /// How many clients over UDP have allocations.
    pub async fn clients(&self) -> usize {
        self.ask_all(Command::Count).await.into_iter().sum()
    }

    /// Prepares for another process that takes over the listeners: gives each client over UDP that has an allocation a
    /// socket of its own, which the kernel prefers, and lets other sockets be bound to the addresses of the listeners.
    /// Returns when the other process may come. Call [`Self::drain`] first.
    pub async fn keep_clients(&self) -> Kept {
        // One after the other: a client's socket can only be bound when all shards share their listeners.
        self.ask_all(Command::Share).await;
        let kept = self.ask_all(Command::Keep).await;
        kept.into_iter().fold(Kept::default(), |all, one| Kept {
            clients: all.clients + one.clients,
            lost: all.lost + one.lost,
        })
    }

    /// Whether every shard answers within `patience`. The thread that reads the interfaces is not asked: the kernel may keep
    /// it waiting, and packets are relayed meanwhile. [`Self::failed`] returns if it ends.
    pub async fn is_alive(&self, patience: Duration) -> bool {
        life::all_answer(&self.0.shards, |shard, ping| shard.tell(Command::Ping(ping)), patience).await
    }

    /// The current state and counters of the relay.
    #[must_use]
    pub fn snapshot(&self) -> observed::Relay {
        let settings = self.settings();
        let SessionsBySecret { live, removed } = settings.credentials.sessions_by_secret();
        let relay = metrics::relay(&self.0.counters, settings.limits.allocations.into());
        let offered = self.0.pool.offered();
        let addresses = Family::ALL.map(|family| (family.name(), offered.count(family))).into();
        let (secrets, threads_awake) = (observed::Secrets { live, removed }, self.0.workers.awake() as u64);
        observed::Relay { secrets, addresses, threads_awake, ..relay }
    }

    /// Waits until a thread ends unexpectedly, which is always a bug.
    pub async fn failed(&self) {
        self.0.threads.failed().await;
    }

    /// Stops every shard, which ends its allocations and connections.
    pub fn stop(&self) {
        self.tell_all(|| Command::Stop);
        self.0.workers.stop();
        // If the thread has ended, it needs no order.
        let _ = self.0.network.send(own_addresses::Order::Stop);
        self.0.threads.join();
    }

    /// Who may use it now.
    #[must_use]
    pub fn credentials(&self) -> Credentials {
        self.settings().credentials.clone()
    }

    fn given_up(&self) -> MutexGuard<'_, Vec<Arc<Retirement>>> {
        self.0.given_up.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn settings(&self) -> Arc<Settings> {
        Arc::clone(&self.0.settings.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// The counters of each shard.
    #[must_use]
    pub fn counters(&self) -> &[Arc<Counters>] {
        &self.0.counters
    }

    /// Sends every shard a command; returns their answers. A shard that has ended gives none.
    async fn ask_all<T>(&self, command: impl Fn(oneshot::Sender<T>) -> Command) -> Vec<T> {
        let ask = |shard: &Handle| {
            let (answer, answered) = oneshot::channel();
            shard.tell(command(answer));
            answered
        };
        let mut answers = Vec::with_capacity(self.0.shards.len());
        // Every shard is asked before the first answer is waited for.
        for answered in self.0.shards.iter().map(ask).collect::<Vec<_>>() {
            answers.extend(answered.await.ok());
        }
        answers
    }

    fn tell_all(&self, command: impl Fn() -> Command) {
        for shard in &self.0.shards {
            shard.tell(command());
        }
    }
}

/// The shards of a relay that starts, and its threads.
struct Started {
    workers: Arc<Workers>,
    shards: Vec<Handle>,
    counters: Vec<Arc<Counters>>,
}

/// Starts as many threads as there are lists of sockets, and a shard for each list. The first thread serves all shards.
fn start_shards(
    parts: &Parts,
    sockets: impl ExactSizeIterator<Item = (Vec<DatagramSocket>, Vec<DatagramSocket>)>,
    seeds: &mut StdRng,
    threads: &Threads,
) -> Result<Started, Denied> {
    let denied = |error| Denied("a poll", error);
    let of = sockets.len() as u32;
    let (workers, sleeping) = Workers::new(sockets.len(), parts.clock).map_err(denied)?;
    let (mut made, mut shards, mut counters) = (Vec::new(), Vec::new(), Vec::new());
    for (index, sockets) in (0..of).zip(sockets) {
        let (index, counted) = (ShardIndex { index, of }, Arc::<Counters>::default());
        let place = workers.first(index.index).map_err(denied)?;
        let shard = Shard::new(parts, index, Arc::clone(&counted), sockets, seeds.random(), place);
        let (shard, handle) = shard.map_err(denied)?;
        made.push(shard);
        shards.push(handle);
        counters.push(counted);
    }
    parts.neighbours.get_or_init(|| shards.clone());
    for shard in made {
        // The first thread waits for it, though it does not run yet.
        let _ = workers.give(Box::new(shard), 0);
    }
    for (index, worker) in sleeping.into_iter().enumerate() {
        threads.spawn(format!("relay-{index}"), move || worker.run())?;
    }
    Ok(Started { workers, shards, counters })
}
