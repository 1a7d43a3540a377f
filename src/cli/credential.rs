//! `hairpin credential`: makes a time-limited credential.

use std::time::Duration;

use serde_json::json;

use crate::cli::{ConfigArgument, Failure, load, print};
use crate::clock::{Clock, Expiry};
use crate::credentials::tag::Tag;
use crate::credentials::{Credential, Credentials, USER, is_user};
use crate::sections::credentials::CredentialTtl;

#[derive(Debug, clap::Args)]
#[group(skip)]
pub(super) struct Arguments {
    /// The user's tag, for which quotas count.
    #[arg(long, value_name = "TAG")]
    user: Option<String>,
    /// The lifetime, such as "30m" or "1h". The default is the configured lifetime.
    #[arg(long, value_parser = humantime::parse_duration)]
    ttl: Option<Duration>,
    #[command(flatten)]
    config: ConfigArgument,
}

pub(super) fn run(arguments: &Arguments) -> Result<(), Failure> {
    if let Some(user) = arguments.user.as_deref().filter(|user| !is_user(user)) {
        return Err(Failure::config(format!("--user {user:?}: write {USER}; or leave it out")));
    }
    let user = arguments.user.as_deref().unwrap_or_default();
    let config = load(arguments.config.config.as_deref())?.credentials;
    let ttl = arguments.ttl.map_or(Some(config.ttl), CredentialTtl::new).map(CredentialTtl::get);
    let ttl = ttl.ok_or_else(|| Failure::config(format!("--ttl must be {}", CredentialTtl::bounds())))?;
    let credentials =
        Credentials::new(config.realm.as_str(), config.secrets, config.users, config.check_expiry);
    let credential = issue(&credentials, user, ttl).ok_or_else(|| {
        Failure::config("no secret is configured: name a configuration with a secret (--config FILE)")
    })?;
    print(&format!("{}\n", show(&credential, ttl)))
}

/// A credential for `tag` that is valid for `ttl` from now.
pub(super) fn issue(credentials: &Credentials, tag: &str, ttl: Duration) -> Option<Credential> {
    let now = Clock::start().now().unix;
    credentials.issue(&Tag::Other(tag), Expiry::after(now, ttl), now)
}

/// A credential in the fields of draft-uberti-behave-turn-rest.
pub(super) fn show(credential: &Credential, ttl: Duration) -> String {
    let Credential { username, password, expires: _ } = credential;
    json!({ "username": username, "password": password.reveal(), "ttl": ttl.as_secs() }).to_string()
}
