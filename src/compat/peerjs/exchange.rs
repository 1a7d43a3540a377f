//! The exchange: the broker behind a lock, with a clock and real queues. Sockets talk to nothing else.
//!
//! It has no thread. While there are sockets, a task of the runtime that serves them looks every half second at what has
//! expired.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::thread;
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngCore as _, SeedableRng as _};

use crate::bounds::denied::DenyList;
use crate::clock::{Clock, Moment};
use crate::compat::Plan;
use crate::compat::peerjs::arrival::{Arrival, Unfit};
use crate::compat::peerjs::broker::{Broker, Effect, Refused};
use crate::compat::peerjs::counters::Counters;
use crate::compat::peerjs::message::{Answer, Said};
use crate::journal::{Journal, shown};
use crate::observed::Compat;
use crate::signaling::frame::Frame;
use crate::signaling::protocol::codes::Close;
use crate::signaling::seats::NoSeat;
use crate::signaling::send_queue::SendQueue;
use crate::signaling::sessions::SocketId;

/// How exact the expiry of messages is.
const TICK: Duration = Duration::from_millis(500);
/// How long a stopping exchange waits for its sockets to close, and how often it checks whether they have.
const FAREWELL: Duration = Duration::from_secs(1);
const LOOK: Duration = Duration::from_millis(10);
/// Places for sockets that are being closed: one for each 8 peers, and 8 more.
const GOODBYES: usize = 8;

/// The exchange of all PeerJS clients.
#[derive(Debug)]
pub struct Exchange {
    state: Mutex<State>,
    clock: Clock,
    counters: Arc<Counters>,
    /// Each socket that is not closed yet has a copy.
    places: Arc<()>,
}

/// One socket's handle at the exchange. Dropping it tells the exchange that the socket is gone.
#[derive(Debug)]
pub struct PeerHandle {
    exchange: Arc<Exchange>,
    socket: SocketId,
    ip: IpAddr,
    send_queue: SendQueue,
    place: Arc<()>,
}

#[derive(Debug)]
struct State {
    broker: Broker,
    /// The queues of the sockets that are not being closed.
    queues: HashMap<SocketId, SendQueue>,
    opened: u64,
    open: u64,
    /// The most sockets that may be open or closing.
    most: usize,
    /// Whether the task looks at what has expired.
    ticking: bool,
    rng: StdRng,
}

impl Exchange {
    /// An exchange without peers. `seed` must be unpredictable: the ids of peers that want no other come from it.
    #[must_use]
    pub fn new(plan: &Plan, journal: Arc<Journal>, clock: Clock, seed: [u8; 32]) -> Arc<Self> {
        let counters = Arc::<Counters>::default();
        let state = State {
            broker: Broker::new(&plan.rooms, journal, Arc::clone(&counters)),
            queues: HashMap::new(),
            opened: 0,
            open: 0,
            most: places(plan),
            ticking: false,
            rng: StdRng::from_seed(seed),
        };
        Arc::new(Self { state: Mutex::new(state), clock, counters, places: Arc::default() })
    }

    /// Serves by another plan from now on. Whoever is there stays, unless the clients of a network are refused now or all
    /// clients of PeerJS are.
    pub fn apply(&self, plan: &Plan, denied: &DenyList) {
        self.change(|state, _| {
            state.most = places(plan);
            state.broker.apply(&plan.rooms);
            let mut effects = state.broker.remove(|ip| denied.contains(ip), Close::Kicked);
            if plan.compat.peerjs.0.is_none() {
                effects.extend(state.broker.remove(|_| true, Close::Drain));
            }
            effects
        });
    }

    /// Admits a socket of a client that has shown this. Call it in the runtime that serves the socket.
    ///
    /// # Errors
    /// If a limit is reached and no other socket can be evicted, or the server is stopping.
    pub fn connect(
        self: &Arc<Self>,
        ip: IpAddr,
        arrival: Result<Arrival, Unfit>,
    ) -> Result<PeerHandle, Refused> {
        self.admit(ip, arrival).inspect_err(|why| match why {
            Refused::NoSeat(why) => self.counters.turned_away(*why),
            Refused::TooOften(_) => self.counters.too_often(),
        })
    }

    fn admit(self: &Arc<Self>, ip: IpAddr, arrival: Result<Arrival, Unfit>) -> Result<PeerHandle, Refused> {
        let now = self.clock.now().moment;
        let mut guard = self.state();
        let state = &mut *guard;
        if self.taken() >= state.most {
            return Err(Refused::NoSeat(NoSeat::Server));
        }
        state.opened += 1;
        let (socket, send_queue) = (SocketId(state.opened), SendQueue::default());
        let effects = state.broker.open(socket, ip, arrival, now)?;
        state.open += 1;
        self.counters.sockets.set(state.open);
        self.counters.opened.add(1);
        state.queues.insert(socket, send_queue.clone());
        state.carry_out(effects);
        if !std::mem::replace(&mut state.ticking, true) {
            tokio::spawn(Self::run(Arc::downgrade(self)));
        }
        let place = Arc::clone(&self.places);
        drop(guard);
        Ok(PeerHandle { exchange: Arc::clone(self), socket, ip, send_queue, place })
    }

