//! Whether the daemon runs, and whether its ports are its own.

use std::collections::BTreeSet;
use std::net::SocketAddr;

use serde_json::Value;

use crate::config::Config;
use crate::doctor::owners::{self, Owner};
use crate::doctor::report::Report;

const DAEMON: &str = "daemon";
/// The name of the daemon's process.
const OWN: &str = "hairpin";

/// Reports what the daemon says of itself, and who has its TCP ports. Returns whether it runs, as far as that is known.
pub(super) fn look(config: &Config, status: &Result<Value, String>, report: &mut Report) -> bool {
    let listeners = [&config.listen.tls[..], &config.listen.tcp, &config.http.listen].concat();
    let owners: Vec<(SocketAddr, Owner)> =
        listeners.iter().flat_map(|at| owners::of_tcp(*at).into_iter().map(|owner| (*at, owner))).collect();
    let is_own = |owner: &Owner| owner.program == OWN;
    let mut ports = BTreeSet::new();
    for (listener, owner) in &owners {
        let is_shared = owners.iter().any(|(at, owner)| at == listener && is_own(owner));
        if !is_shared && ports.insert(listener.port()) {
            report.fail(
                format!("TCP port {}", listener.port()),
                format!("it belongs to another program: {} (process {})", owner.program, owner.process),
                format!(
                    "stop {}, or let it be the reverse proxy: hairpin setup NAME --behind-proxy",
                    owner.program
                ),
            );
        }
    }
    match status {
        Ok(status) => {
            let text = |path: &str| status.pointer(path).and_then(Value::as_str).unwrap_or("?").to_owned();
            report.ok(DAEMON, format!("hairpin {} is {}", text("/version"), text("/lifecycle")));
            true
        }
        Err(why) if !listeners.is_empty() && !listeners.iter().any(|at| owners::is_taken(*at)) => {
            report.fail(
                DAEMON,
                format!("it does not run: {why}"),
                "systemctl start hairpin; if it does not start, journalctl -u hairpin says why",
            );
            false
        }
        Err(why) => {
            report.warn(
                DAEMON,
                format!("it cannot be asked: {why}"),
                "run this command as root, or name the daemon's admin listener with --admin",
            );
            true
        }
    }
}
