//! What a relay needs to start.

use std::net::IpAddr;
use std::ops::RangeInclusive;

use crate::bounds::denied::DenyList;
use crate::network::address::RelayAddress;
use crate::peers::PeerPolicy;
use crate::relay::engine::Settings;
use crate::sections::relay::Switch;

/// Everything that a relay must know before it starts, except its sockets.
#[derive(Debug)]
pub struct Plan {
    /// The users, their limits, and the extensions that it serves.
    pub settings: Settings,
    /// The networks whose clients are refused.
    pub denied: DenyList,
    /// Which peers its clients may reach.
    pub peers: PeerPolicy,
    /// Addresses that belong to this machine even if no interface has them.
    pub fixed: Vec<IpAddr>,
    /// The addresses that new allocations relay from.
    pub addresses: Vec<RelayAddress>,
    /// The ports that it relays from, on each of these addresses.
    pub ports: RangeInclusive<u16>,
    /// Whether datagrams cross the network stack together.
    pub offload: Switch,
    /// Whether the kernel delivers the datagrams for all relay ports of a shard to one socket.
    pub lookup: Switch,
}
