//! What `hairpin setup` writes and says.

use std::fmt::Write as _;
use std::net::{IpAddr, SocketAddr};
use std::path::Path;

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

/// The configuration: only what differs from the defaults.
pub(super) fn configuration(answers: &Answers<'_>) -> String {
    let Answers { name, front, relay, secrets_file, authority } = *answers;
    let mut text =
        "# Written by `hairpin setup`. Every other key has its default: /usr/share/hairpin/config.toml\n\n"
            .to_owned();
    let mut add = |lines: String| text.push_str(&lines);
    if front == Front::Own {
        add("[listen]\ntls = [\"0.0.0.0:443\", \"[::]:443\"]\n\n".to_owned());
        add(format!("[tls.acme]\nnames = [{name:?}]\naccept_terms = true\n"));
        if let Some(directory) = authority.directory {
            add(format!("directory = {directory:?}\n"));
        }
        if let Some(roots) = authority.roots {
            add(format!("roots = {:?}\n", roots.display().to_string()));
        }
        add("\n".to_owned());
    }
    add(format!("[http]\npublic_url = {:?}\n\n", url(name)));
    add(format!("[credentials]\nsecrets_file = {:?}\n", secrets_file.display().to_string()));
    if relay.iter().any(|address| address.bind != address.public) {
        let pair = |RelayAddress { bind, public }: &RelayAddress| {
            format!("{{ bind = \"{bind}\", public = \"{public}\" }}")
        };
        let list = relay.iter().map(pair).collect::<Vec<_>>().join(", ");
        add(format!("\n[relay]\naddresses = [{list}]\n"));
    }
    text
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
    let mut text = "\nOpen these ports in your provider's firewall, if it has one:\n\n".to_owned();
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

    #[test]
    fn a_server_of_its_own_needs_nine_lines() {
        let text =
            configuration(&answers("call.example.org", Front::Own, &[address("192.0.2.1", "192.0.2.1")]));

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
    fn behind_a_proxy_there_is_no_tls() {
        let text = configuration(&answers("call.example.org", Front::Proxy, &[]));
        assert!(!text.contains("tls"), "{text}");
        assert!(text.contains("public_url = \"https://call.example.org\""), "{text}");
        assert!(proxy("call.example.org").contains("proxy_pass http://127.0.0.1:8080;"));
    }

    #[test]
    fn both_addresses_of_a_nat_are_written() {
        let text =
            configuration(&answers("call.example.org", Front::Own, &[address("10.0.0.5", "198.51.100.10")]));
        assert!(
            text.ends_with("\n[relay]\naddresses = [{ bind = \"10.0.0.5\", public = \"198.51.100.10\" }]\n"),
            "{text}"
        );
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
            let text = configuration(&Answers { authority, ..answers(name, front, &relay) });
            let config = Config::parse(&text, Path::new("config.toml")).unwrap();
            assert_eq!(config.http.public_url.unwrap().as_str(), url(name));
        }
    }

    #[test]
    fn the_ports_of_the_configuration_are_named() {
        let text = configuration(&answers("call.example.org", Front::Own, &[]));
        let text = firewall(&Config::parse(&text, Path::new("config.toml")).unwrap());
        assert!(text.contains("TCP  443,3478\n"), "{text}");
        assert!(text.contains("ufw allow proto udp to any port 3478,49152:65535\n"), "{text}");
    }
}
