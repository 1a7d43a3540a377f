//! The front: accepts every TCP connection, and hands it to the relay or to the HTTP server.
//!
//! The front is one thread with a tokio runtime. It accepts connections, reads PROXY protocol headers, does TLS handshakes
//! and serves HTTP, so that a thousand handshakes do not delay the packets of the shards. When a TURN connection is
//! identified, the front hands it to a shard. HTTP connections stay on the front.

mod acceptor;
mod counters;
mod door;
mod handshakes;
mod proxy_header;

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::RecvTimeoutError;
use std::time::Duration;

use ipnet::IpNet;
use tokio::sync::mpsc;

use crate::bounds::admission::{Admission, Bounds};
use crate::bounds::denied::DenyList;
use crate::certificates::Certificates;
use crate::clock::Clock;
use crate::current::Current;
use crate::front::acceptor::Acceptor;
use crate::front::counters::FrontCounters;
use crate::front::handshakes::Handshakes;
use crate::journal::Journal;
use crate::life::{self, Denied, Ping, Threads};
use crate::metrics::{self, Counters};
use crate::observed;
use crate::relay::Relay;

pub use door::{Door, Kind};

/// A running front.
#[derive(Debug)]
pub struct Front {
    orders: mpsc::UnboundedSender<Order>,
    proxies: Arc<Current<Vec<IpNet>>>,
    handshakes: Arc<Handshakes>,
    coalesce: Arc<AtomicBool>,
    denied: Arc<Current<DenyList>>,
    counters: Arc<FrontCounters>,
    admission: Arc<Admission>,
    threads: Threads,
}

/// Everything that the configuration decides for a front, except its doors.
#[derive(Debug)]
pub struct Plan {
    /// How many connections there may be.
    pub connections: Bounds,
    /// The proxies whose connections begin with a PROXY protocol header.
    pub proxies: Vec<IpNet>,
    /// The networks whose clients are refused.
    pub denied: DenyList,
    /// The TLS handshakes that one client address may begin per second, in the long run.
    pub handshakes_per_ip: u32,
    /// Whether messages to TLS clients share records.
    pub coalesce: bool,
}

/// How long it may take until listeners are closed.
const CLOSING: Duration = Duration::from_secs(1);

/// Reports that listeners are closed, when its last copy is dropped.
type Closed = std::sync::mpsc::Sender<Infallible>;

/// An order to the front's thread.
#[derive(Debug)]
enum Order {
    /// Answer, as a sign of life.
    Ping(Ping),
    /// Accept connections at these doors too.
    Open(Vec<Door>),
    /// Close the listeners at these addresses, and report it. Accepted connections stay.
    Close(Vec<SocketAddr>, Closed),
    /// End.
    Stop,
}

impl Front {
    /// Accepts connections at `doors`, at most as many as `admission` allows, and hands the TURN connections to `relay`.
    /// TLS clients get the current one of `certificates`.
    ///
    /// # Errors
    /// If the operating system refuses to create its thread.
    pub fn start(
        plan: Plan,
        doors: Vec<Door>,
        relay: Relay,
        (admission, certificates): (Arc<Admission>, Arc<Certificates>),
        journal: Arc<Journal>,
        clock: Clock,
    ) -> Result<Self, Denied> {
        let counters = Arc::<FrontCounters>::default();
        let handshakes = Arc::new(Handshakes::new(plan.handshakes_per_ip.into()));
        let coalesce = Arc::new(AtomicBool::new(plan.coalesce));
        let proxies = Arc::new(Current::new(plan.proxies));
        let denied = Arc::new(Current::new(plan.denied));
        let acceptor = Acceptor {
            relay,
            admission: Arc::clone(&admission),
            certificates,
            handshakes: Arc::clone(&handshakes),
            coalesce: Arc::clone(&coalesce),
            proxies: Arc::clone(&proxies),
            denied: Arc::clone(&denied),
            journal,
            clock,
            counters: Arc::clone(&counters),
        };
        let (orders, inbox) = mpsc::unbounded_channel();
        let threads = Threads::default();
        threads.spawn("front".to_owned(), move || acceptor.run(doors, inbox))?;
        Ok(Self { orders, proxies, denied, handshakes, coalesce, counters, admission, threads })
    }

    /// Serves by another plan from now on. No connection ends.
    pub fn apply(&self, plan: Plan) {
        let Plan { connections, proxies, denied, handshakes_per_ip, coalesce } = plan;
        self.admission.limit(connections);
        self.proxies.set(proxies);
        self.denied.set(denied);
        self.handshakes.limit(handshakes_per_ip.into());
        self.coalesce.store(coalesce, Ordering::Relaxed);
    }

    /// Accepts connections at these doors too.
    pub fn open(&self, doors: Vec<Door>) {
        // If the thread has ended, `failed` says so.
        let _ = self.orders.send(Order::Open(doors));
    }

    /// Closes the listeners at these addresses, and returns when they are closed, at most a second later. Accepted connections
    /// stay. Not to be called in a runtime, because it blocks.
    pub fn close(&self, addresses: Vec<SocketAddr>) {
        let (open, closed) = std::sync::mpsc::channel();
        // If the thread has ended, so have its listeners, and the order is dropped here.
        let _ = self.orders.send(Order::Close(addresses, open));
        if closed.recv_timeout(CLOSING) == Err(RecvTimeoutError::Timeout) {
            tracing::warn!("the front is too busy to close its listeners at once");
        }
    }

    /// Whether the front's thread answers within `patience`.
    pub async fn is_alive(&self, patience: Duration) -> bool {
        // If the thread has ended, the order and its ping are dropped here.
        life::all_answer([&self.orders], |thread, ping| drop(thread.send(Order::Ping(ping))), patience).await
    }

    /// The front's current and total counts.
    #[must_use]
    pub fn snapshot(&self) -> observed::Front {
        observed::Front {
            connections: self.admission.total(),
            most_connections: self.admission.most(),
            identified: self.counters.by_protocol(),
            ended: metrics::ended(std::slice::from_ref(&self.counters.early)),
            handshakes: self.counters.by_handshake(),
        }
    }

    /// Waits until the front's thread ends without having been stopped, which is always a bug.
    pub async fn failed(&self) {
        self.threads.failed().await;
    }

    /// Closes every door and every HTTP connection.
    pub fn stop(&self) {
        // If the thread has ended, it needs no order.
        let _ = self.orders.send(Order::Stop);
        self.threads.join();
    }

    /// Counts the connections that ended before the relay or HTTP got them.
    #[must_use]
    pub fn counters(&self) -> &Arc<Counters> {
        &self.counters.early
    }
}
