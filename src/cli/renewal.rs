//! Reads the certificates again when their files change, and when SIGHUP asks for it.

use std::convert::Infallible;
use std::sync::Arc;

use tokio::signal::unix::Signal;
use tokio::time::MissedTickBehavior;

use crate::certificates::{Certificates, PERIOD, Reloaded, Watch};
use crate::clock::Clock;
use crate::metrics::Metrics;

/// The certificates of a running daemon, and what is counted of them.
pub(super) struct Renewal {
    certificates: Arc<Certificates>,
    metrics: Metrics,
    clock: Clock,
}

/// Why the files are read again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Cause {
    Change,
    Hangup,
}

impl Renewal {
    /// Of the certificates that the daemon begins with.
    pub(super) fn new(certificates: Arc<Certificates>, metrics: Metrics, clock: Clock) -> Self {
        let renewal = Self { certificates, metrics, clock };
        renewal.metrics.process().certificate_expiry.set(renewal.certificates.expiry().last().as_secs());
        renewal
    }

    /// Says what is doubtful in them, and keeps them fresh, for ever.
    pub(super) async fn run(self, mut hangup: Signal) -> Infallible {
        self.warn().await;
        let mut watch = Watch::default();
        let mut look = tokio::time::interval(PERIOD);
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let cause = tokio::select! {
                _ = look.tick() => Cause::Change,
                Some(()) = hangup.recv() => Cause::Hangup,
            };
            let stamps = self.aside(Certificates::stamps).await;
            let due = match cause {
                Cause::Change => watch.look(stamps),
                Cause::Hangup => {
                    watch.judged(stamps);
                    true
                }
            };
            if due {
                self.reload(cause).await;
            }
        }
    }

    async fn reload(&self, cause: Cause) {
        let now = self.clock.now().unix;
        let Reloaded { taken, refused } = self.aside(move |certificates| certificates.reload(now)).await;
        let process = self.metrics.process();
        process.certificates_taken.add(taken as u64);
        process.certificates_refused.add(refused.len() as u64);
        for error in &refused {
            tracing::error!("{}: {error}; the old certificate stays in use", error.key());
        }
        if taken > 0 {
            let expiry = self.certificates.expiry();
            process.certificate_expiry.set(expiry.last().as_secs());
            let days = expiry.left(now).as_secs() / DAY;
            tracing::info!(taken, days, "new connections get a new certificate");
            self.warn().await;
        } else if refused.is_empty() && cause == Cause::Hangup {
            tracing::info!("SIGHUP: the certificates have not changed");
            self.warn().await;
        }
    }

    async fn warn(&self) {
        let now = self.clock.now().unix;
        for warning in self.aside(move |certificates| certificates.warnings(now)).await {
            tracing::warn!("{warning}");
        }
    }

    /// Does what reads files on another thread: a file system may hang, and this one feeds the watchdog.
    async fn aside<T: Send + 'static>(&self, work: impl FnOnce(&Certificates) -> T + Send + 'static) -> T {
        let certificates = Arc::clone(&self.certificates);
        tokio::task::spawn_blocking(move || work(&certificates)).await.expect("it does not panic")
    }
}

const DAY: u64 = 24 * 3600;
