//! PURE  Limits a log line to once a minute, and counts how often its event happened meanwhile.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::clock::Moment;

/// When a line was last logged, and how often its event has happened since. Shared by threads.
#[derive(Debug, Default)]
pub struct Notice {
    /// When it may be logged again, in nanoseconds of the monotonic clock.
    again: AtomicU64,
    unsaid: AtomicU64,
}

/// How long the line is not repeated.
const PERIOD: Duration = Duration::from_secs(60);

impl Notice {
    /// Nothing logged yet.
    #[must_use]
    pub const fn new() -> Self {
        Self { again: AtomicU64::new(0), unsaid: AtomicU64::new(0) }
    }

    /// Counts the event, which happened `times` times. If the line is due now, returns how often the event has happened
    /// since the last line, these times included.
    pub fn due(&self, times: u64, now: Moment) -> Option<u64> {
        self.unsaid.fetch_add(times, Ordering::Relaxed);
        let again = self.again.load(Ordering::Relaxed);
        if now.as_nanos() < again {
            return None;
        }
        let next = (now + PERIOD).as_nanos();
        // The first thread logs it, also for threads that arrive meanwhile.
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
        assert_eq!(notice.due(1, at(5)), Some(1));
        assert_eq!((6..65).filter_map(|second| notice.due(1, at(second))).count(), 0);
        assert_eq!(notice.due(1, at(65)), Some(60));
        assert_eq!(notice.due(1, at(500)), Some(1));
    }
}
