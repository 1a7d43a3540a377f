//! PURE  The daemon's state and counters, as plain numbers at one moment.
//!
//! Every service returns its part from `snapshot()`. The whole can be serialised, and [`prometheus`] renders it as
//! text.

pub mod prometheus;

use std::collections::BTreeMap;

use serde::Serialize;

/// The whole daemon.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Observed {
    /// The phase of the daemon's life.
    pub lifecycle: Lifecycle,
    /// The relay.
    pub relay: Relay,
    /// The rooms.
    pub rooms: Rooms,
    /// The HTTP service.
    pub site: Site,
    /// The front.
    pub front: Front,
    /// The certificates, if there are any.
    pub certificates: Option<Certificates>,
}

/// The phase of a daemon's life.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Lifecycle {
    /// It serves clients.
    #[default]
    Serving,
    /// It is stopping: allocations end, and members of rooms are informed.
    Draining,
    /// It has ended.
    Stopped,
}

/// The relay. Counters are since the start, summed over all shards.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Relay {
    /// Live allocations of each shard.
    pub allocations: Vec<u64>,
    /// Live TCP and TLS connections: those of TURN clients, and those with peers.
    pub connections: u64,
    /// Requests, by method.
    pub requests: BTreeMap<&'static str, Requests>,
    /// Datagrams and messages that were dropped without a response, by reason.
    pub ignored: BTreeMap<&'static str, u64>,
    /// Packets and bytes relayed, by direction.
    pub relayed: BTreeMap<&'static str, Relayed>,
    /// ICMP errors forwarded to clients.
    pub icmp: u64,
    /// Connections that ended, by reason.
    pub ended: BTreeMap<&'static str, u64>,
}

/// The requests of one method.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Requests {
    /// Requests that were granted.
    pub granted: u64,
    /// Requests that were refused, by error. Errors that never occurred are left out.
    pub refused: Vec<Coded>,
}

/// The count of one code and reason.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Coded {
    /// The code that was sent to the client.
    pub code: u16,
    /// The reason.
    pub reason: &'static str,
    /// The count.
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

/// The rooms. Counters are since the start.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Rooms {
    /// Rooms, including those that are empty at the moment.
    pub rooms: u64,
    /// Members of rooms, including those that are away and clients that wait to be let in.
    pub members: u64,
    /// Sessions, including those without a socket.
    pub sessions: u64,
    /// Open WebSockets.
    pub sockets: u64,
    /// Joins that were refused, by code. Codes that never occurred are left out.
    pub joins_refused: BTreeMap<&'static str, u64>,
    /// WebSockets that the server closed, by close code.
    pub closed: Vec<Coded>,
}

/// The HTTP service.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Site {
    /// Live connections, without WebSockets.
    pub connections: usize,
}

/// The front. Counters are since the start.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Front {
    /// Live TCP and TLS connections of all protocols, including those with peers.
    pub connections: usize,
    /// Connections that ended before they were handed to the relay or to HTTP, by reason.
    pub ended: BTreeMap<&'static str, u64>,
}

/// The certificates. Counters are since the start.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Certificates {
    /// The earliest expiry of a certificate, in seconds since the Unix epoch.
    pub expiry: u64,
    /// New certificates that were put into use.
    pub taken: u64,
    /// New certificates that were refused. The old ones stayed in use.
    pub refused: u64,
}
