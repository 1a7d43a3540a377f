//! Serves the UDP sockets: reads them, carries out the engine's decision about each datagram, and sends the batch.

use std::net::SocketAddr;

use crate::clock::Now;
use crate::metrics::SocketKind;
use crate::network::address::Transport;
use crate::outcome::Ignored;
use crate::relay::address::{ClientPath, ListenerId, PeerAddr, RelayId, Via};
use crate::relay::datagrams::{Batch, DatagramSocket, Outgoing, SLOTS, Segment, Slots};
use crate::relay::engine::{Action, Encapsulation, ToPeer};
use crate::relay::shard::{Shard, SocketId};
use crate::relay::wire;

/// Relay sockets that are read between two reads of the listeners, and datagrams that each may deliver in that time. So
/// peers that flood cannot starve clients.
pub(super) const RELAYS_A_ROUND: usize = 16;
pub(super) const RELAY_TURN: usize = 16;
/// ICMP errors that one relay socket may deliver in a turn.
const ERRORS_TURN: usize = 16;

impl Shard {
    pub(super) fn read_listeners(&mut self, now: Now) {
        for _ in 0..self.listeners.readable.len() {
            let Some(id) = self.listeners.readable.pop() else { return };
            self.flush();
            let Some(listener) = self.listeners.get(id) else { continue };
            let slots = receive(&mut self.batch, &listener.socket, SLOTS);
            if slots.overflowed() > 0 {
                self.counters.overflowed(SocketKind::Listener, slots.overflowed());
            }
            let (bound, is_given_up) = (listener.address, listener.is_given_up());
            if slots.is_full() {
                self.listeners.readable.push(id);
            }
            for slot in slots {
                let datagram = self.batch.datagram(slot);
                let path = self.path_of(id, bound, datagram);
                if is_given_up && self.engine.allocations().by_path(&path).is_none() {
                    continue;
                }
                self.client_sent(path, datagram, now);
            }
        }
    }

    pub(super) fn read_relays(&mut self, now: Now) {
        for _ in 0..RELAYS_A_ROUND {
            let Some(relay) = self.readable.pop() else { return };
            if self.accept_peers(relay, now) {
                continue;
            }
            if self.batch.free() < RELAY_TURN {
                self.flush();
            }
            let Some(socket) = self.ports.socket(relay) else { continue };
            let slots = receive(&mut self.batch, socket, RELAY_TURN);
            if slots.overflowed() > 0 {
                self.counters.overflowed(SocketKind::Relay, slots.overflowed());
            }
            if slots.is_full() {
                self.readable.push(relay);
            }
            for slot in slots {
                let datagram = self.batch.datagram(slot);
                let peer = self.peer_of(relay, self.batch.received(datagram).from, now);
                self.peer_sent(relay, peer, datagram, now);
            }
        }
    }

    pub(super) fn read_errors(&mut self, now: Now) {
        for _ in 0..RELAYS_A_ROUND {
            let Some(relay) = self.erred.pop() else { return };
            if self.batch.free() < ERRORS_TURN {
                self.flush();
            }
            if self.report_errors(relay, now) == ERRORS_TURN {
                self.erred.push(relay);
            }
        }
    }

    /// A packet's sender, as the client of a relay knows it.
    pub(super) fn peer_of(&self, relay: RelayId, from: SocketAddr, now: Now) -> PeerAddr {
        self.engine.known_as(
            relay,
            PeerAddr(self.ports.outside(Transport::Udp, from)),
            PeerAddr(from),
            now.moment,
        )
    }

    fn path_of(&self, listener: ListenerId, bound: SocketAddr, datagram: Segment) -> ClientPath {
        let received = self.batch.received(datagram);
        let server = SocketAddr::new(received.local.unwrap_or(bound.ip()), bound.port());
        ClientPath { client: received.from, server, via: Via::Socket(listener) }
    }

