//! PURE  The settings of the rooms, at the start and after a reload.

use std::time::Duration;

use crate::credentials::Credentials;
use crate::ice::IceServers;
use crate::room_token::RoomTokens;
use crate::sections::rooms::Rooms;

/// Everything that the configuration decides for a hub.
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

impl IceSource {
    /// Whether members get the same URLs from both, and credentials of the same secret and lifetime.
    #[must_use]
    pub fn gives_the_same_as(&self, other: &Self) -> bool {
        let Self { servers, credentials, ttl } = self;
        let same_secret = credentials.secrets().first() == other.credentials.secrets().first();
        *servers == other.servers && same_secret && *ttl == other.ttl
    }
}
