//! PURE  The table of allocations: what each one has, and how it is looked up.

use std::collections::HashMap;
use std::net::IpAddr;
use std::ops::Range;
use std::time::Duration;

use slab::Slab;

use crate::bounds::rate::Bucket;
use crate::bounds::reached::Limit;
use crate::clock::Moment;
use crate::credentials::Signed;
use crate::metrics::{Direction, Families, Legs};
use crate::network::address::Transport;
use crate::relay::address::{ChannelNumber, ClientPath, Family, PeerAddr, RelayId};
use crate::relay::engine::limits::Limits;
use crate::relay::engine::quotas::Lease;
use crate::relay::engine::readings::Readings;
use crate::relay::engine::seam::{IcmpReports, OpenPort, ReservationToken};
use crate::usage::ledger::Used;

/// How long a permission lasts (RFC 8656 §9).
pub const PERMISSION_LIFETIME: Duration = Duration::from_secs(300);
/// How long a channel lasts (RFC 8656 §12).
pub const CHANNEL_LIFETIME: Duration = Duration::from_secs(600);
/// How long after that neither its number nor its peer can be bound to another one (RFC 8656 §12).
pub const CHANNEL_RESERVATION: Duration = Duration::from_secs(300);

/// The index of an allocation in its shard's table. Reused after the allocation has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AllocationId(usize);

impl AllocationId {
    /// The allocation in this slot of the table.
    #[must_use]
    pub const fn of_slot(slot: usize) -> Self {
        Self(slot)
    }

    /// Its slot in the table.
    #[must_use]
    pub const fn slot(self) -> usize {
        self.0
    }
}

/// One allocation (RFC 8656 §6).
#[derive(Debug)]
pub struct Allocation {
    /// Distinguishes it from the allocations that had its [`AllocationId`] before.
    pub serial: u32,
    /// Its 5-tuple.
    pub path: ClientPath,
    /// The user who made it; only this user may change it.
    pub username: Box<str>,
    /// The user whose quota it counts against.
    pub tag: Box<str>,
    /// The answer to its Allocate, for a retransmitted request.
    pub answer: AllocateAnswer,
    /// The transport protocol between the relay and its peers.
    pub transport: Transport,
    /// Whether its client accepts Data indications that carry ICMP instead of data.
    pub icmp: IcmpReports,
    /// The relayed transport addresses, each with the moment it expires.
    pub relays: Vec<(OpenPort, Moment)>,
    /// The peers that may send to the client.
    pub permissions: Vec<Permission>,
    /// The channels, including those that are only reserved.
    pub channels: Vec<Channel>,
    /// Its lease from the quotas.
    pub lease: Lease,
    /// Its count at the secret that signed the credential; `None` for a static user.
    pub signed: Option<Signed>,
    /// How many peer addresses were ever permitted.
    pub peers: u32,
    /// The rate at which it adds new peers.
    pub new_peers: Bucket,
    /// Traffic from the client to peers.
    pub up: Meter,
    /// Traffic from peers to the client.
    pub down: Meter,
    /// What both directions had carried at the last two sweeps.
    pub readings: Readings,
    /// What the ledger of usage knows of it.
    pub told: Used,
    /// When it was made.
    pub since: Moment,
    /// Its entry in the deadline table.
    pub deadline: Moment,
}

/// The parts of the answer to an Allocate that cannot be derived from the allocation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AllocateAnswer {
    /// The transaction that made the allocation: its retransmission gets the same answer (RFC 8656 §5).
    pub transaction: [u8; 12],
    /// Seconds.
    pub lifetime: u32,
    /// The token of the reserved next port.
    pub token: Option<ReservationToken>,
    /// The family that could not be served, and the error code that says why.
    pub failed: Option<(Family, u16)>,
}

/// A peer address that may send (RFC 8656 §9).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Permission {
    /// The peer's address; the port does not matter.
    pub ip: IpAddr,
    /// When it expires.
    pub until: Moment,
}

/// A channel (RFC 8656 §12).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Channel {
    /// Its number.
    pub number: ChannelNumber,
    /// Its peer.
    pub peer: PeerAddr,
    /// The socket that reaches the peer.
    pub relay: RelayId,
    /// When it expires; it stays reserved for [`CHANNEL_RESERVATION`] more.
    pub until: Moment,
}

/// What one direction of an allocation has carried and may still carry.
#[derive(Debug, Clone, Copy, Default)]
pub struct Meter {
    packet_rate: Bucket,
    byte_rate: Bucket,
    /// Packets carried.
    pub packets: u64,
    /// Bytes of payload carried.
    pub bytes: u64,
}

impl Meter {
    /// Takes a packet from the rates, if they allow it. It does not count the packet: something else may still forbid
    /// it.
    ///
    /// # Errors
    /// The limit that is reached.
    pub fn take(&mut self, limits: &Limits, bytes: usize, now: Moment) -> Result<(), Limit> {
        if !self.packet_rate.take(limits.packets, 1, now) {
            return Err(Limit::Packets);
        }
        if self.byte_rate.take(limits.bytes, bytes as u64, now) { Ok(()) } else { Err(Limit::Bits) }
    }

    /// Takes bytes of a connection, which can no longer be dropped, and counts them.
    pub fn carry(&mut self, limits: &Limits, bytes: usize, now: Moment) {
        self.byte_rate.spend(limits.bytes, bytes as u64, now);
        self.count(bytes);
    }

