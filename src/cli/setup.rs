//! `hairpin setup`: writes the configuration for a host name, starts the service, and proves that it works.

mod draft;

use std::fs;
use std::io::{self, BufRead as _, IsTerminal as _, Write as _};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread::sleep;
use std::time::Duration;

use hyper::Method;
use serde_json::Value;

use crate::cli::admin_client::AdminArguments;
use crate::cli::doctor::{STUN_SERVERS, examine_now, seed, servers};
use crate::cli::setup::draft::{Answers, Authority, Front};
use crate::cli::{Failure, is_root, print};
use crate::clock::Clock;
use crate::config::Config;
use crate::doctor::report::{Level, Report};
use crate::doctor::{
    self,
    owners::{self, Owner},
};
use crate::files::Replacement;
use crate::network::address::RelayAddress;
use crate::network::interfaces;
use crate::origin::host::HostName;
use crate::peers::PeerPolicy;

#[derive(Debug, clap::Args)]
#[group(skip)]
pub(super) struct Arguments {
    /// The host name of this server, such as call.example.org; or its public IP address. Asked for if it is left out.
    name: Option<String>,
    /// Another program listens on port 443, such as nginx or Caddy, and forwards the pages (reverse proxy).
    #[arg(long)]
    behind_proxy: bool,
    /// Agrees to the terms of the certificate authority, for Let's Encrypt: <https://letsencrypt.org/repository/>
    #[arg(long)]
    accept_terms: bool,
    /// The directory of another certificate authority, as in tls.acme.directory.
    #[arg(long, value_name = "URL")]
    directory: Option<String>,
    /// A file with the root certificates of that authority, as in tls.acme.roots.
    #[arg(long, value_name = "FILE")]
    roots: Option<PathBuf>,
    /// Asks nothing, and takes the answer that is proposed.
    #[arg(long)]
    yes: bool,
    /// The file to write. The former one is kept beside it.
    #[arg(long, value_name = "FILE", default_value = INSTALLED)]
    config: PathBuf,
    /// A public STUN server, which tells the public address; may be given several times. An empty one asks nobody.
    #[arg(long, value_name = "HOST:PORT", default_values = STUN_SERVERS)]
    stun: Vec<String>,
}

/// The service of the packages, and the file that it reads.
const UNIT: &str = "hairpin.service";
const INSTALLED: &str = "/etc/hairpin/config.toml";
/// The file that packages make with a secret.
const SECRET: &str = "secret";
/// How long the first certificate may take: as long as the daemon gives one order.
const CERTIFICATE_WITHIN: Duration = Duration::from_secs(180);
const PAUSE: Duration = Duration::from_secs(1);
/// Lines of a configuration that is shown as a whole.
const SHORT: usize = 40;
const HTTPS: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 443);

pub(super) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let file = std::path::absolute(&arguments.config).map_err(Failure::system)?;
    let is_installed = file == Path::new(INSTALLED);
    if is_installed && !is_root() {
        return Err(Failure::system("run this command as root: sudo hairpin setup NAME"));
    }
    let name = name(arguments)?;
    let former = former(&file)?;
    let servers = servers(&arguments.stun);
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(Failure::system)?;
    let relay = runtime.block_on(seen_from_outside(&servers));
    let front = front(arguments)?;
    check_name(&name, front, arguments)?;
    agree_to_terms(arguments, front)?;
    let answers = Answers {
        name: &name,
        front,
        relay: &relay,
        secrets_file: &file.with_file_name(SECRET),
        authority: Authority { directory: arguments.directory.as_deref(), roots: arguments.roots.as_deref() },
    };
    let text = draft::configuration(&former, &answers)
        .map_err(|error| Failure::config(format!("{}: {error}", file.display())))?;
    let config = Config::parse(&text, &file).map_err(Failure::config)?;
    check_secrets_file(&config)?;
    show(&file, &former, &text, &config)?;
    if !agrees(arguments, "Write this file, and start the service?")? {
        return Err(Failure::refused("nothing was changed"));
    }
    write(&file, &former, &text)?;
    if front == Front::Proxy {
        print(&draft::proxy(&name))?;
    }
    if !is_installed || !start()? {
        return print(&format!(
            "Start the daemon: hairpin --config {file}\nThen try it: sudo hairpin doctor --config {file}\n",
            file = file.display()
        ));
    }
    if front == Front::Own {
        wait_for_certificate(&config)?;
    }
    prove(&file, servers)?;
    let when = if front == Front::Proxy { "When your web server passes it on, open" } else { "Open" };
    print(&format!("\n{when} {}\n", draft::url(&name)))
}

