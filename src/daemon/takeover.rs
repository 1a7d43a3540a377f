//! Lets the next daemon on this machine take over the listen addresses of one that drains.
//!
//! The draining daemon waits at a Unix socket with an abstract name, which is made from its first listen address. The
//! next daemon looks for that socket before it binds anything. If it finds the socket, it binds its own sockets beside
//! those of the draining daemon, and reports when it serves. Then the draining daemon closes its TCP listeners. Without
//! that socket an address in use is an error, so that no two daemons ever serve it unnoticed.
//!
//! An abstract name needs no path that both daemons know, and belongs to the network namespace, as the addresses do.

use std::io::{self, Read as _, Write as _};
use std::net::SocketAddr;
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::net;
use std::thread;
use std::time::Duration;

use tokio::io::AsyncReadExt as _;
use tokio::net::{UnixListener, UnixStream};

/// The most clients over UDP that a draining daemon may have when another one takes over. Each has a socket on the same
/// port, and for each packet of any other client the kernel looks at all of these sockets: 12 µs with 1,000, 41 µs with
/// 2,000, 350 µs with 8,000 (measured on Linux 6.18).
pub(super) const CLIENTS_MAX: usize = 1_000;
/// How long the next daemon waits until the draining one has closed its TCP listeners. It serves meanwhile.
const PATIENCE: Duration = Duration::from_secs(2);
/// What the next daemon sends when it serves.
const SERVING: u8 = b'S';

/// A draining daemon whose listen addresses can be taken over.
#[derive(Debug)]
pub(super) struct Predecessor(net::UnixStream);

/// The next daemon, which serves. Dropping this tells it that the TCP listeners are closed.
#[derive(Debug)]
pub(super) struct Successor(#[expect(dead_code, reason = "it is only dropped")] UnixStream);

impl Predecessor {
    /// The daemon of the same user that drains at this address, if there is one. Everybody on this machine can have the name;
    /// but beside another user's sockets, this daemon must not share an address.
    pub(super) fn at(address: SocketAddr) -> Option<Self> {
        let stream = net::UnixStream::connect_addr(&name(address).ok()?).ok()?;
        let is_own = is_of_own_user(&stream).unwrap_or(false);
        is_own.then_some(Self(stream))
    }

    /// Reports that this daemon serves, and waits until the draining one has closed its TCP listeners.
    pub(super) fn relieve(mut self) {
        let relieved = self.0.set_read_timeout(Some(PATIENCE)).and_then(|()| {
            self.0.write_all(&[SERVING])?;
            self.0.read(&mut [0])
        });
        match relieved {
            Ok(_) => tracing::info!("took the listen addresses over from the daemon that drains"),
            Err(error) => tracing::warn!(%error, "the daemon that drains did not close its TCP listeners"),
        }
    }
}

/// The socket at which the next daemon finds this one.
#[derive(Debug)]
pub(super) struct Offer(UnixListener);

impl Offer {
    /// Lets the next daemon take over from one that drains at `address`.
    ///
    /// # Errors
    /// If the name is in use, or the kernel refuses a socket.
    pub(super) fn at(address: SocketAddr) -> io::Result<Self> {
        let listener = net::UnixListener::bind_addr(&name(address)?)?;
        listener.set_nonblocking(true)?;
        UnixListener::from_std(listener).map(Self)
    }

    /// Waits until the next daemon serves.
    ///
    /// # Errors
    /// If the kernel refuses a socket.
    pub(super) async fn successor(self) -> io::Result<Successor> {
        let own = own_user()?;
        loop {
            let (mut stream, _) = self.0.accept().await?;
            // Everybody on this machine can connect. Of another user's daemon nothing is expected.
            if stream.peer_cred()?.uid() != own {
                continue;
            }
            // If the next daemon fails to start, its end is closed, and perhaps another one comes.
            if matches!(stream.read_u8().await, Ok(SERVING)) {
                return Ok(Successor(stream));
            }
        }
    }
}

/// Whether the other end belongs to the user that this process runs as. Asks on a thread, because tokio must not be entered
/// twice on one, and std cannot ask.
fn is_of_own_user(stream: &net::UnixStream) -> io::Result<bool> {
    stream.set_nonblocking(true)?;
    let copy = stream.try_clone()?;
    let ask = move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
        let _entered = runtime.enter();
        Ok(UnixStream::from_std(copy)?.peer_cred()?.uid() == own_user()?)
    };
    let asked = thread::Builder::new().spawn(ask)?.join().unwrap_or(Ok(false));
    stream.set_nonblocking(false)?;
    asked
}

/// The user that this process runs as.
fn own_user() -> io::Result<u32> {
    Ok(UnixStream::pair()?.0.peer_cred()?.uid())
}

fn name(address: SocketAddr) -> io::Result<net::SocketAddr> {
    net::SocketAddr::from_abstract_name(format!("hairpin takeover {address}"))
}
