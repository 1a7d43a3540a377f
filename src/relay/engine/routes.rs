//! PURE  The bound channels, as one table for each direction.
//!
//! An entry holds all of a channel that stays the same while it is bound, so the way of a packet on a channel is one
//! lookup. What changes with each packet belongs to the whole allocation, which the entry names: the rates that all its
//! channels share, its totals, and when it was last used. A kernel fast path would mirror these two tables, but for
//! entries with [`Up::own`], and report for each allocation what it carried.

use std::collections::HashMap;

use crate::clock::Moment;
use crate::relay::address::{ChannelNumber, ClientPath, PeerAddr, RelayId};
use crate::relay::engine::allocation::AllocationId;

/// The way of ChannelData from a client to a peer. Its table is searched by the client's 5-tuple and the channel number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Up {
    /// The allocation of the client.
    pub allocation: AllocationId,
    /// The relay socket that sends the data.
    pub relay: RelayId,
    /// The peer that receives the data.
    pub peer: PeerAddr,
    /// Whether the peer's address is one that we relay from. Such a peer is judged for each packet, because only a port
    /// that is in use may be reached there.
    pub own: bool,
    /// Until when the channel is bound.
    pub until: Moment,
}

/// The way from a peer that has a channel to the client. Its table is searched by the relay socket and the peer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Down {
    /// The allocation of the client.
    pub allocation: AllocationId,
    /// The channel that is bound to the peer.
    pub channel: ChannelNumber,
    /// Until when the channel is bound. Afterwards the peer needs a permission, and a Data indication carries its data.
    pub until: Moment,
}

/// Both tables.
#[derive(Debug, Default)]
pub struct Routes {
    up: HashMap<(ClientPath, ChannelNumber), Up>,
    down: HashMap<(RelayId, PeerAddr), Down>,
}

impl Routes {
    /// Adds or replaces the ways of one channel.
    pub fn insert(&mut self, path: ClientPath, up: Up, down: Down) {
        self.up.insert((path, down.channel), up);
        self.down.insert((up.relay, up.peer), down);
    }

    /// Removes the ways of one channel.
    pub fn remove(&mut self, path: ClientPath, channel: ChannelNumber, relay: RelayId, peer: PeerAddr) {
        self.up.remove(&(path, channel));
        self.down.remove(&(relay, peer));
    }

    /// A client's channel.
    #[must_use]
    pub fn up(&self, path: ClientPath, channel: ChannelNumber) -> Option<Up> {
        self.up.get(&(path, channel)).copied()
    }

    /// A peer's channel.
    #[must_use]
    pub fn down(&self, relay: RelayId, peer: PeerAddr) -> Option<Down> {
        self.down.get(&(relay, peer)).copied()
    }

    /// For tests: how many entries there are in each direction.
    #[doc(hidden)]
    #[must_use]
    pub fn len(&self) -> (usize, usize) {
        (self.up.len(), self.down.len())
    }
}
