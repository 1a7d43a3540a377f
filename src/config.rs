//! Turns `config.toml` into a [`Config`], whose values are already what they mean.
//!
//! A mistake is an error that names file, line and key, says what is wrong, and what to write instead. Nothing is
//! guessed, and nothing is only warned about that would not work.

mod checks;
mod environment;
mod error;
mod secrets_file;
mod warnings;

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use serde_json::{Value, json};
use toml::de::{DeTable, Error};

use crate::certificates::Certificates;
use crate::config::checks::{Mistakes, WEAK};
use crate::config::environment::{Environment, Missing, Settings};
use crate::files;
use crate::ice::{IceServers, Names, Served, Wishes};
use crate::origin::host::HostName;
use crate::secret::Secret;
use crate::sections::admin::Admin;
use crate::sections::clients::Clients;
use crate::sections::compat::Compat;
use crate::sections::credentials::Credentials;
use crate::sections::http::Http;
use crate::sections::limits::Limits;
use crate::sections::listen::Listen;
use crate::sections::log::Log;
use crate::sections::peers::Peers;
use crate::sections::reading::{Fault, Reading, Unread};
use crate::sections::relay::Relay;
use crate::sections::rooms::Rooms;
use crate::sections::tls::Tls;
use crate::sections::usage::Usage;
use crate::sections::value::FromToml as _;

pub use error::{ConfigError, Source};

/// The whole configuration.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Config {
    /// Where clients reach the daemon.
    pub listen: Listen,
    /// The certificates that it shows to TLS clients.
    pub tls: Tls,
    /// Pages, credentials and rooms over HTTP.
    pub http: Http,
    /// Where it relays from.
    pub relay: Relay,
    /// Where its clients meet.
    pub rooms: Rooms,
    /// Which other clients may meet there too.
    pub compat: Compat,
    /// What the file `compat.socketio_client` holds.
    pub socketio_client: Option<Arc<str>>,
    /// Who may use it.
    pub credentials: Credentials,
    /// Who may not.
    pub clients: Clients,
    /// Which peers they may reach.
    pub peers: Peers,
    /// How much they may have.
    pub limits: Limits,
    /// Where administrators reach it.
    pub admin: Admin,
    /// What is logged.
    pub log: Log,
    /// Whether the use of each user is stored.
    pub usage: Usage,
    /// Where all this is written, for later errors.
    pub source: Source,
}

/// A configuration that is being judged.
struct Draft {
    config: Config,
    faults: Vec<Fault>,
    /// The keys whose values are not known, and stand in `config` as their defaults.
    unread: Unread,
    /// Whether the text is TOML. If it is not, nobody knows what else it says.
    is_toml: bool,
}

impl Config {
    /// Reads and checks a file, the secrets file that it names, and the environment. Without a file, every key that the
    /// environment does not set has its default.
    ///
    /// # Errors
    /// Everything that is wrong, where, and what to write.
    pub fn load(path: Option<&Path>) -> Result<Self, ConfigError> {
        let mut draft = Draft::of(path)?;
        draft.check();
        draft.read_secrets_file();
        draft.read_socketio_client();
        draft.finish()
    }

    /// The same, with the certificates that it names.
    ///
    /// # Errors
    /// As [`Self::load`].
    pub fn examine(path: Option<&Path>) -> Result<(Self, Option<Certificates>), ConfigError> {
        let mut draft = Draft::of(path)?;
        draft.check();
        draft.read_secrets_file();
        draft.read_socketio_client();
        let certificates = draft.read_certificates();
        draft.finish().map(|config| (config, certificates))
    }

    /// Checks the text of the file `path`. Reads no file and no environment: if the text names a secrets file, there are no
    /// secrets yet.
    ///
    /// # Errors
    /// As [`Self::load`].
    pub fn parse(text: &str, path: &Path) -> Result<Self, ConfigError> {
        let mut draft = Draft::read(text, path, &Environment::default());
        draft.check();
        draft.finish()
    }

