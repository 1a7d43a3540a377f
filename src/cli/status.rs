//! `hairpin status`: what a running daemon holds at the moment.

use std::fmt::Write as _;

use hyper::Method;
use serde_json::Value;

use crate::cli::admin_client::AdminArguments;
use crate::cli::{Failure, print};

pub(super) fn run(arguments: &AdminArguments) -> Result<(), Failure> {
    let status = arguments.ask(Method::GET, "/status", None)?;
    print(&if arguments.json { format!("{status}\n") } else { show(&status) })
}

/// The numbers that people look for first, a line each.
fn show(status: &Value) -> String {
    let number = |path: &str| status.pointer(path).and_then(Value::as_u64).unwrap_or(0);
    let allocations = status.pointer("/relay/allocations").and_then(Value::as_array);
    let allocations: u64 = allocations.into_iter().flatten().filter_map(Value::as_u64).sum();
    let lifecycle = status.pointer("/lifecycle").and_then(Value::as_str).unwrap_or("unknown");
    let lines = [
        ("state", lifecycle.to_owned()),
        ("allocations", allocations.to_string()),
        ("packets to peers", number("/relay/relayed/up/packets").to_string()),
        ("packets to clients", number("/relay/relayed/down/packets").to_string()),
        ("TCP and TLS connections", number("/front/connections").to_string()),
        ("rooms", number("/rooms/rooms").to_string()),
        ("members", number("/rooms/members").to_string()),
    ];
    let mut text = String::new();
    for (name, value) in lines {
        writeln!(text, "{name:24} {value}").expect("writing to a String cannot fail");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::observed::Observed;

    #[test]
    fn what_the_daemon_reports_is_shown() {
        let mut observed = Observed::default();
        observed.relay.allocations = vec![3, 4];
        observed.rooms.members = 5;

        let text = show(&serde_json::to_value(&observed).unwrap());

        assert!(text.starts_with("state                    serving\nallocations              7\n"), "{text}");
        assert!(text.ends_with("members                  5\n"), "{text}");
    }
}
