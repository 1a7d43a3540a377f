//! PURE  The addresses that the relay works with, and the transport protocols that its peers speak.

use std::net::IpAddr;

/// An address of this machine that the relay sends from to peers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RelayAddress {
    /// The address that relay sockets are bound to.
    pub bind: IpAddr,
    /// The address that peers see: the same one, or the public address of a 1:1 NAT in front of this machine.
    pub public: IpAddr,
}

/// A transport protocol between the relay and a peer: REQUESTED-TRANSPORT (RFC 8656 §18.8).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transport {
    /// Datagrams, protocol 17.
    Udp,
    /// Connections, protocol 6 (RFC 6062).
    Tcp,
}
