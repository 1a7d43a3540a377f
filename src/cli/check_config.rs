//! `hairpin check-config`: says whether a configuration is good, and what is doubtful in it.

use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use crate::cli::{Failure, bad_certificate, load};
use crate::clock::Clock;
use crate::config::Config;
use crate::daemon::StartError;
use crate::network;

#[derive(Debug, clap::Args)]
#[group(skip)]
pub(super) struct Arguments {
    /// The file to check.
    file: PathBuf,
}

pub(super) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let config = load(Some(&arguments.file))?;
    let certificates = config.tls.load().map_err(|error| bad_certificate(Some(&arguments.file), &error))?;
    let file = arguments.file.display();
    for warning in config.warnings(Some(&arguments.file)) {
        println!("{file}: warning: {warning}");
    }
    match network::own() {
        Ok(own) => {
            config.needless_openings(&own).iter().for_each(|warning| println!("{file}: warning: {warning}"));
        }
        Err(error) => println!("{file}: warning: {}", StartError::Blind(error)),
    }
    if let Some(certificates) = certificates {
        for warning in certificates.warnings(Clock::start().now().unix) {
            println!("{file}: warning: {warning}");
        }
        if let Some(key) = certificates.closed_keys().first().filter(|_| is_root()) {
            println!("{file}: hint: {}", ask_as_the_service(&config, &arguments.file, key));
        }
    }
    println!("{file}: good");
    Ok(())
}

/// Whether every file can be read, whoever may.
fn is_root() -> bool {
    Path::new("/proc/self").metadata().is_ok_and(|process| process.uid() == 0)
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
        "root can read {key}, but the service's user? `{command} hairpin check-config {file}` asks as that user"
    )
}
