//! PURE  Builds the ICE URLs by which browsers reach the relay, and combines them with a credential.
//!
//! The URLs are built from the addresses that the daemon listens on and relays from, at the start and when these or the
//! configuration change. They obey the limits of browsers. A `turns:` URL has a host name, because Firefox silently ignores
//! one with an IP address. No URL has a port that browsers block, because one such URL makes Firefox reject the whole list.
//! There are at most four URLs, because every further URL makes every connection start later. An operator may state other
//! URLs, ports, or one more URL, and is told if browsers refuse one. Beside the URLs with a host name are some with addresses,
//! for clients that cannot look the name up.

mod url;

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::clock::{Expiry, Unix};
use crate::credentials::tag::Tag;
use crate::credentials::{Credential, Credentials};
use crate::network::address::{Family, RelayAddress};
use crate::secret::Secret;

pub use url::{EXAMPLES, IceUrl};

/// The addresses that the daemon listens on and relays from, with the ports that were bound.
#[derive(Debug, Clone, Copy)]
pub struct Served<'a> {
    /// STUN and TURN over UDP.
    pub udp: &'a [SocketAddr],
    /// STUN and TURN over TCP.
    pub tcp: &'a [SocketAddr],
    /// TURN over TLS only.
    pub tls: &'a [SocketAddr],
    /// Whether there is a certificate, so that the ports of `tcp` accept TLS too.
    pub tls_on_tcp: bool,
    /// The relay addresses, which also give the public address of a machine behind a NAT.
    pub relay: &'a [RelayAddress],
}

/// The names that clients may know the daemon by, the best first.
#[derive(Debug, Clone, Copy, Default)]
pub struct Names<'a> {
    /// `http.ice_host`.
    pub ice_host: Option<&'a str>,
    /// The host in `http.public_url`.
    pub public_url_host: Option<&'a str>,
    /// `tls.names`.
    pub certificate: &'a [String],
}

/// What the operator wants in the URLs beside what follows from the listeners.
#[derive(Debug, Clone, Default)]
pub struct Wishes {
    /// `http.public_ports`
    pub ports: PublicPorts,
    /// `http.literal_address`: whether one more URL has the address in place of the name, for clients that cannot look names
    /// up.
    pub literal_address: bool,
}

/// The ports by which clients reach the listeners, where a port map or a router leads other ports here. An empty list means
/// the port of a listener.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PublicPorts {
    /// For STUN and TURN over UDP.
    pub udp: Vec<u16>,
    /// For TURN over TCP.
    pub tcp: Vec<u16>,
    /// For TURN over TLS.
    pub tls: Vec<u16>,
}

/// How a client reaches the relay.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Transport {
    /// Datagrams.
    Udp,
    /// A connection.
    Tcp,
    /// A TLS connection.
    Tls,
}

/// The URLs of this daemon.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IceServers {
    stun: Vec<String>,
    /// In the order that a client should try them.
    turn: Vec<(Transport, String)>,
    /// TURN URLs with addresses, if those of `turn` have a name: for clients that cannot look it up.
    by_address: Vec<(Transport, String)>,
    warnings: Vec<String>,
}

/// URLs and a credential, as the `RTCPeerConnection` of a browser takes them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct IceConfiguration {
    /// The servers: STUN without a credential, then TURN with one.
    #[serde(rename = "iceServers")]
    pub ice_servers: Vec<IceServer>,
    /// Seconds that the credential is valid.
    pub ttl: u64,
    /// When it ends.
    pub expires_at: Expiry,
    /// TURN URLs with the relay's addresses in place of its name: at most one for UDP and one for TCP, for IPv4 and for IPv6.
    /// The credential is the same. They are not among the servers, because each URL makes every connection start later, and
    /// only a client that cannot look the name up needs them (Safari 26.3 and 26.4: <https://webkit.org/b/312332>).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub by_address: Vec<String>,
}

/// An `RTCIceServer` (W3C WebRTC §4.2.4).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct IceServer {
    /// Its URLs (RFC 7064, RFC 7065).
    pub urls: Vec<String>,
    /// The user name, for TURN.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub username: Option<String>,
    /// The password, for TURN.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub credential: Option<Secret>,
}

/// The host in the URLs.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Host {
    Name(String),
    Address(IpAddr),
}

/// The port of STUN and TURN (RFC 8489 §18.6).
const USUAL: u16 = 3478;
/// The port that practically every firewall lets browsers reach.
const HTTPS: u16 = 443;

