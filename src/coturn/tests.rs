//! What becomes of each option.

use super::*;
use crate::coturn::options::OPTIONS;

const SECRET: &str = "static-auth-secret=ZkP0v5q8Jm3tYb7cXr2nWd9sLh6gTf1a";

/// The keys of an import with their sections, without comments.
fn keys(text: &str) -> Vec<String> {
    let toml = import(text, &[]).toml;
    let lines = toml.lines().map(|line| line.split(" # ").next().unwrap_or_default());
    let mut section = String::new();
    let mut keys = Vec::new();
    for line in lines.filter(|line| !line.is_empty() && !line.starts_with('#')) {
        if line.starts_with('[') {
            section = line.trim_matches(['[', ']']).to_owned() + ".";
        } else if line.starts_with([' ', ']']) {
            keys.last_mut().map(|key: &mut String| key.push_str(line.trim())).unwrap();
        } else {
            keys.push(section.clone() + line);
        }
    }
    keys
}

/// What is said of a line, as `kind: text`.
fn said_of(text: &str, line: usize) -> Vec<String> {
    let remarks = import(text, &[]).remarks.into_iter();
    remarks
        .filter(|remark| remark.line == Some(line))
        .map(|Remark { kind, text, .. }| format!("{kind}: {text}"))
        .collect()
}

