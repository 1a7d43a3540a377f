//! PURE  The TCP connections of allocations with peers (RFC 6062), and the consequences when one of them changes.
//!
//! Such a connection has an id, its CONNECTION-ID, for as long as its socket is open. It begins with a client's
//! Connect, or when a peer connects. A client's ConnectionBind makes it a bridge: one connection with the peer and one
//! with the client, each of which carries what the other one receives.

use std::collections::{BTreeSet, HashMap};

use crate::metrics::Direction;
use crate::relay::address::{ConnectionId, PeerAddr, RelayId, StreamId};

/// The connections with peers, of one shard. The caller reports every closed socket with [`Bridges::on_ended`].
#[derive(Debug, Default)]
pub(super) struct Bridges {
    bridges: HashMap<ConnectionId, Bridge>,
    /// Both connections of each bridge, by their sockets.
    by_stream: HashMap<StreamId, ConnectionId>,
    by_relay: HashMap<RelayId, Vec<ConnectionId>>,
    /// The sockets of connections whose relayed address is closed. They must be closed, too.
    orphans: BTreeSet<StreamId>,
}

/// A connection with a peer.
#[derive(Debug)]
struct Bridge {
    /// The relayed address that it was made from, or accepted at.
    relay: RelayId,
    peer: PeerAddr,
    /// Its socket, once there is one.
    socket: Option<StreamId>,
    state: State,
}

#[derive(Debug)]
enum State {
    /// The peer has not answered yet, so the Connect is not answered either.
    Connecting(Answers),
    /// The peer has answered, and no client's connection is bound to it yet.
    Unbound,
    /// This connection of the client's is bound to it: each carries the other's bytes.
    Bound(StreamId),
    /// The client's connection has ended. What waits for the peer is still sent.
    Leaving,
}

/// The two possible answers to a Connect.
#[derive(Debug)]
pub(super) struct Answers {
    /// If the peer has accepted the connection.
    pub(super) connected: Vec<u8>,
    /// If it has not.
    pub(super) failed: Vec<u8>,
}

/// What must be done when a socket has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Follows {
    /// Answer the Connect that asked for this connection: it has failed, see [`Bridges::on_connected`].
    Failed(ConnectionId),
    /// Close this socket, the other one of the bridge, when everything that waits for it has been sent.
    Leave(StreamId),
}

impl Bridges {
    /// Adds a connection: one made for a Connect, with `answers`, or one accepted from the peer, without.
    pub(super) fn insert(
        &mut self,
        id: ConnectionId,
        relay: RelayId,
        peer: PeerAddr,
        answers: Option<Answers>,
    ) {
        let state = answers.map_or(State::Unbound, State::Connecting);
        self.bridges.insert(id, Bridge { relay, peer, socket: None, state });
        self.by_relay.entry(relay).or_default().push(id);
    }

    /// Whether there is a connection with this id.
    pub(super) fn contains(&self, id: ConnectionId) -> bool {
        self.bridges.contains_key(&id)
    }

    /// The peers of a relayed address's connections, once for each connection.
    pub(super) fn peers(&self, relay: RelayId) -> impl Iterator<Item = PeerAddr> {
        let ids = self.by_relay.get(&relay).into_iter().flatten();
        ids.filter_map(|id| self.bridges.get(id)).map(|bridge| bridge.peer)
    }

    /// The connections with peers that match, in the order of their ids.
    pub(super) fn with_peers(&self, is_such: impl Fn(PeerAddr) -> bool) -> Vec<ConnectionId> {
        let such = self.bridges.iter().filter(|(_, bridge)| is_such(bridge.peer));
        let mut ids: Vec<ConnectionId> = such.map(|(id, _)| *id).collect();
        ids.sort_unstable();
        ids
    }

    /// The relayed address of a connection.
    pub(super) fn relay(&self, id: ConnectionId) -> Option<RelayId> {
        self.bridges.get(&id).map(|bridge| bridge.relay)
    }

    /// The socket of a connection with a peer.
    pub(super) fn socket(&self, id: ConnectionId) -> Option<StreamId> {
        self.bridges.get(&id).and_then(|bridge| bridge.socket)
    }

    /// The connection that a socket belongs to, and the direction of the bytes that the socket receives.
    pub(super) fn of(&self, socket: StreamId) -> Option<(ConnectionId, Direction)> {
        let id = *self.by_stream.get(&socket)?;
        let is_peer = self.socket(id) == Some(socket);
        Some((id, if is_peer { Direction::Down } else { Direction::Up }))
    }

    /// A connection with a peer now has this socket.
    pub(super) fn attach(&mut self, id: ConnectionId, socket: StreamId) {
        if let Some(bridge) = self.bridges.get_mut(&id) {
            bridge.socket = Some(socket);
            self.by_stream.insert(socket, id);
        }
    }

