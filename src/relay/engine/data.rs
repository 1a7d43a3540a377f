//! PURE  The packet path: from a channel or a Send indication to a peer, and from a peer to its client.

use std::ops::Range;

use rand::Rng;

use crate::clock::Moment;
use crate::metrics::Direction;
use crate::network::address::Transport;
use crate::outcome::Ignored;
use crate::relay::address::{ChannelNumber, ClientPath, Family, PeerAddr, RelayId};
use crate::relay::engine::Engine;
use crate::relay::engine::allocation::AllocationId;
use crate::relay::engine::seam::{IcmpReports, Ports};
use crate::relay::wire::{self, Icmp, Message};

/// A packet for a peer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ToPeer {
    /// The relay socket that it leaves by.
    pub relay: RelayId,
    /// Its receiver.
    pub peer: PeerAddr,
    /// Which part of the client's datagram is sent.
    pub payload: Range<usize>,
    /// Whether it must leave with the DF bit set (RFC 8656 §14).
    pub dont_fragment: bool,
    /// Whether the peer's address is one that we relay from: the peer is another relay, or a service on this machine.
    pub own: bool,
}

/// How a peer's packet reaches its client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ToClient {
    /// The client.
    pub path: ClientPath,
    /// The message that carries the data.
    pub encapsulation: Encapsulation,
}

/// The message that carries a peer's data to a client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encapsulation {
    /// ChannelData on this channel (RFC 8656 §12.4).
    Channel(ChannelNumber),
    /// A Data indication with this transaction id (RFC 8656 §11.3).
    Indication([u8; 12]),
}

impl Engine {
    pub(super) fn on_channel_data(
        &mut self,
        path: ClientPath,
        channel: ChannelNumber,
        payload: Range<usize>,
        now: Moment,
        ports: &impl Ports,
    ) -> Result<ToPeer, Ignored> {
        let up = self.routes.up(path, channel).filter(|up| up.until > now).ok_or(Ignored::NoChannel)?;
        // The peer was judged when the channel was bound, and again when the machine's addresses changed. But if the
        // peer is on one of our relay addresses, the allocation that used the port may have ended since.
        if up.own && self.judge(up.peer, Transport::Udp, ports).is_err() {
            return Err(Ignored::PeerDenied);
        }
        self.pass(up.allocation, up.peer.family(), Direction::Up, payload.len(), now)?;
        Ok(ToPeer { relay: up.relay, peer: up.peer, payload, dont_fragment: false, own: up.own })
    }

    pub(super) fn on_send_indication(
        &mut self,
        path: ClientPath,
        message: &Message<'_>,
        now: Moment,
        ports: &impl Ports,
    ) -> Result<ToPeer, Ignored> {
        let id = self.allocations.by_path(&path).ok_or(Ignored::NoAllocation)?;
        let allocation = self.allocations.get(id).ok_or(Ignored::NoAllocation)?;
        let send = message.send_indication().filter(|_| allocation.transport == Transport::Udp);
        let send = send.ok_or(Ignored::BadSend)?;
        let relay = allocation.relay(send.peer.family()).ok_or(Ignored::NoPermission)?;
        allocation
            .permitted_until(send.peer.ip())
            .filter(|until| *until > now)
            .ok_or(Ignored::NoPermission)?;
        if self.judge(send.peer, Transport::Udp, ports).is_err() {
            return Err(Ignored::PeerDenied);
        }
        self.pass(id, send.peer.family(), Direction::Up, send.payload.len(), now)?;
        // Between UDP and UDP the DF bit exists where both sides are IPv4 (RFC 8656 §13, §14); from TCP to UDP there is
        // no packet to translate (§15).
        let both_v4 = path.client.is_ipv4() && send.peer.0.is_ipv4();
        let dont_fragment = send.dont_fragment && (path.is_stream() || both_v4);
        let own = ports.is_relay_ip(send.peer.ip());
        Ok(ToPeer { relay: relay.id, peer: send.peer, payload: send.payload, dont_fragment, own })
    }

