//! Connect and ConnectionBind (RFC 6062 §5): TCP between an allocation and its peers.
//!
//! A connection with a peer is made for a Connect, or by the peer. Then the client has a while to bind it to a
//! new connection of its own; from then on the two carry bytes, and nobody looks at them. The engine says who may, and
//! who belongs together; the caller makes the connections and carries the bytes.

use rand::Rng;
use stun::attributes::{ATTR_CONNECTION_ID, ATTR_XOR_PEER_ADDRESS};

use crate::clock::Moment;
use crate::metrics::Direction;
use crate::outcome::{Ignored, Method, Refusal};
use crate::relay::address::{ClientPath, ConnectionId, PeerAddr, RelayId};
use crate::relay::engine::allocation::{Allocation, AllocationId, Transport};
use crate::relay::engine::authenticate::Authenticated;
use crate::relay::engine::ports::Ports;
use crate::relay::engine::reply::{self, Question, Signer, raw};
use crate::relay::engine::{Engine, read};
use crate::relay::wire;

/// Which of how many shards this is: a connection's id says which one it is on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ShardIndex {
    /// The shard's number, from zero.
    pub index: u32,
    /// How many shards there are.
    pub of: u32,
}

impl ShardIndex {
    /// The place of a shard that is alone.
    pub const ALONE: Self = Self { index: 0, of: 1 };

    /// The number of the shard that a connection is on.
    #[must_use]
    pub fn owner(self, connection: ConnectionId) -> u32 {
        connection.0 % self.of
    }
}

/// One connection between an allocation and a peer.
#[derive(Debug)]
pub(super) struct Connection {
    allocation: AllocationId,
    peer: PeerAddr,
    state: State,
}

#[derive(Debug)]
enum State {
    /// The peer has not answered yet, and so neither have we.
    Connecting(Asked),
    /// No client connection is bound to it yet.
    Unbound,
    /// It carries bytes.
    Bound,
}

/// A Connect that is still to be answered.
#[derive(Debug)]
struct Asked {
    question: Question,
    signer: Signer,
}

impl Engine {
    /// Whether there are TCP connections with peers at all.
    #[must_use]
    pub fn relays_tcp(&self) -> bool {
        self.settings.tcp
    }

    pub(super) fn connect(
        &mut self,
        request: &Authenticated<'_>,
        ports: &impl Ports,
    ) -> Result<(ConnectionId, RelayId, PeerAddr), Refusal> {
        let id = self.owned(request)?;
        let message = request.message();
        let attribute = message.first(ATTR_XOR_PEER_ADDRESS).ok_or(Refusal::BadRequest)?;
        let peer = message.peer(&attribute).ok_or(Refusal::BadRequest)?;
        let allocation = self.allocations.get(id).ok_or(Refusal::AllocationMismatch)?;
        if allocation.transport != Transport::Tcp {
            return Err(Refusal::BadRequest);
        }
        if allocation
            .connections
            .iter()
            .any(|other| self.connections.get(other).is_some_and(|c| c.peer == peer))
        {
            return Err(Refusal::ConnectionExists);
        }
        let relay = allocation.relay(peer.family()).ok_or(Refusal::FamilyMismatch)?.id;
        self.may_reach(peer, Transport::Tcp, ports)?;
        self.afford_connection(id)?;
        let now = request.now().moment;
        let allocation = self.allocations.get_mut(id).ok_or(Refusal::AllocationMismatch)?;
        if !allocation.new_peers.take(self.settings.limits.new_peers, 1, now) {
            return Err(Refusal::PeerRate);
        }
        allocation.peers = allocation.peers.saturating_add(1);
        let asked = Asked { question: message.into(), signer: request.signer().clone() };
        let connection = self.insert_connection(id, peer, State::Connecting(asked));
        Ok((connection, relay, peer))
    }

    /// A peer answered, or did not: what the client who asked for the connection hears now.
    pub fn on_connected(&mut self, id: ConnectionId, connected: bool) -> Option<(ClientPath, Vec<u8>)> {
        let connection = self.connections.get_mut(&id)?;
        let State::Connecting(Asked { question, signer }) = &connection.state else { return None };
        let (question, signer) = (*question, signer.clone());
        connection.state = State::Unbound;
        let path = self.allocations.get(connection.allocation)?.path;
        if connected {
            self.counters.success(Method::Connect);
            let attributes = [raw(ATTR_CONNECTION_ID, &id.0.to_be_bytes())];
            return Some((path, reply::success(question, &attributes, Some(&signer))));
        }
        self.counters.refused(Method::Connect, Refusal::ConnectionFailed);
        let reply = reply::refuse(question, Refusal::ConnectionFailed, &signer);
        self.on_hung_up(id);
        Some((path, reply))
    }