    /// The connection with a peer has been established or has failed. Returns the relayed address, and the answer to
    /// the Connect that asked for the connection. `None` if no Connect waits for an answer.
    pub(super) fn on_connected(&mut self, id: ConnectionId, connected: bool) -> Option<(RelayId, Vec<u8>)> {
        let bridge = self.bridges.get_mut(&id)?;
        let State::Connecting(answers) = &mut bridge.state else { return None };
        let answer = std::mem::take(if connected { &mut answers.connected } else { &mut answers.failed });
        let relay = bridge.relay;
        if connected {
            bridge.state = State::Unbound;
        } else {
            self.remove(id);
        }
        Some((relay, answer))
    }

    /// Whether a ConnectionBind may name a connection: its peer has answered, and no client has bound it yet.
    pub(super) fn is_unbound(&self, id: ConnectionId) -> bool {
        self.bridges.get(&id).is_some_and(|bridge| matches!(bridge.state, State::Unbound))
    }

    /// A client has bound its connection `client` to a connection that [`Self::is_unbound`].
    pub(super) fn on_bound(&mut self, id: ConnectionId, client: StreamId) {
        if let Some(bridge) = self.bridges.get_mut(&id) {
            bridge.state = State::Bound(client);
            self.by_stream.insert(client, id);
        }
    }

    /// A socket has ended; returns what must be done. The socket need not belong to a bridge.
    pub(super) fn on_ended(&mut self, socket: StreamId) -> Option<Follows> {
        self.orphans.remove(&socket);
        let id = self.by_stream.remove(&socket)?;
        let bridge = self.bridges.get_mut(&id)?;
        match (&bridge.state, bridge.socket) {
            (State::Bound(client), Some(peer)) if *client == socket => {
                bridge.state = State::Leaving;
                Some(Follows::Leave(peer))
            }
            (State::Connecting(_), _) => Some(Follows::Failed(id)),
            (State::Bound(client), _) => {
                let client = *client;
                self.remove(id);
                Some(Follows::Leave(client))
            }
            (State::Unbound | State::Leaving, _) => {
                self.remove(id);
                None
            }
        }
    }

    /// Removes a connection. Its sockets then belong to no bridge.
    pub(super) fn remove(&mut self, id: ConnectionId) {
        let Some(bridge) = self.bridges.remove(&id) else { return };
        for socket in bridge.sockets() {
            self.by_stream.remove(&socket);
        }
        if let Some(ids) = self.by_relay.get_mut(&bridge.relay) {
            ids.retain(|other| *other != id);
            if ids.is_empty() {
                self.by_relay.remove(&bridge.relay);
            }
        }
    }

    /// A relayed address is closed. The sockets of its connections must be closed too: see [`Self::next_orphan`].
    pub(super) fn on_relay_closed(&mut self, relay: RelayId) {
        for id in self.by_relay.remove(&relay).unwrap_or_default() {
            let Some(bridge) = self.bridges.remove(&id) else { continue };
            for socket in bridge.sockets() {
                self.by_stream.remove(&socket);
                self.orphans.insert(socket);
            }
        }
    }

    /// A socket that must be closed because its relayed address is closed.
    pub(super) fn next_orphan(&mut self) -> Option<StreamId> {
        self.orphans.pop_first()
    }
}

