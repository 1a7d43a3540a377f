//! Makes TCP connections with peers and ties them to clients' (RFC 6062), as the engine says.

use std::io;
use std::time::Duration;

use mio::net::TcpStream;

use crate::clock::{Moment, Now};
use crate::metrics::Direction;
use crate::outcome::Ending;
use crate::relay::address::{ClientPath, ConnectionId, PeerAddr, RelayId, StreamId, Via};
use crate::relay::admission::Permit;
use crate::relay::shard::{Command, RELAY_TURN, Shard};
use crate::relay::streams::{Bridge, PeerArrival, Receipt, Role};
use crate::relay::tcp;
use crate::relay::wire;

/// How long no peer is accepted when the system gives no more sockets.
const RETRY: Duration = Duration::from_millis(100);

impl Shard {
    /// Begins to connect to a peer.
    pub(super) fn connect(&mut self, connection: ConnectionId, relay: RelayId, peer: PeerAddr, now: Now) {
        let from = self.ports.bound(relay);
        let permit = self.admission.admit(None, now.moment).inspect(Permit::settle).ok();
        let begun = from.zip(permit).and_then(|(from, permit)| {
            let socket = TcpStream::from_std(tcp::connect(from, self.ports.inside(peer.0)).ok()?);
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
            Some(false) => self.end_stream(id, Ending::Refused, now),
            Some(true) => {
                self.streams.become_role(id, Role::Unbound(connection, relay), now.moment);
                self.report_connected(connection, true);
            }
        }
    }

    /// Sees whether a peer that nobody has bound yet is gone, and its place with it. One that has only said its last
    /// byte is not: what it said may still be wanted.
    pub(super) fn see_reset(&mut self, id: StreamId, now: Now) {
        if self.streams.is_connected(id) == Some(false) {
            self.end_stream(id, Ending::Closed, now);
        }
    }

    /// Answers the client that asked for a connection.
    pub(super) fn report_connected(&mut self, connection: ConnectionId, connected: bool) {
        if let Some((path, answer)) = self.engine.on_connected(connection, connected)
            && let Via::Stream(id) = path.via
        {
            self.streams.answer(id, &answer, true);
        }
    }

    /// Accepts the peers that have connected to a relayed address; whether it was a socket for that.
    pub(super) fn accept_peers(&mut self, relay: RelayId, now: Now) -> bool {
        for _ in 0..RELAY_TURN {
            let Some(listener) = self.ports.listener(relay) else { return false };
            match listener.accept() {
                Ok((socket, from)) => {
                    let peer = self.peer_of(relay, from, now);
                    self.accept_peer(relay, peer, socket, now);
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return true,
                Err(error) if tcp::is_of_one_connection(&error) => {}
                // No socket is left now.
                Err(_) => {
                    self.starved.0 = self.starved.0.min(now.moment + RETRY);
                    self.starved.1.insert(relay);
                    return true;
                }
            }
        }
        self.readable.push(relay);
        true
    }

    /// Accepts peers again that could not be accepted, after a while.
    pub(super) fn retry_accepting(&mut self, now: Now) {
        if self.starved.0 > now.moment {
            return;
        }
        self.starved.0 = Moment::MAX;
        for relay in std::mem::take(&mut self.starved.1) {
            self.readable.push(relay);
        }
    }

    fn accept_peer(&mut self, relay: RelayId, peer: PeerAddr, socket: TcpStream, now: Now) {
        let Ok(permit) = self.admission.admit(None, now.moment) else { return };
        let Ok((connection, path, message)) = self.engine.on_attempt(relay, peer, now.moment) else { return };
        permit.settle();
        let arrival = PeerArrival { socket, peer: peer.0, role: Role::Unbound(connection, relay), permit };
        match (self.streams.adopt_peer(arrival, now.moment), path.via) {
            (true, Via::Stream(client)) => self.streams.answer(client, &message, true),
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
        self.streams.answer(id, answer, false);
        self.streams.keep(id, 1, &[], false, now.moment);
        let peer = self.streams.peer(connection);
        let role = peer.and_then(|peer| self.streams.role(peer));
        let (Some(peer), Some(Role::Unbound(_, relay))) = (peer, role) else { return self.streams.leave(id) };
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
        let receipt = self.streams.receive(id, &mut self.arrived);
        let bytes = self.arrived.bytes();
        if !bytes.is_empty() {
            self.streams.carry(bridge.mate, bytes);
            self.engine.on_carried(bridge.connection, direction, bytes.len(), now.moment);
        }
        if let Receipt::Ended(ending) = receipt {
            self.end_stream(id, ending, now);
        }
    }

    /// Throws away what comes, until the other end closes.
    pub(super) fn discard(&mut self, id: StreamId, now: Now) {
        let receipt = self.streams.receive(id, &mut self.arrived);
        if let Receipt::Ended(ending) = receipt
            && !self.streams.postpones_end(id, ending)
        {
            self.end_stream(id, ending, now);
        }
    }

    /// Closes both sides of the connections with peers whose relayed address is being closed.
    pub(super) fn end_bridges(&mut self, now: Now) {
        let closing: Vec<RelayId> = self.ports.closing_listeners().collect();
        if closing.is_empty() {
            return;
        }
        for id in self.streams.peers(|relay| closing.contains(&relay)) {
            if let Some(Role::Peer(bridge)) = self.streams.role(id) {
                self.end_stream(bridge.mate, Ending::Closed, now);
            }
            self.streams.close(id, Ending::Closed);
        }
    }

    /// Hands a connection whose next message, of `length` bytes, wants to be bound to a peer's, to the shard that has
    /// that; whether it did.
    pub(super) fn hand_over(
        &mut self,
        id: StreamId,
        path: ClientPath,
        said: &[u8],
        length: usize,
        now: Now,
    ) -> bool {
        let wanted = self.engine.relays_tcp().then(|| wire::bound_connection(&said[..length])).flatten();
        let Some(owner) = wanted.map(|connection| self.shard.owner(connection)) else { return false };
        if owner == self.shard.index || self.engine.allocations().by_path(&path).is_some() {
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
