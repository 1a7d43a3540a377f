//! `hairpin usage`: what each user of a running daemon has used.

use std::collections::BTreeMap;
use std::str::FromStr;

use hyper::Method;
use serde_json::{Value, json};
use url::form_urlencoded;

use crate::cli::admin_client::AdminArguments;
use crate::cli::table::{bytes, table, time};
use crate::cli::{Failure, print};
use crate::clock::Clock;
use crate::usage::day::{DAY, Day};
use crate::usage::ledger::Used;

#[derive(Debug, clap::Args)]
#[group(skip)]
pub(super) struct Arguments {
    /// The first day: "7d" for the last seven days, today included, or a day such as 2026-11-27. Days are in UTC.
    #[arg(long, value_name = "DAYS", default_value = "7d")]
    since: Since,
    /// Only the user with this name: a static user, or the tag of a credential.
    #[arg(long, value_name = "NAME")]
    user: Option<String>,
    /// Shows each day by itself.
    #[arg(long)]
    by_day: bool,
    #[command(flatten)]
    admin: AdminArguments,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Since {
    /// So many days, today included.
    Last(u64),
    /// This day.
    Day(Day),
}

/// Days of the longest period that can be asked for.
const DAYS_MAX: u64 = 3650;
/// Entries of each response that is asked for.
const PAGE: u32 = 10_000;

impl FromStr for Since {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let days = text.strip_suffix('d').and_then(|days| days.parse().ok());
        match days.filter(|days| (1..=DAYS_MAX).contains(days)) {
            Some(days) => Ok(Self::Last(days)),
            None => {
                let wrong = |_| format!("{text:?} is not a period: write \"7d\", or {DAY}");
                text.parse().map(Self::Day).map_err(wrong)
            }
        }
    }
}

impl Since {
    fn day(self, today: Day) -> Day {
        match self {
            Self::Last(days) => today.before(days - 1),
            Self::Day(day) => day,
        }
    }
}

/// What a line of the table is about: the day, if days are shown, the user's name, and what kind of user it is.
type Line = (String, String, String);

pub(super) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let since = arguments.since.day(Day::of(Clock::start().now().unix));
    let mut all: Vec<Value> = Vec::new();
    let mut cursor = None;
    let (since, behind) = loop {
        let mut page = arguments.admin.ask(Method::GET, &path(arguments, since, cursor.as_deref()), None)?;
        if let Some(Value::Array(entries)) = page.get_mut("usage").map(Value::take) {
            all.extend(entries);
        }
        cursor = page["cursor"].as_str().map(str::to_owned);
        if cursor.is_none() {
            break (page["since"].clone(), page["seconds_behind"].clone());
        }
    };
    if arguments.admin.json {
        let whole = json!({ "since": since, "seconds_behind": behind, "usage": all });
        return print(&format!("{whole}\n"));
    }
    let mut text = show(&all, arguments.by_day);
    if let Some(seconds) = behind.as_u64().filter(|seconds| *seconds > 60) {
        let missing = time(seconds);
        text +=
            &format!("the last {missing} are missing, because usage cannot be written: the log says why\n");
    }
    print(&text)
}

fn path(arguments: &Arguments, since: Day, cursor: Option<&str>) -> String {
    let mut query = form_urlencoded::Serializer::new(String::new());
    query.append_pair("since", &since.to_string()).append_pair("limit", &PAGE.to_string());
    for (key, value) in [("user", arguments.user.as_deref()), ("cursor", cursor)] {
        if let Some(value) = value {
            query.append_pair(key, value);
        }
    }
    format!("/usage?{}", query.finish())
}

/// A line for each user, or for each user and day; those who carried the most come first.
fn show(entries: &[Value], by_day: bool) -> String {
    let mut lines = BTreeMap::<Line, Used>::new();
    for entry in entries {
        let text = |key| entry[key].as_str().unwrap_or_default().to_owned();
        let number = |key| entry[key].as_u64().unwrap_or_default();
        let day = if by_day { text("day") } else { String::new() };
        let used = Used {
            sessions: number("sessions"),
            seconds: number("seconds"),
            bytes_up: number("bytes_up"),
            bytes_down: number("bytes_down"),
        };
        lines.entry((day, text("user"), text("kind"))).or_default().add(used);
    }
    if lines.is_empty() {
        return "nothing was used\n".to_owned();
    }
    let mut lines: Vec<(Line, Used)> = lines.into_iter().collect();
    // The sort keeps the order of equal lines.
    lines.sort_by(|((one, ..), a), ((other, ..), b)| one.cmp(other).then(b.bytes().cmp(&a.bytes())));
    let cells = |used: Used| {
        let Used { sessions, seconds, bytes_up, bytes_down } = used;
        [sessions.to_string(), time(seconds), bytes(bytes_up), bytes(bytes_down)]
    };
    if by_day {
        let row = |((day, user, kind), used): (Line, Used)| {
            let [sessions, time, up, down] = cells(used);
            [day, user, kind, sessions, time, up, down]
        };
        let rows: Vec<_> = lines.into_iter().map(row).collect();
        return table(["DAY", "USER", "KIND", "SESSIONS", "TIME", "UP", "DOWN"], &rows);
    }
    let row = |((_, user, kind), used): (Line, Used)| {
        let [sessions, time, up, down] = cells(used);
        [user, kind, sessions, time, up, down]
    };
    let rows: Vec<_> = lines.into_iter().map(row).collect();
    table(["USER", "KIND", "SESSIONS", "TIME", "UP", "DOWN"], &rows)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(day: &str, user: &str, bytes_up: u64) -> Value {
        json!({ "day": day, "kind": "tag", "user": user, "sessions": 1, "seconds": 5400,
                "bytes_up": bytes_up, "bytes_down": 0 })
    }

    #[test]
    fn a_period_is_a_number_of_days_or_a_first_day() {
        let today: Day = "2026-11-27".parse().unwrap();
        for (text, day) in [("7d", "2026-11-21"), ("1d", "2026-11-27"), ("2026-10-01", "2026-10-01")] {
            assert_eq!(text.parse::<Since>().unwrap().day(today).to_string(), day);
        }
        for text in ["", "0d", "4000d", "7", "7h", "-1d", "yesterday"] {
            let error = text.parse::<Since>().unwrap_err();
            assert!(error.contains("is not a period: write \"7d\", or a day such as 2026-11-27"), "{error}");
        }
    }

    #[test]
    fn users_are_shown_by_what_they_carried_over_all_days_or_day_by_day() {
        let entries = [
            entry("2026-11-26", "alice", 1_200_000),
            entry("2026-11-26", "bob", 7),
            entry("2026-11-27", "alice", 999_960),
            entry("2026-11-27", "carol", 2_000_000_000),
        ];
        assert_eq!(
            show(&entries, false),
            "USER   KIND  SESSIONS  TIME    UP      DOWN\n\
             carol  tag   1         1h 30m  2.0 GB  0 B\n\
             alice  tag   2         3h      2.2 MB  0 B\n\
             bob    tag   1         1h 30m  7 B     0 B\n"
        );
        let by_day = show(&entries, true);
        let begins: Vec<&str> = by_day.lines().map(|line| line[..17].trim_end()).collect();
        let expected = [
            "DAY         USER",
            "2026-11-26  alice",
            "2026-11-26  bob",
            "2026-11-27  carol",
            "2026-11-27  alice",
        ];
        assert_eq!(begins, expected);
        assert_eq!(show(&[], false), "nothing was used\n");
    }
}
