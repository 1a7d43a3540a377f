//! PURE  When to order the next certificate.

use std::time::Duration;

use rand::{Rng, RngCore};

use crate::clock::{Unix, Validity};

/// When to order the next certificate.
#[derive(Debug, Default)]
pub(super) struct Schedule {
    /// The orders that have failed since the last one that succeeded.
    failures: u32,
    /// The time before which no order is tried again after a failure.
    again: Option<Unix>,
    /// The time that the authority has suggested for this certificate (RFC 9773).
    suggested: Option<(Validity, Unix)>,
}

/// How long to wait after the first failure; after each further one four times as long. Let's Encrypt lets a name fail five
/// times an hour.
const FIRST_PAUSE: Duration = Duration::from_secs(60);
/// The longest pause between two orders. A certificate that lives six days is renewed two days before its end, and so has
/// time for eight orders.
const LONGEST_PAUSE: Duration = Duration::from_secs(6 * 3600);
/// How long to wait at least if the authority says that there were too many orders.
const TOO_MANY_PAUSE: Duration = Duration::from_secs(3600);

impl Schedule {
    /// When to order, with the current certificate, if there is one.
    #[must_use]
    pub(super) fn due(&self, current: Option<Validity>) -> Unix {
        let wanted = current.map_or(Unix::default(), |validity| match self.suggested {
            Some((of, at)) if of == validity => at,
            Some(_) | None => two_thirds(validity),
        });
        self.again.map_or(wanted, |again| again.max(wanted))
    }

    /// The authority suggests a window for the renewal of the certificate. A moment in it is chosen at random, so that not
    /// all clients come at once. The same window does not change the choice.
    pub(super) fn suggest(&mut self, of: Validity, (from, to): (Unix, Unix), rng: &mut dyn RngCore) {
        let (from, to) = (from.as_secs(), to.as_secs().max(from.as_secs()));
        let is_chosen =
            self.suggested.is_some_and(|(other, at)| other == of && (from..=to).contains(&at.as_secs()));
        if !is_chosen {
            self.suggested = Some((of, Unix::from_secs(rng.random_range(from..=to))));
        }
    }

    /// An order has succeeded.
    pub(super) fn succeeded(&mut self) {
        *self = Self::default();
    }

    /// An order has failed at `now`, perhaps because there were too many; returns when to try again.
    pub(super) fn failed(&mut self, too_many: bool, now: Unix, rng: &mut dyn RngCore) -> Unix {
        let pause = FIRST_PAUSE.saturating_mul(4_u32.saturating_pow(self.failures)).min(LONGEST_PAUSE);
        let pause = if too_many { pause.max(TOO_MANY_PAUSE) } else { pause };
        self.failures = self.failures.saturating_add(1);
        // A tenth more or less, so that machines that failed at the same time do not come back together.
        let again = now + pause.mul_f64(rng.random_range(0.9..1.1));
        self.again = Some(again);
        again
    }

    /// Somebody asks for another try, which need not wait any longer.
    pub(super) fn retry(&mut self) {
        self.again = None;
    }

    /// How many orders have failed since the last one that succeeded.
    #[must_use]
    pub(super) fn failures(&self) -> u32 {
        self.failures
    }
}

fn two_thirds(validity: Validity) -> Unix {
    let lifetime = validity.end.as_secs().saturating_sub(validity.begin.as_secs());
    validity.begin + Duration::from_secs(lifetime / 3 * 2)
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng as _;
    use rand::rngs::StdRng;

    use super::*;

    const DAY: u64 = 24 * 3600;

    fn days(from: u64, to: u64) -> Validity {
        Validity { begin: Unix::from_secs(from * DAY), end: Unix::from_secs(to * DAY) }
    }

    fn rng() -> StdRng {
        StdRng::seed_from_u64(1)
    }

    #[test]
    fn without_a_certificate_one_is_ordered_at_once_and_otherwise_after_two_thirds() {
        let schedule = Schedule::default();
        assert_eq!(schedule.due(None), Unix::default());
        for (lifetime, due) in [(90, 60), (6, 4)] {
            assert_eq!(schedule.due(Some(days(0, lifetime))), Unix::from_secs(due * DAY));
        }
    }

    #[test]
    fn the_window_of_the_authority_counts_for_the_certificate_that_it_was_asked_about() {
        let (mut schedule, current) = (Schedule::default(), days(0, 90));
        let window = (Unix::from_secs(10 * DAY), Unix::from_secs(12 * DAY));
        schedule.suggest(current, window, &mut rng());
        let due = schedule.due(Some(current));
        assert!((window.0..=window.1).contains(&due));
        (0..100).for_each(|seed| schedule.suggest(current, window, &mut StdRng::seed_from_u64(seed)));
        assert_eq!(schedule.due(Some(current)), due, "it is chosen once");
        let earlier = (Unix::from_secs(DAY), Unix::from_secs(2 * DAY));
        schedule.suggest(current, earlier, &mut rng());
        assert!(
            schedule.due(Some(current)) <= earlier.1,
            "a certificate that will be revoked is renewed before"
        );
        assert_eq!(schedule.due(Some(days(1, 91))), Unix::from_secs(61 * DAY));
    }

    #[test]
    fn an_authority_that_is_down_for_a_day_is_asked_a_few_times_and_then_less_often() {
        let (mut schedule, mut rng) = (Schedule::default(), rng());
        let (mut now, mut tries) = (Unix::from_secs(1_000), Vec::new());
        while now.as_secs() < 1_000 + DAY {
            tries.push(now.as_secs() - 1_000);
            now = schedule.failed(false, now, &mut rng);
            assert_eq!(schedule.due(None), now);
        }
        assert!(tries.iter().filter(|at| **at < 3600).count() <= 4, "{tries:?}");
        assert!((7..=10).contains(&tries.len()), "{tries:?}");
        schedule.succeeded();
        assert_eq!((schedule.failures(), schedule.due(None)), (0, Unix::default()));
    }

    #[test]
    fn after_too_many_orders_an_hour_passes() {
        let mut schedule = Schedule::default();
        let again = schedule.failed(true, Unix::default(), &mut rng());
        assert!(again.as_secs() >= 3600 * 9 / 10);
        assert_eq!(schedule.due(Some(days(0, 90))), Unix::from_secs(60 * DAY), "there is time");
        schedule.retry();
        assert_eq!((schedule.due(None), schedule.failures()), (Unix::default(), 1));
    }
}
