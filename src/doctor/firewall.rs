//! Whether a firewall of this machine lets clients and peers in.
//!
//! The rules are read as nftables has them, and those of ufw and other users of iptables as iptables has them. Firewalls outside
//! of this machine, such as a cloud's, are only seen from outside.

mod iptables;
mod rules;

use std::process::Command;

use serde_json::Value;

use crate::config::Config;
use crate::doctor::firewall::rules::{Outcome, Packet, Protocol};
use crate::doctor::report::Report;

const SUBJECT: &str = "firewall";

/// Ports that must be open, and how `ufw` names them.
struct Needed {
    protocol: Protocol,
    /// The ports to look at: all, or some of a range.
    sample: Vec<u16>,
    shown: String,
}

/// Reports the ports that the rules close.
pub(super) fn look(config: &Config, report: &mut Report) {
    let rules = match ruleset() {
        Ok(rules) => rules,
        Err(why) => {
            report.skip(SUBJECT, why);
            return;
        }
    };
    let interface = default_interface().unwrap_or_default();
    let needed = needed(config);
    let outcome = |needed: &Needed| {
        let packet = |port: &u16| Packet { protocol: needed.protocol, port: *port, interface: &interface };
        needed.sample.iter().map(|port| rules::outcome(&rules, &packet(port))).max().unwrap_or(Outcome::Open)
    };
    let of = |wanted| -> Vec<&Needed> { needed.iter().filter(|needed| outcome(needed) == wanted).collect() };
    let list =
        |some: &[&Needed]| some.iter().map(|needed| needed.shown.as_str()).collect::<Vec<_>>().join(", ");
    let (closed, unknown) = (of(Outcome::Closed), of(Outcome::Unknown));
    for needed in &closed {
        report.fail(
            SUBJECT,
            format!("this machine's firewall closes {}", needed.shown),
            format!("open it: ufw allow {}, or a rule in /etc/nftables.conf", needed.shown),
        );
    }
    if !unknown.is_empty() {
        report.skip(
            SUBJECT,
            format!("its rules for {} have conditions that only a packet can show", list(&unknown)),
        );
    }
    if closed.is_empty() && unknown.is_empty() {
        report.ok(SUBJECT, "this machine's own firewall lets clients and peers in");
    }
}

fn needed(config: &Config) -> Vec<Needed> {
    let listen = &config.listen;
    let mut ports: Vec<(Protocol, u16)> =
        listen.udp.iter().map(|address| (Protocol::Udp, address.port())).collect();
    let streams = listen.tcp.iter().chain(&listen.tls);
    let public = |address: &&std::net::SocketAddr| !address.ip().is_loopback();
    ports
        .extend(streams.chain(config.http.listen.iter().filter(public)).map(|it| (Protocol::Tcp, it.port())));
    ports.sort_unstable();
    ports.dedup();
    let one = |(protocol, port)| Needed { protocol, sample: vec![port], shown: format!("{port}/{protocol}") };
    let mut needed: Vec<Needed> = ports.into_iter().map(one).collect();
    let (first, last) = (*config.relay.ports.start(), *config.relay.ports.end());
    let middle = first + (last - first) / 2;
    let protocols = [Protocol::Udp].into_iter().chain(config.relay.tcp.then_some(Protocol::Tcp));
    needed.extend(protocols.map(|protocol| Needed {
        protocol,
        sample: vec![first, middle, last],
        shown: format!("{first}:{last}/{protocol}"),
    }));
    needed
}

/// The rules of the kernel, as `nft` prints them. What it cannot show of the rules of iptables is taken from there.
fn ruleset() -> Result<Value, String> {
    let listed = printed("nft", &["--json", "list", "ruleset"])?;
    let mut rules: Value =
        serde_json::from_str(&listed).map_err(|error| format!("nft prints no JSON: {error}"))?;
    let saved = printed("iptables-save", &[]).map_or(Vec::new(), |saved| iptables::objects(&saved));
    if let (false, Some(objects)) = (saved.is_empty(), rules["nftables"].as_array_mut()) {
        objects.retain(|object| !is_of_iptables(object));
        objects.extend(saved);
    }
    Ok(rules)
}

/// Whether a chain or a rule is of the table that iptables manages.
fn is_of_iptables(object: &Value) -> bool {
    ["chain", "rule"]
        .iter()
        .filter_map(|kind| object.get(kind))
        .any(|it| it["family"] == "ip" && it["table"] == "filter")
}

/// What a program prints.
fn printed(program: &str, arguments: &[&str]) -> Result<String, String> {
    let done = Command::new(program).args(arguments).output();
    let done = done.map_err(|error| format!("{program} cannot be started: {error}"))?;
    if !done.status.success() {
        let reason = String::from_utf8_lossy(&done.stderr);
        let reason = reason.lines().next().unwrap_or("no reason is given");
        return Err(format!("{program} does not list the rules (run this command as root): {reason}"));
    }
    Ok(String::from_utf8_lossy(&done.stdout).into_owned())
}

/// The interface of the default route: packets of the Internet come in there.
fn default_interface() -> Option<String> {
    let routes = std::fs::read_to_string("/proc/net/route").ok()?;
    let mut fields = routes.lines().skip(1).map(str::split_whitespace);
    fields
        .find_map(|mut fields| Some((fields.next()?, fields.next()?)).filter(|(_, to)| *to == "00000000"))
        .map(|(interface, _)| interface.to_owned())
}
