//! Follows the addresses to relay from: looks at them again every minute, and gives the services new plans if they have
//! changed.
//!
//! A reload looks at once. Living allocations keep their addresses; new ones use those that were found last.

use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::sync::{Arc, MutexGuard, PoisonError};
use std::time::Duration;

use crate::config::Config;
use crate::daemon::plan::{self, Found, Plans};
use crate::daemon::{Addresses, Effective, Services};
use crate::discovery::Finder;
use crate::discovery::choice::{News, news};
use crate::life::{Denied, Threads};
use crate::network::address::RelayAddress;
use crate::network::interfaces;

/// The thread that looks again.
pub(super) struct Follower {
    stop: Sender<()>,
    threads: Threads,
}

/// How often the thread looks.
const PERIOD: Duration = Duration::from_secs(60);
/// The same, while there is no address or no route to the Internet: a machine may start before its network, or before it can
/// look up names.
const PERIOD_EARLY: Duration = Duration::from_secs(5);

impl Follower {
    /// Starts the thread.
    ///
    /// # Errors
    /// If the operating system refuses to create it.
    pub(super) fn start(services: Arc<Services>) -> Result<Self, Denied> {
        let (stop, stopped) = channel();
        let threads = Threads::default();
        threads.spawn("addresses".to_owned(), move || {
            loop {
                let is_soon = services.addresses.get().relay.is_empty() || !interfaces::has_default_route();
                match stopped.recv_timeout(if is_soon { PERIOD_EARLY } else { PERIOD }) {
                    Err(RecvTimeoutError::Timeout) => services.look_again(),
                    Ok(()) | Err(RecvTimeoutError::Disconnected) => return Ok(()),
                }
            }
        })?;
        Ok(Self { stop, threads })
    }

    /// Waits until the thread ends by itself, which is always a bug.
    pub(super) async fn failed(&self) {
        self.threads.failed().await;
    }

    /// Ends the thread. It may wait for an answer at this moment, and is not waited for.
    pub(super) fn stop(&self) {
        // If the thread has ended, it needs no order.
        let _ = self.stop.send(());
    }
}

impl Services {
    /// What finds the relay addresses. Plans change only while it is held.
    pub(super) fn finder(&self) -> MutexGuard<'_, Finder> {
        self.finder.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Looks for the relay addresses, and applies what has changed.
    fn look_again(&self) {
        let mut finder = self.finder();
        let effective = self.effective.get();
        // The relay has a thread that says why, if they cannot be read.
        let Ok(own) = interfaces::own() else { return };
        let Effective { config, found, listeners } = &*effective;
        let relay = finder.look(config.relay.wanted(), &own.addresses).addresses;
        if relay == found.addresses.relay && !self.relay.has_unused_addresses() {
            return;
        }
        say_news(config, &found.addresses.relay, &relay);
        let addresses = Addresses { relay, ..found.addresses.clone() };
        let found = Found { addresses, own, former: Some(self.relay.credentials()), ..found.clone() };
        let Plans { relay, rooms, site, front, admin: _, usage: _, acme: _ } = plan::plans(config, &found);
        self.relay.apply(relay);
        self.hub.apply(rooms);
        self.site.apply(site);
        self.front.apply(front);
        self.addresses.set(found.addresses.clone());
        self.effective.set(Effective { config: config.clone(), found, listeners: listeners.clone() });
    }
}

/// Logs what the operator should know of the addresses that the daemon begins to relay from.
pub(super) fn say(config: &Config, relay: &[RelayAddress]) {
    for warning in config.private_relays(relay) {
        tracing::warn!("{warning}");
    }
    if relay.is_empty() {
        tracing::warn!(
            "this machine has no address to relay from, and refuses allocations (508) until it has one: connect it to a \
             network first, or name relay.addresses; [\"127.0.0.1\"] will do for tests on this machine alone"
        );
    }
}

/// Logs how the relay addresses have changed.
pub(super) fn say_news(config: &Config, before: &[RelayAddress], after: &[RelayAddress]) {
    let mut come = Vec::new();
    let all = news(before, after);
    for one in &all {
        match one {
            News::Taken(address) => {
                tracing::info!("new allocations use the address {address} from now on");
                come.push(*address);
            }
            News::Moved(address, old) => {
                tracing::info!(
                    "the public address {old} has changed: new allocations use {address} from now on"
                );
                come.push(*address);
            }
            News::Gone(address) => {
                tracing::warn!("the address {address} has gone: new allocations do not use it any more");
            }
        }
    }
    let last_has_gone = !all.is_empty() && after.is_empty();
    if last_has_gone || !come.is_empty() {
        say(config, &come);
    }
}