    /// Decides how a packet of `bytes` bytes from a peer reaches its client.
    ///
    /// # Errors
    /// Why it is dropped.
    pub fn on_peer(
        &mut self,
        relay: RelayId,
        peer: PeerAddr,
        bytes: usize,
        now: Moment,
    ) -> Result<ToClient, Ignored> {
        self.way_to_client(relay, peer, bytes, now).inspect_err(|ignored| self.counters.ignored(*ignored))
    }

    /// The indication that reports an ICMP error to the client whose packet caused it (RFC 8656 §11.5). `None` if the
    /// client has not shown that it supports RFC 8656, or if clients do not get this kind of error.
    pub fn on_icmp(
        &mut self,
        relay: RelayId,
        peer: PeerAddr,
        icmp: Icmp,
        now: Moment,
    ) -> Option<(ClientPath, Vec<u8>)> {
        let (meant, too_big) = match peer.family() {
            Family::V4 => (matches!(icmp.kind, 3 | 11), (icmp.kind, icmp.code) == (3, 4)),
            Family::V6 => (matches!(icmp.kind, 1..=3), icmp.kind == 2),
        };
        let id = self.allocations.by_relay(relay).filter(|_| meant)?;
        let allocation = self.allocations.get_mut(id).filter(|it| it.icmp == IcmpReports::Wanted)?;
        allocation.permitted_until(peer.ip()).filter(|until| *until > now)?;
        allocation.down.take(&self.settings.limits, 0, now).ok()?;
        allocation.down.count(0);
        self.counters.icmp.add(1);
        // Only "packet too big" carries data, the next hop's MTU (RFC 8656 §18.13).
        let icmp = Icmp { data: if too_big { icmp.data } else { 0 }, ..icmp };
        Some((allocation.path, wire::icmp_indication(peer, icmp, self.rng.random())))
    }

    fn way_to_client(
        &mut self,
        relay: RelayId,
        peer: PeerAddr,
        bytes: usize,
        now: Moment,
    ) -> Result<ToClient, Ignored> {
        // A channel permits its peer for as long as it is bound.
        let route = self.routes.down(relay, peer).filter(|down| down.until > now);
        let id = match route {
            Some(down) => down.allocation,
            None => {
                let id = self.allocations.by_relay(relay).ok_or(Ignored::NoAllocation)?;
                let allocation = self.allocations.get(id).ok_or(Ignored::NoAllocation)?;
                let permitted_until = allocation.permitted_until(peer.ip());
                permitted_until.filter(|until| *until > now).ok_or(Ignored::NoPermission)?;
                id
            }
        };
        let path = self.pass(id, peer.family(), Direction::Down, bytes, now)?;
        let encapsulation = match route {
            Some(down) => Encapsulation::Channel(down.channel),
            None => Encapsulation::Indication(self.rng.random()),
        };
        Ok(ToClient { path, encapsulation })
    }

    /// Counts a packet of `bytes` bytes that is relayed through the allocation's address of this family, if every rate
    /// allows it. Returns the client of the allocation.
    fn pass(
        &mut self,
        id: AllocationId,
        family: Family,
        direction: Direction,
        bytes: usize,
        now: Moment,
    ) -> Result<ClientPath, Ignored> {
        let allocation = self.allocations.get_mut(id).ok_or(Ignored::NoAllocation)?;
        let taken = allocation.meter_mut(direction).take(&self.settings.limits, bytes, now);
        let taken = taken.and_then(|()| self.purse.pass(allocation.lease.share(), direction, bytes, now));
        if let Err(limit) = taken {
            self.over_rate.hit(limit, self.journal.reached(), now);
            return Err(Ignored::OverRate);
        }
        allocation.meter_mut(direction).count(bytes);
        allocation.lease.touch(now);
        self.counters.relayed(allocation.legs(), family, direction, bytes);
        Ok(allocation.path)
    }
}