/// Chromium refuses TURN at the ports below this one (`TurnPort::AllowedTurnPort` in WebRTC), except those in [`WEB`].
/// It also allows port 53, but the Fetch standard does not.
const SERVICES: u16 = 1024;
const WEB: &[u16] = &[80, HTTPS];
/// The ports from [`SERVICES`] on that browsers refuse to connect to: the "bad ports" of the Fetch standard, which
/// Chromium and Firefox also apply to STUN and TURN.
const BAD: &[u16] = &[
    1719, 1720, 1723, 2049, 3659, 4045, 4190, 5060, 5061, 6000, 6566, 6665, 6666, 6667, 6668, 6669, 6679,
    6697, 10080,
];

impl IceServers {
    /// The URLs that the operator states, for clients that come through a port map or a router that chooses by the server
    /// name. No listener says anything about those.
    #[must_use]
    pub fn stated(urls: &[IceUrl]) -> Self {
        let mut servers = Self::none(Vec::new());
        for url in urls {
            match url.transport {
                Some(transport) => servers.turn.push((transport, url.as_str().to_owned())),
                None => servers.stun.push(url.as_str().to_owned()),
            }
        }
        servers
    }

    /// The URLs of the listeners in `served`, with the best of `names` as host. Without a name, the host is the address that
    /// clients most likely see.
    #[must_use]
    pub fn new(served: &Served<'_>, names: &Names<'_>, wishes: &Wishes) -> Self {
        let stated = stated(names);
        let warnings = blocked_ports(served, &wishes.ports);
        let mut servers = Self::none(warnings);
        let name = stated.clone().filter(Host::is_name);
        if name.is_none() && (served.speaks_tls() || !wishes.ports.tls.is_empty()) {
            servers.warnings.push(NAMELESS.to_owned());
        }
        // `localhost` does not say where a listener is: browsers resolve it to 127.0.0.1, to ::1, or not at all.
        let afar = stated.filter(|host| !host.is_localhost());
        let Some(host) = afar.clone().or_else(|| guessed(served)) else { return servers };
        // A host that the operator names reaches all listeners, perhaps through a NAT or a proxy.
        let there = |listener: &&SocketAddr| afar.is_some() || served.is_at(listener, &host);
        let udp = ports(&wishes.ports.udp, served.udp.iter().filter(there), USUAL);
        let tcp = ports(&wishes.ports.tcp, served.tcp.iter().filter(there), USUAL);
        let shared = if served.tls_on_tcp { served.tcp } else { &[] };
        let tls = ports(&wishes.ports.tls, served.tls.iter().chain(shared).filter(there), HTTPS);
        servers.stun.extend(udp.first().map(|port| format!("stun:{host}:{port}")));
        let mut add = |transport, ports: &[u16], url: &dyn Fn(u16) -> String| {
            servers.turn.extend(ports.iter().map(|port| (transport, url(*port))));
        };
        add(Transport::Udp, &udp, &|port| format!("turn:{host}:{port}?transport=udp"));
        add(Transport::Tcp, &tcp, &|port| format!("turn:{host}:{port}?transport=tcp"));
        if let Some(name) = name {
            add(Transport::Tls, &tls, &|port| format!("turns:{name}:{port}?transport=tcp"));
        }
        if host.is_name() {
            servers.by_address = by_address(served, &wishes.ports);
        }
        if wishes.literal_address {
            let udp = servers.by_address.iter().find(|(transport, _)| *transport == Transport::Udp);
            servers.turn.extend(udp.cloned());
        }
        servers
    }

    fn none(warnings: Vec<String>) -> Self {
        Self { stun: Vec::new(), turn: Vec::new(), by_address: Vec::new(), warnings }
    }

    /// Warnings for the operator about listeners that are in no URL.
    #[must_use]
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// The TURN URLs. If `transports` is given, only the URLs of these transports.
    pub fn uris(&self, transports: Option<&[Transport]>) -> impl Iterator<Item = &str> {
        of(&self.turn, transports)
    }

    /// The servers and a credential for `tag`, valid for `ttl` from `now` on. If `transports` is given, only servers of these
    /// transports. `None` if no TURN URL is left, or if [`Credentials::issue`] makes no credential.
    #[must_use]
    pub fn configuration(
        &self,
        credentials: &Credentials,
        tag: &Tag<'_>,
        now: Unix,
        ttl: Duration,
        transports: Option<&[Transport]>,
    ) -> Option<IceConfiguration> {
        let urls: Vec<String> = self.uris(transports).map(str::to_owned).collect();
        if urls.is_empty() {
            return None;
        }
        let issued = credentials.issue(tag, Expiry::after(now, ttl), now)?;
        let Credential { username, password, expires } = issued;
        let by_udp = transports.is_none_or(|some| some.contains(&Transport::Udp));
        let stun = (by_udp && !self.stun.is_empty()).then(|| self.stun.clone());
        let stun = stun.map(|urls| IceServer { urls, username: None, credential: None });
        let turn = IceServer { urls, username: Some(username), credential: Some(password) };
        let ttl = expires.left(now).as_secs();
        Some(IceConfiguration {
            ice_servers: stun.into_iter().chain([turn]).collect(),
            ttl,
            expires_at: expires,
            by_address: of(&self.by_address, transports).map(str::to_owned).collect(),
        })
    }
}

