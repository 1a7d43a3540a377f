//! Replaces the configuration of a running daemon: all of it that can change without ending a call, or nothing.
//!
//! Everything that can fail is done before the first service is told: the file is read and checked, certificates are
//! loaded, new listeners are bound. What cannot change in a running daemon is left as it is, and is named.

use std::fmt;
use std::net::{SocketAddr, TcpListener};
use std::path::Path;

use crate::admin::Report;
use crate::bounds::denied::DenyList;
use crate::certificates::Certificates;
use crate::config::{Config, ConfigError};
use crate::credentials::Credentials;
use crate::daemon::listen::{self, Bound, Way};
use crate::daemon::plan::{self, Found, Plans};
use crate::daemon::{Addresses, Effective, Listeners, Services, StartError, doors, follow, say, seed};
use crate::discovery::Finder;
use crate::files;
use crate::log;
use crate::network::address::RelayAddress;
use crate::network::interfaces;
use crate::network::own::Own;
use crate::observed::Lifecycle;
use crate::relay::datagrams::DatagramSocket;
use crate::secret::Secret;
use crate::sections::listen::includes;

/// Why a reload was refused. Nothing has changed.
#[derive(Debug)]
pub enum NotReloaded {
    /// The daemon was started without a configuration file.
    NoFile,
    /// The file cannot be read or is wrong.
    Config(ConfigError),
    /// The machine does not have what the file asks for. The text says where in the file.
    Start(String, StartError),
}

/// Listeners that were bound for a reload, and what will be closed.
struct Moved {
    listeners: Listeners,
    udp: Vec<Vec<DatagramSocket>>,
    tcp: Vec<TcpListener>,
    tls: Vec<TcpListener>,
    http: Vec<TcpListener>,
    closed: Vec<SocketAddr>,
    closed_udp: Vec<SocketAddr>,
}

impl Services {
    /// Reads the configuration file again, and applies what has changed. The log and the counters say what became of it.
    ///
    /// # Errors
    /// Why nothing has changed.
    pub(super) fn reload_file(&self) -> Result<Report, NotReloaded> {
        let path = self.effective.get().config.source.path().to_owned();
        if path.as_os_str().is_empty() {
            tracing::info!("there is no configuration file to read again");
            return Err(NotReloaded::NoFile);
        }
        // The certificates are read to find out whether they can be used.
        let examined = Config::examine(Some(&path)).map_err(NotReloaded::Config);
        let report = examined.and_then(|(config, _)| self.replace(&config));
        self.conclude(&report, Some(&path));
        report
    }

    /// Applies another configuration, as [`Self::reload_file`] does.
    ///
    /// # Errors
    /// Why nothing has changed.
    pub(super) fn reload_with(&self, config: &Config) -> Result<Report, NotReloaded> {
        let report = self.replace(config);
        self.conclude(&report, None);
        report
    }

    /// Counts a reload, and logs what became of it.
    fn conclude(&self, report: &Result<Report, NotReloaded>, file: Option<&Path>) {
        let list = |what: &str, keys: &[String]| format!("{what} {}", keys.join(", "));
        self.reloads.count(report.is_ok(), self.clock.now().unix.as_secs());
        match report {
            Ok(Report { changed, needs_restart }) => {
                let changes = if changed.is_empty() {
                    "nothing has changed".to_owned()
                } else {
                    list("changed", changed)
                };
                if needs_restart.is_empty() {
                    tracing::info!("the configuration was read again: {changes}");
                } else {
                    let rest = list("only a restart can change", needs_restart);
                    tracing::warn!("the configuration was read again: {changes}; {rest}");
                }
                if !changed.is_empty() {
                    for warning in self.effective.get().config.warnings(file) {
                        tracing::warn!("{warning}");
                    }
                }
            }
            Err(reason) => {
                for line in reason.to_string().lines() {
                    tracing::error!(
                        "the configuration was not reloaded, and the old one stays in effect: {line}"
                    );
                }
            }
        }
    }