    /// Counts a packet that is carried.
    pub fn count(&mut self, bytes: usize) {
        self.packets += 1;
        self.bytes += bytes as u64;
    }

    /// Whether no more bytes may be carried now.
    #[must_use]
    pub fn is_spent(&self, limits: &Limits, now: Moment) -> bool {
        self.byte_rate.is_spent(limits.bytes, now)
    }
}

impl Allocation {
    /// What one direction has carried and may still carry.
    #[must_use]
    pub fn meter(&self, direction: Direction) -> &Meter {
        match direction {
            Direction::Up => &self.up,
            Direction::Down => &self.down,
        }
    }

    /// The same, to change.
    pub fn meter_mut(&mut self, direction: Direction) -> &mut Meter {
        match direction {
            Direction::Up => &mut self.up,
            Direction::Down => &mut self.down,
        }
    }

    /// The relayed address of a family.
    #[must_use]
    pub fn relay(&self, family: Family) -> Option<OpenPort> {
        self.relays.iter().map(|(relay, _)| *relay).find(|relay| relay.family() == family)
    }

    /// Until when `ip` may send to the client.
    #[must_use]
    pub fn permitted_until(&self, ip: IpAddr) -> Option<Moment> {
        self.permissions.iter().find(|permission| permission.ip == ip).map(|permission| permission.until)
    }

    /// Its transport protocols.
    #[must_use]
    pub const fn legs(&self) -> Legs {
        Legs { client: self.path.transport(), peer: self.transport }
    }

    /// The families of its relayed addresses; `None` if it has no address left.
    #[must_use]
    pub fn families(&self) -> Option<Families> {
        let has = |family| self.relay(family).is_some();
        match (has(Family::V4), has(Family::V6)) {
            (true, true) => Some(Families::Both),
            (true, false) => Some(Families::V4),
            (false, true) => Some(Families::V6),
            (false, false) => None,
        }
    }

    /// When the first of its relayed addresses expires.
    #[must_use]
    pub fn expires(&self) -> Option<Moment> {
        self.relays.iter().map(|(_, expires)| *expires).min()
    }
}

/// The allocations of one shard.
#[derive(Debug, Default)]
pub struct Allocations {
    slots: Slab<Allocation>,
    by_path: HashMap<ClientPath, AllocationId>,
    by_relay: HashMap<RelayId, AllocationId>,
}

impl Allocations {
    /// Adds an allocation.
    pub fn insert(&mut self, allocation: Allocation) -> AllocationId {
        let slot = self.slots.vacant_entry();
        let id = AllocationId(slot.key());
        self.by_path.insert(allocation.path, id);
        self.by_relay.extend(allocation.relays.iter().map(|(relay, _)| (relay.id, id)));
        slot.insert(allocation);
        id
    }

    /// Removes an allocation.
    pub fn remove(&mut self, id: AllocationId) -> Option<Allocation> {
        let allocation = self.slots.try_remove(id.0)?;
        self.by_path.remove(&allocation.path);
        for (relay, _) in &allocation.relays {
            self.by_relay.remove(&relay.id);
        }
        Some(allocation)
    }

    /// Removes one relayed address of an allocation, which may have none left afterwards.
    pub fn remove_relay(&mut self, id: AllocationId, relay: RelayId) -> Option<&mut Allocation> {
        self.by_relay.remove(&relay);
        let allocation = self.slots.get_mut(id.0)?;
        allocation.relays.retain(|(other, _)| other.id != relay);
        Some(allocation)
    }

    /// The allocation of a 5-tuple.
    #[must_use]
    pub fn by_path(&self, path: &ClientPath) -> Option<AllocationId> {
        self.by_path.get(path).copied()
    }

    /// The allocation that a relay socket belongs to.
    #[must_use]
    pub fn by_relay(&self, relay: RelayId) -> Option<AllocationId> {
        self.by_relay.get(&relay).copied()
    }

    /// An allocation.
    #[must_use]
    pub fn get(&self, id: AllocationId) -> Option<&Allocation> {
        self.slots.get(id.0)
    }

    /// An allocation, to change.
    pub fn get_mut(&mut self, id: AllocationId) -> Option<&mut Allocation> {
        self.slots.get_mut(id.0)
    }

    /// Every allocation.
    pub fn iter(&self) -> impl Iterator<Item = (AllocationId, &Allocation)> {
        self.slots.iter().map(|(key, allocation)| (AllocationId(key), allocation))
    }

    /// The slots of the table, in use or not.
    #[must_use]
    pub fn slots(&self) -> Range<usize> {
        0..self.slots.capacity()
    }

    /// Every allocation, to change.
    pub fn iter_mut(&mut self) -> impl Iterator<Item = (AllocationId, &mut Allocation)> {
        self.slots.iter_mut().map(|(key, allocation)| (AllocationId(key), allocation))
    }

    /// How many places the table has. Each allocation stays in its place.
    #[must_use]
    pub fn places(&self) -> usize {
        self.slots.capacity()
    }

    /// The allocation in a place, if there is one, to change.
    pub fn at(&mut self, place: usize) -> Option<&mut Allocation> {
        self.slots.get_mut(place)
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.slots.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }
}
