//! Turns `config.toml` into a [`Config`], whose fields are already what they mean.
//!
//! A mistake is an error that names file, line and key, says what is wrong, and what to write instead. Nothing is
//! guessed, and nothing is only warned about that would not work.

mod checks;
mod error;
mod own_ports;
mod reading;
mod values;

use std::collections::HashMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::time::Duration;

use ipnet::{IpNet, Ipv6Net};
use serde::Deserialize;

use crate::api_key::KeyHash;
use crate::certificates::{CertificateError, Certificates, Files};
use crate::config::checks::Mistakes;
use crate::config::error::Fault;
use crate::config::reading::{Reading, Unread};
use crate::credentials::{CheckExpiry, Secret};
use crate::files;
use crate::ice::{IceServers, Names, Served};
use crate::origin::{Origin, OriginPattern, host};
use crate::relay::engine::peers::OwnPorts;
use crate::relay::ports::RelayAddress;

pub use checks::{KEY_TTL, TTL};
pub use error::ConfigError;

/// The whole configuration.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Where clients reach the daemon.
    pub listen: Listen,
    /// What it shows to TLS clients.
    pub tls: Tls,
    /// Where pages, credentials and rooms are.
    pub http: Http,
    /// Where it relays from.
    pub relay: Relay,
    /// Where its clients meet.
    pub rooms: Rooms,
    /// Who may use it.
    pub credentials: Credentials,
    /// Whom they may reach.
    pub peers: Peers,
    /// How much they may have.
    pub limits: Limits,
    /// What is logged.
    pub log: Log,
}

/// `[listen]`
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Listen {
    /// STUN and TURN over UDP.
    #[serde(deserialize_with = "values::socket_addresses")]
    pub udp: Vec<SocketAddr>,
    /// STUN and TURN over TCP; over TLS too, where there is a certificate.
    #[serde(deserialize_with = "values::socket_addresses")]
    pub tcp: Vec<SocketAddr>,
    /// TURN over TLS alone.
    #[serde(deserialize_with = "values::socket_addresses")]
    pub tls: Vec<SocketAddr>,
    /// Whether Binding is answered over UDP without a magic cookie (RFC 3489).
    pub rfc3489: bool,
    /// The proxies whose connections begin with a PROXY protocol header.
    #[serde(deserialize_with = "values::networks")]
    pub proxies: Vec<IpNet>,
}

/// `[tls]`
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Tls {
    /// Files with a certificate and the chain that leads to its issuer's root; none, and there is no TLS.
    #[serde(deserialize_with = "values::one_or_more_files")]
    pub certificate: Vec<PathBuf>,
    /// The file with the private key of each certificate, in the same order.
    #[serde(deserialize_with = "values::one_or_more_files")]
    pub key: Vec<PathBuf>,
    /// The host names that clients use; each must be in a certificate.
    #[serde(deserialize_with = "host::list")]
    pub names: Vec<String>,
}

/// `[http]`
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Http {
    /// HTTP without TLS.
    #[serde(deserialize_with = "values::socket_addresses")]
    pub listen: Vec<SocketAddr>,
    /// Where browsers reach it, if that is not where it listens.
    pub public_url: Option<Origin>,
    /// The host in ICE URLs, if it is another than that of `public_url`.
    #[serde(deserialize_with = "host::optional")]
    pub ice_host: Option<String>,
    /// Other sites whose pages may open rooms and fetch credentials.
    pub allowed_origins: Vec<OriginPattern>,
    /// The reverse proxies whose word counts for who a client is.
    #[serde(deserialize_with = "values::networks")]
    pub proxies: Vec<IpNet>,
    /// The backends that may ask for credentials.
    pub keys: Vec<ApiKey>,
}

/// `[[http.keys]]`
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ApiKey {
    /// Its name; part of the user names made with it.
    #[serde(deserialize_with = "values::key_id")]
    pub id: String,
    /// What the key is known by.
    pub hash: KeyHash,
    /// The sites whose pages may use it.
    #[serde(default)]
    pub origins: Vec<OriginPattern>,
    /// How long a credential or a token made with it is valid at most.
    #[serde(default = "a_day", deserialize_with = "values::duration")]
    pub max_ttl: Duration,
    /// Requests a minute.
    #[serde(default = "six_hundred")]
    pub per_minute: u32,
    /// Whether it may stand in a URL.
    #[serde(default)]
    pub allow_query: bool,
}

