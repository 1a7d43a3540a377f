//! Makes TCP connections with peers and ties them to clients' (RFC 6062), as the engine says.

use std::io;

use crate::clock::Now;
use crate::metrics::Direction;
use crate::outcome::Ending;
use crate::relay::address::{ConnectionId, PeerAddr, RelayId, StreamId, Via};
use crate::relay::dial;
use crate::relay::shard::{Command, RELAY_TURN, Shard};
use crate::relay::streams::{Bridge, PeerArrival, Receipt, Role};
use crate::relay::wire;

impl Shard {
    /// Begins to connect to a peer.
    pub(super) fn connect(&mut self, connection: ConnectionId, relay: RelayId, peer: PeerAddr, now: Now) {
        let from = self.ports.bound(relay);
        let begun = from.zip(self.admission.admit()).and_then(|(from, permit)| {
            let socket = dial::connect(from, self.ports.inside(peer.0)).ok()?;
            Some(PeerArrival { socket, peer: peer.0, role: Role::Connecting(connection, relay), permit })
        });
        if !begun.is_some_and(|arrival| self.streams.adopt_peer(arrival, now.moment)) {
            self.report_connected(connection, false);
        }
    }

    /// Sees whether a peer has answered.
    pub(super) fn see_connected(&mut self, id: StreamId, connection: ConnectionId, relay: RelayId, now: Now) {
        match self.streams.is_connected(id) {
            None => {}
            Some(false) => self.end_stream(id, Ending::Unbound, now),
            Some(true) => {
                self.streams.become_role(id, Role::Unbound(connection, relay), now.moment);
                self.report_connected(connection, true);
            }
        }
    }

    /// Answers the client that asked for a connection.
    pub(super) fn report_connected(&mut self, connection: ConnectionId, connected: bool) {
        if let Some((path, answer)) = self.engine.on_connected(connection, connected)
            && let Via::Stream(id) = path.via
        {
            self.streams.answer(id, &answer);
        }
    }

    /// Accepts the peers that have connected to a relayed address; whether it was a socket for that.
    pub(super) fn accept_peers(&mut self, relay: RelayId, now: Now) -> bool {
        for _ in 0..RELAY_TURN {
            let Some(listener) = self.ports.listener(relay) else { return false };
            match listener.accept() {
                Ok((socket, from)) => {
                    let peer = PeerAddr(self.ports.outside(from));
                    self.accept_peer(relay, peer, socket, now);
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return true,
                Err(error) if dial::is_of_one_connection(&error) => {}
                // No socket is left. It is tried again when a connection has ended.
                Err(_) => {
                    self.starved.push(relay);
                    return true;
                }
            }
        }
        self.queue(relay, false);
        true
    }

    fn accept_peer(&mut self, relay: RelayId, peer: PeerAddr, socket: mio::net::TcpStream, now: Now) {
        let Some(permit) = self.admission.admit() else { return };
        let Ok((connection, path, message)) = self.engine.on_attempt(relay, peer, now.moment) else { return };
        let arrival = PeerArrival { socket, peer: peer.0, role: Role::Unbound(connection, relay), permit };
        match (self.streams.adopt_peer(arrival, now.moment), path.via) {
            (true, Via::Stream(client)) => self.streams.answer(client, &message),
            _ => self.engine.on_hung_up(connection),
        }
    }

    /// Makes a client's connection that of a peer. `rest` is what the client has sent for the peer already.
    pub(super) fn bind(
        &mut self,
        id: StreamId,
        connection: ConnectionId,
        answer: &[u8],
        rest: &[u8],
        now: Now,
    ) {
        self.streams.answer(id, answer);
        self.streams.keep(id, 1, &[], false, now.moment);
        let found = self.streams.peers(|other, _| other == connection);
        let peer = found.first().and_then(|peer| self.streams.role(*peer).map(|role| (*peer, role)));
        let Some((peer, Role::Unbound(_, relay))) = peer else { return self.streams.leave(id, now.moment) };
        self.streams.become_role(id, Role::Data(Bridge { connection, relay, mate: peer }), now.moment);
        self.streams.become_role(peer, Role::Peer(Bridge { connection, relay, mate: id }), now.moment);
        if !rest.is_empty() {
            self.streams.carry(peer, rest);
            self.engine.on_carried(connection, Direction::Up, rest.len(), now.moment);
        }
        self.streams.expect_reading(peer);
    }

    /// Reads one side of a bridge, as far as it may carry bytes and the other side takes them.
    pub(super) fn carry(&mut self, id: StreamId, bridge: Bridge, direction: Direction, now: Now) {
        if !self.engine.may_carry(bridge.connection, direction, now.moment) {
            return self.streams.pause(id, now.moment);
        }
        if !self.streams.may_bridge(id, bridge.mate) {
            return;
        }
        let mut arrived = std::mem::take(&mut self.arrived);
        let receipt = self.streams.receive(id, &mut arrived);
        if !arrived.bytes().is_empty() {
            self.streams.carry(bridge.mate, arrived.bytes());
            self.engine.on_carried(bridge.connection, direction, arrived.bytes().len(), now.moment);
        }
        self.arrived = arrived;
        if let Receipt::Ended(ending) = receipt {
            self.end_stream(id, ending, now);
        }
    }

    /// Throws away what comes, until the other end closes.
    pub(super) fn discard(&mut self, id: StreamId, now: Now) {
        let mut arrived = std::mem::take(&mut self.arrived);
        let receipt = self.streams.receive(id, &mut arrived);
        self.arrived = arrived;
        if let Receipt::Ended(ending) = receipt
            && self.streams.has_left(id)
        {
            self.end_stream(id, ending, now);
        }
    }

    /// Closes both sides of the connections with peers whose relayed address is being closed.
    pub(super) fn end_bridges(&mut self, now: Now) {
        let closing: Vec<RelayId> = self.ports.closing_listeners().collect();
        for relay in closing {
            for id in self.streams.peers(|_, other| other == relay) {
                if let Some(Role::Peer(bridge)) = self.streams.role(id) {
                    self.end_stream(bridge.mate, Ending::Closed, now);
                }
                self.streams.close(id, Ending::Closed);
            }
        }
    }

    /// Hands a connection whose next message, of `length` bytes, wants to be bound to a peer's, to the shard that has
    /// that; whether it did.
    pub(super) fn hand_over(&mut self, id: StreamId, said: &[u8], length: usize, now: Now) -> bool {
        let Some(connection) = wire::bound_connection(&said[..length]) else { return false };
        let owner = self.place.owner(connection);
        let Some(Role::Client(path)) = self.streams.role(id) else { return false };
        if owner == self.place.index || self.engine.allocations().by_path(&path).is_some() {
            return false;
        }
        let Some(neighbour) = self.neighbours.get().and_then(|all| all.get(owner as usize)) else {
            return false;
        };
        let Some(arrival) = self.streams.release(id, said, now.moment) else { return false };
        neighbour.tell(Command::Adopt(Box::new(arrival)));
        true
    }
}
