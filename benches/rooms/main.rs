//! Measures rooms: how long a signal takes from member to member, and what a member weighs.
//!
//! Starts the release binary as a child on the loopback, fills its rooms, lets every member signal to the others at a fixed
//! rate, and ends it again. Members are tasks of this process, with a WebSocket codec of their own.
#![allow(unreachable_pub, reason = "a program: every item is for its own modules")]
#![allow(clippy::disallowed_methods, reason = "reading clocks is what it is for")]

#[allow(dead_code, reason = "benches/operations uses all of it")]
#[path = "../load/authority.rs"]
mod authority;
#[allow(dead_code, reason = "benches/operations uses all of it")]
#[path = "../load/child.rs"]
mod child;
mod daemon;
mod member;
#[allow(dead_code, reason = "benches/load uses all of it")]
#[path = "../load/net.rs"]
mod net;
#[allow(dead_code, reason = "benches/load uses all of it")]
#[path = "../load/server.rs"]
mod server;
mod socket;

use std::process::ExitCode;
use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use crate::daemon::{Daemon, Door};
use crate::member::{Member, Tally};
use crate::server::CpuReading;

/// Any failure, told to the person who started the measurement.
type Outcome<T> = Result<T, Box<dyn std::error::Error + Send + Sync>>;

const USAGE: &str = "\
usage: cargo bench --bench rooms -- measure
  signals between the members of full rooms, and what a member weighs
  ROOMS=500 MEMBERS=4 (in each) RATE=1 (signals a second of each member) SECONDS=10 ROUNDS=5 SECURE=false";

/// Made before the first reading of the memory, so that code touched for the first time is not counted.
const WARM_UP: usize = 8;
const SETTLE: Duration = Duration::from_secs(2);
const KIB: u64 = 1024;

fn main() -> ExitCode {
    // Cargo adds `--bench` to every bench it runs.
    let mut words = std::env::args().skip(1).filter(|word| word != "--bench");
    let result = match (words.next().as_deref(), words.next()) {
        (Some("measure"), None) => measure(),
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
            eprintln!("rooms: {error}");
            ExitCode::FAILURE
        }
    }
}

fn measure() -> Outcome<()> {
    let (rooms, members) = (knob("ROOMS", 500)?, knob("MEMBERS", 4)?);
    let (rate, seconds, rounds) = (knob("RATE", 1.0)?, knob("SECONDS", 10)?, knob("ROUNDS", 5)?);
    let daemon = Daemon::start(members)?;
    let door = daemon.door(knob("SECURE", false)?);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        fill(&door, "warm", WARM_UP, members).await?;
        tokio::time::sleep(SETTLE).await;
        let fresh = daemon.resident()?;
        let begun = Instant::now();
        let mut all = fill(&door, "room", rooms, members).await?;
        println!("{} members in {rooms} rooms, after {:.1} s", all.len(), begun.elapsed().as_secs_f32());
        tokio::time::sleep(SETTLE).await;
        weigh("after joining", &daemon, fresh, all.len())?;
        println!(
            "{:<8} {:>9} {:>8} {:>8} {:>8} {:>8} {:>10}",
            "round", "signals", "p50 ms", "p99 ms", "max ms", "lost", "CPU"
        );
        for round in 1..=rounds {
            all = exchange(&daemon, round, all, rate, Duration::from_secs(seconds)).await?;
        }
        weigh("while signaling", &daemon, fresh, all.len())?;
        tokio::time::sleep(Duration::from_secs(25)).await;
        weigh("25 s later", &daemon, fresh, all.len())?;
        Ok(())
    })
}

/// Fills rooms; returns once every member knows all others of its room.
async fn fill(door: &Door, name: &str, rooms: usize, members: usize) -> Outcome<Vec<Member>> {
    let mut all = Vec::with_capacity(rooms * members);
    for room in 0..rooms {
        for _ in 0..members {
            all.push(Member::join(door, &format!("{name}-{room}")).await?);
        }
        let first = all.len() - members;
        for member in &mut all[first..] {
            member.meet(members - 1).await?;
        }
    }
    Ok(all)
}

/// One round of signals.
async fn exchange(
    daemon: &Daemon,
    round: usize,
    members: Vec<Member>,
    rate: f64,
    time: Duration,
) -> Outcome<Vec<Member>> {
    let tally = Arc::new(Tally::default());
    let before = CpuReading::of(daemon.pid())?;
    let period = Duration::from_secs_f64(1.0 / rate);
    let count = members.len() as u32;
    let tasks: Vec<_> = (0..)
        .zip(members)
        .map(|(index, member)| {
            // Everybody's turn comes at another moment.
            let first = period * index / count;
            tokio::spawn(member.exchange(first, period, time, Arc::clone(&tally)))
        })
        .collect();
    let mut back = Vec::with_capacity(tasks.len());
    for task in tasks {
        back.push(task.await??);
    }
    let used = CpuReading::of(daemon.pid())?.since(&before).map_or(f64::NAN, |used| used as f64 / 1e9);
    let (sent, mut latencies) = (tally.sent.load(Ordering::Relaxed), tally.take());
    latencies.sort_unstable();
    let at = |share: f64| {
        latencies.get((latencies.len() as f64 * share) as usize).map_or(f64::NAN, |nanos| *nanos as f64 / 1e6)
    };
    let max = latencies.last().map_or(f64::NAN, |nanos| *nanos as f64 / 1e6);
    let lost = sent - latencies.len();
    println!(
        "{round:<8} {sent:>9} {:>8.2} {:>8.2} {max:>8.2} {lost:>8} {:>8.1} %",
        at(0.5),
        at(0.99),
        100.0 * used / time.as_secs_f64()
    );
    Ok(back)
}

fn weigh(when: &str, daemon: &Daemon, fresh: u64, members: usize) -> Outcome<()> {
    let now = daemon.resident()?;
    let each = now.saturating_sub(fresh) as f64 / members as f64 / KIB as f64;
    println!("{when}: RSS {} KiB, {each:.1} KiB a member", now / KIB);
    Ok(())
}

/// A knob that the environment may turn.
fn knob<T: FromStr>(name: &str, default: T) -> Outcome<T> {
    match std::env::var(name) {
        Err(_) => Ok(default),
        Ok(value) => value.parse().map_err(|_| format!("{name}: `{value}` is not understood").into()),
    }
}
