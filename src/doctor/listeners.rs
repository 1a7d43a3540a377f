//! Whether the daemon runs, and whether its ports are its own.

use std::net::SocketAddr;

use serde_json::Value;

use crate::config::Config;
use crate::doctor::owners::{self, Owner};
use crate::doctor::report::Report;

const DAEMON: &str = "daemon";
/// The name of the daemon's process.
const OWN: &str = "hairpin";

/// Reports what the daemon says of itself, and who has its TCP ports.
pub(super) fn look(config: &Config, status: &Result<Value, String>, report: &mut Report) {
    match status {
        Ok(status) => {
            let text = |path: &str| status.pointer(path).and_then(Value::as_str).unwrap_or("?").to_owned();
            report.ok(DAEMON, format!("hairpin {} is {}", text("/version"), text("/lifecycle")));
        }
        Err(why) => report.warn(
            DAEMON,
            format!("it cannot be asked: {why}"),
            "start it: systemctl start hairpin; if it does not start: journalctl -u hairpin",
        ),
    }
    let listeners = [&config.listen.tls[..], &config.listen.tcp, &config.http.listen].concat();
    for (port, owner) in foreign(&listeners) {
        report.fail(
            format!("TCP port {port}"),
            format!("it belongs to another program: {} (process {})", owner.program, owner.process),
            format!("stop that program, or take port {port} out of the configuration (README, \"TLS\")"),
        );
    }
}

/// The ports that another program has.
fn foreign(listeners: &[SocketAddr]) -> Vec<(u16, Owner)> {
    let mut ports: Vec<u16> = listeners.iter().map(SocketAddr::port).collect();
    ports.sort_unstable();
    ports.dedup();
    let owned = ports.into_iter().filter_map(|port| Some((port, owners::of_tcp_port(port)?)));
    owned.filter(|(_, owner)| owner.program != OWN).collect()
}
