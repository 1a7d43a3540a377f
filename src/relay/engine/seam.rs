//! PURE  The interface through which the engine opens and closes relayed transport addresses.

use std::net::{IpAddr, SocketAddr};

use rand::rngs::StdRng;

use crate::relay::address::{Family, RelayId, RelayedAddr};

/// An open relayed transport address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OpenPort {
    /// Its socket.
    pub id: RelayId,
    /// The address, as peers see it.
    pub addr: RelayedAddr,
}

impl OpenPort {
    /// The address family.
    #[must_use]
    pub fn family(self) -> Family {
        Family::of(self.addr.0.ip())
    }
}

/// The value of RESERVATION-TOKEN (RFC 8656 §18.10): a client that presents it may use the reserved port. It is random,
/// so that nobody can guess it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ReservationToken(pub [u8; 8]);

/// What EVEN-PORT asks of a port (RFC 8656 §7.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Parity {
    /// Anything: the request has no EVEN-PORT.
    Any,
    /// The port must be even.
    Even,
    /// The port must be even, and the next port is reserved under this token.
    EvenAndNext(ReservationToken),
}

/// Whether a client gets reports of the ICMP errors that its packets cause (RFC 8656 §11.5).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IcmpReports {
    /// Its Allocate had ADDITIONAL-ADDRESS-FAMILY, which like these reports is new in RFC 8656.
    Wanted,
    /// The client may implement RFC 5766. A Data indication without DATA ends the clients of pion and the `turn` crate,
    /// so it gets no reports, as from every older server.
    Unknown,
}

/// No free port meets the request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NoPort;

/// Opens and closes relayed transport addresses. The daemon binds sockets; tests keep a table.
pub trait Ports {
    /// Whether there is a relay address of this family, or none at all yet.
    fn serves(&self, family: Family) -> bool;

    /// Opens a relayed address on a random free port.
    ///
    /// # Errors
    /// If no free port has this parity.
    fn open(
        &mut self,
        family: Family,
        parity: Parity,
        icmp: IcmpReports,
        rng: &mut StdRng,
    ) -> Result<OpenPort, NoPort>;

    /// Opens a relayed address on a random free port, to which peers can connect over TCP (RFC 6062).
    ///
    /// # Errors
    /// If no port is free.
    fn open_stream(&mut self, family: Family, rng: &mut StdRng) -> Result<OpenPort, NoPort>;

    /// Opens the relayed address that is reserved under a token. A token works once, on any shard.
    fn redeem(&mut self, token: ReservationToken, icmp: IcmpReports) -> Option<OpenPort>;

    /// Frees the port that is reserved under a token, if it is still reserved.
    fn forget(&mut self, token: ReservationToken);

    /// Closes a relayed address.
    fn close(&mut self, relay: RelayId);

    /// Whether this is one of the relay addresses, by the address that peers see. When the answer changes,
    /// [`super::Engine::apply`] must be called.
    fn is_relay_ip(&self, ip: IpAddr) -> bool;

    /// Whether this is a relayed transport address that is in use for UDP, on any shard.
    fn is_live(&self, addr: SocketAddr) -> bool;

    /// Whether this is a relayed transport address that is in use for TCP, on any shard.
    fn is_live_stream(&self, addr: SocketAddr) -> bool;
}
