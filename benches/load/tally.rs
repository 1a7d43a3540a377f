//! Counts what became of the packets of one drive.

use std::time::Duration;

use crate::payload::Mark;
use crate::report::Times;

/// A generator that takes longer than this for the offered rate has measured itself.
const KEPT_SCHEDULE: f64 = 0.98;

/// What one drive saw.
pub struct Tally {
    run: u64,
    pub sent: u64,
    arrived: Vec<bool>,
    /// The highest sequence number that each receiver has seen.
    highest: Vec<Option<u64>>,
    pub received: u64,
    pub duplicates: u64,
    /// Later than a packet that was sent after it, of the same flow and in the same direction.
    pub reordered: u64,
    /// Damaged, of another flow, or from a source that is not its own.
    pub wrong: u64,
    pub latencies: Times,
    pub lateness: Times,
    /// How long sending was meant to take, and how long it took.
    pub planned: Duration,
    pub sending: Duration,
}

impl Tally {
    pub fn new(run: u64, receivers: usize, planned: Duration) -> Self {
        Self {
            run,
            sent: 0,
            arrived: Vec::new(),
            highest: vec![None; receivers],
            received: 0,
            duplicates: 0,
            reordered: 0,
            wrong: 0,
            latencies: Times::default(),
            lateness: Times::default(),
            planned,
            sending: Duration::ZERO,
        }
    }

    /// The sequence number of a packet that is about to be sent.
    pub fn next_sequence(&mut self) -> u64 {
        self.arrived.push(false);
        self.sent += 1;
        self.sent - 1
    }

    /// Counts a packet at a receiver, given what could be read of it.
    pub fn count(&mut self, mark: Option<Mark>, receiver: usize, now: u64) {
        let Some(mark) = mark else {
            self.wrong += 1;
            return;
        };
        if mark.run != self.run {
            return; // a straggler of an earlier drive, which has counted it as lost
        }
        let slot = usize::try_from(mark.sequence).ok().and_then(|i| self.arrived.get_mut(i));
        match slot {
            None => self.wrong += 1,
            Some(true) => self.duplicates += 1,
            Some(arrived) => {
                *arrived = true;
                self.received += 1;
                self.latencies.push(now.saturating_sub(mark.sent_at));
                let highest = &mut self.highest[receiver];
                if *highest > Some(mark.sequence) {
                    self.reordered += 1;
                }
                *highest = (*highest).max(Some(mark.sequence));
            }
        }
    }

    pub fn is_complete(&self) -> bool {
        self.received >= self.sent
    }

    pub fn lost(&self) -> u64 {
        self.sent.saturating_sub(self.received)
    }

    /// Packets per second that were really sent.
    pub fn achieved(&self) -> f64 {
        crate::report::ratio(self.sent, 1) / self.sending.as_secs_f64()
    }

    pub fn kept_schedule(&self) -> bool {
        self.planned.as_secs_f64() >= KEPT_SCHEDULE * self.sending.as_secs_f64()
    }
}
