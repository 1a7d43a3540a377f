//! PURE  `[listen]`: where clients reach STUN and TURN.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use ipnet::IpNet;

use crate::sections::value::Text;

section! {
    /// `[listen]`
    pub struct Listen {
        /// STUN and TURN over UDP.
        pub udp: Vec<SocketAddr> = everywhere(),
        /// STUN and TURN over TCP; over TLS too, where there is a certificate.
        pub tcp: Vec<SocketAddr> = everywhere(),
        /// Only TLS: TURN and HTTP.
        pub tls: Vec<SocketAddr> = Vec::new(),
        /// Whether Binding is answered over UDP without a magic cookie (RFC 3489).
        pub rfc3489: bool = false,
        /// The proxies whose connections begin with a PROXY protocol header.
        pub proxies: Vec<IpNet> = Vec::new(),
        /// Whether another daemon may take over these addresses while this one drains.
        pub takeover: bool = false,
    }
}

fn everywhere() -> Vec<SocketAddr> {
    ["0.0.0.0:3478", "[::]:3478"].map(|address| address.parse().expect("it is an address")).into()
}

/// Whether a socket bound to `one` receives what is sent to `other`. Port 0 is another port each time.
#[must_use]
pub fn includes(one: &SocketAddr, other: &SocketAddr) -> bool {
    let same = one.is_ipv4() == other.is_ipv4() && one.port() == other.port() && one.port() != 0;
    same && (one.ip() == other.ip() || one.ip().is_unspecified())
}

impl Text for SocketAddr {
    const EXAMPLE: &'static str = "\"0.0.0.0:3478\"";

    /// An address to listen on.
    fn parse(text: &str) -> Result<Self, String> {
        let address: Self = text.parse().map_err(|_| {
            format!(
                "{text:?} is not an address with a port: write \"0.0.0.0:3478\", or \"[::]:3478\" for IPv6"
            )
        })?;
        let port = address.port();
        if let Some(ip) = ipv4_inside(address.ip()) {
            return Err(format!(
                "{text:?} is IPv4 written as IPv6, which cannot be bound: write \"{ip}:{port}\""
            ));
        }
        if is_for_many(address.ip()) {
            return Err(format!(
                "{text:?} is a multicast or broadcast address: write \"0.0.0.0:{port}\" for all addresses of this machine"
            ));
        }
        if let Self::V6(v6) = address
            && v6.ip().is_unicast_link_local()
            && v6.scope_id() == 0
        {
            let ip = v6.ip();
            return Err(format!(
                "{text:?} does not say on which link: write \"[{ip}%2]:{port}\", with the number that `ip link` shows"
            ));
        }
        Ok(address)
    }

    fn write(&self) -> String {
        self.to_string()
    }

    fn clash(list: &[Self]) -> Option<String> {
        let twice = |(i, one): (usize, &Self)| list[..i].contains(one) && one.port() != 0;
        if let Some(i) = list.iter().enumerate().position(twice) {
            return Some(format!("{} is listed twice: remove one", list[i]));
        }
        let mut pairs = list.iter().flat_map(|one| list.iter().map(move |other| (one, other)));
        let (all, one) = pairs.find(|(one, other)| one != other && includes(one, other))?;
        Some(format!("{all} includes {one}: remove one of the two"))
    }
}

/// The IPv4 address that an IPv6 one hides (RFC 4291 §2.5.5.2). Nothing is bound to such an address, and no packet comes
/// from one.
pub(super) fn ipv4_inside(ip: IpAddr) -> Option<Ipv4Addr> {
    match ip {
        IpAddr::V4(_) => None,
        IpAddr::V6(ip) => ip.to_ipv4_mapped(),
    }
}

/// Whether an address is that of many machines.
pub(super) fn is_for_many(ip: IpAddr) -> bool {
    ip.is_multicast() || ip == IpAddr::V4(Ipv4Addr::BROADCAST)
}
