//! PURE  `relay.addresses`: where relay sockets are bound, and by which addresses peers see them.

use std::collections::HashSet;
use std::fmt;
use std::net::IpAddr;

use serde_json::{Value, json};
use toml::de::DeValue;

use crate::network::address::{Family, RelayAddress};
use crate::origin::host::HostName;
use crate::sections::reading::{Place, kind};
use crate::sections::relay::fault;
use crate::sections::value::{Auto, FromToml, Text};

/// An address to relay from, as the operator describes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WantedAddress {
    /// The address that relay sockets are bound to; `None` is "auto", the machine's default address.
    pub bind: Option<IpAddr>,
    /// The address that peers see.
    pub public: Public,
}

/// The address that peers see, as the operator describes it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Public {
    /// The one that is bound: there is no NAT.
    Bound,
    /// This one.
    Address(IpAddr),
    /// The one that this name has.
    Name(HostName),
    /// The one that this server sees.
    Stun(StunServer),
}

/// A STUN server of somebody else.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct StunServer {
    /// Its name or address.
    pub host: HostName,
    /// Its UDP port.
    pub port: u16,
}

impl WantedAddress {
    /// The machine's default addresses, which peers see as they are.
    pub const AUTO: Self = Self { bind: None, public: Public::Bound };

    /// The families in which an item of `list` may give an address. "auto" stands for those that no other item gives.
    #[must_use]
    pub fn families(&self, list: &[Self]) -> Vec<Family> {
        let others = list.iter().filter(|other| **other != Self::AUTO);
        let others: Vec<Family> = others.flat_map(Self::possible).collect();
        let is_auto = *self == Self::AUTO;
        self.possible().into_iter().filter(|family| !is_auto || !others.contains(family)).collect()
    }

    /// The addresses of an item that names all of them.
    #[must_use]
    pub fn named(&self) -> Option<RelayAddress> {
        let bind = self.bind?;
        match self.public {
            Public::Bound => Some(RelayAddress { bind, public: bind }),
            Public::Address(public) => Some(RelayAddress { bind, public }),
            Public::Name(_) | Public::Stun(_) => None,
        }
    }

    /// The families that an item allows by itself.
    fn possible(&self) -> Vec<Family> {
        match self.literals().first() {
            Some(ip) => vec![Family::of(*ip)],
            None => Family::ALL.into(),
        }
    }

    /// The addresses that an item names.
    fn literals(&self) -> Vec<IpAddr> {
        let public = match self.public {
            Public::Address(ip) => Some(ip),
            Public::Bound | Public::Name(_) | Public::Stun(_) => None,
        };
        self.bind.into_iter().chain(public).collect()
    }

    /// Why nothing can be relayed from it, and what to write.
    fn fault(&self) -> Option<String> {
        let literals = self.literals();
        let (bind, public) = (*literals.first()?, *literals.last()?);
        fault(&RelayAddress { bind, public })
    }
}

impl From<RelayAddress> for WantedAddress {
    fn from(RelayAddress { bind, public }: RelayAddress) -> Self {
        let public = if public == bind { Public::Bound } else { Public::Address(public) };
        Self { bind: Some(bind), public }
    }
}

impl FromToml for WantedAddress {
    fn expected() -> String {
        "\"192.0.2.5\", or { bind = \"10.0.0.5\", public = \"192.0.2.5\" }".to_owned()
    }

    fn from_toml(value: &DeValue<'_>, place: &mut Place<'_>) -> Option<Self> {
        let address = match (value.as_str(), value.is_table()) {
            (Some("auto"), _) => Self::AUTO,
            (Some(text), _) => match text.parse() {
                Ok(ip) => Self { bind: Some(ip), public: Public::Bound },
                Err(_) => {
                    return place.wrong(format!("this is not an address: write {}", Self::expected()));
                }
            },
            (None, true) => {
                let mut keys = place.keys(value)?;
                let bind = keys.require("bind", BIND_MISSING);
                let public = keys.require("public", PUBLIC_MISSING);
                keys.finish();
                let (Auto(bind), public) = (bind?, public?);
                Self { bind, public }
            }
            (None, false) => return place.refuse(kind(value)),
        };
        match address.fault() {
            Some(reason) => place.wrong(reason),
            None => Some(address),
        }
    }

    fn to_json(&self) -> Value {
        let Self { bind, public } = self;
        match (bind, public) {
            (None, Public::Bound) => "auto".into(),
            (Some(ip), Public::Bound) => json!(ip),
            (bind, public) => json!({ "bind": Auto(*bind).to_json(), "public": public.to_json() }),
        }
    }

    fn expected_list() -> String {
        "[\"192.0.2.5\"], or [{ bind = \"10.0.0.5\", public = \"192.0.2.5\" }]".to_owned()
    }

    fn clash(list: &[Self]) -> Option<String> {
        if list.is_empty() {
            return Some("there is no address: write \"auto\", or name at least one".to_owned());
        }
        let twice = |side: fn(&Self) -> Option<IpAddr>| {
            let mut seen = HashSet::new();
            list.iter().filter_map(side).find(|ip| !seen.insert(*ip))
        };
        if let Some(ip) = twice(|item| item.bind).or_else(|| twice(|item| item.literals().last().copied())) {
            return Some(format!("{ip} is listed twice: remove one"));
        }
        let automatic = list.iter().filter(|item| item.bind.is_none());
        let families: Vec<Family> = automatic.flat_map(|item| item.families(list)).collect();
        let many =
            Family::ALL.into_iter().find(|one| families.iter().filter(|other| *other == one).count() > 1);
        let needless = list.contains(&Self::AUTO) && Self::AUTO.families(list).is_empty();
        match many {
            Some(family) => Some(format!(
                "two items mean the same address, the machine's default one ({}): write the address itself in one of \
                 them",
                family.name()
            )),
            None if needless => Some(NOTHING_LEFT.to_owned()),
            None => None,
        }
    }
}