impl Served<'_> {
    fn speaks_tls(&self) -> bool {
        !self.tls.is_empty() || (self.tls_on_tcp && !self.tcp.is_empty())
    }

    /// The address at which clients most likely see a listener.
    fn seen(&self, listener: &SocketAddr) -> Option<IpAddr> {
        let ip = listener.ip();
        if ip.is_unspecified() {
            let same_family = |relay: &&RelayAddress| relay.public.is_ipv4() == ip.is_ipv4();
            return self.relay.iter().find(same_family).map(|relay| relay.public);
        }
        let behind_nat = self.relay.iter().find(|relay| relay.bind == ip);
        Some(behind_nat.map_or(ip, |relay| relay.public))
    }

    /// Whether the listener is reachable at `host`, which [`guessed`] found.
    fn is_at(&self, listener: &SocketAddr, host: &Host) -> bool {
        match host {
            Host::Name(_) => true,
            Host::Address(ip) => {
                let all = listener.ip().is_unspecified() && listener.is_ipv4() == ip.is_ipv4();
                all || self.seen(listener) == Some(*ip)
            }
        }
    }
}

impl Host {
    /// A host as in a URL: a name or an IP address, with or without brackets.
    fn read(text: &str) -> Self {
        let bare = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text);
        bare.parse().map_or_else(|_| Self::Name(text.to_owned()), Self::Address)
    }

    fn is_name(&self) -> bool {
        matches!(self, Self::Name(_))
    }

    /// Whether it is the name `localhost` or a name below it (RFC 6761 §6.3).
    fn is_localhost(&self) -> bool {
        match self {
            Self::Name(name) => name
                .trim_end_matches('.')
                .rsplit('.')
                .next()
                .is_some_and(|last| last.eq_ignore_ascii_case("localhost")),
            Self::Address(_) => false,
        }
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => f.write_str(name),
            Self::Address(IpAddr::V4(ip)) => ip.fmt(f),
            Self::Address(IpAddr::V6(ip)) => write!(f, "[{ip}]"),
        }
    }
}

/// The host that the operator names.
fn stated(names: &Names<'_>) -> Option<Host> {
    let certificate = names.certificate.iter().map(String::as_str).find(|name| !name.starts_with('*'));
    names.ice_host.or(names.public_url_host).or(certificate).map(Host::read)
}

/// The address at which most clients see the listeners of the best transport. It prefers an address that is not
/// loopback, then IPv4.
fn guessed(served: &Served<'_>) -> Option<Host> {
    [served.udp, served.tcp, served.tls].into_iter().find_map(|listeners| {
        let seen = listeners.iter().filter_map(|listener| served.seen(listener));
        seen.min_by_key(|ip| (ip.is_loopback(), ip.is_ipv6())).map(Host::Address)
    })
}

/// TURN URLs by the addresses at which clients see the listeners, UDP and IPv4 first. There is none by TLS: browsers want a name.
fn by_address(served: &Served<'_>, stated: &PublicPorts) -> Vec<(Transport, String)> {
    let mut urls = Vec::new();
    for (transport, listeners, stated, name) in
        [(Transport::Udp, served.udp, &stated.udp, "udp"), (Transport::Tcp, served.tcp, &stated.tcp, "tcp")]
    {
        let places = [Family::V4, Family::V6].map(|family| place(served, listeners, stated, family));
        let url = |(host, port)| format!("turn:{host}:{port}?transport={name}");
        urls.extend(places.into_iter().flatten().map(|place| (transport, url(place))));
    }
    urls
}

/// The address of this family at which clients see one of the listeners, if others than this machine can, and the port there.
fn place(
    served: &Served<'_>,
    listeners: &[SocketAddr],
    stated: &[u16],
    family: Family,
) -> Option<(Host, u16)> {
    let seen = |listener: &SocketAddr| {
        served.seen(listener).filter(|ip| !ip.is_loopback() && Family::of(*ip) == family)
    };
    let there = || listeners.iter().filter(|listener| seen(listener).is_some());
    let port = *ports(stated, there(), USUAL).first()?;
    let listener = there().find(|listener| !stated.is_empty() || listener.port() == port)?;
    Some((Host::Address(seen(listener)?), port))
}

