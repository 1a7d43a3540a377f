//! What a connection is for, and what is known of one that arrives.

use std::net::SocketAddr;

use mio::net::TcpStream;
use rustls::ServerConnection;

use crate::clock::Moment;
use crate::relay::address::{ClientPath, ConnectionId, RelayId, StreamId};
use crate::relay::admission::Permit;

/// A client's connection that has shown what it speaks.
#[derive(Debug)]
pub struct Arrival {
    /// The connection, non-blocking.
    pub socket: std::net::TcpStream,
    /// TLS, after its handshake.
    pub tls: Option<Box<ServerConnection>>,
    /// The client, as a proxy says if one stands between.
    pub client: SocketAddr,
    /// The address of ours that the client talks to.
    pub server: SocketAddr,
    /// When the client could first have sent a message.
    pub since: Moment,
    /// Its right to be there.
    pub permit: Permit,
    /// What it said to another shard, that is for this one to answer.
    pub said: Vec<u8>,
}

/// A connection with a peer, which is perhaps still being made.
#[derive(Debug)]
pub struct PeerArrival {
    /// The connection.
    pub socket: TcpStream,
    /// The peer.
    pub peer: SocketAddr,
    /// [`Role::Connecting`] or [`Role::Unbound`].
    pub role: Role,
    /// Its right to be there.
    pub permit: Permit,
}

/// What a connection is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// A client talks to us.
    Client(ClientPath),
    /// A peer does not answer yet.
    Connecting(ConnectionId, RelayId),
    /// Nobody takes a peer's bytes yet. They stay in the kernel.
    Unbound(ConnectionId, RelayId),
    /// A peer's bytes are for a client.
    Peer(Bridge),
    /// A client's bytes are for a peer.
    Data(Bridge),
    /// All that waits still leaves, and what comes is thrown away, until the other end has closed too: whoever closes
    /// with something unread destroys what is on its way. A peer's connection has its name for as long.
    Leaving(Option<(ConnectionId, RelayId)>),
}

impl Role {
    /// The name and the relayed address of a connection with a peer.
    #[must_use]
    pub fn peer(self) -> Option<(ConnectionId, RelayId)> {
        match self {
            Self::Connecting(connection, relay)
            | Self::Unbound(connection, relay)
            | Self::Peer(Bridge { connection, relay, mate: _ }) => Some((connection, relay)),
            Self::Leaving(peer) => peer,
            Self::Client(_) | Self::Data(_) => None,
        }
    }
}

/// What two connections that carry each other's bytes have in common.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bridge {
    /// The name of the connection with the peer.
    pub connection: ConnectionId,
    /// The relayed address.
    pub relay: RelayId,
    /// The other connection.
    pub mate: StreamId,
}
