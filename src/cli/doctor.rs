//! `hairpin doctor`: tries a daemon as its clients do, and says what is wrong and what to do.

use std::fmt::Display;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::{fs, io};

use hyper::Method;
use serde_json::Value;

use crate::cli::admin_client::{Address, AdminArguments};
use crate::cli::{Failure, print};
use crate::clock::{Expiry, Unix};
use crate::config::Config;
use crate::credentials::{self, Credential};
use crate::doctor::report::{Level, Report};
use crate::doctor::{Plan, examine};
use crate::origin::host::HostName;
use crate::secret::Secret;
use crate::system;

#[derive(Debug, clap::Args)]
#[group(skip)]
pub(super) struct Arguments {
    /// The configuration of the daemon. Without one, /etc/hairpin/config.toml if it exists, and otherwise the default.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Tries the daemon on another machine from here: its host name or address.
    #[arg(long, value_name = "HOST")]
    server: Option<String>,
    /// A file with what `hairpin credential` has printed, or "-" for standard input. Without one, a credential is made with the
    /// secret in the configuration.
    #[arg(long, value_name = "FILE")]
    credential: Option<PathBuf>,
    /// A public STUN server, which tells the public address; may be given several times. An empty one asks nobody.
    #[arg(long, value_name = "HOST:PORT", default_values = STUN_SERVERS)]
    stun: Vec<String>,
    /// The daemon's admin listener, if it is not the first one in the configuration: the path of a Unix socket, or an address
    /// with a port.
    #[arg(long, value_name = "ADDRESS", env = "HAIRPIN_ADMIN")]
    admin: Option<Address>,
    /// Prints JSON, for scripts.
    #[arg(long)]
    json: bool,
}

/// Public STUN servers, asked one after the other until one answers.
pub(super) const STUN_SERVERS: [&str; 2] = ["stun.cloudflare.com:3478", "stun.l.google.com:19302"];
/// Where packages put the configuration.
const INSTALLED: &str = "/etc/hairpin/config.toml";

pub(super) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let report = look(arguments)?;
    let json = || serde_json::to_string_pretty(&report).map_err(Failure::system);
    let text = if arguments.json { json()? + "\n" } else { report.to_string() };
    print(&text)?;
    match report.worst() {
        Level::Fail => Err(Failure::refused("something does not work: see the lines with FAIL")),
        Level::Skip | Level::Ok | Level::Warn => Ok(()),
    }
}

fn look(arguments: &Arguments) -> Result<Report, Failure> {
    if let Some(server) = arguments.server.as_ref().filter(|server| server.parse::<IpAddr>().is_err()) {
        HostName::parse(server).map_err(|why| Failure::config(format!("--server: {why}")))?;
    }
    let installed = || Some(PathBuf::from(INSTALLED)).filter(|file| Path::is_file(file));
    examine_now(
        &Plan {
            file: arguments.config.clone().or_else(installed),
            server: arguments.server.clone(),
            credential: arguments.credential.as_deref().map(credential).transpose()?,
            stun_servers: servers(&arguments.stun),
            seed: seed()?,
        },
        arguments.admin.clone(),
    )
}

/// Examines what a plan says, after asking this machine's daemon for its status.
pub(super) fn examine_now(plan: &Plan, admin: Option<Address>) -> Result<Report, Failure> {
    let config = Config::load(plan.file.as_deref());
    let status = match (&plan.server, &config) {
        (None, Ok(config)) => {
            let asked = AdminArguments::of(admin, config).ask(Method::GET, "/status", None);
            asked.map_err(|failure| failure.message)
        }
        (Some(_), _) => Err("it is another machine's".to_owned()),
        (None, Err(_)) => Err("the configuration does not say where it is".to_owned()),
    };
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(Failure::system)?;
    Ok(runtime.block_on(examine(plan, config, &status)))
}

/// The STUN servers to ask; none if an argument is empty.
pub(super) fn servers(arguments: &[String]) -> Vec<String> {
    arguments.iter().filter(|server| !server.is_empty()).cloned().collect()
}

/// What `hairpin credential` has printed.
fn credential(file: &Path) -> Result<Credential, Failure> {
    let failed = |why: &dyn Display| Failure::config(format!("--credential {}: {why}", file.display()));
    let text =
        if file == Path::new("-") { io::read_to_string(io::stdin()) } else { fs::read_to_string(file) };
    let json: Value =
        serde_json::from_str(&text.map_err(|error| failed(&error))?).map_err(|error| failed(&error))?;
    let field = |name: &str| json.get(name).and_then(Value::as_str).map(str::to_owned);
    let (Some(username), Some(password)) = (field("username"), field("password")) else {
        return Err(failed(&"write what `hairpin credential` prints"));
    };
    let expires = credentials::expiry(&username).unwrap_or(Expiry::at(Unix::default()));
    Ok(Credential { username, password: Secret::new(password), expires })
}

/// Unpredictable bytes from the kernel.
pub(super) fn seed() -> Result<[u8; 32], Failure> {
    system::random_bytes().map_err(Failure::system)
}