/// The name: from the arguments, or from the terminal.
fn name(arguments: &Arguments) -> Result<String, Failure> {
    let name = match &arguments.name {
        Some(name) => name.clone(),
        None if arguments.yes || !io::stdin().is_terminal() => {
            return Err(Failure::config("which host name? Write: hairpin setup call.example.org"));
        }
        None => ask("The host name of this server, such as call.example.org: ")?,
    };
    let name = name.trim();
    if let Ok(ip) = name.parse::<IpAddr>() {
        return Ok(ip.to_string());
    }
    HostName::parse(name).map(|name| name.as_str().to_owned()).map_err(Failure::config)
}

/// Refuses what no public authority gives a certificate for.
fn check_name(name: &str, front: Front, arguments: &Arguments) -> Result<(), Failure> {
    let is_public = match name.parse::<IpAddr>() {
        Ok(ip) => PeerPolicy::is_global(&ip.into()),
        Err(_) => name.contains('.'),
    };
    if is_public || front == Front::Proxy || arguments.directory.is_some() {
        return Ok(());
    }
    Err(Failure::config(format!(
        "Let's Encrypt gives no certificate for {name}: write a public host name or a public IP address; `hairpin demo` is for \
         your own network"
    )))
}

/// The text of the configuration that is there now; empty if there is none.
fn former(file: &Path) -> Result<String, Failure> {
    match fs::read_to_string(file) {
        Ok(text) => Ok(text),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(String::new()),
        Err(error) => Err(Failure::system(format!("{}: {error}", file.display()))),
    }
}

fn check_secrets_file(config: &Config) -> Result<(), Failure> {
    let Some(missing) = config.credentials.secrets_file.as_ref().filter(|file| !file.is_file()) else {
        return Ok(());
    };
    Err(Failure::config(format!(
        "{} is missing: install the package first, which makes it, or follow \"Without a package\" in the README",
        missing.display()
    )))
}

/// The addresses to relay from, each with the public one that others see.
async fn seen_from_outside(servers: &[String]) -> Vec<RelayAddress> {
    let own = interfaces::own().map(|own| own.addresses).unwrap_or_default();
    let mut relay = Vec::new();
    for bind in interfaces::default_addresses(&own, &[]) {
        let public = doctor::outside_view(bind, servers).await.unwrap_or(bind);
        relay.push(RelayAddress { bind, public });
    }
    relay
}

/// Whether this daemon gets port 443.
fn front(arguments: &Arguments) -> Result<Front, Failure> {
    if arguments.behind_proxy {
        return Ok(Front::Proxy);
    }
    let others = owners::of_tcp(HTTPS).into_iter().find(|owner| owner.program != "hairpin");
    let Some(Owner { program, process }) = others else { return Ok(Front::Own) };
    if arguments.yes || !io::stdin().is_terminal() {
        return Err(Failure::config(format!(
            "port 443 belongs to {program} (process {process}): stop it, or write --behind-proxy to keep it in front"
        )));
    }
    let question = format!(
        "Port 443 belongs to {program} (process {process}). Shall {program} be the reverse proxy of the pages? Then clients in \
         networks that allow only HTTPS can use the pages, but not the relay."
    );
    if agrees(arguments, &question)? {
        Ok(Front::Proxy)
    } else {
        Err(Failure::refused("nothing was changed"))
    }
}

fn agree_to_terms(arguments: &Arguments, front: Front) -> Result<(), Failure> {
    if front == Front::Proxy || arguments.accept_terms {
        return Ok(());
    }
    let question = "Do you agree to the terms of Let's Encrypt (https://letsencrypt.org/repository/)?";
    if arguments.yes || !io::stdin().is_terminal() {
        return Err(Failure::config(format!("{question} Then write --accept-terms")));
    }
    if agrees(arguments, question)? {
        return Ok(());
    }
    Err(Failure::refused(
        "without a certificate there are no calls; --behind-proxy uses that of a web server",
    ))
}

