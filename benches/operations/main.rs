//! Measures what the daemon's operations cost its clients: being watched, drained, killed, and given a new certificate.
//!
//! Each measurement starts the release binary as a child on the loopback, and ends it again. README.md names the knobs and
//! the targets.
#![allow(unreachable_pub, reason = "a program: every item is for its own modules")]
#![allow(clippy::disallowed_methods, reason = "reading clocks is what it is for")]

#[path = "../load/authority.rs"]
mod authority;
mod call;
#[path = "../load/child.rs"]
mod child;
mod commands;
mod crowd;
mod drain;
#[path = "../streams/echo.rs"]
mod echo;
mod expire;
mod http;
mod kill;
#[path = "../load/link.rs"]
mod link;
#[allow(dead_code, reason = "benches/load uses all of it")]
#[path = "../load/net.rs"]
mod net;
mod renew;
#[allow(dead_code, reason = "benches/load uses all of it")]
#[path = "../load/report.rs"]
mod report;
mod site;
#[path = "../streams/spread.rs"]
mod spread;
#[path = "../load/stream.rs"]
mod stream;
#[path = "../load/stun.rs"]
mod stun;
mod table;
#[allow(dead_code, reason = "benches/load uses all of it")]
#[path = "../load/turn.rs"]
mod turn;

use std::process::ExitCode;
use std::str::FromStr;

use crate::table::Table;

/// Any failure, told to the person who started the measurement.
type Outcome<T> = Result<T, Error>;
type Error = Box<dyn std::error::Error + Send + Sync>;

type Measure = fn(&mut Table) -> Outcome<()>;

const MEASURES: [(&str, Measure); 5] = [
    ("crowd", crowd::measure),
    ("drain", drain::measure),
    ("expire", expire::measure),
    ("kill", kill::measure),
    ("renew", renew::measure),
];

const USAGE: &str = "\
usage: cargo bench --bench operations -- NAME...
  crowd  latency with 10,000 allocations, with and without scrapes and lists     ALLOCATIONS=10000 RATE=5000 ROUNDS=5 SECONDS=10 PAUSE=0
  drain  relayed calls while one daemon drains and another takes over            CALLS=200
  expire latency while 13,000 allocations expire within a minute                 ALLOCATIONS=13000 SPREAD=60
  kill   relayed calls while the daemon is killed, and started again after 1 s   CALLS=200
  renew  TLS clients and 50 handshakes/s while the certificate is renewed        CLIENTS=500 RENEWALS=20
Several names, or `all`, share one table.";

fn main() -> ExitCode {
    // Cargo adds `--bench` to every bench it runs.
    let names: Vec<_> = std::env::args().skip(1).filter(|word| word != "--bench").collect();
    // `cargo bench` starts every bench without arguments; that must not look like a failure.
    if names.is_empty() {
        eprintln!("{USAGE}");
        return ExitCode::SUCCESS;
    }
    if names[0] == commands::NAME {
        return exit(commands::run(&names[1..]));
    }
    let mut table = Table::default();
    let result = run(&names, &mut table);
    println!("{table}");
    exit(result)
}

fn exit(result: Outcome<()>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("operations: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(names: &[String], table: &mut Table) -> Outcome<()> {
    let all: Vec<_> = MEASURES.iter().map(|(name, _)| (*name).to_owned()).collect();
    for name in if names == ["all"] { &all } else { names } {
        let (_, measure) = MEASURES.iter().find(|(known, _)| known == name).ok_or(USAGE)?;
        measure(table)?;
    }
    Ok(())
}

/// A knob that the environment may turn.
fn knob<T: FromStr>(name: &str, default: T) -> Outcome<T> {
    match std::env::var(name) {
        Err(_) => Ok(default),
        Ok(value) => value.parse().map_err(|_| format!("{name}: `{value}` is not understood").into()),
    }
}