impl Bridge {
    fn sockets(&self) -> impl Iterator<Item = StreamId> + use<> {
        let client = match self.state {
            State::Bound(client) => Some(client),
            State::Connecting(_) | State::Unbound | State::Leaving => None,
        };
        self.socket.into_iter().chain(client)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: ConnectionId = ConnectionId(7);
    const RELAY: RelayId = RelayId(3);
    const PEER: StreamId = StreamId(10);
    const CLIENT: StreamId = StreamId(20);

    fn peer(port: u16) -> PeerAddr {
        PeerAddr(std::net::SocketAddr::from(([1, 1, 1, 1], port)))
    }

    fn answers() -> Option<Answers> {
        Some(Answers { connected: b"yes".to_vec(), failed: b"no".to_vec() })
    }

    /// A connection that was made for a Connect and is not answered yet.
    fn connecting() -> Bridges {
        let mut bridges = Bridges::default();
        bridges.insert(ID, RELAY, peer(9000), answers());
        bridges.attach(ID, PEER);
        bridges
    }

    /// A connection that the peer made.
    fn unbound() -> Bridges {
        let mut bridges = Bridges::default();
        bridges.insert(ID, RELAY, peer(9000), None);
        bridges.attach(ID, PEER);
        bridges
    }

    fn bound() -> Bridges {
        let mut bridges = unbound();
        bridges.on_bound(ID, CLIENT);
        bridges
    }

    fn is_forgotten(bridges: &Bridges) -> bool {
        let Bridges { bridges, by_stream, by_relay, orphans } = bridges;
        bridges.is_empty() && by_stream.is_empty() && by_relay.is_empty() && orphans.is_empty()
    }

    #[test]
    fn a_connect_is_answered_once_and_may_be_bound_when_the_peer_has_answered() {
        let mut bridges = connecting();
        assert!(!bridges.is_unbound(ID));
        assert_eq!(bridges.on_connected(ID, true), Some((RELAY, b"yes".to_vec())));
        assert_eq!(bridges.on_connected(ID, true), None);
        assert!(bridges.is_unbound(ID));
        bridges.on_bound(ID, CLIENT);
        assert!(!bridges.is_unbound(ID));
    }

    #[test]
    fn a_connect_fails_when_its_socket_ends_and_also_when_it_never_had_one() {
        let mut bridges = connecting();
        assert_eq!(bridges.on_ended(PEER), Some(Follows::Failed(ID)));
        assert_eq!(bridges.on_connected(ID, false), Some((RELAY, b"no".to_vec())));
        assert!(is_forgotten(&bridges));

        bridges.insert(ID, RELAY, peer(9000), answers());
        assert_eq!(bridges.on_connected(ID, false), Some((RELAY, b"no".to_vec())));
        assert!(is_forgotten(&bridges));
    }

    #[test]
    fn a_peer_that_connected_is_not_answered_and_may_be_bound_at_once() {
        let mut bridges = unbound();
        assert_eq!(bridges.on_connected(ID, true), None);
        assert!(bridges.is_unbound(ID));
        assert_eq!(bridges.on_ended(PEER), None);
        assert!(is_forgotten(&bridges));
    }

    #[test]
    fn a_bridge_carries_up_what_the_client_sends_and_down_what_the_peer_sends() {
        let bridges = bound();
        assert_eq!(bridges.of(CLIENT), Some((ID, Direction::Up)));
        assert_eq!(bridges.of(PEER), Some((ID, Direction::Down)));
        assert_eq!(bridges.of(StreamId(30)), None);
    }

    #[test]
    fn when_the_peer_ends_the_client_is_sent_the_rest_and_the_peer_may_be_connected_again() {
        let mut bridges = bound();
        assert_eq!(bridges.on_ended(PEER), Some(Follows::Leave(CLIENT)));
        assert!(is_forgotten(&bridges));
        assert_eq!(bridges.on_ended(CLIENT), None);
    }

    /// It counts, and prevents another connection to the same peer, for as long as its socket is open (RFC 6062 §5.2).
    #[test]
    fn when_the_client_ends_the_peer_is_sent_the_rest_and_has_its_name_until_it_ends() {
        let mut bridges = bound();
        assert_eq!(bridges.on_ended(CLIENT), Some(Follows::Leave(PEER)));
        assert_eq!(bridges.peers(RELAY).collect::<Vec<_>>(), [peer(9000)]);
        assert!(!bridges.is_unbound(ID));
        assert_eq!(bridges.on_ended(PEER), None);
        assert!(is_forgotten(&bridges));
    }

    #[test]
    fn with_its_relayed_address_a_bridge_is_forgotten_and_both_its_sockets_are_to_be_closed() {
        let mut bridges = bound();
        bridges.insert(ConnectionId(8), RelayId(4), peer(9001), None);
        bridges.on_relay_closed(RELAY);
        assert_eq!((bridges.of(PEER), bridges.relay(ID)), (None, None));
        assert_eq!(bridges.on_connected(ID, true), None);
        let orphans: Vec<_> = std::iter::from_fn(|| bridges.next_orphan()).collect();
        assert_eq!(orphans, [PEER, CLIENT]);
        assert!(bridges.is_unbound(ConnectionId(8)), "another address is another matter");
    }

    /// The id of a closed socket is reused.
    #[test]
    fn a_socket_that_has_ended_is_no_orphan() {
        let mut bridges = bound();
        bridges.on_relay_closed(RELAY);
        assert_eq!(bridges.on_ended(PEER), None);
        assert_eq!([bridges.next_orphan(), bridges.next_orphan()], [Some(CLIENT), None]);
    }

    #[test]
    fn connections_are_found_by_their_peers() {
        let mut bridges = Bridges::default();
        for port in 1..=3 {
            bridges.insert(ConnectionId(port.into()), RELAY, peer(port), None);
        }
        assert_eq!(bridges.peers(RELAY).collect::<Vec<_>>(), [peer(1), peer(2), peer(3)]);
        bridges.remove(ConnectionId(2));
        assert_eq!(bridges.with_peers(|peer| peer.0.port() != 1), [ConnectionId(3)]);
        assert!(bridges.contains(ConnectionId(1)) && !bridges.contains(ConnectionId(2)));
        assert_eq!(bridges.peers(RelayId(9)).count(), 0);
    }
}
