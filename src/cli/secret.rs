//! `hairpin secret rotate`: puts a new secret in front of those in the secrets file, and has the daemon read it.

use std::path::{Path, PathBuf};

use clap::Subcommand;
use hyper::Method;

use crate::cli::admin_client::AdminArguments;
use crate::cli::{ConfigArgument, Failure, load, print, reload};
use crate::files::Replacement;
use crate::secret::Secret;
use crate::system;

#[derive(Debug, clap::Args)]
#[group(skip)]
pub(super) struct Arguments {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Puts a new secret in front of those in the secrets file. The secret is not shown.
    Rotate(Rotation),
}

#[derive(Debug, clap::Args)]
struct Rotation {
    #[command(flatten)]
    config: ConfigArgument,
    /// How many secrets stay in the file, the new one included. The oldest go first. Default: all.
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u16).range(1..))]
    keep: Option<u16>,
    /// Only changes the file. The daemon reads it at the next reload.
    #[arg(long)]
    no_reload: bool,
    #[command(flatten)]
    admin: AdminArguments,
}

pub(super) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let Action::Rotate(Rotation { config, keep, no_reload, admin }) = &arguments.action;
    let config = config.config.as_deref();
    let file = secrets_file(config)?;
    let bytes = system::random_bytes().map_err(Failure::system)?;
    let count = rotate(&file, config, Secret::from_random(bytes), keep.map_or(usize::MAX, usize::from))?;
    let done = format!("{} has a new secret in front, and {count} in all", file.display());
    if *no_reload {
        return print(&if admin.json { "null\n".to_owned() } else { format!("{done}\n") });
    }
    let report = admin.ask(Method::POST, "/reload", None).map_err(|failure| {
        let reason = failure.message;
        Failure { message: format!("{done}, but the daemon has not read it: {reason}"), ..failure }
    })?;
    print(&if admin.json { format!("{report}\n") } else { format!("{done}\n{}", reload::show(&report)) })
}

/// The file that the configuration names.
fn secrets_file(config: Option<&Path>) -> Result<PathBuf, Failure> {
    let file = load(config)?.credentials.secrets_file.ok_or_else(|| {
        Failure::config(
            "credentials.secrets_file is not set: move the secrets to a file, and name the configuration with --config FILE",
        )
    })?;
    if file.starts_with("$CREDENTIALS_DIRECTORY") {
        return Err(Failure::config(
            "credentials.secrets_file is a copy that systemd makes when the service starts: add the new secret to the \
             file that LoadCredential= names and restart the service, or name that file in credentials.secrets_file",
        ));
    }
    Ok(file)
}

/// Rewrites the file with `new` in front and at most `keep` secrets. Returns how many there are.
fn rotate(file: &Path, config: Option<&Path>, new: Secret, keep: usize) -> Result<usize, Failure> {
    let failed = |error| Failure::system(format!("{}: {error}", file.display()));
    let replacement = Replacement::begin(file).map_err(failed)?;
    // Read only now: no other rotation can change the file any more.
    let old = load(config)?.credentials.secrets;
    let secrets: Vec<Secret> = std::iter::once(new).chain(old).take(keep).collect();
    let text: String = secrets.iter().map(|secret| format!("{}\n", secret.reveal())).collect();
    replacement.finish(text.as_bytes()).map_err(failed)?;
    Ok(secrets.len())
}
