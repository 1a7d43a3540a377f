//! Says what works, but is probably not meant.

use std::net::{IpAddr, SocketAddr};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use ipnet::IpNet;

use crate::config::Config;
use crate::ice::Served;
use crate::network::address::RelayAddress;
use crate::network::own::Own;
use crate::peers::PeerPolicy;
use crate::room_token::Create;
use crate::sections::addresses::WantedAddress;
use crate::sections::admin::AdminAddress;
use crate::sections::listen::Listen;
use crate::sections::usage::UsagePath;

/// Three URLs and two address families.
const ALLOCATIONS_OF_CONNECTION: u32 = 6;
/// A password with fewer bytes can be guessed.
const SHORT_PASSWORD: usize = 16;

const KNOCK_IN_VAIN: &str = "rooms.knock: newcomers to rooms of compat.socketio and compat.websocket wait too, and their pages have \
                             nothing by which a host could let them in: write knock = false, or switch these off";

impl Config {
    /// What works, but is probably not meant. `file` is where the configuration comes from.
    #[must_use]
    pub fn warnings(&self, file: Option<&Path>) -> Vec<String> {
        let mut warnings = Vec::new();
        warnings.extend(self.readable_secrets(file));
        warnings.extend(self.own_port_warnings());
        for (key, proxies) in [("listen.proxies", &self.listen.proxies), ("http.proxies", &self.http.proxies)]
        {
            if let Some(net) = proxies.iter().find(|net| net.prefix_len() == 0) {
                warnings.push(format!(
                    "{key}: {net} matches every address, so any client could forge its address: list only your proxies"
                ));
            }
        }
        if !self.tls.certificate.0.is_empty() && self.listen.tcp.is_empty() && self.listen.tls.is_empty() {
            warnings.push(
                "tls.certificate: no client sees it: name addresses in listen.tcp or listen.tls".to_owned(),
            );
        }
        if !self.relay.alternates.is_empty() && self.relay.drain_timeout.get().is_zero() {
            warnings.push(
                "relay.alternates: only `hairpin drain` sends clients there, because relay.drain_timeout is \"0s\" and so a \
                 stop does not wait"
                    .to_owned(),
            );
        }
        let open = |address: &SocketAddr| !address.ip().is_loopback();
        let mut administrators = self.admin.listen.0.iter().flatten().filter_map(AdminAddress::tcp);
        if let Some(address) = administrators.find(open) {
            warnings.push(format!(
                "admin.listen: {address} is plain HTTP, so whoever can read the network sees the token: write \
                 \"127.0.0.1:{}\", and use an SSH tunnel or a VPN",
                address.port()
            ));
        }
        warnings.extend(self.deny_warnings());
        if self.limits.bytes_per_user_per_day.0.is_some() && self.usage.path == UsagePath::Off {
            warnings.push(
                "limits.bytes_per_user_per_day: a restart forgets what users have carried today: set usage.path to \
                 keep it"
                    .to_owned(),
            );
        }
        warnings.extend(self.room_warnings());
        if self.rooms.password_hash.is_some() && self.rooms.create != Create::Password {
            let create = self.rooms.create.name();
            warnings.push(format!(
                "rooms.password_hash: nobody is asked for the password while rooms.create is {create:?}: write \"password\" there"
            ));
        }
        warnings.extend(self.network_warnings());
        warnings.extend(self.ice_warnings());
        warnings.extend(self.dangers().into_iter().map(str::to_owned));
        if self.credentials.users.values().any(|password| password.reveal().len() < SHORT_PASSWORD) {
            warnings.push(format!(
                "credentials.users: a password has fewer than {SHORT_PASSWORD} bytes and can be guessed: choose a longer one"
            ));
        }
        warnings
    }

    /// Relay addresses that peers on the Internet cannot reach, while clients may come from there.
    #[must_use]
    pub fn private_relays(&self, relay: &[RelayAddress]) -> Vec<String> {
        let Listen { udp, tcp, tls, rfc3489: _, proxies: _, takeover: _ } = &self.listen;
        let is_public = |ip: IpAddr| ip.is_unspecified() || PeerPolicy::is_global(&ip.into());
        if ![udp, tcp, tls].into_iter().flatten().any(|listener| is_public(listener.ip())) {
            return Vec::new();
        }
        let text = |address: &RelayAddress| {
            let bind = address.bind;
            format!(
                "relay.addresses: {address} is not public, so peers on the Internet cannot reach it: behind a NAT, write \
                 {{ bind = \"{bind}\", public = \"192.0.2.5\" }} with the NAT's address, or a name that has it, or \
                 {{ stun = \"stun.example.org:3478\" }}"
            )
        };
        relay.iter().filter(|address| !is_public(address.public)).map(text).collect()
    }

    /// Opened ranges that would be open anyway on a machine that is `own`.
    #[must_use]
    pub fn needless_openings(&self, own: &Own) -> Vec<String> {
        let meet =
            |one: &IpNet, other: &IpNet| one.contains(&other.network()) || other.contains(&one.network());
        let needless =
            |net: &IpNet| PeerPolicy::is_global(net) && !own.on_link.iter().any(|own| meet(own, net));
        let text = |net| {
            format!(
                "peers.allow: {net} is open anyway, because it is not a network of this machine; this list does not close the rest"
            )
        };
        self.peers.allow.iter().map(|range| range.get()).filter(needless).map(text).collect()
    }

