//! PURE  The routing tables: which peer a channel leads to, and which client a peer's packet is for.
//!
//! An entry says where a packet goes, so that each packet is one lookup. A kernel fast path would have to mirror these
//! tables, and beside them the limits and counters of the allocation.

use std::collections::HashMap;

use crate::clock::Moment;
use crate::relay::address::{ChannelNumber, ClientPath, PeerAddr, RelayId};
use crate::relay::engine::allocation::AllocationId;

/// The way of ChannelData from a client to a peer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Up {
    /// Whose packet it is.
    pub allocation: AllocationId,
    /// The relay socket that it leaves by.
    pub relay: RelayId,
    /// Whom it is for.
    pub peer: PeerAddr,
    /// Until when the channel is bound.
    pub until: Moment,
}

/// The way from a peer that has a channel to the client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Down {
    /// Whose packet it is.
    pub allocation: AllocationId,
    /// The channel bound to the peer.
    pub channel: ChannelNumber,
    /// Until when the channel is bound, and the peer may send because of it. Afterwards a permission is asked for, and a
    /// Data indication carries the data.
    pub until: Moment,
}

/// The tables.
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

    /// How many entries there are in each direction.
    #[must_use]
    pub fn len(&self) -> (usize, usize) {
        (self.up.len(), self.down.len())
    }
}
