//! PURE  Connect and ConnectionBind (RFC 6062 §5): TCP connections between an allocation and its peers.
//!
//! A connection with a peer is made for a Connect, or by the peer. The client then has a limited time to bind it to a
//! new connection of its own. From then on the two connections carry bytes, which the engine does not inspect. The
//! engine decides who may connect and which connections belong together; the caller makes the connections and carries
//! the bytes.

use rand::Rng;
use stun::attributes::ATTR_CONNECTION_ID;

use crate::bounds::reached::Limit;
use crate::clock::Moment;
use crate::metrics::Direction;
use crate::network::address::Transport;
use crate::outcome::{Ignored, Method, Refusal};
use crate::relay::address::{ClientPath, ConnectionId, PeerAddr, RelayId};
use crate::relay::bridges::{Answers, Bridges};
use crate::relay::engine::allocation::Allocation;
use crate::relay::engine::authenticate::Authenticated;
use crate::relay::engine::reply::{self, raw};
use crate::relay::engine::seam::Ports;
use crate::relay::engine::{Engine, Granted};
use crate::relay::wire;

/// The index of this shard among all shards. A connection's id tells which shard it is on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ShardIndex {
    /// The shard's number, from zero.
    pub index: u32,
    /// How many shards there are.
    pub of: u32,
}

impl ShardIndex {
    /// For tests: the only shard.
    #[doc(hidden)]
    pub const ALONE: Self = Self { index: 0, of: 1 };

    /// The number of the shard that a connection is on.
    #[must_use]
    pub fn owner(self, connection: ConnectionId) -> u32 {
        connection.0 % self.of
    }
}

impl Engine {
    /// The connections with peers.
    pub(in crate::relay) fn bridges(&self) -> &Bridges {
        &self.bridges
    }

    /// The connections with peers, to report what happened to their sockets.
    pub(in crate::relay) fn bridges_mut(&mut self) -> &mut Bridges {
        &mut self.bridges
    }

    pub(super) fn connect(
        &mut self,
        request: &Authenticated<'_>,
        ports: &impl Ports,
    ) -> Result<(ConnectionId, RelayId, PeerAddr), Refusal> {
        let id = self.owned(request)?;
        let message = request.message();
        let peer = message.first_peer()?.ok_or(Refusal::BadRequest)?;
        let allocation = self.allocations.get(id).ok_or(Refusal::AllocationMismatch)?;
        if allocation.transport != Transport::Tcp {
            return Err(Refusal::BadRequest);
        }
        let relay = allocation.relay(peer.family()).ok_or(Refusal::FamilyMismatch)?.id;
        if self.bridges.peers(relay).any(|other| other == peer) {
            return Err(Refusal::ConnectionExists);
        }
        self.may_reach(peer, Transport::Tcp, ports)?;
        self.afford_connection(relay)?;
        let now = request.now().moment;
        let allocation = self.allocations.get_mut(id).ok_or(Refusal::AllocationMismatch)?;
        if !allocation.new_peers.take(self.settings.limits.new_peers, 1, now) {
            return Err(Refusal::PeerRate);
        }
        allocation.peers = allocation.peers.saturating_add(1);
        let connection = self.new_connection();
        let id = [raw(ATTR_CONNECTION_ID, &connection.0.to_be_bytes())];
        let answers = Answers {
            connected: reply::success(message, &id, Some(request.signer())),
            failed: reply::refuse(message, Refusal::ConnectionFailed, request.signer()),
        };
        self.bridges.insert(connection, relay, peer, Some(answers));
        Ok((connection, relay, peer))
    }

    /// The peer of a Connect has accepted or refused the connection. Returns the answer to the Connect, and the client
    /// to send it to.
    pub fn on_connected(&mut self, id: ConnectionId, connected: bool) -> Option<(ClientPath, Vec<u8>)> {
        let (relay, answer) = self.bridges.on_connected(id, connected)?;
        let path = self.holder(relay)?.path;
        if connected {
            self.counters.success(Method::Connect);
        } else {
            self.counters.refused(Method::Connect, Refusal::ConnectionFailed);
        }
        Some((path, answer))
    }

