//! One session: a line with its seat at the hub, and the packets that wait for its client.
//!
//! Whatever its transport, a session is a socket of the hub, so that all limits of the rooms hold for it. A client of long
//! polling that never polls, or never ends its session, loses the seat as one that is silent does.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::{sleep, timeout};

use crate::clock::{Clock, Moment};
use crate::compat::socketio::engine::{self, NOOP_PACKET, PING_PACKET};
use crate::compat::socketio::line::{Effect, Line};
use crate::compat::socketio::outbox::Outbox;
use crate::secret::Secret;
use crate::signaling::heartbeat::{DEAD, PING};
use crate::signaling::hub::{SocketHandle, SocketPermit};
use crate::signaling::pace::Pace;
use crate::signaling::protocol::codes::Close;
use crate::signaling::protocol::{ClientMessage, Request};
use crate::signaling::send_queue::{Next, SendQueue};

/// How long a client may take to enter the main namespace.
pub const CONNECT: Duration = Duration::from_secs(10);
/// How long a poll waits for a packet; below the time that any request may take.
pub const POLL: Duration = Duration::from_secs(8);
/// How long a client of long polling may be without a poll.
const GONE: Duration = Duration::from_secs(10);
/// How long a client may take to poll once more when its session is over.
const LAST_POLL: Duration = Duration::from_secs(5);

/// A session.
pub struct Session {
    sid: String,
    clock: Clock,
    state: Mutex<State>,
    outbox: Outbox,
    send_queue: SendQueue,
    /// Whether the client is about to change to a WebSocket, or has.
    leaves_polling: Notify,
    /// Something must be done at another time than before.
    is_due: Notify,
    polls: AtomicBool,
}

struct State {
    line: Line,
    /// Its seat; `None` once the session is over.
    seat: Option<SocketHandle>,
    /// Why the server has ended it.
    why: Option<Close>,
    /// Its place at the hub, while the client may still take its last packets.
    place: Option<SocketPermit>,
    pace: Pace,
    transport: Transport,
    opened: Moment,
    heard: Moment,
    pinged: Moment,
    /// When its last poll ended.
    polled: Moment,
}

/// How packets reach the client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transport {
    /// By long polling.
    Polling,
    /// Still so, but the client tries a WebSocket.
    Changing,
    /// Over a WebSocket.
    Socket,
}

/// The session is over, or the request is not for its transport.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NotNow;

impl Session {
    /// A session in this seat. `token` is a room token that the client has shown in the URL.
    pub(super) fn new(
        sid: String,
        seat: SocketHandle,
        token: Option<Secret>,
        transport: Transport,
        clock: Clock,
    ) -> Arc<Self> {
        let now = clock.now().moment;
        let line = Line::new(sid.clone(), token);
        let send_queue = seat.send_queue().clone();
        let (pace, seat) = (Pace::default(), Some(seat));
        let state = State {
            line,
            seat,
            why: None,
            place: None,
            pace,
            transport,
            opened: now,
            heard: now,
            pinged: now,
            polled: now,
        };
        let session = Self {
            clock,
            state: Mutex::new(state),
            outbox: Outbox::default(),
            send_queue,
            leaves_polling: Notify::new(),
            is_due: Notify::new(),
            polls: AtomicBool::new(false),
            sid,
        };
        let open = engine::open(&session.sid, transport == Transport::Polling);
        session.outbox.push(open).expect("it is the first packet");
        Arc::new(session)
    }

    /// Its id.
    #[must_use]
    pub fn sid(&self) -> &str {
        &self.sid
    }

    /// Carries what the hub sends, and watches the clock, until the session is over.
    pub(super) async fn run(&self) {
        while let Some(due) = self.due() {
            let now = self.clock.now().moment;
            if due <= now {
                self.tick(now);
                continue;
            }
            tokio::select! {
                next = self.next() => match next {
                    Some(Next::Send(frame)) => {
                        let mut state = self.state();
                        let effects = state.line.told(&frame);
                        if let (Some(seat), Some(n)) = (&state.seat, frame.n) {
                            seat.acknowledge(n);
                        }
                        self.carry_out(&mut state, effects);
                    }
                    Some(Next::Close(close)) => self.end(Some(close)),
                    None => {}
                },
                () = self.is_due.notified() => {}
                () = sleep(due.since(now)) => {}
            }
        }
    }

    /// Gives a client that polls some time to take the last packets of a session that is over.
    pub(super) async fn linger(&self) {
        // A client that takes longer misses the reason.
        let _ = timeout(LAST_POLL, self.outbox.drained()).await;
        self.state().place = None;
    }

    /// Takes a packet of the client. With `needs_token`, no browser vouches for its page.
    pub fn hear(&self, packet: &str, needs_token: bool) {
        let now = self.clock.now().moment;
        let mut state = self.state();
        state.heard = now;
        if !state.pace.frame(packet.len(), now) {
            return self.finish(&mut state, Some(Close::RateLimited));
        }
        let effects = state.line.hear(packet, needs_token);
        self.carry_out(&mut state, effects);
    }

    /// Counts a frame that carries no packet.
    pub fn hear_nothing(&self) {
        let now = self.clock.now().moment;
        let mut state = self.state();
        if !state.pace.frame(0, now) {
            self.finish(&mut state, Some(Close::RateLimited));
        }
    }