    fn replace(&self, wanted: &Config) -> Result<Report, NotReloaded> {
        let mut finder = self.finder();
        let effective = self.effective.get();
        let failed = |error: StartError| {
            let place = error.key().map(|key| wanted.source.place(key)).unwrap_or_default();
            NotReloaded::Start(place, error)
        };
        // It may take seconds, so what else may change meanwhile is read afterwards.
        let own = interfaces::own().map_err(StartError::Blind).map_err(failed)?;
        let relay = look(&mut finder, &effective, wanted, &own).map_err(failed)?;
        let is_serving = *self.lifecycle() == Lifecycle::Serving;
        let (config, needs_restart) =
            without_what_needs_a_restart(&effective, &self.relay.retiring(), is_serving, wanted);
        let changed = effective.config.changes(&config);
        // From here to the plans, everything that can fail; after them, nothing can.
        let certificates = (config.tls != effective.config.tls).then(|| self.load(&config)).transpose();
        let certificates = certificates.map_err(failed)?;
        let moved = move_listeners(&effective.listeners, &config, self.relay.shards()).map_err(failed)?;
        let found =
            find(&effective, &moved, &config, (own, relay), self.relay.credentials()).map_err(failed)?;
        let plans = plan::plans(&config, &found);
        finder.forget_all_but(config.relay.wanted());

        if config.log.addresses != effective.config.log.addresses {
            // What was counted is logged as it was counted.
            self.minutes.conclude();
        }
        log::apply(&config.log);
        if !changed.is_empty() {
            say(&config, &plans);
        }
        let connections = plan::connections(&config, &found);
        if connections != plan::connections(&effective.config, &effective.found) {
            connections.say(&config.limits, &found.resources);
        }
        follow::say_news(&config, &effective.found.addresses.relay, &found.addresses.relay);
        let Plans { relay, rooms, site, front, admin, usage, acme } = plans;
        let Moved { listeners, udp, tcp, tls, http, closed, closed_udp } = moved;
        // In this order: what the site issues is accepted by the relay already.
        self.usage.apply(usage);
        self.relay.apply(relay);
        self.relay.listen(udp);
        self.relay.retire(&closed_udp);
        self.hub.apply(rooms);
        self.site.apply(site);
        self.front.apply(front);
        // No client of a denied network can come any more, and those that are there leave.
        let denied = DenyList::new(&config.clients.deny);
        self.hub.remove(|ip| denied.contains(ip));
        // New doors may be for TLS.
        match certificates {
            Some(certificates) => self.renewal.replace(&certificates),
            None => self.renewal.reload(),
        }
        if is_serving {
            self.acme.apply(acme);
        }
        self.front.open(doors(&self.site, tcp, tls, http));
        self.front.close(closed);
        self.administration.set(admin);
        self.addresses.set(found.addresses.clone());
        self.effective.set(Effective { config, found, listeners });
        Ok(Report { changed, needs_restart })
    }

    /// Reads other certificates. One that has expired does not replace one that may not have.
    fn load(&self, config: &Config) -> Result<Certificates, StartError> {
        let certificates =
            config.tls.load(&files::state_directory()).map_err(StartError::Certificates)?.unwrap_or_default();
        let invalid = certificates.invalid(self.clock.now().unix);
        if invalid.is_empty() { Ok(certificates) } else { Err(StartError::Certificates(invalid)) }
    }
}

/// The addresses to relay from by the wanted configuration.
fn look(
    finder: &mut Finder,
    effective: &Effective,
    wanted: &Config,
    own: &Own,
) -> Result<Vec<RelayAddress>, StartError> {
    let looked = finder.look(wanted.relay.wanted(), &own.addresses);
    // What was there at the start may go; what is new must be there.
    if wanted.relay.addresses == effective.config.relay.addresses {
        return Ok(looked.addresses);
    }
    looked.every_named_one().map_err(|(ip, error)| StartError::Relay(ip, error))
}

