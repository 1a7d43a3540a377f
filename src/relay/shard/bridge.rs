//! Makes TCP connections with peers and bridges them with clients' connections (RFC 6062), as the engine decides.

use std::io;
use std::time::Duration;

use mio::net::TcpStream;

use crate::bounds::admission::Permit;
use crate::clock::{Moment, Now};
use crate::network::address::Transport;
use crate::network::tcp;
use crate::outcome::Ending;
use crate::relay::address::{ConnectionId, PeerAddr, RelayId, StreamId};
use crate::relay::bridges::Follows;
use crate::relay::shard::Shard;
use crate::relay::shard::datagram::RELAY_TURN;
use crate::relay::streams::PeerArrival;

/// How long no peer is accepted after the system has run out of sockets.
const RETRY: Duration = Duration::from_millis(100);

impl Shard {
    /// Begins to connect to a peer.
    pub(super) fn connect(&mut self, connection: ConnectionId, relay: RelayId, peer: PeerAddr, now: Now) {
        let from = self.ports.bound(relay);
        let permit = self.admission.admit(None, now.moment).inspect(Permit::settle).ok();
        let begun = from.zip(permit).and_then(|(from, permit)| {
            let socket =
                TcpStream::from_std(tcp::connect(from, self.ports.inside(Transport::Tcp, peer.0)).ok()?);
            let arrival = PeerArrival { socket, peer: peer.0, accepted: false, permit };
            self.streams.adopt_peer(arrival, now.moment)
        });
        match begun {
            Some(socket) => self.engine.bridges_mut().attach(connection, socket),
            None => self.report_connected(connection, false),
        }
    }

    /// Answers the client that asked for a connection.
    pub(super) fn report_connected(&mut self, connection: ConnectionId, connected: bool) {
        if let Some((path, answer)) = self.engine.on_connected(connection, connected)
            && let Some(id) = path.via.stream()
        {
            self.streams.answer(id, &answer, true);
        }
    }

    /// Accepts the peers that have connected to a relayed address; returns whether `relay` accepts connections.
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
                // The system has no more sockets.
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

    /// After [`RETRY`], accepts the peers again that could not be accepted.
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
        let arrival = PeerArrival { socket, peer: peer.0, accepted: true, permit };
        match (self.streams.adopt_peer(arrival, now.moment), path.via.stream()) {
            (Some(socket), Some(client)) => {
                self.engine.bridges_mut().attach(connection, socket);
                self.streams.answer(client, &message, true);
            }
            _ => self.engine.on_hung_up(connection),
        }
    }

    /// Bridges a client's connection and that of a peer.
    pub(super) fn bind(&mut self, client: StreamId, connection: ConnectionId, answer: &[u8]) {
        self.streams.answer(client, answer, false);
        if let Some(peer) = self.engine.bridges().socket(connection) {
            self.streams.bridge(client, peer);
        }
    }

    /// Handles the end of a connection that may be part of a bridge.
    pub(super) fn end_bridge(&mut self, id: StreamId) {
        match self.engine.bridges_mut().on_ended(id) {
            Some(Follows::Failed(connection)) => self.report_connected(connection, false),
            Some(Follows::Leave(mate)) => self.streams.leave(mate),
            None => {}
        }
    }

    /// Closes the connections with peers whose relayed address is closed, and the client connections bound to them.
    pub(super) fn end_orphans(&mut self, now: Now) {
        while let Some(id) = self.engine.bridges_mut().next_orphan() {
            self.end_stream(id, Ending::Closed, now);
        }
    }
}