/// Lines, and the keys that they become.
const CARRIED: &[(&str, &[&str])] = &[
    (
        "listening-ip=192.0.2.5",
        &[
            "listen.udp = [\"192.0.2.5:3478\"]",
            "listen.tcp = [\"192.0.2.5:3478\"]",
            "relay.addresses = [\"192.0.2.5\"]",
        ],
    ),
    (
        "listening-ip=127.0.0.1\nlistening-port=4000\nno-tcp",
        &["listen.udp = [\"127.0.0.1:4000\"]", "listen.tcp = []"],
    ),
    (
        "listening-ip=0.0.0.0\nlistening-ip=192.0.2.5\nno-udp\nrelay-ip=0.0.0.0\nrelay-ip=192.0.2.6",
        &["listen.udp = []", "listen.tcp = [\"0.0.0.0:3478\"]", "relay.addresses = [\"192.0.2.6\"]"],
    ),
    ("listening-ip=", &["listen.udp = [\"0.0.0.0:3478\"]", "listen.tcp = [\"0.0.0.0:3478\"]"]),
    ("listening-port=3478\nno-udp=0\nno-tcp=no", &[]),
    ("tcp-proxy-port=5555", &["listen.tcp = [\"0.0.0.0:5555\", \"[::]:5555\"]"]),
    (
        "aux-server=192.0.2.5:4000\nno-tcp",
        &["listen.udp = [\"0.0.0.0:3478\", \"[::]:3478\", \"192.0.2.5:4000\"]", "listen.tcp = []"],
    ),
    (
        "cert=/a\npkey=/b",
        &["listen.tls = [\"0.0.0.0:5349\", \"[::]:5349\"]", "tls.certificate = \"/a\"", "tls.key = \"/b\""],
    ),
    (
        "cert=/a\npkey=/b\ntls-listening-port=443\nlistening-ip=0.0.0.0\nno-tcp",
        &[
            "listen.udp = [\"0.0.0.0:3478\"]",
            "listen.tcp = []",
            "listen.tls = [\"0.0.0.0:443\"]",
            "tls.certificate = \"/a\"",
            "tls.key = \"/b\"",
        ],
    ),
    ("cert=/a\npkey=/b\ntls-listening-port=3478", &["tls.certificate = \"/a\"", "tls.key = \"/b\""]),
    ("cert=/a\npkey=/b\nno-tls", &[]),
    ("cert=/a", &[]),
    (
        "listening-port=8080\nno-udp",
        &["listen.udp = []", "listen.tcp = [\"0.0.0.0:8080\", \"[::]:8080\"]", "http.listen = []"],
    ),
    ("rfc3489-compatibility", &["listen.rfc3489 = true"]),
    ("stun-backward-compatibility", &["listen.rfc3489 = true"]),
    ("rfc5766-channel-numbers", &["relay.rfc5766_channels = true"]),
    ("min-port=50000\nmax-port=50999", &["relay.ports = \"50000-50999\""]),
    ("min-port=1\nmax-port=3000", &["relay.ports = \"1024-3000\""]),
    ("min-port=3000", &["relay.ports = \"3479-65535\""]),
    (
        "listening-port=60000",
        &[
            "listen.udp = [\"0.0.0.0:60000\", \"[::]:60000\"]",
            "listen.tcp = [\"0.0.0.0:60000\", \"[::]:60000\"]",
            "relay.ports = \"49152-59999\"",
        ],
    ),
    ("relay-threads=0", &["relay.threads = 1"]),
    ("relay-threads=4\ncpus=8", &["relay.threads = 4"]),
    ("cpus=2", &["relay.threads = 2"]),
    (
        "relay-ip=10.0.0.5\nexternal-ip=192.0.2.5",
        &["relay.addresses = [{ bind = \"10.0.0.5\", public = \"192.0.2.5\" }]"],
    ),
    (
        "external-ip=192.0.2.5/10.0.0.5\nexternal-ip=192.0.2.6/10.0.0.6",
        &[
            "relay.addresses = [{ bind = \"10.0.0.5\", public = \"192.0.2.5\" },{ bind = \"10.0.0.6\", public = \"192.0.2.6\" },]",
        ],
    ),
    (
        "relay-ip=10.0.0.5\nrelay-ip=2001:4860::5\nexternal-ip=192.0.2.5/10.0.0.5",
        &["relay.addresses = [{ bind = \"10.0.0.5\", public = \"192.0.2.5\" },\"2001:4860::5\",]"],
    ),
    ("realm=example.org", &["credentials.realm = \"example.org\""]),
    (SECRET, &["credentials.secrets = [\"ZkP0v5q8Jm3tYb7cXr2nWd9sLh6gTf1a\"]"]),
    (
        "static-auth-secret=north",
        &["credentials.secrets = [\"north\"]", "credentials.allow_weak_secret = true"],
    ),
    (
        "user=b:two\nuser=a:one:\"\nuser=b:three",
        &["credentials.users.\"a\" = \"one:\\\"\"", "credentials.users.\"b\" = \"three\""],
    ),
    ("use-auth-secret\nuser=a:b", &[]),
    ("user=a:0xbc807ee29df3c9ffa736523fb2c4e8ee", &[]),
    ("denied-peer-ip=10.0.0.0-10.255.255.255", &[]),
    ("denied-peer-ip=198.41.0.0-198.41.0.255", &["peers.deny = [\"198.41.0.0/24\"]"]),
    (
        "denied-peer-ip=198.41.0.0-198.41.0.3\nallowed-peer-ip=198.41.0.0",
        &["peers.deny = [\"198.41.0.1/32\", \"198.41.0.2/31\"]"],
    ),
    (
        "allowed-peer-ip=10.7.0.0-10.7.0.255\ndenied-peer-ip=10.0.0.0-10.255.255.255",
        &["peers.allow = [\"10.7.0.0/24\"]"],
    ),
    ("denied-peer-ip=0.0.0.0-255.255.255.255", &["peers.deny = [\"0.0.0.0/0\"]"]),
    ("total-quota=600\nuser-quota=12", &["limits.allocations = 600", "limits.allocations_per_user = 12"]),
    (
        "max-bps=3000000\nbps-capacity=125000000",
        &["limits.bits_per_second = 24000000", "limits.bits_per_second_total = 1000000000"],
    ),
    ("unauthorized-ratelimit\nunauthorized-ratelimit-rps=20", &["limits.answers_per_ip = 20"]),
    ("unauthorized-ratelimit-rps=20", &[]),
    ("log-min-level=warning", &["log.level = \"warn\""]),
    ("log-min-level=error", &["log.level = \"error\""]),
];

#[test]
fn what_is_carried_over_becomes_these_keys() {
    for (text, expected) in CARRIED {
        assert_eq!(keys(text), *expected, "{text}");
    }
}

