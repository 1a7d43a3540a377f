//! Makes TCP sockets: some listen for clients or for peers (RFC 6062), and some connect to peers.

use std::io;
use std::net::SocketAddr;

use socket2::{Domain, Protocol, Socket, Type};

/// Which other sockets may have the address of a listener.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sharing {
    /// None.
    Alone,
    /// Sockets of the same user, from now on: connections that are made from the address, or a later listener.
    Shared,
    /// The same, and one is there already.
    Beside,
}

/// Listens at an address, with room for `backlog` connections that are not accepted yet.
///
/// # Errors
/// If the address cannot be bound.
pub fn listen(address: SocketAddr, backlog: i32, sharing: Sharing) -> io::Result<std::net::TcpListener> {
    let socket = open(address)?;
    socket.set_reuse_port(sharing == Sharing::Beside)?;
    socket.bind(&address.into())?;
    // Set only after binding, so that no other socket could share the address before.
    socket.set_reuse_port(sharing != Sharing::Alone)?;
    socket.listen(backlog)?;
    Ok(socket.into())
}

/// Connects to a peer from an address on which a socket already listens. When the socket becomes writable, the
/// connection has been made or has failed.
///
/// # Errors
/// If it fails at once.
pub fn connect(from: SocketAddr, to: SocketAddr) -> io::Result<std::net::TcpStream> {
    let socket = open(from)?;
    socket.set_reuse_port(true)?;
    socket.bind(&from.into())?;
    match socket.connect(&to.into()) {
        Err(error) if error.raw_os_error() != Some(libc::EINPROGRESS) => Err(error),
        Ok(()) | Err(_) => Ok(socket.into()),
    }
}

fn open(address: SocketAddr) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM.nonblocking(), Some(Protocol::TCP))?;
    // Connections of an earlier run or allocation that the kernel still remembers must not make this fail.
    socket.set_reuse_address(true)?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    Ok(socket)
}

/// Whether accepting failed because of that one connection (accept(2)). After any other error it is useless to try
/// again at once.
#[must_use]
pub fn is_of_one_connection(error: &io::Error) -> bool {
    let own = [
        libc::ECONNABORTED,
        libc::ECONNRESET,
        libc::EINTR,
        libc::EPERM,
        libc::EPROTO,
        libc::ENETDOWN,
        libc::ENETUNREACH,
        libc::EHOSTDOWN,
        libc::EHOSTUNREACH,
        libc::ENONET,
        libc::EOPNOTSUPP,
        libc::ENOPROTOOPT,
    ];
    error.raw_os_error().is_some_and(|code| own.contains(&code))
}