    /// Carries out the engine's decision about a client's datagram; returns the decision.
    pub(super) fn client_sent(&mut self, path: ClientPath, datagram: Segment, now: Now) -> Action {
        let action = self.engine.on_client(path, self.batch.bytes(datagram), now, &mut self.ports);
        match (&action, path.via) {
            (Action::Reply(reply), Via::Tcp(id) | Via::Tls(id)) => {
                let allocated = self.engine.allocations().by_path(&path).is_some();
                self.streams.answer(id, reply, allocated);
            }
            (Action::Reply(reply), Via::Socket(_)) => {
                let reply = self.batch.replace(datagram, reply);
                self.send_to_client(path, 0, reply);
            }
            (Action::ToPeer(packet), _) => self.send_to_peer(datagram, packet, now),
            (Action::Connect(connection, relay, peer), _) => self.connect(*connection, *relay, *peer, now),
            (Action::Ignore(_) | Action::Bind(..) | Action::HandOver(..), _) => {}
        }
        action
    }

    /// Sends the data in a client's datagram to a peer.
    fn send_to_peer(&mut self, datagram: Segment, packet: &ToPeer, now: Now) {
        let data = datagram.part(&packet.payload);
        let mut to = packet.peer.0;
        if packet.own {
            // If two of our clients on one shard exchange data, the packet need not leave the process.
            if let (Some(other), Some(from)) = (self.ports.local(to), self.ports.relayed(packet.relay)) {
                return self.peer_sent(other, PeerAddr(from.0), data, now);
            }
            to = self.ports.inside(Transport::Udp, to);
        }
        let class = self.batch.received(data).class;
        let (via, dont_fragment) = (SocketId::Relay(packet.relay), packet.dont_fragment);
        self.batch.send(data, Outgoing { via, to, local: None, class, dont_fragment });
    }

    /// Carries out the engine's decision about a peer's `data`.
    fn peer_sent(&mut self, relay: RelayId, peer: PeerAddr, data: Segment, now: Now) {
        let length = data.length();
        let Ok(way) = self.engine.on_peer(relay, peer, length, now.moment) else { return };
        let message = match way.encapsulation {
            Encapsulation::Channel(number) => {
                let padding = if way.path.is_stream() { wire::padding(length) } else { 0 };
                self.batch.encapsulate(data, &wire::channel_data_header(number, length), padding)
            }
            Encapsulation::Indication(transaction) => {
                let Some(header) = wire::data_indication_header(peer, length, transaction) else {
                    return self.counters.ignored(Ignored::SendFailed);
                };
                self.batch.encapsulate(data, header.as_bytes(), wire::padding(length))
            }
        };
        self.send_to_client(way.path, self.batch.received(data).class, message);
    }

    fn send_to_client(&mut self, path: ClientPath, class: u8, message: Segment) {
        let listener = match path.via {
            Via::Socket(listener) => listener,
            Via::Tcp(id) | Via::Tls(id) => {
                return self.streams.relay(id, [self.batch.bytes(message), &[], &[]]);
            }
        };
        let Some((via, local)) = self.way_to(&path, listener) else {
            return self.counters.ignored(Ignored::SendFailed);
        };
        self.batch.send(message, Outgoing { via, to: path.client, local, class, dont_fragment: false });
    }

    /// Reports to a client the ICMP errors that its packets caused; returns how many errors there were.
    fn report_errors(&mut self, relay: RelayId, now: Now) -> usize {
        for count in 0..ERRORS_TURN {
            let Some((peer, icmp)) = self.ports.socket(relay).and_then(DatagramSocket::take_error) else {
                return count;
            };
            let peer = self.peer_of(relay, peer, now);
            let report = icmp.and_then(|icmp| self.engine.on_icmp(relay, peer, icmp, now.moment));
            if let Some((path, message)) = report
                && let Some(message) = self.batch.compose(&message)
            {
                self.send_to_client(path, 0, message);
            }
        }
        ERRORS_TURN
    }

    pub(super) fn flush(&mut self) {
        let (listeners, ports, direct) = (&self.listeners, &self.ports, &self.direct);
        let failed = self.batch.flush(|socket| match socket {
            SocketId::Listener(listener) => listeners.get(listener).map(|listener| &listener.socket),
            SocketId::Relay(relay) => ports.socket(relay),
            SocketId::Direct(id) => direct.socket(id),
        });
        for _ in 0..failed {
            self.counters.ignored(Ignored::SendFailed);
        }
    }
}

/// Receives what is available, up to `most`. An error belongs to an earlier packet and is reported instead of a
/// datagram, so one more try follows. After a second error, the next event continues.
pub(super) fn receive(batch: &mut Batch<SocketId>, socket: &DatagramSocket, most: usize) -> Slots {
    batch.receive(socket, most).or_else(|_| batch.receive(socket, most)).unwrap_or_default()
}
