//! Binds the addresses that clients reach the daemon by.

use std::io;
use std::net::SocketAddr;

use crate::daemon::error::{Listener, StartError};
use crate::front::{Door, Kind};
use crate::relay::datagrams::DatagramSocket;

/// Binds every address once for each of `threads` threads; returns the addresses as bound, and each thread's sockets.
pub(super) fn sockets(
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
    Ok((each(Listener::Udp, addresses, bind)?, sockets))
}

/// Opens a door at every address; returns the addresses as bound, and adds the doors to `doors`.
pub(super) fn doors(
    listener: Listener,
    addresses: &[SocketAddr],
    doors: &mut Vec<Door>,
) -> Result<Vec<SocketAddr>, StartError> {
    each(listener, addresses, |address| {
        let kind = match listener {
            Listener::Udp | Listener::Tcp => Kind::Any,
            Listener::Tls => Kind::Tls,
            Listener::Http => Kind::Http,
        };
        let door = Door::open(address, kind)?;
        let actual = door.local_addr()?;
        doors.push(door);
        Ok(actual)
    })
}

/// Binds each address. On a machine without IPv6, all IPv6 addresses at once are not missed, if there are others.
fn each(
    listener: Listener,
    addresses: &[SocketAddr],
    mut bind: impl FnMut(SocketAddr) -> io::Result<SocketAddr>,
) -> Result<Vec<SocketAddr>, StartError> {
    let mut bound = Vec::with_capacity(addresses.len());
    for address in addresses {
        match bind(*address) {
            Ok(actual) => bound.push(actual),
            Err(error) if is_family_missing(*address, &error) && addresses.len() > 1 => {
                tracing::warn!(%address, "this machine has no IPv6; serving IPv4 alone");
            }
            Err(error) => return Err(StartError::Listen(listener, *address, error)),
        }
    }
    match (bound.is_empty(), addresses.first()) {
        (true, Some(address)) => {
            Err(StartError::Listen(listener, *address, io::ErrorKind::AddrNotAvailable.into()))
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
