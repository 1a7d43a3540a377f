//! Reads and checks `peers.allow_own`: ports of this machine that clients may reach.

use std::net::SocketAddr;

use ipnet::IpNet;
use serde::de::{Deserialize, Deserializer, Error};

use crate::config::checks::Mistakes;
use crate::config::{Config, Listen};
use crate::relay::engine::allocation::Transport;
use crate::relay::engine::peers::{Own, OwnPorts, PeerPolicy};

pub(super) fn read<'de, D: Deserializer<'de>>(value: D) -> Result<Vec<OwnPorts>, D::Error> {
    Vec::<String>::deserialize(value)?.iter().map(|text| parse(text).map_err(D::Error::custom)).collect()
}

fn parse(text: &str) -> Result<OwnPorts, String> {
    let wrong = || format!("{text:?} names no port and protocol: write \"10000/udp\" or \"20000-20100/udp\"");
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
    Ok(OwnPorts { ports: low..=high, transport })
}

impl Config {
    pub(super) fn check_own_ports(&self, mistakes: &mut Mistakes) {
        for reason in self.peers.allow_own.iter().filter_map(|own| self.mistake_in(own)) {
            mistakes.add("peers.allow_own", reason);
        }
    }

    fn mistake_in(&self, own: &OwnPorts) -> Option<String> {
        let (shown, (low, high)) = (show(own), (own.ports.start(), own.ports.end()));
        if !own.can_open() {
            return Some(format!("{shown} is never media: services there are not for strangers"));
        }
        if own.transport == Transport::Tcp && !self.relay.tcp {
            return Some(format!("{shown}: clients reach nobody over TCP unless relay.tcp is true"));
        }
        let relay = &self.relay.ports;
        if high >= relay.start() && low <= relay.end() {
            let (start, end) = (relay.start(), relay.end());
            return Some(format!(
                "{shown} lies in relay.ports, {start}-{end}: move the service's ports, or choose others there"
            ));
        }
        let all = |(_, listener): &(&str, SocketAddr)| listener.ip().is_unspecified();
        let (key, listener) = self.listeners_within(own).find(all)?;
        Some(format!(
            "{shown}: {listener} is {key}'s, and stays closed: leave that port out here, and move the service if it needs it"
        ))
    }

    /// Ports that stay closed on one address.
    pub(super) fn own_port_warnings(&self) -> Vec<String> {
        let one = |(_, listener): &(&str, SocketAddr)| !listener.ip().is_loopback();
        let closed = self.peers.allow_own.iter().flat_map(|own| self.listeners_within(own).filter(one));
        closed
            .map(|(key, listener)| format!("peers.allow_own: {listener} is {key}'s, and stays closed"))
            .collect()
    }

    /// Opened ranges that would be open anyway on a machine that is `own`.
    #[must_use]
    pub fn needless_openings(&self, own: &Own) -> Vec<String> {
        let meet =
            |one: &IpNet, other: &IpNet| one.contains(&other.network()) || other.contains(&one.network());
        let needless =
            |net: &&IpNet| PeerPolicy::is_global(net) && !own.on_link.iter().any(|own| meet(own, net));
        let text = |net| {
            format!(
                "peers.allow: {net} is open anyway, as it is no network of this machine's; this list does not close the rest"
            )
        };
        self.peers.allow.iter().filter(needless).map(text).collect()
    }

    fn listeners_within(&self, own: &OwnPorts) -> impl Iterator<Item = (&'static str, SocketAddr)> {
        let Listen { udp, tcp, tls, rfc3489: _, proxies: _ } = &self.listen;
        let lists = match own.transport {
            Transport::Udp => vec![("listen.udp", udp)],
            Transport::Tcp => {
                vec![("listen.tcp", tcp), ("listen.tls", tls), ("http.listen", &self.http.listen)]
            }
        };
        let all = lists.into_iter().flat_map(|(key, list)| list.iter().map(move |listener| (key, *listener)));
        all.filter(|(_, listener)| own.ports.contains(&listener.port()))
    }
}

fn show(own: &OwnPorts) -> String {
    let (low, high) = (own.ports.start(), own.ports.end());
    let transport = match own.transport {
        Transport::Udp => "udp",
        Transport::Tcp => "tcp",
    };
    if low == high { format!("{low}/{transport}") } else { format!("{low}-{high}/{transport}") }
}
