//! Notifies systemd, if it runs the daemon, that the daemon is ready and that every thread answers.

use std::convert::Infallible;
use std::time::Duration;

use sd_notify::NotifyState;

use crate::daemon::Daemon;

/// How long a notification may take.
const PATIENCE: Duration = Duration::from_secs(1);
/// How much longer systemd waits after each request for more time to stop.
const EXTENSION: Duration = Duration::from_secs(15);
/// The shortest and longest time between two watchdog notifications, whatever systemd's timeout is.
const PERIODS: (Duration, Duration) = (Duration::from_millis(10), Duration::from_secs(3600));

/// Notifies systemd, if it asked for notifications. Waits at most [`PATIENCE`], because the socket of a supervisor that
/// does not read may be full.
pub(super) async fn notify(state: NotifyState<'static>) {
    if tokio::time::timeout(PATIENCE, tell(state)).await.is_err() {
        tracing::warn!("systemd does not read notifications");
    }
}

/// Notifies systemd that a reload begins; [`NotifyState::Ready`] ends it. With the time, systemd 253 and later can tell it
/// from an earlier one (`Type=notify-reload`).
pub(super) async fn notify_reloading() {
    let states = [Some(NotifyState::Reloading), NotifyState::monotonic_usec_now().ok()];
    let told = tokio::time::timeout(PATIENCE, tell_all(states.into_iter().flatten().collect()));
    if told.await.is_err() {
        tracing::warn!("systemd does not read notifications");
    }
}

/// Sends on another thread, because this one must handle signals.
async fn tell(state: NotifyState<'static>) {
    tell_all(vec![state]).await;
}

async fn tell_all(states: Vec<NotifyState<'static>>) {
    let told = tokio::task::spawn_blocking(move || sd_notify::notify(&states));
    if let Err(error) = told.await.expect("it does not panic") {
        tracing::warn!(%error, "could not notify systemd");
    }
}

/// Asks systemd, again and again, for more time to stop. Without this, systemd would kill the daemon after
/// `TimeoutStopSec`, however long it may drain.
pub(super) async fn extend_stop() -> Infallible {
    let mut beat = tokio::time::interval(EXTENSION / 3);
    loop {
        beat.tick().await;
        tell(NotifyState::ExtendTimeoutUsec(EXTENSION.as_micros() as u32)).await;
    }
}

/// Notifies systemd's watchdog twice in each of its timeouts, as long as every thread answers. Otherwise systemd gets no
/// notification, and restarts the daemon. Without a watchdog this only waits.
pub(super) async fn feed_watchdog(daemon: &Daemon) -> Infallible {
    let Some(period) = sd_notify::watchdog_enabled().and_then(period) else {
        return std::future::pending().await;
    };
    let mut beat = tokio::time::interval(period);
    beat.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        beat.tick().await;
        if daemon.is_alive(period / 2).await {
            // Without a timeout, so that at most one notification is pending.
            tell(NotifyState::Watchdog).await;
        } else {
            tracing::error!("a thread does not answer; the watchdog is not notified");
        }
    }
}

/// The time between notifications for a watchdog with this `timeout`; `None` if the timeout is zero, which means no watchdog.
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
