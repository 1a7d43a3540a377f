//! The admin service: what an administrator sees of the daemon and does to it, over HTTP, on listeners of its own.
//!
//! It has its own thread and its own bounds, so that it answers while the public listeners are full. Requests over TCP must
//! show a token (`authorize.rs`); a Unix socket belongs to its owner alone ([`listen`]). Nothing here is reachable through the
//! public router. Each group of routes is one file: it asks the daemon through [`Administered`].

mod authorize;
mod drain;
pub mod listen;
mod observe;
mod reload;
mod rooms;
mod router;
mod sessions;
mod usage;

use std::io;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use serde::Serialize;
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval, sleep};

use crate::admin::authorize::Token;
use crate::admin::listen::{Accepted, Listener, Socket};
use crate::admin::observe::History;
use crate::api_key::KeyHash;
use crate::bounds::admission::{Admission, Bounds};
use crate::bounds::notice::Notice;
use crate::clock::Clock;
use crate::credentials::RevokeError;
use crate::current::Current;
use crate::http::connection::{Client, Protocol, Server};
use crate::life::{self, Denied, Order, Threads};
use crate::observed::Observed;
use crate::observed::history::PERIOD;
use crate::relay::Relay;
use crate::signaling::hub::Hub;
use crate::usage::Usage;

/// What can be asked of the daemon as a whole.
pub trait Administered: Send + Sync + 'static {
    /// The state and counters of every service.
    fn observe(&self) -> Observed;

    /// The configuration with all its keys, in JSON. Secrets are hidden.
    fn configuration(&self) -> Value;

    /// The relay, for its sessions.
    fn relay(&self) -> &Relay;

    /// The hub, for its rooms.
    fn hub(&self) -> &Hub;

    /// Revokes a time-limited credential, and ends its sessions.
    ///
    /// # Errors
    /// Why it cannot be revoked.
    fn revoke(&self, username: &str) -> Result<(), RevokeError>;

    /// Refuses new clients from now on. The daemon ends when no allocation is left.
    fn drain(&self);

    /// Reads the configuration file again, and applies what has changed. This may block, because a file system may.
    ///
    /// # Errors
    /// Why nothing has changed.
    fn reload(&self) -> Result<Report, String>;
    /// The usage service.
    fn usage(&self) -> &Usage;
}

/// What a reload of the configuration has changed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Report {
    /// The keys whose new values are in effect, such as `limits.permissions`.
    pub changed: Vec<String>,
    /// The keys whose new values need a restart. Their old values stay in effect.
    pub needs_restart: Vec<String>,
}

/// Everything that the configuration decides for the service, except its sockets.
#[derive(Debug, Clone, Copy, Default)]
pub struct Plan {
    /// The hash of the token that requests over TCP must show.
    pub token: Option<KeyHash>,
}

/// A running admin service.
#[derive(Debug)]
pub struct Admin {
    orders: mpsc::UnboundedSender<Order>,
    threads: Threads,
}

/// Connections of administrators. When there are more, the oldest is closed.
const MOST: usize = 32;
/// How long a listener waits before it accepts again when the operating system refuses to create a socket.
const PAUSE: Duration = Duration::from_millis(100);

impl Admin {
    /// Serves `daemon` at `sockets`. A reload may replace the plan.
    ///
    /// # Errors
    /// If the operating system refuses to create its thread.
    pub fn start(
        plan: Arc<Current<Plan>>,
        sockets: Vec<Socket>,
        daemon: Arc<dyn Administered>,
        clock: Clock,
    ) -> Result<Self, Denied> {
        let history = History::default();
        let server = |daemon, token| {
            let router = router::router(daemon, Arc::clone(&history), token);
            Server::new(router, Arc::default(), clock)
        };
        let acceptor = Arc::new(Acceptor {
            // A token that nobody has is required if none is configured.
            over_tcp: server(Arc::clone(&daemon), Token::Required(plan)),
            over_unix: server(Arc::clone(&daemon), Token::Needless),
            admission: Arc::new(Admission::silent(Bounds {
                most: MOST,
                per_network: MOST,
                per_address: MOST,
            })),
            clock,
            daemon,
            history,
        });
        let (orders, inbox) = mpsc::unbounded_channel();
        let threads = Threads::default();
        threads.spawn("admin".to_owned(), move || acceptor.run(sockets, inbox))?;
        Ok(Self { orders, threads })
    }

    /// Whether its thread answers within `patience`.
    pub async fn is_alive(&self, patience: Duration) -> bool {
        // If the thread has ended, the order and its ping are dropped here.
        life::all_answer([&self.orders], |thread, ping| drop(thread.send(Order::Ping(ping))), patience).await
    }

    /// Waits until its thread ends without having been stopped, which is always a bug.
    pub async fn failed(&self) {
        self.threads.failed().await;
    }

    /// Closes its sockets and connections.
    pub fn stop(&self) {
        // If the thread has ended, it needs no order.
        let _ = self.orders.send(Order::Stop);
        self.threads.join();
    }
}

/// Accepts and serves the connections of administrators.
struct Acceptor {
    over_tcp: Server,
    over_unix: Server,
    admission: Arc<Admission>,
    clock: Clock,
    daemon: Arc<dyn Administered>,
    history: History,
}

impl Acceptor {
    fn run(
        self: Arc<Self>,
        sockets: Vec<Socket>,
        mut inbox: mpsc::UnboundedReceiver<Order>,
    ) -> io::Result<()> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(async {
            // These tasks run until they are dropped.
            let mut duties = JoinSet::new();
            duties.spawn(Arc::clone(&self).remember());
            for socket in sockets {
                duties.spawn(Arc::clone(&self).accept(socket.listener()?));
            }
            loop {
                tokio::select! {
                    order = inbox.recv() => match order {
                        // If the receiver is gone, the answer is not needed.
                        Some(Order::Ping(ping)) => drop(ping.send(())),
                        Some(Order::Stop) | None => return Ok(()),
                    },
                    Some(_) = duties.join_next() => return Err(io::Error::other("a task has panicked")),
                }
            }
        })
    }

    /// Takes a sample every [`PERIOD`].
    async fn remember(self: Arc<Self>) {
        let mut ticks = interval(PERIOD);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            let observed = self.daemon.observe();
            let time = self.clock.now().unix.as_secs();
            self.history.lock().unwrap_or_else(PoisonError::into_inner).record(time, &observed);
        }
    }

    async fn accept(self: Arc<Self>, listener: Listener) {
        let exhausted = Notice::new();
        loop {
            match listener.accept().await {
                Ok(Accepted::Tcp(stream, from)) => self.serve(stream, from.ip(), &self.over_tcp),
                Ok(Accepted::Unix(stream)) => self.serve(stream, Ipv4Addr::LOCALHOST.into(), &self.over_unix),
                Err(error) => {
                    if let Some(times) = exhausted.due(1, self.clock.now().moment) {
                        tracing::warn!(%error, times, "cannot accept connections at [admin] listen");
                    }
                    sleep(PAUSE).await;
                }
            }
        }
    }

    /// Serves a connection in a task of its own.
    fn serve(
        &self,
        stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
        peer: IpAddr,
        server: &Server,
    ) {
        // If all others are in use, the connection is closed.
        let Ok(permit) = self.admission.admit(None, self.clock.now().moment) else { return };
        let client = Client { peer, secure: false, protocol: Protocol::Http1, permit };
        tokio::spawn(server.clone().serve(stream, client));
    }
}
