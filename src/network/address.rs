//! PURE  The addresses that the relay uses, their families, and the transport protocols with clients and with peers.

use std::fmt;
use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use crate::labels::labels;

/// An address of this machine that the relay sends from to peers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RelayAddress {
    /// The address that relay sockets are bound to.
    pub bind: IpAddr,
    /// The address that peers see: the same one, or the public address of a 1:1 NAT in front of this machine.
    pub public: IpAddr,
}

impl fmt::Display for RelayAddress {
    /// For the operator: the address, and the other side of a NAT.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { bind, public } = self;
        if bind == public { bind.fmt(f) } else { write!(f, "{bind} (public address {public})") }
    }
}

labels! {
    /// An address family.
    #[derive(Hash)]
    pub enum Family {
        /// IPv4, 0x01 in STUN.
        V4 = "ipv4",
        /// IPv6, 0x02 in STUN.
        V6 = "ipv6",
    }
}

labels! {
    /// A transport protocol between the relay and a peer: REQUESTED-TRANSPORT (RFC 8656 §18.8).
    #[derive(Serialize, Deserialize)]
    #[serde(rename_all = "lowercase")]
    pub enum Transport {
        /// UDP, protocol number 17.
        Udp = "udp",
        /// TCP, protocol number 6 (RFC 6062).
        Tcp = "tcp",
    }
}

labels! {
    /// A transport protocol between a client and the relay.
    #[derive(Serialize, Deserialize)]
    #[serde(rename_all = "lowercase")]
    pub enum ClientTransport {
        /// UDP.
        Udp = "udp",
        /// TCP.
        Tcp = "tcp",
        /// TLS over TCP.
        Tls = "tls",
    }
}

impl Family {
    /// The family of an address.
    #[must_use]
    pub const fn of(ip: IpAddr) -> Self {
        match ip {
            IpAddr::V4(_) => Self::V4,
            IpAddr::V6(_) => Self::V6,
        }
    }

    /// The family's value in STUN attributes (RFC 8489 §14.1).
    #[must_use]
    pub const fn number(self) -> u8 {
        match self {
            Self::V4 => 1,
            Self::V6 => 2,
        }
    }
}
