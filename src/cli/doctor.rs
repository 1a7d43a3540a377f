//! `hairpin doctor`: tries a daemon as its clients do, and says what is wrong and what to do.

use std::path::{Path, PathBuf};

use hyper::Method;
use rand::TryRngCore;
use rand::rngs::OsRng;

use crate::cli::admin_client::AdminArguments;
use crate::cli::{Failure, print};
use crate::doctor::report::{Level, Report};
use crate::doctor::{Plan, examine};

#[derive(Debug, clap::Args)]
#[group(skip)]
pub(super) struct Arguments {
    /// The configuration of the daemon. Without one, /etc/hairpin/config.toml if it exists, and otherwise the default.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Tries the daemon on another machine from here, with the secret in this configuration.
    #[arg(long, value_name = "HOST")]
    server: Option<String>,
    /// A STUN server of others, which tells the public address; may be given several times. An empty one asks nobody.
    #[arg(long, value_name = "HOST:PORT", default_values = STUN_SERVERS)]
    stun: Vec<String>,
    #[command(flatten)]
    admin: AdminArguments,
}

/// Public STUN servers, asked one after the other until one answers.
pub(super) const STUN_SERVERS: [&str; 2] = ["stun.cloudflare.com:3478", "stun.l.google.com:19302"];
/// Where packages put the configuration.
const INSTALLED: &str = "/etc/hairpin/config.toml";

pub(super) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let report = look(arguments)?;
    let json = || serde_json::to_string_pretty(&report).map_err(Failure::system);
    let text = if arguments.admin.json { json()? + "\n" } else { report.to_string() };
    print(&text)?;
    match report.worst() {
        Level::Fail => Err(Failure::refused("something does not work: see the lines with FAIL")),
        Level::Skip | Level::Ok | Level::Warn => Ok(()),
    }
}

fn look(arguments: &Arguments) -> Result<Report, Failure> {
    let installed = || Some(PathBuf::from(INSTALLED)).filter(|file| Path::is_file(file));
    let plan = Plan {
        file: arguments.config.clone().or_else(installed),
        server: arguments.server.clone(),
        stun_servers: arguments.stun.iter().filter(|server| !server.is_empty()).cloned().collect(),
        status: arguments.admin.ask(Method::GET, "/status", None).map_err(|failure| failure.message),
        seed: seed()?,
    };
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(Failure::system)?;
    Ok(runtime.block_on(examine(&plan)))
}

/// Unpredictable bytes from the kernel.
pub(super) fn seed() -> Result<[u8; 32], Failure> {
    let mut seed = [0; 32];
    OsRng.try_fill_bytes(&mut seed).map_err(Failure::system)?;
    Ok(seed)
}
