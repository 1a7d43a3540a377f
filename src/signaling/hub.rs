//! The hub: the switchboard behind a lock, with a clock and real queues. Sockets talk to nothing else.
//!
//! The lock is held only while a request is decided and its frames are queued, and never while anything waits.

use std::collections::{HashMap, VecDeque};
use std::iter;
use std::net::IpAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::thread;
use std::time::Duration;

use rand::SeedableRng as _;
use rand::rngs::StdRng;

use crate::clock::{Clock, Moment, Now};
use crate::journal::{Journal, shown};
use crate::life::{self, Denied, Order, Threads};
use crate::observed::Rooms;
use crate::observed::room::Room;
use crate::secret::Secret;
use crate::signaling::counters::Counters;
use crate::signaling::plan::Plan;
use crate::signaling::protocol::codes::Close;
use crate::signaling::protocol::names::RoomName;
use crate::signaling::protocol::parse::ParseError;
use crate::signaling::protocol::{Request, ServerMessage};
use crate::signaling::seats::NoSeat;
use crate::signaling::send_queue::SendQueue;
use crate::signaling::sessions::SocketId;
use crate::signaling::switchboard::{Effect, Switchboard, Visit};

/// The hub of all sockets.
pub struct Hub {
    state: Mutex<State>,
    clock: Clock,
    counters: Arc<Counters>,
    /// How many sockets are not closed yet.
    taken: Arc<AtomicUsize>,
    orders: Sender<Order>,
    threads: Threads,
    /// Makes the pseudonyms of rooms if there is no shared secret.
    stand_in: Secret,
}

/// One socket's handle at the hub. Dropping it tells the hub that the socket is gone.
pub struct SocketHandle {
    hub: Arc<Hub>,
    socket: SocketId,
    ip: IpAddr,
    send_queue: SendQueue,
    permit: SocketPermit,
}

/// A socket's permit; it is returned when every copy is dropped.
pub type SocketPermit = Arc<Place>;

/// The place of one socket, which is free again when this is dropped.
#[derive(Debug)]
pub struct Place(Arc<AtomicUsize>);

struct State {
    board: Switchboard,
    rng: StdRng,
    /// The queues of the sockets that are not being closed.
    queues: HashMap<SocketId, SendQueue>,
    opened: u64,
    open: usize,
    /// The most sockets that may be open or closing.
    most: usize,
}

/// How exact deadlines are.
const TICK: Duration = Duration::from_secs(1);
/// How long a stopping hub waits for its sockets to close, and how often it checks whether they have.
const FAREWELL: Duration = Duration::from_secs(1);
const LOOK: Duration = Duration::from_millis(10);
/// Places for sockets that are being closed: one for each 8 sessions, and 8 more.
const GOODBYES: usize = 8;

impl Hub {
    /// Starts a hub for at most `plan.sessions` sockets. `seed` must be unpredictable: the ids of sessions and members
    /// come from it.
    ///
    /// # Errors
    /// If the operating system refuses to create its thread.
    pub fn start(
        plan: Plan,
        journal: Arc<Journal>,
        clock: Clock,
        seed: [u8; 32],
    ) -> Result<Arc<Self>, Denied> {
        let most = places(plan.sessions);
        let counters = Arc::<Counters>::default();
        let mut rng = StdRng::from_seed(seed);
        let stand_in = Secret::random(&mut rng);
        let state = State {
            board: Switchboard::new(plan, journal, Arc::clone(&counters)),
            rng,
            queues: HashMap::new(),
            opened: 0,
            open: 0,
            most,
        };
        let (orders, inbox) = channel();
        let hub = Arc::new(Self {
            state: Mutex::new(state),
            clock,
            counters,
            taken: Arc::default(),
            orders,
            threads: Threads::default(),
            stand_in,
        });
        let weak = Arc::downgrade(&hub);
        hub.threads.spawn("rooms".to_owned(), move || {
            Self::run(&weak, &inbox, clock);
            Ok(())
        })?;
        Ok(hub)
    }

    /// Serves by another plan from now on. Nobody loses a seat, a session or a room.
    pub fn apply(&self, plan: Plan) {
        let now = self.clock.now();
        let mut state = self.state();
        state.most = places(plan.sessions);
        state.board.apply(plan, now.moment);
    }

