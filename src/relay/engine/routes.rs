//! PURE  The bound channels, as one table for each direction.
//!
//! An entry holds everything of a channel that stays the same while it is bound, so a packet on a channel needs one
//! lookup. What changes with each packet belongs to the allocation, which the entry names: the rates that its channels
//! share, its totals, and when it was last used. A kernel fast path would mirror these two tables, except for entries
//! with [`Up::own`], and report the traffic of each allocation.

use std::collections::HashMap;

use crate::clock::Moment;
use crate::relay::address::{ChannelNumber, ClientPath, PeerAddr, RelayId};
use crate::relay::engine::allocation::AllocationId;

/// The route of ChannelData from a client to a peer, found by the client's 5-tuple and the channel number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Up {
    /// The allocation of the client.
    pub allocation: AllocationId,
    /// The relay socket that sends the data.
    pub relay: RelayId,
    /// The peer that receives the data.
    pub peer: PeerAddr,
    /// Whether the peer's address is one that we relay from. Such a peer is judged for each packet, because only ports
    /// in use may be reached there.
    pub own: bool,
    /// When the channel expires.
    pub until: Moment,
}

/// The route from a peer that has a channel to the client, found by the relay socket and the peer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Down {
    /// The allocation of the client.
    pub allocation: AllocationId,
    /// The channel that is bound to the peer.
    pub channel: ChannelNumber,
    /// When the channel expires. After that the peer needs a permission, and a Data indication carries its data.
    pub until: Moment,
}

/// Both tables.
#[derive(Debug, Default)]
pub struct Routes {
    up: HashMap<(ClientPath, ChannelNumber), Up>,
    down: HashMap<(RelayId, PeerAddr), Down>,
}

impl Routes {
    /// Adds or replaces the routes of one channel.
    pub fn insert(&mut self, path: ClientPath, up: Up, down: Down) {
        self.up.insert((path, down.channel), up);
        self.down.insert((up.relay, up.peer), down);
    }

    /// Says again whether the peer's address is one that we relay from.
    pub fn mark(&mut self, path: ClientPath, channel: ChannelNumber, own: bool) {
        if let Some(up) = self.up.get_mut(&(path, channel)) {
            up.own = own;
        }
    }

    /// Removes the routes of one channel.
    pub fn remove(&mut self, path: ClientPath, channel: ChannelNumber, relay: RelayId, peer: PeerAddr) {
        self.up.remove(&(path, channel));
        self.down.remove(&(relay, peer));
    }

    /// The route of a client's channel.
    #[must_use]
    pub fn up(&self, path: ClientPath, channel: ChannelNumber) -> Option<Up> {
        self.up.get(&(path, channel)).copied()
    }

    /// The route of a peer's channel.
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
