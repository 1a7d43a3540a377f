//! What a configuration may say, and what is said against one that it may not.

use super::*;
use crate::network::address::RelayAddress;
use crate::network::address::Transport;
use crate::network::own::Own;
use crate::peers::OwnPorts;
use crate::sections::addresses::WantedAddress;

proptest::proptest! {
    #[test]
    fn any_text_is_a_configuration_or_an_error(text in "\\PC{0,80}|(\\[[a-z]{0,7}\\]\n)?[a-z]{1,9} = [\"\\[{}0-9a-z:. ]{0,20}\n?") {
        drop(parse(&text));
    }

    #[test]
    fn a_mutated_default_is_a_configuration_or_an_error(at in 0..6000_usize, byte in 0x20..0x7F_u8) {
        let mut text = include_str!("../../config.toml").as_bytes().to_vec();
        let at = at % text.len();
        text[at] = byte;
        drop(parse(&String::from_utf8(text).unwrap()));
    }
}

/// A JSON value as TOML.
fn as_toml(value: &Value) -> String {
    match value {
        Value::Array(list) => format!("[{}]", list.iter().map(as_toml).collect::<Vec<_>>().join(", ")),
        Value::Object(table) => {
            let keys = table.iter().filter(|(_, value)| !value.is_null());
            let keys = keys.map(|(key, value)| format!("{key:?} = {}", as_toml(value)));
            format!("{{ {} }}", keys.collect::<Vec<_>>().join(", "))
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => value.to_string(),
    }
}

#[test]
fn what_is_shown_of_a_configuration_can_be_written_and_means_the_same() {
    let text = r#"
[listen]
udp = ["127.0.0.1:3478", "[fe80::1%2]:3478"]
proxies = ["10.0.0.0/8"]
[relay]
addresses = ["192.0.2.5", { bind = "10.0.0.5", public = "192.0.2.6" }]
ports = "50000-50999"
[http]
public_url = "https://call.example.org"
allowed_origins = ["https://*.example.org", "null"]
keys = [{ id = "backend", hash = "sha256:b8db13ce29483373a73f1a2b02088e125dfe20ce549b6148cc8f8b4c1f08f932", max_ttl = "2h" }]
[peers]
allow = ["10.1.0.0/16"]
allow_own = ["10000-10100/udp"]
nat64_prefixes = ["2001:db8::/96"]
[limits]
users = { galene = 2000 }
bits_per_second_total = 1000000000
[rooms]
create = "token"
[log]
level = "debug"
"#;
    for text in [text, include_str!("../../config.toml")] {
        let config = parse(text).unwrap();
        let shown = config.to_json();
        let sections = shown.as_object().unwrap().iter();
        let written: String = sections.map(|(key, value)| format!("{key} = {}\n", as_toml(value))).collect();
        let again = parse(&written).unwrap();
        assert_eq!(
            Config { source: Source::default(), ..again },
            Config { source: Source::default(), ..config }
        );
    }
}

#[test]
fn no_secret_is_shown_of_a_configuration() {
    let text = "[credentials]\nsecrets = [\"hunter2-hunter2-hunter2-hunter2-hunter2\"]\nusers = { alice = \"hunter2hunter2hunter2\" }";
    let shown = parse(text).unwrap().to_json();
    assert!(!shown.to_string().contains("hunter2"), "{shown}");
    assert_eq!(shown["credentials"]["users"]["alice"], "(hidden)");
}

/// Judges a text as [`Config::load`] judges what it reads.
fn parse(text: &str) -> Result<Config, String> {
    let mut draft = Draft::read(text, Path::new("config.toml"), &Environment::default());
    draft.check();
    draft.read_secrets_file();
    draft.finish().map_err(|error| error.to_string())
}

#[test]
fn the_file_in_the_repository_states_the_defaults() {
    let stated = parse(include_str!("../../config.toml")).unwrap();
    assert_eq!(Config { source: Source::default(), ..stated }, Config::default());
    let nothing = parse("").unwrap();
    assert_eq!(Config { source: Source::default(), ..nothing }, Config::default());
}

#[test]
fn what_listens_may_be_any_of_udp_tcp_and_tls() {
    for listen in [
        "udp = []",
        "tcp = []",
        "tcp = [\"127.0.0.1:0\"]\ntls = [\"127.0.0.1:0\", \"127.0.0.1:0\"]",
        "udp = []\ntcp = []\ntls = [\"0.0.0.0:443\"]",
        "tcp = [\"10.0.0.1:443\"]\ntls = [\"10.0.0.2:443\"]",
        "tcp = [\"0.0.0.0:50000\"]",
    ] {
        let text = format!("[tls]\ncertificate = \"a\"\nkey = \"b\"\n[listen]\n{listen}");
        assert!(parse(&text).is_ok(), "{text}\n{:?}", parse(&text));
    }
}

#[test]
fn proxies_everywhere_and_a_certificate_that_nobody_sees_are_doubtful() {
    let text = "[listen]\nproxies = [\"::/0\"]\ntcp = []\n[tls]\ncertificate = \"a\"\nkey = \"b\"";
    let warnings = parse(text).unwrap().warnings(None).join("\n");
    assert!(warnings.contains("listen.proxies: ::/0 matches every address"), "{warnings}");
    assert!(warnings.contains("tls.certificate: no client sees it"), "{warnings}");
}

#[test]
fn denied_networks_that_cover_this_machine_or_a_proxy_are_doubtful() {
    let warnings = |deny: &str| {
        let text = format!("[clients]\ndeny = [\"{deny}\"]\n[listen]\nproxies = [\"10.0.0.5/32\"]");
        parse(&text).unwrap().warnings(None).join("\n")
    };
    assert!(warnings("127.0.0.0/8").contains("clients.deny: 127.0.0.0/8 covers loopback"));
    assert!(warnings("0.0.0.0/0").contains("clients.deny: 0.0.0.0/0 covers loopback"));
    let proxy = warnings("10.0.0.0/24");
    assert!(proxy.contains("clients.deny: 10.0.0.0/24 covers 10.0.0.5/32 of listen.proxies"), "{proxy}");
    assert_eq!(warnings("203.0.113.0/24"), "");
}

#[test]
fn opened_ports_of_the_machine_are_read_and_those_that_one_listener_keeps_closed_are_said() {
    let text = "[listen]\nudp = [\"192.0.2.1:3478\"]\ntcp = []\n[relay]\ntcp = true\n[peers]\n\
        allow_own = [\"3000-4000/udp\", \"8080/tcp\"]";
    let config = parse(text).unwrap();
    let own = |ports, transport| OwnPorts { ports, transport };
    assert_eq!(config.peers.allow_own, [own(3000..=4000, Transport::Udp), own(8080..=8080, Transport::Tcp)]);
    let warnings = config.warnings(None).join("\n");
    assert!(warnings.contains("192.0.2.1:3478 stays closed, because it is one of listen.udp"), "{warnings}");
    assert!(!warnings.contains("8080"), "HTTP on loopback is in nobody's way: {warnings}");
}

/// The table of docs/sfu.md, and the way out that it names for a range that lies in ours.
#[test]
fn what_the_documentation_opens_for_an_sfu_is_good() {
    let text = include_str!("../../docs/sfu.md");
    let cells =
        text.lines().filter_map(|line| line.strip_prefix("| ")?.rsplit_once("| `")?.1.strip_suffix("` |"));
    let opened: Vec<&str> = cells.filter(|cell| cell.starts_with('[')).collect();
    assert_eq!(opened.len(), 4);
    for opened in opened {
        assert_eq!(
            parse(&format!("[peers]\nallow_own = {opened}")).map(|config| config.peers.allow_own.len()),
            Ok(1)
        );
    }
    let moved = "relay.ports = \"40001-49999\"";
    assert!(text.contains(moved));
    assert!(parse(&format!("{moved}\n[peers]\nallow_own = [\"50000-60000/udp\"]")).is_ok());
}

#[test]
fn a_public_range_is_opened_in_vain_unless_it_is_the_machines_own_network() {
    let config = parse("[peers]\nallow = [\"198.41.0.0/24\", \"10.0.0.0/8\"]").unwrap();
    let in_it = Own::new(Vec::new(), &["198.41.0.9/22".parse().unwrap()]);
    assert_eq!(config.needless_openings(&in_it), Vec::<String>::new());
    let elsewhere = config.needless_openings(&Own::default());
    assert!(elsewhere.len() == 1 && elsewhere[0].contains("198.41.0.0/24 is open anyway"), "{elsewhere:?}");
}

#[test]
fn what_browsers_will_not_be_told_of_is_doubtful() {
    let text = "[listen]\nudp = [\"0.0.0.0:53\"]\n[tls]\ncertificate = \"a\"\nkey = \"b\"";
    let warnings = parse(text).unwrap().warnings(None).join("\n");
    assert!(warnings.contains("listen.udp: browsers refuse port 53"), "{warnings}");
    assert!(warnings.contains("http.ice_host: "), "{warnings}");
    let named = format!("{text}\n[http]\nice_host = \"turn.example.org\"");
    assert!(!parse(&named).unwrap().warnings(None).join("\n").contains("ice_host"));
}

#[test]
fn a_network_that_may_less_than_one_address_in_it_is_doubtful() {
    for (text, key) in [
        ("answers_per_ip = 200", "limits.answers_per_network: a whole network may have 100"),
        ("answers_per_network_burst = 100", "limits.answers_per_network_burst: a whole network may have 100"),
        (
            "connections_per_ip = 20\nconnections_per_network = 10",
            "limits.connections_per_network: a whole network may have 10",
        ),
    ] {
        let warnings = parse(&format!("[limits]\n{text}")).unwrap().warnings(None).join("\n");
        assert!(warnings.contains(key), "{warnings}");
    }
    assert_eq!(parse("").unwrap().warnings(None), Vec::<String>::new());
}

#[test]
fn a_limit_of_one_day_that_a_restart_forgets_is_doubtful() {
    let warnings = |text: &str| parse(text).unwrap().warnings(None).join("\n");
    let limit = "[limits]\nbytes_per_user_per_day = 1000000000\n";
    assert!(warnings(limit).contains("a restart forgets what users have carried today: set usage.path"));
    assert_eq!(warnings(&format!("{limit}[usage]\npath = \"auto\"")), "");
}

#[test]
fn limits_that_are_too_low_for_a_full_room_are_doubtful() {
    let warnings = |text: &str| parse(text).unwrap().warnings(None).join("\n");
    let low = warnings("[rooms]\ncapacity = 8\n[limits]\nallocations_per_user = 16\nallocations_per_ip = 64");
    assert!(low.contains("limits.allocations_per_user: a member in a room of 8"), "{low}");
    assert!(low.contains("limits.allocations_per_ip: two members behind one address"), "{low}");
    assert!(low.contains("may need 42 allocations, and may have 16"), "{low}");
    assert!(
        !warnings("[rooms]\ncapacity = 8").contains("allocations"),
        "the defaults carry the largest room"
    );
}

#[test]
fn both_sides_of_a_nat_can_be_named() {
    let text = "[relay]\naddresses = [\"10.0.0.6\", { bind = \"10.0.0.5\", public = \"198.51.100.10\" }]";
    let ip = |text: &str| text.parse().unwrap();
    let expected = [
        RelayAddress { bind: ip("10.0.0.6"), public: ip("10.0.0.6") },
        RelayAddress { bind: ip("10.0.0.5"), public: ip("198.51.100.10") },
    ];
    assert_eq!(parse(text).unwrap().relay.wanted(), expected.map(WantedAddress::from));
}

#[test]
fn an_address_may_be_the_default_one_and_its_public_side_what_a_name_or_a_server_tells() {
    for (text, expected) in [
        ("\"auto\"", json!("auto")),
        ("{ bind = \"auto\", public = \"203.0.113.5\" }", json!({ "bind": "auto", "public": "203.0.113.5" })),
        (
            "{ bind = \"auto\", public = \"Turn.example.org.\" }",
            json!({ "bind": "auto", "public": "turn.example.org" }),
        ),
        (
            "{ bind = \"10.0.0.5\", public = { stun = \"[2001:DB8::9]:3478\" } }",
            json!({ "bind": "10.0.0.5", "public": { "stun": "[2001:db8::9]:3478" } }),
        ),
    ] {
        let config = parse(&format!("[relay]\naddresses = [{text}]")).unwrap();
        assert_eq!(config.relay.addresses.to_json(), json!([expected]));
    }
    assert_eq!(parse("").unwrap().relay.wanted(), [WantedAddress::AUTO]);
}

#[test]
fn public_ports_are_a_port_or_a_list_for_each_transport() {
    let config = parse("[http]\npublic_ports = { tcp = [443, 3478], tls = 443 }").unwrap();
    assert_eq!(config.http.public_ports.to_json(), json!({ "tcp": [443, 3478], "tls": [443] }));
    let (listen, name) = (["0.0.0.0:3478".parse().unwrap()], "turn.example.org");
    let config = parse(&format!(
        "[http]\nice_host = {name:?}\npublic_ports = {{ tcp = 443 }}\nliteral_address = true"
    ));
    let relay = [RelayAddress { bind: [10, 0, 0, 5].into(), public: [198, 51, 100, 10].into() }];
    let served = Served { udp: &listen, tcp: &listen, tls: &[], tls_on_tcp: false, relay: &relay };
    let servers = config.unwrap().ice_servers(&served);
    let expected = [
        "turn:turn.example.org:3478?transport=udp",
        "turn:turn.example.org:443?transport=tcp",
        "turn:198.51.100.10:3478?transport=udp",
    ];
    assert_eq!(servers.uris(None).collect::<Vec<_>>(), expected);
}

#[test]
fn a_private_relay_address_is_worth_a_warning_where_clients_may_come_from_the_internet() {
    let ip = |text: &str| text.parse().unwrap();
    let private = [
        RelayAddress { bind: ip("10.0.0.5"), public: ip("10.0.0.5") },
        RelayAddress { bind: ip("fd00::5"), public: ip("fd00::5") },
        RelayAddress { bind: ip("10.0.0.6"), public: ip("192.168.1.1") },
    ];
    let warnings = |listen: &str| {
        let text = format!("[listen]\nudp = [{listen:?}]\ntcp = []");
        parse(&text).unwrap().private_relays(&private)
    };
    for listen in ["0.0.0.0:3478", "[::]:3478", "9.9.9.9:3478"] {
        let said = warnings(listen);
        assert_eq!(said.len(), 3, "{said:?}");
        assert!(said[0].starts_with("relay.addresses: 10.0.0.5 is not public"), "{said:?}");
        assert!(said[2].contains("10.0.0.6 (public address 192.168.1.1) is not public"), "{said:?}");
    }
    assert_eq!(warnings("10.0.0.5:3478"), [""; 0]);
    let public = [RelayAddress { bind: ip("10.0.0.5"), public: ip("9.9.9.9") }];
    assert_eq!(Config::default().private_relays(&public), [""; 0]);
}

#[test]
fn a_mistake_names_file_line_key_reason_and_remedy() {
    for (text, expected) in MISTAKES {
        let error = parse(text).expect_err(text);
        let told = |line: &str| line.starts_with(expected.0) && line.contains(expected.1);
        assert!(error.lines().any(told), "{text}\n{error}\nshould say {expected:?}");
    }
}

#[test]
fn one_mistake_is_one_line_and_causes_no_other() {
    let several = [
        "tls = [\"0.0.0.0:1\"]\ntcp",
        "id = \"a\"\nhash = \"md5",
        "id = \"a\"\norigins",
        "rate = 1",
        "a = 2",
        "\"diag\"",
        "\"a.b\"",
    ];
    for (text, _) in MISTAKES.iter().filter(|(text, _)| !several.iter().any(|part| text.contains(part))) {
        let error = parse(text).expect_err(text);
        assert_eq!(error.lines().count(), 1, "{text}\n{error}");
    }
}

#[test]
fn all_mistakes_are_said_in_the_order_of_the_file() {
    for (text, expected) in [
        // Values that are wrong, and a table that is not known.
        (
            "[lisen]\na = 1\n[log]\nlevel = 1\nformat = 2\n[limits]\nx = 1\nchannels = \"y\"",
            &["1: lisen: ", "4: log.level: ", "5: log.format: ", "7: limits.x: ", "8: limits.channels: "][..],
        ),
        // Every item of a list, and every part of a table in one; what is cut out is not missing.
        (
            "[http]\nproxies = [\"10.0.0.0/8\", \"*\", \"10.0.0.1\"]\n[[http.keys]]\nid = \".\"\nhash = \"\"\nrate = 1\n\
             [[http.keys]]\nid = \"a\"",
            &[
                "2: http.proxies: \"*\" is not a range: write \"10.0.0.0/8\" or \"fd00::/8\"",
                "2: http.proxies: \"10.0.0.1\" has no length",
                "4: http.keys.id: ",
                "5: http.keys.hash: ",
                "6: http.keys.rate: ",
                "7: http.keys: the hash is missing",
            ][..],
        ),
        // A value that is wrong contradicts nothing, and what is right does.
        (
            "[listen]\nudp = [\"x\"]\ntcp = []\n[relay]\nports = \"3478\"\n[tls]\ncertificate = 1\nkey = \"a\"\n\
             [credentials]\nsecrets = 1\nrealm = \"\"\nttl = \"1s\"",
            &[
                "2: listen.udp: ",
                "5: relay.ports: ",
                "7: tls.certificate: ",
                "10: credentials.secrets: ",
                "11: credentials.realm: ",
                "12: credentials.ttl: ",
            ][..],
        ),
        // What stands before the first fault of TOML itself, and all of those.
        (
            "[log]\nlevel = 1\n[listen]\nudp = [\"x\"\n[peers]\nallow = 1\nloopback = maybe\n",
            &["2: log.level: ", "5: "][..],
        ),
    ] {
        let error = parse(text).expect_err(text);
        let found: Vec<_> = error.lines().map(|line| line.strip_prefix("config.toml:").unwrap()).collect();
        assert!(found.len() >= expected.len(), "{error}");
        for (found, expected) in found.iter().zip(expected) {
            assert!(found.starts_with(expected), "{found}\nshould start with {expected}\n{error}");
        }
    }
}

#[test]
fn a_file_of_mistakes_alone_is_judged_soon() {
    let text: String = (0..20_000).map(|n| format!("key{n} = {n}\n")).collect();
    let lines = parse(&text).unwrap_err().lines().count();
    assert!((50..=110).contains(&lines), "{lines}");
}

#[test]
fn an_ipv4_address_written_as_ipv6_is_met_with_how_to_write_it() {
    for (text, write) in [
        (
            "[listen]\nudp = [\"[::ffff:127.0.0.1]:3478\"]",
            "listen.udp: \"[::ffff:127.0.0.1]:3478\" is IPv4 written as IPv6, which cannot be bound: write \"127.0.0.1:3478\"",
        ),
        ("[listen]\ntcp = [\"[::ffff:0:0]:1\"]", "write \"0.0.0.0:1\""),
        ("[listen]\ntls = [\"[::ffff:1.2.3.4]:1\"]", "listen.tls: \"[::ffff:1.2.3.4]:1\""),
        ("[http]\nlisten = [\"[::ffff:127.0.0.1]:8080\"]", "write \"127.0.0.1:8080\""),
        ("[listen]\nproxies = [\"::ffff:10.0.0.0/104\"]", "write \"10.0.0.0/8\""),
        ("[http]\nproxies = [\"::ffff:127.0.0.1/128\"]", "write \"127.0.0.1/32\""),
        (
            "[peers]\nallow = [\"::ffff:10.1.0.0/112\"]",
            "peers.allow: ::ffff:10.1.0.0/112 is IPv4 written as IPv6, which no packet shows: write \"10.1.0.0/16\"",
        ),
        ("[peers]\ndeny = [\"::ffff:0:0/90\"]", "write the range of IPv4"),
        ("[peers]\nnat64_prefixes = [\"::ffff:0:0/96\"]", "peers.nat64_prefixes: "),
        ("[relay]\naddresses = [\"::ffff:10.0.0.1\"]", "write \"10.0.0.1\""),
        (
            "[relay]\naddresses = [{ bind = \"10.0.0.1\", public = \"::ffff:192.0.2.1\" }]",
            "write \"192.0.2.1\"",
        ),
    ] {
        let error = parse(text).expect_err(text);
        assert!(error.contains(write) && error.lines().count() == 1, "{error}\nshould contain {write}");
    }
}

#[test]
fn an_address_that_no_machine_has_is_none_to_listen_on_or_relay_from() {
    for (address, reason) in [
        ("224.0.0.1:1", "is a multicast or broadcast address"),
        ("[ff02::1]:1", "is a multicast or broadcast address"),
        ("255.255.255.255:1", "is a multicast or broadcast address"),
        ("[fe80::1]:1", "write \"[fe80::1%2]:1\""),
    ] {
        let error = parse(&format!("[listen]\nudp = [{address:?}]")).expect_err(address);
        assert!(error.contains(reason), "{error}");
    }
    assert!(parse("[listen]\nudp = [\"[fe80::1%2]:1\"]").is_ok());
    for address in ["224.0.0.1", "255.255.255.255", "fe80::1", "ff02::1"] {
        let error = parse(&format!("[relay]\naddresses = [{address:?}]")).expect_err(address);
        assert!(error.contains("cannot be relayed from"), "{error}");
    }
}

#[test]
fn a_mistake_in_a_key_names_the_key() {
    let key = |id: &str, hash: &str, rest: &str| {
        format!("[[http.keys]]\nid = \"{id}\"\nhash = \"sha256:{}\"\n{rest}\n", hash.repeat(64))
    };
    for (text, place, reason) in [
        (key("a", "0", "max_ttl = \"1s\""), "4: http.keys.max_ttl", "from \"1m\" to \"1day\""),
        (key("a", "0", "max_ttl = \"2days\""), "4: http.keys.max_ttl", "from \"1m\" to \"1day\""),
        (
            key("a", "0", "per_minute = 0"),
            "4: http.keys.per_minute",
            "0 is not allowed here: write a whole number from 1",
        ),
        (key("a", "0", "") + &key("b", "0", ""), "1: http.keys", "\"a\" and \"b\" have the same hash"),
        (key("a", "0", "") + &key("a", "1", ""), "1: http.keys", "have the same id"),
        (
            key("a", "0", "") + "[credentials]\nusers = { a = \"a long password\" }",
            "1: http.keys",
            "credentials.secrets",
        ),
    ] {
        let error = parse(&text).expect_err(&text);
        assert!(error.starts_with(&format!("config.toml:{place}: ")) && error.contains(reason), "{error}");
    }
    assert!(parse(&(key("a", "0", "max_ttl = \"1h\"") + &key("b", "1", ""))).is_ok());
}

#[test]
fn a_secret_is_never_shown_in_an_error() {
    for text in [
        "[credentials]\nsecrets = [\"hunter2\"]",
        "[credentials]\nsecrets = \"hunter2\"",
        "[credentials]\nsecrets = [[\"hunter2\"]]",
        "[credentials]\nusers = \"alice:hunter2\"",
        "[credentials]\nusers = { alice = [\"hunter2\"] }",
        "[credentials]\nusers = { \"alice:hunter2\" = \"\" }",
        "[credentials]\nusers = { alice = \"hunter2\\u0007\" }",
        "[credentials]\nttl = { secret = \"hunter2\" }",
        "credentials = \"hunter2\"",
        "[[http.keys]]\nhash = \"hunter2\"",
        "[[http.keys]]\nhash = [\"hunter2\"]",
        "[http]\nkeys = [\"hunter2\"]",
        "[http]\nkeys = \"hunter2\"",
        "[credentials]\nsecrets = [hunter2]",
        "[credentials]\nsecrets = [\"hunter2]",
        "[credentials]\nsecrets = [\"hunter2\\u200b\"]",
        "[credentials]\nsecrets = \"hunter2\"\nttl = \"hunter2\"\nusers = { a = \"hunter2\\u0000\" }\nrealm = [\"hunter2\"]",
    ] {
        let error = parse(text).expect_err(text);
        assert!(error.starts_with("config.toml:") && !error.contains("hunter2"), "{error}");
    }
}

/// Whatever kind of value is in the place of a secret, or of what stands beside one: no error shows it.
#[test]
fn a_value_of_any_kind_in_the_place_of_a_secret_is_never_shown() {
    let values = [
        r#""hunter2""#,
        r#""hunter2\u0000""#,
        "'''\nhunter2\n'''",
        r#"["hunter2"]"#,
        r#"["hunter2", 1]"#,
        r#"[["hunter2"]]"#,
        r#"[{ a = "hunter2" }]"#,
        r#"{ a = "hunter2" }"#,
        r#"{ a = ["hunter2"] }"#,
        r#"{ a = { b = "hunter2" } }"#,
        "42424242424",
        "4242.4242",
        "0x4242424242424242424242",
        "[4242424242]",
        "{ a = 4242424242 }",
        "4242-04-24",
        "4242-04-24T04:24:24Z",
        "hunter2",
        r#""hunter2"#,
        r#"["hunter2""#,
        r#""hunter2" "hunter2""#,
    ];
    for key in [
        "credentials",
        "credentials.secrets",
        "credentials.users",
        "credentials.users.alice",
        "credentials.realm",
        "credentials.ttl",
        "credentials.check_expiry",
        "credentials.allow_weak_secret",
        "http.keys",
        "[[http.keys]]\nhash",
        "[[http.keys]]\nmax_ttl",
        "[[http.keys]]\nallow_query",
    ] {
        let mut refused = 0;
        for value in values {
            let text = format!("{key} = {value}\n");
            let Err(error) = Config::parse(&text, Path::new("config.toml")) else { continue };
            refused += 1;
            for shown in [error.to_string(), format!("{error:?}")] {
                assert!(!shown.contains("hunter2") && !shown.contains("4242"), "{text}{shown}");
            }
        }
        assert!(refused > values.len() / 2, "{key}: {refused}");
    }
}

#[test]
fn every_bad_item_of_a_list_is_said_at_its_own_line() {
    for (key, bad) in [
        ("listen.udp", ["3478", "a:b"]),
        ("listen.proxies", ["*", "10.0.0.1"]),
        ("tls.names", ["*.example.org", "a..b"]),
        ("http.listen", ["8080", ":80"]),
        ("http.allowed_origins", ["*", "example.org"]),
        ("http.proxies", ["all", "fd00::/129"]),
        ("relay.addresses", ["eth0", "0.0.0.0"]),
        ("relay.alternates", ["here", "192.0.2.9:0"]),
        ("peers.allow", ["127.0.0.0/8", "169.254.0.0/16"]),
        ("peers.deny", ["a", "b"]),
        ("peers.allow_own", ["22/udp", "1000"]),
        ("peers.nat64_prefixes", ["10.0.0.0/8", "x"]),
        ("credentials.secrets", ["a\\u0000", "b\\u0000"]),
    ] {
        let error = parse(&format!("{key} = [\n\"{}\",\n\"{}\",\n]", bad[0], bad[1])).expect_err(key);
        let lines: Vec<&str> = error.lines().collect();
        assert_eq!(lines.len(), 2, "{error}");
        for (line, at) in lines.iter().zip([2, 3]) {
            assert!(line.starts_with(&format!("config.toml:{at}: {key}: ")), "{error}");
        }
    }
    let keys = "[[http.keys]]\nid = \"a\"\norigins = [\n\"*\",\n\"b\"\n]\n";
    let error = parse(keys).unwrap_err();
    for start in ["1: http.keys: the hash", "4: http.keys.origins: ", "5: http.keys.origins: "] {
        assert!(error.contains(&format!("config.toml:{start}")), "{error}");
    }
}

#[test]
fn the_text_of_a_file_is_judged_without_another_file_and_no_secret_is_made_in_its_place() {
    let config = Config::parse("credentials.secrets_file = \"/nonexistent\"", Path::new("a")).unwrap();
    assert!(config.credentials.is_configured() && config.credentials.secrets.is_empty());
    assert!(!Config::default().credentials.is_configured());
}

/// A file, how its error starts, and what else it says.
const MISTAKES: &[(&str, (&str, &str))] = &[
    ("[listen]\nudq = []", ("config.toml:2: listen.udq: ", "unknown")),
    ("[usage]\npath = \"usage.db\"", ("config.toml:2: usage.path: ", "begins with /")),
    ("[usage]\npath = \"/var/lib/\"", ("config.toml:2: usage.path: ", "\"/var/lib/hairpin/usage.db\"")),
    ("[usage]\ndays = 0", ("config.toml:2: usage.days: ", "from 1 to 3650")),
    (
        "[limits]\nbytes_per_user_per_day = \"1 GB\"",
        ("config.toml:2: limits.bytes_per_user_per_day: ", "\"off\" or a whole number"),
    ),
    ("[lisen]", ("config.toml:1: lisen: ", "unknown")),
    ("\n[listen]\nudp = [\"3478\"]", ("config.toml:3: listen.udp: ", "\"0.0.0.0:3478\"")),
    ("[listen]\nudp = []\ntcp = []", ("config.toml:2: listen.udp: ", "at least one")),
    ("[listen]\nudp = [\"0.0.0.0:1\", \"0.0.0.0:1\"]", ("config.toml:2: listen.udp: ", "twice")),
    (
        "[listen]\nudp = [\"0.0.0.0:1\", \"10.0.0.1:1\"]",
        ("config.toml:2: listen.udp: ", "0.0.0.0:1 includes 10.0.0.1:1"),
    ),
    ("[listen]\nudp = [\"0.0.0.0:50000\"]", ("config.toml:2: listen.udp: ", "relay.ports")),
    (
        "[listen]\ntcp = [\"0.0.0.0:1\", \"0.0.0.0:1\"]",
        ("config.toml:2: listen.tcp: ", "0.0.0.0:1 is listed twice"),
    ),
    ("[listen]\ntcp = [\"[::]:1\", \"[::1]:1\"]", ("config.toml:2: listen.tcp: ", "[::]:1 includes [::1]:1")),
    (
        "[listen]\ntls = [\"0.0.0.0:1\"]\ntcp = [\"10.0.0.1:1\"]",
        ("config.toml:2: listen.tls: ", "0.0.0.0:1 is in listen.tcp too"),
    ),
    ("[listen]\ntls = [\"0.0.0.0:443\"]", ("config.toml:2: listen.tls: ", "tls.certificate and tls.key")),
    (
        "[relay]\ntcp = true\n[listen]\ntcp = [\"0.0.0.0:50000\"]",
        ("config.toml:4: listen.tcp: ", "relay.ports"),
    ),
    ("[listen]\nproxies = [\"10.0.0.1\"]", ("config.toml:2: listen.proxies: ", "10.0.0.1/32")),
    (
        "[tls]\ncertificate = 1",
        ("config.toml:2: tls.certificate: ", "write a file in quotes, or a list of files"),
    ),
    ("[tls]\ncertificate = \"a\"", ("config.toml:2: tls.certificate: ", "tls.key")),
    ("[tls]\nkey = \"a\"", ("config.toml:2: tls.key: ", "tls.certificate")),
    (
        "[tls]\nkey = \"a\"\ncertificate = [\"b\", \"c\"]",
        ("config.toml:2: tls.key: ", "there are 1 keys and 2 certificates"),
    ),
    ("[tls]\nnames = [\"a.example\"]", ("config.toml:2: tls.names: ", "no certificate")),
    ("[tls.acme]\nnames = [\"a.example\"]", ("config.toml:2: tls.acme.names: ", "accept_terms = true")),
    (
        "[tls.acme]\nnames = [\"a.example\"]\naccept_terms = true\ndirectory = \"http://a.example\"",
        ("config.toml:4: tls.acme.directory: ", "\"letsencrypt-staging\""),
    ),
    (
        "[tls.acme]\nnames = [\"*.a.example\"]\naccept_terms = true",
        ("config.toml:2: tls.acme.names: ", "is not a host name"),
    ),
    (
        "[listen]\ntcp = []\n[tls.acme]\nnames = [\"a.example\"]\naccept_terms = true",
        ("config.toml:4: tls.acme.names: ", "listen.tls"),
    ),
    (
        "[tls]\nnames = [\"\"]\ncertificate = \"a\"\nkey = \"b\"",
        ("config.toml:2: tls.names: ", "\"\" is not a host name"),
    ),
    (
        "[tls]\nnames = [\"*.a.example\"]\ncertificate = \"a\"\nkey = \"b\"",
        ("config.toml:2: tls.names: ", "\"*.a.example\" is not a host name"),
    ),
    (
        "[http]\nice_urls = [\"turn:example.org\", \"turns:192.0.2.1\"]",
        ("config.toml:2: http.ice_urls: ", "only with a host name"),
    ),
    ("[http]\nice_urls = [\"stun:example.org\"]", ("config.toml:2: http.ice_urls: ", "there is no TURN URL")),
    (
        "[http]\nice_urls = [\"turn:example.org\"]\npublic_ports = { tls = 443 }",
        ("config.toml:3: http.public_ports: ", "remove one of the two"),
    ),
    (
        "[http]\nice_urls = [\"turn:example.org\"]\nliteral_address = true",
        ("config.toml:3: http.literal_address: ", "remove one of the two"),
    ),
    ("[http]\npublic_ports = 443", ("config.toml:2: http.public_ports: ", "tcp = [443, 3478]")),
    ("[http]\npublic_ports = { https = 443 }", ("config.toml:2: http.public_ports.https: ", "udp, tcp, tls")),
    ("[http]\npublic_ports = { tcp = 0 }", ("config.toml:2: http.public_ports.tcp: ", "from 1 to 65535")),
    (
        "[http]\npublic_ports = { tcp = \"443\" }",
        ("config.toml:2: http.public_ports.tcp: ", "from 1 to 65535"),
    ),
    (
        "[http]\npublic_ports = { tcp = [443, 443] }",
        ("config.toml:2: http.public_ports.tcp: ", "443 is listed twice"),
    ),
    (
        "[http]\npublic_ports = { udp = 53 }",
        ("config.toml:2: http.public_ports.udp: ", "browsers refuse port 53"),
    ),
    (
        "[listen]\nudp = []\n[http]\npublic_ports = { udp = 443 }",
        ("config.toml:4: http.public_ports: ", "nothing listens over UDP"),
    ),
    (
        "[listen]\ntcp = []\n[http]\npublic_ports = { tls = 443 }",
        ("config.toml:4: http.public_ports: ", "nothing listens over TCP"),
    ),
    ("[http]\nlisten = [\"8080\"]", ("config.toml:2: http.listen: ", "address with a port")),
    ("[http]\nlisten = [\"0.0.0.0:3478\"]", ("config.toml:2: http.listen: ", "is in listen.tcp too")),
    ("[http]\npublic_url = \"a.example\"", ("config.toml:2: http.public_url: ", "https://call.example.org")),
    (
        "[http]\npublic_url = \"https://a.example/r/b\"",
        ("config.toml:2: http.public_url: ", "https://a.example"),
    ),
    ("[http]\nallowed_origins = [\"*\"]", ("config.toml:2: http.allowed_origins: ", "\"*\"")),
    ("[[http.keys]]\nid = \"a\"", ("config.toml:1: http.keys: ", "the hash is missing")),
    ("[[http.keys]]\nid = \"diag\"", ("config.toml:2: http.keys.id: ", "neither diag")),
    ("[[http.keys]]\nid = \"a.b\"", ("config.toml:2: http.keys.id: ", "\"a.b\" is not a valid key id")),
    ("[[http.keys]]\nid = \"a\"\nhash = \"md5:\"", ("config.toml:3: http.keys.hash: ", "hairpin api-key")),
    ("[[http.keys]]\nid = \"a\"\norigins = [\"*\"]", ("config.toml:3: http.keys.origins: ", "\"*\"")),
    ("[[http.keys]]\nrate = 1", ("config.toml:2: http.keys.rate: ", "unknown key")),
    ("[http]\nproxies = [\"10.0.0.1\"]", ("config.toml:2: http.proxies: ", "10.0.0.1/32")),
    ("[http]\nice_host = \"turn:a\"", ("config.toml:2: http.ice_host: ", "is not a host name or an address")),
    ("[relay]\nports = \"50000\"", ("config.toml:2: relay.ports: ", "\"49152-65535\"")),
    ("[relay]\nports = \"60000-50000\"", ("config.toml:2: relay.ports: ", "60000")),
    ("[relay]\nports = \"80-50000\"", ("config.toml:2: relay.ports: ", "1024")),
    ("[relay]\naddresses = []", ("config.toml:2: relay.addresses: ", "auto")),
    ("[relay]\naddresses = \"eth0\"", ("config.toml:2: relay.addresses: ", "auto")),
    ("[relay]\naddresses = [\"0.0.0.0\"]", ("config.toml:2: relay.addresses: ", "0.0.0.0")),
    (
        "[relay]\naddresses = [{ bind = \"10.0.0.1\", public = \"::2\" }]",
        ("config.toml:2: relay.addresses: ", "same family"),
    ),
    ("[relay]\naddresses = [{ bind = \"10.0.0.1\" }]", ("config.toml:2: relay.addresses: ", "public")),
    (
        "[relay]\naddresses = [{ bind = \"eth0\", public = \"1.1.1.1\" }]",
        ("config.toml:2: relay.addresses.bind: ", "\"10.0.0.5\""),
    ),
    (
        "[relay]\naddresses = [{ bind = \"auto\", public = \"auto\" }]",
        ("config.toml:2: relay.addresses.public: ", "\"auto\" is not allowed here: write \"192.0.2.5\""),
    ),
    (
        "[relay]\naddresses = [{ bind = \"auto\", public = { stun = \"a.example\" } }]",
        ("config.toml:2: relay.addresses.public.stun: ", "is not a host with a port"),
    ),
    (
        "[relay]\naddresses = [{ bind = \"auto\", public = \"0.0.0.0\" }]",
        ("config.toml:2: relay.addresses: ", "0.0.0.0 cannot be relayed from"),
    ),
    ("[relay]\naddresses = [\"auto\", \"auto\"]", ("config.toml:2: relay.addresses: ", "the same address")),
    (
        "[relay]\naddresses = [{ bind = \"10.0.0.1\", public = \"1.1.1.1\" }, { bind = \"10.0.0.1\", public = \"1.1.1.2\" }]",
        ("config.toml:2: relay.addresses: ", "10.0.0.1 is listed twice"),
    ),
    ("[relay]\nthreads = 2000", ("config.toml:2: relay.threads: ", "1024")),
    ("[relay]\nthreads = 0", ("config.toml:2: relay.threads: ", "auto")),
    ("[relay]\ndrain_timeout = \"2days\"", ("config.toml:2: relay.drain_timeout: ", "at most \"1day\"")),
    ("[relay]\ndrain_timeout = \"soon\"", ("config.toml:2: relay.drain_timeout: ", "\"10m\"")),
    ("[relay]\nalternates = [\"192.0.2.9\"]", ("config.toml:2: relay.alternates: ", "with a port")),
    ("[relay]\nalternates = [\"0.0.0.0:3478\"]", ("config.toml:2: relay.alternates: ", "cannot reach")),
    (
        "[relay]\nalternates = [\"[::ffff:1.2.3.4]:1\"]",
        ("config.toml:2: relay.alternates: ", "write \"1.2.3.4:1\""),
    ),
    (
        "[relay]\nalternates = [\"192.0.2.9:1\", \"192.0.2.9:1\"]",
        ("config.toml:2: relay.alternates: ", "listed twice"),
    ),
    ("[credentials]\nrealm = \"\"", ("config.toml:2: credentials.realm: ", "realm")),
    ("[credentials]\nrealm = 'a\"b'", ("config.toml:2: credentials.realm: ", "quote")),
    (
        "[credentials]\nsecrets = [\"short\"]",
        ("config.toml:2: credentials.secrets: ", "openssl rand -base64 32"),
    ),
    (
        "[credentials]\nsecrets_file = \"/nonexistent\"",
        ("config.toml:2: credentials.secrets_file: ", "/nonexistent"),
    ),
    ("[credentials]\nusers = { \"\" = \"x\" }", ("config.toml:2: credentials.users: ", "empty")),
    ("[credentials]\nusers = { \"a:b\" = \"x\" }", ("config.toml:2: credentials.users: ", "colon")),
    ("[credentials]\nttl = 60", ("config.toml:2: credentials.ttl: ", "\"1h\"")),
    ("[credentials]\nttl = \"5s\"", ("config.toml:2: credentials.ttl: ", "1m")),
    ("[credentials]\ncheck_expiry = \"never\"", ("config.toml:2: credentials.check_expiry: ", "allocate")),
    ("[peers]\nallow = [\"10.0.0.0\"]", ("config.toml:2: peers.allow: ", "10.0.0.0/32")),
    ("[peers]\nallow = [\"127.0.0.0/8\"]", ("config.toml:2: peers.allow: ", "loopback = true")),
    ("[peers]\nallow = [\"169.254.0.0/16\"]", ("config.toml:2: peers.allow: ", "never")),
    ("[peers]\nallow_own = [\"10000\"]", ("config.toml:2: peers.allow_own: ", "\"10000/udp\"")),
    ("[peers]\nallow_own = [\"10000/sctp\"]", ("config.toml:2: peers.allow_own: ", "20000-20100/udp")),
    ("[peers]\nallow_own = [\"70000/udp\"]", ("config.toml:2: peers.allow_own: ", "is not a port")),
    ("[peers]\nallow_own = [\"2-1/udp\"]", ("config.toml:2: peers.allow_own: ", "lower port first")),
    ("[peers]\nallow_own = [\"22-53/udp\"]", ("config.toml:2: peers.allow_own: ", "never media")),
    ("[peers]\nallow_own = [\"4443/tcp\"]", ("config.toml:2: peers.allow_own: ", "relay.tcp")),
    ("[peers]\nallow_own = [\"40000-50000/udp\"]", ("config.toml:2: peers.allow_own: ", "relay.ports")),
    (
        "[peers]\nallow_own = [\"3000-4000/udp\"]",
        ("config.toml:2: peers.allow_own: ", "0.0.0.0:3478 is one of listen.udp"),
    ),
    (
        "[limits]\nchannels = 0",
        ("config.toml:2: limits.channels: ", "0 is not allowed here: write a whole number from 1 to"),
    ),
    (
        "[limits]\nchannels = -1",
        ("config.toml:2: limits.channels: ", "-1 is not allowed here: write a whole number"),
    ),
    (
        "[limits]\nchannels = 1.5",
        ("config.toml:2: limits.channels: ", "1.5 is not allowed here: write a whole number"),
    ),
    (
        "[limits]\nusers = { a = \"x\" }",
        ("config.toml:2: limits.users.a: ", "a string is not allowed here: write a whole number"),
    ),
    ("[rooms]\nmembers = 99999999999999999999", ("config.toml:2: rooms.members: ", "write a whole number")),
    (
        "[rooms]\nknock = \"yes\"",
        ("config.toml:2: rooms.knock: ", "a string is not allowed here: write true or false"),
    ),
    ("[limits]\nconnections_per_ip = 0", ("config.toml:2: limits.connections_per_ip: ", "auto")),
    ("[limits]\nconnections_per_network = 0", ("config.toml:2: limits.connections_per_network: ", "auto")),
    (
        "[limits]\nhandshakes_per_ip = 0",
        ("config.toml:2: limits.handshakes_per_ip: ", "write a whole number from 1 to"),
    ),
    ("[limits]\nconnections = 0", ("config.toml:2: limits.connections: ", "auto")),
    ("[limits]\nallocations = 0", ("config.toml:2: limits.allocations: ", "auto")),
    ("[limits]\nallocations = 100000", ("config.toml:2: limits.allocations: ", "relay.ports")),
    ("[rooms]\ncapacity = 9", ("config.toml:2: rooms.capacity: ", "from 2 to 8")),
    ("[rooms]\ncapacity = 1", ("config.toml:2: rooms.capacity: ", "from 2 to 8")),
    ("[rooms]\ncreate = \"password\"", ("config.toml:2: rooms.create: ", "run `hairpin room-password`")),
    (
        "[rooms]\npassword_hash = \"hunter2hunter2\"",
        ("config.toml:2: rooms.password_hash: ", "this is not the hash of a password"),
    ),
    (
        "[rooms]\ncreate = \"nobody\"",
        ("config.toml:2: rooms.create: ", "\"anyone\", \"token\" or \"password\""),
    ),
    (
        "[rooms]\nsockets_per_ip = 0",
        ("config.toml:2: rooms.sockets_per_ip: ", "write a whole number from 1 to"),
    ),
    (
        "[limits]\nfailures_per_minute = 1001",
        ("config.toml:2: limits.failures_per_minute: ", "from 1 to 1000"),
    ),
    ("[log]\nlevel = \"loud\"", ("config.toml:2: log.level: ", "debug")),
    ("[log]\nformat = \"xml\"", ("config.toml:2: log.format: ", "json")),
    ("[log]\nlevel = ", ("config.toml:2: ", "")),
    ("a = 1\na = 2", ("config.toml:2: ", "duplicate")),
];

/// The configuration of a file and of environment variables.
fn with_environment(text: &str, variables: &[(&str, &str)]) -> Result<Config, String> {
    let variables = variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    let mut draft = Draft::read(text, Path::new("config.toml"), &Environment::new(variables));
    draft.check();
    draft.finish().map_err(|error| error.to_string())
}

#[test]
fn the_environment_sets_every_key_and_comes_before_the_file() {
    let text =
        "[relay]\nports = \"50000-50999\"\n[credentials]\nrealm = \"${REALM}\"\n[limits]\npermissions = 7";
    let config = with_environment(
        text,
        &[
            ("REALM", "example.org"),
            ("HAIRPIN_RELAY__PORTS", "60000-60099"),
            ("HAIRPIN_LIMITS__ALLOCATIONS_PER_USER", "3"),
            ("HAIRPIN_LISTEN__UDP", "[\"127.0.0.1:3478\"]"),
            ("HAIRPIN_CREDENTIALS__USERS__ALICE", "wonderland wonderland"),
        ],
    )
    .unwrap();
    assert_eq!(config.relay.ports, 60_000..=60_099);
    assert_eq!(config.credentials.realm.as_str(), "example.org");
    assert_eq!((config.limits.permissions.get(), config.limits.allocations_per_user.get()), (7, 3));
    assert_eq!(config.listen.udp, ["127.0.0.1:3478".parse().unwrap()]);
    assert!(config.credentials.users.contains_key("alice"));
}

#[test]
fn a_mistake_in_the_environment_names_the_variable() {
    let text = "[limits]\npermissions = 0\n[log]\nlevel = \"${LEVEL}\"\n";
    let error = with_environment(
        text,
        &[
            ("HAIRPIN_LIMITS__CHANNELS", "many"),
            ("HAIRPIN_LIMITS__ALLOCATION", "3"),
            ("HAIRPIN_LISTEN__TLS", "[\"0.0.0.0:443\"]"),
        ],
    )
    .unwrap_err();
    let lines: Vec<&str> = error.lines().collect();
    for (line, expected) in lines.iter().zip([
        "config.toml:2: limits.permissions: ",
        "config.toml:4: log.level: there is no environment variable LEVEL",
        "HAIRPIN_LIMITS__ALLOCATION: limits.allocation: unknown key",
        "HAIRPIN_LIMITS__CHANNELS: limits.channels: ",
        "HAIRPIN_LISTEN__TLS: listen.tls: there is no certificate",
    ]) {
        assert!(line.starts_with(expected), "{error}");
    }
    assert_eq!(lines.len(), 5, "{error}");
}
