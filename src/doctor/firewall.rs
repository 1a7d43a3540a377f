//! Whether a firewall of this machine lets clients and peers in.
//!
//! The rules are read as nftables has them, and those of ufw and other users of iptables as iptables has them. Firewalls outside
//! of this machine, such as a cloud's, are only seen from outside.

mod iptables;
mod rules;

use std::process::Command;
use std::{fmt, fs};

use serde_json::Value;

use crate::config::Config;
use crate::doctor::firewall::rules::{Outcome, Packet, Protocol};
use crate::doctor::report::Report;
use crate::network::address::{Family, RelayAddress};

const SUBJECT: &str = "firewall";

/// Ports of one family that must be open, and how `ufw` names them.
struct Needed {
    family: Family,
    protocol: Protocol,
    /// The ports to look at: all, or some of a range.
    sample: Vec<u16>,
    ports: String,
}

/// Reports the ports that the rules close.
pub(super) fn look(config: &Config, relay: &[RelayAddress], report: &mut Report) {
    let rules = match ruleset() {
        Ok(rules) => rules,
        Err(why) => {
            report.skip(SUBJECT, why);
            return;
        }
    };
    let (mut is_open, mut unknown) = (true, Vec::new());
    for needed in needed(config, relay) {
        match needed.outcome(&rules) {
            Outcome::Open => continue,
            Outcome::Unknown => unknown.push(needed.to_string()),
            Outcome::Closed => report.fail(
                SUBJECT,
                format!("this machine's firewall closes {needed}"),
                format!("open it: ufw allow {}, or a rule in /etc/nftables.conf", needed.ports),
            ),
        }
        is_open = false;
    }
    if !unknown.is_empty() {
        let ports = unknown.join(", ");
        report.skip(
            SUBJECT,
            format!("the rules for {ports} have conditions that this command does not understand"),
        );
    }
    if is_open {
        report.ok(SUBJECT, "this machine's own firewall lets clients and peers in");
    }
}

impl Needed {
    fn outcome(&self, rules: &Value) -> Outcome {
        let interface = default_interface(self.family);
        let packet = |port: &u16| Packet {
            family: self.family,
            protocol: self.protocol,
            port: *port,
            interface: interface.as_deref(),
        };
        self.sample.iter().map(|port| rules::outcome(rules, &packet(port))).max().unwrap_or(Outcome::Open)
    }
}

impl fmt::Display for Needed {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let over = if self.family == Family::V6 { " over IPv6" } else { "" };
        write!(out, "{}{over}", self.ports)
    }
}

fn needed(config: &Config, relay: &[RelayAddress]) -> Vec<Needed> {
    let listen = &config.listen;
    let udp = listen.udp.iter().map(|address| (Protocol::Udp, address));
    let streams = listen.tcp.iter().chain(&listen.tls).chain(&config.http.listen);
    let listeners = udp.chain(streams.map(|address| (Protocol::Tcp, address)));
    // Nobody comes to loopback from outside.
    let public = listeners.filter(|(_, address)| !address.ip().is_loopback());
    let mut ports: Vec<_> =
        public.map(|(protocol, address)| (Family::of(address.ip()), protocol, address.port())).collect();
    ports.sort_unstable_by_key(|(family, protocol, port)| (*family == Family::V6, *protocol, *port));
    ports.dedup();
    let one = |(family, protocol, port)| Needed {
        family,
        protocol,
        sample: vec![port],
        ports: format!("{port}/{protocol}"),
    };
    let mut needed: Vec<Needed> = ports.into_iter().map(one).collect();
    let (first, last) = (*config.relay.ports.start(), *config.relay.ports.end());
    let middle = first + (last - first) / 2;
    for family in [Family::V4, Family::V6] {
        if !relay.iter().any(|address| Family::of(address.bind) == family && !address.bind.is_loopback()) {
            continue;
        }
        let protocols = [Protocol::Udp].into_iter().chain(config.relay.tcp.then_some(Protocol::Tcp));
        needed.extend(protocols.map(|protocol| Needed {
            family,
            protocol,
            sample: vec![first, middle, last],
            ports: format!("{first}:{last}/{protocol}"),
        }));
    }
    needed
}

/// The rules of the kernel, as `nft` prints them. What it cannot show of the rules of iptables is taken from there.
fn ruleset() -> Result<Value, String> {
    if fs::read_to_string("/proc/net/ip_tables_names").is_ok_and(|tables| !tables.is_empty()) {
        return Err("there are rules of iptables-legacy, which this command does not read".to_owned());
    }
    let listed = printed("nft", &["--json", "list", "ruleset"])?;
    let mut rules: Value =
        serde_json::from_str(&listed).map_err(|error| format!("nft prints no JSON: {error}"))?;
    for (program, family) in [("iptables-save", "ip"), ("ip6tables-save", "ip6")] {
        let saved = printed(program, &[]).map_or(Vec::new(), |saved| iptables::objects(&saved, family));
        if let (false, Some(objects)) = (saved.is_empty(), rules["nftables"].as_array_mut()) {
            objects.retain(|object| !is_of_iptables(object, family));
            objects.extend(saved);
        }
    }
    Ok(rules)
}

/// Whether a chain or a rule is of the table that iptables manages.
fn is_of_iptables(object: &Value, family: &str) -> bool {
    let mut kinds = ["chain", "rule"].iter().filter_map(|kind| object.get(kind));
    kinds.any(|it| it["family"] == family && it["table"] == "filter")
}

/// What a program prints. Those of other users than root have no `/usr/sbin` in their PATH.
fn printed(program: &str, arguments: &[&str]) -> Result<String, String> {
    let start = |program: &str| Command::new(program).args(arguments).output();
    let done = start(program).or_else(|_| start(&format!("/usr/sbin/{program}")));
    let done = done.map_err(|_| format!("{program} is not installed, so the firewall is not known"))?;
    if !done.status.success() {
        let reason = String::from_utf8_lossy(&done.stderr);
        let reason = reason.lines().next().unwrap_or("no reason is given");
        return Err(format!("{program} does not list the rules (run this command as root): {reason}"));
    }
    Ok(String::from_utf8_lossy(&done.stdout).into_owned())
}

/// The interface of the default route: packets of the Internet come in there.
fn default_interface(family: Family) -> Option<String> {
    let (file, destination, interface) = match family {
        Family::V4 => ("/proc/net/route", 1, 0),
        Family::V6 => ("/proc/net/ipv6_route", 0, 9),
    };
    let routes = fs::read_to_string(file).ok()?;
    let routes = routes.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
    // A default route has no address and no prefix. That of the kernel's own, over loopback, leads nowhere.
    let is_default = |route: &Vec<&str>| {
        route.get(destination).is_some_and(|to| to.bytes().all(|byte| byte == b'0'))
            && (family == Family::V4 || route.get(1) == Some(&"00"))
            && route.get(interface) != Some(&"lo")
    };
    routes.into_iter().find(is_default)?.get(interface).map(|name| (*name).to_owned())
}
