//! PURE  The daemon's state and counters, as plain numbers at one moment.
//!
//! Every service returns its part from `snapshot()`. The whole can be serialised, and [`prometheus`] renders it as
//! text.

pub mod history;
pub mod prometheus;
pub mod room;
pub mod session;

use std::collections::BTreeMap;

use serde::Serialize;

/// The whole daemon.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Observed {
    /// The version of the program.
    pub version: &'static str,
    /// When the daemon started, in seconds since the Unix epoch.
    pub started: u64,
    /// The phase of the daemon's life.
    pub lifecycle: Lifecycle,
    /// The relay.
    pub relay: Relay,
    /// The rooms.
    pub rooms: Rooms,
    /// The HTTP service.
    pub site: Site,
    /// The clients of other signaling servers, by their kind; only those that are served.
    pub compat: BTreeMap<&'static str, Compat>,
    /// The front.
    pub front: Front,
    /// The certificates, if there are any.
    pub certificates: Option<Certificates>,
    /// The orders at a certificate authority, if `tls.acme` wants any.
    pub acme: Option<Acme>,
    /// The usage service.
    pub usage: Usage,
    /// The reloads of the configuration.
    pub reloads: Reloads,
    /// Lines of the log that were lost, because nobody read the log or it could not be written.
    pub log_lines_lost: u64,
    /// The process, if the system says how it is.
    pub process: Option<Process>,
}

/// The phase of a daemon's life.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Lifecycle {
    /// It serves clients.
    #[default]
    Serving,
    /// It is about to stop: new clients are refused, and existing allocations go on.
    Draining,
    /// It has ended.
    Stopped,
}

/// The relay. Counters are since the start, summed over all shards.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Relay {
    /// Live allocations of each shard.
    pub allocations: Vec<u64>,
    /// Live allocations, by transport protocols and families.
    pub held: Vec<Held>,
    /// The most allocations that the configuration allows.
    pub most_allocations: u64,
    /// The addresses that new allocations relay from, by family.
    pub addresses: BTreeMap<&'static str, u64>,
    /// Allocations that ended, by reason.
    pub concluded: BTreeMap<&'static str, u64>,
    /// Permissions of live allocations, including those that have expired and are not removed yet.
    pub permissions: u64,
    /// Channels of live allocations, including those that are only reserved.
    pub channels: u64,
    /// Live TCP and TLS connections: those of TURN clients, and those with peers.
    pub connections: u64,
    /// Requests, by method.
    pub requests: BTreeMap<&'static str, Requests>,
    /// Datagrams and messages that were dropped without a response, by reason.
    pub ignored: BTreeMap<&'static str, u64>,
    /// Packets and bytes relayed, by direction.
    pub relayed: BTreeMap<&'static str, Relayed>,
    /// The same, by direction, transport protocols and family.
    pub flows: Vec<Flow>,
    /// Datagrams that the kernel dropped because a receive buffer was full, by kind of socket.
    pub overflowed: BTreeMap<&'static str, u64>,
    /// Runs of datagrams that were sent one by one because the kernel refused to cut them (`UDP_SEGMENT`).
    pub uncut: u64,
    /// Threads that serve clients. The others sleep until there is more traffic.
    pub threads_awake: u64,
    /// ICMP errors forwarded to clients.
    pub icmp: u64,
    /// Connections that ended, by reason.
    pub ended: BTreeMap<&'static str, u64>,
    /// Live allocations, by the secret that signed their credentials. Those of static users are left out.
    pub secrets: Secrets,
}

/// Live allocations, by the secret that signed their credentials.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Secrets {
    /// Those of each secret, newest first.
    pub live: Vec<u64>,
    /// Those of secrets that were removed from the configuration.
    pub removed: u64,
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

/// How many allocations there are of one kind.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Held {
    /// The transport protocol between the client and the relay.
    pub transport: &'static str,
    /// The transport protocol between the relay and the peers.
    pub peer_transport: &'static str,
    /// The address family, or both, of the relayed addresses.
    pub family: &'static str,
    /// The number of allocations.
    pub count: u64,
}

/// What was relayed in one direction by the allocations of one kind.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Flow {
    /// The direction: up to peers, or down to clients.
    pub direction: &'static str,
    /// The transport protocol between the client and the relay.
    pub transport: &'static str,
    /// The transport protocol between the relay and the peers.
    pub peer_transport: &'static str,
    /// The address family of the relayed address.
    pub family: &'static str,
    /// What was relayed.
    #[serde(flatten)]
    pub relayed: Relayed,
}

/// What was relayed in one direction.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Relayed {
    /// Packets. Of a connection with a peer over TCP, each part that was read counts as one.
    pub packets: u64,
    /// Bytes of payload.
    pub bytes: u64,
}

