//! PURE  The addresses and indices that the relay works with, each with its own type (RFC 8656 §2).

use std::fmt;
use std::hash::{Hash, Hasher};
use std::net::{IpAddr, SocketAddr};

use crate::network::address::ClientTransport;

pub use crate::network::address::Family;

/// A client's transport address and the local one that it uses: the 5-tuple of RFC 8656 §2.2.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClientPath {
    /// The client's transport address, as this server sees it.
    pub client: SocketAddr,
    /// Our transport address that the client talks to.
    pub server: SocketAddr,
    /// How the client is reached; this implies the protocol, too.
    pub via: Via,
}

/// How a client is reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Via {
    /// A UDP socket, which many clients share.
    Socket(ListenerId),
    /// A TCP connection of its own.
    Tcp(StreamId),
    /// A TLS connection of its own.
    Tls(StreamId),
}

impl Via {
    /// The connection, if the client has one.
    #[must_use]
    pub const fn stream(self) -> Option<StreamId> {
        match self {
            Self::Socket(_) => None,
            Self::Tcp(id) | Self::Tls(id) => Some(id),
        }
    }
}

impl Hash for ClientPath {
    fn hash<H: Hasher>(&self, state: &mut H) {
        hash_address(self.client, state);
        hash_address(self.server, state);
        let (kind, index) = match self.via {
            Via::Socket(id) => (0, u32::from(id)),
            Via::Tcp(id) => (1, id.0),
            Via::Tls(id) => (2, id.0),
        };
        state.write_u64(u64::from(index) << 2 | kind);
    }
}

/// Hashes an address in one or two words. The derived hash takes four, and every packet needs two or three addresses.
fn hash_address<H: Hasher>(address: SocketAddr, state: &mut H) {
    match address.ip() {
        IpAddr::V4(ip) => state.write_u64(u64::from(ip.to_bits()) << 16 | u64::from(address.port())),
        IpAddr::V6(ip) => {
            state.write_u128(ip.to_bits());
            state.write_u16(address.port());
        }
    }
}

impl ClientPath {
    /// The address that a nonce is issued to. Over UDP it includes the port, because a source can be spoofed. Over TCP
    /// and TLS it does not: the address is proved, and a client that binds a connection (RFC 6062 §4.3) can use its
    /// nonce on that new connection.
    #[must_use]
    pub fn nonce_holder(self) -> SocketAddr {
        let port = if self.is_stream() { 0 } else { self.client.port() };
        SocketAddr::new(self.client.ip(), port)
    }

    /// Whether the client uses TCP or TLS: then its address is not spoofed, and nothing is retransmitted.
    #[must_use]
    pub fn is_stream(self) -> bool {
        self.via.stream().is_some()
    }

    /// The transport protocol between the client and this server.
    #[must_use]
    pub const fn transport(self) -> ClientTransport {
        match self.via {
            Via::Socket(_) => ClientTransport::Udp,
            Via::Tcp(_) => ClientTransport::Tcp,
            Via::Tls(_) => ClientTransport::Tls,
        }
    }
}

/// The index of a connection in its shard. Reused after the connection has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StreamId(pub u32);

impl From<StreamId> for u32 {
    fn from(id: StreamId) -> Self {
        id.0
    }
}

/// The index of a listening socket in its shard.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ListenerId(pub u16);

impl From<ListenerId> for u32 {
    fn from(id: ListenerId) -> Self {
        id.0.into()
    }
}

/// The index, in its shard, of a socket that receives for many relay ports.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CommonId(pub u8);

impl From<CommonId> for u32 {
    fn from(id: CommonId) -> Self {
        id.0.into()
    }
}

/// The index of a client's own UDP socket in its shard.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DirectId(pub u32);

impl From<DirectId> for u32 {
    fn from(id: DirectId) -> Self {
        id.0
    }
}

/// Identifies a connection between an allocation and a peer (RFC 6062 §6.2.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConnectionId(pub u32);

/// The index of a relay socket in its shard.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RelayId(pub u32);

impl From<RelayId> for u32 {
    fn from(id: RelayId) -> Self {
        id.0
    }
}

/// The transport address of a peer, as it appears in XOR-PEER-ADDRESS.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PeerAddr(pub SocketAddr);

impl Hash for PeerAddr {
    fn hash<H: Hasher>(&self, state: &mut H) {
        hash_address(self.0, state);
    }
}

impl PeerAddr {
    /// The address that a permission is about: permissions carry no port (RFC 8656 §9).
    #[must_use]
    pub fn ip(self) -> IpAddr {
        self.0.ip()
    }

    /// The peer's address family.
    #[must_use]
    pub fn family(self) -> Family {
        Family::of(self.0.ip())
    }
}

/// A relayed transport address, as peers see it (RFC 8656 §2.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct RelayedAddr(pub SocketAddr);

/// A channel number, 0x4000 to 0x7FFF, which distinguishes ChannelData from STUN.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ChannelNumber(u16);

impl ChannelNumber {
    /// The channel with this number; `None` if the number is not valid.
    #[must_use]
    pub const fn new(number: u16) -> Option<Self> {
        match number {
            0x4000..=0x7FFF => Some(Self(number)),
            _ => None,
        }
    }

    /// Whether RFC 8656 §12 reserves it although RFC 5766 allowed it: 0x5000 and above.
    #[must_use]
    pub const fn is_reserved(self) -> bool {
        self.0 >= 0x5000
    }

    /// The number on the wire.
    #[must_use]
    pub const fn get(self) -> u16 {
        self.0
    }
}

impl fmt::Display for ChannelNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#06x}", self.0)
    }
}
