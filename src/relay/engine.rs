//! PURE  The TURN server as a value: it takes bytes and the time, and returns decisions.
//!
//! Beyond that, it counts, writes log lines, and uses the ledgers that the engines of all shards share: quotas, budgets
//! and used ports.
//!
//! ```text
//! on_client(path, datagram, now, ports)   a client sent a datagram or a message: what to do with it
//! on_peer(relay, peer, length, now)       a peer sent data: how it reaches the client
//! on_icmp(relay, peer, icmp, now)         a packet met an ICMP error: the report to the client
//! disconnect(path, now, ports)            a client's connection has ended
//! revoke(username, now, ports)            a credential is revoked
//! sessions(wanted, from, now)             shows some allocations to an administrator, as session does one
//! end_session(id, now, ports)             an administrator ends an allocation, as end_user does those of a user
//! set_own(own, ports)                     the machine's addresses have changed
//! apply(settings, peers, fixed, ports)    the configuration has changed
//! drain()                                 no new allocations are made from now on
//! deny(networks, now, ports)              clients of these networks are refused from now on
//! on_connected, on_attempt, on_hung_up    a TCP connection with a peer begins or ends (RFC 6062)
//! may_carry, on_carried                   bytes on such a connection
//! expire(now, ports)                      ends what has expired; due at next_deadline()
//! conclude(now)                           the daemon stops
//! ```
//!
//! The caller carries out the decisions, and calls [`Engine::expire`] no later than [`Engine::next_deadline`].
//! No input causes a panic. A relayed packet causes no heap allocation.
//!
//! Reading order: [`Engine::on_client`] below, then `authenticate.rs`, one file for each method, and `lifetimes.rs`.

mod allocate;
pub mod allocation;
pub mod answers;
mod authenticate;
pub mod bandwidth;
mod channel;
mod classic;
mod connect;
mod data;
mod drain;
mod endings;
mod integrity;
pub mod lifetimes;
pub mod limits;
pub mod nonce;
mod permission;
pub mod quotas;
pub mod readings;
mod refresh;
mod reply;
mod reporting;
pub mod routes;
pub mod seam;
pub mod sessions;
mod settings;
mod surroundings;
pub mod usage;

use std::collections::{BTreeSet, HashMap};
use std::net::IpAddr;
use std::sync::Arc;

use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng};
use stun::attributes::{ATTR_PRIORITY, ATTR_USE_CANDIDATE, AttrType};

use crate::bounds::denied::DenyList;
use crate::bounds::reached::{Limit, Tally};
use crate::clock::{Moment, Now};
use crate::journal::{Journal, shown};
use crate::metrics::Counters;
use crate::network::address::Transport;
use crate::outcome::{Ignored, Method, Refusal};
use crate::peers::PeerPolicy;
use crate::relay::address::{ClientPath, ConnectionId, PeerAddr, RelayId};
use crate::relay::bridges::Bridges;
use crate::relay::engine::allocation::{AllocationId, Allocations};
use crate::relay::engine::answers::AnswerBudget;
use crate::relay::engine::authenticate::{Authenticated, Gate, Rejection, Wrong};
use crate::relay::engine::bandwidth::Purse;
use crate::relay::engine::endings::Endings;
use crate::relay::engine::lifetimes::Due;
use crate::relay::engine::nonce::Nonces;
use crate::relay::engine::quotas::{Lease, Quotas};
use crate::relay::engine::readings::ReadAt;
use crate::relay::engine::reply::Attributes;
use crate::relay::engine::routes::Routes;
use crate::relay::engine::seam::{Ports, ReservationToken};
use crate::relay::engine::usage::Visits;
use crate::relay::wire::{self, Class, Datagram, Message};
use crate::usage::ledger::Ledger;

pub use connect::ShardIndex;
pub use data::{Encapsulation, ToClient, ToPeer};
pub use lifetimes::RESERVATION_LIFETIME;
pub use settings::{Settings, Shared};

/// The TURN server of one shard.
///
/// Files of this folder have one `impl` each, for one kind of request or one concern.
pub struct Engine {
    settings: Arc<Settings>,
    denied: Arc<DenyList>,
    peers: PeerPolicy,
    nonces: Nonces,
    quotas: Arc<Quotas>,
    purse: Purse,
    answers: Arc<AnswerBudget>,
    journal: Arc<Journal>,
    /// The packets that a limit on rates has dropped.
    over_rate: Tally,
    counters: Arc<Counters>,
    /// Bytes of a challenge, the answer to an unauthenticated client. A request that is at least as long needs no
    /// budget.
    challenge_length: usize,
    rng: StdRng,
    allocations: Allocations,
    routes: Routes,
    deadlines: BTreeSet<(Moment, Due)>,
    next_sweep: Moment,
    /// When the [`readings::Readings`] of all allocations were taken.
    read_at: ReadAt,
    /// The [`Allocation::serial`](allocation::Allocation::serial) of the newest allocation. The first is random, so that
    /// the id of an earlier daemon's session names none of this one.
    serial: u32,
    endings: Endings,
    usage: Arc<Ledger>,
    visits: Visits,
    /// Reserved ports count against the quotas of the clients that reserved them, for as long as they can be held.
    reservations: HashMap<ReservationToken, Lease>,
    /// The TCP connections with peers.
    bridges: Bridges,
    shard: ShardIndex,
    /// Whether no new allocations are made, because the daemon is about to stop.
    draining: bool,
}

