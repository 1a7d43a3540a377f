//! PURE  How fast one client may send.

use std::time::Duration;

use crate::bounds::rate::{Bucket, Rate};
use crate::clock::Moment;

/// Messages that a client may send each second in the long run.
pub const MESSAGES_PER_SECOND: u64 = 30;
/// Messages that it may send in a burst.
pub const MESSAGES_AT_ONCE: u64 = 150;
/// Bytes that it may send in ten seconds.
pub const BYTES_PER_TEN_SECONDS: u64 = 512 * 1024;
/// How many messages an invalid frame counts as. A client that sends only invalid frames soon exceeds its rate.
pub const MISTAKE: u64 = 5;

/// The rest of one client's allowance.
#[derive(Debug, Default)]
pub struct Pace {
    messages: Bucket,
    bytes: Bucket,
}

impl Pace {
    /// A frame of `bytes` bytes has arrived. Returns whether the client keeps to its rate.
    pub fn frame(&mut self, bytes: usize, now: Moment) -> bool {
        let rate = Rate::new(BYTES_PER_TEN_SECONDS, Duration::from_secs(10), BYTES_PER_TEN_SECONDS);
        self.messages.take(messages(), 1, now) && self.bytes.take(rate, bytes as u64, now)
    }

    /// That frame was invalid. Returns whether the client still keeps to its rate.
    pub fn mistake(&mut self, now: Moment) -> bool {
        self.messages.take(messages(), MISTAKE - 1, now)
    }
}

fn messages() -> Rate {
    Rate::new(MESSAGES_PER_SECOND, Duration::from_secs(1), MESSAGES_AT_ONCE)
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: Moment = Moment::from_nanos(1_000_000_000);

    #[test]
    fn a_hundred_and_fifty_messages_may_come_at_once_and_then_thirty_a_second() {
        let mut pace = Pace::default();
        assert!((0..150).all(|_| pace.frame(100, START)));
        assert!(!pace.frame(100, START));
        let later = START + Duration::from_secs(1);
        assert!((0..30).all(|_| pace.frame(100, later)) && !pace.frame(100, later));
    }

    #[test]
    fn half_a_mebibyte_may_come_in_ten_seconds() {
        let mut pace = Pace::default();
        assert!((0..8).all(|_| pace.frame(64 * 1024, START)) && !pace.frame(1, START));
        assert!(pace.frame(64 * 1024, START + Duration::from_secs(2)));
    }

    #[test]
    fn mistakes_are_soon_too_many() {
        let mut pace = Pace::default();
        let made = (0..).take_while(|_| pace.frame(0, START) && pace.mistake(START)).count();
        assert_eq!(made, 30);
    }
}