    /// Whether the hub's thread answers within `patience`. It cannot while something holds the lock.
    pub async fn is_alive(&self, patience: Duration) -> bool {
        // If the thread has ended, the order and its ping are dropped here.
        life::all_answer([&self.orders], |thread, ping| drop(thread.send(Order::Ping(ping))), patience).await
    }

    /// Its present numbers and its counters.
    #[must_use]
    pub fn snapshot(&self) -> Rooms {
        self.counters.snapshot()
    }

    /// Waits until the thread ends. Unless it was stopped, that is a bug.
    pub async fn failed(&self) {
        self.threads.failed().await;
    }

    /// Closes all sockets, waits at most a second until they are closed, and ends.
    pub fn stop(&self) {
        // If the thread has ended, it needs no order.
        let _ = self.orders.send(Order::Stop);
        self.threads.join();
    }

    /// Admits a socket; a client in no room may be evicted for it.
    ///
    /// # Errors
    /// If a limit is reached and no client can be evicted, or the server is stopping.
    pub fn connect(self: &Arc<Self>, visit: Visit) -> Result<SocketHandle, NoSeat> {
        self.admit(visit).inspect_err(|why| self.counters.turned_away(*why))
    }

    fn admit(self: &Arc<Self>, visit: Visit) -> Result<SocketHandle, NoSeat> {
        let now = self.clock.now();
        let mut guard = self.state();
        let state = &mut *guard;
        if state.board.is_draining() {
            return Err(NoSeat::Draining);
        }
        if self.taken() >= state.most {
            state.board.crowded(NoSeat::Server, now.moment);
            return Err(NoSeat::Server);
        }
        let permit = Place::take(&self.taken);
        state.opened += 1;
        let (socket, send_queue) = (SocketId(state.opened), SendQueue::default());
        let effects = state.board.open(socket, visit, now, &mut state.rng)?;
        state.open += 1;
        self.counters.sockets.set(state.open as u64);
        self.counters.opened.add(1);
        state.queues.insert(socket, send_queue.clone());
        state.carry_out(effects, now);
        drop(guard);
        Ok(SocketHandle { hub: Arc::clone(self), socket, ip: visit.ip, send_queue, permit: Arc::new(permit) })
    }

    /// Whether one more socket of `ip` can be admitted, perhaps by evicting another.
    ///
    /// # Errors
    /// If it cannot.
    pub fn room_for(&self, ip: IpAddr) -> Result<(), NoSeat> {
        let now = self.clock.now();
        let state = self.state();
        if state.board.is_draining() {
            return Err(NoSeat::Draining);
        }
        if self.taken() >= state.most {
            return Err(NoSeat::Server);
        }
        state.board.room_for(ip, now.moment)
    }

    /// Closes the sockets of clients whose addresses are such, and ends their sessions.
    pub fn remove(&self, such: impl Fn(IpAddr) -> bool) {
        self.change(|state, now| state.board.remove(such, now, &mut state.rng));
    }

    /// Closes all sockets, and refuses new ones.
    pub fn drain(&self) {
        self.change(|state, _| state.board.drain(&mut state.rng));
    }

    /// All rooms, for an administrator. Rooms that are created meanwhile may be missing.
    #[must_use]
    pub fn rooms(&self) -> Vec<Room> {
        self.named_rooms().map(|(_, room)| room).collect()
    }

    /// Ends a room, by its pseudonym: all members are told so, and their sockets are closed. Returns whether there was such a
    /// room.
    pub fn end_room(&self, pseudonym: &str) -> bool {
        let named = self.named_rooms().find(|(_, room)| room.room == pseudonym);
        let Some((name, room)) = named else { return false };
        let mut ended = false;
        self.change(|state, now| {
            let effects = state.board.end_room(&name, now, &mut state.rng);
            ended = effects.is_some();
            effects.unwrap_or_default()
        });
        if ended {
            tracing::info!(room = pseudonym, members = room.members, "an administrator ended a room");
        }
        ended
    }

    /// All rooms with their names. The lock is taken for a few of them at a time.
    fn named_rooms(&self) -> impl Iterator<Item = (RoomName, Room)> {
        let mut last = None;
        iter::from_fn(move || {
            let now = self.clock.now().moment;
            let piece = self.state().board.rooms(last.as_ref(), &self.stand_in, now);
            last = piece.last().map(|(name, _)| name.clone());
            last.is_some().then_some(piece)
        })
        .flatten()
    }

    /// Its counters.
    #[must_use]
    pub fn counters(&self) -> &Counters {
        &self.counters
    }

