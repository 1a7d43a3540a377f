//! Finds what is wrong in a configuration whose single values are all right.

use std::collections::HashSet;
use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::time::Duration;

use ipnet::IpNet;
use rustls::pki_types::ServerName;

use crate::config::{ApiKey, Config, Listen, Tls};
use crate::ice::Served;
use crate::relay::engine::peers::PeerPolicy;
use crate::relay::ports::RelayAddress;

/// The key that is wrong, and what is wrong with it.
pub(super) type Mistake = (&'static str, String);

impl Config {
    pub(super) fn check(&self) -> Result<(), Mistake> {
        self.check_listen()?;
        self.check_tls()?;
        self.check_http()?;
        self.check_relay()?;
        self.check_credentials()?;
        self.check_peers()?;
        self.check_rooms()?;
        self.check_limits()
    }

    /// What works, but is probably not meant. `file` is where the configuration comes from.
    #[must_use]
    pub fn warnings(&self, file: Option<&Path>) -> Vec<String> {
        let mut warnings = Vec::new();
        let mode = file.and_then(|file| file.metadata().ok()).map_or(0, |file| file.permissions().mode());
        let credentials = &self.credentials;
        let inline = !credentials.secrets.is_empty() && credentials.secrets_file.is_none();
        if (inline || !credentials.users.is_empty()) && mode & 0o007 != 0 {
            let text =
                "credentials: everybody on this machine can read them in this file: run `chmod o=` on it";
            warnings.push(text.to_owned());
        }
        let open = |net: &&IpNet| PeerPolicy::is_open(net);
        if let Some(net) = self.peers.allow.iter().find(open) {
            warnings.push(format!("peers.allow: {net} is open anyway; this list does not close the rest"));
        }
        if let Some(net) = self.listen.proxies.iter().find(|net| net.prefix_len() == 0) {
            let text = format!(
                "listen.proxies: {net} is everybody, so any client can claim any address: name your own"
            );
            warnings.push(text);
        }
        if let Some(net) = self.http.proxies.iter().find(|net| net.prefix_len() == 0) {
            let text = format!(
                "http.proxies: {net} is everybody, so any client can claim any address: name your own"
            );
            warnings.push(text);
        }
        if !self.tls.certificate.is_empty() && self.listen.tcp.is_empty() && self.listen.tls.is_empty() {
            let text = "tls.certificate: nobody is shown it: name addresses in listen.tcp or listen.tls";
            warnings.push(text.to_owned());
        }
        if self.peers.loopback {
            let text =
                "peers.loopback: clients can reach every service on this machine's loopback; for tests only";
            warnings.push(text.to_owned());
        }
        warnings.extend(self.ice_warnings());
        if self.credentials.allow_weak_secret {
            warnings.push(
                "credentials.allow_weak_secret: whoever holds one credential can guess the secret".to_owned(),
            );
        }
        if self.peers.allow.iter().any(|net| net.prefix_len() == 0) {
            warnings
                .push("peers.allow: every private network that this machine can reach is open".to_owned());
        }
        if self.credentials.users.values().any(|password| password.reveal().len() < SHORT_PASSWORD) {
            let text = format!(
                "credentials.users: a password has less than {SHORT_PASSWORD} bytes; it can be guessed"
            );
            warnings.push(text);
        }
        warnings
    }

    /// What browsers will not be told of.
    fn ice_warnings(&self) -> Vec<String> {
        let Listen { udp, tcp, tls, proxies: _ } = &self.listen;
        let relay = self.relay.addresses.as_deref().unwrap_or_default();
        let served = Served { udp, tcp, tls, tls_on_tcp: !self.tls.certificate.is_empty(), relay };
        self.ice_servers(&served).warnings().to_vec()
    }

    fn check_listen(&self) -> Result<(), Mistake> {
        let Listen { udp, tcp, tls, proxies: _ } = &self.listen;
        if udp.is_empty() && tcp.is_empty() && tls.is_empty() {
            return Err(("listen.udp", "there must be at least one address to listen on".to_owned()));
        }
        let over_tcp = self.relay.tcp;
        for (key, addresses, relayed) in
            [("listen.udp", udp, true), ("listen.tcp", tcp, over_tcp), ("listen.tls", tls, over_tcp)]
        {
            if let Some(reason) = overlap(addresses) {
                return Err((key, reason));
            }
            let inside = |address: &&SocketAddr| self.relay.ports.contains(&address.port());
            if let Some(address) = addresses.iter().find(inside).filter(|_| relayed) {
                return Err((
                    key,
                    format!("port {} lies in relay.ports: choose one outside", address.port()),
                ));
            }
        }
        let shared = |tls: &&SocketAddr| tcp.iter().any(|tcp| includes(tcp, tls) || includes(tls, tcp));
        match tls.iter().find(shared) {
            Some(address) => Err((
                "listen.tls",
                format!("{address} is in listen.tcp too, which serves TLS beside TCP: remove one of the two"),
            )),
            None => Ok(()),
        }
    }

    fn check_tls(&self) -> Result<(), Mistake> {
        let Tls { certificate, key, names } = &self.tls;
        if certificate.is_empty() && key.is_empty() && !self.listen.tls.is_empty() {
            let reason = "there is no certificate for it: name its files in tls.certificate and tls.key";
            return Err(("listen.tls", reason.to_owned()));
        }
        if key.is_empty() && !certificate.is_empty() {
            return Err((
                "tls.certificate",
                "its private key is missing: name its file in tls.key".to_owned(),
            ));
        }
        if certificate.is_empty() && !key.is_empty() {
            let reason = "its certificate is missing: name its file in tls.certificate";
            return Err(("tls.key", reason.to_owned()));
        }
        if certificate.len() != key.len() {
            let (keys, certificates) = (key.len(), certificate.len());
            let reason = format!(
                "{keys} for tls.certificate's {certificates}: name the key of each certificate, in the same order"
            );
            return Err(("tls.key", reason));
        }
        if certificate.is_empty() && !names.is_empty() {
            let reason = "there is no certificate that could be for them: name tls.certificate and tls.key, or remove them";
            return Err(("tls.names", reason.to_owned()));
        }
        match names.iter().find(|name| ServerName::try_from(name.as_str()).is_err()) {
            Some(name) => {
                let reason =
                    format!("{name:?} is no host name: write what clients use, such as \"turn.example.org\"");
                Err(("tls.names", reason))
            }
            None => Ok(()),
        }
    }

    fn check_http(&self) -> Result<(), Mistake> {
        let listen = &self.http.listen;
        if let Some(reason) = overlap(listen) {
            return Err(("http.listen", reason));
        }
        for (key, others) in [("listen.tcp", &self.listen.tcp), ("listen.tls", &self.listen.tls)] {
            let shared = |http: &&SocketAddr| {
                others.iter().any(|other| includes(other, http) || includes(http, other))
            };
            if let Some(address) = listen.iter().find(shared) {
                let reason = format!("{address} is in {key} too: choose another port, or remove it there");
                return Err(("http.listen", reason));
            }
        }
        match self.http.ice_host.as_deref().filter(|host| ServerName::try_from(*host).is_err()) {
            Some(host) => Err((
                "http.ice_host",
                format!("{host:?} is neither a host name nor an address: write \"turn.example.org\""),
            )),
            None => self.check_keys(),
        }
    }

    fn check_keys(&self) -> Result<(), Mistake> {
        let keys = &self.http.keys;
        let wrong = |reason: String| Err(("http.keys", reason));
        for (i, ApiKey { id, hash, max_ttl, per_minute, .. }) in keys.iter().enumerate() {
            if let Some(twin) = keys[..i].iter().find(|other| other.id == *id || other.hash == *hash) {
                let what = if twin.id == *id { "the same id" } else { "the same hash" };
                return wrong(format!("{:?} and {id:?} have {what}: one key, one id", twin.id));
            }
            if !KEY_TTL.contains(max_ttl) {
                return wrong(format!("max_ttl of {id:?}: a credential lives from \"1m\" to \"1day\""));
            }
            if *per_minute == 0 {
                return wrong(format!("per_minute of {id:?}: it must be at least 1"));
            }
        }
        // Without users either, a secret is made for each run.
        let has_secret = !self.credentials.secrets.is_empty() || self.credentials.users.is_empty();
        if keys.is_empty() || has_secret {
            return Ok(());
        }
        wrong("there is no secret to make credentials from: name one in credentials.secrets".to_owned())
    }

    fn check_rooms(&self) -> Result<(), Mistake> {
        if CAPACITY.contains(&self.rooms.capacity) {
            return Ok(());
        }
        let (least, most) = CAPACITY.into_inner();
        let reason = format!(
            "a room has from {least} to {most} members: each sends its picture to each other, which more cannot bear"
        );
        Err(("rooms.capacity", reason))
    }

    fn check_relay(&self) -> Result<(), Mistake> {
        if self.relay.threads.is_some_and(|threads| threads > THREADS_MAX) {
            return Err((
                "relay.threads",
                format!("no more than {THREADS_MAX}: one for each core is best, \"auto\""),
            ));
        }
        let Some(addresses) = &self.relay.addresses else { return Ok(()) };
        let wrong = |reason: String| Err(("relay.addresses", reason));
        if addresses.is_empty() {
            return wrong("there is no address: write \"auto\", or name at least one".to_owned());
        }
        for side in [|address: &RelayAddress| address.bind, |address: &RelayAddress| address.public] {
            let mut seen = HashSet::new();
            if let Some(twice) = addresses.iter().map(side).find(|ip| !seen.insert(*ip)) {
                return wrong(format!("{twice} stands there twice: remove one"));
            }
        }
        Ok(())
    }

    fn check_credentials(&self) -> Result<(), Mistake> {
        let credentials = &self.credentials;
        let realm = &credentials.realm;
        if realm.is_empty() || realm.chars().count() > REALM_MAX {
            let reason = format!("a realm has 1 to {REALM_MAX} characters; your domain name is a good one");
            return Err(("credentials.realm", reason));
        }
        if realm.contains(['"', '\\', ':']) || realm.chars().any(char::is_control) {
            return Err((
                "credentials.realm",
                "a realm has no quote, backslash, colon or control character".to_owned(),
            ));
        }
        if !credentials.allow_weak_secret
            && credentials.secrets.iter().any(crate::credentials::Secret::is_weak)
        {
            let key = if credentials.secrets_file.is_some() {
                "credentials.secrets_file"
            } else {
                "credentials.secrets"
            };
            let reason =
                "a secret can be guessed: make one of 32 random bytes with `openssl rand -base64 32`";
            return Err((key, reason.to_owned()));
        }
        if !TTL.contains(&credentials.ttl) {
            return Err(("credentials.ttl", "a credential lives from \"1m\" to \"30days\"".to_owned()));
        }
        Ok(())
    }

    fn check_peers(&self) -> Result<(), Mistake> {
        let Some(net) = self.peers.allow.iter().find(|net| !PeerPolicy::can_open(net)) else { return Ok(()) };
        let remedy = if net.addr().is_loopback() {
            "for tests, write loopback = true instead"
        } else {
            "remove it; it can never be opened"
        };
        Err(("peers.allow", format!("{net} is never a peer: {remedy}")))
    }

    fn check_limits(&self) -> Result<(), Mistake> {
        let limits = &self.limits;
        let zero = [
            ("limits.allocations_per_user", u64::from(limits.allocations_per_user)),
            ("limits.allocations_per_ip", limits.allocations_per_ip.into()),
            ("limits.handshakes_per_ip", limits.handshakes_per_ip.into()),
            ("limits.permissions", limits.permissions.into()),
            ("limits.channels", limits.channels.into()),
            ("limits.new_peers_per_second", limits.new_peers_per_second.into()),
            ("limits.new_peers_burst", limits.new_peers_burst.into()),
            ("limits.packets_per_second", limits.packets_per_second.into()),
            ("limits.bits_per_second", limits.bits_per_second),
            ("limits.answers_per_ip", limits.answers_per_ip.into()),
            ("limits.answers_per_network", limits.answers_per_network.into()),
            ("limits.failures_per_minute", limits.failures_per_minute.into()),
            ("rooms.members", self.rooms.members as u64),
            ("rooms.sockets_per_ip", self.rooms.sockets_per_ip.into()),
            ("rooms.joins_per_minute", self.rooms.joins_per_minute.into()),
        ];
        if let Some((key, _)) = zero.iter().find(|(_, limit)| *limit == 0) {
            return Err((key, "it must be at least 1".to_owned()));
        }
        let ports = self.relay.ports.len() * self.relay.addresses.as_ref().map_or(2, Vec::len);
        match limits.allocations {
            Some(allocations) if allocations as usize > ports => {
                let reason = format!("relay.ports has room for {ports}: lower this, or widen the range");
                Err(("limits.allocations", reason))
            }
            _ => Ok(()),
        }
    }
}

/// What is wrong with a list of addresses of which one takes what comes to another.
fn overlap(addresses: &[SocketAddr]) -> Option<String> {
    let twice = |(i, one): (usize, &SocketAddr)| addresses[..i].contains(one) && one.port() != 0;
    if let Some(i) = addresses.iter().enumerate().position(twice) {
        return Some(format!("{} stands there twice: remove one", addresses[i]));
    }
    let mut pairs = addresses.iter().flat_map(|one| addresses.iter().map(move |other| (one, other)));
    let (all, one) = pairs.find(|(one, other)| one != other && includes(one, other))?;
    Some(format!("{all} includes {one}: remove one of the two"))
}

/// Whether who listens on `one` takes what comes to `other`. Port 0 is another port each time.
fn includes(one: &SocketAddr, other: &SocketAddr) -> bool {
    let same = one.is_ipv4() == other.is_ipv4() && one.port() == other.port() && one.port() != 0;
    same && (one.ip() == other.ip() || one.ip().is_unspecified())
}

const THREADS_MAX: u32 = 1024;
const CAPACITY: RangeInclusive<usize> = 2..=8;
/// RFC 8489 §14.9.
const REALM_MAX: usize = 127;
const SHORT_PASSWORD: usize = 16;
/// How long a credential that is asked for over HTTP may live.
pub const KEY_TTL: RangeInclusive<Duration> = Duration::from_secs(60)..=Duration::from_secs(24 * 3600);
/// How long a credential may live.
pub const TTL: RangeInclusive<Duration> = Duration::from_secs(60)..=Duration::from_secs(30 * 24 * 3600);
