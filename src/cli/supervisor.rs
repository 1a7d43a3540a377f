//! Tells systemd that we are there and that every thread answers, if it wants to know.

use std::convert::Infallible;
use std::time::Duration;

use sd_notify::NotifyState;

use crate::daemon::Daemon;

/// How long a supervisor may take to hear something.
const PATIENCE: Duration = Duration::from_secs(1);
/// How often it is told at least and at most, whatever it wants.
const PERIODS: (Duration, Duration) = (Duration::from_millis(10), Duration::from_secs(3600));

/// Tells systemd, if it asked to be told. A supervisor that does not listen is no reason to stop serving, nor to wait: its
/// socket may be full.
pub(super) async fn notify(state: NotifyState<'static>) {
    if tokio::time::timeout(PATIENCE, tell(state)).await.is_err() {
        tracing::warn!("systemd does not read notifications");
    }
}

/// Waits on another thread: this one has signals to hear.
async fn tell(state: NotifyState<'static>) {
    let told = tokio::task::spawn_blocking(move || sd_notify::notify(&[state]));
    if let Err(error) = told.await.expect("it does not panic") {
        tracing::warn!(%error, "could not notify systemd");
    }
}

/// Tells systemd's watchdog that every thread answers, twice as often as it wants to hear it; for ever, unless systemd
/// has no watchdog, or a thread no longer answers: then systemd hears nothing, and restarts us.
pub(super) async fn feed_watchdog(daemon: &Daemon) -> Infallible {
    let Some(period) = sd_notify::watchdog_enabled().and_then(period) else {
        return std::future::pending().await;
    };
    let mut beat = tokio::time::interval(period);
    beat.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        beat.tick().await;
        if daemon.is_alive(period / 2).await {
            // However long it takes, so that there is never more than one that waits.
            tell(NotifyState::Watchdog).await;
        } else {
            tracing::error!("a thread does not answer; the watchdog is not notified");
        }
    }
}

/// How often a watchdog is fed that bites after `timeout`. After no time at all means never.
fn period(timeout: Duration) -> Option<Duration> {
    let (least, most) = PERIODS;
    (!timeout.is_zero()).then(|| (timeout / 2).clamp(least, most))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// F19
    #[test]
    fn a_watchdog_is_fed_twice_in_its_time_and_one_without_a_time_never() {
        for (timeout, fed) in [
            (0, None),
            (1, Some(Duration::from_millis(10))),
            (30_000_000, Some(Duration::from_secs(15))),
            (u64::MAX, Some(Duration::from_secs(3600))),
        ] {
            assert_eq!(period(Duration::from_micros(timeout)), fed, "{timeout}");
        }
    }
}
