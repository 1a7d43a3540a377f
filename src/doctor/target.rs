//! Which addresses of a daemon are tried.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::Path;

use tokio::net::lookup_host;
use tokio::time::timeout;

use crate::config::Config;
use crate::doctor::PATIENCE;
use crate::doctor::report::Report;
use crate::ice::{IceUrl, Served, Transport};
use crate::network::address::RelayAddress;

/// One way to the relay.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Target {
    pub(super) transport: Transport,
    pub(super) address: SocketAddr,
}

impl Target {
    /// What a report calls it.
    pub(super) fn subject(&self) -> String {
        format!("{} {}", name(self.transport), self.address)
    }
}

pub(super) const fn name(transport: Transport) -> &'static str {
    match transport {
        Transport::Udp => "UDP",
        Transport::Tcp => "TCP",
        Transport::Tls => "TLS",
    }
}

/// Every listener of this machine. One for all addresses of a family is tried at an address of the network.
pub(super) fn of_listeners(config: &Config, relay: &[RelayAddress]) -> Vec<Target> {
    let at = |listener: &SocketAddr| {
        let ip = match listener.ip() {
            ip if !ip.is_unspecified() => ip,
            IpAddr::V4(_) => own(relay, IpAddr::is_ipv4).unwrap_or(Ipv4Addr::LOCALHOST.into()),
            IpAddr::V6(_) => own(relay, IpAddr::is_ipv6).unwrap_or(Ipv6Addr::LOCALHOST.into()),
        };
        SocketAddr::new(ip, listener.port())
    };
    let of = |transport, listeners: &[SocketAddr]| -> Vec<Target> {
        listeners.iter().map(|listener| Target { transport, address: at(listener) }).collect()
    };
    let mut targets = of(Transport::Udp, &config.listen.udp);
    targets.extend(of(Transport::Tcp, &config.listen.tcp));
    if config.tls.is_on() {
        targets.extend(of(Transport::Tls, &config.listen.tls));
        if config.listen.tls.is_empty() {
            targets.extend(of(Transport::Tls, &config.listen.tcp));
        }
    }
    targets
}

fn own(relay: &[RelayAddress], is_of_family: fn(&IpAddr) -> bool) -> Option<IpAddr> {
    relay.iter().map(|address| address.bind).find(is_of_family)
}

/// The targets to which this machine may connect without a PROXY header.
pub(super) fn without_proxied(targets: Vec<Target>, config: &Config, report: &mut Report) -> Vec<Target> {
    let is_proxied = |target: &Target| {
        // A connection to an address of this machine comes from the same address.
        let is_proxy = config.listen.proxies.iter().any(|net| net.contains(&target.address.ip()));
        target.transport != Transport::Udp && is_proxy
    };
    let (proxied, others): (Vec<_>, Vec<_>) = targets.into_iter().partition(is_proxied);
    for target in proxied {
        report.skip(target.subject(), "listen.proxies lets only a proxy connect from this machine");
    }
    others
}

/// The ICE URLs that clients of this configuration get.
pub(super) fn urls(config: &Config, relay: &[RelayAddress]) -> Vec<IceUrl> {
    let listen = &config.listen;
    let (udp, tcp, tls) = (&listen.udp, &listen.tcp, &listen.tls);
    let servers = config.ice_servers(&Served { udp, tcp, tls, tls_on_tcp: config.tls.is_on(), relay });
    servers.uris(None).filter_map(|url| IceUrl::parse(url).ok()).collect()
}

/// Every ICE URL that clients of this configuration get, at `server`. `None` if that has no address. Without a `file` nothing is
/// known of the server, so the usual ports are tried.
pub(super) async fn of_urls(
    file: Option<&Path>,
    config: &Config,
    relay: &[RelayAddress],
    server: &str,
    report: &mut Report,
) -> Option<Vec<Target>> {
    let found: Vec<IpAddr> = match timeout(PATIENCE, lookup_host((server, 0))).await {
        Ok(Ok(addresses)) => addresses.map(|address| address.ip()).collect(),
        Ok(Err(error)) => {
            report.fail(
                "name",
                format!("{server} cannot be looked up: {error}"),
                "add a DNS record of type A for it",
            );
            return None;
        }
        Err(_) => {
            report.fail(
                "name",
                format!("no DNS server answers for {server}"),
                "check this machine's DNS servers",
            );
            return None;
        }
    };
    // One of each family: more addresses of one name are usually more machines.
    let v4 = found.iter().find(|ip| ip.is_ipv4());
    let v6 = found.iter().find(|ip| ip.is_ipv6());
    let addresses: Vec<IpAddr> = v4.into_iter().chain(v6).copied().collect();
    let list = addresses.iter().map(ToString::to_string).collect::<Vec<_>>().join(" and ");
    report.ok("name", format!("{server} resolves to {list}"));
    let mut ports: Vec<(Transport, u16)> =
        urls(config, relay).iter().filter_map(|url| Some((url.transport?, url.port))).collect();
    if ports.is_empty() {
        // Without a name there are no URLs, but the ports are known.
        ports.extend(
            of_listeners(config, relay).iter().map(|target| (target.transport, target.address.port())),
        );
    }
    if file.is_none() {
        ports.push((Transport::Tls, HTTPS));
    }
    let mut targets = Vec::new();
    for (transport, port) in ports {
        for ip in &addresses {
            let target = Target { transport, address: SocketAddr::new(*ip, port) };
            if !targets.contains(&target) {
                targets.push(target);
            }
        }
    }
    Some(targets)
}

/// The port of TURN over TLS that `hairpin setup` chooses.
const HTTPS: u16 = 443;
