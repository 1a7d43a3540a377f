//! Names and public addresses: what others see of this machine.

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};

use tokio::net::{UdpSocket, lookup_host};
use tokio::time::timeout;

use crate::doctor::PATIENCE;
use crate::doctor::attempt::mapped;
use crate::doctor::report::Report;
use crate::network::address::RelayAddress;
use crate::network::interfaces;

const NAME: &str = "name";
const ADDRESS: &str = "public address";

/// Reports whether host names lead to this machine.
pub(super) async fn look_up(names: &[String], relay: &[RelayAddress], report: &mut Report) {
    let names = names.iter().filter(|name| name.parse::<IpAddr>().is_err());
    let own = interfaces::own().map(|own| own.addresses).unwrap_or_default();
    let here: BTreeSet<IpAddr> = own.into_iter().chain(relay.iter().map(|address| address.public)).collect();
    for name in names {
        let found: Vec<IpAddr> = match timeout(PATIENCE, lookup_host((name.as_str(), 0))).await {
            Ok(Ok(addresses)) => addresses.map(|address| address.ip()).collect(),
            Ok(Err(_)) => Vec::new(),
            Err(_) => {
                report.skip(NAME, format!("no DNS server answers for {name}"));
                continue;
            }
        };
        let list: BTreeSet<String> = found.iter().map(ToString::to_string).collect();
        let list = list.into_iter().collect::<Vec<_>>().join(" and ");
        if found.is_empty() {
            let address =
                relay.first().map_or("this machine's address".to_owned(), |one| one.public.to_string());
            report.fail(
                NAME,
                format!("{name} has no address"),
                format!("add a DNS record of type A for {name}, with {address}"),
            );
        } else if found.iter().any(|ip| here.contains(ip)) {
            report.ok(NAME, format!("{name} leads here: {list}"));
        } else {
            report.warn(
                NAME,
                format!("{name} leads to {list}, which is no address of this machine"),
                "change the DNS record; behind a NAT, name the public address in relay.addresses",
            );
        }
    }
}

/// Asks STUN servers of others which address this machine has for them, and compares it with what is advertised.
pub(super) async fn ask_outside(relay: &[RelayAddress], servers: &[String], report: &mut Report) {
    if relay.is_empty() {
        report.fail(
            ADDRESS,
            "this machine has no address to relay from",
            "connect it to a network, or name an address in relay.addresses; a name or a STUN server there must answer",
        );
    }
    for &RelayAddress { bind, public } in relay {
        let seen = outside_view(bind, servers).await;
        match seen {
            Some(seen) if seen == public => report.ok(ADDRESS, format!("outsiders see {bind} as {public}")),
            Some(seen) => report.fail(
                ADDRESS,
                format!("relay.addresses advertises {public} for {bind}, but outsiders see {seen}"),
                format!("[relay] addresses = [{{ bind = \"{bind}\", public = \"{seen}\" }}]"),
            ),
            None => report.skip(ADDRESS, format!("no STUN server says as what outsiders see {bind}")),
        }
    }
}

/// The address of a packet from `bind`, as the first of the servers that answers sees it.
pub async fn outside_view(bind: IpAddr, servers: &[String]) -> Option<IpAddr> {
    for server in servers {
        let Ok(Ok(found)) = timeout(PATIENCE, lookup_host(server)).await else { continue };
        let Some(at) = found.into_iter().find(|at: &SocketAddr| at.is_ipv4() == bind.is_ipv4()) else {
            continue;
        };
        let Ok(socket) = UdpSocket::bind((bind, 0)).await else { continue };
        if let Some(seen) = mapped(socket, at).await {
            return Some(seen.ip());
        }
    }
    None
}