    /// The sections with all their keys, as they could be written in `config.toml`. Secrets are hidden.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let Self {
            listen,
            tls,
            http,
            relay,
            rooms,
            compat,
            socketio_client: _,
            credentials,
            clients,
            peers,
            limits,
            admin,
            log,
            usage,
            source: _,
        } = self;
        json!({
            "listen": listen.to_json(),
            "tls": tls.to_json(),
            "http": http.to_json(),
            "relay": relay.to_json(),
            "rooms": rooms.to_json(),
            "compat": compat.to_json(),
            "credentials": credentials.to_json(),
            "clients": clients.to_json(),
            "peers": peers.to_json(),
            "limits": limits.to_json(),
            "admin": admin.to_json(),
            "log": log.to_json(),
            "usage": usage.to_json(),
        })
    }

    /// The keys, such as `limits.permissions`, whose values differ in `other`, in the order of the sections.
    #[must_use]
    pub fn changes(&self, other: &Self) -> Vec<String> {
        let Self {
            listen,
            tls,
            http,
            relay,
            rooms,
            compat,
            socketio_client: _,
            credentials,
            clients,
            peers,
            limits,
            admin,
            log,
            usage,
            source: _,
        } = self;
        let sections = [
            ("listen", listen.changes(&other.listen)),
            ("tls", tls.changes(&other.tls)),
            ("http", http.changes(&other.http)),
            ("relay", relay.changes(&other.relay)),
            ("rooms", rooms.changes(&other.rooms)),
            ("compat", compat.changes(&other.compat)),
            ("credentials", credentials.changes(&other.credentials)),
            ("clients", clients.changes(&other.clients)),
            ("peers", peers.changes(&other.peers)),
            ("limits", limits.changes(&other.limits)),
            ("admin", admin.changes(&other.admin)),
            ("log", log.changes(&other.log)),
            ("usage", usage.changes(&other.usage)),
        ];
        let dotted = |(section, keys): (&str, Vec<&str>)| {
            keys.into_iter().map(|key| format!("{section}.{key}")).collect::<Vec<_>>()
        };
        sections.into_iter().flat_map(dotted).collect()
    }

    /// The URLs by which browsers reach what is `served`.
    #[must_use]
    pub fn ice_servers(&self, served: &Served<'_>) -> IceServers {
        if !self.http.ice_urls.is_empty() {
            return IceServers::stated(&self.http.ice_urls);
        }
        let public_url_host = self.http.public_url.as_ref().map(|url| url.origin().host());
        let names = Names {
            ice_host: self.http.ice_host.as_ref().map(HostName::as_str),
            public_url_host: public_url_host.as_deref(),
            certificate: &self.tls.names(),
        };
        let Http { public_ports, literal_address, .. } = &self.http;
        IceServers::new(
            served,
            &names,
            &Wishes { ports: public_ports.clone(), literal_address: *literal_address },
        )
    }
}

impl Draft {
    /// Reads a file, if there is one, and the environment of this process.
    fn of(path: Option<&Path>) -> Result<Self, ConfigError> {
        let text = path.map(read_file).transpose()?.unwrap_or_default();
        let variables = std::env::vars_os();
        let variables =
            variables.filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
        Ok(Self::read(&text, path.unwrap_or(Path::new("")), &Environment::new(variables)))
    }

    /// Reads a text. If it is not TOML, only the values in front of the first fault are judged: behind that, nobody knows
    /// what belongs where. What the environment sets is read as if it stood in lines behind the text.
    fn read(text: &str, path: &Path, environment: &Environment) -> Self {
        let Settings { text: settings, names } = environment.settings();
        let all = format!("{text}\n{settings}");
        let behind = " ".repeat(text.len()) + &all[text.len()..];
        let (mut document, mut broken) = DeTable::parse_recoverable(text);
        let (settings, wrong) = DeTable::parse_recoverable(&behind);
        broken.extend(wrong);
        let end = broken.iter().map(start).min().unwrap_or(usize::MAX);
        let mut reading = Reading::new(&all, end);
        for Missing { key, at, name } in environment.fill_in(document.get_mut()) {
            reading.unread.add(&key);
            let reason =
                format!("there is no environment variable {name}: set it, or write $${{ for a plain ${{");
            reading.faults.push(Fault { line: Some(reading.line(at)), key, reason });
        }
        environment::merge(document.get_mut(), settings.into_inner());
        let mut keys = reading.keys(document.get_ref());
        let mut config = Config {
            listen: keys.read("listen").unwrap_or_default(),
            tls: keys.read("tls").unwrap_or_default(),
            http: keys.read("http").unwrap_or_default(),
            relay: keys.read("relay").unwrap_or_default(),
            rooms: keys.read("rooms").unwrap_or_default(),
            compat: keys.read("compat").unwrap_or_default(),
            socketio_client: None,
            credentials: keys.read("credentials").unwrap_or_default(),
            clients: keys.read("clients").unwrap_or_default(),
            peers: keys.read("peers").unwrap_or_default(),
            limits: keys.read("limits").unwrap_or_default(),
            admin: keys.read("admin").unwrap_or_default(),
            log: keys.read("log").unwrap_or_default(),
            usage: keys.read("usage").unwrap_or_default(),
            source: Source::default(),
        };
        keys.finish();
        let syntax = syntax(&reading, &broken);
        let Reading { mut faults, unread, lines, .. } = reading;
        faults.extend(syntax);
        config.source = Source::new(path, lines, (all[..=text.len()].matches('\n').count() + 1, names));
        Self { config, faults, unread, is_toml: broken.is_empty() }
    }

