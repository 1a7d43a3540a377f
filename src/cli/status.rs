//! `hairpin status`: what a running daemon holds at the moment.

use std::fmt::Write as _;

use hyper::Method;
use serde_json::Value;

use crate::cli::admin_client::AdminArguments;
use crate::cli::{Failure, print};
use crate::clock::{Clock, Unix};

pub(super) fn run(arguments: &AdminArguments) -> Result<(), Failure> {
    let status = arguments.ask(Method::GET, "/status", None)?;
    print(&if arguments.json { format!("{status}\n") } else { show(&status, Clock::start().now().unix) })
}

/// The numbers that people look for first, a line each.
fn show(status: &Value, now: Unix) -> String {
    let number = |path: &str| status.pointer(path).and_then(Value::as_u64).unwrap_or(0);
    let allocations = status.pointer("/relay/allocations").and_then(Value::as_array);
    let allocations: u64 = allocations.into_iter().flatten().filter_map(Value::as_u64).sum();
    let lifecycle = status.pointer("/lifecycle").and_then(Value::as_str).unwrap_or("unknown");
    let expiry = number("/certificates/expiry");
    let certificate = match status.pointer("/acme/problem").and_then(Value::as_str) {
        Some(problem) => format!("the last order failed: {problem}"),
        None if expiry == 0 => "none".to_owned(),
        None => format!("valid for {} days", expiry.saturating_sub(now.as_secs()) / DAY),
    };
    let lines = [
        ("state", lifecycle.to_owned()),
        ("allocations", allocations.to_string()),
        ("packets to peers", number("/relay/relayed/up/packets").to_string()),
        ("packets to clients", number("/relay/relayed/down/packets").to_string()),
        ("TCP and TLS connections", number("/front/connections").to_string()),
        ("rooms", number("/rooms/rooms").to_string()),
        ("members", number("/rooms/members").to_string()),
        ("certificate", certificate),
    ];
    let mut text = String::new();
    for (name, value) in lines {
        writeln!(text, "{name:24} {value}").expect("writing to a String cannot fail");
    }
    text
}

const DAY: u64 = 24 * 3600;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::observed::{Acme, Certificates, Observed};

    #[test]
    fn what_the_daemon_reports_is_shown() {
        let mut observed = Observed::default();
        observed.relay.allocations = vec![3, 4];
        observed.rooms.members = 5;

        let show = |observed: &Observed| {
            show(&serde_json::to_value(observed).unwrap(), Unix::from_secs(1_790_000_000))
        };
        let text = show(&observed);

        assert!(text.starts_with("state                    serving\nallocations              7\n"), "{text}");
        assert!(text.ends_with("members                  5\ncertificate              none\n"), "{text}");
        let expiry = 1_790_000_000 + 5 * DAY + 3600;
        observed.certificates = Some(Certificates { expiry, ..Certificates::default() });
        assert!(show(&observed).ends_with("certificate              valid for 5 days\n"));
        observed.acme = Some(Acme { problem: Some("no".to_owned()), ..Acme::default() });
        assert!(show(&observed).ends_with("certificate              the last order failed: no\n"));
    }
}
