//! PURE  `http.public_ports`: the ports by which clients reach the listeners, if a port map leads other ports here.

use serde_json::{Value, json};
use toml::de::DeValue;

use crate::ice::{PublicPorts, is_refused};
use crate::sections::number::Bounded;
use crate::sections::reading::Place;
use crate::sections::value::FromToml;

/// A port that browsers accept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Port(u16);

/// Ports, of which one may be written without the brackets of a list.
#[derive(Debug)]
struct Ports(Vec<u16>);

impl FromToml for PublicPorts {
    fn expected() -> String {
        "{ udp = 3478, tcp = [443, 3478], tls = 443 }, or only what differs from the listeners".to_owned()
    }

    fn from_toml(value: &DeValue<'_>, place: &mut Place<'_>) -> Option<Self> {
        let mut keys = place.keys(value)?;
        let [udp, tcp, tls] = ["udp", "tcp", "tls"].map(|key| keys.read::<Ports>(key));
        keys.finish();
        let ports = |read: Option<Ports>| read.map(|Ports(ports)| ports).unwrap_or_default();
        Some(Self { udp: ports(udp), tcp: ports(tcp), tls: ports(tls) })
    }

    fn to_json(&self) -> Value {
        let Self { udp, tcp, tls } = self;
        let stated =
            [("udp", udp), ("tcp", tcp), ("tls", tls)].into_iter().filter(|(_, ports)| !ports.is_empty());
        stated.map(|(key, ports)| (key.to_owned(), json!(ports))).collect()
    }
}

impl FromToml for Ports {
    fn expected() -> String {
        "a port from 1 to 65535, or a list of ports".to_owned()
    }

    fn from_toml(value: &DeValue<'_>, place: &mut Place<'_>) -> Option<Self> {
        let ports = match value.is_array() {
            true => <Vec<Port>>::from_toml(value, place)?,
            false => vec![Port::from_toml(value, place)?],
        };
        Some(Self(ports.into_iter().map(|Port(port)| port).collect()))
    }

    fn to_json(&self) -> Value {
        json!(self.0)
    }
}

impl FromToml for Port {
    fn expected() -> String {
        "a port from 1 to 65535".to_owned()
    }

    fn from_toml(value: &DeValue<'_>, place: &mut Place<'_>) -> Option<Self> {
        let port = Bounded::<1, { u16::MAX as u32 }>::from_toml(value, place)?.get() as u16;
        if is_refused(port) {
            return place.wrong(format!("browsers refuse port {port}: use another one, such as 443 or 3478"));
        }
        Some(Self(port))
    }

    fn to_json(&self) -> Value {
        self.0.into()
    }

    fn expected_list() -> String {
        "a list of ports, such as [443, 3478]".to_owned()
    }

    fn clash(list: &[Self]) -> Option<String> {
        let twice = list.iter().enumerate().find(|(i, port)| list[..*i].contains(port));
        twice.map(|(_, Self(port))| format!("{port} is listed twice: remove one"))
    }
}
