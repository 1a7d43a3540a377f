//! PURE  Follows a packet through the rules that `nft --json list ruleset` prints (libnftables-json(5)).

use std::fmt;
use std::ops::ControlFlow::{self, Break, Continue};

use serde_json::Value;

/// A packet of an unknown sender, which begins a new flow.
#[derive(Debug, Clone, Copy)]
pub(super) struct Packet<'a> {
    pub(super) protocol: Protocol,
    /// The port that it is sent to.
    pub(super) port: u16,
    /// The interface on which it comes in.
    pub(super) interface: &'a str,
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

/// Chains may not call each other deeper than the kernel allows (`NFT_JUMP_STACK_SIZE`).
const DEPTH: usize = 16;

/// What becomes of a packet to this machine. Every base chain of the hook must let it pass.
pub(super) fn outcome(rules: &Value, packet: &Packet<'_>) -> Outcome {
    let objects: Vec<&Value> = rules["nftables"].as_array().into_iter().flatten().collect();
    let ruleset = Ruleset { objects: &objects, packet };
    let chains = objects.iter().filter_map(|object| object.get("chain"));
    let input = chains
        .filter(|chain| chain["hook"] == "input" && chain["family"] != "ip6" && chain["family"] != "arp");
    input.map(|chain| ruleset.base(chain)).max().unwrap_or(Outcome::Open)
}

struct Ruleset<'a> {
    objects: &'a [&'a Value],
    packet: &'a Packet<'a>,
}

