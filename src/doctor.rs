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
use crate::config::Config;
use crate::credentials::tag::Tag;
use crate::credentials::{Credential, Credentials};
use crate::discovery::Finder;
use crate::doctor::report::Report;
use crate::network::address::RelayAddress;
use crate::network::interfaces;
use crate::origin::Origin;

/// What to look at, and by whom to be told.
#[derive(Debug)]
pub struct Plan {
    /// The file of the configuration; the embedded default if there is none.
    pub file: Option<PathBuf>,
    /// Another machine, whose daemon is tried from here. Otherwise it is this machine's.
    pub server: Option<String>,
    /// STUN servers of others, which tell the public address: `host:port`. The first one that answers is believed.
    pub stun_servers: Vec<String>,
    /// What the daemon's admin listener says of it, or why it says nothing.
    pub status: Result<Value, String>,
    /// Unpredictable bytes, which protect against forged answers of STUN servers.
    pub seed: [u8; 32],
}

/// How long a server may take for one answer.
const PATIENCE: Duration = Duration::from_secs(3);
/// How long the credentials of a visit are valid.
const TTL: Duration = Duration::from_secs(600);
/// The user of such credentials.
const TAG: &str = "doctor";

/// Looks at everything. Nothing that is found is an error.
pub async fn examine(plan: &Plan) -> Report {
    let mut report = Report::default();
    let file = plan.file.as_deref();
    let shown = file.map_or("the embedded default".into(), |file| file.display().to_string());
    let config = match Config::load(file) {
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
        Some(server) => from_outside(&config, server, &relay, &mut report).await,
        None => on_this_machine(plan, &config, &relay, &mut report).await,
    }
    report
}

async fn on_this_machine(plan: &Plan, config: &Config, relay: &[RelayAddress], report: &mut Report) {
    for warning in config.warnings(plan.file.as_deref()).into_iter().chain(config.private_relays(relay)) {
        report.warn("configuration", warning, "");
    }
    listeners::look(config, &plan.status, report);
    machine::look_at_files(&plan.status, report);
    machine::look_at_clock(report);
    let targets = target::of_listeners(config, relay);
    date::compare(config.http.listen.first().copied(), &targets, report).await;
    address::look_up(&names(config), relay, report).await;
    address::ask_outside(relay, &plan.stun_servers, report).await;
    firewall::look(config, report);
    tls::look_at_files(config, plan.file.as_deref(), &plan.status, report);
    let credential = credential(config, report);
    let names = names(config);
    let reached = attempt::all(&targets, &names, credential.as_ref(), report).await;
    relaying::between_two(reached.as_ref(), report).await;
    machine::look_at_buffers(report);
}

async fn from_outside(config: &Config, server: &str, relay: &[RelayAddress], report: &mut Report) {
    let Some(targets) = target::of_urls(config, relay, server, report).await else { return };
    date::compare(None, &targets, report).await;
    let credential = credential(config, report);
    let names = names(config);
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

/// The hosts by which clients know the daemon, for which its certificate must be.
fn names(config: &Config) -> Vec<String> {
    let mut names: BTreeSet<String> = config.tls.names().into_iter().collect();
    names.extend(config.http.ice_host.as_ref().map(|host| host.as_str().to_owned()));
    names.extend(config.http.public_url.as_ref().and_then(Origin::domain).map(str::to_owned));
    names.into_iter().collect()
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
            "the configuration has no secret, so the daemon made one at its start that nobody else knows",
            "set credentials.secrets_file, so that relaying can be tried and backends can make credentials",
        );
    }
    credential
}