    /// Looks for contradictions between keys.
    fn check(&mut self) {
        if !self.is_toml {
            return;
        }
        let mut mistakes = Mistakes::new(&self.unread);
        self.config.check(&mut mistakes);
        for (key, reason) in mistakes.found() {
            self.wrong(key, reason);
        }
    }

    /// Puts the secrets of the secrets file in their place.
    fn read_secrets_file(&mut self) {
        let credentials = &mut self.config.credentials;
        let Some(file) = credentials.secrets_file.as_ref().filter(|_| self.is_toml) else { return };
        if !credentials.secrets.is_empty() {
            return;
        }
        let weak_is_wrong =
            !credentials.allow_weak_secret && self.unread.leaves(&["credentials.allow_weak_secret"]);
        match secrets_file::read(file) {
            Ok(secrets) if weak_is_wrong && secrets.iter().any(Secret::is_weak) => {
                self.wrong("credentials.secrets_file", WEAK.to_owned());
            }
            Ok(secrets) => credentials.secrets = secrets,
            Err(reason) => self.wrong("credentials.secrets_file", reason),
        }
    }

    /// Reads the script of socket.io's client.
    fn read_socketio_client(&mut self) {
        let Some(file) = self.config.compat.socketio_client.as_ref().filter(|_| self.is_toml) else { return };
        let text = files::open(file).and_then(|file| files::read_text(&file));
        match text {
            Ok(text) => self.config.socketio_client = Some(text.into()),
            Err(error) => {
                let reason = format!(
                    "{} cannot be read ({error}): check the path, and that the daemon's user may read it; npm publishes the \
                     file as dist/socket.io.min.js of socket.io-client",
                    file.display()
                );
                self.wrong("compat.socketio_client", reason);
            }
        }
    }

    fn read_certificates(&mut self) -> Option<Certificates> {
        let Tls { certificate, key, names: _, coalesce: _, acme: _ } = &self.config.tls;
        let known =
            self.is_toml && self.unread.leaves(&["tls.certificate", "tls.key", "tls.names", "tls.acme"]);
        if !known || certificate.0.len() != key.0.len() {
            return None;
        }
        match self.config.tls.load(&files::state_directory()) {
            Ok(certificates) => certificates,
            Err(errors) => {
                errors.iter().for_each(|error| self.wrong(error.key(), error.to_string()));
                None
            }
        }
    }

    fn wrong(&mut self, key: &str, reason: String) {
        self.faults.push(self.config.source.fault(key, reason));
    }

    fn finish(self) -> Result<Config, ConfigError> {
        let Self { config, faults, .. } = self;
        if faults.is_empty() { Ok(config) } else { Err(ConfigError::new(&config.source, faults)) }
    }
}

/// What is not TOML: of each line what is wrong first, because the rest mostly follows from it. The parser's messages are
/// fixed sentences, which show nothing of the text.
fn syntax(reading: &Reading, errors: &[Error]) -> Vec<Fault> {
    let mut lines = BTreeSet::new();
    let first = errors.iter().map(|error| (reading.line(start(error)), error));
    let first = first.filter(|(line, _)| lines.insert(*line)).take(SYNTAX_MAX);
    let fault = |(line, error): (usize, &Error)| Fault {
        line: Some(line),
        key: String::new(),
        reason: error.message().replace('\n', ", "),
    };
    first.map(fault).collect()
}

/// Of a list that is never closed, every line that follows is a fault.
const SYNTAX_MAX: usize = 5;

fn start(error: &Error) -> usize {
    error.span().map_or(0, |span| span.start)
}

fn read_file(path: &Path) -> Result<String, ConfigError> {
    let text = files::open(path).and_then(|file| files::read_text(&file));
    text.map_err(|error| ConfigError::unreadable(path, &error))
}

#[cfg(test)]
mod tests;
