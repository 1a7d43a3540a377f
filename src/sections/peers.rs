//! PURE  `[peers]`: which peers clients may reach.

use std::net::IpAddr;

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

use crate::network::address::Transport;
use crate::peers::{OwnPorts, PeerPolicy};
use crate::sections::listen::ipv4_inside;
use crate::sections::value::Text;

section! {
    /// `[peers]`
    pub struct Peers {
        /// Opened ranges.
        pub allow: Vec<Openable> = Vec::new(),
        /// Closed ranges.
        pub deny: Vec<IpNet> = Vec::new(),
        /// Opened ports of this machine itself.
        pub allow_own: Vec<OwnPorts> = Vec::new(),
        /// NAT64 prefixes.
        pub nat64_prefixes: Vec<Ipv6Net> = Vec::new(),
        /// Whether loopback is open.
        pub loopback: bool = false,
    }
}

/// A range of which at least a part can be opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Openable(IpNet);

impl Openable {
    /// The range.
    #[must_use]
    pub const fn get(self) -> IpNet {
        self.0
    }
}

impl Text for Openable {
    const EXAMPLE: &'static str = IpNet::EXAMPLE;

    fn parse(text: &str) -> Result<Self, String> {
        let net = <IpNet as Text>::parse(text)?;
        if PeerPolicy::can_open(&net) {
            return Ok(Self(net));
        }
        Err(if net.addr().is_loopback() {
            format!("{net} is loopback, and never a peer: for tests, write loopback = true instead")
        } else {
            format!("{net} is never a peer, and cannot be opened: remove it")
        })
    }

    fn write(&self) -> String {
        self.0.to_string()
    }
}

impl Text for IpNet {
    const EXAMPLE: &'static str = "\"10.0.0.0/8\"";

    fn parse(text: &str) -> Result<Self, String> {
        match (text.parse::<Self>(), text.parse::<IpAddr>()) {
            (Ok(net), _) => plain(net),
            (Err(_), Ok(ip)) => {
                let ip = ipv4_inside(ip).map_or(ip, IpAddr::V4);
                Err(format!("{text:?} has no length: for only this address write \"{}\"", Self::from(ip)))
            }
            _ => Err(format!("{text:?} is not a range: write \"10.0.0.0/8\" or \"fd00::/8\"")),
        }
    }

    fn write(&self) -> String {
        self.to_string()
    }
}

/// A range as packets show their addresses, which are never IPv4 written as IPv6.
fn plain(net: IpNet) -> Result<IpNet, String> {
    let Some(ip) = ipv4_inside(net.addr()) else { return Ok(net) };
    let length = net.prefix_len().checked_sub(96);
    let write = length.and_then(|length| Ipv4Net::new(ip, length).ok()).map(|net| format!("write \"{net}\""));
    let write = write.unwrap_or_else(|| "write the range of IPv4, such as \"10.0.0.0/8\"".to_owned());
    Err(format!("{net} is IPv4 written as IPv6, which no packet shows: {write}"))
}

impl Text for Ipv6Net {
    const EXAMPLE: &'static str = "\"64:ff9b::/96\"";

    /// A NAT64 prefix.
    fn parse(text: &str) -> Result<Self, String> {
        match <IpNet as Text>::parse(text)? {
            IpNet::V6(net) => Ok(net),
            IpNet::V4(net) => Err(format!("{net} is IPv4: a NAT64 prefix is IPv6, such as \"64:ff9b::/96\"")),
        }
    }

    fn write(&self) -> String {
        self.to_string()
    }
}

impl Text for OwnPorts {
    const EXAMPLE: &'static str = "\"10000/udp\"";

    fn parse(text: &str) -> Result<Self, String> {
        let wrong =
            || format!("{text:?} is not a port and a protocol: write \"10000/udp\" or \"20000-20100/udp\"");
        let (ports, transport) = text.split_once('/').ok_or_else(wrong)?;
        let transport = match transport {
            "udp" => Transport::Udp,
            "tcp" => Transport::Tcp,
            _ => return Err(wrong()),
        };
        let (low, high) = ports.split_once('-').unwrap_or((ports, ports));
        let (low, high): (u16, u16) = low.parse().ok().zip(high.parse().ok()).ok_or_else(wrong)?;
        if low > high {
            return Err(format!("{low} is more than {high}: write the lower port first"));
        }
        let own = Self { ports: low..=high, transport };
        if !own.can_open() {
            return Err(format!(
                "{text:?} is never media: the services on such ports must not be reachable through the relay; remove it"
            ));
        }
        Ok(own)
    }

    fn write(&self) -> String {
        self.to_string()
    }
}
