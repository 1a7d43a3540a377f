//! `hairpin import-coturn`: turns coturn's `turnserver.conf` into a configuration, and says what is not carried over.

use std::io::{self, Write as _};
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use crate::cli::{Failure, print};
use crate::config::Config;
use crate::coturn::{self, Imported};
use crate::files;
use crate::network::interfaces;

#[derive(Debug, clap::Args)]
#[group(skip)]
pub(super) struct Arguments {
    /// coturn's configuration, such as /etc/turnserver.conf. The new one is printed, with all secrets; the remarks go to
    /// standard error.
    file: PathBuf,
}

pub(super) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let file = arguments.file.display().to_string();
    let text = files::open(&arguments.file).and_then(|file| files::read_text(&file));
    let text = text.map_err(|error| Failure::config(format!("{file}: cannot be read ({error})")))?;
    let imported = import(&text, &own_addresses())?;
    let remarks: String = imported.remarks.iter().map(|remark| remark.show(&file) + "\n").collect();
    // Who closes standard error does not want the remarks.
    let _ = io::stderr().lock().write_all(remarks.as_bytes());
    print(&imported.toml)
}

/// The import, if its result is a valid configuration.
fn import(text: &str, own: &[IpAddr]) -> Result<Imported, Failure> {
    let imported = coturn::import(text, own);
    match Config::parse(&imported.toml, Path::new("the imported configuration")) {
        Ok(_) => Ok(imported),
        Err(error) => Err(Failure::config(format!("{error}\nthis is a fault of hairpin: please report it"))),
    }
}

/// The addresses that Hairpin would relay from on this machine.
fn own_addresses() -> Vec<IpAddr> {
    let own = interfaces::own().map(|own| own.addresses).unwrap_or_default();
    interfaces::default_addresses(&own, &[])
}

#[cfg(test)]
mod tests;
