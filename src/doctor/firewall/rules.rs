//! PURE  Follows a packet through the rules that `nft --json list ruleset` prints (libnftables-json(5)).

use std::fmt;
use std::ops::ControlFlow::{self, Break, Continue};

use serde_json::Value;

use crate::network::address::Family;

/// A packet from anywhere in the Internet, which begins a new flow.
#[derive(Debug, Clone, Copy)]
pub(super) struct Packet<'a> {
    pub(super) family: Family,
    pub(super) protocol: Protocol,
    /// The port that it is sent to.
    pub(super) port: u16,
    /// The interface on which it comes in, if that is known.
    pub(super) interface: Option<&'a str>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Protocol {
    Tcp,
    Udp,
}

/// What becomes of a packet. The worst is the greatest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Outcome {
    Open,
    /// It depends on what a rule says that is not followed here.
    Unknown,
    Closed,
}

/// What a rule does with a packet: goes on to the next one, returns from the chain (`Break(None)`), or decides.
type Step = ControlFlow<Option<Outcome>>;

/// Whether a condition holds; `None` if it cannot be told.
type Holds = Option<bool>;

/// What rules whose conditions are unknown may have done with the packet.
#[derive(Debug, Clone, Copy, Default)]
struct Doubt {
    accepted: bool,
    dropped: bool,
}

/// Chains may not call each other deeper than the kernel allows (`NFT_JUMP_STACK_SIZE`).
const DEPTH: usize = 16;

/// What becomes of a packet to this machine. Every base chain of the hook must let it pass.
pub(super) fn outcome(rules: &Value, packet: &Packet<'_>) -> Outcome {
    let objects: Vec<&Value> = rules["nftables"].as_array().into_iter().flatten().collect();
    let ruleset = Ruleset { objects: &objects, packet };
    let families = ["inet", packet.family.of_tables()];
    let is_asked = |chain: &&Value| {
        chain["hook"] == "input" && chain["family"].as_str().is_some_and(|family| families.contains(&family))
    };
    let chains = objects.iter().filter_map(|object| object.get("chain"));
    chains.filter(is_asked).map(|chain| ruleset.base(chain)).max().unwrap_or(Outcome::Open)
}

struct Ruleset<'a> {
    objects: &'a [&'a Value],
    packet: &'a Packet<'a>,
}

