//! Drains a daemon under relayed calls, and has another one take over: calls go on, new clients are refused, then served.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::call::{Call, transport};
use crate::child::Daemon;
use crate::echo::Echo;
use crate::site::{Site, TRANSPORTS, Transport};
use crate::table::Table;
use crate::turn::Refused;
use crate::{Outcome, knob};

const OPEN_FILES: u64 = 4096;
/// `relay.drain_timeout` in seconds.
const TIMEOUT: u64 = 20;
/// Calls are asked what they have lost so long before the daemon ends.
const MARGIN: Duration = Duration::from_millis(500);
/// Each call sends a packet so often, as soon as the one before is back.
const PERIOD: Duration = Duration::from_millis(50);
/// A packet that takes longer is lost.
const LOST: Duration = Duration::from_secs(2);
const REFRESHES: Duration = Duration::from_secs(3);
const NEWCOMERS: usize = 99;
const DRAINING: u16 = 508;
/// Whatever has not happened by then does not.
const PATIENCE: Duration = Duration::from_secs(5);
const PAUSE: Duration = Duration::from_millis(5);

pub fn measure(table: &mut Table) -> Outcome<()> {
    let count = knob("CALLS", 200)?;
    let site = Site::new(OPEN_FILES)?;
    let mut old = site.start("old", TIMEOUT)?;
    let echo = Echo::open()?;
    let (over, echo_over) = (AtomicBool::new(false), AtomicBool::new(false));
    thread::scope(|scope| {
        let echoing = scope.spawn(|| echo.run(&echo_over));
        let measured = (|| {
            let peer = echo.address()?;
            let calls: Result<Vec<_>, _> =
                (0..count).map(|number| Call::begin(&site, transport(number), peer)).collect();
            let talks: Vec<_> =
                calls?.into_iter().map(|call| scope.spawn(|| Talk::of(call, &over))).collect();
            let drained = Drained::watch(&site, &mut old, &echo);
            over.store(true, Ordering::Relaxed);
            // Kept until the daemon has ended: without a call it would end sooner.
            let talks: Vec<Talk> =
                talks.into_iter().map(|talk| talk.join().expect("calls do not panic")).collect();
            drained?.report(table, &mut old, &talks, &site, &echo)
        })();
        echo_over.store(true, Ordering::Relaxed);
        echoing.join().expect("the echo does not panic").and(measured)
    })
}

/// What became of one call.
struct Talk<'a> {
    call: Call<'a>,
    sent: u64,
    lost: u64,
    refreshed: u64,
    /// Why it ended too soon.
    ended: Option<String>,
}

impl<'a> Talk<'a> {
    fn of(call: Call<'a>, over: &AtomicBool) -> Self {
        let mut talk = Self { call, sent: 0, lost: 0, refreshed: 0, ended: None };
        talk.ended = talk.run(over).err().map(|error| format!("{}: {error}", talk.call.transport.name()));
        talk
    }

    fn run(&mut self, over: &AtomicBool) -> Outcome<()> {
        let (mut due, mut refresh) = (Instant::now(), Instant::now() + REFRESHES);
        while !over.load(Ordering::Relaxed) {
            thread::sleep(due.saturating_duration_since(Instant::now()));
            due = Instant::now().max(due + PERIOD);
            self.sent += 1;
            if !self.call.exchange(LOST)? {
                self.lost += 1;
            }
            if Instant::now() > refresh {
                refresh += REFRESHES;
                self.call.refresh()?;
                self.refreshed += 1;
            }
        }
        Ok(())
    }
}

/// When each thing was so, counted from the signal.
struct Drained {
    begun: Instant,
    refused: Vec<(Transport, Duration)>,
    unready: Duration,
    no_credentials: Duration,
    /// What the log says about clients over UDP.
    kept: String,
    offered: Duration,
    new: Daemon,
    serves: Duration,
    newcomers: usize,
}