impl Ruleset<'_> {
    fn base(&self, chain: &Value) -> Outcome {
        let mut uncertain = false;
        let end = self.chain(chain, &chain["name"], &mut uncertain, 0);
        let end = end.unwrap_or(if chain["policy"] == "drop" { Outcome::Closed } else { Outcome::Open });
        // A rule whose condition is unknown may have accepted the packet before.
        if end == Outcome::Closed && uncertain { Outcome::Unknown } else { end }
    }

    /// What the rules of the chain `name`, in the table of `place`, decide; `None` if they decide nothing.
    fn chain(&self, place: &Value, name: &Value, uncertain: &mut bool, depth: usize) -> Option<Outcome> {
        if depth == DEPTH {
            return None;
        }
        let is_here = |rule: &&&Value| {
            rule["family"] == place["family"] && rule["table"] == place["table"] && rule["chain"] == *name
        };
        let rules: Vec<&Value> = self.objects.iter().filter_map(|object| object.get("rule")).collect();
        for rule in rules.iter().filter(is_here) {
            if let Break(end) = self.rule(rule, uncertain, depth) {
                return end;
            }
        }
        None
    }

    fn rule(&self, rule: &Value, uncertain: &mut bool, depth: usize) -> Step {
        let mut holds = Some(true);
        for statement in rule["expr"].as_array().into_iter().flatten() {
            let Some((kind, body)) = statement.as_object().and_then(|statement| statement.iter().next())
            else {
                continue;
            };
            match kind.as_str() {
                "match" => match self.matches(body) {
                    Some(false) => return Continue(()),
                    Some(true) => {}
                    None => holds = None,
                },
                // Conditions that are not followed: a rate, an extension of iptables, an address of the sender.
                "limit" | "xt" | "ct count" | "quota" => holds = None,
                "vmap" => self.mapped(rule, body, uncertain, depth)?,
                _ => self.verdict(rule, kind, body, holds, uncertain, depth)?,
            }
        }
        Continue(())
    }

    /// What a verdict means for a packet for which the rule's conditions hold, or may hold.
    fn verdict(
        &self,
        place: &Value,
        kind: &str,
        body: &Value,
        holds: Holds,
        uncertain: &mut bool,
        depth: usize,
    ) -> Step {
        match (kind, holds) {
            ("accept", Some(_)) => Break(Some(Outcome::Open)),
            ("accept", None) => {
                *uncertain = true;
                Continue(())
            }
            // What is dropped on an unknown condition is a few senders, or too much at once.
            ("drop" | "reject", Some(_)) => Break(Some(Outcome::Closed)),
            ("return", Some(_)) => Break(None),
            ("jump" | "goto", _) => {
                let mut inside = false;
                let end = self.chain(place, &body["target"], &mut inside, depth + 1);
                *uncertain |= inside;
                match (end, holds) {
                    (Some(Outcome::Open), None) => {
                        *uncertain = true;
                        Continue(())
                    }
                    (Some(end), Some(_)) => Break(Some(end)),
                    (None, Some(_)) if kind == "goto" => Break(None),
                    _ => Continue(()),
                }
            }
            _ => Continue(()),
        }
    }

    /// A map from values to verdicts.
    fn mapped(&self, place: &Value, body: &Value, uncertain: &mut bool, depth: usize) -> Step {
        let pairs = body["data"]["set"].as_array().into_iter().flatten();
        for pair in pairs {
            match self.compare(&body["key"], "==", &pair[0]) {
                Some(true) => {}
                Some(false) => continue,
                None => {
                    *uncertain |= pair[1].get("accept").is_some();
                    continue;
                }
            }
            if let Some((kind, body)) = pair[1].as_object().and_then(|verdict| verdict.iter().next()) {
                return self.verdict(place, kind, body, Some(true), uncertain, depth);
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
        let Packet { protocol, port, interface } = self.packet;
        let named = |value: &str| any(right, &|one| Some(one.as_str()? == value));
        if let Some(payload) = left.get("payload") {
            let header = payload["protocol"].as_str()?;
            return match (header, payload["field"].as_str()?) {
                ("tcp" | "udp", _) if header != protocol.name() => Some(false),
                ("tcp" | "udp" | "th", "dport") => any(right, &|one| covers(one, *port)),
                ("ip", "protocol") | ("ip6", "nexthdr") => named(protocol.name()),
                _ => None,
            };
        }
        if let Some(key) = left.get("meta").and_then(|meta| meta["key"].as_str()) {
            return match key {
                "iifname" | "iif" => any(right, &|one| Some(is_interface(one.as_str()?, interface))),
                "l4proto" => named(protocol.name()),
                "nfproto" => named("ipv4"),
                "protocol" => named("ip"),
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

/// Whether a name, which may end in a star, is that of the interface.
fn is_interface(name: &str, interface: &str) -> bool {
    name.strip_suffix('*').map_or(name == interface, |start| interface.starts_with(start))
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
        outcome(rules, &Packet { protocol: Protocol::Udp, port, interface: "eth0" })
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
            let tcp = Packet { protocol: Protocol::Tcp, port: 3478, interface: "eth0" };
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

    /// For example `iptables -m recent`, an address of the sender, or a named set.
    #[test]
    fn a_rule_that_cannot_be_followed_makes_what_it_accepts_uncertain() {
        let sender = r#"{"match": {"op": "==", "left": {"payload": {"protocol": "ip", "field": "saddr"}}, "right": "192.0.2.1"}}"#;
        for condition in [sender.to_owned(), r#"{"xt": null}"#.to_owned(), dport(r#""@open""#)] {
            assert_eq!(udp(&with("drop", &format!("input {condition}, {ACCEPT}")), 3478), Outcome::Unknown);
            assert_eq!(
                udp(&with("accept", &format!(r#"input {condition}, {{"drop": null}}"#)), 3478),
                Outcome::Open
            );
        }
    }

    #[test]
    fn every_base_chain_must_let_it_pass() {
        let mut rules = with("accept", "");
        let chain = serde_json::json!({ "chain": { "family": "ip", "table": "other", "name": "in", "hook": "input", "policy": "drop" } });
        rules["nftables"].as_array_mut().unwrap().push(chain);
        assert_eq!(udp(&rules, 3478), Outcome::Closed);
    }
}
