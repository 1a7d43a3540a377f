//! Tells the operator why pages are turned away, each reason at most once a minute.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use axum::http::HeaderMap;
use axum::http::header::ORIGIN;

use crate::clock::Moment;
use crate::http::origins::{Origins, page};
use crate::origin::Origin;
use crate::signaling::hub::Crowded;

/// What was said lately. Who reads the log has a page before them that does not work, and one line is enough for that;
/// strangers must not fill it.
#[derive(Debug, Default)]
pub struct Refusals {
    stranger: Notice,
    address: Notice,
    server: Notice,
}

/// Something that is said at most once a minute.
#[derive(Debug, Default)]
struct Notice {
    /// When it may be said again, in nanoseconds of the monotonic clock.
    next: AtomicU64,
}

const MINUTE: Duration = Duration::from_secs(60);
/// Characters of an origin that are shown: whoever sends one chooses it.
const SHOWN: usize = 100;

impl Refusals {
    /// A page was refused for its origin.
    pub(super) fn stranger(&self, headers: &HeaderMap, origins: &Origins, now: Moment) {
        // Nobody's page is no page.
        if !headers.contains_key(ORIGIN) || !self.stranger.is_due(now) {
            return;
        }
        let origin: String = page(headers).unwrap_or("more than one origin").chars().take(SHOWN).collect();
        let public = origins.public().map_or("not set", Origin::as_str);
        let allowed = origins.allowed().iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
        tracing::warn!(
            "a page of {origin} was refused: http.public_url is {public}, and http.allowed_origins is [{allowed}]. If browsers \
             reach this server there, write it in http.public_url; if it is another site of yours, in http.allowed_origins; if \
             it is none of yours, all is well"
        );
    }

    /// A WebSocket found no place.
    pub(super) fn crowded(&self, crowded: Crowded, now: Moment) {
        match crowded {
            Crowded::Address if self.address.is_due(now) => tracing::info!(
                "a WebSocket was refused, because its address has as many as it may: raise rooms.sockets_per_ip if many of your \
                 users share one, and name your reverse proxy in http.proxies"
            ),
            Crowded::Server if self.server.is_due(now) => {
                tracing::info!("a WebSocket was refused, because all places are taken: raise rooms.members");
            }
            Crowded::Address | Crowded::Server | Crowded::Draining => {}
        }
    }
}

impl Notice {
    fn is_due(&self, now: Moment) -> bool {
        let next = self.next.load(Ordering::Relaxed);
        let after = (now + MINUTE).as_nanos();
        // Of those who come at once, one says it.
        now.as_nanos() >= next
            && self.next.compare_exchange(next, after, Ordering::Relaxed, Ordering::Relaxed).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_once_is_due_again_after_a_minute_and_not_before() {
        let notice = Notice::default();
        let at = |seconds: u64| notice.is_due(Moment::from_nanos(seconds * 1_000_000_000));
        assert_eq!([at(0), at(0), at(59), at(60), at(61), at(1000)], [true, false, false, true, false, true]);
    }
}
