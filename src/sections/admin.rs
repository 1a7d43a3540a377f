//! PURE  `[admin]`: where administrators and monitoring reach the daemon.

use std::net::SocketAddr;
use std::path::PathBuf;

use crate::api_key::KeyHash;
use crate::sections::value::{Auto, Text};

section! {
    /// `[admin]`
    pub struct Admin {
        /// The addresses. "auto" is the socket `admin.sock` in the directory that systemd makes for the service.
        pub listen: Auto<Vec<AdminAddress>> = Auto(None),
        /// The hash of the token that requests over TCP must show.
        pub token_hash: Option<KeyHash> = None,
    }
}

/// An address of the admin listener.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum AdminAddress {
    /// TCP.
    Tcp(SocketAddr),
    /// A Unix socket, which only its owner may use.
    Unix(PathBuf),
}

impl AdminAddress {
    /// The address, if it is TCP.
    #[must_use]
    pub const fn tcp(&self) -> Option<SocketAddr> {
        match self {
            Self::Tcp(address) => Some(*address),
            Self::Unix(_) => None,
        }
    }
}

/// Bytes of the longest path of a Unix socket (unix(7)), without the suffix of the name that it is made under.
const PATH_MAX: usize = 107 - ".new".len();

impl Text for AdminAddress {
    const EXAMPLE: &'static str = "\"127.0.0.1:9090\"";

    fn parse(text: &str) -> Result<Self, String> {
        if text.starts_with('/') {
            return match text.len() {
                ..=PATH_MAX => Ok(Self::Unix(text.into())),
                _ => Err(format!("{text:?} is too long for a Unix socket: write at most {PATH_MAX} bytes")),
            };
        }
        let address = SocketAddr::parse(text).map_err(|_| {
            format!(
                "{text:?} is neither an address with a port nor a path: write \"127.0.0.1:9090\", or \
                 \"/run/hairpin/admin.sock\" for a Unix socket"
            )
        })?;
        Ok(Self::Tcp(address))
    }

    fn write(&self) -> String {
        self.to_string()
    }

    fn clash(list: &[Self]) -> Option<String> {
        let addresses: Vec<SocketAddr> = list.iter().filter_map(Self::tcp).collect();
        let twice = |(i, one): &(usize, &Self)| one.tcp().is_none() && list[..*i].contains(one);
        let path = list.iter().enumerate().find(twice);
        path.map(|(_, path)| format!("{path} is listed twice: remove one"))
            .or_else(|| Text::clash(&addresses))
    }
}

impl std::fmt::Display for AdminAddress {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Tcp(address) => address.fmt(f),
            Self::Unix(path) => path.display().fmt(f),
        }
    }
}