const BIND_MISSING: &str = "bind is missing: write \"auto\", or the address of this machine";
const PUBLIC_MISSING: &str = "public is missing: write the address that peers see, a name that has it, or \
                              { stun = \"stun.example.org:3478\" }";
const NOTHING_LEFT: &str = "\"auto\" stands for the families that no other item gives, and there is none left: remove \
                            it";

impl Text for IpAddr {
    const EXAMPLE: &'static str = "\"10.0.0.5\"";

    fn parse(text: &str) -> Result<Self, String> {
        let ip = text.parse();
        ip.map_err(|_| format!("{text:?} is not an address: write one such as {}", Self::EXAMPLE))
    }

    fn write(&self) -> String {
        self.to_string()
    }
}

impl FromToml for Public {
    fn expected() -> String {
        "\"192.0.2.5\", \"turn.example.org\" or { stun = \"stun.example.org:3478\" }".to_owned()
    }

    fn from_toml(value: &DeValue<'_>, place: &mut Place<'_>) -> Option<Self> {
        if let Some(text) = value.as_str() {
            return match (text.parse(), HostName::parse(text)) {
                (Ok(ip), _) => Some(Self::Address(ip)),
                (Err(_), Ok(name)) if text != "auto" => Some(Self::Name(name)),
                (Err(_), _) => place.refuse(format!("{text:?}")),
            };
        }
        if !value.is_table() {
            return place.refuse(kind(value));
        }
        let mut keys = place.keys(value)?;
        let server =
            keys.require("stun", "the server is missing: write { stun = \"stun.example.org:3478\" }");
        keys.finish();
        server.map(Self::Stun)
    }

    fn to_json(&self) -> Value {
        match self {
            Self::Bound => Value::Null,
            Self::Address(ip) => json!(ip),
            Self::Name(name) => name.as_str().into(),
            Self::Stun(server) => json!({ "stun": server.to_string() }),
        }
    }
}

impl Text for StunServer {
    const EXAMPLE: &'static str = "\"stun.example.org:3478\"";

    fn parse(text: &str) -> Result<Self, String> {
        let wrong = || {
            format!("{text:?} is not a host with a port: write {}, or \"[2001:db8::9]:3478\"", Self::EXAMPLE)
        };
        let (host, port) = text.rsplit_once(':').ok_or_else(wrong)?;
        let port = port.parse().ok().filter(|port| *port > 0).ok_or_else(wrong)?;
        let host = HostName::parse(host).map_err(|_| wrong())?;
        Ok(Self { host, port })
    }

    fn write(&self) -> String {
        self.to_string()
    }
}

impl fmt::Display for StunServer {
    /// As in `config.toml`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (host, port) = (self.host.as_str(), self.port);
        if host.contains(':') { write!(f, "[{host}]:{port}") } else { write!(f, "{host}:{port}") }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    fn item(bind: Option<&str>, public: Public) -> WantedAddress {
        WantedAddress { bind: bind.map(ip), public }
    }

    fn name() -> Public {
        Public::Name(HostName::parse("turn.example.org").unwrap())
    }

    #[test]
    fn an_item_gives_the_family_of_its_addresses_and_both_if_it_names_none() {
        let public = Public::Address(ip("2001:db8::5"));
        for (item, expected) in [
            (item(Some("10.0.0.5"), name()), &[Family::V4][..]),
            (item(None, public), &[Family::V6]),
            (item(None, name()), &Family::ALL),
            (WantedAddress::AUTO, &Family::ALL),
        ] {
            assert_eq!(item.families(std::slice::from_ref(&item)), expected, "{item:?}");
        }
    }

    #[test]
    fn auto_in_a_list_gives_the_families_that_the_others_do_not() {
        let list = [WantedAddress::AUTO, item(None, Public::Address(ip("198.51.100.10")))];
        assert_eq!(list[0].families(&list), [Family::V6]);
        assert_eq!(list[1].families(&list), [Family::V4]);
        assert_eq!(FromToml::clash(&list), None);
    }

    #[test]
    fn items_that_mean_the_same_address_are_refused_with_what_to_write() {
        let (here, there) = (Public::Address(ip("198.51.100.10")), Public::Address(ip("198.51.100.11")));
        for (list, reason) in [
            (
                vec![item(None, here.clone()), item(None, there)],
                "default one (ipv4): write the address itself",
            ),
            (vec![item(None, name()), item(None, here)], "default one (ipv4)"),
            (vec![WantedAddress::AUTO, WantedAddress::AUTO], "default one (ipv4)"),
            (vec![WantedAddress::AUTO, item(None, name())], "there is none left: remove it"),
        ] {
            let said = FromToml::clash(&list).unwrap();
            assert!(said.contains(reason), "{said}");
        }
    }

    #[test]
    fn a_stun_server_is_a_host_with_a_port() {
        for text in ["stun.example.org:3478", "192.0.2.9:19302", "[2001:db8::9]:3478"] {
            assert_eq!(StunServer::parse(text).unwrap().to_string(), text);
        }
        for text in
            ["stun.example.org", "stun.example.org:0", "2001:db8::9:3478x", ":3478", "stun:a:b", "a/b:1"]
        {
            let said = StunServer::parse(text).unwrap_err();
            assert!(said.contains("write \"stun.example.org:3478\""), "{said}");
        }
    }
}
