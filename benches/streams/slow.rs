//! Shows what a client that stops reading costs: memory of the daemon, and latency of the other clients.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, ScopedJoinHandle};
use std::time::Duration;

use crate::daemon::{Daemon, Transport};
use crate::echo::Echo;
use crate::probe::{Probe, RoundTrips};
use crate::push::{Pushed, Victim, Volume};
use crate::report::ratio;
use crate::spread::Spread;
use crate::{Outcome, knob};

const IDLE: Duration = Duration::from_secs(5);
const KIB: u64 = 1024;
/// So many clients stop reading together, to weigh what is held for each.
const STOPPED: u64 = 64;
const FILL: Volume = Volume { bytes: 1_000_000, bits_per_second: 100_000_000 };

#[derive(Clone, Copy, PartialEq, Eq)]
enum Condition {
    Idle,
    Reading,
    Stopped,
}

const CONDITIONS: [Condition; 3] = [Condition::Idle, Condition::Reading, Condition::Stopped];

impl Condition {
    fn name(self) -> &'static str {
        match self {
            Self::Idle => "nothing pushed",
            Self::Reading => "client reads",
            Self::Stopped => "client stopped",
        }
    }
}

pub fn measure() -> Outcome<()> {
    let rounds = knob("ROUNDS", 5)?;
    let bytes = knob("MEGABYTES", 1000)? * 1_000_000;
    let volume = Volume { bytes, bits_per_second: knob("MEGABITS", 400)? * 1_000_000 };
    for transport in [Transport::Tcp, Transport::Tls] {
        println!(
            "{} MB at {} Mbit/s to a client over {}, {rounds} rounds, one thread that relays",
            volume.bytes / 1_000_000,
            volume.bits_per_second / 1_000_000,
            transport.name()
        );
        compare(transport, volume, rounds)?;
    }
    Ok(())
}

/// What was seen of one condition in all rounds.
#[derive(Default)]
struct Row {
    p50: [Spread; 2],
    p99: [Spread; 2],
    lost: u64,
    delivered: Spread,
    /// The most in any round, in bytes.
    growth: u64,
    queued: u64,
    closed: Vec<Duration>,
}

fn compare(transport: Transport, volume: Volume, rounds: usize) -> Outcome<()> {
    // All on one thread: whoever is slow is a neighbour of all others.
    let daemon = Daemon::start("1")?;
    let echo = Echo::open()?;
    let mut probes =
        [Probe::open(&daemon, Transport::Udp, &echo)?, Probe::open(&daemon, Transport::Tcp, &echo)?];
    let fresh = daemon.resident()?;
    let mut rows: [Row; 3] = Default::default();
    for round in 0..=rounds {
        for (condition, row) in CONDITIONS.into_iter().zip(&mut rows) {
            let (pushed, trips) = sample(&daemon, &echo, &mut probes, condition, transport, volume)?;
            row.watch(&pushed, fresh);
            if round > 0 {
                row.add(&pushed, &trips); // round 0 warms up
            }
        }
    }
    print(&rows);
    weigh(&daemon, transport)?;
    match Victim::open(&daemon, transport)?.time_to_close()? {
        Some(time) => println!("a client that never reads is closed after {:.1} s", time.as_secs_f64()),
        None => println!("a client that never reads is NOT closed"),
    }
    println!();
    Ok(())
}

/// Says what is held for a client that does not read.
fn weigh(daemon: &Daemon, transport: Transport) -> Outcome<()> {
    let mut victims = (0..STOPPED).map(|_| Victim::open(daemon, transport)).collect::<Outcome<Vec<_>>>()?;
    let before = daemon.resident()?;
    for victim in &mut victims {
        victim.push_unread(FILL)?;
    }
    let held = daemon.resident()?.saturating_sub(before) / STOPPED / KIB;
    println!(
        "the daemon holds {held} KiB for each of {STOPPED} clients that do not read (target at most 256)"
    );
    Ok(())
}

fn sample(
    daemon: &Daemon,
    echo: &Echo,
    probes: &mut [Probe; 2],
    condition: Condition,
    transport: Transport,
    volume: Volume,
) -> Outcome<(Pushed, Vec<RoundTrips>)> {
    let (over, echo_over) = (AtomicBool::new(false), AtomicBool::new(false));
    thread::scope(|scope| {
        let echoing = scope.spawn(|| echo.run(&echo_over).map_err(|error| error.to_string()));
        let probing: Vec<_> = probes
            .iter_mut()
            .map(|probe| scope.spawn(|| probe.run(&over).map_err(|error| error.to_string())))
            .collect();
        let pushed = push(daemon, condition, transport, volume);
        over.store(true, Ordering::Relaxed);
        let trips: Vec<_> = probing.into_iter().map(ScopedJoinHandle::join).collect();
        echo_over.store(true, Ordering::Relaxed);
        echoing.join().expect("the echo does not panic")?;
        let trips: Result<_, _> = trips.into_iter().map(|trip| trip.expect("probes do not panic")).collect();
        Ok((pushed?, trips?))
    })
}

fn push(daemon: &Daemon, condition: Condition, transport: Transport, volume: Volume) -> Outcome<Pushed> {
    match condition {
        Condition::Idle => {
            thread::sleep(IDLE);
            Ok(Pushed::default())
        }
        Condition::Reading => Victim::open(daemon, transport)?.push_read(volume),
        Condition::Stopped => Victim::open(daemon, transport)?.push_unread(volume),
    }
}

impl Row {
    fn watch(&mut self, pushed: &Pushed, fresh: u64) {
        self.growth = self.growth.max(pushed.resident.saturating_sub(fresh));
        self.queued = self.queued.max(pushed.queued);
        self.closed.extend(&pushed.closed);
    }

    fn add(&mut self, pushed: &Pushed, trips: &[RoundTrips]) {
        for (index, trip) in trips.iter().enumerate() {
            self.p50[index].push(trip.p50);
            self.p99[index].push(trip.p99);
            self.lost += trip.lost;
        }
        self.delivered.push(100.0 * ratio(pushed.read, pushed.offered));
    }
}

fn print(rows: &[Row; 3]) {
    println!(
        "{:<15} {:<18} {:<18} {:<18} {:<18} {:<6} {:<7} {:<12} kernel, KiB",
        "round trips, ms", "UDP p50", "UDP p99", "TCP p50", "TCP p99", "lost", "read %", "daemon, KiB"
    );
    for (condition, row) in CONDITIONS.into_iter().zip(rows) {
        println!(
            "{:<15} {:<18} {:<18} {:<18} {:<18} {:<6} {:<7.1} {:<12} {}",
            condition.name(),
            row.p50[0],
            row.p99[0],
            row.p50[1],
            row.p99[1],
            row.lost,
            row.delivered.median(),
            row.growth / KIB,
            row.queued / KIB
        );
    }
    let [_, reading, stopped] = rows;
    for (index, name) in ["UDP", "TCP"].into_iter().enumerate() {
        let moved = stopped.p99[index].median() - reading.p99[index].median();
        println!("{name}: p99 moves by {moved:+.2} ms when the client stops reading (target at most 2)");
    }
    for time in &stopped.closed {
        println!(
            "a client that did not read was closed after {:.1} s, and another one came",
            time.as_secs_f64()
        );
    }
}