/// What to do with a client's datagram.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Send this back.
    Reply(Vec<u8>),
    /// Send a part of the datagram to a peer.
    ToPeer(ToPeer),
    /// Connect to a peer, pass the socket to `Bridges::attach`, and report the result to [`Engine::on_connected`].
    Connect(ConnectionId, RelayId, PeerAddr),
    /// Send this back. From then on the client's connection carries the bytes of the connection with the peer, both ways.
    Bind(ConnectionId, Vec<u8>),
    /// Move the client's connection to the shard with this number, which has the connection with the peer and answers
    /// the datagram. If the connection cannot be moved, send this back.
    HandOver(u32, Vec<u8>),
    /// Nothing.
    Ignore(Ignored),
}

/// How a granted request is answered.
enum Granted {
    /// At once, with these attributes.
    Now(Attributes),
    /// When the peer has answered.
    Connect(ConnectionId, RelayId, PeerAddr),
    /// At once; then the client's connection is bound to the connection with the peer.
    Bind(ConnectionId),
    /// By the shard with this number.
    Elsewhere(u32),
}

/// The most unknown attributes that one answer lists.
const UNKNOWN_MAX: usize = 64;

impl Engine {
    /// An engine for one shard, without allocations. `seed` must be unpredictable: ports and tokens come from it.
    #[must_use]
    pub fn new(shared: Shared, counters: Arc<Counters>, shard: ShardIndex, seed: [u8; 32]) -> Self {
        let mut rng = StdRng::from_seed(seed);
        Self {
            challenge_length: reply::challenge_length(shared.settings.credentials.realm()),
            purse: Purse::new(&shared.settings.limits, shared.carried),
            settings: shared.settings,
            denied: shared.denied,
            peers: shared.peers,
            nonces: shared.nonces,
            quotas: shared.quotas,
            answers: shared.answers,
            journal: shared.journal,
            over_rate: Tally::default(),
            counters,
            serial: rng.random(),
            rng,
            allocations: Allocations::default(),
            routes: Routes::default(),
            deadlines: BTreeSet::new(),
            next_sweep: Moment::default(),
            read_at: ReadAt::default(),
            endings: Endings::default(),
            usage: shared.usage,
            visits: Visits::default(),
            reservations: HashMap::new(),
            bridges: Bridges::default(),
            shard,
            draining: false,
        }
    }

    /// Decides what to do with a client's datagram.
    pub fn on_client(
        &mut self,
        path: ClientPath,
        datagram: &[u8],
        now: Now,
        ports: &mut impl Ports,
    ) -> Action {
        let decision = self.decide_on(path, datagram, now, ports);
        decision.unwrap_or_else(|ignored| {
            self.counters.ignored(ignored);
            tracing::trace!(client = shown::socket(path.client), reason = ignored.name(), "ignored");
            Action::Ignore(ignored)
        })
    }

    /// The same; an error says why the datagram is dropped.
    fn decide_on(
        &mut self,
        path: ClientPath,
        datagram: &[u8],
        now: Now,
        ports: &mut impl Ports,
    ) -> Result<Action, Ignored> {
        if self.denied.contains(path.client.ip()) {
            return Err(Ignored::Denied);
        }
        match wire::screen(datagram) {
            Ok(Datagram::ChannelData(channel, payload)) => {
                self.on_channel_data(path, channel, payload, now.moment, ports).map(Action::ToPeer)
            }
            Ok(Datagram::Message(_)) if self.is_impossible_source(path) => Err(Ignored::ImpossibleSource),
            Ok(Datagram::Message(message)) => self.on_message(path, &message, now, ports),
            Err(Ignored::NotStun) if self.settings.rfc3489 && !path.is_stream() => {
                self.classic_binding(path, datagram, now)
            }
            Err(ignored) => Err(ignored),
        }
    }

    /// The allocations of this shard.
    #[must_use]
    pub fn allocations(&self) -> &Allocations {
        &self.allocations
    }