impl Ruleset<'_> {
    fn base(&self, chain: &Value) -> Outcome {
        let mut doubt = Doubt::default();
        let end = self.chain(chain, &chain["name"], &mut doubt, 0);
        match end.unwrap_or(if chain["policy"] == "drop" { Outcome::Closed } else { Outcome::Open }) {
            Outcome::Closed if doubt.accepted => Outcome::Unknown,
            Outcome::Open if doubt.dropped => Outcome::Unknown,
            end @ (Outcome::Open | Outcome::Unknown | Outcome::Closed) => end,
        }
    }

    /// What the rules of the chain `name`, in the table of `place`, decide; `None` if they decide nothing.
    fn chain(&self, place: &Value, name: &Value, doubt: &mut Doubt, depth: usize) -> Option<Outcome> {
        if depth == DEPTH {
            return None;
        }
        let is_here = |rule: &&Value| {
            rule["family"] == place["family"] && rule["table"] == place["table"] && rule["chain"] == *name
        };
        let rules = self.objects.iter().filter_map(|object| object.get("rule"));
        for rule in rules.filter(is_here) {
            if let Break(end) = self.rule(rule, doubt, depth) {
                return end;
            }
        }
        None
    }

    fn rule(&self, rule: &Value, doubt: &mut Doubt, depth: usize) -> Step {
        let (mut holds, mut names_port) = (Some(true), false);
        for statement in rule["expr"].as_array().into_iter().flatten() {
            let Some((kind, body)) = statement.as_object().and_then(|statement| statement.iter().next())
            else {
                continue;
            };
            match kind.as_str() {
                "match" => match self.matches(body) {
                    Some(false) => return Continue(()),
                    Some(true) => names_port |= body["left"]["payload"]["field"] == "dport",
                    None => holds = None,
                },
                // Conditions that are not followed: a rate, an extension of iptables.
                "limit" | "xt" | "ct count" | "quota" => holds = None,
                "vmap" => self.mapped(rule, body, holds, doubt, depth)?,
                // What an unknown condition drops is a few senders, or too much at once, unless it is about this port.
                "drop" | "reject" if holds.is_none() => doubt.dropped |= names_port,
                _ => self.verdict(rule, (kind, body), holds, doubt, depth)?,
            }
        }
        Continue(())
    }

    /// What a verdict means for a packet for which the rule's conditions hold, or may hold.
    fn verdict(
        &self,
        place: &Value,
        (kind, body): (&str, &Value),
        holds: Holds,
        doubt: &mut Doubt,
        depth: usize,
    ) -> Step {
        match (kind, holds) {
            ("accept", Some(_)) => Break(Some(Outcome::Open)),
            ("accept", None) => {
                doubt.accepted = true;
                Continue(())
            }
            ("drop" | "reject", Some(_)) => Break(Some(Outcome::Closed)),
            ("return", Some(_)) => Break(None),
            ("jump" | "goto", _) => match (self.chain(place, &body["target"], doubt, depth + 1), holds) {
                (Some(Outcome::Open), None) => {
                    doubt.accepted = true;
                    Continue(())
                }
                (Some(end), Some(_)) => Break(Some(end)),
                (None, Some(_)) if kind == "goto" => Break(None),
                _ => Continue(()),
            },
            _ => Continue(()),
        }
    }

    /// A map from values to verdicts. One with a name is not followed.
    fn mapped(&self, place: &Value, body: &Value, holds: Holds, doubt: &mut Doubt, depth: usize) -> Step {
        let Some(pairs) = body["data"]["set"].as_array() else {
            doubt.accepted = true;
            return Continue(());
        };
        for pair in pairs {
            match self.compare(&body["key"], "==", &pair[0]) {
                Some(true) => {}
                Some(false) => continue,
                None => {
                    doubt.accepted |=
                        ["accept", "jump", "goto"].iter().any(|verdict| pair[1].get(verdict).is_some());
                    continue;
                }
            }
            if let Some((kind, body)) = pair[1].as_object().and_then(|verdict| verdict.iter().next()) {
                return self.verdict(place, (kind, body), holds, doubt, depth);
            }
        }
        Continue(())
    }

    fn matches(&self, body: &Value) -> Holds {
        let operator = body["op"].as_str().unwrap_or("==");
        self.compare(&body["left"], operator, &body["right"])
    }

    fn compare(&self, left: &Value, operator: &str, right: &Value) -> Holds {
        let holds = self.is(left, right)?;
        match operator {
            "==" | "in" => Some(holds),
            "!=" => Some(!holds),
            _ => None,
        }
    }

    fn is(&self, left: &Value, right: &Value) -> Holds {
        let Packet { family, protocol, port, interface } = self.packet;
        let named = |value: &str| any(right, &|one| Some(one.as_str()? == value));
        if let Some(payload) = left.get("payload") {
            let (header, field) = (payload["protocol"].as_str()?, payload["field"].as_str()?);
            return match (header, field) {
                ("ip" | "ip6", _) if header != family.of_tables() => Some(false),
                ("ip", "protocol") | ("ip6", "nexthdr") => named(protocol.name()),
                // From anywhere: not from the addresses that a rule names.
                ("ip" | "ip6", "saddr") => any(right, &|one| Some(one["prefix"]["len"] == 0)),
                ("th", "dport") => any(right, &|one| covers(one, *port)),
                ("tcp" | "udp", "dport") if header == protocol.name() => {
                    any(right, &|one| covers(one, *port))
                }
                ("tcp" | "udp", _) if header == protocol.name() => None,
                ("ip" | "ip6" | "th", _) => None,
                // Another protocol, such as ICMP.
                _ => Some(false),
            };
        }
        if let Some(key) = left.get("meta").and_then(|meta| meta["key"].as_str()) {
            return match key {
                "iifname" | "iif" => any(right, &|one| is_interface(one.as_str()?, *interface)),
                "l4proto" => named(protocol.name()),
                "nfproto" => named(family.name()),
                "protocol" => named(family.of_tables()),
                _ => None,
            };
        }
        // The packet is for this machine.
        if left.get("fib").is_some_and(|fib| fib["result"] == "type") {
            return named("local");
        }
        match left.get("ct").and_then(|ct| ct["key"].as_str()) {
            Some("state") => named("new"),
            _ => None,
        }
    }
}

/// Whether a value, or one of a list or set of them, is meant.
fn any(right: &Value, is: &dyn Fn(&Value) -> Holds) -> Holds {
    let list = right.get("set").unwrap_or(right);
    let Some(list) = list.as_array() else { return is(right) };
    let all: Vec<Holds> = list.iter().map(is).collect();
    if all.contains(&Some(true)) {
        return Some(true);
    }
    if all.contains(&None) { None } else { Some(false) }
}

