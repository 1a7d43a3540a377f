//! PURE  The settings with which the rooms are started.

use std::time::Duration;

use crate::credentials::Credentials;
use crate::ice::IceServers;
use crate::room_token::RoomTokens;
use crate::sections::rooms::Rooms;

/// Everything that a hub must know before it starts.
pub struct Plan {
    /// `[rooms]`. Its `members` is also the maximum number of rooms.
    pub rooms: Rooms,
    /// The maximum number of sessions, and of sockets.
    pub sessions: usize,
    /// The source of members' ICE servers and credentials.
    pub ice: IceSource,
    /// Which room tokens are accepted.
    pub tokens: RoomTokens,
}

/// The source of members' ICE servers and credentials.
pub struct IceSource {
    /// The URLs of the servers.
    pub servers: IceServers,
    /// The secrets with which credentials are made.
    pub credentials: Credentials,
    /// How long a credential is valid.
    pub ttl: Duration,
}
