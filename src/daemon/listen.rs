//! Binds the addresses that clients reach the daemon by.

use std::io;
use std::net::{SocketAddr, TcpListener};

use crate::daemon::error::StartError;
use crate::front::Door;
use crate::relay::datagrams::DatagramSocket;

/// Binds every address once for each of `threads` threads; returns the addresses as bound, and each thread's sockets.
pub(super) fn udp(
    addresses: &[SocketAddr],
    threads: usize,
) -> Result<(Vec<SocketAddr>, Vec<Vec<DatagramSocket>>), StartError> {
    let mut sockets: Vec<Vec<DatagramSocket>> = (0..threads).map(|_| Vec::new()).collect();
    let bind = |address: SocketAddr| {
        // The first socket must have the address alone; shared from the start, it might share with another Hairpin.
        let first = DatagramSocket::listen(address, false)?;
        let actual = first.local_addr()?;
        first.share()?;
        let others = (1..threads).map(|_| DatagramSocket::listen(actual, true));
        let all: Vec<_> = std::iter::once(Ok(first)).chain(others).collect::<io::Result<_>>()?;
        sockets.iter_mut().zip(all).for_each(|(sockets, socket)| sockets.push(socket));
        Ok(actual)
    };
    Ok((each("listen.udp", addresses, bind)?, sockets))
}

/// Listens for TCP connections at every address that `key` names; returns the addresses as bound, and the sockets.
pub(super) fn tcp(
    key: &'static str,
    addresses: &[SocketAddr],
) -> Result<(Vec<SocketAddr>, Vec<TcpListener>), StartError> {
    let mut sockets = Vec::with_capacity(addresses.len());
    let bind = |address| {
        let socket = Door::bind(address)?;
        let actual = socket.local_addr()?;
        sockets.push(socket);
        Ok(actual)
    };
    Ok((each(key, addresses, bind)?, sockets))
}

/// Binds each address. On a machine without IPv6, all IPv6 addresses at once are not missed, if there are others.
fn each(
    key: &'static str,
    addresses: &[SocketAddr],
    mut bind: impl FnMut(SocketAddr) -> io::Result<SocketAddr>,
) -> Result<Vec<SocketAddr>, StartError> {
    let mut bound = Vec::with_capacity(addresses.len());
    for address in addresses {
        match bind(*address) {
            Ok(actual) => bound.push(actual),
            Err(error) if is_family_missing(*address, &error) && addresses.len() > 1 => {
                tracing::warn!(%address, "this machine has no IPv6; serving only IPv4");
            }
            Err(error) => return Err(StartError::Listen(key, *address, error)),
        }
    }
    match (bound.is_empty(), addresses.first()) {
        (true, Some(address)) => {
            Err(StartError::Listen(key, *address, io::ErrorKind::AddrNotAvailable.into()))
        }
        _ => Ok(bound),
    }
}

fn is_family_missing(address: SocketAddr, error: &io::Error) -> bool {
    let missing = [libc::EAFNOSUPPORT, libc::EADDRNOTAVAIL];
    address.is_ipv6()
        && address.ip().is_unspecified()
        && error.raw_os_error().is_some_and(|code| missing.contains(&code))
}
