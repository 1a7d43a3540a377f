//! `hairpin serve`: runs the daemon until a signal stops it.

use std::convert::Infallible;
use std::io::{IsTerminal as _, Write as _};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use sd_notify::NotifyState;
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::certificates::Certificates;
use crate::cli::credential::{issue, show};
use crate::cli::{ConfigArgument, Failure, examine, signals, supervisor};
use crate::clock::Clock;
use crate::config::Config;
use crate::daemon::{Addresses, Daemon};
use crate::log;

#[derive(Debug, clap::Args)]
#[group(skip)]
pub(super) struct Arguments {
    #[command(flatten)]
    config: ConfigArgument,
}

pub(super) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let file = arguments.config.config.as_deref();
    let (config, certificates) = examine(file)?;
    start(&config, certificates, file)
}

/// Serves by a configuration, which may be that of a file.
pub(super) fn start(
    config: &Config,
    certificates: Option<Certificates>,
    file: Option<&Path>,
) -> Result<(), Failure> {
    let _log = log::start(&config.log).map_err(Failure::system)?;
    for warning in config.warnings(file) {
        tracing::warn!("{warning}");
    }
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(Failure::system)?;
    let result = runtime.block_on(serve(config, certificates));
    // Without waiting for a notification that the supervisor does not read.
    runtime.shutdown_background();
    result
}

async fn serve(config: &Config, certificates: Option<Certificates>) -> Result<(), Failure> {
    // Before any socket is bound, so that no signal is lost between start and the first wait.
    let mut terminate = signal(SignalKind::terminate()).map_err(Failure::system)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(Failure::system)?;
    let hangup = signal(SignalKind::hangup()).map_err(Failure::system)?;
    signals::ignore().map_err(Failure::system)?;
    let clock = Clock::start();
    let started = Daemon::start_with(config, certificates, clock).map_err(|error| {
        let place = error.key().map(|key| config.source.place(key)).unwrap_or_default();
        Failure::system(format!("{place}{error}"))
    });
    let daemon = Arc::new(started?);
    announce(config, &daemon.addresses());
    offer_trial(config, &daemon);
    supervisor::notify(NotifyState::Ready).await;
    let served = tokio::select! {
        reason = live(&daemon, &mut terminate, &mut interrupt) => Ok(reason),
        () = daemon.failed() => Err(Failure::system("a thread ended unexpectedly; this is a bug, please report it")),
        never = supervisor::feed_watchdog(&daemon) => match never {},
        never = heed_hangup(&daemon, hangup) => match never {},
    };
    if let Ok(reason) = &served {
        supervisor::notify(NotifyState::Stopping).await;
        tracing::info!(reason, allocations = allocations(&daemon), "stopping");
    }
    daemon.stop();
    served.map(drop)
}

/// Serves until a signal comes, and then drains; returns why the daemon must stop now.
async fn live(daemon: &Daemon, terminate: &mut Signal, interrupt: &mut Signal) -> &'static str {
    let (cause, is_request) = tokio::select! {
        _ = terminate.recv() => ("SIGTERM", false),
        _ = interrupt.recv() => ("Ctrl-C", false),
        () = daemon.draining() => ("request", true),
    };
    let until = Some(daemon.drain_timeout()).filter(|until| !until.is_zero());
    // A request asks for a drain, so it is not cut short where a signal stops at once.
    if until.is_none() && !is_request {
        return cause;
    }
    daemon.drain();
    let wait =
        until.map_or_else(|| "no limit".to_owned(), |until| humantime::format_duration(until).to_string());
    tracing::info!(
        cause,
        allocations = allocations(daemon),
        timeout = wait,
        "draining: new clients are refused, and what is relayed goes on; a second signal stops at once"
    );
    let timed_out = async {
        match until {
            Some(until) => tokio::time::sleep(until).await,
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        () = daemon.emptied() => "the last allocation has ended",
        () = timed_out => "relay.drain_timeout has passed",
        _ = terminate.recv() => "a second signal: SIGTERM",
        _ = interrupt.recv() => "a second signal: Ctrl-C",
        never = daemon.hand_over() => match never {},
        never = supervisor::extend_stop() => match never {},
    }
}

