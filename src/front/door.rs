//! A door: a listening TCP socket, the protocols that are allowed on it, and the server for HTTP.

use std::io;
use std::net::SocketAddr;

use crate::http::connection::Server;
use crate::network::tcp::{self, Sharing};

/// A listening TCP socket and its protocols.
#[derive(Debug)]
pub struct Door {
    /// The socket.
    pub socket: std::net::TcpListener,
    /// The protocols that are allowed.
    pub kind: Kind,
}

/// The protocols that are allowed at a door, and the server for HTTP.
#[derive(Debug, Clone)]
pub enum Kind {
    /// TURN over TCP, and TURN or HTTP over TLS.
    Any(Server),
    /// TURN or HTTP over TLS.
    Tls(Server),
    /// HTTP without TLS.
    Http(Server),
}

/// At most this many connections wait to be accepted; the kernel may allow fewer.
pub(super) const BACKLOG: i32 = 1024;

impl Door {
    /// Listens at an address.
    ///
    /// # Errors
    /// If the address cannot be bound.
    pub fn bind(address: SocketAddr, sharing: Sharing) -> io::Result<std::net::TcpListener> {
        tcp::listen(address, BACKLOG, sharing)
    }

    /// A door of the same kind for each of `sockets`.
    pub fn each(sockets: Vec<std::net::TcpListener>, kind: Kind) -> impl Iterator<Item = Self> {
        sockets.into_iter().map(move |socket| Self { socket, kind: kind.clone() })
    }
}

impl Kind {
    /// The server for HTTP.
    pub(super) fn server(&self) -> &Server {
        match self {
            Self::Any(server) | Self::Tls(server) | Self::Http(server) => server,
        }
    }
}
