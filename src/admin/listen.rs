//! The sockets that administrators connect to: TCP, or a Unix socket that only its owner may use.

use std::fs;
use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use tokio::net::{TcpStream, UnixStream};

use crate::network::tcp::{self, Sharing};
use crate::sections::admin::AdminAddress;

/// A bound socket, which listens.
#[derive(Debug)]
pub enum Socket {
    /// TCP.
    Tcp(std::net::TcpListener),
    /// A Unix socket.
    Unix(std::os::unix::net::UnixListener, SocketFile),
}

/// The file of a Unix socket; it is removed when this is dropped.
#[derive(Debug)]
pub struct SocketFile {
    path: PathBuf,
    /// Which file it is: a later daemon may have put its own into this place.
    inode: u64,
}

/// A socket on the runtime of the admin service.
pub(super) enum Listener {
    Tcp(tokio::net::TcpListener),
    Unix(tokio::net::UnixListener, #[expect(dead_code, reason = "removed when it is dropped")] SocketFile),
}

/// A connection of an administrator.
pub(super) enum Accepted {
    Tcp(TcpStream, SocketAddr),
    Unix(UnixStream),
}

/// Connections that wait to be accepted over TCP.
const BACKLOG: i32 = 64;
/// What the name of a socket ends with until only the owner may connect.
const SUFFIX: &str = ".new";
/// Only the owner may connect.
const MODE: u32 = 0o600;

impl Socket {
    /// Binds an address.
    ///
    /// # Errors
    /// If the operating system refuses it.
    pub fn bind(address: &AdminAddress) -> io::Result<Self> {
        match address {
            AdminAddress::Tcp(address) => tcp::listen(*address, BACKLOG, Sharing::Alone).map(Self::Tcp),
            AdminAddress::Unix(path) => {
                let (listener, file) = bind_unix(path)?;
                Ok(Self::Unix(listener, file))
            }
        }
    }

    /// The address as it is bound.
    ///
    /// # Errors
    /// If the operating system does not tell.
    pub fn address(&self) -> io::Result<AdminAddress> {
        match self {
            Self::Tcp(listener) => listener.local_addr().map(AdminAddress::Tcp),
            Self::Unix(_, file) => Ok(AdminAddress::Unix(file.path.clone())),
        }
    }

    /// Puts it on the current runtime.
    pub(super) fn listener(self) -> io::Result<Listener> {
        match self {
            Self::Tcp(listener) => tokio::net::TcpListener::from_std(listener).map(Listener::Tcp),
            Self::Unix(listener, file) => {
                tokio::net::UnixListener::from_std(listener).map(|listener| Listener::Unix(listener, file))
            }
        }
    }
}

/// Makes the socket under another name, closes it to others, and renames it. So nobody else can connect at any moment, and
/// the file of a daemon that was killed, or that drains, is replaced.
fn bind_unix(path: &Path) -> io::Result<(std::os::unix::net::UnixListener, SocketFile)> {
    let mut new = path.as_os_str().to_owned();
    new.push(SUFFIX);
    match fs::remove_file(&new) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        Ok(()) | Err(_) => {}
    }
    let listener = std::os::unix::net::UnixListener::bind(&new)?;
    listener.set_nonblocking(true)?;
    fs::set_permissions(&new, fs::Permissions::from_mode(MODE))?;
    let inode = fs::symlink_metadata(&new)?.ino();
    fs::rename(&new, path)?;
    Ok((listener, SocketFile { path: path.to_owned(), inode }))
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        let is_own = fs::symlink_metadata(&self.path).is_ok_and(|file| file.ino() == self.inode);
        if is_own {
            // Whoever removes it first is right.
            let _ = fs::remove_file(&self.path);
        }
    }
}

impl Listener {
    pub(super) async fn accept(&self) -> io::Result<Accepted> {
        match self {
            Self::Tcp(listener) => listener.accept().await.map(|(stream, from)| Accepted::Tcp(stream, from)),
            Self::Unix(listener, _) => listener.accept().await.map(|(stream, _)| Accepted::Unix(stream)),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixStream as StdStream;

    use super::*;

    fn path(test: &str) -> PathBuf {
        std::env::temp_dir().join(format!("hairpin-{}-{test}.sock", std::process::id()))
    }

    #[test]
    fn only_the_owner_may_use_a_unix_socket_and_a_file_that_a_killed_daemon_left_is_replaced() {
        let path = path("owner");
        let killed = Socket::bind(&AdminAddress::Unix(path.clone())).unwrap();
        std::mem::forget(killed);

        let socket = Socket::bind(&AdminAddress::Unix(path.clone())).unwrap();

        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, MODE);
        assert!(StdStream::connect(&path).is_ok());
        drop(socket);
        assert!(!path.exists() && !path.with_extension("sock.new").exists());
    }

    #[test]
    fn a_daemon_that_ends_leaves_the_socket_of_its_successor() {
        let path = path("successor");
        let address = AdminAddress::Unix(path.clone());
        let old = Socket::bind(&address).unwrap();
        let new = Socket::bind(&address).unwrap();

        drop(old);

        assert!(StdStream::connect(&path).is_ok());
        drop(new);
    }
}
