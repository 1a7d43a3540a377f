//! PURE  The application protocols that TLS clients can negotiate (ALPN, RFC 7301).

/// An application protocol over TLS.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Alpn {
    /// TURN (RFC 7443 §4).
    Turn,
    /// NAT discovery with STUN (RFC 7443 §4), which the relay serves too.
    NatDiscovery,
    /// HTTP/2 (RFC 9113 §3.2).
    Http2,
    /// HTTP/1.1 (RFC 7301 §6).
    Http1,
    /// The challenge of a certificate authority (RFC 8737 §3), which is over after the handshake.
    Acme,
}

impl Alpn {
    /// All protocols, in the order of the server's preference: the first one that the client offers is chosen.
    pub const ALL: [Self; 5] = [Self::Turn, Self::NatDiscovery, Self::Http2, Self::Http1, Self::Acme];

    /// The identification sequence.
    #[must_use]
    pub const fn id(self) -> &'static [u8] {
        match self {
            Self::Turn => b"stun.turn",
            Self::NatDiscovery => b"stun.nat-discovery",
            Self::Http2 => b"h2",
            Self::Http1 => b"http/1.1",
            Self::Acme => b"acme-tls/1",
        }
    }

    /// The protocol with this identification sequence.
    #[must_use]
    pub fn of(id: &[u8]) -> Option<Self> {
        Self::ALL.into_iter().find(|protocol| protocol.id() == id)
    }
}
