//! A door: a TCP socket that listens, what its clients may speak, and the server of those that speak HTTP.

use std::io;
use std::net::SocketAddr;

use crate::http::connection::Server;
use crate::network::tcp;

/// A TCP socket that listens, and what it is for.
#[derive(Debug)]
pub struct Door {
    /// The socket.
    pub socket: std::net::TcpListener,
    /// What clients may speak.
    pub kind: Kind,
}

/// What clients may speak at a door, and the server of those that speak HTTP.
#[derive(Debug, Clone)]
pub enum Kind {
    /// TURN over TCP, and TURN or HTTP over TLS.
    Any(Server),
    /// TURN or HTTP over TLS.
    Tls(Server),
    /// HTTP without TLS.
    Http(Server),
}

/// Connections that may wait to be accepted, if the kernel allows as many.
const BACKLOG: i32 = 1024;

impl Door {
    /// Listens at an address.
    ///
    /// # Errors
    /// If the address cannot be bound.
    pub fn bind(address: SocketAddr) -> io::Result<std::net::TcpListener> {
        tcp::listen(address, BACKLOG, false)
    }

    /// A door of the same kind for each of `sockets`.
    pub fn each(sockets: Vec<std::net::TcpListener>, kind: Kind) -> impl Iterator<Item = Self> {
        sockets.into_iter().map(move |socket| Self { socket, kind: kind.clone() })
    }
}

impl Kind {
    /// The server of the clients that speak HTTP.
    pub(super) fn server(&self) -> &Server {
        match self {
            Self::Any(server) | Self::Tls(server) | Self::Http(server) => server,
        }
    }
}
