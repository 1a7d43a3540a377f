//! Finds what is wrong in a configuration whose single values are all right.

use std::collections::HashSet;
use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::time::Duration;

use crate::config::reading::Unread;
use crate::config::{ApiKey, Config, Listen, Tls};
use crate::ice::Served;
use crate::relay::engine::peers::PeerPolicy;
use crate::relay::ports::RelayAddress;

/// The key that is wrong, and what is wrong with it.
pub(super) type Mistake = (&'static str, String);

/// What was found so far.
#[derive(Debug)]
pub(super) struct Mistakes {
    unread: Unread,
    found: Vec<Mistake>,
}

impl Mistakes {
    pub(super) fn new(unread: Unread) -> Self {
        Self { unread, found: Vec::new() }
    }

    pub(super) fn add(&mut self, key: &'static str, reason: impl Into<String>) {
        self.found.push((key, reason.into()));
    }

    /// Whether it is known what the file says of these keys: a contradiction with a value that is wrong itself, and stands
    /// here as its default, is none.
    fn know(&self, keys: &[&str]) -> bool {
        self.unread.leaves(keys)
    }

    /// The value of this key is not known.
    pub(super) fn spoil(&mut self, key: &str) {
        self.unread.add(key);
    }

    pub(super) fn into_parts(self) -> (Vec<Mistake>, Unread) {
        (self.found, self.unread)
    }
}

impl Config {
    pub(super) fn check(&self, mistakes: &mut Mistakes) {
        self.check_listen(mistakes);
        self.check_tls(mistakes);
        self.check_http(mistakes);
        self.check_relay(mistakes);
        self.check_credentials(mistakes);
        self.check_peers(mistakes);
        self.check_rooms(mistakes);
        self.check_limits(mistakes);
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
        warnings.extend(self.own_port_warnings());
        for (key, proxies) in [("listen.proxies", &self.listen.proxies), ("http.proxies", &self.http.proxies)]
        {
            if let Some(net) = proxies.iter().find(|net| net.prefix_len() == 0) {
                warnings.push(format!(
                    "{key}: {net} is everybody, so any client can claim any address: name your own"
                ));
            }
        }
        if !self.tls.certificate.is_empty() && self.listen.tcp.is_empty() && self.listen.tls.is_empty() {
            let text = "tls.certificate: nobody is shown it: name addresses in listen.tcp or listen.tls";
            warnings.push(text.to_owned());
        }
        warnings.extend(self.room_warnings());
        warnings.extend(self.network_warnings());
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

    /// What a full room needs and is not given. Nobody shares an allocation, and a browser makes one for each TURN URL and address
    /// family of each connection.
    fn room_warnings(&self) -> Vec<String> {
        let (rooms, limits) = (&self.rooms, &self.limits);
        let connections = rooms.capacity.saturating_sub(1) as u32;
        let needed = connections * ALLOCATIONS_OF_CONNECTION;
        let mut warnings = Vec::new();
        let mut warn = |key: &str, limit: u32, needed: u32, who: &str| {
            if limit < needed {
                let capacity = rooms.capacity;
                warnings.push(format!(
                    "{key}: {who} in a room of {capacity} (rooms.capacity) may need {needed} allocations, and may have {limit}: raise it, or lower the capacity"
                ));
            }
        };
        warn("limits.allocations_per_user", limits.allocations_per_user, needed, "a member");
        if let Some(per_ip) = limits.allocations_per_ip {
            warn("limits.allocations_per_ip", per_ip, 2 * needed, "two members behind one address");
        }
        warnings
    }

    /// Bounds of a network that are below those of one address in it.
    fn network_warnings(&self) -> Vec<String> {
        let limits = &self.limits;
        let pairs = [
            (
                "answers_per_network",
                Some(limits.answers_per_network),
                "answers_per_ip",
                Some(limits.answers_per_ip),
            ),
            (
                "answers_per_network_burst",
                Some(limits.answers_per_network_burst),
                "answers_per_ip_burst",
                Some(limits.answers_per_ip_burst),
            ),
            (
                "connections_per_network",
                limits.connections_per_network,
                "connections_per_ip",
                limits.connections_per_ip,
            ),
        ];
        let below = |(network, most, address, part): (&str, Option<u32>, &str, Option<u32>)| {
            let (most, part) = (most?, part?);
            (most < part).then(|| {
                format!("limits.{network}: {most} are for a whole network, and one address in it may have {part} (limits.{address}): raise the first, or lower the second")
            })
        };
        pairs.into_iter().filter_map(below).collect()
    }

    /// What browsers will not be told of.
    fn ice_warnings(&self) -> Vec<String> {
        let Listen { udp, tcp, tls, rfc3489: _, proxies: _ } = &self.listen;
        let relay = self.relay.addresses.as_deref().unwrap_or_default();
        let served = Served { udp, tcp, tls, tls_on_tcp: !self.tls.certificate.is_empty(), relay };
        self.ice_servers(&served).warnings().to_vec()
    }

    fn check_listen(&self, mistakes: &mut Mistakes) {
        let Listen { udp, tcp, tls, rfc3489: _, proxies: _ } = &self.listen;
        if udp.is_empty()
            && tcp.is_empty()
            && tls.is_empty()
            && mistakes.know(&["listen.udp", "listen.tcp", "listen.tls"])
        {
            mistakes.add("listen.udp", "there must be at least one address to listen on");
        }
        let over_tcp = self.relay.tcp;
        for (key, addresses, relayed) in
            [("listen.udp", udp, true), ("listen.tcp", tcp, over_tcp), ("listen.tls", tls, over_tcp)]
        {
            if let Some(reason) = overlap(addresses) {
                mistakes.add(key, reason);
            }
            let inside = |address: &&SocketAddr| self.relay.ports.contains(&address.port());
            let known = mistakes.know(&[key, "relay.ports", "relay.tcp"]);
            if let Some(address) = addresses.iter().find(inside).filter(|_| relayed && known) {
                mistakes.add(key, format!("port {} lies in relay.ports: choose one outside", address.port()));
            }
        }
        let shared = |tls: &&SocketAddr| tcp.iter().any(|tcp| includes(tcp, tls) || includes(tls, tcp));
        let known = mistakes.know(&["listen.tcp", "listen.tls"]);
        if let Some(address) = tls.iter().find(shared).filter(|_| known) {
            mistakes.add(
                "listen.tls",
                format!("{address} is in listen.tcp too, which serves TLS beside TCP: remove one of the two"),
            );
        }
    }

    fn check_tls(&self, mistakes: &mut Mistakes) {
        let Tls { certificate, key, names } = &self.tls;
        if !mistakes.know(&["tls.certificate", "tls.key"]) {
            return;
        }
        if certificate.is_empty() && key.is_empty() && !self.listen.tls.is_empty() {
            let reason = "there is no certificate for it: name its files in tls.certificate and tls.key";
            mistakes.add("listen.tls", reason);
        }
        if key.is_empty() && !certificate.is_empty() {
            mistakes.add("tls.certificate", "its private key is missing: name its file in tls.key");
        } else if certificate.is_empty() && !key.is_empty() {
            mistakes.add("tls.key", "its certificate is missing: name its file in tls.certificate");
        } else if certificate.len() != key.len() {
            let (keys, certificates) = (key.len(), certificate.len());
            let reason = format!(
                "{keys} for tls.certificate's {certificates}: name the key of each certificate, in the same order"
            );
            mistakes.add("tls.key", reason);
        }
        if certificate.is_empty() && !names.is_empty() {
            let reason = "there is no certificate that could be for them: name tls.certificate and tls.key, or remove them";
            mistakes.add("tls.names", reason);
        }
    }

    fn check_http(&self, mistakes: &mut Mistakes) {
        let listen = &self.http.listen;
        if let Some(reason) = overlap(listen) {
            mistakes.add("http.listen", reason);
        }
        for (key, others) in [("listen.tcp", &self.listen.tcp), ("listen.tls", &self.listen.tls)] {
            let shared = |http: &&SocketAddr| {
                others.iter().any(|other| includes(other, http) || includes(http, other))
            };
            let known = mistakes.know(&["http.listen", key]);
            if let Some(address) = listen.iter().find(shared).filter(|_| known) {
                let reason = format!("{address} is in {key} too: choose another port, or remove it there");
                mistakes.add("http.listen", reason);
            }
        }
        self.check_keys(mistakes);
    }

    fn check_keys(&self, mistakes: &mut Mistakes) {
        let keys = &self.http.keys;
        for (i, ApiKey { id, hash, max_ttl, per_minute, .. }) in keys.iter().enumerate() {
            if let Some(twin) = keys[..i].iter().find(|other| other.id == *id || other.hash == *hash) {
                let what = if twin.id == *id { "the same id" } else { "the same hash" };
                mistakes.add("http.keys", format!("{:?} and {id:?} have {what}: one key, one id", twin.id));
            }
            if !KEY_TTL.contains(max_ttl) {
                let reason = format!("max_ttl of {id:?}: a credential lives from \"1m\" to \"1day\"");
                mistakes.add("http.keys", reason);
            }
            if *per_minute == 0 {
                mistakes.add("http.keys", format!("per_minute of {id:?}: it must be at least 1"));
            }
        }
        // Without users either, a secret is made for each run.
        let has_secret = !self.credentials.secrets.is_empty() || self.credentials.users.is_empty();
        let secrets = ["credentials.secrets", "credentials.secrets_file", "credentials.users"];
        if !keys.is_empty() && !has_secret && mistakes.know(&secrets) {
            let reason = "there is no secret to make credentials from: name one in credentials.secrets";
            mistakes.add("http.keys", reason);
        }
    }

    fn check_rooms(&self, mistakes: &mut Mistakes) {
        if CAPACITY.contains(&self.rooms.capacity) {
            return;
        }
        let (least, most) = CAPACITY.into_inner();
        let reason = format!(
            "a room has from {least} to {most} members: each sends its picture to each other, which more cannot bear"
        );
        mistakes.add("rooms.capacity", reason);
    }

    fn check_relay(&self, mistakes: &mut Mistakes) {
        if self.relay.threads.is_some_and(|threads| threads > THREADS_MAX) {
            mistakes.add(
                "relay.threads",
                format!("no more than {THREADS_MAX}: one for each core is best, \"auto\""),
            );
        }
        let Some(addresses) = &self.relay.addresses else { return };
        if addresses.is_empty() {
            mistakes.add("relay.addresses", "there is no address: write \"auto\", or name at least one");
        }
        for side in [|address: &RelayAddress| address.bind, |address: &RelayAddress| address.public] {
            let mut seen = HashSet::new();
            if let Some(twice) = addresses.iter().map(side).find(|ip| !seen.insert(*ip)) {
                mistakes.add("relay.addresses", format!("{twice} stands there twice: remove one"));
                break;
            }
        }
    }

    fn check_credentials(&self, mistakes: &mut Mistakes) {
        let credentials = &self.credentials;
        let realm = &credentials.realm;
        if realm.is_empty() || realm.chars().count() > REALM_MAX {
            let reason = format!("a realm has 1 to {REALM_MAX} characters; your domain name is a good one");
            mistakes.add("credentials.realm", reason);
        }
        if realm.contains(['"', '\\', ':']) || realm.chars().any(char::is_control) {
            let reason = "a realm has no quote, backslash, colon or control character";
            mistakes.add("credentials.realm", reason);
        }
        if !credentials.allow_weak_secret
            && mistakes.know(&["credentials.allow_weak_secret"])
            && credentials.secrets.iter().any(crate::credentials::Secret::is_weak)
        {
            let key = if credentials.secrets_file.is_some() {
                "credentials.secrets_file"
            } else {
                "credentials.secrets"
            };
            let reason =
                "a secret can be guessed: make one of 32 random bytes with `openssl rand -base64 32`";
            mistakes.add(key, reason);
        }
        if !TTL.contains(&credentials.ttl) {
            mistakes.add("credentials.ttl", "a credential lives from \"1m\" to \"30days\"");
        }
    }

    fn check_peers(&self, mistakes: &mut Mistakes) {
        for net in self.peers.allow.iter().filter(|net| !PeerPolicy::can_open(net)) {
            let remedy = if net.addr().is_loopback() {
                "for tests, write loopback = true instead"
            } else {
                "remove it; it can never be opened"
            };
            mistakes.add("peers.allow", format!("{net} is never a peer: {remedy}"));
        }
        self.check_own_ports(mistakes);
    }

    fn check_limits(&self, mistakes: &mut Mistakes) {
        let limits = &self.limits;
        let zero = [
            ("limits.allocations_per_user", u64::from(limits.allocations_per_user)),
            ("limits.handshakes_per_ip", limits.handshakes_per_ip.into()),
            ("limits.permissions", limits.permissions.into()),
            ("limits.channels", limits.channels.into()),
            ("limits.new_peers_per_second", limits.new_peers_per_second.into()),
            ("limits.new_peers_burst", limits.new_peers_burst.into()),
            ("limits.packets_per_second", limits.packets_per_second.into()),
            ("limits.bits_per_second", limits.bits_per_second),
            ("limits.answers_per_ip", limits.answers_per_ip.into()),
            ("limits.answers_per_ip_burst", limits.answers_per_ip_burst.into()),
            ("limits.answers_per_network", limits.answers_per_network.into()),
            ("limits.answers_per_network_burst", limits.answers_per_network_burst.into()),
            ("limits.failures_per_minute", limits.failures_per_minute.into()),
            ("rooms.members", self.rooms.members as u64),
            ("rooms.sockets_per_ip", self.rooms.sockets_per_ip.into()),
            ("rooms.joins_per_minute", self.rooms.joins_per_minute.into()),
        ];
        for (key, _) in zero.iter().filter(|(_, limit)| *limit == 0) {
            mistakes.add(key, "it must be at least 1");
        }
        for (user, _) in limits.users.iter().filter(|(_, most)| **most == 0) {
            let reason = format!("{user:?} must have at least 1: to shut it out, revoke its credential");
            mistakes.add("limits.users", reason);
        }
        let ports = self.relay.ports.len() * self.relay.addresses.as_ref().map_or(2, Vec::len);
        let too_many = limits.allocations.is_some_and(|allocations| allocations as usize > ports);
        if too_many && mistakes.know(&["limits.allocations", "relay.ports", "relay.addresses"]) {
            let reason = format!("relay.ports has room for {ports}: lower this, or widen the range");
            mistakes.add("limits.allocations", reason);
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

/// Three URLs and two address families.
const ALLOCATIONS_OF_CONNECTION: u32 = 6;
const THREADS_MAX: u32 = 1024;
const CAPACITY: RangeInclusive<usize> = 2..=8;
/// RFC 8489 §14.9.
const REALM_MAX: usize = 127;
const SHORT_PASSWORD: usize = 16;
/// How long a credential that is asked for over HTTP may live.
pub const KEY_TTL: RangeInclusive<Duration> = Duration::from_secs(60)..=Duration::from_secs(24 * 3600);
/// How long a credential may live.
pub const TTL: RangeInclusive<Duration> = Duration::from_secs(60)..=Duration::from_secs(30 * 24 * 3600);