    /// Does what is due, until it is ordered to stop or the hub is dropped.
    fn run(hub: &Weak<Self>, inbox: &Receiver<Order>, clock: Clock) {
        let mut tick = clock.now().moment + TICK;
        loop {
            let order = inbox.recv_timeout(tick.since(clock.now().moment));
            let Some(hub) = hub.upgrade() else { return };
            match order {
                Ok(Order::Ping(ping)) => {
                    drop(hub.state());
                    // If the receiver is gone, nobody needs the answer.
                    let _ = ping.send(());
                }
                Ok(Order::Stop) | Err(RecvTimeoutError::Disconnected) => return hub.say_goodbye(),
                Err(RecvTimeoutError::Timeout) => {
                    hub.change(|state, now| state.board.tick(now, &mut state.rng));
                    tick = clock.now().moment + TICK;
                }
            }
        }
    }

    fn say_goodbye(&self) {
        self.drain();
        let until = self.clock.now().moment + FAREWELL;
        while self.taken() > 0 && self.clock.now().moment < until {
            thread::sleep(LOOK);
        }
    }

    /// How many sockets are not closed yet. Only under the lock of the state does it grow.
    fn taken(&self) -> usize {
        self.taken.load(Ordering::Relaxed)
    }

    fn change(&self, change: impl FnOnce(&mut State, Now) -> Vec<Effect>) {
        let now = self.clock.now();
        let mut state = self.state();
        let effects = change(&mut state, now);
        state.carry_out(effects, now);
    }

    /// A panic is a bug. If it happens while a request is handled, the tables stay as that request left them, and other
    /// rooms continue. If it happens in a tick, it ends the thread, and so the daemon.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Place {
    fn take(taken: &Arc<AtomicUsize>) -> Self {
        taken.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(taken))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// The places for so many sessions.
fn places(sessions: usize) -> usize {
    sessions.saturating_add(sessions / GOODBYES + GOODBYES)
}

impl SocketHandle {
    /// Handles a frame. Returns whether the socket is welcome, that is, belongs to a session.
    pub fn hear(&self, heard: Result<Request, ParseError>) -> bool {
        let mut welcome = false;
        self.hub.change(|state, now| {
            let effects = state.board.hear(self.socket, heard, now, &mut state.rng);
            welcome = state.board.is_welcome(self.socket);
            effects
        });
        welcome
    }

    /// Whether the socket's session is in a room.
    #[must_use]
    pub fn is_in_room(&self) -> bool {
        self.hub.state().board.is_in_room(self.socket)
    }

    /// Everything up to `n` has arrived at the client.
    pub fn acknowledge(&self, n: u64) {
        self.hub.state().board.acknowledge(self.socket, n);
    }

    /// Counts a message that goes past the hub.
    pub fn sent(&self, message: &ServerMessage) {
        let _one_writer = self.hub.state();
        self.hub.counters.sent(message);
    }

    /// Counts a socket that the server closes.
    pub fn closed(&self, close: Close) {
        tracing::debug!(client = shown::ip(self.ip), reason = close.name(), "WebSocket closed");
        let _one_writer = self.hub.state();
        self.hub.counters.closed(close);
    }

    /// Its permit, which it holds while the socket is open.
    #[must_use]
    pub fn permit(&self) -> SocketPermit {
        Arc::clone(&self.permit)
    }

    /// The frames that wait to be sent.
    #[must_use]
    pub fn send_queue(&self) -> &SendQueue {
        &self.send_queue
    }

    /// The present moment.
    #[must_use]
    pub fn now(&self) -> Moment {
        self.hub.clock.now().moment
    }
}

impl Drop for SocketHandle {
    fn drop(&mut self) {
        self.hub.change(|state, now| {
            state.queues.remove(&self.socket);
            state.open -= 1;
            self.hub.counters.sockets.set(state.open as u64);
            state.board.lost(self.socket, now, &mut state.rng)
        });
    }
}

impl State {
    fn carry_out(&mut self, effects: Vec<Effect>, now: Now) {
        let mut effects = VecDeque::from(effects);
        while let Some(effect) = effects.pop_front() {
            match effect {
                Effect::Send(socket, frame) => {
                    let Some(send_queue) = self.queues.get(&socket) else { continue };
                    if send_queue.push(frame).is_err() {
                        self.close(socket, Close::SlowConsumer);
                        effects.extend(self.board.lost(socket, now, &mut self.rng));
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
