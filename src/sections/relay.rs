//! PURE  `[relay]`: where the relay relays from, and which extensions it serves.

use std::collections::HashSet;
use std::net::{IpAddr, SocketAddr};
use std::ops::RangeInclusive;
use std::time::Duration;

use serde_json::{Value, json};
use toml::de::{DeTable, DeValue};

use crate::network::address::RelayAddress;
use crate::sections::listen::{ipv4_inside, is_for_many};
use crate::sections::number::Bounded;
use crate::sections::reading::{Place, kind};
use crate::sections::value::{Auto, FromToml, Text};

section! {
    /// `[relay]`
    pub struct Relay {
        /// The addresses.
        pub addresses: Auto<Vec<RelayAddress>> = Auto(None),
        /// The ports.
        pub ports: RangeInclusive<u16> = 49_152..=65_535,
        /// The threads.
        pub threads: Auto<Bounded<1, 1024>> = Auto(None),
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

impl FromToml for RelayAddress {
    fn expected() -> String {
        "\"192.0.2.5\", or { bind = \"10.0.0.5\", public = \"192.0.2.5\" }".to_owned()
    }

    fn from_toml(value: &DeValue<'_>, place: &mut Place<'_>) -> Option<Self> {
        let ip = |value: &DeValue<'_>| value.as_str().and_then(|text| text.parse::<IpAddr>().ok());
        let of = |table: &DeTable<'_>, side| table.get(side).and_then(|value| ip(value.get_ref()));
        let sides = match (value.as_str(), value.as_table()) {
            (Some(_), _) => ip(value).map(|ip| (ip, ip)),
            (_, Some(table)) => of(table, "bind").zip(of(table, "public")).filter(|_| table.len() == 2),
            (None, None) => return place.refuse(kind(value)),
        };
        let Some((bind, public)) = sides else {
            return place.wrong(format!("this is not an address: write {}", Self::expected()));
        };
        let address = Self { bind, public };
        match fault(&address) {
            Some(reason) => place.wrong(reason),
            None => Some(address),
        }
    }

    fn to_json(&self) -> Value {
        let Self { bind, public } = self;
        if bind == public { json!(bind) } else { json!({ "bind": bind, "public": public }) }
    }

    fn expected_list() -> String {
        "[\"192.0.2.5\"], or [{ bind = \"10.0.0.5\", public = \"192.0.2.5\" }]".to_owned()
    }

    fn clash(list: &[Self]) -> Option<String> {
        if list.is_empty() {
            return Some("there is no address: write \"auto\", or name at least one".to_owned());
        }
        let twice = |side: fn(&Self) -> IpAddr| {
            let mut seen = HashSet::new();
            list.iter().map(side).find(|ip| !seen.insert(*ip))
        };
        let ip = twice(|address| address.bind).or_else(|| twice(|address| address.public))?;
        Some(format!("{ip} is listed twice: remove one"))
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
