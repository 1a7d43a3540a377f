//! Which addresses of a daemon are tried.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

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

/// Every listener of this machine. One for all addresses of a family is tried at an address that packets of the network come
/// to, as well as they can from here.
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

/// Every ICE URL that clients of this configuration get, at `server`. `None` if that has no address.
pub(super) async fn of_urls(
    config: &Config,
    relay: &[RelayAddress],
    server: &str,
    report: &mut Report,
) -> Option<Vec<Target>> {
    let found = timeout(PATIENCE, lookup_host((server, 0))).await;
    let found: Vec<IpAddr> = match found {
        Ok(Ok(addresses)) => addresses.map(|address| address.ip()).collect(),
        Ok(Err(error)) => {
            report.fail(
                "name",
                format!("{server} cannot be looked up: {error}"),
                "add a DNS record of type A for it, or write an address",
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
    let list: Vec<String> = addresses.iter().map(ToString::to_string).collect();
    report.ok("name", format!("{server} leads to {}", list.join(" and ")));
    let listen = &config.listen;
    let served = Served {
        udp: &listen.udp,
        tcp: &listen.tcp,
        tls: &listen.tls,
        tls_on_tcp: config.tls.is_on(),
        relay,
    };
    let servers = config.ice_servers(&served);
    let urls = servers.uris(None).filter_map(|url| IceUrl::parse(url).ok());
    let mut targets: Vec<Target> = urls
        .filter_map(|url| Some((url.transport?, url.port)))
        .flat_map(|(transport, port)| {
            addresses.iter().map(move |ip| Target { transport, address: SocketAddr::new(*ip, port) })
        })
        .collect();
    if targets.is_empty() {
        // Without a name there are no URLs yet, but the ports are known.
        targets = of_listeners(config, &[]);
        targets.iter_mut().for_each(|target| target.address.set_ip(addresses[0]));
        targets.dedup();
    }
    Some(targets)
}
