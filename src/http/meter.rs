//! Counts the bytes that the client of a WebSocket sends, fragments that never become a message included.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::bounds::rate::{Bucket, Rate};
use crate::clock::Moment;
use crate::signaling::pace::BYTES_PER_TEN_SECONDS;

/// Turns the meter of a connection on. Clones belong to the same meter.
#[derive(Debug, Clone, Default)]
pub(super) struct Switch(Arc<AtomicBool>);

/// Bounds the bytes of one connection, once it is on.
#[derive(Debug)]
pub(super) struct ByteMeter {
    switch: Switch,
    read: Bucket,
}

/// The client has sent more than it may.
#[derive(Debug)]
pub(super) struct TooMuch;

/// Bytes that a member of a room may send in ten seconds: twice what its messages may have, for headers and fragments.
const METERED: u64 = 2 * BYTES_PER_TEN_SECONDS;

impl Switch {
    /// From now on the client may send no more than members of rooms may.
    pub(super) fn turn_on(&self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

impl ByteMeter {
    /// A meter that is off, until `switch` turns it on.
    pub(super) fn new(switch: Switch) -> Self {
        Self { switch, read: Bucket::default() }
    }

    /// Counts bytes that have been read; `now` is asked only if the meter is on.
    pub(super) fn count(&mut self, bytes: usize, now: impl FnOnce() -> Moment) -> Result<(), TooMuch> {
        let rate = Rate::new(METERED, Duration::from_secs(10), METERED);
        let passes = !self.switch.0.load(Ordering::Relaxed) || self.read.take(rate, bytes as u64, now());
        if passes { Ok(()) } else { Err(TooMuch) }
    }
}
