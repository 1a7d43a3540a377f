//! PURE  Limits how often each of many keys may do something: addresses that join, API keys that send requests.

use std::collections::HashMap;
use std::hash::Hash;
use std::time::Duration;

use crate::bounds::rate::{Bucket, Rate};
use crate::clock::Moment;

/// A [`Rate`] for each key.
#[derive(Debug)]
pub struct Throttle<K> {
    rate: Rate,
    buckets: HashMap<K, Bucket>,
}

/// How many keys are remembered. When this many are active at once, all are forgotten: a limit for each key cannot stop
/// a flood from so many, and must not lock out all others.
const REMEMBERED: usize = 16_384;

impl<K: Eq + Hash> Throttle<K> {
    /// No usage yet.
    #[must_use]
    pub fn new(rate: Rate) -> Self {
        Self { rate, buckets: HashMap::new() }
    }

    /// Changes the rate. What was used stays used.
    pub fn limit(&mut self, rate: Rate) {
        self.rate = rate;
    }

    /// Takes one from the rate of `who`.
    ///
    /// # Errors
    /// How long to wait, if the rate is exceeded.
    pub fn take(&mut self, who: K, now: Moment) -> Result<(), Duration> {
        self.take_at(self.rate, who, now)
    }

    /// As [`Self::take`], for a key with a rate of its own.
    ///
    /// # Errors
    /// As [`Self::take`].
    pub fn take_at(&mut self, rate: Rate, who: K, now: Moment) -> Result<(), Duration> {
        if self.buckets.len() >= REMEMBERED && !self.buckets.contains_key(&who) {
            self.buckets.retain(|_, bucket| !bucket.is_full(now));
            if self.buckets.len() >= REMEMBERED {
                self.buckets.clear();
            }
        }
        let bucket = self.buckets.entry(who).or_default();
        if bucket.take(rate, 1, now) { Ok(()) } else { Err(bucket.wait(rate, 1, now)) }
    }

    /// How long `who` has to wait; zero if it need not.
    pub fn wait(&self, who: &K, now: Moment) -> Duration {
        self.wait_at(self.rate, who, now)
    }

    /// As [`Self::wait`], for a key with a rate of its own.
    pub fn wait_at(&self, rate: Rate, who: &K, now: Moment) -> Duration {
        self.buckets.get(who).map_or(Duration::ZERO, |bucket| bucket.wait(rate, 1, now))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Moment {
        Moment::from_nanos(seconds * 1_000_000_000)
    }

    #[test]
    fn each_has_a_rate_of_its_own_and_hears_how_long_to_wait() {
        let mut throttle = Throttle::new(Rate::new(6, Duration::from_secs(60), 2));
        assert_eq!([(); 2].map(|()| throttle.take("a", at(0))), [Ok(()), Ok(())]);
        assert_eq!(throttle.take("a", at(0)), Err(Duration::from_secs(10)));
        assert_eq!(
            (throttle.wait(&"a", at(4)), throttle.wait(&"b", at(4))),
            (Duration::from_secs(6), Duration::ZERO)
        );
        assert_eq!((throttle.take("b", at(4)), throttle.take("a", at(10))), (Ok(()), Ok(())));
    }

    #[test]
    fn it_never_remembers_more_than_so_many_and_those_who_wait_keep_waiting() {
        let mut throttle = Throttle::new(Rate::new(1, Duration::from_secs(1), 1));
        for who in 0..3 * REMEMBERED as u64 {
            throttle.take(who, at(who / 1000)).unwrap();
            assert!(throttle.buckets.len() <= REMEMBERED);
        }
        let last = 3 * REMEMBERED as u64 - 1;
        assert!(throttle.take(last, at(last / 1000)).is_err());
    }
}
