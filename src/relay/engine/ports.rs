//! PURE  The interface through which the engine opens and closes relayed transport addresses.

use std::net::{IpAddr, SocketAddr};

use rand::rngs::StdRng;

use crate::relay::address::{Family, RelayId, RelayedAddr};

/// An open relayed transport address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OpenPort {
    /// The socket.
    pub id: RelayId,
    /// Its address, as the world knows it.
    pub addr: RelayedAddr,
}

impl OpenPort {
    /// The address's family.
    #[must_use]
    pub fn family(self) -> Family {
        Family::of(self.addr.0.ip())
    }
}

/// Names a reserved port to whoever holds the token (RFC 8656 §18.8). Random, so that it cannot be guessed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Token(pub [u8; 8]);

/// What is asked of a port (RFC 8656 §7.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Parity {
    /// Nothing: EVEN-PORT was not sent.
    Any,
    /// That it be even.
    Even,
    /// That it be even, and the next one be reserved under this token.
    EvenAndNext(Token),
}

/// No port is free that fits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NoPort;

/// Opens and closes relayed transport addresses. The daemon binds sockets; tests keep a table.
pub trait Ports {
    /// Whether addresses of this family can be opened at all.
    fn serves(&self, family: Family) -> bool;

    /// Opens an address on a random free port.
    ///
    /// # Errors
    /// If no port that fits is free.
    fn open(&mut self, family: Family, parity: Parity, rng: &mut StdRng) -> Result<OpenPort, NoPort>;

    /// Opens an address on a random free port, to which peers can connect over TCP (RFC 6062).
    ///
    /// # Errors
    /// If no port is free.
    fn open_stream(&mut self, family: Family, rng: &mut StdRng) -> Result<OpenPort, NoPort>;

    /// Opens the address that was reserved under a token. A token works once, on any shard.
    fn redeem(&mut self, token: Token) -> Option<OpenPort>;

    /// Gives back what is reserved under a token, if it still is.
    fn forget(&mut self, token: Token);

    /// Closes an address.
    fn close(&mut self, relay: RelayId);

    /// Whether we relay from this address.
    fn is_relay_ip(&self, ip: IpAddr) -> bool;

    /// Whether this is a relayed transport address of ours that is in use for UDP, on any shard.
    fn is_live(&self, addr: SocketAddr) -> bool;

    /// The same for TCP.
    fn is_live_stream(&self, addr: SocketAddr) -> bool;
}