/// The URLs of these transports, or of all.
fn of<'a>(
    urls: &'a [(Transport, String)],
    transports: Option<&[Transport]>,
) -> impl Iterator<Item = &'a str> {
    let wanted = move |transport: &Transport| transports.is_none_or(|some| some.contains(transport));
    urls.iter().filter(move |(transport, _)| wanted(transport)).map(|(_, url)| url.as_str())
}

/// The ports that the operator states, or else the one of the listeners that browsers should use.
fn ports<'a>(stated: &[u16], listeners: impl Iterator<Item = &'a SocketAddr>, best: u16) -> Vec<u16> {
    if stated.is_empty() { pick(listeners, best).into_iter().collect() } else { stated.to_vec() }
}

/// The listeners' port that browsers should use: `best` if one of them has it.
fn pick<'a>(listeners: impl Iterator<Item = &'a SocketAddr>, best: u16) -> Option<u16> {
    let usable = listeners.filter(|listener| !is_refused(listener.port()));
    usable.min_by_key(|at| (at.ip().is_loopback(), at.port() != best)).map(SocketAddr::port)
}

/// Whether browsers refuse TURN at this port. The same rule is applied to STUN, which has the same port as TURN.
pub(crate) fn is_refused(port: u16) -> bool {
    (port < SERVICES && !WEB.contains(&port)) || BAD.contains(&port)
}

/// Warnings about ports that browsers refuse. Where the operator states other ports, those of the listeners do not matter.
fn blocked_ports(served: &Served<'_>, stated: &PublicPorts) -> Vec<String> {
    let mut warnings = Vec::new();
    let keys = [
        ("listen.udp", served.udp, &stated.udp),
        ("listen.tcp", served.tcp, &stated.tcp),
        ("listen.tls", served.tls, &stated.tls),
    ];
    for (key, listeners, _) in keys.into_iter().filter(|(_, _, stated)| stated.is_empty()) {
        let mut ports: Vec<u16> = listeners.iter().map(SocketAddr::port).collect();
        ports.sort_unstable();
        ports.dedup();
        // Port 0 stands for any free port, which is not known yet.
        let blocked = ports.into_iter().filter(|port| *port != 0 && is_refused(*port));
        warnings.extend(blocked.map(|port| {
            format!("{key}: browsers refuse port {port}, so no ICE URL uses it: also listen on another port")
        }));
    }
    warnings
}

const NAMELESS: &str = "http.ice_host: browsers use TURN over TLS only with a host name, so there is no turns: URL: \
                        write the name in your certificate";

#[cfg(test)]
mod tests {
    use std::collections::HashMap;
    use std::net::Ipv4Addr;

    use super::*;
    use crate::credentials::CheckExpiry;

    const NOW: Unix = Unix::from_secs(1_800_000_000);
    const MINUTE: Duration = Duration::from_secs(60);

