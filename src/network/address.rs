//! PURE  The addresses that the relay uses, and the transport protocols between it and its peers.

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
    /// UDP, protocol number 17.
    Udp,
    /// TCP, protocol number 6 (RFC 6062).
    Tcp,
}
