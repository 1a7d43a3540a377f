//! Makes TCP sockets: some listen, for clients or for peers (RFC 6062), and some connect to peers.

use std::io;
use std::net::SocketAddr;

use socket2::{Domain, Protocol, Socket, Type};

/// Listens at an address, where so many may wait to be accepted. With `shared`, connections can be made from there as
/// well.
///
/// # Errors
/// If the address cannot be bound.
pub fn listen(address: SocketAddr, backlog: i32, shared: bool) -> io::Result<std::net::TcpListener> {
    let socket = open(address)?;
    socket.bind(&address.into())?;
    // Only now, so that the address was nobody else's.
    socket.set_reuse_port(shared)?;
    socket.listen(backlog)?;
    Ok(socket.into())
}

/// Connects from an address that is listened at to a peer. The connection is made, or has failed, when the socket can
/// be written.
///
/// # Errors
/// If it is known at once that there is no way.
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
    // Connections of an earlier run, or allocation, that the kernel still remembers are no reason to fail.
    socket.set_reuse_address(true)?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    Ok(socket)
}

/// Whether accepting failed for a connection's own reasons, before it was its turn (accept(2)); otherwise it is of no use
/// to try again at once.
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
