//! The role of a connection, and what is known about one that arrives.

use std::net::SocketAddr;

use mio::net::TcpStream;

use crate::bounds::admission::Permit;
use crate::clock::Moment;
use crate::relay::address::{ClientPath, StreamId};
use crate::relay::streams::tls::TlsSession;

/// A client's connection after its protocol has been detected.
#[derive(Debug)]
pub struct Arrival {
    /// The connection, non-blocking.
    pub socket: std::net::TcpStream,
    /// TLS, after the handshake.
    pub tls: Option<TlsSession>,
    /// The client's address; behind a proxy, the one that the proxy reports.
    pub client: SocketAddr,
    /// The local address that the client is connected to.
    pub server: SocketAddr,
    /// When the client could first send a message.
    pub since: Moment,
    /// Its permit from admission.
    pub permit: Permit,
    /// What the client sent to another shard, and this shard is to answer.
    pub said: Vec<u8>,
}

/// A connection with a peer (RFC 6062).
#[derive(Debug)]
pub struct PeerArrival {
    /// The connection.
    pub socket: TcpStream,
    /// The peer.
    pub peer: SocketAddr,
    /// Whether the peer made the connection. If not, it is still being established.
    pub accepted: bool,
    /// Its permit from admission.
    pub permit: Permit,
}

/// The role of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    /// A client sends messages.
    Client(ClientPath),
    /// A connection to a peer is being established.
    Connecting,
    /// A peer is connected. What it sends stays in the kernel until a client binds the connection.
    Unbound,
    /// What this connection receives is sent on the other one.
    Bridged(StreamId),
    /// Everything that waits is still sent, and what arrives is discarded, until the other end has closed too. Closing
    /// with unread data would destroy data in flight.
    Leaving,
}
