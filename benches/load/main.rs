//! Puts a fixed load on a TURN server over the loopback and prints what one relayed packet cost it.
#![allow(unreachable_pub, reason = "a program: every item is for its own modules")]
#![allow(clippy::disallowed_methods, reason = "reading clocks is what it is for")]

mod allocations;
mod args;
#[allow(dead_code, reason = "benches/operations uses all of it")]
mod authority;
mod flood;
mod flows;
mod generator;
mod highest;
mod host;
#[allow(dead_code, reason = "benches/operations uses all of it")]
mod link;
#[allow(dead_code, reason = "benches/operations uses all of it")]
mod net;
mod payload;
#[allow(dead_code, reason = "benches/operations uses all of it")]
mod report;
mod runs;
mod sample;
mod server;
#[allow(dead_code, reason = "benches/operations uses all of it")]
mod stream;
mod stub;
mod stun;
mod tally;
mod traffic;
#[allow(dead_code, reason = "benches/operations uses all of it")]
mod turn;

use std::path::Path;
use std::process::ExitCode;

use args::Command;
use authority::Authority;

/// Any failure, told to the person who started the measurement.
type Outcome<T> = Result<T, Box<dyn std::error::Error>>;

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("load: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Outcome<()> {
    match args::parse(std::env::args().skip(1))? {
        // `cargo bench` starts every bench without arguments; that must not look like a failure.
        Command::Nothing => eprintln!("{}", args::USAGE),
        Command::Certificate(folder) => write_certificate(&folder)?,
        Command::Ready(target) => flows::wait_until_ready(&target)?,
        Command::Sample(order) => println!("{}", sample::take(&order)?),
        Command::Highest(order) => println!("{}", highest::find(&order)?),
        Command::Allocations(order) => println!("{}", allocations::measure(&order)?),
        Command::Stub(listen, forwarding) => stub::serve(listen, forwarding)?,
    }
    Ok(())
}

fn write_certificate(folder: &Path) -> Outcome<()> {
    let authority = Authority::new()?;
    authority.introduce(&folder.join("authority.pem"))?;
    authority.renew(folder, 1)
}