    /// For tests: the routes of this shard.
    #[doc(hidden)]
    #[must_use]
    pub fn routes(&self) -> &Routes {
        &self.routes
    }

    fn on_message(
        &mut self,
        path: ClientPath,
        message: &Message<'_>,
        now: Now,
        ports: &mut impl Ports,
    ) -> Result<Action, Ignored> {
        let method = method(message, self.settings.tcp);
        match (message.class(), method) {
            (Class::Indication, Method::Send) => {
                self.on_send_indication(path, message, now.moment, ports).map(Action::ToPeer)
            }
            (Class::Response | Class::Indication, _) => Err(Ignored::NothingToDo),
            (Class::Request, Method::Binding) => self.binding(path, message, now),
            (Class::Request, _) => self.on_request(path, method, message, now, ports),
        }
    }

    /// Binding (RFC 8489 §3): tells a client its address as this server sees it. It needs no authentication.
    fn binding(&self, path: ClientPath, message: &Message<'_>, now: Now) -> Result<Action, Ignored> {
        let mut unknown = unknown_attributes(message);
        // ICE agents send these to peers (RFC 8445 §7.1); a STUN server can ignore them. An attribute that asks for a
        // different behaviour, such as PADDING or CHANGE-REQUEST (RFC 5780), is answered as unknown.
        unknown.retain(|kind| !matches!(*kind, ATTR_PRIORITY | ATTR_USE_CANDIDATE));
        if unknown.is_empty() {
            self.counters.success(Method::Binding);
            return Ok(Action::Reply(reply::success(message, &[reply::mapped(path.client)], None)));
        }
        self.afford_answer(path, now)?;
        self.counters.refused(Method::Binding, Refusal::UnknownAttribute);
        Ok(Action::Reply(reply::unknown_attributes(message, unknown, None)))
    }

    fn on_request(
        &mut self,
        path: ClientPath,
        method: Method,
        message: &Message<'_>,
        now: Now,
        ports: &mut impl Ports,
    ) -> Result<Action, Ignored> {
        let holder = self.allocations.by_path(&path).and_then(|id| self.allocations.get(id));
        let gate = Gate {
            settings: &self.settings,
            nonces: &self.nonces,
            answers: &self.answers,
            holder: holder.map(|allocation| &*allocation.username),
        };
        match gate.authenticate(path, method, message, now) {
            Ok(request) => Ok(self.decide(method, &request, ports)),
            Err(rejection) => self.on_rejected(path, method, message, rejection, now),
        }
    }

    /// Answers a request that did not pass authentication, or ignores it.
    fn on_rejected(
        &self,
        path: ClientPath,
        method: Method,
        message: &Message<'_>,
        rejection: Rejection,
        now: Now,
    ) -> Result<Action, Ignored> {
        self.report_rejected(path, &rejection, now.moment);
        let refusal = match rejection {
            Rejection::Ignored(ignored) => return Err(ignored),
            Rejection::Stranger(refusal) | Rejection::Wrong(Wrong { refusal, .. }) => {
                if message.length() < self.challenge_length {
                    self.afford_answer(path, now)?;
                }
                refusal
            }
            Rejection::Known(refusal) => refusal,
        };
        Ok(Action::Reply(self.reject(path, method, message, refusal, now)))
    }

    /// Decides about a request whose client has authenticated.
    fn decide(&mut self, method: Method, request: &Authenticated<'_>, ports: &mut impl Ports) -> Action {
        let (message, signer) = (request.message(), request.signer());
        let unknown = unknown_attributes(message);
        if !unknown.is_empty() {
            self.counters.refused(method, Refusal::UnknownAttribute);
            return Action::Reply(reply::unknown_attributes(message, unknown, Some(signer)));
        }
        let granted = |attributes: &Attributes| reply::success(message, attributes, Some(signer));
        match self.handle(method, request, ports) {
            // The request is answered and counted when the peer has answered.
            Ok(Granted::Connect(connection, relay, peer)) => Action::Connect(connection, relay, peer),
            Ok(Granted::Elsewhere(shard)) => {
                Action::HandOver(shard, reply::refuse(message, Refusal::BadRequest, signer))
            }
            Ok(Granted::Bind(connection)) => {
                self.counters.success(method);
                Action::Bind(connection, granted(&Attributes::new()))
            }
            Ok(Granted::Now(attributes)) => {
                self.counters.success(method);
                Action::Reply(granted(&attributes))
            }
            Err(refusal) => {
                self.counters.refused(method, refusal);
                self.report_refused(request, refusal);
                let client = request.path().client;
                let shown = shown::socket(client);
                tracing::debug!(client = shown, method = method.name(), reason = refusal.name(), "refused");
                let answer = if refusal == Refusal::Redirected {
                    reply::redirect(message, &self.alternates(client), signer)
                } else {
                    reply::refuse(message, refusal, signer)
                };
                Action::Reply(answer)
            }
        }
    }

