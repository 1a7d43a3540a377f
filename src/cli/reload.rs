//! `hairpin reload`: has a running daemon read its configuration again.

use hyper::Method;
use serde_json::Value;

use crate::cli::admin_client::AdminArguments;
use crate::cli::{Failure, print};

pub(super) fn run(arguments: &AdminArguments) -> Result<(), Failure> {
    let report = arguments.ask(Method::POST, "/reload", None)?;
    print(&if arguments.json { format!("{report}\n") } else { show(&report) })
}

/// The keys that have changed, and those that need a restart.
pub(super) fn show(report: &Value) -> String {
    let keys = |field: &str| {
        let keys = report[field].as_array().into_iter().flatten().filter_map(Value::as_str);
        keys.collect::<Vec<_>>().join(", ")
    };
    let (changed, needs_restart) = (keys("changed"), keys("needs_restart"));
    let changed = if changed.is_empty() { "nothing".to_owned() } else { changed };
    match needs_restart.as_str() {
        "" => format!("changed: {changed}\n"),
        keys => format!("changed: {changed}\nneeds a restart: {keys}\n"),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_has_changed_and_what_needs_a_restart_are_told_apart() {
        let shown =
            |changed: &[&str], rest: &[&str]| show(&json!({"changed": changed, "needs_restart": rest}));
        assert_eq!(shown(&[], &[]), "changed: nothing\n");
        let both = shown(&["peers.deny", "log.level"], &["relay.ports"]);
        assert_eq!(both, "changed: peers.deny, log.level\nneeds a restart: relay.ports\n");
    }
}
