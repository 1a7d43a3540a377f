//! `hairpin check-config`: checks a configuration, and prints its error or its warnings.

use std::path::{Path, PathBuf};

use crate::cli::{Failure, examine, is_root, print};
use crate::clock::Clock;
use crate::config::Config;
use crate::daemon::StartError;
use crate::discovery;
use crate::network::interfaces;

#[derive(Debug, clap::Args)]
#[group(skip)]
pub(super) struct Arguments {
    /// The file to check.
    file: PathBuf,
}

pub(super) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let (config, certificates) = examine(Some(&arguments.file))?;
    let file = arguments.file.display();
    let mut warnings = config.warnings(Some(&arguments.file));
    match interfaces::own() {
        Ok(own) => {
            warnings.extend(config.needless_openings(&own));
            let relay = discovery::without_asking(config.relay.wanted(), &own.addresses);
            warnings.extend(config.private_relays(&relay));
        }
        Err(error) => warnings.push(StartError::Blind(error).to_string()),
    }
    let mut hint = String::new();
    if let Some(certificates) = certificates {
        warnings.extend(certificates.warnings(Clock::start().now().unix));
        if let Some(key) = certificates.closed_keys().first().filter(|_| is_root()) {
            hint = format!("{file}: hint: {}\n", ask_as_the_service(&config, &arguments.file, key));
        }
    }
    let warnings: String = warnings.iter().map(|warning| format!("{file}: warning: {warning}\n")).collect();
    print(&format!("{warnings}{hint}{file}: good\n"))
}

fn ask_as_the_service(config: &Config, file: &Path, key: &Path) -> String {
    let from_systemd = |file: &PathBuf| file.starts_with("$CREDENTIALS_DIRECTORY");
    let command = if config.credentials.secrets_file.as_ref().is_some_and(from_systemd) {
        "systemd-run --pipe --wait -p User=hairpin -p LoadCredential=secret:/etc/hairpin/secret"
    } else {
        "runuser -u hairpin --"
    };
    let (file, key) = (file.display(), key.display());
    format!(
        "root can read {key}; to check whether the service's user can, run `{command} hairpin check-config {file}`"
    )
}