impl Relayed {
    /// This and the other together.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        let packets = self.packets.wrapping_add(other.packets);
        Self { packets, bytes: self.bytes.wrapping_add(other.bytes) }
    }
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
    /// The most sessions that are allowed.
    pub most_sessions: u64,
    /// Open WebSockets.
    pub sockets: u64,
    /// Messages received from clients, by type.
    pub received: BTreeMap<&'static str, u64>,
    /// Messages queued for clients, by type.
    pub sent: BTreeMap<&'static str, u64>,
    /// Requests that were refused, by code. Codes that never occurred are left out.
    pub refused: BTreeMap<&'static str, u64>,
    /// Joins that were refused, by code. Codes that never occurred are left out.
    pub joins_refused: BTreeMap<&'static str, u64>,
    /// Relay credentials issued to members.
    pub credentials: u64,
    /// WebSockets that were opened.
    pub opened: u64,
    /// WebSockets that were refused because a limit was reached or the server stops, by reason.
    pub turned_away: BTreeMap<&'static str, u64>,
    /// WebSockets that the server closed, by close code.
    pub closed: Vec<Coded>,
}

/// The clients of another signaling server. Counters are since the start.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Compat {
    /// Open WebSockets.
    pub sockets: u64,
    /// WebSockets that were opened.
    pub opened: u64,
    /// Bytes of messages that wait for clients that are not there.
    pub waiting_bytes: u64,
    /// Messages received from clients, by type.
    pub received: BTreeMap<&'static str, u64>,
    /// Messages queued for clients, by type. Types that never occurred are left out.
    pub sent: BTreeMap<&'static str, u64>,
    /// WebSockets that were refused because a limit was reached or the server stops, by reason.
    pub refused: BTreeMap<&'static str, u64>,
    /// WebSockets that the server closed, by reason. Reasons that never occurred are left out.
    pub closed: BTreeMap<&'static str, u64>,
}

/// The HTTP service. Counters are since the start.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Site {
    /// Live connections, without WebSockets.
    pub connections: usize,
    /// Answered requests, by route and class of status. Those that never occurred are left out.
    pub requests: Vec<Answered>,
    /// How long requests took until the header of the answer was ready, by route.
    pub durations: BTreeMap<&'static str, Histogram>,
    /// Credentials issued, by endpoint.
    pub credentials: BTreeMap<&'static str, u64>,
}

/// How often a route was answered with one class of status.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Answered {
    /// The route: a template, never a path that a client sent.
    pub route: &'static str,
    /// The class of the status, such as "2xx".
    pub status: &'static str,
    /// The count.
    pub count: u64,
}

/// How long something took.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Histogram {
    /// How many times lie between two neighbours of [`Self::BOUNDS`]: below the first, and so on, and above the last.
    pub counts: [u64; Self::BOUNDS.len() + 1],
    /// The sum of all times, in nanoseconds.
    pub sum: u64,
}

impl Histogram {
    /// The upper bounds in milliseconds: the ones that Prometheus' libraries use.
    pub const BOUNDS: [u64; 11] = [5, 10, 25, 50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000];
}

/// The front. Counters are since the start.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Front {
    /// Live TCP and TLS connections of all protocols, including those with peers.
    pub connections: usize,
    /// The most connections that are allowed.
    pub most_connections: usize,
    /// Connections whose protocol became known, by protocol.
    pub identified: BTreeMap<&'static str, u64>,
    /// Connections that ended before they were handed to the relay or to HTTP, by reason.
    pub ended: BTreeMap<&'static str, u64>,
    /// TLS handshakes, by outcome.
    pub handshakes: BTreeMap<&'static str, u64>,
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

/// The certificates that an authority has been asked for. Counters are since the start.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Acme {
    /// Certificates that were issued.
    pub issued: u64,
    /// Orders that failed.
    pub failed: u64,
    /// Orders that have failed since the last one that succeeded.
    pub failures: u64,
    /// When the next order is due, in seconds since the Unix epoch.
    pub next: u64,
    /// Why the last order failed, in the words of the authority; absent if it succeeded.
    pub problem: Option<String>,
}

/// The reloads of the configuration since the start.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Reloads {
    /// Reloads that put a configuration into force, even if nothing had changed.
    pub good: u64,
    /// Reloads that changed nothing, because the configuration was wrong.
    pub bad: u64,
    /// When the last one was, in seconds since the Unix epoch; 0 before the first.
    pub last: u64,
    /// Whether the last one put a configuration into force.
    pub last_good: bool,
}

/// The process, as the operating system sees it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Process {
    /// Processor time of all threads, in milliseconds.
    pub cpu_ms: u64,
    /// Processor time of the living threads, in milliseconds, by name.
    pub threads: BTreeMap<String, u64>,
    /// Bytes of memory that are resident.
    pub resident_bytes: u64,
    /// Bytes of address space.
    pub virtual_bytes: u64,
    /// Open files.
    pub open_files: u64,
    /// The most open files that are allowed.
    pub most_files: u64,
}

/// The usage service. Counters are since the start.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Usage {
    /// Whether usage is stored.
    pub stores: bool,
    /// Users with something that is not written yet.
    pub users_unwritten: u64,
    /// How long ago the last write succeeded.
    pub seconds_behind: u64,
    /// Writes that failed.
    pub failures: u64,
}