/// What the plans need to know of the machine. What was found out at the start stays so, unless it can change.
fn find(
    effective: &Effective,
    moved: &Moved,
    config: &Config,
    (own, relay): (Own, Vec<RelayAddress>),
    former: Credentials,
) -> Result<Found, StartError> {
    let found = &effective.found;
    let needs_secret = found.secret.is_none() && !config.credentials.is_configured();
    let made = needs_secret.then(seed).transpose()?.map(Secret::from_random);
    let Addresses { ports, admin, .. } = &found.addresses;
    Ok(Found {
        addresses: moved.listeners.addresses(relay, ports.clone(), admin.clone()),
        own,
        resources: found.resources,
        secret: found.secret.clone().or(made),
        former: Some(former),
    })
}

/// The wanted configuration, in which the keys that cannot change have their old values; and these keys.
fn without_what_needs_a_restart(
    effective: &Effective,
    retiring: &[SocketAddr],
    is_serving: bool,
    wanted: &Config,
) -> (Config, Vec<String>) {
    let Effective { config: old, listeners, .. } = effective;
    let mut config = wanted.clone();
    // Living allocations have these ports.
    config.relay.ports = old.relay.ports.clone();
    config.relay.threads = old.relay.threads;
    config.relay.sk_lookup = old.relay.sk_lookup;
    // A client cannot change its realm within a session.
    config.credentials.realm = old.credentials.realm.clone();
    config.admin.listen = old.admin.listen.clone();
    // Where the listener stays open over TCP, its token stays, too.
    config.admin.token_hash = wanted.admin.token_hash.or(old.admin.token_hash);
    // The open listeners were bound with or without it.
    config.listen.takeover = old.listen.takeover;
    let open_udp = listeners.udp.iter().map(|listener| listener.actual).chain(retiring.iter().copied());
    // New clients belong to the next daemon, not to one that drains.
    if !is_serving || meets(&new_ones(&listeners.udp, &config.listen.udp), open_udp) {
        config.listen.udp = old.listen.udp.clone();
    }
    if !is_serving || overlap(listeners, &config) {
        // What stays open for TLS keeps its certificate.
        if !wanted.tls.is_on() {
            config.tls = old.tls.clone();
        }
        config.listen.tcp = old.listen.tcp.clone();
        config.listen.tls = old.listen.tls.clone();
        config.http.listen = old.http.listen.clone();
    }
    let needs_restart = config.changes(wanted);
    (config, needs_restart)
}

/// Whether an address for TCP that is wanted now cannot be bound while another listener of ours is open.
fn overlap(listeners: &Listeners, config: &Config) -> bool {
    let keys = [
        (&listeners.tcp, &config.listen.tcp),
        (&listeners.tls, &config.listen.tls),
        (&listeners.http, &config.http.listen),
    ];
    let open = || keys.iter().flat_map(|(open, _)| open.iter()).map(|listener| listener.actual);
    keys.iter().any(|(listeners, wanted)| meets(&new_ones(listeners, wanted), open()))
}

/// Whether one of the new addresses and an open one include each other.
fn meets(new: &[SocketAddr], mut open: impl Iterator<Item = SocketAddr>) -> bool {
    open.any(|open| new.iter().any(|new| includes(&open, new) || includes(new, &open)))
}

/// The addresses that are wanted and not bound.
fn new_ones(open: &[Bound], wanted: &[SocketAddr]) -> Vec<SocketAddr> {
    let is_open = |address: &SocketAddr| open.iter().any(|listener| listener.wanted == *address);
    wanted.iter().filter(|address| !is_open(address)).copied().collect()
}

