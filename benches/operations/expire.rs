//! Measures round trips while thousands of allocations expire, which nobody refreshes.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use hairpin::system::run_in_short_slices;

use crate::call::Call;
use crate::crowd::{Crowd, PERCENTILES, Seen, Way};
use crate::echo::Echo;
use crate::http;
use crate::site::{Site, Transport};
use crate::table::Table;
use crate::{Outcome, knob};

/// How long an allocation lasts (RFC 8656 section 7.2), and after that, how late it may be removed.
const LIFETIME: Duration = Duration::from_secs(600);
const LATEST: Duration = Duration::from_secs(5);
/// Before the first one expires, as long is measured as while they expire.
const MINUTE: Duration = Duration::from_secs(60);
/// One window, of which six are a minute.
const WINDOW: Duration = Duration::from_secs(10);
const WINDOWS: u32 = 6;
/// Who is measured.
const CALLS: u32 = 100;
const RATE: u32 = 5000;

pub fn measure(table: &mut Table) -> Outcome<()> {
    let allocations: u32 = knob("ALLOCATIONS", 13_000)?;
    // All are made in this time, one after the other, and so they expire in this time.
    let spread = Duration::from_secs(knob("SPREAD", MINUTE.as_secs())?).min(MINUTE);
    let site = Site::new(u64::from(allocations) + 1024)?;
    let daemon = site.start("daemon", 0)?;
    let echo = Echo::open()?;
    let admin = site.folder.admin("daemon");
    let begun = Instant::now();
    let mut idle = Vec::new();
    for number in 0..allocations {
        thread::sleep((spread * number / allocations).saturating_sub(begun.elapsed()));
        idle.push(Call::begin(&site, Transport::Udp, echo.address()?)?);
    }
    // They must outlive the others.
    thread::sleep((LIFETIME / 2).saturating_sub(begun.elapsed()));
    let crowd = Crowd::open(&site, &echo, CALLS, RATE, Duration::ZERO)?;
    let before_any = living(&admin)?;
    let over = AtomicBool::new(false);
    let (mut before, mut during) = (Seen::default(), Seen::default());
    thread::scope(|scope| {
        let echoing = scope.spawn(|| {
            run_in_short_slices();
            echo.run(&over)
        });
        let minute = |seen: &mut Seen, from: Duration| -> Outcome<()> {
            thread::sleep(from.saturating_sub(begun.elapsed()));
            (0..WINDOWS).try_for_each(|_| {
                seen.add(crowd.sample(WINDOW, Way::Alone)?);
                Ok(())
            })
        };
        let measured =
            minute(&mut before, LIFETIME - 2 * MINUTE).and_then(|()| minute(&mut during, LIFETIME));
        over.store(true, Ordering::Relaxed);
        echoing.join().expect("the echo does not panic").and(measured)
    })?;
    thread::sleep((LIFETIME + MINUTE + LATEST).saturating_sub(begun.elapsed()));
    let after_all = living(&admin)?;
    drop((daemon, idle));

    table.title(format!(
        "expire: {allocations} allocations over UDP expire within {} s, beside {CALLS} with {RATE} packets/s among them",
        spread.as_secs()
    ));
    table.note("allocations before and after", format!("{before_any} and {after_all}"));
    for (index, (name, _)) in PERCENTILES.into_iter().enumerate() {
        table.note(format!("{name} in the minute before, ms"), before.percentiles[index].to_string());
        table.note(format!("{name} while they expire, ms"), during.percentiles[index].to_string());
    }
    table.note("packets lost", format!("{} of {}", before.lost + during.lost, before.sent + during.sent));
    let more = during.percentiles[1].median() - before.percentiles[1].median();
    table.figure("p99 is higher than before by", format!("{more:+.2} ms"), "1 ms", more <= 1.0);
    table.figure("allocations that are left", after_all.to_string(), "100", after_all == u64::from(CALLS));
    Ok(())
}

/// How many allocations the daemon has.
fn living(admin: &Path) -> Outcome<u64> {
    let metrics = http::ask_admin(admin, "GET /metrics")?.body;
    let lines = metrics.lines().filter(|line| line.starts_with("hairpin_allocations{"));
    let counts = lines.map(|line| line.rsplit(' ').next().unwrap_or_default().parse::<u64>());
    Ok(counts.sum::<Result<_, _>>()?)
}
