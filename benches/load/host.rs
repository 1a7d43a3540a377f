//! Reads how much of the machine was idle, to tell a quiet sample from a disturbed one.

use std::fs;

use crate::Outcome;

/// The idle and stolen time of all processors together.
///
/// The busy time beside it in `/proc/stat` is no use here: it is sampled by a tick that may beat in time with the
/// packets. Idle time is taken from a clock.
pub struct HostReading {
    processors: u64,
    idle: u64,
    stolen: u64,
}

/// The kernel's `USER_HZ` is 100 on every architecture that this runs on.
const NANOSECONDS_PER_TICK: u64 = 10_000_000;

impl HostReading {
    pub fn now() -> Outcome<Self> {
        let text = fs::read_to_string("/proc/stat")?;
        let (total, rest) = text.split_once('\n').ok_or("a short /proc/stat")?;
        let words = total.split_ascii_whitespace().skip(1);
        let ticks: Vec<u64> = words.map(str::parse).collect::<Result<_, _>>()?;
        let &[_user, _nice, _system, idle, iowait, _irq, _softirq, stolen, ..] = ticks.as_slice() else {
            return Err("a short cpu line in /proc/stat".into());
        };
        let processors = rest.lines().filter(|line| line.starts_with("cpu")).count();
        Ok(Self {
            processors: u64::try_from(processors)?,
            idle: (idle + iowait) * NANOSECONDS_PER_TICK,
            stolen: stolen * NANOSECONDS_PER_TICK,
        })
    }

    /// What has run since the earlier reading, `wall` nanoseconds ago, on all processors together.
    pub fn busy_since(&self, earlier: &Self, wall: u64) -> u64 {
        let idle = self.idle.saturating_sub(earlier.idle);
        (self.processors * wall).saturating_sub(idle + self.stolen_since(earlier))
    }

    pub fn stolen_since(&self, earlier: &Self) -> u64 {
        self.stolen.saturating_sub(earlier.stolen)
    }
}
