//! Why a daemon does not start, in words for the operator.

use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

use crate::certificates::CertificateError;
use crate::life::Denied;

/// Why a daemon does not start, or does not take another configuration.
#[derive(Debug)]
pub enum StartError {
    /// An address cannot be listened on that this key of the configuration names.
    Listen(&'static str, SocketAddr, io::Error),
    /// The Unix socket of the admin service cannot be made.
    AdminSocket(PathBuf, io::Error),
    /// An address cannot be relayed from.
    Relay(IpAddr, io::Error),
    /// The addresses of this machine cannot be read.
    Blind(io::Error),
    /// Certificates or their keys cannot be used.
    Certificates(Vec<CertificateError>),
    /// The system denies something that every program needs.
    System(Denied),
}

impl StartError {
    /// The key of the configuration that names what cannot be had, if there is one.
    #[must_use]
    pub fn key(&self) -> Option<&'static str> {
        match self {
            Self::Listen(key, ..) => Some(key),
            Self::AdminSocket(..) => Some("admin.listen"),
            Self::Relay(..) => Some("relay.addresses"),
            // Certificates name their keys themselves.
            Self::Certificates(_) | Self::Blind(_) | Self::System(_) => None,
        }
    }
}

impl From<Denied> for StartError {
    fn from(denied: Denied) -> Self {
        Self::System(denied)
    }
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Listen(key, address, error) => {
                let (protocol, show) = match *key {
                    "listen.udp" => ("UDP", "ss -ulpn"),
                    _ => ("TCP", "ss -tlpn"),
                };
                let remedy = match error.raw_os_error() {
                    Some(libc::EADDRINUSE) => {
                        format!(
                            "another program uses it: stop that program (`{show}` shows it), or change {key}"
                        )
                    }
                    Some(libc::EACCES) => {
                        "ports below 1024 need CAP_NET_BIND_SERVICE: grant it, lower the sysctl \
                         net.ipv4.ip_unprivileged_port_start, or use a higher port"
                            .to_owned()
                    }
                    Some(libc::EADDRNOTAVAIL) => {
                        "this machine does not have that address; `ip address` lists its addresses".to_owned()
                    }
                    _ => format!("check {key}"),
                };
                write!(f, "cannot listen on {protocol} {address} ({error}): {remedy}")
            }
            Self::AdminSocket(path, error) => write!(
                f,
                "cannot make the Unix socket {} ({error}): admin.listen must name a path in a directory in which the \
                 daemon's user may make files",
                path.display()
            ),
            Self::Relay(ip, error) => write!(
                f,
                "cannot relay from {ip} ({error}): relay.addresses must contain addresses of this machine; behind a \
                 NAT write {{ bind = \"the machine's address\", public = \"the NAT's address\" }}"
            ),
            Self::Blind(error) => write!(
                f,
                "cannot read this machine's own addresses ({error}), which clients must not reach: allow the daemon to \
                 open AF_NETLINK sockets (in a systemd unit with RestrictAddressFamilies)"
            ),
            Self::Certificates(errors) => {
                let lines = errors.iter().map(|error| format!("{}: {error}", error.key()));
                f.write_str(&lines.collect::<Vec<_>>().join("\n"))
            }
            Self::System(Denied(what, error)) => {
                write!(f, "the operating system refused to create {what} ({error})")
            }
        }
    }
}

impl std::error::Error for StartError {}