impl ApiKey {
    /// Whether strangers may have it: it stands in pages, or in URLs, which end up in logs. Such a key asks for ICE
    /// servers, as often as any one visitor may, and for nothing else.
    #[must_use]
    pub fn is_public(&self) -> bool {
        self.allow_query || !self.origins.is_empty()
    }
}

const fn a_day() -> Duration {
    Duration::from_secs(24 * 3600)
}

const fn six_hundred() -> u32 {
    600
}

/// `[relay]`
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Relay {
    /// The addresses; `None` is "auto".
    #[serde(deserialize_with = "values::relay_addresses")]
    pub addresses: Option<Vec<RelayAddress>>,
    /// The ports.
    #[serde(deserialize_with = "values::ports")]
    pub ports: RangeInclusive<u16>,
    /// The threads; `None` is "auto".
    #[serde(deserialize_with = "values::auto_or_count")]
    pub threads: Option<u32>,
    /// Whether clients may bind the channels of RFC 5766.
    pub rfc5766_channels: bool,
    /// Whether clients may reach peers over TCP (RFC 6062).
    pub tcp: bool,
}

/// `[credentials]`
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Credentials {
    /// The realm.
    pub realm: String,
    /// Shared secrets, newest first; those of `secrets_file` once the file is read.
    #[serde(deserialize_with = "values::secrets")]
    pub secrets: Vec<Secret>,
    /// Where the secrets are instead.
    pub secrets_file: Option<PathBuf>,
    /// Whether secrets may be guessable.
    pub allow_weak_secret: bool,
    /// Static users and their passwords, prepared by the OpaqueString profile (RFC 8265 §4.2).
    #[serde(deserialize_with = "values::users")]
    pub users: HashMap<String, Secret>,
    /// How long a credential is valid that a member of a room gets, or that the command line makes.
    #[serde(deserialize_with = "values::duration")]
    pub ttl: Duration,
    /// When the expiry is checked.
    #[serde(deserialize_with = "values::check_expiry")]
    pub check_expiry: CheckExpiry,
}

/// `[rooms]`
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Rooms {
    /// Members of one room.
    pub capacity: usize,
    /// Who may create rooms.
    #[serde(deserialize_with = "values::create")]
    pub create: Create,
    /// Whether newcomers wait until the host lets them in.
    pub knock: bool,
    /// Members, and WebSockets, in all.
    pub members: usize,
    /// WebSockets of one address.
    pub sockets_per_ip: u32,
    /// Joins of one address, each minute.
    pub joins_per_minute: u32,
}

/// Who may create rooms.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Create {
    /// Whoever may join.
    Anyone,
    /// Who has a room token.
    Token,
}

/// `[peers]`
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Peers {
    /// Opened ranges.
    #[serde(deserialize_with = "values::networks")]
    pub allow: Vec<IpNet>,
    /// Closed ranges.
    #[serde(deserialize_with = "values::networks")]
    pub deny: Vec<IpNet>,
    /// Opened ports of this machine itself.
    #[serde(deserialize_with = "own_ports::read")]
    pub allow_own: Vec<OwnPorts>,
    /// NAT64 prefixes.
    #[serde(deserialize_with = "values::networks_v6")]
    pub nat64_prefixes: Vec<Ipv6Net>,
    /// Whether loopback is open.
    pub loopback: bool,
}

