//! Counts the bytes that the client of a WebSocket sends, including fragments that never become a message.

use std::sync::{Arc, OnceLock};

use crate::bounds::rate::{Bucket, Rate};
use crate::clock::Moment;

/// Turns on the meter of a connection. Clones belong to the same meter.
#[derive(Debug, Clone, Default)]
pub(super) struct Switch(Arc<OnceLock<Rate>>);

/// Limits the bytes of one connection, once it is on.
#[derive(Debug)]
pub(super) struct ByteMeter {
    switch: Switch,
    read: Bucket,
}

/// The client has sent more bytes than allowed.
#[derive(Debug)]
pub(super) struct TooMuch;

impl Switch {
    /// From now on the client may send bytes at this rate.
    pub(super) fn turn_on(&self, bytes: Rate) {
        self.0.get_or_init(|| bytes);
    }
}

impl ByteMeter {
    /// A meter that is off until `switch` turns it on.
    pub(super) fn new(switch: Switch) -> Self {
        Self { switch, read: Bucket::default() }
    }

    /// Counts bytes that have been read; `now` is only called if the meter is on.
    pub(super) fn count(&mut self, bytes: usize, now: impl FnOnce() -> Moment) -> Result<(), TooMuch> {
        let Some(rate) = self.switch.0.get() else { return Ok(()) };
        if self.read.take(*rate, bytes as u64, now()) { Ok(()) } else { Err(TooMuch) }
    }
}