/// Whether a number or a range has a port. A named set is not followed.
fn covers(value: &Value, port: u16) -> Holds {
    let number = |value: &Value| value.as_u64().and_then(|number| u16::try_from(number).ok());
    if let Some(range) = value.get("range") {
        return Some((number(&range[0])?..=number(&range[1])?).contains(&port));
    }
    number(value).map(|number| number == port)
}

/// Whether a name, which may end in a star, is that of the interface. Packets of others never come in by loopback.
fn is_interface(name: &str, interface: Option<&str>) -> Holds {
    if name == "lo" {
        return Some(false);
    }
    let interface = interface?;
    Some(name.strip_suffix('*').map_or(name == interface, |start| interface.starts_with(start)))
}

impl Family {
    /// As nftables names the tables, and the headers, of one family.
    const fn of_tables(self) -> &'static str {
        match self {
            Self::V4 => "ip",
            Self::V6 => "ip6",
        }
    }
}

impl Protocol {
    const fn name(self) -> &'static str {
        match self {
            Self::Tcp => "tcp",
            Self::Udp => "udp",
        }
    }
}

impl fmt::Display for Protocol {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(policy: &str, rules: &str) -> Value {
        let mut text = format!(
            r#"{{"nftables": [
            {{"table": {{"family": "inet", "name": "filter"}}}},
            {{"chain": {{"family": "inet", "table": "filter", "name": "input", "type": "filter", "hook": "input", "prio": 0, "policy": "{policy}"}}}},
            {{"chain": {{"family": "inet", "table": "filter", "name": "services"}}}}"#
        );
        for rule in rules.lines().filter(|line| !line.trim().is_empty()) {
            let (chain, expressions) = rule.trim().split_once(' ').unwrap();
            text += &format!(
                r#", {{"rule": {{"family": "inet", "table": "filter", "chain": "{chain}", "expr": [{expressions}]}}}}"#
            );
        }
        serde_json::from_str(&(text + "]}")).unwrap()
    }

    const DPORT: &str = r#"{"match": {"op": "==", "left": {"payload": {"protocol": "udp", "field": "dport"}}, "right": RIGHT}}"#;
    const ACCEPT: &str = r#"{"accept": null}"#;

    fn udp(rules: &Value, port: u16) -> Outcome {
        outcome(rules, &Packet { family: Family::V4, protocol: Protocol::Udp, port, interface: Some("eth0") })
    }

    fn dport(right: &str) -> String {
        DPORT.replace("RIGHT", right)
    }

    #[test]
    fn without_rules_everything_is_open() {
        assert_eq!(udp(&serde_json::json!({ "nftables": [{ "metainfo": {} }] }), 3478), Outcome::Open);
        assert_eq!(udp(&with("accept", ""), 3478), Outcome::Open);
        assert_eq!(udp(&with("drop", ""), 3478), Outcome::Closed);
    }

    #[test]
    fn a_port_is_open_if_a_rule_accepts_it_alone_in_a_range_or_in_a_set() {
        for right in ["3478", r#"{"range": [3000, 4000]}"#, r#"{"set": [443, {"range": [3478, 3480]}]}"#] {
            let rules = with("drop", &format!("input {}, {ACCEPT}", dport(right)));
            assert_eq!(udp(&rules, 3478), Outcome::Open, "{right}");
            assert_eq!(udp(&rules, 5000), Outcome::Closed, "{right}");
            let tcp =
                Packet { family: Family::V4, protocol: Protocol::Tcp, port: 3478, interface: Some("eth0") };
            assert_eq!(outcome(&rules, &tcp), Outcome::Closed, "{right}");
        }
    }

    #[test]
    fn what_admits_only_loopback_or_known_flows_admits_no_client() {
        let rules = with(
            "drop",
            &format!(
                r#"input {{"match": {{"op": "==", "left": {{"meta": {{"key": "iifname"}}}}, "right": "lo"}}}}, {ACCEPT}
                input {{"match": {{"op": "in", "left": {{"ct": {{"key": "state"}}}}, "right": ["established", "related"]}}}}, {ACCEPT}
                input {{"vmap": {{"key": {{"ct": {{"key": "state"}}}}, "data": {{"set": [["established", {ACCEPT}], ["invalid", {{"drop": null}}]]}}}}}}"#
            ),
        );
        assert_eq!(udp(&rules, 3478), Outcome::Closed);
    }

