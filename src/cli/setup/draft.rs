//! What `hairpin setup` writes and says.

use std::fmt::Write as _;
use std::net::{IpAddr, SocketAddr};
use std::path::Path;

use toml_edit::{Array, DocumentMut, InlineTable, Item, Table, TomlError, table, value};

use crate::config::Config;
use crate::network::address::RelayAddress;

/// What was asked and found out.
#[derive(Debug, Clone, Copy)]
pub(super) struct Answers<'a> {
    /// The host name, or the public address.
    pub(super) name: &'a str,
    pub(super) front: Front,
    /// The addresses to relay from.
    pub(super) relay: &'a [RelayAddress],
    pub(super) secrets_file: &'a Path,
    pub(super) authority: Authority<'a>,
}

/// Who has port 443.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Front {
    /// The daemon.
    Own,
    /// Another program, which is the proxy of the pages.
    Proxy,
}

/// A certificate authority other than Let's Encrypt.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Authority<'a> {
    pub(super) directory: Option<&'a str>,
    pub(super) roots: Option<&'a Path>,
}

/// The former configuration with what was answered, and else as it was.
///
/// # Errors
/// If the former one is not TOML.
pub(super) fn configuration(former: &str, answers: &Answers<'_>) -> Result<String, TomlError> {
    let Answers { name, front, relay, secrets_file, authority } = *answers;
    let mut document: DocumentMut = former.parse()?;
    let is_set = |document: &DocumentMut, key: &str| {
        document.get("credentials").is_some_and(|it| it.get(key).is_some())
    };
    if front == Front::Own {
        let listen = section(document.as_table_mut(), "listen");
        if !listen.get("tls").and_then(Item::as_array).is_some_and(has_https) {
            listen["tls"] = value(Array::from_iter(["0.0.0.0:443", "[::]:443"]));
        }
        let is_new = !document.contains_key("tls");
        let tls = section(document.as_table_mut(), "tls");
        // A header of its own would stand above nothing.
        if is_new {
            tls.set_implicit(true);
        }
        let acme = section(tls, "acme");
        acme["names"] = value(Array::from_iter([name]));
        acme["accept_terms"] = value(true);
        if let Some(directory) = authority.directory {
            acme["directory"] = value(directory);
        }
        if let Some(roots) = authority.roots {
            acme["roots"] = value(roots.display().to_string());
        }
    }
    section(document.as_table_mut(), "http")["public_url"] = value(url(name));
    if !["secrets_file", "secrets", "users"].iter().any(|key| is_set(&document, key)) {
        section(document.as_table_mut(), "credentials")["secrets_file"] =
            value(secrets_file.display().to_string());
    }
    if relay.iter().any(|address| address.bind != address.public) {
        let pair = |RelayAddress { bind, public }: &RelayAddress| {
            InlineTable::from_iter([("bind", bind.to_string()), ("public", public.to_string())])
        };
        section(document.as_table_mut(), "relay")["addresses"] =
            value(relay.iter().map(pair).collect::<Array>());
    }
    Ok(if former.is_empty() { format!("{HEADER}\n{document}") } else { document.to_string() })
}

/// The first line of a file that was not there.
const HEADER: &str = "# Every key, with its default and what it is for: /usr/share/hairpin/config.toml\n";

/// A table, which is added at the end if it is not there.
fn section<'a>(parent: &'a mut Table, name: &str) -> &'a mut Table {
    parent
        .entry(name)
        .or_insert_with(table)
        .as_table_mut()
        .expect("the configuration has sections, no inline tables")
}

/// Whether a list of addresses has one with port 443.
fn has_https(list: &Array) -> bool {
    list.iter().filter_map(|address| address.as_str()).any(|address| address.ends_with(":443"))
}

/// Where browsers find the pages.
pub(super) fn url(name: &str) -> String {
    match name.parse() {
        Ok(IpAddr::V6(ip)) => format!("https://[{ip}]"),
        Ok(IpAddr::V4(_)) | Err(_) => format!("https://{name}"),
    }
}

/// What a firewall must let in.
pub(super) fn firewall(config: &Config) -> String {
    let listen = &config.listen;
    let ports = |listeners: &[SocketAddr]| {
        let mut ports: Vec<u16> = listeners.iter().map(SocketAddr::port).collect();
        ports.sort_unstable();
        ports.dedup();
        ports.iter().map(ToString::to_string).collect::<Vec<_>>().join(",")
    };
    let streams = ports(&[&listen.tcp[..], &listen.tls].concat());
    let (first, last) = (config.relay.ports.start(), config.relay.ports.end());
    let udp = format!("{},{first}:{last}", ports(&listen.udp));
    let mut text = "\nClients and the certificate authority need these ports. Open them in your provider's firewall, if there is one:\n\n"
        .to_owned();
    write!(text, "  TCP  {streams}\n  UDP  {}\n\nWith ufw on this machine:\n\n", udp.replace(':', "-"))
        .and_then(|()| {
            write!(
                text,
                "  ufw allow proto tcp to any port {streams}\n  ufw allow proto udp to any port {udp}\n\n"
            )
        })
        .expect("writing to a String cannot fail");
    text
}