    /// The ids of the peers that are there, within a bound.
    #[must_use]
    pub fn ids(&self) -> Vec<Arc<str>> {
        self.state().broker.ids()
    }

    /// An id that nobody has: a random UUID (RFC 9562 §5.4).
    #[must_use]
    pub fn new_id(&self) -> String {
        let mut bytes = [0; 16];
        self.state().rng.fill_bytes(&mut bytes);
        let number = u128::from_be_bytes(bytes) & !(0xF << 76) & !(0x3 << 62) | (0x4 << 76) | (0x2 << 62);
        let digits = format!("{number:032x}");
        [&digits[..8], &digits[8..12], &digits[12..16], &digits[16..20], &digits[20..]].join("-")
    }

    /// Its present numbers and its counters.
    #[must_use]
    pub fn snapshot(&self) -> Compat {
        self.counters.snapshot()
    }

    /// Closes all sockets, and refuses new ones.
    pub fn drain(&self) {
        self.change(|state, _| state.broker.drain());
    }

    /// Closes all sockets, and waits at most a second until they are closed.
    pub fn stop(&self) {
        self.drain();
        let until = self.clock.now().moment + FAREWELL;
        while self.taken() > 0 && self.clock.now().moment < until {
            thread::sleep(LOOK);
        }
    }

    /// Looks at what has expired until there is nothing that can.
    async fn run(exchange: Weak<Self>) {
        loop {
            tokio::time::sleep(TICK).await;
            let Some(exchange) = exchange.upgrade() else { return };
            let mut goes_on = false;
            exchange.change(|state, now| {
                let effects = state.broker.tick(now);
                goes_on = !state.broker.is_idle();
                state.ticking = goes_on;
                effects
            });
            if !goes_on {
                return;
            }
        }
    }

    /// How many sockets are not closed yet. Only under the lock of the state does it grow.
    fn taken(&self) -> usize {
        Arc::strong_count(&self.places) - 1
    }

    fn change(&self, change: impl FnOnce(&mut State, Moment) -> Vec<Effect>) {
        let now = self.clock.now().moment;
        let mut state = self.state();
        let effects = change(&mut state, now);
        state.carry_out(effects);
    }

    /// The tables are consistent after every message, so a panic elsewhere does no harm.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The places for as many peers as there may be.
fn places(plan: &Plan) -> usize {
    let peers = plan.rooms.members.get() as usize;
    peers.saturating_add(peers / GOODBYES + GOODBYES)
}

impl PeerHandle {
    /// Handles a message.
    pub fn hear(&self, said: Said<'_>) {
        self.exchange.change(|state, now| state.broker.hear(self.socket, said, now));
    }

    /// Whether a message went between this peer and another.
    #[must_use]
    pub fn is_settled(&self) -> bool {
        self.exchange.state().broker.is_settled(self.socket)
    }

    /// Counts an answer that goes past the exchange.
    pub fn answered(&self, answer: Answer) {
        let _one_writer = self.exchange.state();
        self.exchange.counters.answered(answer);
    }

    /// Counts a socket that the server closes.
    pub fn closed(&self, close: Close) {
        tracing::debug!(
            client = shown::ip(self.ip),
            reason = close.name(),
            "WebSocket of a PeerJS client closed"
        );
        let _one_writer = self.exchange.state();
        self.exchange.counters.closed(close);
    }

    /// The texts that wait to be sent.
    #[must_use]
    pub fn send_queue(&self) -> &SendQueue {
        &self.send_queue
    }

    /// Its place, which it has until this is dropped too.
    #[must_use]
    pub fn place(&self) -> Arc<()> {
        Arc::clone(&self.place)
    }

    /// The present moment.
    #[must_use]
    pub fn now(&self) -> Moment {
        self.exchange.clock.now().moment
    }
}

impl Drop for PeerHandle {
    fn drop(&mut self) {
        self.exchange.change(|state, _| {
            state.queues.remove(&self.socket);
            state.open -= 1;
            self.exchange.counters.sockets.set(state.open);
            state.broker.lost(self.socket);
            Vec::new()
        });
    }
}

impl State {
    fn carry_out(&mut self, effects: Vec<Effect>) {
        for effect in effects {
            match effect {
                Effect::Send(socket, message) => {
                    let frame = Frame { n: None, re: None, message };
                    let Some(send_queue) = self.queues.get(&socket) else { continue };
                    if send_queue.push(frame).is_err() {
                        self.close(socket, Close::SlowConsumer);
                        self.broker.lost(socket);
                    }
                }
                Effect::Close(socket, close) => self.close(socket, close),
            }
        }
    }

    /// Closes a socket. Nothing more goes into its queue.
    fn close(&mut self, socket: SocketId, close: Close) {
        if let Some(send_queue) = self.queues.remove(&socket) {
            send_queue.close(close);
        }
    }
}
