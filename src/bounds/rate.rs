//! PURE  Rate limits: a sustained rate and a burst.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::clock::Moment;

/// A sustained rate and a burst.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    /// The time of one unit at this rate, in 1/1024 ns, so that it is not zero for the bytes of a fast link.
    unit: u64,
    /// The burst, in nanoseconds.
    burst: u64,
}

impl Rate {
    /// `count` units in every `period`, and at most `burst` at once.
    #[must_use]
    pub fn new(count: u64, period: Duration, burst: u64) -> Self {
        let period = u64::try_from(period.as_nanos()).unwrap_or(u64::MAX);
        let unit = period.saturating_mul(FRACTION) / count.max(1);
        Self { unit, burst: cost(unit, burst.max(1)) }
    }

    /// The same burst, and `factor` times the sustained rate.
    #[must_use]
    pub fn faster(self, factor: u64) -> Self {
        let factor = factor.max(1);
        Self { unit: self.unit / factor, burst: self.burst / factor }
    }

    /// `factor` times the sustained rate and the burst.
    #[must_use]
    pub fn times(self, factor: u64) -> Self {
        Self { unit: self.unit / factor.max(1), ..self }
    }

    /// `count` units a second, and a burst of one second's worth.
    #[must_use]
    pub fn per_second(count: u64) -> Self {
        Self::new(count, Duration::from_secs(1), count)
    }
}

/// How much of a [`Rate`] is used up: the generic cell rate algorithm, eight bytes a bucket.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Bucket {
    /// When the bucket will be empty again, in nanoseconds of the monotonic clock.
    empty_at: u64,
}

impl Bucket {
    /// Takes `units`, if `rate` allows all of them; otherwise takes nothing.
    pub fn take(&mut self, rate: Rate, units: u64, now: Moment) -> bool {
        let now = now.as_nanos();
        let empty_at = self.empty_at.max(now).saturating_add(cost(rate.unit, units));
        if empty_at - now > rate.burst {
            return false;
        }
        self.empty_at = empty_at;
        true
    }

    /// Takes `units` even if they are not available. The debt must be earned before anything is available again.
    pub fn spend(&mut self, rate: Rate, units: u64, now: Moment) {
        self.empty_at = self.empty_at.max(now.as_nanos()).saturating_add(cost(rate.unit, units));
    }

    /// How long until `units` may be taken; zero if now.
    #[must_use]
    pub fn wait(&self, rate: Rate, units: u64, now: Moment) -> Duration {
        let empty_at = self.empty_at.max(now.as_nanos()).saturating_add(cost(rate.unit, units));
        Duration::from_nanos((empty_at - now.as_nanos()).saturating_sub(rate.burst))
    }

    /// Whether the whole burst is available.
    #[must_use]
    pub fn is_full(&self, now: Moment) -> bool {
        self.empty_at <= now.as_nanos()
    }

    /// Whether not even one unit is available.
    #[must_use]
    pub fn is_spent(&self, rate: Rate, now: Moment) -> bool {
        !Self { empty_at: self.empty_at }.take(rate, 1, now)
    }

    /// A bucket with the state that [`Bucket::state`] returned.
    #[must_use]
    pub const fn from_state(state: u64) -> Self {
        Self { empty_at: state }
    }

    /// The bucket's whole state; a new bucket's is zero.
    #[must_use]
    pub const fn state(self) -> u64 {
        self.empty_at
    }
}

/// A [`Bucket`] that several threads take from, without a lock.
#[derive(Debug, Default)]
pub struct SharedBucket(AtomicU64);

impl SharedBucket {
    /// As [`Bucket::take`].
    pub fn take(&self, rate: Rate, units: u64, now: Moment) -> bool {
        let take = |state| {
            let mut bucket = Bucket::from_state(state);
            bucket.take(rate, units, now).then(|| bucket.state())
        };
        self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, take).is_ok()
    }

    /// As [`Bucket::spend`].
    pub fn spend(&self, rate: Rate, units: u64, now: Moment) {
        let spend = |state| {
            let mut bucket = Bucket::from_state(state);
            bucket.spend(rate, units, now);
            Some(bucket.state())
        };
        // The closure always returns `Some`, so this never fails.
        let _ = self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, spend);
    }

    /// As [`Bucket::is_spent`].
    #[must_use]
    pub fn is_spent(&self, rate: Rate, now: Moment) -> bool {
        Bucket::from_state(self.0.load(Ordering::Relaxed)).is_spent(rate, now)
    }
}

const FRACTION: u64 = 1024;

fn cost(unit: u64, units: u64) -> u64 {
    unit.saturating_mul(units) / FRACTION
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SECOND: u64 = 1_000_000_000;

    #[test]
    fn a_burst_passes_and_then_only_the_rate() {
        let rate = Rate::new(5, Duration::from_secs(1), 32);
        let mut bucket = Bucket::default();
        let taken = |bucket: &mut Bucket, at| {
            (0..100).filter(|_| bucket.take(rate, 1, Moment::from_nanos(at))).count()
        };
        assert_eq!(taken(&mut bucket, 0), 32);
        assert_eq!(taken(&mut bucket, SECOND), 5);
        assert_eq!(taken(&mut bucket, 100 * SECOND), 32);
    }

    #[test]
    fn a_byte_rate_is_exact_to_a_thousandth() {
        let rate = Rate::per_second(25_000_000 / 8);
        let mut bucket = Bucket::default();
        let seconds = 20;
        let packets = (0..seconds * 10_000)
            .filter(|i| bucket.take(rate, 1000, Moment::from_nanos(i * 100_000)))
            .count();
        let expected = 3_125 * (seconds + 1);
        assert!((packets as u64).abs_diff(expected) <= expected / 1000, "{packets} of {expected}");
    }

    #[test]
    fn a_rate_can_be_made_faster_and_larger() {
        let second = Duration::from_secs(1);
        let rate = Rate::new(5, second, 32);
        assert_eq!(rate.faster(20), Rate::new(100, second, 32));
        assert_eq!(rate.times(20), Rate::new(100, second, 640));
    }

    #[test]
    fn a_shared_bucket_is_a_bucket() {
        let (rate, now) = (Rate::new(5, Duration::from_secs(1), 3), Moment::from_nanos(7));
        let (shared, mut own) = (SharedBucket::default(), Bucket::default());
        for _ in 0..5 {
            assert_eq!(shared.take(rate, 1, now), own.take(rate, 1, now));
            assert_eq!(shared.is_spent(rate, now), own.is_spent(rate, now));
        }
        shared.spend(rate, 5, now);
        own.spend(rate, 5, now);
        let later = now + Duration::from_secs(1);
        assert_eq!(shared.is_spent(rate, later), own.is_spent(rate, later));
    }

    proptest! {
        #[test]
        fn no_more_than_burst_and_rate_ever_pass(
            steps in proptest::collection::vec((0..SECOND, 1..50_u64), 1..200),
        ) {
            let rate = Rate::new(100, Duration::from_secs(1), 20);
            let (mut bucket, mut now, mut passed) = (Bucket::default(), 0, 0);
            for (step, units) in steps {
                now += step;
                if bucket.take(rate, units, Moment::from_nanos(now)) {
                    passed += units;
                }
                prop_assert!(passed <= 20 + now * 100 / SECOND + 1);
            }
        }
    }
}
