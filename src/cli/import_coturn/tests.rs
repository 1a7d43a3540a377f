//! Whatever is imported is a valid configuration, and no line is lost.

use proptest::prelude::*;

use super::*;

/// Names that are carried over, and one of each other kind.
const NAMES: &[&str] = &[
    "listening-ip",
    "listening-port",
    "tls-listening-port",
    "tcp-proxy-port",
    "aux-server",
    "no-udp",
    "no-tcp",
    "no-tls",
    "rfc3489-compatibility",
    "cert",
    "pkey",
    "relay-ip",
    "external-ip",
    "min-port",
    "max-port",
    "relay-threads",
    "cpus",
    "rfc5766-channel-numbers",
    "no-tcp-relay",
    "realm",
    "static-auth-secret",
    "user",
    "use-auth-secret",
    "rest-api-separator",
    "allowed-peer-ip",
    "denied-peer-ip",
    "user-quota",
    "total-quota",
    "max-bps",
    "bps-capacity",
    "unauthorized-ratelimit",
    "unauthorized-ratelimit-rps",
    "log-min-level",
    "verbose",
    "mobility",
    "userdb",
    "nothing",
];

fn value() -> impl Strategy<Value = String> {
    prop_oneof![
        Just(String::new()),
        "[0-9]{1,6}",
        prop::sample::select(vec!["3478", "5349", "8080", "49152", "65535", "50000", "1", "0"])
            .prop_map(str::to_owned),
        address(),
        (address(), address()).prop_map(|(low, high)| format!("{low}-{high}")),
        (address(), address()).prop_map(|(public, private)| format!("{public}/{private}")),
        (address(), 0..70_000_u32).prop_map(|(ip, port)| format!("{ip}:{port}")),
        "[a-z]{1,4}:\\PC{0,12}",
        "\\PC{0,20}",
    ]
}

fn address() -> impl Strategy<Value = String> {
    prop_oneof![
        any::<std::net::Ipv4Addr>().prop_map(|ip| ip.to_string()),
        any::<std::net::Ipv6Addr>().prop_map(|ip| ip.to_string()),
        prop::sample::select(vec![
            "0.0.0.0",
            "::",
            "127.0.0.1",
            "::1",
            "10.0.0.5",
            "192.0.2.5",
            "192.0.2.6",
            "::ffff:10.0.0.1",
            "fe80::1",
            "224.0.0.1",
            "255.255.255.255",
            "2001:4860::5",
        ])
        .prop_map(str::to_owned),
    ]
}

fn own() -> impl Strategy<Value = Vec<IpAddr>> {
    prop::sample::subsequence(vec!["10.0.0.5", "2001:4860::5"], 0..=2)
        .prop_map(|own| own.into_iter().map(|ip| ip.parse().unwrap()).collect())
}

/// The lines that are named in the result or in a remark.
fn named(imported: &Imported) -> Vec<usize> {
    let numbers =
        imported.toml.split("(line ").skip(1).filter_map(|rest| rest.split(')').next()?.parse().ok());
    let mut lines: Vec<usize> =
        numbers.chain(imported.remarks.iter().filter_map(|remark| remark.line)).collect();
    lines.sort_unstable();
    lines.dedup();
    lines
}

proptest! {
    #[test]
    fn any_options_are_a_configuration_and_each_is_named(
        lines in prop::collection::vec((prop::sample::select(NAMES), value()), 0..12),
        own in own(),
    ) {
        let text: String = lines.iter().map(|(name, value)| format!("{name}={value}\n")).collect();
        let imported = import(&text, &own).map_err(|failure| failure.message).unwrap();
        let written: Vec<usize> = (1..).zip(text.lines()).map(|(line, _)| line).collect();
        let named = named(&imported);
        prop_assert!(written.iter().all(|line| named.contains(line)), "{}\n{:?}", imported.toml, imported.remarks);
    }

    #[test]
    fn any_text_is_a_configuration(text in "(\\PC|[\n\t =\"#/:-]){0,200}") {
        drop(import(&text, &[]).map_err(|failure| failure.message).unwrap());
    }
}

#[test]
fn the_credentials_are_the_same() {
    let text =
        "use-auth-secret\nstatic-auth-secret=a \"quoted\" \\secret of coturn's, ${HOME}\nrealm=example.org";
    let config = Config::parse(&import(text, &[]).ok().unwrap().toml, Path::new("")).unwrap();
    assert_eq!(config.credentials.secrets[0].reveal(), "a \"quoted\" \\secret of coturn's, ${HOME}");
    assert_eq!(config.credentials.realm.as_str(), "example.org");
    let text = "lt-cred-mech\nuser=alice: won der\"land\nrealm=example.org";
    let config = Config::parse(&import(text, &[]).ok().unwrap().toml, Path::new("")).unwrap();
    assert_eq!(config.credentials.users["alice"].reveal(), "won der\"land");
}