    #[test]
    fn chains_are_followed_and_return() {
        let rules = with(
            "drop",
            &format!(
                r#"input {{"jump": {{"target": "services"}}}}
                input {}, {ACCEPT}
                services {}, {{"return": null}}
                services {}, {ACCEPT}"#,
                dport("9"),
                dport("7"),
                dport(r#"{"range": [7, 8]}"#)
            ),
        );
        assert_eq!(
            [7, 8, 9, 10].map(|port| udp(&rules, port)),
            [Outcome::Closed, Outcome::Open, Outcome::Open, Outcome::Closed]
        );
    }

    #[test]
    fn a_rule_that_closes_a_range_closes_it_behind_an_open_policy() {
        let rules = with(
            "accept",
            &format!(
                r#"input {}, {{"counter": null}}, {{"drop": null}}"#,
                dport(r#"{"range": [49152, 65535]}"#)
            ),
        );
        assert_eq!(udp(&rules, 50_000), Outcome::Closed);
        assert_eq!(udp(&rules, 3478), Outcome::Open);
    }

    /// For example an extension of iptables, a port of the sender, or a named set.
    #[test]
    fn a_rule_that_cannot_be_followed_makes_what_it_accepts_uncertain() {
        let sender = DPORT.replace("dport", "sport").replace("RIGHT", "53");
        for condition in [sender, r#"{"xt": null}"#.to_owned(), dport(r#""@open""#)] {
            assert_eq!(udp(&with("drop", &format!("input {condition}, {ACCEPT}")), 3478), Outcome::Unknown);
            assert_eq!(
                udp(&with("accept", &format!(r#"input {condition}, {{"drop": null}}"#)), 3478),
                Outcome::Open
            );
        }
        let with_port = format!(r#"input {}, {{"xt": null}}, {{"drop": null}}"#, dport("3478"));
        assert_eq!(udp(&with("accept", &with_port), 3478), Outcome::Unknown);
    }

    #[test]
    fn a_map_with_a_name_makes_it_uncertain() {
        let rules = with(
            "drop",
            r#"input {"vmap": {"key": {"payload": {"protocol": "udp", "field": "dport"}}, "data": "@services"}}"#,
        );
        assert_eq!(udp(&rules, 3478), Outcome::Unknown);
    }

    #[test]
    fn senders_that_a_rule_names_are_not_everybody() {
        let sender = |operator: &str| {
            format!(
                r#"{{"match": {{"op": "{operator}", "left": {{"payload": {{"protocol": "ip", "field": "saddr"}}}},
                "right": {{"prefix": {{"addr": "10.0.0.0", "len": 8}}}}}}}}"#
            )
            .replace('\n', "")
        };
        assert_eq!(udp(&with("drop", &format!("input {}, {ACCEPT}", sender("=="))), 3478), Outcome::Closed);
        let others = format!(r#"input {}, {}, {{"drop": null}}"#, sender("!="), dport("3478"));
        assert_eq!(udp(&with("accept", &others), 3478), Outcome::Closed);
    }

    #[test]
    fn rules_for_icmp_say_nothing_about_udp() {
        let icmp = r#"{"match": {"op": "==", "left": {"payload": {"protocol": "icmp", "field": "type"}}, "right": "echo-request"}}"#;
        assert_eq!(udp(&with("drop", &format!("input {icmp}, {ACCEPT}")), 3478), Outcome::Closed);
    }

    #[test]
    fn each_family_has_its_own_tables() {
        let chain = |family: &str, policy: &str| serde_json::json!({ "nftables": [{ "chain": { "family": family, "table": "t", "name": "in", "hook": "input", "policy": policy } }] });
        let v6 = |rules: &Value| {
            outcome(rules, &Packet { family: Family::V6, protocol: Protocol::Udp, port: 9, interface: None })
        };
        assert_eq!(
            (udp(&chain("ip6", "drop"), 9), v6(&chain("ip6", "drop"))),
            (Outcome::Open, Outcome::Closed)
        );
        assert_eq!(
            (udp(&chain("ip", "drop"), 9), v6(&chain("ip", "drop"))),
            (Outcome::Closed, Outcome::Open)
        );
    }

    #[test]
    fn an_unknown_interface_makes_it_uncertain() {
        let rules = with(
            "drop",
            &format!(
                r#"input {{"match": {{"op": "==", "left": {{"meta": {{"key": "iifname"}}}}, "right": "eth0"}}}}, {ACCEPT}"#
            ),
        );
        let packet = Packet { family: Family::V4, protocol: Protocol::Udp, port: 9, interface: None };
        assert_eq!(outcome(&rules, &packet), Outcome::Unknown);
    }

    #[test]
    fn every_base_chain_must_let_it_pass() {
        let mut rules = with("accept", "");
        let chain = serde_json::json!({ "chain": { "family": "ip", "table": "other", "name": "in", "hook": "input", "policy": "drop" } });
        rules["nftables"].as_array_mut().unwrap().push(chain);
        assert_eq!(udp(&rules, 3478), Outcome::Closed);
    }
}
