//! Makes the TCP sockets that reach peers (RFC 6062): one listens at a relayed address, others connect from it.

use std::io;
use std::net::SocketAddr;

use mio::net::{TcpListener, TcpStream};
use socket2::{Domain, Protocol, Socket, Type};

/// Peers that may wait to be accepted.
const BACKLOG: i32 = 16;

/// Listens at a relayed address.
///
/// # Errors
/// If the address cannot be bound.
pub fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = open(address)?;
    // Only now may others share the address: those that connect from it.
    socket.bind(&address.into())?;
    socket.set_reuse_port(true)?;
    socket.listen(BACKLOG)?;
    Ok(TcpListener::from_std(socket.into()))
}

/// Connects from a relayed address to a peer. The connection is made, or has failed, when the socket can be written.
///
/// # Errors
/// If it is known at once that there is no way.
pub fn connect(from: SocketAddr, to: SocketAddr) -> io::Result<TcpStream> {
    let socket = open(from)?;
    socket.set_reuse_port(true)?;
    socket.bind(&from.into())?;
    match socket.connect(&to.into()) {
        Err(error) if error.raw_os_error() != Some(libc::EINPROGRESS) => Err(error),
        Ok(()) | Err(_) => Ok(TcpStream::from_std(socket.into())),
    }
}

fn open(address: SocketAddr) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM.nonblocking(), Some(Protocol::TCP))?;
    // A port whose last connections the kernel still remembers can be relayed from again.
    socket.set_reuse_address(true)?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    Ok(socket)
}

/// Whether accepting failed for a connection's own reasons, before it was its turn (accept(2)).
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
