//! PURE  Limits the rate of each log statement, and counts the lines that were left out.
//!
//! The number of log statements in the code bounds the memory, whatever clients do.

use std::time::Duration;

use tracing::{Level, Metadata};

use crate::bounds::rate::{Bucket, Rate};
use crate::clock::Moment;

/// The rate of each log statement.
#[derive(Debug, Default)]
pub(super) struct Bound {
    sites: Vec<CallSite>,
    /// The number of statements with lines that were left out and not yet reported.
    held: usize,
}

/// The number of lines of one log statement that were left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Sum {
    pub(super) site: &'static Metadata<'static>,
    pub(super) left_out: u64,
}

#[derive(Debug)]
struct CallSite {
    metadata: &'static Metadata<'static>,
    bucket: Bucket,
    left_out: u64,
    /// When a line was left out: the first since the last sum, and the latest.
    since: Moment,
    last: Moment,
}

/// Lines of one log statement per second in the long run, and at once. A large server ends about this many calls. journald
/// by default accepts 333 lines per second from a service, which is enough for a few statements at their limits.
const LINES: (u64, u64) = (100, 1_000);
/// The same for the levels debug and trace, where an operator wants more lines, but still not all of them.
const DETAILS: (u64, u64) = (1_000, 2_000);
const SECOND: Duration = Duration::from_secs(1);
/// A sum is logged when no line was left out for the first duration, and during a flood after the second.
pub(super) const OVER: Duration = SECOND;
const LONG: Duration = Duration::from_secs(60);

impl Bound {
    /// Whether a line of this statement may be logged. If not, it is counted as left out.
    pub(super) fn admit(&mut self, metadata: &'static Metadata<'static>, now: Moment) -> bool {
        let known = self.sites.iter().position(|site| std::ptr::eq(site.metadata, metadata));
        let index = known.unwrap_or_else(|| {
            self.sites.push(CallSite::new(metadata));
            self.sites.len() - 1
        });
        let site = &mut self.sites[index];
        if site.bucket.take(rate(*metadata.level()), 1, now) {
            return true;
        }
        if site.left_out == 0 {
            self.held += 1;
            site.since = now;
        }
        site.left_out += 1;
        site.last = now;
        false
    }

    /// Whether lines were left out that no sum has reported yet.
    pub(super) fn holds_any(&self) -> bool {
        self.held > 0
    }

    /// The sums that are due.
    pub(super) fn due(&mut self, now: Moment) -> Vec<Sum> {
        let is_due = |site: &&mut CallSite| {
            site.left_out > 0 && (now.since(site.last) >= OVER || now.since(site.since) >= LONG)
        };
        let sums = self.sites.iter_mut().filter(is_due).map(CallSite::sum).collect::<Vec<_>>();
        self.held -= sums.len();
        sums
    }

    /// All sums, due or not, for the end.
    pub(super) fn rest(&mut self) -> Vec<Sum> {
        self.held = 0;
        self.sites.iter_mut().filter(|site| site.left_out > 0).map(CallSite::sum).collect()
    }
}

impl CallSite {
    fn new(metadata: &'static Metadata<'static>) -> Self {
        let (bucket, begin) = (Bucket::default(), Moment::default());
        Self { metadata, bucket, left_out: 0, since: begin, last: begin }
    }

    fn sum(&mut self) -> Sum {
        Sum { site: self.metadata, left_out: std::mem::take(&mut self.left_out) }
    }
}

fn rate(level: Level) -> Rate {
    let (each_second, burst) = if level <= Level::INFO { LINES } else { DETAILS };
    Rate::new(each_second, SECOND, burst)
}

#[cfg(test)]
mod tests {
    use tracing::Callsite as _;
    use tracing::callsite::DefaultCallsite;
    use tracing::metadata::Kind;

    use super::*;

    /// A log statement of this level.
    macro_rules! site {
        ($level:expr) => {{
            static SITE: DefaultCallsite = DefaultCallsite::new(&PLACE);
            static PLACE: Metadata<'static> = tracing::metadata! {
                name: "a place",
                target: "hairpin::test",
                level: $level,
                fields: &["message"],
                callsite: &SITE,
                kind: Kind::EVENT,
            };
            SITE.metadata()
        }};
    }

    fn at(millis: u64) -> Moment {
        Moment::from_nanos(millis * 1_000_000)
    }

    #[test]
    fn a_call_site_says_1000_lines_at_once_and_100_a_second_and_others_are_not_held_back_by_it() {
        let (mut bound, loud, other) = (Bound::default(), site!(Level::INFO), site!(Level::WARN));
        let mut passed = 0;
        for tenth in 0..100_000 {
            passed += usize::from(bound.admit(loud, at(tenth / 10)));
        }
        assert!((1_995..=2_001).contains(&passed), "{passed}");
        assert!(bound.admit(other, at(9_999)));
    }

    #[test]
    fn who_asks_for_details_gets_a_thousand_a_second() {
        for site in [site!(Level::DEBUG), site!(Level::TRACE)] {
            let mut bound = Bound::default();
            let passed = (0..100_000).filter(|n| bound.admit(site, at(n / 100))).count();
            assert!((2_990..=3_001).contains(&passed), "{passed}");
        }
    }

    #[test]
    fn a_flood_is_summed_up_once_when_it_is_over() {
        let (mut bound, site) = (Bound::default(), site!(Level::ERROR));
        let passed = (0..5_000).filter(|_| bound.admit(site, at(0))).count() as u64;
        assert!(bound.holds_any());
        assert_eq!(bound.due(at(999)), []);

        assert_eq!(bound.due(at(1_000)), [Sum { site, left_out: 5_000 - passed }]);

        assert_eq!((bound.due(at(2_000)), bound.rest(), bound.holds_any()), (vec![], vec![], false));
    }

    #[test]
    fn a_flood_that_is_never_over_is_summed_up_each_minute_and_at_the_end() {
        let (mut bound, site) = (Bound::default(), site!(Level::INFO));
        let (mut sums, mut passed) = (Vec::new(), 0);
        for tenth in 0..1_300 {
            passed += (0..50).filter(|_| bound.admit(site, at(tenth * 100))).count() as u64;
            sums.extend(bound.due(at(tenth * 100)));
        }
        assert_eq!(sums.len(), 2);
        sums.extend(bound.rest());
        assert_eq!(sums.iter().map(|sum| sum.left_out).sum::<u64>() + passed, 65_000);
    }
}
