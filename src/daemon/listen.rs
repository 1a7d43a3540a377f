//! Binds the addresses that clients reach the daemon by, at the start and when a reload adds some.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;

use crate::admin::listen::Socket;
use crate::config::Config;
use crate::daemon::Listeners;
use crate::daemon::error::StartError;
use crate::front::Door;
use crate::network::tcp::Sharing;
use crate::relay::datagrams::DatagramSocket;
use crate::sections::admin::AdminAddress;
use crate::sections::listen::Listen;
use crate::sections::value::Auto;

/// A listener: where the configuration wants it, and where it is. Only a port 0 in the configuration makes a difference.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Bound {
    pub(super) wanted: SocketAddr,
    pub(super) actual: SocketAddr,
}

/// How listen addresses are bound.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    /// No other daemon may have them, and none can take them over.
    Alone,
    /// The same, but a later daemon can take them over when this one drains.
    ToHandOver,
    /// A draining daemon has them, and this one takes them over. A later one can do the same.
    TakeOver,
}

impl Way {
    /// How to bind, if `takeover` is allowed, and `drains` says whether another daemon drains on the addresses.
    pub(super) fn of(takeover: bool, drains: bool) -> Self {
        match (takeover, drains) {
            (false, _) => Self::Alone,
            (true, false) => Self::ToHandOver,
            (true, true) => Self::TakeOver,
        }
    }

    fn of_tcp(self) -> Sharing {
        match self {
            Self::Alone => Sharing::Alone,
            Self::ToHandOver => Sharing::Shared,
            Self::TakeOver => Sharing::Beside,
        }
    }
}

/// What is bound when the daemon starts.
pub(super) struct Opened {
    pub(super) listeners: Listeners,
    pub(super) sockets: Sockets,
    /// Where administrators reach the daemon.
    pub(super) admin: Vec<AdminAddress>,
}

/// The sockets of the listeners.
pub(super) struct Sockets {
    /// Those of each shard.
    pub(super) udp: Vec<Vec<DatagramSocket>>,
    pub(super) tcp: Vec<TcpListener>,
    pub(super) tls: Vec<TcpListener>,
    pub(super) http: Vec<TcpListener>,
    pub(super) admin: Vec<Socket>,
}

/// Binds every address of a configuration.
pub(super) fn all(config: &Config, shards: usize, way: Way) -> Result<Opened, StartError> {
    let Listen { udp, tcp, tls, .. } = &config.listen;
    let stream = |key, addresses: &[SocketAddr]| self::tcp(key, addresses, addresses.len(), way);
    let (udp, udp_sockets) = self::udp(udp, udp.len(), shards, way)?;
    let (http, http_sockets) = stream("http.listen", &config.http.listen)?;
    let (tls, tls_sockets) = stream("listen.tls", tls)?;
    let (tcp, tcp_sockets) = stream("listen.tcp", tcp)?;
    let (admin, admin_sockets) = self::admin(&config.admin.listen)?;
    Ok(Opened {
        listeners: Listeners { udp, tcp, tls, http },
        sockets: Sockets {
            udp: udp_sockets,
            tcp: tcp_sockets,
            tls: tls_sockets,
            http: http_sockets,
            admin: admin_sockets,
        },
        admin,
    })
}

/// Binds every one of `addresses`, which are the new ones of the `among` that `listen.udp` names, once for each of `threads`
/// threads; returns the listeners, and each thread's sockets.
pub(super) fn udp(
    addresses: &[SocketAddr],
    among: usize,
    threads: usize,
    way: Way,
) -> Result<(Vec<Bound>, Vec<Vec<DatagramSocket>>), StartError> {
    let mut sockets: Vec<Vec<DatagramSocket>> = (0..threads).map(|_| Vec::new()).collect();
    let bind = |address: SocketAddr| {
        // The first socket must have the address alone; shared from the start, it might share with another Hairpin.
        let bind = match way {
            Way::Alone | Way::ToHandOver => DatagramSocket::listen,
            Way::TakeOver => DatagramSocket::succeed,
        };
        let first = bind(address, false)?;
        let actual = first.local_addr()?;
        first.share()?;
        let others = (1..threads).map(|_| bind(actual, true));
        let all: Vec<_> = std::iter::once(Ok(first)).chain(others).collect::<io::Result<_>>()?;
        all.iter().try_for_each(|socket| socket.admit_others(false))?;
        sockets.iter_mut().zip(all).for_each(|(sockets, socket)| sockets.push(socket));
        Ok(actual)
    };
    Ok((each("listen.udp", addresses, among, bind)?, sockets))
}

/// Listens for TCP connections at every one of `addresses`, which are the new ones of the `among` that `key` names; returns the listeners, and their sockets.
pub(super) fn tcp(
    key: &'static str,
    addresses: &[SocketAddr],
    among: usize,
    way: Way,
) -> Result<(Vec<Bound>, Vec<TcpListener>), StartError> {
    let mut sockets = Vec::with_capacity(addresses.len());
    let bind = |address| {
        let socket = Door::bind(address, way.of_tcp())?;
        let actual = socket.local_addr()?;
        sockets.push(socket);
        Ok(actual)
    };
    Ok((each(key, addresses, among, bind)?, sockets))
}

/// Binds the addresses of administrators; returns the addresses as bound, and the sockets. "auto" is a Unix socket in the
/// directory that systemd makes for the service (`RuntimeDirectory=`), if there is one.
pub(super) fn admin(
    listen: &Auto<Vec<AdminAddress>>,
) -> Result<(Vec<AdminAddress>, Vec<Socket>), StartError> {
    let addresses = listen.0.clone().unwrap_or_else(|| {
        let folder = std::env::var_os("RUNTIME_DIRECTORY").map(PathBuf::from);
        folder.map(|folder| AdminAddress::Unix(folder.join("admin.sock"))).into_iter().collect()
    });
    let bind = |address: &AdminAddress| {
        let socket = Socket::bind(address)?;
        Ok((socket.address()?, socket))
    };
    let bound = addresses.iter().map(|address| {
        bind(address).map_err(|error| match address {
            AdminAddress::Tcp(address) => StartError::Listen("admin.listen", *address, error),
            AdminAddress::Unix(path) => StartError::AdminSocket(path.clone(), error),
        })
    });
    bound.collect::<Result<Vec<_>, _>>().map(|bound| bound.into_iter().unzip())
}

/// Binds each address. On a machine without IPv6, all IPv6 addresses at once are not missed, if there are others.
fn each(
    key: &'static str,
    addresses: &[SocketAddr],
    among: usize,
    mut bind: impl FnMut(SocketAddr) -> io::Result<SocketAddr>,
) -> Result<Vec<Bound>, StartError> {
    let mut bound = Vec::with_capacity(addresses.len());
    for address in addresses {
        match bind(*address) {
            Ok(actual) => bound.push(Bound { wanted: *address, actual }),
            Err(error) if is_family_missing(*address, &error) && among > 1 => {
                tracing::warn!(key, %address, "this machine has no IPv6; serving only IPv4");
            }
            Err(error) => return Err(StartError::Listen(key, *address, error)),
        }
    }
    match (bound.is_empty() && addresses.len() == among, addresses.first()) {
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