impl Drained {
    /// Returns shortly before the old daemon ends.
    fn watch(site: &Site, old: &mut Daemon, echo: &Echo) -> Outcome<Self> {
        thread::sleep(REFRESHES); // the calls are on their way
        if (Site::readiness()?.status, Site::request_credential()?.status) != (200, 201) {
            return Err("the daemon does not serve before it drains".into());
        }
        let begun = Instant::now();
        old.signal("TERM")?;
        let mut refused = Vec::new();
        for transport in TRANSPORTS {
            refused.push((transport, since(begun, || is_refused(site, transport))?));
        }
        let no_credentials = since(begun, || Ok(Site::request_credential()?.status == 503))?;
        let unready = since(begun, || Ok(Site::readiness()?.status == 503))?;
        let line = old.line("another daemon may take over", PATIENCE)?;
        let kept = line.rsplit("clients=").next().unwrap_or_default().to_owned();
        let offered = begun.elapsed();
        let new = site.start("new", TIMEOUT)?;
        let serves = begun.elapsed();
        old.line("another daemon has taken over", PATIENCE)?;
        let newcomers = (0..NEWCOMERS).filter(|number| is_served(site, transport(*number), echo)).count();
        if (Site::readiness()?.status, Site::request_credential()?.status) != (200, 201) {
            return Err("the new daemon is not asked".into());
        }
        thread::sleep(
            (begun + Duration::from_secs(TIMEOUT) - MARGIN).saturating_duration_since(Instant::now()),
        );
        Ok(Self { begun, refused, unready, no_credentials, kept, offered, new, serves, newcomers })
    }

    fn report(
        &self,
        table: &mut Table,
        old: &mut Daemon,
        talks: &[Talk],
        site: &Site,
        echo: &Echo,
    ) -> Outcome<()> {
        let in_time = |time: Duration| time <= Duration::from_secs(1);
        let sum = |count: fn(&Talk) -> u64| talks.iter().map(count).sum::<u64>();
        let (sent, lost) = (sum(|talk| talk.sent), sum(|talk| talk.lost));
        let kept = talks.iter().filter(|talk| talk.ended.is_none()).count();
        table.title(format!("drain: {} calls over UDP, TCP and TLS; SIGTERM, then {TIMEOUT} s", talks.len()));
        for (transport, time) in &self.refused {
            let what = format!("new Allocate over {} answered {DRAINING} after", transport.name());
            table.figure(what, milliseconds(*time), "1000 ms", in_time(*time));
        }
        table.figure(
            "credentials 503 after",
            milliseconds(self.no_credentials),
            "1000 ms",
            in_time(self.no_credentials),
        );
        table.figure("/readyz 503 after", milliseconds(self.unready), "1000 ms", in_time(self.unready));
        table.figure(
            "packets lost until the timeout",
            format!("{lost} of {sent}"),
            "0",
            lost == 0 && sent > 0,
        );
        table.figure("calls kept", format!("{kept} of {}", talks.len()), "all", kept == talks.len());
        table.note("refreshes meanwhile", sum(|talk| talk.refreshed).to_string());
        table.note(
            "may be taken over after",
            format!("{}, clients over UDP kept: {}", milliseconds(self.offered), self.kept),
        );
        table.note("the second instance serves after", milliseconds(self.serves));
        let all = self.newcomers == NEWCOMERS;
        table.figure("new clients that it serves", format!("{} of {NEWCOMERS}", self.newcomers), "all", all);
        for ended in talks.iter().filter_map(|talk| talk.ended.as_ref()).take(10) {
            table.note("a call ended", ended);
        }
        let status = old.ended(PATIENCE)?;
        let (ended, good) = (self.begun.elapsed().as_secs_f64(), status.success());
        table.figure("the first instance ends after", format!("{ended:.1} s, {status}"), "20 s, 0", good);
        let served = TRANSPORTS.into_iter().filter(|transport| is_served(site, *transport, echo)).count();
        table.figure("served after that", format!("{served} of 3 transports"), "all", served == 3);
        table.note(
            "lines of the second instance that are errors",
            self.new.log()?.matches("ERROR").count().to_string(),
        );
        Ok(())
    }
}

/// Whether a new client is told that the server drains.
fn is_refused(site: &Site, transport: Transport) -> Outcome<bool> {
    let mut session = site.connect(transport)?;
    match session.allocate(&site.credential) {
        Ok(_) => session.release(&site.credential).map(|()| false),
        Err(error) => Ok(error.downcast_ref().is_some_and(|Refused(code)| *code == DRAINING)),
    }
}

/// Whether a new client gets an allocation that relays.
fn is_served(site: &Site, transport: Transport, echo: &Echo) -> bool {
    let serve = || {
        let mut call = Call::begin(site, transport, echo.address()?)?;
        let back = call.exchange(LOST)?;
        call.hang_up()?;
        Ok::<_, crate::Error>(back)
    };
    serve().unwrap_or(false)
}

/// The time from `begun` until it is so.
fn since(begun: Instant, is_so: impl Fn() -> Outcome<bool>) -> Outcome<Duration> {
    while begun.elapsed() < PATIENCE {
        if is_so()? {
            return Ok(begun.elapsed());
        }
        thread::sleep(PAUSE);
    }
    Err("what the drain should bring about did not come".into())
}

fn milliseconds(time: Duration) -> String {
    format!("{} ms", time.as_millis())
}
