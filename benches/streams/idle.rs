//! Weighs idle clients: what each costs the daemon, and what they leave behind.

use std::thread;
use std::time::Duration;

use crate::daemon::{Daemon, Transport};
use crate::report::ratio;
use crate::turn::Session;
use crate::{Outcome, knob};

/// Made before the first reading, so that code touched for the first time is not counted.
const WARM_UP: usize = 32;
const SETTLE: Duration = Duration::from_secs(1);
const ROUNDS: usize = 3;
const KIB: u64 = 1024;

/// A kind of client.
struct Kind {
    transport: Transport,
    allocates: bool,
}

const KINDS: [Kind; 4] = [
    Kind { transport: Transport::Tcp, allocates: false },
    Kind { transport: Transport::Tls, allocates: false },
    Kind { transport: Transport::Tcp, allocates: true },
    Kind { transport: Transport::Tls, allocates: true },
];

pub fn measure() -> Outcome<()> {
    let count = knob("CLIENTS", 2000)?;
    println!(
        "{count} idle clients, connected and gone again {ROUNDS} times; resident memory of the daemon in KiB"
    );
    println!("{:<22} {:>7} {:>8} {:>11} {:>7}", "each client", "fresh", "with all", "each", "after");
    for kind in KINDS {
        let daemon = Daemon::start(r#""auto""#)?;
        drop(open(&daemon, &kind, WARM_UP)?);
        thread::sleep(SETTLE);
        let fresh = daemon.resident()? / KIB;
        for _ in 0..ROUNDS {
            weigh(&daemon, &kind, count, fresh)?;
        }
    }
    Ok(())
}

fn weigh(daemon: &Daemon, kind: &Kind, count: usize, fresh: u64) -> Outcome<()> {
    let clients = open(daemon, kind, count)?;
    thread::sleep(SETTLE);
    let with_all = daemon.resident()? / KIB;
    drop(clients);
    thread::sleep(SETTLE);
    let after = daemon.resident()? / KIB;
    let what = if kind.allocates { "with an allocation" } else { "after a Binding" };
    let each = ratio(with_all.saturating_sub(fresh), u64::try_from(count)?);
    println!("{} {what:<18} {fresh:>7} {with_all:>8} {each:>11.1} {after:>7}", kind.transport.name());
    Ok(())
}

fn open(daemon: &Daemon, kind: &Kind, count: usize) -> Outcome<Vec<Session>> {
    let mut clients = Vec::with_capacity(count);
    for _ in 0..count {
        let mut session = daemon.connect(kind.transport)?;
        session.binding()?;
        if kind.allocates {
            daemon.allocate(&mut session)?;
        }
        clients.push(session);
    }
    Ok(clients)
}
