//! Reads the clocks; the only file that does.
//!
//! All other code takes a [`Now`], [`Moment`] or [`Unix`] as an argument, so that a test can simulate ten minutes in a
//! microsecond. A lifetime is a [`Duration`].

use std::fmt;
use std::ops::Add;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

/// A point on the monotonic clock, in nanoseconds since the clock's start. Never goes back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Moment(u64);

impl Moment {
    /// Never.
    pub const MAX: Self = Self(u64::MAX);

    /// The moment `nanos` nanoseconds after the start.
    #[must_use]
    pub const fn from_nanos(nanos: u64) -> Self {
        Self(nanos)
    }

    /// Nanoseconds since the start.
    #[must_use]
    pub const fn as_nanos(self) -> u64 {
        self.0
    }

    /// Whole seconds since the start.
    #[must_use]
    pub const fn as_secs(self) -> u64 {
        self.0 / 1_000_000_000
    }

    /// The time from `earlier` until this moment; zero if `earlier` is later.
    #[must_use]
    pub const fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }
}

impl Add<Duration> for Moment {
    type Output = Self;

    /// Saturates at [`Moment::MAX`], 584 years after the clock's start.
    fn add(self, time: Duration) -> Self {
        Self(self.0.saturating_add(u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)))
    }
}

/// A second on the wall clock, counted from the Unix epoch. It goes back if the clock is set back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Unix(u64);

impl Unix {
    /// The second `secs` seconds after the Unix epoch.
    #[must_use]
    pub const fn from_secs(secs: u64) -> Self {
        Self(secs)
    }

    /// Seconds since the Unix epoch.
    #[must_use]
    pub const fn as_secs(self) -> u64 {
        self.0
    }
}

impl Add<Duration> for Unix {
    type Output = Self;

    /// Whole seconds only; saturates.
    fn add(self, time: Duration) -> Self {
        Self(self.0.saturating_add(time.as_secs()))
    }
}

impl fmt::Display for Unix {
    /// The number of seconds.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The last second in which a credential, a token or a certificate is valid.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Expiry(Unix);

impl Expiry {
    /// The expiry at the end of the second `last`.
    #[must_use]
    pub const fn at(last: Unix) -> Self {
        Self(last)
    }

    /// The expiry `ttl` after `now`.
    #[must_use]
    pub fn after(now: Unix, ttl: Duration) -> Self {
        Self(now + ttl)
    }

    /// The last second.
    #[must_use]
    pub const fn last(self) -> Unix {
        self.0
    }

    /// Whether it is no longer valid at `now`.
    #[must_use]
    pub fn is_over(self, now: Unix) -> bool {
        self.0 < now
    }

    /// The remaining validity at `now`; zero if it is over.
    #[must_use]
    pub const fn left(self, now: Unix) -> Duration {
        Duration::from_secs(self.0.as_secs().saturating_sub(now.as_secs()))
    }
}

impl fmt::Display for Expiry {
    /// Seconds since the Unix epoch.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// When a certificate is valid.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Validity {
    /// Its first second.
    pub begin: Unix,
    /// Its last second.
    pub end: Unix,
}

/// Both clocks, read together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Now {
    /// For durations: lifetimes, rates, nonces. Setting the wall clock does not affect it.
    pub moment: Moment,
    /// For dates: the expiry of a credential.
    pub unix: Unix,
}

impl Add<Duration> for Now {
    type Output = Self;

    fn add(self, time: Duration) -> Self {
        Self { moment: self.moment + time, unix: self.unix + time }
    }
}

/// The daemon's clock; copies agree.
#[derive(Debug, Clone, Copy)]
pub struct Clock {
    started: Instant,
}

impl Clock {
    /// A clock that starts now.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "this is the one place that reads the clocks")]
    pub fn start() -> Self {
        Self { started: Instant::now() }
    }

    /// Reads both clocks.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "this is the one place that reads the clocks")]
    pub fn now(&self) -> Now {
        let moment = Moment::default() + self.started.elapsed();
        // If the wall clock is before 1970, no credential is valid either way.
        let unix = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Now { moment, unix: Unix(unix.as_secs()) }
    }
}