    /// A peer has connected to a relayed address (RFC 6062 §5.3). Returns the connection's id, its client, and the
    /// message for this client.
    ///
    /// # Errors
    /// Why the connection must be closed at once.
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
        let allocation = self.holder(relay).ok_or(Ignored::NoAllocation)?;
        let path = allocation.path;
        allocation.permitted_until(peer.ip()).filter(|until| *until > now).ok_or(Ignored::NoPermission)?;
        self.afford_connection(relay).map_err(|_| {
            self.journal.limit(Limit::Channels, now);
            Ignored::Crowded
        })?;
        let connection = self.new_connection();
        self.bridges.insert(connection, relay, peer, None);
        Ok((connection, path, wire::connection_attempt(peer, connection, self.rng.random())))
    }

    pub(super) fn connection_bind(&mut self, request: &Authenticated<'_>) -> Result<Granted, Refusal> {
        let path = request.path();
        let client = path.via.stream().ok_or(Refusal::BadRequest)?;
        // A connection that has an allocation remains its control connection.
        if self.allocations.by_path(&path).is_some() {
            return Err(Refusal::BadRequest);
        }
        let id = request.message().value(ATTR_CONNECTION_ID)?.ok_or(Refusal::BadRequest)?;
        let id = ConnectionId(u32::from_be_bytes(id));
        let owner = self.shard.owner(id);
        if owner != self.shard.index {
            return Ok(Granted::Elsewhere(owner));
        }
        let relay = self.bridges.relay(id).filter(|_| self.bridges.is_unbound(id));
        let allocation = relay.and_then(|relay| self.holder(relay)).ok_or(Refusal::BadRequest)?;
        if allocation.lease.is_evicted() {
            return Err(Refusal::BadRequest);
        }
        if *allocation.username != *request.account().username {
            return Err(Refusal::WrongUser);
        }
        self.bridges.on_bound(id, client);
        Ok(Granted::Bind(id))
    }

    /// A connection with a peer has ended.
    pub fn on_hung_up(&mut self, id: ConnectionId) {
        self.bridges.remove(id);
    }

    /// Whether a connection may carry more bytes in one direction now. If not, the sender has to wait.
    #[must_use]
    pub fn may_carry(&self, id: ConnectionId, direction: Direction, now: Moment) -> bool {
        let Some(allocation) = self.bridges.relay(id).and_then(|relay| self.holder(relay)) else {
            return false;
        };
        let own = allocation.meter(direction).is_spent(&self.settings.limits, now).then_some(Limit::Bits);
        let spent = own.or_else(|| self.purse.spent(allocation.lease.share(), direction, now));
        if let Some(limit) = spent {
            self.journal.limit(limit, now);
        }
        spent.is_none()
    }

    /// Counts `bytes` that a connection carries.
    pub fn on_carried(&mut self, id: ConnectionId, direction: Direction, bytes: usize, now: Moment) {
        let holder = self.bridges.relay(id).and_then(|relay| self.allocations.by_relay(relay));
        let Some(allocation) = holder.and_then(|id| self.allocations.get_mut(id)) else { return };
        // An allocation for TCP has one relayed address.
        let Some(family) = allocation.relays.first().map(|(relay, _)| relay.family()) else { return };
        allocation.meter_mut(direction).carry(&self.settings.limits, bytes, now);
        self.purse.spend(allocation.lease.share(), direction, bytes, now);
        allocation.lease.touch(now);
        self.counters.relayed(allocation.legs(), family, direction, bytes);
    }

    /// An allocation may have as many connections as channels, because for TCP they replace channels. All of them use
    /// its only relayed address: an allocation for TCP has only one family.
    fn afford_connection(&self, relay: RelayId) -> Result<(), Refusal> {
        let held = self.bridges.peers(relay).count();
        if held < self.settings.limits.configured.channels.get() as usize {
            Ok(())
        } else {
            Err(Refusal::Channels)
        }
    }

    /// An unused connection id that identifies this shard.
    fn new_connection(&mut self) -> ConnectionId {
        let ShardIndex { index, of } = self.shard;
        loop {
            let id = ConnectionId(self.rng.random_range(0..u32::MAX / of) * of + index);
            if !self.bridges.contains(id) {
                return id;
            }
        }
    }

    /// The allocation that owns a relayed address.
    fn holder(&self, relay: RelayId) -> Option<&Allocation> {
        self.allocations.by_relay(relay).and_then(|id| self.allocations.get(id))
    }
}
