//! PURE  Says something at most once a minute, however often it happens.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::clock::Moment;

/// When something was last said in the log, and how often it has happened since. Shared by threads.
#[derive(Debug, Default)]
pub struct Notice {
    /// The first moment at which it may be said again, in nanoseconds of the monotonic clock.
    again: AtomicU64,
    unsaid: AtomicU64,
}

/// How long nothing more is said.
const PERIOD: Duration = Duration::from_secs(60);

impl Notice {
    /// Nothing was said yet.
    #[must_use]
    pub const fn new() -> Self {
        Self { again: AtomicU64::new(0), unsaid: AtomicU64::new(0) }
    }

    /// It has happened once more. If it is to be said now: how often it has happened since it was last said, this time
    /// included.
    pub fn due(&self, now: Moment) -> Option<u64> {
        self.unsaid.fetch_add(1, Ordering::Relaxed);
        let again = self.again.load(Ordering::Relaxed);
        if now.as_nanos() < again {
            return None;
        }
        let next = (now + PERIOD).as_nanos();
        // Whoever is first says it, and for those as well who come between.
        self.again.compare_exchange(again, next, Ordering::Relaxed, Ordering::Relaxed).ok()?;
        Some(self.unsaid.swap(0, Ordering::Relaxed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_said_at_once_and_then_once_a_minute_with_how_often_it_happened() {
        let notice = Notice::new();
        let at = |seconds| Moment::default() + Duration::from_secs(seconds);
        assert_eq!(notice.due(at(5)), Some(1));
        assert_eq!((6..65).filter_map(|second| notice.due(at(second))).count(), 0);
        assert_eq!(notice.due(at(65)), Some(60));
        assert_eq!(notice.due(at(500)), Some(1));
    }
}