    /// The packets for the next poll, or one that says nothing. `None` at the end.
    ///
    /// # Errors
    /// If the client has a WebSocket, or another poll is waiting, which ends the session.
    pub async fn poll(&self) -> Result<Option<Vec<String>>, NotNow> {
        if self.transport() == Transport::Socket {
            return Err(NotNow);
        }
        let Some(_one) = Poll::begin(self) else {
            self.end(Some(Close::Protocol));
            return Err(NotNow);
        };
        let nothing = || Some(vec![NOOP_PACKET.to_owned()]);
        if self.transport() == Transport::Changing {
            return Ok(nothing());
        }
        tokio::select! {
            packets = self.outbox.take() => Ok(packets),
            () = self.leaves_polling.notified() => Ok(nothing()),
            () = sleep(POLL) => Ok(nothing()),
        }
    }

    /// The packets for the WebSocket, once there are any; `None` at the end.
    pub async fn packets(&self) -> Option<Vec<String>> {
        self.outbox.take().await
    }

    /// The client tries a WebSocket. A poll that waits is answered at once.
    ///
    /// # Errors
    /// If it has one already, or the session is over.
    pub fn try_socket(&self) -> Result<(), NotNow> {
        let mut state = self.state();
        if state.seat.is_none() || state.transport != Transport::Polling {
            return Err(NotNow);
        }
        state.transport = Transport::Changing;
        drop(state);
        self.leaves_polling.notify_waiters();
        Ok(())
    }

    /// The client uses the WebSocket from now on, or goes on polling.
    pub fn decide(&self, for_socket: bool) {
        let mut state = self.state();
        if state.transport == Transport::Changing {
            state.transport = if for_socket { Transport::Socket } else { Transport::Polling };
        }
    }

    /// How packets reach the client.
    #[must_use]
    pub fn transport(&self) -> Transport {
        self.state().transport
    }

    /// Whether the session is over.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.state().seat.is_none()
    }

    /// Why the server has ended the session, if it has.
    #[must_use]
    pub fn why(&self) -> Option<Close> {
        self.state().why
    }

    /// Whether its client is in a room.
    #[must_use]
    pub fn is_in_room(&self) -> bool {
        self.state().seat.as_ref().is_some_and(SocketHandle::is_in_room)
    }

    /// Ends the session, for this reason; `None` if the client or the network does.
    pub fn end(&self, close: Option<Close>) {
        self.finish(&mut self.state(), close);
    }

    fn finish(&self, state: &mut State, close: Option<Close>) {
        let Some(seat) = state.seat.take() else { return };
        (state.why, state.place) = (close, Some(seat.permit()));
        if let Some(close) = close {
            seat.closed(close);
        }
        if state.line.is_connected() {
            // Nothing can be resumed, so the others hear at once that it is gone.
            seat.hear(Ok(Request { id: None, message: ClientMessage::Bye }));
        }
        self.outbox.end(state.line.farewell(close));
        self.is_due.notify_one();
    }

    fn carry_out(&self, state: &mut State, effects: Vec<Effect>) {
        for effect in effects {
            let Some(seat) = &state.seat else { return };
            match effect {
                Effect::Send(packet) => {
                    if self.outbox.push(packet).is_err() {
                        self.finish(state, Some(Close::SlowConsumer));
                    }
                }
                Effect::Ask(request) => drop(seat.hear(Ok(request))),
                Effect::Mistake => {
                    if !state.pace.mistake(self.clock.now().moment) {
                        self.finish(state, Some(Close::RateLimited));
                    }
                }
                Effect::End(close) => self.finish(state, close),
            }
        }
    }

    /// What the hub sends, or `None` when there may be space for it again.
    async fn next(&self) -> Option<Next> {
        if self.outbox.has_space() {
            return Some(self.send_queue.next().await);
        }
        tokio::select! {
            () = self.outbox.emptied() => None,
            close = self.send_queue.closing() => Some(Next::Close(close)),
        }
    }

    /// When something must be done; `None` if the session is over.
    fn due(&self) -> Option<Moment> {
        let state = self.state();
        state.seat.as_ref()?;
        let due = self.dead_at(&state).min(state.pinged + PING);
        Some(if state.line.is_connected() { due } else { due.min(state.opened + CONNECT) })
    }

    /// When its client counts as dead. One that polls leaves no poll out, so it is gone sooner.
    fn dead_at(&self, state: &State) -> Moment {
        let silent = state.heard + DEAD;
        if state.transport == Transport::Socket || self.polls.load(Ordering::Acquire) {
            return silent;
        }
        silent.min(state.polled.max(state.heard) + GONE)
    }

    fn tick(&self, now: Moment) {
        let mut state = self.state();
        if !state.line.is_connected() && state.opened + CONNECT <= now {
            self.finish(&mut state, Some(Close::HelloTimeout));
        } else if self.dead_at(&state) <= now {
            self.finish(&mut state, Some(Close::Dead));
        } else if state.pinged + PING <= now {
            state.pinged = now;
            self.carry_out(&mut state, vec![Effect::Send(PING_PACKET.to_owned())]);
        }
    }

    /// The state is right between any two statements, so a panic elsewhere spoils nothing.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The one poll that a session may have.
struct Poll<'a>(&'a Session);

impl<'a> Poll<'a> {
    fn begin(session: &'a Session) -> Option<Self> {
        (!session.polls.swap(true, Ordering::AcqRel)).then_some(Self(session))
    }
}

impl Drop for Poll<'_> {
    /// The poll is answered, or its client is gone.
    fn drop(&mut self) {
        self.0.state().polled = self.0.clock.now().moment;
        self.0.polls.store(false, Ordering::Release);
        self.0.is_due.notify_one();
    }
}