/// Lines, the number of one of them, and how a remark on it begins.
const SAID: &[(&str, usize, &str)] = &[
    ("listening-ip=eth0", 1, "by hand: this is not an IP address"),
    ("listening-ip=fe80::1", 1, "by hand: \"[fe80::1]:3478\" does not say on which link"),
    ("listening-port=0", 1, "by hand: the value is invalid: coturn expects a port"),
    ("listening-port=4000\nlistening-port=3478", 1, "needless: line 2 says it again"),
    ("no-udp=maybe", 1, "by hand: the value is invalid: coturn expects on or off"),
    ("no-udp\nno-tcp", 2, "by hand: coturn would listen nowhere"),
    ("tls-listening-port=443", 1, "by hand: there is no certificate"),
    ("tcp-proxy-port=5555", 1, "by hand: connections to this port begin with a PROXY header only if"),
    ("cert=/a", 1, "by hand: Hairpin needs both a certificate and its key"),
    ("cert=a.pem\npkey=/b", 1, "by hand: write the whole path"),
    ("cert=/a\npkey=/b", 2, "by hand: the user hairpin must be able to read"),
    ("aux-server=192.0.2.5", 1, "by hand: \"192.0.2.5\" is not an address with a port"),
    ("listening-port=8080", 1, "note: this port is Hairpin's for HTTP"),
    ("min-port=9\nmax-port=8", 2, "by hand: 9-8 is not a range"),
    ("min-port=3000", 1, "note: relay.ports is 3479-65535"),
    ("min-port=80", 1, "note: the range begins at 1024"),
    ("external-ip=turn.example.org", 1, "by hand: this is not an IP address"),
    ("external-ip=192.0.2.5", 1, "by hand: write both addresses into [relay]"),
    ("external-ip=192.0.2.5/x", 1, "by hand: this is not an IP address"),
    (
        "relay-ip=10.0.0.5\nexternal-ip=192.0.2.5/10.0.0.6",
        2,
        "by hand: no relay-ip or listening-ip is behind",
    ),
    (
        "relay-ip=10.0.0.5\nexternal-ip=192.0.2.5\nexternal-ip=192.0.2.6",
        3,
        "by hand: coturn takes only one address",
    ),
    (
        "external-ip=192.0.2.5/10.0.0.5\nexternal-ip=192.0.2.5/10.0.0.6",
        2,
        "by hand: clients would be told the same address",
    ),
    ("relay-threads=2\ncpus=4", 2, "needless: relay-threads says"),
    ("no-tcp-relay=off", 1, "note: coturn lets clients reach peers over TCP"),
    ("realm=a:b", 1, "by hand: a realm has no quote, backslash, colon"),
    ("static-auth-secret=", 1, "by hand: the secret is empty"),
    ("static-auth-secret=a\u{200b}b", 1, "by hand: the secret has an invisible character"),
    ("static-auth-secret=north", 1, "by hand: this secret can be guessed"),
    ("use-auth-secret", 1, "by hand: the secrets are in coturn's database"),
    ("user=a:b\nuse-auth-secret", 1, "needless: coturn ignores users beside use-auth-secret"),
    ("user=a:0xbc80", 1, "by hand: this is a key"),
    ("user=a", 1, "by hand: the password is missing"),
    ("user=:a", 1, "by hand: the name is missing"),
    ("user=a:b\nuser=a:c", 1, "needless: line 2 says it again"),
    ("rest-api-separator=|", 1, "not supported: Hairpin's user names are <expiry>:<user>"),
    ("rest-api-separator=:", 1, "needless: Hairpin does this by default"),
    ("denied-peer-ip=10.0.0.0/8", 1, "by hand: the value is invalid"),
    ("denied-peer-ip=10.0.0.0-10.255.255.255", 1, "needless: Hairpin closes private"),
    ("denied-peer-ip=1.1.1.1\nallowed-peer-ip=1.1.1.1", 1, "needless: allowed-peer-ip opens all of it again"),
    ("allowed-peer-ip=1.1.1.1", 1, "needless: public addresses are open"),
    ("allowed-peer-ip=0.0.0.0-255.255.255.255", 1, "by hand: the range is larger than one private network"),
    ("allowed-peer-ip=127.0.0.1", 1, "not supported: Hairpin never relays"),
    ("total-quota=0", 1, "note: 0 is no limit in coturn"),
    ("total-quota=99999", 1, "note: relay.ports has room for 32768"),
    ("user-quota=-1", 1, "by hand: the value is invalid"),
    ("max-bps=0", 1, "note: 0 is no limit in coturn"),
    ("bps-capacity=0", 1, "needless: Hairpin does this by default"),
    ("log-min-level=loud", 1, "by hand: the value is invalid"),
    ("mobility=false", 1, "needless: it is switched off"),
    ("server-name=north", 1, "not supported: Hairpin does not accept RFC 7635 tokens"),
    ("no-such-option", 1, "by hand: coturn has no such option"),
    ("--no-udp", 1, "by hand: coturn has no such option"),
    ("6f0c1d3a8b5e4f70", 1, "by hand: this line is not an option"),
];

