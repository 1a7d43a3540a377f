//! PURE  What a daemon holds and has counted, as plain numbers at one moment.
//!
//! Every service returns its part from `snapshot()`. The whole can be serialised, and [`prometheus`] writes it as text.

pub mod prometheus;

use std::collections::BTreeMap;

use serde::Serialize;

/// A whole daemon.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Observed {
    /// Where the daemon is in its life.
    pub lifecycle: Lifecycle,
    /// The relay.
    pub relay: Relay,
    /// The rooms.
    pub rooms: Rooms,
    /// What is served over HTTP.
    pub site: Site,
    /// The front.
    pub front: Front,
    /// The certificates, if there are any.
    pub certificates: Option<Certificates>,
}

/// Where a daemon is in its life.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Lifecycle {
    /// It serves clients.
    #[default]
    Serving,
    /// It is told to stop: allocations end, and members of rooms are told.
    Draining,
    /// It has ended.
    Stopped,
}

/// The relay. Counts are since the start, and of all shards together.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Relay {
    /// Allocations now, of each shard.
    pub allocations: Vec<u64>,
    /// TCP and TLS connections now: clients' that speak TURN, and those with peers.
    pub connections: u64,
    /// What became of requests, by method.
    pub requests: BTreeMap<&'static str, Requests>,
    /// Datagrams and messages that were dropped without a response, by reason.
    pub ignored: BTreeMap<&'static str, u64>,
    /// Packets and bytes that were relayed, by direction.
    pub relayed: BTreeMap<&'static str, Relayed>,
    /// ICMP errors that were passed on to clients.
    pub icmp: u64,
    /// Connections that ended, by reason.
    pub ended: BTreeMap<&'static str, u64>,
}

/// What became of the requests of one method.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Requests {
    /// Those that were granted.
    pub granted: u64,
    /// Those that were refused, by error. Errors that never occurred are left out.
    pub refused: Vec<Coded>,
}

/// How often something was answered by a code, for a reason.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Coded {
    /// The code that the client was sent.
    pub code: u16,
    /// The reason.
    pub reason: &'static str,
    /// How often.
    pub count: u64,
}

/// What was relayed in one direction.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Relayed {
    /// Packets.
    pub packets: u64,
    /// Bytes of payload.
    pub bytes: u64,
}

/// The rooms. Counts are since the start.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Rooms {
    /// Rooms now, those that nobody is in at the moment included.
    pub rooms: u64,
    /// Members of rooms now, those away and those who wait included.
    pub members: u64,
    /// Sessions now, those away included.
    pub sessions: u64,
    /// Open WebSockets now.
    pub sockets: u64,
    /// Joins that were refused, by code. Codes that never occurred are left out.
    pub joins_refused: BTreeMap<&'static str, u64>,
    /// WebSockets that the server closed, by close code.
    pub closed: Vec<Coded>,
}

/// What is served over HTTP.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Site {
    /// Connections now. A WebSocket is not among them.
    pub connections: usize,
}

/// The front. Counts are since the start.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Front {
    /// TCP and TLS connections now, whatever they speak, and those with peers.
    pub connections: usize,
    /// Connections that ended before they were handed to the relay or to HTTP, by reason.
    pub ended: BTreeMap<&'static str, u64>,
}

/// The certificates. Counts are since the start.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Certificates {
    /// When the first of them expires, in seconds since the Unix epoch.
    pub expiry: u64,
    /// Certificates that replaced an old one.
    pub taken: u64,
    /// Certificates that were refused, while the old one stayed.
    pub refused: u64,
}
