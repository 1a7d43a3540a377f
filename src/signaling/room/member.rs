//! PURE  A member of a room, or a client that waits to become one.

use std::net::IpAddr;

use crate::signaling::protocol::Peer;
use crate::signaling::protocol::names::SessionId;

/// The room's record of it.
#[derive(Debug)]
pub(super) struct Member {
    /// The session.
    pub(super) session: SessionId,
    /// Its newest address, normalized by `client_net::address`.
    pub(super) ip: IpAddr,
    /// Its description for the others.
    pub(super) peer: Peer,
}
