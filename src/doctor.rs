//! Tries a daemon as its clients do, and says for each finding what to do.
//!
//! What causes a failure is looked at before what it makes fail: the clock before the credentials, and the firewall
//! before the ports. So the first FAIL names the cause.

mod address;
mod attempt;
mod date;
mod firewall;
mod listeners;
mod machine;
pub mod owners;
mod relaying;
pub mod report;
mod stream;
mod target;
mod tls;

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;

use serde_json::Value;

pub use address::outside_view;

use crate::clock::{Clock, Expiry};
use crate::config::{Config, ConfigError};
use crate::credentials::tag::Tag;
use crate::credentials::{Credential, Credentials};
use crate::discovery::Finder;
use crate::doctor::report::Report;
use crate::ice::Transport;
use crate::network::address::RelayAddress;
use crate::network::interfaces;

/// What to look at.
#[derive(Debug)]
pub struct Plan {
    /// The file of the configuration; the embedded default if there is none.
    pub file: Option<PathBuf>,
    /// Another machine, whose daemon is tried from here. Otherwise it is this machine's.
    pub server: Option<String>,
    /// A credential to use instead of one that the configuration's secret signs.
    pub credential: Option<Credential>,
    /// Public STUN servers, which tell the public address: `host:port`. The first one that answers is believed.
    pub stun_servers: Vec<String>,
    /// Unpredictable bytes, which protect against forged answers of STUN servers.
    pub seed: [u8; 32],
}

/// How long a server may take for one answer.
const PATIENCE: Duration = Duration::from_secs(3);
/// How long a credential that is made here is valid.
const TTL: Duration = Duration::from_secs(600);
/// The user of such a credential.
const TAG: &str = "doctor";

/// Looks at everything. Nothing that is found is an error, and neither is a configuration that cannot be read. `status` is what
/// the admin listener of this machine's daemon says of it, or why it says nothing.
pub async fn examine(
    plan: &Plan,
    config: Result<Config, ConfigError>,
    status: &Result<Value, String>,
) -> Report {
    let mut report = Report::default();
    let file = plan.file.as_deref();
    let shown = file.map_or("the embedded default".into(), |file| file.display().to_string());
    let config = match config {
        Ok(config) => config,
        Err(error) => {
            report.fail(
                "configuration",
                error.to_string(),
                "correct it; `hairpin check-config FILE` shows all mistakes",
            );
            return report;
        }
    };
    report.ok("configuration", shown);
    let relay = relay_addresses(&config, plan.seed).await;
    match &plan.server {
        Some(server) => from_outside(plan, &config, server, &relay, &mut report).await,
        None => on_this_machine(plan, &config, status, &relay, &mut report).await,
    }
    report
}

async fn on_this_machine(
    plan: &Plan,
    config: &Config,
    status: &Result<Value, String>,
    relay: &[RelayAddress],
    report: &mut Report,
) {
    for warning in config.warnings(plan.file.as_deref()).into_iter().chain(config.private_relays(relay)) {
        report.warn("configuration", warning, "");
    }
    let runs = listeners::look(config, status, report);
    machine::look_at_files(status, report);
    machine::look_at_clock(report);
    let targets = target::of_listeners(config, relay);
    if runs {
        date::compare(config.http.listen.first().copied(), &targets, report).await;
    }
    let told = address::ask_outside(relay, &plan.stun_servers, report).await;
    let own = interfaces::own().map(|own| own.addresses).unwrap_or_default();
    let here = own.into_iter().chain(relay.iter().map(|address| address.public)).chain(told).collect();
    let names = Names::new(config, relay);
    address::look_up(&names.in_dns, &here, report).await;
    firewall::look(config, relay, report);
    tls::look_at_files(config, plan.file.as_deref(), status, report);
    if runs {
        let credential = plan.credential.clone().or_else(|| credential(config, report));
        let targets = target::without_proxied(targets, config, report);
        let reached = attempt::all(&targets, &names.in_certificate, credential.as_ref(), report).await;
        relaying::between_two(reached.as_ref(), report).await;
    }
    machine::look_at_buffers(report);
}

async fn from_outside(
    plan: &Plan,
    config: &Config,
    server: &str,
    relay: &[RelayAddress],
    report: &mut Report,
) {
    let Some(targets) = target::of_urls(plan.file.as_deref(), config, relay, server, report).await else {
        return;
    };
    date::compare(None, &targets, report).await;
    let mut names = Names::new(config, relay).in_certificate;
    if names.is_empty() {
        names.push(server.to_owned());
    }
    let credential = plan.credential.clone().or_else(|| credential(config, report));
    let reached = attempt::all(&targets, &names, credential.as_ref(), report).await;
    relaying::between_two(reached.as_ref(), report).await;
    relaying::from_here(reached.as_ref(), config, report).await;
}

/// The addresses that a daemon with this configuration would relay from now.
async fn relay_addresses(config: &Config, seed: [u8; 32]) -> Vec<RelayAddress> {
    let wanted = config.relay.wanted().to_vec();
    let look = move || {
        let own = interfaces::own().map(|own| own.addresses).unwrap_or_default();
        Finder::new(Clock::start(), seed).look(&wanted, &own).addresses
    };
    tokio::task::spawn_blocking(look).await.unwrap_or_default()
}

/// The hosts of the configuration.
struct Names {
    /// Those that the daemon's certificate must have.
    in_certificate: Vec<String>,
    /// Those that must resolve to the daemon.
    in_dns: Vec<String>,
}

impl Names {
    fn new(config: &Config, relay: &[RelayAddress]) -> Self {
        let urls = target::urls(config, relay);
        let over_tls = urls.iter().filter(|url| url.transport == Some(Transport::Tls));
        let mut in_certificate: BTreeSet<String> = config.tls.names().into_iter().collect();
        in_certificate.extend(over_tls.map(|url| url.host.clone()));
        let site = config.http.public_url.as_ref().and_then(|url| {
            let site = url.origin();
            Some((site.domain()?.to_owned(), site.port()))
        });
        let mut streams = config.listen.tls.iter().chain(&config.listen.tcp);
        // A reverse proxy at another port has a certificate of its own.
        if let Some((host, port)) = &site
            && config.tls.is_on()
            && streams.any(|listener| listener.port() == *port)
        {
            in_certificate.insert(host.clone());
        }
        let mut in_dns = in_certificate.clone();
        in_dns.extend(urls.into_iter().map(|url| url.host));
        in_dns.extend(site.map(|(host, _)| host));
        Self { in_certificate: in_certificate.into_iter().collect(), in_dns: in_dns.into_iter().collect() }
    }
}

/// A credential as the daemon's clients get them; `None` if the configuration has neither a secret nor a user.
fn credential(config: &Config, report: &mut Report) -> Option<Credential> {
    let section = &config.credentials;
    let secrets = section.secrets.clone();
    let credentials =
        Credentials::new(section.realm.as_str(), secrets, section.users.clone(), section.check_expiry);
    let now = Clock::start().now().unix;
    let expires = Expiry::after(now, TTL);
    let of_secret = credentials.issue(&Tag::Other(TAG), expires, now);
    let of_user = || {
        let (username, password) = section.users.iter().min_by_key(|(name, _)| (*name).clone())?;
        Some(Credential { username: username.clone(), password: password.clone(), expires })
    };
    let credential = of_secret.or_else(of_user);
    if credential.is_none() {
        report.warn(
            "credentials",
            "the configuration has no secret, so no allocation can be tried",
            "set credentials.secrets_file; from another machine, pass what `hairpin credential` prints to --credential -",
        );
    }
    credential
}
