//! What a connection is for, and what is known of one that arrives.

use std::net::SocketAddr;

use mio::net::TcpStream;
use rustls::ServerConnection;

use crate::bounds::admission::Permit;
use crate::clock::Moment;
use crate::relay::address::{ClientPath, StreamId};

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

/// A connection with a peer (RFC 6062).
#[derive(Debug)]
pub struct PeerArrival {
    /// The connection.
    pub socket: TcpStream,
    /// The peer.
    pub peer: SocketAddr,
    /// Whether the peer made the connection. If not, the connection is still being made.
    pub accepted: bool,
    /// Its right to be there.
    pub permit: Permit,
}

/// What a connection is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    /// A client sends messages.
    Client(ClientPath),
    /// A peer has not answered yet.
    Connecting,
    /// A peer is connected, and what it sends stays in the kernel until a client binds the connection.
    Unbound,
    /// What it receives is sent on this other connection.
    Bridged(StreamId),
    /// All that waits still leaves, and what comes is thrown away, until the other end has closed too: closing with
    /// something unread would destroy what is on its way.
    Leaving,
}
