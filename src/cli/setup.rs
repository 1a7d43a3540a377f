//! `hairpin setup`: writes the configuration for a host name, starts the service, and proves that it works.

mod draft;

use std::fs;
use std::io::{self, BufRead as _, IsTerminal as _, Write as _};
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread::sleep;
use std::time::Duration;

use hyper::Method;
use serde_json::Value;

use crate::cli::admin_client::AdminArguments;
use crate::cli::doctor::{STUN_SERVERS, seed};
use crate::cli::setup::draft::{Answers, Authority, Front};
use crate::cli::{Failure, print};
use crate::config::Config;
use crate::doctor::report::{Level, Report};
use crate::doctor::{self, owners};
use crate::files::Replacement;
use crate::network::address::RelayAddress;
use crate::network::interfaces;
use crate::origin::host::HostName;

#[derive(Debug, clap::Args)]
#[group(skip)]
pub(super) struct Arguments {
    /// The host name of this server, such as call.example.org; or its public IP address. Asked for if it is left out.
    name: Option<String>,
    /// Another program has port 443, such as nginx or Caddy, and is the proxy of the pages.
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
    #[arg(long, value_name = "FILE", default_value = "/etc/hairpin/config.toml")]
    config: PathBuf,
    /// A STUN server of others, which tells the public address; may be given several times. An empty one asks nobody.
    #[arg(long, value_name = "HOST:PORT", default_values = STUN_SERVERS)]
    stun: Vec<String>,
    #[command(flatten)]
    admin: AdminArguments,
}

/// The service of the packages.
const UNIT: &str = "hairpin.service";
/// The file that packages make with a secret.
const SECRET: &str = "secret";
/// How long the first certificate may take.
const CERTIFICATE_WITHIN: Duration = Duration::from_secs(90);
const PAUSE: Duration = Duration::from_secs(1);
const HTTPS: u16 = 443;

pub(super) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let name = name(arguments)?;
    let secrets_file = arguments.config.with_file_name(SECRET);
    if !secrets_file.is_file() {
        return Err(Failure::config(format!(
            "{} is missing: install the package first, which makes it, or follow \"Without a package\" in the README",
            secrets_file.display()
        )));
    }
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(Failure::system)?;
    let servers: Vec<String> = arguments.stun.iter().filter(|server| !server.is_empty()).cloned().collect();
    let relay = runtime.block_on(seen_from_outside(&servers));
    let front = front(arguments)?;
    agree_to_terms(arguments, front)?;
    let answers = Answers {
        name: &name,
        front,
        relay: &relay,
        secrets_file: &secrets_file,
        authority: Authority { directory: arguments.directory.as_deref(), roots: arguments.roots.as_deref() },
    };
    let text = draft::configuration(&answers);
    Config::parse(&text, &arguments.config).map_err(Failure::config)?;
    print(&format!("{} will be:\n\n{text}\n", arguments.config.display()))?;
    if !agrees(arguments, "Write it, and start the service?")? {
        return Err(Failure::refused("nothing was changed"));
    }
    write(&arguments.config, &text)?;
    print(&draft::firewall(&Config::parse(&text, &arguments.config).map_err(Failure::config)?))?;
    if front == Front::Proxy {
        print(&draft::proxy(&name))?;
    }
    start()?;
    if front == Front::Own {
        wait_for_certificate(&arguments.admin)?;
    }
    prove(arguments, &servers)?;
    print(&format!("\nOpen {}\n", draft::url(&name)))
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
    let name = name.trim().to_ascii_lowercase();
    if name.parse::<IpAddr>().is_err() {
        HostName::parse(&name).map_err(Failure::config)?;
    }
    Ok(name)
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
    let Some(owner) = owners::of_tcp_port(HTTPS).filter(|owner| owner.program != "hairpin") else {
        return Ok(Front::Own);
    };
    let program = &owner.program;
    let question = format!(
        "Port 443 belongs to {program} (process {}). Shall {program} be the proxy of the pages? Clients in networks that \
         allow only HTTPS can then use the pages, but not the relay.",
        owner.process
    );
    if arguments.yes || !io::stdin().is_terminal() {
        return Err(Failure::config(format!(
            "port 443 belongs to {program} (process {}): stop it, or write --behind-proxy to keep it in front",
            owner.process
        )));
    }
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
        Ok(())
    } else {
        Err(Failure::refused(
            "without a certificate there are no calls; --behind-proxy uses that of a web server",
        ))
    }
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

/// Writes the configuration, and keeps the former one.
fn write(file: &Path, text: &str) -> Result<(), Failure> {
    let failed =
        |error: io::Error| Failure::system(format!("{}: {error}: run this command as root", file.display()));
    if let Ok(former) = fs::read(file)
        && former != text.as_bytes()
    {
        let mut kept = file.as_os_str().to_owned();
        kept.push(".before-setup");
        fs::write(&kept, former).map_err(failed)?;
        print(&format!("The former configuration is kept in {}.\n", kept.display()))?;
    }
    if file.exists() {
        return Replacement::begin(file).and_then(|new| new.finish(text.as_bytes())).map_err(failed);
    }
    fs::write(file, text).map_err(failed)
}

/// Starts the service, now and after each boot.
fn start() -> Result<(), Failure> {
    if !Path::new("/run/systemd/system").exists() {
        return print("There is no systemd here: start hairpin yourself.\n");
    }
    for words in [&["enable", UNIT][..], &["restart", UNIT]] {
        let done = Command::new("systemctl").arg("--quiet").args(words).status().map_err(Failure::system)?;
        if !done.success() {
            return Err(Failure::system(format!(
                "`systemctl {}` failed: journalctl -u hairpin says why",
                words.join(" ")
            )));
        }
    }
    Ok(())
}

/// Waits until the daemon has its first certificate, or says why it has none.
fn wait_for_certificate(admin: &AdminArguments) -> Result<(), Failure> {
    print("Waiting for the certificate.\n")?;
    for _ in 0..CERTIFICATE_WITHIN.as_secs() / PAUSE.as_secs() {
        let status = admin.ask(Method::GET, "/status", None)?;
        let expiry = status.pointer("/certificates/expiry").and_then(Value::as_u64).unwrap_or(0);
        let problem = status.pointer("/acme/problem").and_then(Value::as_str);
        if expiry > 0 || problem.is_some() {
            break;
        }
        sleep(PAUSE);
    }
    Ok(()) // whatever has come of it, the doctor reports it
}

/// Tries everything, and reports what is not as it should be.
fn prove(arguments: &Arguments, servers: &[String]) -> Result<(), Failure> {
    let plan = doctor::Plan {
        file: Some(arguments.config.clone()),
        server: None,
        stun_servers: servers.to_vec(),
        status: arguments.admin.ask(Method::GET, "/status", None).map_err(|failure| failure.message),
        seed: seed()?,
    };
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(Failure::system)?;
    let report = runtime.block_on(doctor::examine(&plan));
    let notable = |level| matches!(level, Level::Warn | Level::Fail);
    let shown =
        Report { findings: report.findings.iter().filter(|one| notable(one.level)).cloned().collect() };
    if report.worst() == Level::Fail {
        print(&format!("\n{shown}"))?;
        return Err(Failure::refused(
            "something does not work yet: correct the lines with FAIL, and run `hairpin doctor` again",
        ));
    }
    print(&if shown.findings.is_empty() { "Everything works.\n".to_owned() } else { format!("\n{shown}") })
}
