//! PURE  Days of the calendar, in UTC: what usage is counted by.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use crate::clock::Unix;

/// A day in UTC, counted from 1970-01-01. Written as in ISO 8601: `2026-11-27`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Day(u64);

/// What a [`Day`] is read from, for error messages.
pub const DAY: &str = "a day such as 2026-11-27";

const SECONDS: u64 = 24 * 3600;
/// The days from 0000-03-01 to 1970-01-01.
const BEFORE_1970: u64 = 719_468;
/// The days of 400 years, after which the calendar repeats itself.
const ERA: u64 = 146_097;

impl Day {
    /// The day of a second.
    #[must_use]
    pub const fn of(second: Unix) -> Self {
        Self(second.as_secs() / SECONDS)
    }

    /// The day that is `days` earlier; at the earliest 1970-01-01.
    #[must_use]
    pub const fn before(self, days: u64) -> Self {
        Self(self.0.saturating_sub(days))
    }

    /// The time from `second`, which is on this day, to its end.
    #[must_use]
    pub fn left(self, second: Unix) -> Duration {
        let end = (self.0 + 1).saturating_mul(SECONDS);
        Duration::from_secs(end.saturating_sub(second.as_secs()))
    }

    /// Year, month and day, by Hinnant's algorithm: the year begins in March, so that its leap day is its last.
    fn civil(self) -> (u64, u64, u64) {
        let days = self.0 + BEFORE_1970;
        let (era, day) = (days / ERA, days % ERA);
        let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
        let day_of_year = day - (365 * year + year / 4 - year / 100);
        let shifted = (5 * day_of_year + 2) / 153;
        let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
        let january_or_february = u64::from(month <= 2);
        (400 * era + year + january_or_february, month, day_of_year - (153 * shifted + 2) / 5 + 1)
    }

    /// The inverse of [`Self::civil`]; `None` before 1970.
    fn from_civil(year: u64, month: u64, day: u64) -> Option<Self> {
        let year = if month <= 2 { year.checked_sub(1)? } else { year };
        let (era, year) = (year / 400, year % 400);
        let shifted = if month > 2 { month - 3 } else { month + 9 };
        let day_of_year = (153 * shifted + 2) / 5 + day - 1;
        let days = era * ERA + 365 * year + year / 4 - year / 100 + day_of_year;
        days.checked_sub(BEFORE_1970).map(Self)
    }
}

impl fmt::Display for Day {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (year, month, day) = self.civil();
        write!(f, "{year:04}-{month:02}-{day:02}")
    }
}

impl FromStr for Day {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("{text:?} is not a day: write {DAY}");
        let mut parts = text.splitn(3, '-').map(|part| {
            let is_number =
                !part.is_empty() && part.len() <= 4 && part.bytes().all(|byte| byte.is_ascii_digit());
            part.parse::<u64>().ok().filter(|_| is_number)
        });
        let mut next = || parts.next().flatten().ok_or_else(wrong);
        let (year, month, day) = (next()?, next()?, next()?);
        if !(1..=12).contains(&month) || !(1..=31).contains(&day) {
            return Err(wrong());
        }
        // Of a day that no calendar has, such as February 30, another day would be made.
        let read = Self::from_civil(year, month, day).filter(|read| read.civil() == (year, month, day));
        read.ok_or_else(wrong)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_is_written_as_the_calendar_has_it() {
        for (second, day) in [
            (0, "1970-01-01"),
            (86_399, "1970-01-01"),
            (86_400, "1970-01-02"),
            (951_782_400, "2000-02-29"),
            (1_795_737_600, "2026-11-27"),
            (4_107_542_400, "2100-03-01"),
        ] {
            assert_eq!(Day::of(Unix::from_secs(second)).to_string(), day);
        }
    }

    #[test]
    fn every_day_of_centuries_is_read_as_it_is_written_and_follows_the_day_before() {
        let mut before = String::new();
        for number in 0..100_000 {
            let text = Day(number).to_string();
            assert_eq!(text.parse(), Ok(Day(number)));
            assert!(text > before, "as a text, {text} comes after {before}");
            before = text;
        }
    }

    #[test]
    fn what_is_not_a_day_is_an_error_that_says_what_to_write() {
        for text in [
            "",
            "7d",
            "2026",
            "2026-11",
            "2026-13-01",
            "2026-00-01",
            "2026-11-31",
            "2025-02-29",
            "1969-12-31",
        ] {
            let error = text.parse::<Day>().unwrap_err();
            assert!(error.contains("is not a day: write a day such as 2026-11-27"), "{error}");
        }
        for text in ["2026-11-27 ", "+2026-11-27", "2026-11-27-1", "99999-01-01", "0000-01-01", "2026--1-27"]
        {
            assert!(text.parse::<Day>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_day_ends_at_midnight() {
        let evening = Unix::from_secs(1_795_737_600 - 90);
        assert_eq!(Day::of(evening).left(evening), Duration::from_secs(90));
        assert_eq!(Day::of(evening).before(6).to_string(), "2026-11-20");
        assert_eq!(Day(3).before(9), Day(0));
    }
}
