//! PURE  Shows allocations to an administrator as sessions, and ends them for one.
//!
//! A shard relays nothing while it does this, so it looks at a bounded number of allocations, and then says where to
//! continue.

use std::ops::Range;
use std::sync::Arc;

use crate::clock::Moment;
use crate::observed::session::{Channel, Cursor, Peer, Session, SessionId, Sort, Summary, Traffic};
use crate::outcome::AllocationEnding;
use crate::relay::address::ClientPath;
use crate::relay::engine::Engine;
use crate::relay::engine::allocation::{Allocation, AllocationId};
use crate::relay::engine::seam::Ports;

/// The most slots of the table that are looked at at once. That takes a fraction of a millisecond.
pub const PIECE: usize = 256;
/// The most allocations that are ended at once: each closes a socket or two.
pub const ENDS: usize = 32;

/// What a list may contain.
#[derive(Debug, Clone, Default)]
pub struct Wanted {
    /// Only sessions of this user tag.
    pub user: Option<Arc<str>>,
    /// The order.
    pub sort: Sort,
    /// Only sessions behind this place.
    pub after: Option<Cursor>,
    /// Only sessions in front of this place.
    pub before: Option<Cursor>,
}

/// A piece of a list.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Piece {
    /// The sessions, each with its place in the list. They are not ordered.
    pub sessions: Vec<(Cursor, Summary)>,
    /// How many sessions the user has in these slots, whether before, behind or in the piece.
    pub total: u64,
    /// The first slot of the next piece, if there is one.
    pub next: Option<usize>,
}

/// A session that an administrator has ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ended {
    /// Its user tag.
    pub user: Box<str>,
    /// Its client. The caller closes its TCP or TLS connection.
    pub path: ClientPath,
}

impl Engine {
    /// The sessions in at most [`PIECE`] slots, beginning with the slot `from`.
    #[must_use]
    pub fn sessions(&self, wanted: &Wanted, from: usize, now: Moment) -> Piece {
        let slots = self.allocations.slots();
        let end = slots.end.min(from.saturating_add(PIECE));
        let mut piece = Piece { next: Some(end).filter(|end| *end < slots.end), ..Piece::default() };
        for (slot, allocation) in self.living(from..end) {
            if wanted.user.as_ref().is_some_and(|user| **user != *allocation.tag) {
                continue;
            }
            piece.total += 1;
            let traffic = self.traffic(allocation, now);
            let place =
                Cursor { rank: rank(allocation, traffic, wanted.sort), id: self.name(slot, allocation) };
            let is_behind = wanted.after.is_none_or(|after| after < place);
            if is_behind && wanted.before.is_none_or(|before| place < before) {
                piece.sessions.push((place, summary(place.id, allocation, traffic, now)));
            }
        }
        piece
    }

    /// Everything about one session; `None` if it has ended.
    #[must_use]
    pub fn session(&self, id: SessionId, now: Moment) -> Option<Session> {
        let allocation = self.allocations.get(self.find(id)?)?;
        let left = |until: Moment| until.since(now).as_secs();
        let permissions = allocation.permissions.iter().filter(|permission| permission.until > now);
        let channels = allocation.channels.iter().filter(|channel| channel.until > now);
        let connections = allocation.relays.iter().flat_map(|(relay, _)| self.bridges.peers(relay.id));
        Some(Session {
            summary: summary(id, allocation, self.traffic(allocation, now), now),
            username: allocation.username.to_string(),
            server: allocation.path.server,
            peer_transport: allocation.transport,
            peers: permissions.map(|it| Peer { address: it.ip, expires_in: left(it.until) }).collect(),
            channels: channels
                .map(|it| Channel { number: it.number.get(), peer: it.peer.0, expires_in: left(it.until) })
                .collect(),
            connections: connections.map(|peer| peer.0).collect(),
        })
    }

    /// Ends a session; `None` if it has already ended.
    pub fn end_session(&mut self, id: SessionId, now: Moment, ports: &mut impl Ports) -> Option<Ended> {
        let allocation = self.find(id)?;
        self.kick(allocation, now, ports)
    }

    /// Ends sessions of a user, at most [`ENDS`] and in at most [`PIECE`] slots, beginning with the slot `from`. Returns
    /// them, and the slot to continue with, if there is one.
    pub fn end_user(
        &mut self,
        user: &str,
        from: usize,
        now: Moment,
        ports: &mut impl Ports,
    ) -> (Vec<Ended>, Option<usize>) {
        let all = self.allocations.slots().end;
        let mut end = all.min(from.saturating_add(PIECE));
        let of_user = self.living(from..end).filter(|(_, allocation)| *allocation.tag == *user);
        let slots: Vec<usize> = of_user.map(|(slot, _)| slot).take(ENDS).collect();
        if let [.., last] = slots[..]
            && slots.len() == ENDS
        {
            end = last + 1;
        }
        let ended = slots.into_iter().filter_map(|slot| self.kick(AllocationId::of_slot(slot), now, ports));
        (ended.collect(), Some(end).filter(|end| *end < all))
    }

    fn kick(&mut self, id: AllocationId, now: Moment, ports: &mut impl Ports) -> Option<Ended> {
        let allocation = self.allocations.get(id)?;
        let ended = Ended { user: allocation.tag.clone(), path: allocation.path };
        self.end(id, AllocationEnding::Kicked, now, ports);
        Some(ended)
    }

    /// The allocations in some slots. To its client and its user, an evicted allocation is already gone.
    fn living(&self, slots: Range<usize>) -> impl Iterator<Item = (usize, &Allocation)> {
        let all = slots.filter_map(|slot| Some((slot, self.allocations.get(AllocationId::of_slot(slot))?)));
        all.filter(|(_, allocation)| !allocation.lease.is_evicted())
    }

    fn find(&self, id: SessionId) -> Option<AllocationId> {
        let slot = usize::try_from(id.slot).ok()?;
        let (slot, _) = self.living(slot..slot.checked_add(1)?).find(|it| self.name(it.0, it.1) == id)?;
        Some(AllocationId::of_slot(slot))
    }

    fn name(&self, slot: usize, allocation: &Allocation) -> SessionId {
        SessionId { shard: self.shard.index, slot: slot as u32, serial: allocation.serial }
    }

    fn traffic(&self, allocation: &Allocation, now: Moment) -> (Traffic, Traffic) {
        let time = self.read_at.covers(allocation.since, now);
        allocation.readings.traffic(&allocation.up, &allocation.down, time)
    }
}

/// What a list is sorted by; the smallest is first.
fn rank(allocation: &Allocation, (up, down): (Traffic, Traffic), sort: Sort) -> u64 {
    match sort {
        Sort::Age => allocation.since.as_nanos(),
        Sort::Rate => u64::MAX - up.bytes_per_second.saturating_add(down.bytes_per_second),
        Sort::Bytes => u64::MAX - up.bytes.saturating_add(down.bytes),
    }
}

fn summary(id: SessionId, allocation: &Allocation, (up, down): (Traffic, Traffic), now: Moment) -> Summary {
    Summary {
        id,
        user: allocation.tag.to_string(),
        transport: allocation.path.transport(),
        client: allocation.path.client,
        relayed: allocation.relays.iter().map(|(relay, _)| relay.addr.0).collect(),
        age: now.since(allocation.since).as_secs(),
        expires_in: allocation.expires().map_or(0, |expires| expires.since(now).as_secs()),
        up,
        down,
    }
}
