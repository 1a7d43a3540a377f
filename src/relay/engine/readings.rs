//! PURE  Readings of the meters of allocations, and the rates that follow from them.
//!
//! Every sweep reads all meters, so a packet costs nothing for it. The last two readings are kept. A rate covers the time
//! since the older one: between one and two periods of the sweep, or the life of a younger allocation.

use std::time::Duration;

use crate::clock::Moment;
use crate::observed::session::Traffic;
use crate::relay::engine::allocation::Meter;

/// What both directions of an allocation had carried at the last two sweeps; nothing, if it did not exist then.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Readings {
    newer: Reading,
    older: Reading,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Reading {
    up: Carried,
    down: Carried,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Carried {
    packets: u64,
    bytes: u64,
}

/// When the last two sweeps were.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ReadAt {
    newer: Moment,
    older: Moment,
}

/// A rate is never taken over less time than this, in which one packet would already look like a flood.
const SHORTEST: Duration = Duration::from_secs(1);

impl Readings {
    /// Reads the meters. The older of the two readings is forgotten.
    pub fn take(&mut self, up: &Meter, down: &Meter) {
        self.older = std::mem::replace(&mut self.newer, Reading { up: up.into(), down: down.into() });
    }

    /// The traffic of both directions, with rates over `time`.
    #[must_use]
    pub fn traffic(&self, up: &Meter, down: &Meter, time: Duration) -> (Traffic, Traffic) {
        (traffic(up, self.older.up, time), traffic(down, self.older.down, time))
    }
}

impl ReadAt {
    /// All meters are read now.
    pub fn take(&mut self, now: Moment) {
        self.older = std::mem::replace(&mut self.newer, now);
    }

    /// The time that the rates of an allocation cover which was made at `since`.
    #[must_use]
    pub fn covers(&self, since: Moment, now: Moment) -> Duration {
        now.since(self.older.max(since)).max(SHORTEST)
    }
}

impl From<&Meter> for Carried {
    fn from(meter: &Meter) -> Self {
        Self { packets: meter.packets, bytes: meter.bytes }
    }
}

fn traffic(meter: &Meter, before: Carried, time: Duration) -> Traffic {
    Traffic {
        packets: meter.packets,
        bytes: meter.bytes,
        packets_per_second: per_second(meter.packets - before.packets, time),
        bytes_per_second: per_second(meter.bytes - before.bytes, time),
    }
}

/// Rounded to the nearest number.
fn per_second(count: u64, time: Duration) -> u64 {
    let millis = time.as_millis().max(1);
    u64::try_from((u128::from(count) * 1000 + millis / 2) / millis).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn at(seconds: u64) -> Moment {
        Moment::from_nanos(seconds * 1_000_000_000)
    }

    /// A kilobyte a second from 0 s on: what is shown at each of `seconds`, with sweeps every 5 s.
    #[test]
    fn a_steady_flow_has_its_rate_at_every_moment_and_none_after_ten_seconds_without_a_packet() {
        let (mut up, down) = (Meter::default(), Meter::default());
        let (mut readings, mut read_at) = (Readings::default(), ReadAt::default());
        for second in 1..=40 {
            if second <= 20 {
                up.count(1000);
            }
            let (shown, _) = readings.traffic(&up, &down, read_at.covers(at(0), at(second)));
            match second {
                ..=20 => {
                    assert_eq!((shown.packets_per_second, shown.bytes_per_second), (1, 1000), "{second}");
                }
                21..=30 => assert!(shown.bytes_per_second < 1000, "{second}"),
                _ => assert_eq!((shown.bytes_per_second, shown.bytes), (0, 20_000), "{second}"),
            }
            if second % 5 == 0 {
                readings.take(&up, &down);
                read_at.take(at(second));
            }
        }
    }

    #[test]
    fn a_new_allocation_is_measured_from_its_beginning_but_over_a_second_at_least() {
        let mut read_at = ReadAt::default();
        read_at.take(at(95));
        read_at.take(at(100));
        assert_eq!(read_at.covers(at(10), at(102)), Duration::from_secs(7));
        assert_eq!(read_at.covers(at(99), at(102)), Duration::from_secs(3));
        assert_eq!(read_at.covers(at(102), at(102)), SHORTEST);
        assert_eq!(per_second(u64::MAX, Duration::from_millis(1)), u64::MAX);
    }

    #[test]
    fn it_takes_64_bytes_of_each_allocation() {
        assert_eq!(size_of::<Readings>(), 64);
    }
}