/// What the web server in front needs.
pub(super) fn proxy(name: &str) -> String {
    format!(
        "Let your web server pass {name} on. Caddy:\n\n\
         \x20 {name} {{\n    reverse_proxy 127.0.0.1:8080\n  }}\n\n\
         nginx, in the server block of {name}:\n\n\
         \x20 location / {{\n    proxy_pass http://127.0.0.1:8080;\n    proxy_http_version 1.1;\n    proxy_set_header Host $host;\n    \
         proxy_set_header X-Forwarded-For $remote_addr;\n    proxy_set_header Upgrade $http_upgrade;\n    \
         proxy_set_header Connection $http_connection;\n  }}\n\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(bind: &str, public: &str) -> RelayAddress {
        RelayAddress { bind: bind.parse().unwrap(), public: public.parse().unwrap() }
    }

    fn answers<'a>(name: &'a str, front: Front, relay: &'a [RelayAddress]) -> Answers<'a> {
        Answers {
            name,
            front,
            relay,
            secrets_file: Path::new("/etc/hairpin/secret"),
            authority: Authority::default(),
        }
    }

    fn drafted(former: &str, answers: &Answers<'_>) -> String {
        configuration(former, answers).unwrap()
    }

    #[test]
    fn a_server_of_its_own_needs_nine_lines() {
        let text =
            drafted("", &answers("call.example.org", Front::Own, &[address("192.0.2.1", "192.0.2.1")]));

        let lines: Vec<&str> = text.lines().skip(1).filter(|line| !line.is_empty()).collect();
        assert_eq!(
            lines,
            [
                "[listen]",
                "tls = [\"0.0.0.0:443\", \"[::]:443\"]",
                "[tls.acme]",
                "names = [\"call.example.org\"]",
                "accept_terms = true",
                "[http]",
                "public_url = \"https://call.example.org\"",
                "[credentials]",
                "secrets_file = \"/etc/hairpin/secret\"",
            ]
        );
    }

    #[test]
    fn what_was_configured_stays() {
        let former = "# mine\n[rooms]\ncreate = \"token\" # only my users\n\n[listen]\ntls = [\"192.0.2.1:443\"]\n\n[credentials]\n\
                      secrets = [\"an old secret of my own, long enough\"]\n";
        let text = drafted(former, &answers("call.example.org", Front::Own, &[]));

        assert!(text.starts_with(former), "{text}");
        assert!(!text.contains("secrets_file"), "{text}");
    }

    #[test]
    fn a_second_run_changes_only_the_name() {
        let first = drafted("", &answers("call.example.org", Front::Own, &[]));
        let second = drafted(&first, &answers("meet.example.org", Front::Own, &[]));
        assert_eq!(second, first.replace("call.", "meet."));
        assert_eq!(drafted(&second, &answers("meet.example.org", Front::Own, &[])), second);
    }

    /// Its keys stand in their places, below their comments.
    #[test]
    fn the_documented_configuration_can_be_set_up() {
        let text =
            drafted(include_str!("../../../config.toml"), &answers("call.example.org", Front::Own, &[]));
        let config = Config::parse(&text, Path::new("config.toml")).unwrap();
        assert_eq!(config.tls.names(), ["call.example.org"]);
        assert_eq!(text.matches("[tls.acme]").count(), 1);
    }

    #[test]
    fn behind_a_proxy_there_is_no_tls() {
        let text = drafted("", &answers("call.example.org", Front::Proxy, &[]));
        assert!(!text.contains("tls"), "{text}");
        assert!(text.contains("public_url = \"https://call.example.org\""), "{text}");
        assert!(proxy("call.example.org").contains("proxy_pass http://127.0.0.1:8080;"));
    }

    #[test]
    fn both_addresses_of_a_nat_are_written() {
        let relay = [address("10.0.0.5", "198.51.100.10")];
        let text = drafted("", &answers("call.example.org", Front::Own, &relay));
        let lines = "[relay]\naddresses = [{ bind = \"10.0.0.5\", public = \"198.51.100.10\" }]\n";
        assert!(text.ends_with(lines), "{text}");
    }

    #[test]
    fn what_is_written_is_a_configuration() {
        for (name, front) in
            [("call.example.org", Front::Own), ("203.0.113.9", Front::Own), ("2001:db8::9", Front::Proxy)]
        {
            let authority = Authority {
                directory: Some("https://ca.example.org/directory"),
                roots: Some(Path::new("/etc/ssl/own.pem")),
            };
            let relay = [address("10.0.0.5", "198.51.100.10")];
            let text = drafted("", &Answers { authority, ..answers(name, front, &relay) });
            let config = Config::parse(&text, Path::new("config.toml")).unwrap();
            assert_eq!(config.http.public_url.unwrap().to_string(), url(name));
        }
    }

    #[test]
    fn the_ports_of_the_configuration_are_named() {
        let text = drafted("", &answers("call.example.org", Front::Own, &[]));
        let text = firewall(&Config::parse(&text, Path::new("config.toml")).unwrap());
        assert!(text.contains("TCP  443,3478\n"), "{text}");
        assert!(text.contains("ufw allow proto udp to any port 3478,49152:65535\n"), "{text}");
    }
}
