//! Names and public addresses: what others see of this machine.

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};

use tokio::net::{UdpSocket, lookup_host};
use tokio::time::timeout;

use crate::doctor::PATIENCE;
use crate::doctor::attempt::mapped;
use crate::doctor::report::Report;
use crate::network::address::RelayAddress;
use crate::peers::PeerPolicy;

const NAME: &str = "name";
const ADDRESS: &str = "public address";

/// Reports whether host names resolve to `here`, the addresses of this machine and of a NAT in front of it.
pub(super) async fn look_up(names: &[String], here: &BTreeSet<IpAddr>, report: &mut Report) {
    for name in names.iter().filter(|name| name.parse::<IpAddr>().is_err()) {
        let found: BTreeSet<IpAddr> = match timeout(PATIENCE, lookup_host((name.as_str(), 0))).await {
            Ok(Ok(addresses)) => addresses.map(|address| address.ip()).collect(),
            Ok(Err(error)) if error.to_string().contains(TEMPORARY) => {
                report.skip(NAME, format!("no DNS server answers for {name}"));
                continue;
            }
            Ok(Err(_)) => BTreeSet::new(),
            Err(_) => {
                report.skip(NAME, format!("no DNS server answers for {name}"));
                continue;
            }
        };
        judge(name, &found, here, report);
    }
}

/// What `getaddrinfo(3)` says if no server answers (`EAI_AGAIN`).
const TEMPORARY: &str = "Temporary failure";

fn judge(name: &str, found: &BTreeSet<IpAddr>, here: &BTreeSet<IpAddr>, report: &mut Report) {
    let kind = |ip: &IpAddr| if ip.is_ipv4() { "A" } else { "AAAA" };
    let is_public = |ip: &&IpAddr| PeerPolicy::is_global(&(**ip).into());
    if found.is_empty() {
        let record = match here.iter().find(is_public) {
            Some(ip) => format!("of type {}, with {ip}", kind(ip)),
            None => "with this machine's public address".to_owned(),
        };
        report.fail(NAME, format!("{name} has no address"), format!("add a DNS record for {name} {record}"));
        return;
    }
    if found.iter().all(IpAddr::is_loopback) {
        report.skip(
            NAME,
            format!(
                "/etc/hosts of this machine has {name}, so DNS was not asked: try `hairpin doctor --server` from another machine"
            ),
        );
        return;
    }
    let elsewhere: Vec<&IpAddr> = found.iter().filter(|ip| !here.contains(ip)).collect();
    for ip in &elsewhere {
        report.warn(
            NAME,
            format!("{name} resolves to {ip}, which is no address of this machine"),
            format!(
                "change or remove this {} record; if a NAT or another machine in front has the address, name it in relay.addresses",
                kind(ip)
            ),
        );
    }
    if elsewhere.is_empty() {
        let list = found.iter().map(ToString::to_string).collect::<Vec<_>>().join(" and ");
        report.ok(NAME, format!("{name} resolves to this machine: {list}"));
    }
}

/// Asks public STUN servers for the public addresses of this machine, and compares them with the advertised ones. Returns
/// those that they told.
pub(super) async fn ask_outside(
    relay: &[RelayAddress],
    servers: &[String],
    report: &mut Report,
) -> Vec<IpAddr> {
    if relay.is_empty() {
        report.fail(
            ADDRESS,
            "this machine has no address to relay from",
            "connect it to a network, or name an address in relay.addresses; a name or a STUN server there must answer",
        );
    }
    let mut told = Vec::new();
    for &RelayAddress { bind, public } in relay {
        let Some(seen) = outside_view(bind, servers).await else {
            report.skip(ADDRESS, format!("no STUN server tells the public address of {bind}"));
            continue;
        };
        told.push(seen);
        if seen == public {
            report.ok(ADDRESS, format!("the public address of {bind} is {public}"));
        } else {
            report.fail(
                ADDRESS,
                format!("the public address of {bind} is {seen}, but clients are told {public}"),
                format!("in [relay] addresses, write {{ bind = \"{bind}\", public = \"{seen}\" }}"),
            );
        }
    }
    told
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::report::Level;

    fn judged(found: &[&str]) -> Vec<(Level, String)> {
        let ips = |list: &[&str]| list.iter().map(|ip| ip.parse().unwrap()).collect();
        let mut report = Report::default();
        judge(
            "call.example.org",
            &ips(found),
            &ips(&["10.0.0.5", "198.51.100.7", "2001:db8::7"]),
            &mut report,
        );
        report.findings.into_iter().map(|one| (one.level, one.text + " | " + &one.remedy)).collect()
    }

    #[test]
    fn a_name_must_resolve_to_this_machine_with_each_address() {
        assert_eq!(judged(&["198.51.100.7", "2001:db8::7"])[0].0, Level::Ok);
        let [(level, text)] = &judged(&["198.51.100.7", "2001:db8::99"])[..] else { panic!("one finding") };
        assert_eq!(*level, Level::Warn);
        assert!(text.contains("2001:db8::99") && text.contains("AAAA"), "{text}");
    }

    #[test]
    fn a_name_without_an_address_needs_a_record() {
        let [(level, text)] = &judged(&[])[..] else { panic!("one finding") };
        assert_eq!(*level, Level::Fail);
        assert!(text.contains("add a DNS record for call.example.org"), "{text}");
    }

    /// Debian's installer writes such a line.
    #[test]
    fn the_hosts_file_is_no_dns() {
        assert_eq!(judged(&["127.0.1.1"])[0].0, Level::Skip);
    }
}