    /// A peer connected to a relayed address by itself (RFC 6062 §5.3): the connection's name, and what its client
    /// hears of it.
    ///
    /// # Errors
    /// Why the connection is to be closed at once.
    pub fn on_attempt(
        &mut self,
        relay: RelayId,
        peer: PeerAddr,
        now: Moment,
    ) -> Result<(ConnectionId, ClientPath, Vec<u8>), Ignored> {
        let attempt = self.admit_attempt(relay, peer, now);
        attempt.inspect_err(|ignored| self.counters.ignored(*ignored))
    }

    fn admit_attempt(
        &mut self,
        relay: RelayId,
        peer: PeerAddr,
        now: Moment,
    ) -> Result<(ConnectionId, ClientPath, Vec<u8>), Ignored> {
        let id = self.allocations.by_relay(relay).ok_or(Ignored::NoAllocation)?;
        let allocation = self.allocations.get(id).ok_or(Ignored::NoAllocation)?;
        let path = allocation.path;
        allocation.permitted_until(peer.ip()).filter(|until| *until > now).ok_or(Ignored::NoPermission)?;
        self.afford_connection(id).map_err(|_| Ignored::Crowded)?;
        let connection = self.insert_connection(id, peer, State::Unbound);
        Ok((connection, path, wire::connection_attempt(peer, connection, self.rng.random())))
    }

    pub(super) fn connection_bind(&mut self, request: &Authenticated<'_>) -> Result<ConnectionId, Refusal> {
        let path = request.path();
        // A connection that has an allocation is needed for that.
        if !path.is_stream() || self.allocations.by_path(&path).is_some() {
            return Err(Refusal::BadRequest);
        }
        let id = read(request.decoded(), ATTR_CONNECTION_ID)?.map(u32::from_be_bytes).map(ConnectionId);
        let id = id.ok_or(Refusal::BadRequest)?;
        let connection = self.connections.get_mut(&id).ok_or(Refusal::BadRequest)?;
        let State::Unbound = connection.state else { return Err(Refusal::BadRequest) };
        let allocation = self.allocations.get(connection.allocation).ok_or(Refusal::BadRequest)?;
        if allocation.lease.is_evicted() {
            return Err(Refusal::BadRequest);
        }
        if *allocation.username != *request.account().username {
            return Err(Refusal::WrongUser);
        }
        connection.state = State::Bound;
        Ok(id)
    }

    /// A connection with a peer has ended.
    pub fn on_hung_up(&mut self, id: ConnectionId) {
        let Some(connection) = self.connections.remove(&id) else { return };
        if let Some(allocation) = self.allocations.get_mut(connection.allocation) {
            allocation.connections.retain(|other| *other != id);
        }
    }

    /// Whether a connection may carry more bytes in one direction now. If not, whoever sends them has to wait.
    #[must_use]
    pub fn may_carry(&self, id: ConnectionId, direction: Direction, now: Moment) -> bool {
        let allocation = self.connections.get(&id).and_then(|c| self.allocations.get(c.allocation));
        allocation.is_some_and(|allocation| {
            !allocation.meter(direction).is_spent(&self.settings.limits, now)
                && !self.purse.is_spent(allocation.lease.share(), direction, now)
        })
    }

    /// A connection carries so many bytes.
    pub fn on_carried(&mut self, id: ConnectionId, direction: Direction, bytes: usize, now: Moment) {
        let Some(connection) = self.connections.get(&id) else { return };
        let Some(allocation) = self.allocations.get_mut(connection.allocation) else { return };
        allocation.meter_mut(direction).carry(&self.settings.limits, bytes, now);
        self.purse.spend(allocation.lease.share(), direction, bytes, now);
        allocation.lease.touch(now);
        self.counters.relayed(direction, bytes);
    }

    /// An allocation has as many connections as it may have channels, which they stand for.
    fn afford_connection(&self, id: AllocationId) -> Result<(), Refusal> {
        let held = self.allocations.get(id).map_or(0, |allocation| allocation.connections.len());
        if held < self.settings.limits.channels { Ok(()) } else { Err(Refusal::Channels) }
    }

    fn insert_connection(&mut self, allocation: AllocationId, peer: PeerAddr, state: State) -> ConnectionId {
        let ShardIndex { index, of } = self.shard;
        let id = loop {
            let id = ConnectionId(self.rng.random_range(0..u32::MAX / of) * of + index);
            if !self.connections.contains_key(&id) {
                break id;
            }
        };
        self.connections.insert(id, Connection { allocation, peer, state });
        if let Some(allocation) = self.allocations.get_mut(allocation) {
            allocation.connections.push(id);
        }
        id
    }

    /// The connections with such peers.
    pub(super) fn connections_where(&self, is_such: impl Fn(PeerAddr) -> bool) -> Vec<ConnectionId> {
        let such = self.connections.iter().filter(|(_, connection)| is_such(connection.peer));
        let mut ids: Vec<ConnectionId> = such.map(|(id, _)| *id).collect();
        ids.sort_unstable();
        ids
    }

    /// Forgets the connections of an allocation that has ended; whoever closes its relayed address closes them.
    pub(super) fn forget_connections(&mut self, ended: &Allocation) {
        for id in &ended.connections {
            self.connections.remove(id);
        }
    }
}