    fn addresses(texts: &[&str]) -> Vec<SocketAddr> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }

    fn relay(bind: &str, public: &str) -> RelayAddress {
        RelayAddress { bind: bind.parse().unwrap(), public: public.parse().unwrap() }
    }

    fn credentials(secrets: &[&str]) -> Credentials {
        let secrets = secrets.iter().map(|text| Secret::new(*text)).collect();
        Credentials::new("example.org", secrets, HashMap::new(), CheckExpiry::Allocate)
    }

    /// All URLs for these listeners on UDP, TCP and TLS.
    fn urls(listen: [&[&str]; 3], relay: &[RelayAddress], names: &Names<'_>) -> Vec<String> {
        let [udp, tcp, tls] = listen.map(addresses);
        let served = Served { udp: &udp, tcp: &tcp, tls: &tls, tls_on_tcp: !tls.is_empty(), relay };
        let servers = IceServers::new(&served, names, &Wishes::default());
        servers.stun.clone().into_iter().chain(servers.uris(None).map(str::to_owned)).collect()
    }

    const EVERYWHERE: &[&str] = &["0.0.0.0:3478", "[::]:3478"];
    const HTTPS_EVERYWHERE: &[&str] = &["0.0.0.0:443", "[::]:443"];

    #[test]
    fn the_urls_that_the_operator_states_take_the_place_of_all_others() {
        let urls = [
            "turns:turn.example.org:443",
            "stun:a.example:3478",
            "turn:a.example?transport=tcp",
            "stun:b.example",
        ];
        let urls = urls.map(|url| IceUrl::parse(url).unwrap());
        let servers = IceServers::stated(&urls);
        let configuration = |transports: Option<&[Transport]>| {
            let made =
                servers.configuration(&credentials(&["secret"]), &Tag::Other("a"), NOW, MINUTE, transports);
            made.map(|made| {
                made.ice_servers.into_iter().map(|server| server.urls.join(" ")).collect::<Vec<_>>()
            })
        };
        let turn = "turns:turn.example.org:443 turn:a.example?transport=tcp";
        assert_eq!(configuration(None).unwrap(), ["stun:a.example:3478 stun:b.example", turn]);
        assert_eq!(configuration(Some(&[Transport::Tls])).unwrap(), ["turns:turn.example.org:443"]);
        assert_eq!(configuration(Some(&[Transport::Udp])), None);
    }

    #[test]
    fn a_host_name_serves_every_transport_udp_first_and_tls_last() {
        let names = Names { ice_host: Some("turn.example.org"), ..Names::default() };
        let urls = urls([EVERYWHERE, EVERYWHERE, HTTPS_EVERYWHERE], &[], &names);
        let expected = [
            "stun:turn.example.org:3478",
            "turn:turn.example.org:3478?transport=udp",
            "turn:turn.example.org:3478?transport=tcp",
            "turns:turn.example.org:443?transport=tcp",
        ];
        assert_eq!(urls, expected);
    }

    #[test]
    fn ports_that_the_operator_states_take_the_place_of_those_of_the_listeners_and_all_are_given_out() {
        let ports = PublicPorts { udp: vec![3479], tcp: vec![443, 3478], tls: vec![443] };
        let (udp, tls) = (addresses(&["10.0.0.5:53"]), addresses(&["127.0.0.1:5349"]));
        let relay = [relay("10.0.0.5", "198.51.100.10")];
        let served = Served { udp: &udp, tcp: &[], tls: &tls, tls_on_tcp: true, relay: &relay };
        let wishes = Wishes { ports, literal_address: false };
        let urls = |names: &Names<'_>| {
            let servers = IceServers::new(&served, names, &wishes);
            let urls = servers.stun.clone().into_iter().chain(servers.uris(None).map(str::to_owned));
            (urls.collect::<Vec<_>>(), servers.warnings().len())
        };
        let named = [
            "stun:turn.example.org:3479",
            "turn:turn.example.org:3479?transport=udp",
            "turn:turn.example.org:443?transport=tcp",
            "turn:turn.example.org:3478?transport=tcp",
            "turns:turn.example.org:443?transport=tcp",
        ];
        let names = Names { ice_host: Some("turn.example.org"), ..Names::default() };
        assert_eq!(urls(&names), (named.map(str::to_owned).into(), 0));
        let (nameless, warnings) = urls(&Names::default());
        assert_eq!(nameless[..2], ["stun:198.51.100.10:3479", "turn:198.51.100.10:3479?transport=udp"]);
        assert_eq!((nameless.len(), warnings), (4, 1), "there is no turns: URL without a name");
    }

    #[test]
    fn one_more_url_has_the_address_if_the_operator_wants_it_and_clients_can_reach_it() {
        let last = |udp: &[&str], ports: &PublicPorts, host| {
            let wishes = Wishes { ports: ports.clone(), literal_address: true };
            let (udp, relay) =
                (addresses(udp), [relay("10.0.0.5", "198.51.100.10"), relay("2001:db8::5", "2001:db8::5")]);
            let served = Served { udp: &udp, tcp: &udp, tls: &[], tls_on_tcp: false, relay: &relay };
            let names = Names { ice_host: Some(host), ..Names::default() };
            let servers = IceServers::new(&served, &names, &wishes);
            let urls: Vec<String> = servers.uris(None).map(str::to_owned).collect();
            (urls.len(), urls.last().cloned().unwrap_or_default())
        };
        let (as_listened, mapped) =
            (PublicPorts::default(), PublicPorts { udp: vec![443, 80], ..PublicPorts::default() });
        let literal = |url: &str| (3, url.to_owned());
        let name = "turn.example.org";
        let by_tcp = || (2, "turn:turn.example.org:3478?transport=tcp".to_owned());
        assert_eq!(last(EVERYWHERE, &as_listened, name), literal("turn:198.51.100.10:3478?transport=udp"));
        assert_eq!(
            last(&["[::]:3478"], &as_listened, name),
            literal("turn:[2001:db8::5]:3478?transport=udp")
        );
        assert_eq!(last(EVERYWHERE, &mapped, name), (4, "turn:198.51.100.10:443?transport=udp".to_owned()));
        assert_eq!(last(&["127.0.0.1:3478"], &as_listened, name), by_tcp());
        assert_eq!(last(EVERYWHERE, &as_listened, "198.51.100.10").0, 2, "the host is an address already");
    }

    /// What a client of this host is given beside the servers.
    fn by_address(
        listen: [&[&str]; 2],
        host: &str,
        ports: PublicPorts,
        transports: Option<&[Transport]>,
    ) -> Vec<String> {
        let ([udp, tcp], relay) = (
            listen.map(addresses),
            [relay("10.0.0.5", "198.51.100.10"), relay("2001:db8::5", "2001:db8::5")],
        );
        let served = Served { udp: &udp, tcp: &tcp, tls: &[], tls_on_tcp: false, relay: &relay };
        let names = Names { ice_host: Some(host), ..Names::default() };
        let servers = IceServers::new(&served, &names, &Wishes { ports, literal_address: false });
        let made =
            servers.configuration(&credentials(&["north"]), &Tag::Other("alice"), NOW, MINUTE, transports);
        let made = made.unwrap();
        let mut listed = made.ice_servers.iter().flat_map(|server| &server.urls);
        assert!(listed.all(|url| !made.by_address.contains(url)), "they are beside the list: {made:?}");
        made.by_address
    }

    #[test]
    fn a_client_that_cannot_look_the_name_up_is_given_the_addresses_beside_the_servers() {
        let given = |listen: [&[&str]; 2], host| by_address(listen, host, PublicPorts::default(), None);
        let name = "turn.example.org";
        let all = [
            "turn:198.51.100.10:3478?transport=udp",
            "turn:[2001:db8::5]:3478?transport=udp",
            "turn:198.51.100.10:3478?transport=tcp",
            "turn:[2001:db8::5]:3478?transport=tcp",
        ];
        assert_eq!(given([EVERYWHERE, EVERYWHERE], name), all);
        assert_eq!(
            given([&["10.0.0.5:3478"], &["[::]:443", "127.0.0.1:3478"]], name),
            ["turn:198.51.100.10:3478?transport=udp", "turn:[2001:db8::5]:443?transport=tcp",]
        );
        // None that others could use, and none where there is no name.
        for (listen, host) in
            [("127.0.0.1:3478", name), ("0.0.0.0:3478", "198.51.100.10"), ("0.0.0.0:3478", "localhost")]
        {
            assert_eq!(given([&[listen], &[listen]], host), [""; 0], "{listen} {host}");
        }
    }

    #[test]
    fn an_address_is_given_with_the_port_that_is_there_or_that_the_operator_states() {
        let name = "turn.example.org";
        let two: [&[&str]; 2] = [&["192.0.2.1:3479", "192.0.2.2:3478", "192.0.2.3:53"], &["192.0.2.3:53"]];
        assert_eq!(
            by_address(two, name, PublicPorts::default(), None),
            ["turn:192.0.2.2:3478?transport=udp"]
        );
        let mapped = PublicPorts { udp: vec![443, 80], tcp: vec![80], ..PublicPorts::default() };
        assert_eq!(
            by_address([&["192.0.2.3:53"], &["192.0.2.3:53"]], name, mapped, None),
            ["turn:192.0.2.3:443?transport=udp", "turn:192.0.2.3:80?transport=tcp"]
        );
    }

    #[test]
    fn the_addresses_are_of_the_transports_that_are_asked_for() {
        let given = |transport: Transport| {
            let (listen, ports) = ([&["192.0.2.1:3478"][..]; 2], PublicPorts::default());
            by_address(listen, "turn.example.org", ports, Some(&[transport]))
        };
        assert_eq!(given(Transport::Udp), ["turn:192.0.2.1:3478?transport=udp"]);
        assert_eq!(given(Transport::Tcp), ["turn:192.0.2.1:3478?transport=tcp"]);
    }

    #[test]
    fn the_first_name_that_is_known_is_used() {
        let certificate = ["*.example.org".to_owned(), "c.example.org".to_owned()];
        let stun =
            |names: Names<'_>| urls([&["192.0.2.1:3478"], &[], &[]], &[], &names).first().cloned().unwrap();
        let mut names = Names {
            ice_host: Some("a.example.org"),
            public_url_host: Some("b.example.org"),
            certificate: &certificate,
        };
        assert_eq!(stun(names), "stun:a.example.org:3478");
        names.ice_host = None;
        assert_eq!(stun(names), "stun:b.example.org:3478");
        names.public_url_host = None;
        assert_eq!(stun(names), "stun:c.example.org:3478");
        names.certificate = &certificate[..1];
        assert_eq!(stun(names), "stun:192.0.2.1:3478");
    }

    #[test]
    fn without_a_name_clients_get_an_address_and_no_tls() {
        let dual = [relay("2001:db8::5", "2001:db8::5"), relay("10.0.0.5", "198.51.100.10")];
        for (udp, expected) in [
            (&["192.0.2.1:3478"][..], "stun:192.0.2.1:3478"),
            (&["[::1]:3478", "127.0.0.1:3479"], "stun:127.0.0.1:3479"),
            (&["127.0.0.1:3478", "[2001:db8::1]:3478"], "stun:[2001:db8::1]:3478"),
            (EVERYWHERE, "stun:198.51.100.10:3478"),
            (&["[::]:3478"], "stun:[2001:db8::5]:3478"),
            (&["10.0.0.5:3478"], "stun:198.51.100.10:3478"),
        ] {
            let urls = urls([udp, &[], HTTPS_EVERYWHERE], &dual, &Names::default());
            assert_eq!(urls[0], expected, "{udp:?}");
            assert!(urls.iter().all(|url| !url.starts_with("turns:")), "{urls:?}");
        }
    }

    #[test]
    fn localhost_is_the_address_where_somebody_listens_and_a_name_for_tls_alone() {
        let dual = [relay("10.0.0.5", "10.0.0.5")];
        for (host, listen, expected) in [
            ("localhost", &["127.0.0.1:3478"][..], "127.0.0.1:3478"),
            ("LOCALHOST.", &["[::1]:3478", "127.0.0.1:3479"], "127.0.0.1:3479"),
            ("localhost", &["[::1]:3478"], "[::1]:3478"),
            ("call.localhost", EVERYWHERE, "10.0.0.5:3478"),
        ] {
            let names = Names { public_url_host: Some(host), ..Names::default() };
            let urls = urls([listen, listen, HTTPS_EVERYWHERE], &dual, &names);
            let [stun, udp, tcp, tls @ ..] = urls.as_slice() else { panic!("{urls:?}") };
            assert_eq!(*stun, format!("stun:{expected}"));
            assert_eq!(*udp, format!("turn:{expected}?transport=udp"));
            assert_eq!(*tcp, format!("turn:{expected}?transport=tcp"));
            assert_eq!(*tls, [format!("turns:{host}:443?transport=tcp")], "{host}");
        }
        let names = Names { ice_host: Some("notlocalhost"), ..Names::default() };
        assert_eq!(urls([EVERYWHERE, &[], &[]], &dual, &names)[0], "stun:notlocalhost:3478");
    }

    #[test]
    fn an_address_in_place_of_a_name_is_bracketed_once_and_has_no_tls() {
        for host in ["2001:db8::7", "[2001:db8::7]"] {
            let names = Names { public_url_host: Some(host), ..Names::default() };
            let urls = urls([EVERYWHERE, &[], HTTPS_EVERYWHERE], &[], &names);
            assert_eq!(
                urls,
                ["stun:[2001:db8::7]:3478", "turn:[2001:db8::7]:3478?transport=udp"],
                "one host serves both families"
            );
        }
    }

    #[test]
    fn a_listener_at_another_address_is_not_offered_under_a_guessed_one() {
        let urls = urls([&["192.0.2.1:3478"], &["192.0.2.2:3478"], &[]], &[], &Names::default());
        assert_eq!(urls, ["stun:192.0.2.1:3478", "turn:192.0.2.1:3478?transport=udp"]);
    }

    #[test]
    fn ports_that_browsers_block_are_left_out_with_a_warning() {
        let (udp, tcp) =
            (addresses(&["192.0.2.1:53", "192.0.2.1:5060"]), addresses(&["192.0.2.1:10080", "192.0.2.1:80"]));
        let served = Served { udp: &udp, tcp: &tcp, tls: &[], tls_on_tcp: true, relay: &[] };
        let names = Names { ice_host: Some("h.example"), ..Names::default() };
        let servers = IceServers::new(&served, &names, &Wishes::default());
        assert!(servers.stun.is_empty());
        let uris: Vec<&str> = servers.uris(None).collect();
        assert_eq!(uris, ["turn:h.example:80?transport=tcp", "turns:h.example:80?transport=tcp"]);
        assert_eq!(servers.warnings().len(), 3);
        assert!(servers.warnings()[0].starts_with("listen.udp: browsers refuse port 53"));
    }

    #[test]
    fn of_the_ports_below_1024_only_80_and_443_are_given_out() {
        let names = Names { ice_host: Some("h"), ..Names::default() };
        let given = |port: &u16| {
            let (listen, relay) = (vec![(Ipv4Addr::UNSPECIFIED, *port).into()], []);
            let served = Served { udp: &listen, tcp: &listen, tls: &listen, tls_on_tcp: true, relay: &relay };
            let servers = IceServers::new(&served, &names, &Wishes::default());
            let urls = servers.stun.len() + servers.uris(None).count();
            assert!([(0, 3), (4, 0)].contains(&(urls, servers.warnings().len())), "{port}: {servers:?}");
            urls > 0
        };
        assert_eq!((1..1024).filter(given).collect::<Vec<u16>>(), [80, 443]);
        assert!(given(&1024) && given(&3478) && !given(&5060));
    }

    #[test]
    fn tls_without_a_name_is_worth_a_warning() {
        let (tcp, relay) = (addresses(EVERYWHERE), [relay("192.0.2.1", "192.0.2.1")]);
        let served = Served { udp: &[], tcp: &tcp, tls: &[], tls_on_tcp: true, relay: &relay };
        let servers = IceServers::new(&served, &Names::default(), &Wishes::default());
        assert!(servers.warnings()[0].starts_with("http.ice_host: "), "{:?}", servers.warnings());
    }

    #[test]
    fn tls_is_offered_on_443_and_else_on_its_own_ports_before_those_it_shares() {
        let names = Names { ice_host: Some("h"), ..Names::default() };
        let tls = |tcp: &[&str], tls: &[&str]| urls([&[], tcp, tls], &[], &names).pop().unwrap();
        assert_eq!(tls(&["0.0.0.0:443"], &["0.0.0.0:5349"]), "turns:h:443?transport=tcp");
        assert_eq!(tls(&["0.0.0.0:3478"], &["0.0.0.0:5349"]), "turns:h:5349?transport=tcp");
    }

    #[test]
    fn the_answer_is_what_a_browser_takes() {
        let udp = addresses(&["192.0.2.1:3478"]);
        let served = Served { udp: &udp, tcp: &udp, tls: &[], tls_on_tcp: false, relay: &[] };
        let servers = IceServers::new(&served, &Names::default(), &Wishes::default());
        let before = Unix::from_secs(NOW.as_secs() - 60);
        let answer = servers
            .configuration(&credentials(&["north"]), &Tag::Other("alice"), before, MINUTE, None)
            .unwrap();
        let expected = serde_json::json!({
            "iceServers": [
                { "urls": ["stun:192.0.2.1:3478"] },
                {
                    "urls": ["turn:192.0.2.1:3478?transport=udp", "turn:192.0.2.1:3478?transport=tcp"],
                    "username": "1800000000:alice",
                    "credential": "sIm7pn/teO7y3AyXGeXl/xAQR6Q=",
                },
            ],
            "ttl": 60,
            "expires_at": 1_800_000_000,
        });
        assert_eq!(serde_json::to_value(&answer).unwrap(), expected);
        assert!(!format!("{answer:?}").contains("sIm7"), "a log does not show the password");
    }

    #[test]
    fn a_filter_leaves_only_its_transports_and_nothing_is_none() {
        let udp = addresses(&["192.0.2.1:3478"]);
        let served = Served { udp: &udp, tcp: &udp, tls: &[], tls_on_tcp: false, relay: &[] };
        let servers = IceServers::new(&served, &Names::default(), &Wishes::default());
        let secret = credentials(&["north"]);
        let only =
            |transport| servers.configuration(&secret, &Tag::Other(""), NOW, MINUTE, Some(&[transport]));
        let tcp = only(Transport::Tcp).unwrap().ice_servers;
        assert_eq!(tcp.len(), 1, "STUN is over UDP");
        assert_eq!(tcp[0].urls, ["turn:192.0.2.1:3478?transport=tcp"]);
        assert_eq!(only(Transport::Udp).unwrap().ice_servers.len(), 2);
        assert_eq!(only(Transport::Tls), None);
        assert_eq!(
            servers.configuration(&credentials(&[]), &Tag::Other(""), NOW, MINUTE, None),
            None,
            "without a secret"
        );
    }

    #[test]
    fn who_listens_nowhere_has_no_url() {
        let served = Served { udp: &[], tcp: &[], tls: &[], tls_on_tcp: false, relay: &[] };
        let servers =
            IceServers::new(&served, &Names { ice_host: Some("h"), ..Names::default() }, &Wishes::default());
        assert_eq!((servers.stun.len(), servers.uris(None).count()), (0, 0));
    }
}
