//! Turns counts into the one line of `key=value` that a script can read.

use std::fmt::{self, Write};

/// A line of `key=value` pairs.
pub struct Line(String);

impl Line {
    pub fn new() -> Self {
        Self(String::new())
    }

    pub fn add(&mut self, key: &str, value: impl fmt::Display) {
        if !self.0.is_empty() {
            self.0.push(' ');
        }
        write!(self.0, "{key}={value}").expect("a String takes everything");
    }
}

impl fmt::Display for Line {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0)
    }
}

/// Times in nanoseconds, of which only percentiles are told.
#[derive(Default)]
pub struct Times(Vec<u64>);

impl Times {
    pub fn with_room_for(count: usize) -> Self {
        Self(Vec::with_capacity(count))
    }

    pub fn push(&mut self, nanoseconds: u64) {
        self.0.push(nanoseconds);
    }

    /// The smallest time that `per_mille` of all do not exceed, in microseconds.
    pub fn percentile(&mut self, per_mille: usize) -> f64 {
        if self.0.is_empty() {
            return f64::NAN;
        }
        self.0.sort_unstable();
        let rank = (self.0.len() * per_mille).div_ceil(1000).max(1);
        ratio(self.0[rank - 1], 1000)
    }
}

/// A quotient of two counts; not a number when there is nothing to divide by.
#[expect(clippy::cast_precision_loss, reason = "counts far below 2^52")]
pub fn ratio(part: u64, whole: u64) -> f64 {
    if whole == 0 { f64::NAN } else { part as f64 / whole as f64 }
}