/// Binds what is new. Nothing is closed yet.
fn move_listeners(old: &Listeners, config: &Config, shards: usize) -> Result<Moved, StartError> {
    let wanted = &config.listen.udp;
    let way = Way::of(config.listen.takeover, false);
    let (new, udp) = listen::udp(&new_ones(&old.udp, wanted), wanted.len(), shards, way)?;
    let (udp_listeners, closed_udp) = merge(new, &old.udp, wanted);
    let mut closed = Vec::new();
    let mut key = |key, open: &[Bound], wanted: &[SocketAddr]| {
        let (new, sockets) = listen::tcp(key, &new_ones(open, wanted), wanted.len(), way)?;
        let (listeners, unwanted) = merge(new, open, wanted);
        closed.extend(unwanted);
        Ok::<_, StartError>((listeners, sockets))
    };
    let (tcp, tcp_sockets) = key("listen.tcp", &old.tcp, &config.listen.tcp)?;
    let (tls, tls_sockets) = key("listen.tls", &old.tls, &config.listen.tls)?;
    let (http, http_sockets) = key("http.listen", &old.http, &config.http.listen)?;
    let listeners = Listeners { udp: udp_listeners, tcp, tls, http };
    let (tcp, tls, http) = (tcp_sockets, tls_sockets, http_sockets);
    Ok(Moved { listeners, udp, tcp, tls, http, closed, closed_udp })
}

/// The listeners that are wanted, in this order; and those that are not.
fn merge(new: Vec<Bound>, open: &[Bound], wanted: &[SocketAddr]) -> (Vec<Bound>, Vec<SocketAddr>) {
    let place = |listener: &Bound| wanted.iter().position(|address| *address == listener.wanted);
    let (mut kept, unwanted): (Vec<_>, Vec<_>) = open.iter().partition(|listener| place(listener).is_some());
    kept.extend(new);
    kept.sort_by_key(place);
    (kept, unwanted.iter().map(|listener| listener.actual).collect())
}

impl fmt::Display for NotReloaded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoFile => {
                f.write_str("there is no configuration file: start the daemon with --config FILE")
            }
            Self::Config(error) => error.fmt(f),
            Self::Start(place, error) => write!(f, "{place}{error}"),
        }
    }
}

impl std::error::Error for NotReloaded {}

#[cfg(test)]
mod tests {
    use super::*;

    fn bound(wanted: &str, actual: &str) -> Bound {
        Bound { wanted: wanted.parse().unwrap(), actual: actual.parse().unwrap() }
    }

    fn addresses(texts: &[&str]) -> Vec<SocketAddr> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }

    #[test]
    fn listeners_are_those_that_are_wanted_in_this_order_and_port_0_is_bound_once() {
        let open = [bound("127.0.0.1:0", "127.0.0.1:5000"), bound("127.0.0.1:1", "127.0.0.1:1")];
        let wanted = addresses(&["127.0.0.1:2", "127.0.0.1:0"]);
        assert_eq!(new_ones(&open, &wanted), addresses(&["127.0.0.1:2"]));
        let (kept, unwanted) = merge(vec![bound("127.0.0.1:2", "127.0.0.1:2")], &open, &wanted);
        assert_eq!(kept, [bound("127.0.0.1:2", "127.0.0.1:2"), open[0]]);
        assert_eq!(unwanted, addresses(&["127.0.0.1:1"]));
    }

    #[test]
    fn an_address_that_an_open_listener_includes_cannot_be_bound_beside_it() {
        let open = [bound("0.0.0.0:3478", "0.0.0.0:3478"), bound("192.0.2.1:443", "192.0.2.1:443")];
        let meets = |new| meets(&addresses(&[new]), open.iter().map(|listener| listener.actual));
        for (new, expected) in [
            ("192.0.2.1:3478", true),
            ("0.0.0.0:443", true),
            ("192.0.2.2:443", false),
            ("0.0.0.0:3479", false),
            ("[::]:3478", false),
        ] {
            assert_eq!(meets(new), expected, "{new}");
        }
    }
}