/// `[limits]`
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// Allocations in all; `None` is "auto".
    #[serde(deserialize_with = "values::auto_or_count")]
    pub allocations: Option<u32>,
    /// Allocations of one user.
    pub allocations_per_user: u32,
    /// Allocations of single users, in place of that: by the tag of their credentials, or the name of a static user.
    pub users: HashMap<String, u32>,
    /// Allocations of one address; `None` is "auto".
    #[serde(deserialize_with = "values::auto_or_count")]
    pub allocations_per_ip: Option<u32>,
    /// Connections in all; `None` is "auto".
    #[serde(deserialize_with = "values::auto_or_count")]
    pub connections: Option<u32>,
    /// Connections of one network, a /24 or /48; `None` is "auto".
    #[serde(deserialize_with = "values::auto_or_count")]
    pub connections_per_network: Option<u32>,
    /// Connections of one address; `None` is "auto".
    #[serde(deserialize_with = "values::auto_or_count")]
    pub connections_per_ip: Option<u32>,
    /// TLS handshakes of one address, each second.
    pub handshakes_per_ip: u32,
    /// Permissions of one allocation.
    pub permissions: u32,
    /// Channels of one allocation.
    pub channels: u32,
    /// New peers of one allocation, each second.
    pub new_peers_per_second: u32,
    /// New peers of one allocation, at once.
    pub new_peers_burst: u32,
    /// Packets of one allocation, each second and direction.
    pub packets_per_second: u32,
    /// Bits of payload of one allocation, each second and direction.
    pub bits_per_second: u64,
    /// Bits of payload of one user's allocations together, each second and direction; `None` is "off".
    #[serde(deserialize_with = "values::off_or_bits")]
    pub bits_per_second_per_user: Option<u64>,
    /// Bits of payload of all allocations together, each second and direction; `None` is "off".
    #[serde(deserialize_with = "values::off_or_bits")]
    pub bits_per_second_total: Option<u64>,
    /// Unauthenticated errors to one address, each second in the long run.
    pub answers_per_ip: u32,
    /// Unauthenticated errors to one address, at once.
    pub answers_per_ip_burst: u32,
    /// Unauthenticated errors to one network, each second in the long run.
    pub answers_per_network: u32,
    /// Unauthenticated errors to one network, at once.
    pub answers_per_network_burst: u32,
    /// Wrong passwords of one client, each minute.
    pub failures_per_minute: u32,
}

/// `[log]`
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Log {
    /// How much is logged.
    #[serde(deserialize_with = "values::level")]
    pub level: tracing::Level,
    /// How it looks.
    #[serde(deserialize_with = "values::format")]
    pub format: LogFormat,
}

/// How a log line looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

impl Tls {
    /// Reads the certificates, if there are to be any.
    ///
    /// # Errors
    /// Which files cannot be used, and why; never nothing.
    pub fn load(&self) -> Result<Option<Certificates>, Vec<CertificateError>> {
        if self.certificate.is_empty() {
            return Ok(None);
        }
        let pair = |(certificate, key): (&PathBuf, &PathBuf)| Files {
            certificate: certificate.clone(),
            key: key.clone(),
        };
        let files: Vec<Files> = self.certificate.iter().zip(&self.key).map(pair).collect();
        Certificates::load(&files, &self.names).map(Some)
    }
}

impl Default for Listen {
    fn default() -> Self {
        let both = ["0.0.0.0:3478", "[::]:3478"];
        let udp: Vec<_> = both.map(|address| address.parse().expect("it is an address")).into();
        Self { tcp: udp.clone(), udp, tls: Vec::new(), rfc3489: false, proxies: Vec::new() }
    }
}

impl Default for Http {
    fn default() -> Self {
        let loopback = ["127.0.0.0/8", "::1/128"];
        Self {
            listen: vec![SocketAddr::from((Ipv4Addr::LOCALHOST, 8080))],
            public_url: None,
            ice_host: None,
            allowed_origins: Vec::new(),
            proxies: loopback.map(|net| net.parse().expect("it is a network")).into(),
            keys: Vec::new(),
        }
    }
}

impl Default for Relay {
    fn default() -> Self {
        Self { addresses: None, ports: 49_152..=65_535, threads: None, rfc5766_channels: false, tcp: false }
    }
}

impl Default for Credentials {
    fn default() -> Self {
        Self {
            realm: "hairpin".to_owned(),
            secrets: Vec::new(),
            secrets_file: None,
            allow_weak_secret: false,
            users: HashMap::new(),
            ttl: Duration::from_secs(3600),
            check_expiry: CheckExpiry::Allocate,
        }
    }
}

