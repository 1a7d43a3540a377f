//! Measures what TCP and TLS clients cost the daemon, and what they may do to each other.
//!
//! Each measurement starts the release binary as a child on the loopback, and ends it again. CONTRIBUTING.md names the
//! knobs and the targets.
#![allow(unreachable_pub, reason = "a program: every item is for its own modules")]
#![allow(clippy::disallowed_methods, reason = "reading clocks is what it is for")]

#[allow(dead_code, reason = "benches/operations uses all of it")]
#[path = "../load/authority.rs"]
mod authority;
#[allow(dead_code, reason = "benches/operations uses all of it")]
#[path = "../load/child.rs"]
mod child;
mod daemon;
mod echo;
mod idle;
#[allow(dead_code, reason = "benches/operations uses all of it")]
#[path = "../load/link.rs"]
mod link;
#[allow(dead_code, reason = "benches/load uses all of it")]
#[path = "../load/net.rs"]
mod net;
mod probe;
mod push;
#[allow(dead_code, reason = "benches/load uses all of it")]
#[path = "../load/report.rs"]
mod report;
#[allow(dead_code, reason = "benches/load uses all of it")]
#[path = "../load/server.rs"]
mod server;
mod slow;
#[allow(dead_code, reason = "benches/operations uses all of it")]
mod spread;
#[allow(dead_code, reason = "benches/operations uses all of it")]
#[path = "../load/stream.rs"]
mod stream;
#[path = "../load/stun.rs"]
mod stun;
#[allow(dead_code, reason = "benches/load uses all of it")]
#[path = "../load/turn.rs"]
mod turn;

use std::process::ExitCode;
use std::str::FromStr;

/// Any failure, told to the person who started the measurement.
type Outcome<T> = Result<T, Box<dyn std::error::Error>>;

const USAGE: &str = "\
usage: cargo bench --bench streams -- NAME
  idle   memory of the daemon for each idle TCP and TLS client            CLIENTS=2000
  slow   latency of others while one client does not read                 ROUNDS=5 MEGABYTES=1000 MEGABITS=400
The cost of a packet is measured beside coturn: TRANSPORT=tls benches/run, and TRANSPORT=tcp.";

fn main() -> ExitCode {
    // Cargo adds `--bench` to every bench it runs.
    let mut words = std::env::args().skip(1).filter(|word| word != "--bench");
    let result = match (words.next().as_deref(), words.next()) {
        (Some("idle"), None) => idle::measure(),
        (Some("slow"), None) => slow::measure(),
        // `cargo bench` starts every bench without arguments; that must not look like a failure.
        (None, _) => {
            eprintln!("{USAGE}");
            Ok(())
        }
        (Some(_), _) => Err(USAGE.into()),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("streams: {error}");
            ExitCode::FAILURE
        }
    }
}

/// A knob that the environment may turn.
fn knob<T: FromStr>(name: &str, default: T) -> Outcome<T> {
    match std::env::var(name) {
        Err(_) => Ok(default),
        Ok(value) => value.parse().map_err(|_| format!("{name}: `{value}` is not understood").into()),
    }
}
