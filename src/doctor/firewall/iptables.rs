//! PURE  Turns what `iptables-save` and `ip6tables-save` print into rules as `nft --json list ruleset` prints them.
//!
//! ufw and others write their rules by iptables. nft then lists them, but shows extensions such as `multiport` and
//! `conntrack` as "xt" without saying what they match.

use serde_json::{Value, json};

/// The chains and rules of the table `filter` of a family.
pub(super) fn objects(saved: &str, family: &str) -> Vec<Value> {
    let lines =
        saved.lines().skip_while(|line| *line != "*filter").skip(1).take_while(|line| *line != "COMMIT");
    lines.filter_map(|line| chain(line, family).or_else(|| rule(line, family))).collect()
}

/// `:INPUT DROP [0:0]`
fn chain(line: &str, family: &str) -> Option<Value> {
    let mut words = line.strip_prefix(':')?.split(' ');
    let (name, policy) = (words.next()?, words.next()?);
    let mut chain = json!({ "family": family, "table": TABLE, "name": name });
    if name == "INPUT" {
        chain["hook"] = "input".into();
        chain["policy"] = policy.to_ascii_lowercase().into();
    }
    Some(json!({ "chain": chain }))
}

/// `-A INPUT -p tcp -m tcp --dport 22 -j ACCEPT`
fn rule(line: &str, family: &str) -> Option<Value> {
    let mut words = line.strip_prefix("-A ")?.split(' ');
    let name = words.next()?;
    let mut expressions = Vec::new();
    let mut is_negated = false;
    while let Some(option) = words.next() {
        if option == "!" {
            is_negated = true;
            continue;
        }
        let mut value = || words.next().unwrap_or_default();
        let operator = if is_negated { "!=" } else { "==" };
        let matches =
            |left: Value, right: Value| json!({ "match": { "op": operator, "left": left, "right": right } });
        let expression = match option {
            // It only names an extension, whose options follow.
            "-m" => match value() {
                "limit" | "recent" | "set" | "hashlimit" => json!({ "xt": null }),
                _ => continue,
            },
            "-i" => matches(json!({ "meta": { "key": "iifname" } }), value().replace('+', "*").into()),
            "-p" => matches(json!({ "meta": { "key": "l4proto" } }), value().into()),
            "--dport" | "--dports" => {
                matches(json!({ "payload": { "protocol": "th", "field": "dport" } }), ports(value()))
            }
            "--ctstate" | "--state" => {
                let states: Vec<String> = value().split(',').map(str::to_ascii_lowercase).collect();
                matches(json!({ "ct": { "key": "state" } }), states.into())
            }
            "--dst-type" => matches(
                json!({ "fib": { "result": "type", "flags": "daddr" } }),
                value().to_ascii_lowercase().into(),
            ),
            "-s" => matches(json!({ "payload": { "protocol": family, "field": "saddr" } }), network(value())),
            "-j" | "-g" => verdict(option, value()),
            // What a target or a comment says of itself decides nothing; all else may.
            "--comment" | "--log-prefix" | "--log-level" | "--reject-with" => {
                let _ = value();
                continue;
            }
            _ => json!({ "xt": null }),
        };
        is_negated = false;
        expressions.push(expression);
    }
    Some(json!({ "rule": { "family": family, "table": TABLE, "chain": name, "expr": expressions } }))
}

/// The table's name, which no table of nftables has: its own name for this one is `filter`.
const TABLE: &str = "iptables filter";

fn verdict(option: &str, target: &str) -> Value {
    match target {
        "ACCEPT" => json!({ "accept": null }),
        "DROP" => json!({ "drop": null }),
        "REJECT" => json!({ "reject": null }),
        "RETURN" => json!({ "return": null }),
        // It lets the packet go on.
        "LOG" | "NFLOG" | "MARK" | "CONNMARK" => json!({ "log": null }),
        chain => json!({ (if option == "-g" { "goto" } else { "jump" }): { "target": chain } }),
    }
}

/// `192.0.2.0/24`
fn network(text: &str) -> Value {
    let (address, length) = text.split_once('/').unwrap_or((text, ""));
    json!({ "prefix": { "addr": address, "len": length.parse::<u8>().ok() } })
}

/// `22`, `443,3478` or `49152:65535`
fn ports(text: &str) -> Value {
    let port = |text: &str| text.parse::<u16>().map_or(Value::Null, Value::from);
    let one = |text: &str| match text.split_once(':') {
        Some((first, last)) => json!({ "range": [port(first), port(last)] }),
        None => port(text),
    };
    json!({ "set": text.split(',').map(one).collect::<Vec<_>>() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::firewall::rules::{Outcome, Packet, Protocol, outcome};
    use crate::network::address::Family;

    /// As ufw 0.36 writes them, shortened; `ufw allow 443,3478/tcp` and `ufw allow 3478,49152:65535/udp`.
    const UFW: &str = include_str!("ufw.rules");

    fn outcome_of(saved: &str, protocol: Protocol, port: u16) -> Outcome {
        let rules = json!({ "nftables": objects(saved, "ip") });
        outcome(&rules, &Packet { family: Family::V4, protocol, port, interface: Some("eth0") })
    }

    #[test]
    fn the_rules_of_ufw_are_followed() {
        for (protocol, port, expected) in [
            (Protocol::Tcp, 443, Outcome::Open),
            (Protocol::Tcp, 3478, Outcome::Open),
            (Protocol::Tcp, 80, Outcome::Closed),
            (Protocol::Udp, 3478, Outcome::Open),
            (Protocol::Udp, 443, Outcome::Closed),
            (Protocol::Udp, 50_000, Outcome::Open),
        ] {
            assert_eq!(outcome_of(UFW, protocol, port), expected, "{protocol} {port}");
        }
    }

    #[test]
    fn what_is_negated_holds_for_all_others() {
        let saved =
            "*filter\n:INPUT ACCEPT [0:0]\n-A INPUT ! -i wg0 -p udp -m udp --dport 9 -j DROP\nCOMMIT\n";
        assert_eq!(outcome_of(saved, Protocol::Udp, 9), Outcome::Closed);
        assert_eq!(outcome_of(&saved.replace("wg0", "eth+"), Protocol::Udp, 9), Outcome::Open);
    }

    #[test]
    fn an_option_that_is_not_followed_makes_it_uncertain() {
        let saved =
            "*filter\n:INPUT DROP [0:0]\n-A INPUT -p udp -m set --match-set known src -j ACCEPT\nCOMMIT\n";
        assert_eq!(outcome_of(saved, Protocol::Udp, 9), Outcome::Unknown);
        let some = saved.replace("-m set --match-set known src", "-s 192.0.2.0/24");
        assert_eq!(outcome_of(&some, Protocol::Udp, 9), Outcome::Closed);
    }

    #[test]
    fn other_tables_say_nothing() {
        assert!(objects("*nat\n:INPUT DROP [0:0]\nCOMMIT\n", "ip").is_empty());
    }
}
