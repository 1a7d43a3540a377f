//! PURE  A member of a room, or a client that waits to become one.

use std::net::IpAddr;

use crate::signaling::protocol::Peer;
use crate::signaling::protocol::names::SessionId;

/// What the room knows of it.
#[derive(Debug)]
pub(super) struct Member {
    /// The session.
    pub(super) session: SessionId,
    /// Its newest address, as what counts as one.
    pub(super) ip: IpAddr,
    /// What the others are told of it.
    pub(super) peer: Peer,
}
