//! PURE  `[relay]`: where the relay relays from, and which extensions it serves.

use std::net::{IpAddr, SocketAddr};
use std::ops::RangeInclusive;
use std::time::Duration;

use crate::network::address::RelayAddress;
use crate::sections::addresses::WantedAddress;
use crate::sections::listen::{ipv4_inside, is_for_many};
use crate::sections::number::Bounded;
use crate::sections::value::{Auto, Text};

section! {
    /// `[relay]`
    pub struct Relay {
        /// The addresses.
        pub addresses: Auto<Vec<WantedAddress>> = Auto(None),
        /// The ports.
        pub ports: RangeInclusive<u16> = 49_152..=65_535,
        /// The threads.
        pub threads: Auto<Bounded<1, 1024>> = Auto(None),
        /// Whether datagrams cross the network stack together.
        pub udp_offload: Switch = Switch::Auto,
        /// Whether the kernel delivers the datagrams for all relay ports of a shard to one socket.
        pub sk_lookup: Switch = Switch::Off,
        /// Whether clients may bind the channels of RFC 5766.
        pub rfc5766_channels: bool = false,
        /// Whether clients may reach peers over TCP (RFC 6062).
        pub tcp: bool = false,
        /// How long allocations may go on after the signal to stop.
        pub drain_timeout: DrainTimeout = DrainTimeout(Duration::ZERO),
        /// The servers that new clients are sent to meanwhile.
        pub alternates: Vec<Alternate> = Vec::new(),
    }
}

impl Relay {
    /// The addresses that the operator wants. "auto" is a list with that word alone.
    #[must_use]
    pub fn wanted(&self) -> &[WantedAddress] {
        self.addresses.0.as_deref().unwrap_or(&[WantedAddress::AUTO])
    }
}

/// Whether the relay uses something that not every system has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Switch {
    /// Where it can, and where it is worth it.
    #[default]
    Auto,
    /// Always.
    On,
    /// Never.
    Off,
}

impl Text for Switch {
    const EXAMPLE: &'static str = "\"auto\", \"on\" or \"off\"";

    fn parse(text: &str) -> Result<Self, String> {
        match text {
            "auto" => Ok(Self::Auto),
            "on" => Ok(Self::On),
            "off" => Ok(Self::Off),
            _ => Err(format!("{text:?} is none of the choices: write {}", Self::EXAMPLE)),
        }
    }

    fn write(&self) -> String {
        match self {
            Self::Auto => "auto",
            Self::On => "on",
            Self::Off => "off",
        }
        .to_owned()
    }
}

/// How long a draining daemon lets its allocations go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DrainTimeout(Duration);

impl DrainTimeout {
    /// The longest one.
    const MAX: Duration = Duration::from_secs(24 * 3600);

    /// A timeout, if it is not too long.
    #[must_use]
    pub fn new(time: Duration) -> Option<Self> {
        (time <= Self::MAX).then_some(Self(time))
    }

    /// The time.
    #[must_use]
    pub const fn get(self) -> Duration {
        self.0
    }
}

impl Text for DrainTimeout {
    const EXAMPLE: &'static str = "\"0s\", or a time such as \"10m\" or \"1h\", at most \"1day\"";

    fn parse(text: &str) -> Result<Self, String> {
        let time = humantime::parse_duration(text).ok().and_then(Self::new);
        time.ok_or_else(|| format!("{text:?} is not a time that a drain may take: write {}", Self::EXAMPLE))
    }

    fn write(&self) -> String {
        humantime::format_duration(self.0).to_string()
    }
}

/// The address of another server, which clients can be sent to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Alternate(SocketAddr);

impl Alternate {
    /// The address.
    #[must_use]
    pub const fn get(self) -> SocketAddr {
        self.0
    }
}

impl Text for Alternate {
    const EXAMPLE: &'static str = "\"192.0.2.9:3478\"";

    fn parse(text: &str) -> Result<Self, String> {
        let address: SocketAddr = text.parse().map_err(|_| {
            format!(
                "{text:?} is not an address with a port: write {}, or \"[2001:db8::9]:3478\"",
                Self::EXAMPLE
            )
        })?;
        if let Some(ip) = ipv4_inside(address.ip()) {
            return Err(format!("{text:?} is IPv4 written as IPv6: write \"{ip}:{}\"", address.port()));
        }
        if !is_usable(address.ip()) || address.port() == 0 {
            return Err(format!(
                "clients cannot reach {text:?}: write the address and the port of another server"
            ));
        }
        Ok(Self(address))
    }

    fn write(&self) -> String {
        self.0.to_string()
    }

    fn clash(list: &[Self]) -> Option<String> {
        let twice = list.iter().enumerate().find(|(i, one)| list[..*i].contains(one));
        twice.map(|(_, Self(address))| format!("{address} is listed twice: remove one"))
    }
}

impl Text for RangeInclusive<u16> {
    const EXAMPLE: &'static str = "\"49152-65535\"";

    /// A range of ports to relay from.
    fn parse(text: &str) -> Result<Self, String> {
        let range = text
            .split_once('-')
            .and_then(|(low, high)| Some((low.trim().parse().ok()?, high.trim().parse().ok()?)));
        let Some((low, high)) = range else {
            return Err(format!("{text:?} is not a range of ports: write \"49152-65535\""));
        };
        if low > high {
            return Err(format!("{low} is more than {high}: write the lower port first"));
        }
        if low < 1024 {
            return Err("ports below 1024 belong to services: begin at 1024 or above".to_owned());
        }
        Ok(low..=high)
    }

    fn write(&self) -> String {
        format!("{}-{}", self.start(), self.end())
    }
}

/// Why nothing can be relayed from an address, and what to write.
pub(crate) fn fault(RelayAddress { bind, public }: &RelayAddress) -> Option<String> {
    let sides = [*bind, *public];
    if let Some((hidden, ip)) = sides.into_iter().find_map(|ip| Some((ip, ipv4_inside(ip)?))) {
        return Some(format!("{hidden} is IPv4 written as IPv6: write \"{ip}\""));
    }
    if bind.is_ipv4() != public.is_ipv4() {
        return Some(format!("{bind} and {public} must be of the same family"));
    }
    let ip = sides.into_iter().find(|ip| !is_usable(*ip))?;
    Some(format!("{ip} cannot be relayed from: name an address of this machine, or write \"auto\""))
}

/// Whether sockets can be bound to an address, and peers answer to it.
fn is_usable(ip: IpAddr) -> bool {
    let on_a_link = matches!(ip, IpAddr::V6(ip) if ip.is_unicast_link_local());
    !ip.is_unspecified() && !is_for_many(ip) && !on_a_link
}