    fn handle(
        &mut self,
        method: Method,
        request: &Authenticated<'_>,
        ports: &mut impl Ports,
    ) -> Result<Granted, Refusal> {
        match method {
            Method::Allocate => self.allocate(request, ports).map(Granted::Now),
            Method::Refresh => self.refresh(request, ports).map(Granted::Now),
            Method::CreatePermission => self.create_permission(request, ports).map(Granted::Now),
            Method::ChannelBind => self.channel_bind(request, ports).map(Granted::Now),
            Method::Connect => {
                self.connect(request, ports).map(|(id, relay, peer)| Granted::Connect(id, relay, peer))
            }
            Method::ConnectionBind => self.connection_bind(request),
            Method::Binding | Method::Send | Method::Unknown => Err(Refusal::UnknownMethod),
        }
    }

    /// No client sends from these sources. An answer would reach a reflecting service, a multicast group, or this
    /// server itself. Over TCP and TLS the source cannot be spoofed.
    fn is_impossible_source(&self, path: ClientPath) -> bool {
        if path.is_stream() {
            return false;
        }
        let port = matches!(path.client.port(), 0 | 19 | 53 | 123 | 389 | 1900 | 11211);
        let address = match path.client.ip() {
            IpAddr::V4(ip) => ip.is_unspecified() || ip.is_multicast() || ip.is_broadcast(),
            IpAddr::V6(ip) => ip.is_unspecified() || ip.is_multicast(),
        };
        port || address || path.client == path.server || self.peers.is_listener(path.client, Transport::Udp)
    }

    /// Answers a request that did not pass authentication.
    fn reject(
        &self,
        path: ClientPath,
        method: Method,
        message: &Message<'_>,
        refusal: Refusal,
        now: Now,
    ) -> Vec<u8> {
        self.counters.refused(method, refusal);
        // The first challenge starts every session and is not a failure.
        if refusal == Refusal::Challenge {
            tracing::trace!(client = shown::socket(path.client), "first challenge, normal");
        } else {
            let client = shown::socket(path.client);
            tracing::debug!(client, method = method.name(), reason = refusal.name(), "refused");
        }
        let retry = matches!(refusal.code(), 401 | 438);
        let realm = self.settings.credentials.realm();
        let challenge = retry.then(|| (realm, self.nonces.issue(path.nonce_holder(), now.moment)));
        reply::reject(message, refusal, challenge)
    }

    /// Error answers to unauthenticated clients over UDP have a budget, because a spoofed request would send them to a
    /// victim. Over TCP and TLS the source cannot be spoofed; and an answer that is not longer than the request does
    /// not amplify.
    fn afford_answer(&self, path: ClientPath, now: Now) -> Result<(), Ignored> {
        if path.is_stream() || self.answers.may_answer(&self.settings.limits, path.client.ip(), now.moment) {
            return Ok(());
        }
        self.journal.limit(Limit::Answers, now.moment);
        Err(Ignored::AnswerBudget)
    }

    /// The allocation that a request is about: it must exist and belong to the user who sent the request (RFC 8656 §5).
    fn owned(&self, request: &Authenticated<'_>) -> Result<AllocationId, Refusal> {
        let id = self.allocations.by_path(&request.path()).ok_or(Refusal::AllocationMismatch)?;
        let allocation = self.allocations.get(id).ok_or(Refusal::AllocationMismatch)?;
        // To its client, an evicted allocation is already gone.
        if allocation.lease.is_evicted() {
            return Err(Refusal::AllocationMismatch);
        }
        if *allocation.username == *request.account().username { Ok(id) } else { Err(Refusal::WrongUser) }
    }
}

/// The method of a message. Methods that are not served are unknown.
fn method(message: &Message<'_>, tcp: bool) -> Method {
    match message.method() {
        0x001 => Method::Binding,
        0x003 => Method::Allocate,
        0x004 => Method::Refresh,
        0x006 => Method::Send,
        0x008 => Method::CreatePermission,
        0x009 => Method::ChannelBind,
        0x00A if tcp => Method::Connect,
        0x00B if tcp => Method::ConnectionBind,
        _ => Method::Unknown,
    }
}

/// The comprehension-required attributes that this server does not understand, each once.
fn unknown_attributes(message: &Message<'_>) -> Vec<AttrType> {
    let mut unknown = Vec::new();
    for attribute in message.attributes() {
        if !wire::is_understood(attribute.kind) && !unknown.contains(&attribute.kind) {
            unknown.push(attribute.kind);
        }
        if unknown.len() == UNKNOWN_MAX {
            break;
        }
    }
    unknown
}