impl Default for Rooms {
    fn default() -> Self {
        Self {
            capacity: 4,
            create: Create::Anyone,
            knock: false,
            members: 10_000,
            sockets_per_ip: 300,
            joins_per_minute: 300,
        }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            allocations: None,
            allocations_per_user: 100,
            users: HashMap::new(),
            allocations_per_ip: None,
            connections: None,
            connections_per_network: None,
            connections_per_ip: None,
            handshakes_per_ip: 50,
            permissions: 32,
            channels: 32,
            new_peers_per_second: 5,
            new_peers_burst: 32,
            packets_per_second: 10_000,
            bits_per_second: 25_000_000,
            bits_per_second_per_user: None,
            bits_per_second_total: None,
            answers_per_ip: 10,
            answers_per_ip_burst: 600,
            answers_per_network: 100,
            answers_per_network_burst: 2400,
            failures_per_minute: 20,
        }
    }
}

impl Default for Log {
    fn default() -> Self {
        Self { level: tracing::Level::INFO, format: LogFormat::Text }
    }
}

impl Config {
    /// Reads and checks a file, and the secrets file that it names.
    ///
    /// # Errors
    /// All that is wrong, where, and what to do.
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        Self::parse(&read_file(path)?, path)
    }

    /// The same, with the certificates that it names.
    ///
    /// # Errors
    /// As [`Self::load`].
    pub fn examine(path: &Path) -> Result<(Self, Option<Certificates>), ConfigError> {
        let text = read_file(path)?;
        let (config, mut faults, unread) = Self::judge(&text);
        let Tls { certificate, key, names: _ } = &config.tls;
        let paired =
            certificate.len() == key.len() && unread.leaves(&["tls.certificate", "tls.key", "tls.names"]);
        let certificates = if paired { config.tls.load() } else { Ok(None) };
        match certificates {
            Ok(certificates) if faults.is_empty() => return Ok((config, certificates)),
            Ok(_) => {}
            Err(errors) => faults.extend(errors.iter().map(|error| Fault::certificate(&text, error))),
        }
        Err(ConfigError::of(path, faults))
    }

    /// Checks the text of the file `path`.
    ///
    /// # Errors
    /// As [`Self::load`].
    pub fn parse(text: &str, path: &Path) -> Result<Self, ConfigError> {
        let (config, faults, _) = Self::judge(text);
        if faults.is_empty() { Ok(config) } else { Err(ConfigError::of(path, faults)) }
    }

    /// What a text says, all that is wrong with it, and which keys are not known for that.
    fn judge(text: &str) -> (Self, Vec<Fault>, Unread) {
        let Reading { mut config, mut faults, unread } = reading::read(text);
        if !unread.is_toml() {
            return (config, faults, unread);
        }
        let mut mistakes = Mistakes::new(unread);
        config.read_secrets_file(&mut mistakes);
        config.check(&mut mistakes);
        let (found, unread) = mistakes.into_parts();
        faults.extend(found.into_iter().map(|(key, reason)| Fault::of_key(text, key, reason)));
        (config, faults, unread)
    }

    /// The URLs by which browsers reach what is `served`.
    #[must_use]
    pub fn ice_servers(&self, served: &Served<'_>) -> IceServers {
        let public_url_host = self.http.public_url.as_ref().map(Origin::host);
        let names = Names {
            ice_host: self.http.ice_host.as_deref(),
            public_url_host: public_url_host.as_deref(),
            certificate: &self.tls.names,
        };
        IceServers::new(served, &names)
    }

    fn read_secrets_file(&mut self, mistakes: &mut Mistakes) {
        let Some(file) = self.credentials.secrets_file.as_ref() else { return };
        if !self.credentials.secrets.is_empty() {
            let reason = "secrets are given here too: keep them in one place, and remove the other key";
            mistakes.add("credentials.secrets_file", reason);
            return;
        }
        match values::read_secrets(file) {
            Ok(secrets) => self.credentials.secrets = secrets,
            Err(reason) => {
                mistakes.add("credentials.secrets_file", reason);
                mistakes.spoil("credentials.secrets");
            }
        }
    }
}

fn read_file(path: &Path) -> Result<String, ConfigError> {
    let text = files::open(path).and_then(|file| files::read_text(&file));
    text.map_err(|error| ConfigError::unreadable(path, &error))
}

#[cfg(test)]
mod tests;
