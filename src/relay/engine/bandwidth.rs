//! PURE  Limits the bandwidth of one user and of all users together, in counters that all shards share without a lock.
//!
//! Both limits are off unless the operator sets them, and then cost nothing. A user's limit is one atomic bucket for
//! each direction. The total limit is charged in portions of [`CHUNK`] bytes, which a shard then spends without asking
//! again.

use std::sync::Arc;

use crate::bounds::rate::{Rate, SharedBucket};
use crate::bounds::reached::Limit;
use crate::clock::Moment;
use crate::metrics::Direction;
use crate::relay::engine::limits::Limits;

/// What a user's allocations, or all allocations, have carried together, in each direction.
#[derive(Debug, Default)]
pub struct Share([SharedBucket; 2]);

/// One shard's part of the limits.
#[derive(Debug)]
pub struct Purse {
    user: Option<Rate>,
    total: Option<Rate>,
    /// What all allocations have carried.
    all: Arc<Share>,
    /// Bytes that this shard has taken from the total and not spent yet.
    left: [u64; 2],
}

/// How many bytes a shard takes from the total at a time. So each shard holds at most this much unspent in each
/// direction.
pub const CHUNK: u64 = 16 << 10;

impl Share {
    fn bucket(&self, direction: Direction) -> &SharedBucket {
        &self.0[direction as usize]
    }
}

impl Purse {
    /// One shard's part, empty. All shards charge the total limit to `all`.
    #[must_use]
    pub fn new(limits: &Limits, all: Arc<Share>) -> Self {
        Self { user: limits.user_bytes, total: limits.total_bytes, all, left: [0; 2] }
    }

    /// Changes the limits. What was carried stays carried.
    pub fn limit(&mut self, limits: &Limits) {
        (self.user, self.total) = (limits.user_bytes, limits.total_bytes);
    }

    /// Lets `bytes` of the user with this `share` pass.
    ///
    /// # Errors
    /// The limit that is reached.
    pub fn pass(
        &mut self,
        share: &Share,
        direction: Direction,
        bytes: usize,
        now: Moment,
    ) -> Result<(), Limit> {
        let bytes = bytes as u64;
        if self.user.is_some_and(|rate| !share.bucket(direction).take(rate, bytes, now)) {
            return Err(Limit::UserBits);
        }
        let Some(rate) = self.total else { return Ok(()) };
        let left = &mut self.left[direction as usize];
        if *left < bytes {
            let wanted = bytes.max(CHUNK);
            if !self.all.bucket(direction).take(rate, wanted, now) {
                return Err(Limit::AllBits);
            }
            *left += wanted;
        }
        *left -= bytes;
        Ok(())
    }

    /// Counts `bytes` that have already been carried.
    pub fn spend(&self, share: &Share, direction: Direction, bytes: usize, now: Moment) {
        let bytes = bytes as u64;
        for (rate, bucket) in self.buckets(share, direction) {
            bucket.spend(rate, bytes, now);
        }
    }

    /// The limit because of which nothing more may be carried now.
    #[must_use]
    pub fn spent(&self, share: &Share, direction: Direction, now: Moment) -> Option<Limit> {
        let Self { user, total, all, left: _ } = self;
        let is_spent = |rate: &Option<Rate>, bucket: &Share| {
            rate.is_some_and(|rate| bucket.bucket(direction).is_spent(rate, now))
        };
        match (is_spent(user, share), is_spent(total, all)) {
            (true, _) => Some(Limit::UserBits),
            (false, true) => Some(Limit::AllBits),
            (false, false) => None,
        }
    }

    fn buckets<'a>(
        &'a self,
        share: &'a Share,
        direction: Direction,
    ) -> impl Iterator<Item = (Rate, &'a SharedBucket)> {
        let user = self.user.map(|rate| (rate, share.bucket(direction)));
        user.into_iter().chain(self.total.map(|rate| (rate, self.all.bucket(direction))))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::relay::engine::limits::tests::generous;

    const SECOND: Duration = Duration::from_secs(1);

    /// How many packets of 1000 bytes pass in ten seconds, if each user offers 1000 a second.
    fn passed(limits: &Limits, users: usize) -> Vec<u64> {
        let all = Arc::<Share>::default();
        // Each user's packets arrive on a separate shard, which can happen.
        let mut shards: Vec<_> =
            (0..users).map(|_| (Purse::new(limits, Arc::clone(&all)), Share::default())).collect();
        let mut passed = vec![0; users];
        for millisecond in 0..10_000 {
            let now = Moment::from_nanos(millisecond * 1_000_000);
            for ((purse, share), passed) in shards.iter_mut().zip(&mut passed) {
                *passed += u64::from(purse.pass(share, Direction::Up, 1000, now).is_ok());
            }
        }
        passed
    }

    fn of_a_user(rate: Rate) -> Limits {
        Limits { user_bytes: Some(rate), ..generous() }
    }

    #[test]
    fn a_limit_may_come_and_go_while_packets_pass() {
        let (mut purse, share) = (Purse::new(&generous(), Arc::default()), Share::default());
        let pass = |purse: &mut Purse| purse.pass(&share, Direction::Up, 1000, Moment::default()).is_ok();
        assert!((0..100).all(|_| pass(&mut purse)));
        purse.limit(&of_a_user(Rate::new(1000, SECOND, 1000)));
        assert_eq!([pass(&mut purse), pass(&mut purse)], [true, false]);
        purse.limit(&generous());
        assert!(pass(&mut purse));
    }

    #[test]
    fn without_bounds_everything_passes() {
        assert_eq!(passed(&generous(), 2), [10_000, 10_000]);
    }

    #[test]
    fn a_user_has_a_rate_and_another_user_one_of_its_own() {
        let rate = Rate::new(100_000, SECOND, 100_000);
        for passed in passed(&of_a_user(rate), 3) {
            assert!(passed.abs_diff(1100) <= 1, "{passed}");
        }
    }

    #[test]
    fn all_shards_together_carry_no_more_than_the_rate_and_what_each_may_hold() {
        let rate = Rate::new(400_000, SECOND, 100_000);
        let sum: u64 = passed(&Limits { total_bytes: Some(rate), ..generous() }, 4).iter().sum();
        assert!((4100 - 4 * CHUNK / 1000 - 1..=4100).contains(&sum), "{sum}");
    }

    #[test]
    fn the_directions_are_counted_apart() {
        let rate = Rate::new(1000, SECOND, 1000);
        let (mut purse, share) = (Purse::new(&of_a_user(rate), Arc::default()), Share::default());
        let mut pass = |direction| purse.pass(&share, direction, 1000, Moment::default()).is_ok();
        assert_eq!([pass(Direction::Up), pass(Direction::Up), pass(Direction::Down)], [true, false, true]);
    }

    #[test]
    fn what_was_carried_already_must_be_earned() {
        let rate = Rate::new(1000, SECOND, 1000);
        let (purse, share) = (Purse::new(&of_a_user(rate), Arc::default()), Share::default());
        purse.spend(&share, Direction::Up, 3000, Moment::default());
        assert_eq!(purse.spent(&share, Direction::Up, Moment::default() + SECOND), Some(Limit::UserBits));
        assert_eq!(purse.spent(&share, Direction::Up, Moment::default() + 3 * SECOND), None);
    }
}