fn allocations(daemon: &Daemon) -> u64 {
    daemon.snapshot().relay.allocations.iter().sum()
}

/// Logs where clients reach the daemon, and the ports that the firewall must open.
fn announce(config: &Config, addresses: &Addresses) {
    let list = |items: Vec<String>| items.join(", ");
    let listeners = [("UDP", &addresses.udp), ("TCP", &addresses.tcp), ("TLS", &addresses.tls)];
    let served = listeners.iter().filter(|(_, addresses)| !addresses.is_empty()).map(|(name, addresses)| {
        format!("{name} {}", list(addresses.iter().map(ToString::to_string).collect()))
    });
    let relay = match addresses.relay.is_empty() {
        true => "no address yet".to_owned(),
        false => list(addresses.relay.iter().map(ToString::to_string).collect()),
    };
    let ports = listeners.iter().flat_map(|(name, addresses)| {
        let protocol = if *name == "UDP" { "UDP" } else { "TCP" };
        addresses.iter().map(move |address| (protocol, address.port()))
    });
    let ports: std::collections::BTreeSet<_> = ports.collect();
    tracing::info!(
        "hairpin {} serves STUN and TURN on {}, relays from {}; the firewall must let in {} and {} {}-{}",
        env!("CARGO_PKG_VERSION"),
        list(served.collect()),
        relay,
        list(ports.iter().rev().map(|(protocol, port)| format!("{protocol} {port}")).collect()),
        if config.relay.tcp { "UDP and TCP" } else { "UDP" },
        addresses.ports.start(),
        addresses.ports.end(),
    );
    if !addresses.admin.is_empty() {
        let at = list(addresses.admin.iter().map(ToString::to_string).collect());
        tracing::info!("administrators reach it at {at}");
    }
    if let Some(url) = site(config, addresses) {
        let others =
            if config.http.public_url.is_some() { "" } else { "; browsers elsewhere need http.public_url" };
        tracing::info!("pages, credentials and rooms: {url}{others}");
    }
}

/// The URL of the pages.
fn site(config: &Config, addresses: &Addresses) -> Option<String> {
    if let Some(public) = &config.http.public_url {
        return Some(public.to_string());
    }
    let address = addresses.http.first()?;
    let local = address.ip().is_loopback() || address.ip().is_unspecified();
    Some(if local { format!("http://localhost:{}", address.port()) } else { format!("http://{address}") })
}

/// Prints a trial credential if the daemon runs in a terminal without any configured credentials. It is never logged.
fn offer_trial(config: &Config, daemon: &Daemon) {
    if config.credentials.is_configured() || !std::io::stdout().is_terminal() {
        return;
    }
    let ttl = Duration::from_secs(3600);
    if let Some(credential) = issue(&daemon.credentials(), "trial", ttl) {
        let text = format!("to try it, use this credential for an hour: {}\n", show(&credential, ttl));
        // On a separate thread, because a paused terminal (Ctrl-S) must not block the daemon.
        drop(std::thread::Builder::new().spawn(move || std::io::stdout().write_all(text.as_bytes())));
    }
}

/// Reloads the configuration on SIGHUP, and notifies systemd before and after.
async fn heed_hangup(daemon: &Arc<Daemon>, mut hangup: Signal) -> Infallible {
    while hangup.recv().await.is_some() {
        supervisor::notify_reloading().await;
        let daemon = Arc::clone(daemon);
        // On another thread, because a file system may hang, and signals and the watchdog must be served meanwhile.
        let reloaded = tokio::task::spawn_blocking(move || daemon.reload_file());
        // The daemon has logged what became of it.
        drop(reloaded.await);
        supervisor::notify(NotifyState::Ready).await;
    }
    std::future::pending().await
}