#[test]
fn what_is_not_carried_over_is_said_with_its_line() {
    for (text, line, expected) in SAID {
        let said = said_of(text, *line);
        assert!(said.iter().any(|remark| remark.starts_with(expected)), "{text}: {said:?}");
    }
}

#[test]
fn what_is_not_carried_over_whatever_its_value_is_says_why() {
    for (name, fate) in OPTIONS {
        let (kind, text) = match fate {
            Fate::Once | Fate::Switch | Fate::List => continue,
            Fate::Needless(text) => (Kind::Needless, text),
            Fate::Unsupported(text) => (Kind::Unsupported, text),
            Fate::ByHand(text) => (Kind::ByHand, text),
        };
        assert_eq!(said_of(&format!("{name}=5"), 1), [format!("{kind}: {text}")], "{name}");
        assert_eq!(keys(&format!("{name}=5")), [""; 0], "{name}");
    }
}

#[test]
fn what_is_missing_is_said_without_a_line() {
    let said = |text: &str| -> Vec<String> {
        let remarks = import(text, &[]).remarks.into_iter();
        remarks.filter(|remark| remark.line.is_none()).map(|remark| remark.option).collect()
    };
    assert_eq!(said(""), ["no-tcp-relay", "static-auth-secret, user", "denied-peer-ip"]);
    let closed = "denied-peer-ip=10.0.0.0-10.255.255.255\ndenied-peer-ip=172.16.0.0-172.31.255.255\n\
                  denied-peer-ip=192.168.0.0-192.168.255.255\nno-tcp-relay\nuser=a:b";
    assert_eq!(said(closed), [""; 0]);
    let remarks = import(&closed.replacen("10.0.0.0", "10.0.0.1", 1), &[]).remarks;
    let open = remarks.iter().find(|remark| remark.line.is_none()).unwrap();
    assert!(open.text.contains("10.0.0.0-10.255.255.255;") && !open.text.contains("172"), "{}", open.text);
}

#[test]
fn an_address_without_a_private_one_belongs_to_this_machine() {
    let own: Vec<IpAddr> = ["10.0.0.5", "2001:4860::5"].map(|ip| ip.parse().unwrap()).into();
    let of = |text: &str| import(text, &own).toml;
    let behind_nat = of("external-ip=192.0.2.5");
    assert!(
        behind_nat.contains("{ bind = \"10.0.0.5\", public = \"192.0.2.5\" }, # external-ip (line 1)"),
        "{behind_nat}"
    );
    assert!(behind_nat.contains("\"2001:4860::5\","), "{behind_nat}");
    assert!(of("external-ip=10.0.0.5").contains("\"10.0.0.5\", # external-ip (line 1)"));
    assert!(of("relay-ip=10.0.0.9\nexternal-ip=192.0.2.5").contains("bind = \"10.0.0.9\""));
}

#[test]
fn a_remark_is_shown_with_its_line_if_there_is_one() {
    let remarks = import("no-loopback-peers", &[]).remarks;
    assert_eq!(
        remarks[0].show("turnserver.conf"),
        "turnserver.conf:1: no-loopback-peers: needless: Hairpin never relays to such addresses"
    );
    assert!(remarks[1].show("a").starts_with("a: no-tcp-relay: note: "));
}