/// Asks a question that is answered with yes or no; yes is proposed.
fn agrees(arguments: &Arguments, question: &str) -> Result<bool, Failure> {
    if arguments.yes {
        return Ok(true);
    }
    if !io::stdin().is_terminal() {
        return Err(Failure::config(format!("{question} Nobody can answer here: write --yes")));
    }
    let answer = ask(&format!("{question} [Y/n] "))?;
    Ok(matches!(answer.trim().to_ascii_lowercase().as_str(), "" | "y" | "yes"))
}

fn ask(question: &str) -> Result<String, Failure> {
    let mut out = io::stdout().lock();
    out.write_all(question.as_bytes()).and_then(|()| out.flush()).map_err(Failure::system)?;
    let mut answer = String::new();
    let read = io::stdin().lock().read_line(&mut answer).map_err(Failure::system)?;
    if read == 0 { Err(Failure::refused("nothing was changed")) } else { Ok(answer) }
}

/// Shows what would be written, and the ports that clients and the certificate authority need.
fn show(file: &Path, former: &str, text: &str, config: &Config) -> Result<(), Failure> {
    let shown = if text.lines().count() <= SHORT {
        format!("{} will be:\n\n{text}", file.display())
    } else {
        let changes = Config::parse(former, file).map(|before| before.changes(config)).unwrap_or_default();
        format!("{} will change: {}\n", file.display(), changes.join(", "))
    };
    print(&format!("\n{shown}{}", draft::firewall(config)))
}

/// Writes the configuration, and keeps the former one.
fn write(file: &Path, former: &str, text: &str) -> Result<(), Failure> {
    let failed = |error: io::Error| Failure::system(format!("{}: {error}", file.display()));
    if former == text {
        return Ok(());
    }
    if !file.exists() {
        return fs::write(file, text).map_err(failed);
    }
    // The first one is what a person wrote, so later ones do not take its place.
    let mut kept = file.as_os_str().to_owned();
    kept.push(".before-setup");
    if !Path::new(&kept).exists() {
        fs::copy(file, &kept).map_err(failed)?;
        print(&format!("The former configuration is kept in {}.\n", kept.display()))?;
    }
    Replacement::begin(file).and_then(|new| new.finish(text.as_bytes())).map_err(failed)
}

/// Starts the service, now and after each boot. Returns whether there is a systemd that can.
fn start() -> Result<bool, Failure> {
    if !Path::new("/run/systemd/system").exists() {
        return Ok(false);
    }
    for words in [&["enable", UNIT][..], &["restart", UNIT]] {
        let done = Command::new("systemctl").arg("--quiet").args(words).status().map_err(Failure::system)?;
        if !done.success() {
            let command = words.join(" ");
            return Err(Failure::system(format!(
                "`systemctl {command}` failed: `journalctl -u hairpin` says why"
            )));
        }
    }
    Ok(true)
}

/// Waits until the daemon has its certificate, or says why it has none. Whatever has come of it, the report says it.
fn wait_for_certificate(config: &Config) -> Result<(), Failure> {
    print("Waiting for the certificate.\n")?;
    for _ in 0..CERTIFICATE_WITHIN.as_secs() / PAUSE.as_secs() {
        let status = AdminArguments::of(None, config).ask(Method::GET, "/status", None)?;
        let next = status.pointer("/acme/next").and_then(Value::as_u64).unwrap_or(0);
        let has_failed = status.pointer("/acme/problem").is_some_and(Value::is_string);
        // An order that is not due yet follows one that has succeeded.
        if has_failed || next > Clock::start().now().unix.as_secs() {
            break;
        }
        sleep(PAUSE);
    }
    Ok(())
}

/// Tries everything, and reports what is not as it should be.
fn prove(file: &Path, stun_servers: Vec<String>) -> Result<(), Failure> {
    let plan = doctor::Plan {
        file: Some(file.to_owned()),
        server: None,
        credential: None,
        stun_servers,
        seed: seed()?,
    };
    let report = examine_now(&plan, None)?;
    let notable = |level| matches!(level, Level::Warn | Level::Fail);
    let shown =
        Report { findings: report.findings.iter().filter(|one| notable(one.level)).cloned().collect() };
    if report.worst() == Level::Fail {
        print(&format!("\n{shown}"))?;
        return Err(Failure::refused(
            "something does not work yet: do what the lines with FAIL say, and then run `sudo hairpin doctor`",
        ));
    }
    print(&if shown.findings.is_empty() { "Everything works.\n".to_owned() } else { format!("\n{shown}") })
}