    fn readable_secrets(&self, file: Option<&Path>) -> Option<String> {
        let mode = file.and_then(|file| file.metadata().ok()).map_or(0, |file| file.permissions().mode());
        let credentials = &self.credentials;
        let inline = !credentials.secrets.is_empty() && credentials.secrets_file.is_none();
        let exposed = (inline || !credentials.users.is_empty()) && mode & 0o007 != 0;
        exposed.then(|| {
            "credentials: every user of this machine can read the secrets in this file: run `chmod o=` on it".to_owned()
        })
    }

    /// Switches that open more than anybody should need.
    fn dangers(&self) -> Vec<&'static str> {
        let open_to_all = self.peers.allow.iter().any(|range| range.get().prefix_len() == 0);
        let dangers = [
            (
                self.peers.loopback,
                "peers.loopback: clients can reach every service on this machine's loopback; only for tests",
            ),
            (
                self.credentials.allow_weak_secret,
                "credentials.allow_weak_secret: anyone with one credential can brute-force a weak secret",
            ),
            (open_to_all, "peers.allow: every private network that this machine can reach is open"),
        ];
        dangers.into_iter().filter(|(is, _)| *is).map(|(_, text)| text).collect()
    }

    /// Denied networks with clients that are probably not meant: this machine itself, and proxies.
    fn deny_warnings(&self) -> Vec<String> {
        let loopback: [IpNet; 2] =
            ["127.0.0.1/32", "::1/128"].map(|net| net.parse().expect("it is a network"));
        let own =
            loopback.iter().map(|net| (net, "loopback, so programs on this machine are refused".to_owned()));
        let proxies = [("listen.proxies", &self.listen.proxies), ("http.proxies", &self.http.proxies)];
        let proxies = proxies.into_iter().flat_map(|(key, proxies)| {
            let is_loopback = |net: &&IpNet| net.addr().is_loopback();
            proxies.iter().filter(move |net| !is_loopback(net)).map(move |net| {
                (net, format!("{net} of {key}, so what a proxy sends for no client, such as a health check, is refused"))
            })
        });
        let covered: Vec<_> = own.chain(proxies).collect();
        let meet =
            |one: &IpNet, other: &IpNet| one.contains(&other.network()) || other.contains(&one.network());
        let one = |denied: &IpNet| {
            let found = covered.iter().find(|(net, _)| meet(net, denied));
            found.map(|(_, what)| {
                format!("clients.deny: {denied} covers {what}: remove it, or make it smaller")
            })
        };
        self.clients.deny.iter().filter_map(one).collect()
    }

    /// Limits that are too low for a full room. No two connections share an allocation, and a browser makes one for each TURN
    /// URL and address family of each connection.
    fn room_warnings(&self) -> Vec<String> {
        let (capacity, limits) = (self.rooms.capacity.get(), &self.limits);
        let needed = (capacity - 1) * ALLOCATIONS_OF_CONNECTION;
        let warn = |key: &str, limit: u32, needed: u32, who: &str| {
            (limit < needed).then(|| {
                format!(
                    "limits.{key}: {who} in a room of {capacity} (rooms.capacity) may need {needed} allocations, and may have {limit}: raise it, or lower the capacity"
                )
            })
        };
        let per_user = limits.allocations_per_user.get();
        let per_ip = limits.allocations_per_ip.0;
        let of_user = warn("allocations_per_user", per_user, needed, "a member");
        let of_ip = per_ip.and_then(|per_ip| {
            warn("allocations_per_ip", per_ip.get(), 2 * needed, "two members behind one address")
        });
        let meet_elsewhere = self.compat.socketio || self.compat.websocket.0.is_some();
        let in_vain = (self.rooms.knock && meet_elsewhere).then(|| KNOCK_IN_VAIN.to_owned());
        of_user.into_iter().chain(of_ip).chain(in_vain).collect()
    }

    /// Bounds of a network that are below those of one address in it.
    fn network_warnings(&self) -> Vec<String> {
        let limits = &self.limits;
        let of_network = [
            ("answers_per_network", Some(limits.answers_per_network)),
            ("answers_per_network_burst", Some(limits.answers_per_network_burst)),
            ("connections_per_network", limits.connections_per_network.0),
        ];
        let of_address = [
            ("answers_per_ip", Some(limits.answers_per_ip)),
            ("answers_per_ip_burst", Some(limits.answers_per_ip_burst)),
            ("connections_per_ip", limits.connections_per_ip.0),
        ];
        let below = |((network, all), (address, part))| {
            let (all, part) = (all?, part?);
            (all < part).then(|| {
                format!("limits.{network}: a whole network may have {all}, and one address in it {part} (limits.{address}): raise the first, or lower the second")
            })
        };
        of_network.into_iter().zip(of_address).filter_map(below).collect()
    }

    /// What no ICE URL will name.
    fn ice_warnings(&self) -> Vec<String> {
        let Listen { udp, tcp, tls, rfc3489: _, proxies: _, takeover: _ } = &self.listen;
        let relay: Vec<RelayAddress> = self.relay.wanted().iter().filter_map(WantedAddress::named).collect();
        let served = Served { udp, tcp, tls, tls_on_tcp: self.tls.is_on(), relay: &relay };
        self.ice_servers(&served).warnings().to_vec()
    }

    /// Opened ports that stay closed on one address of this machine.
    fn own_port_warnings(&self) -> Vec<String> {
        let one = |(_, listener): &(&str, SocketAddr)| !listener.ip().is_loopback();
        let closed = self.peers.allow_own.iter().flat_map(|own| self.listeners_within(own).filter(one));
        closed
            .map(|(key, listener)| {
                format!("peers.allow_own: {listener} stays closed, because it is one of {key}")
            })
            .collect()
    }
}
