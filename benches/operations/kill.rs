//! Kills the daemon under relayed calls and starts it again, as systemd does: clients notice, and come back.

use std::collections::BTreeSet;
use std::fs;
use std::net::{SocketAddrV4, UdpSocket};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::call::{Call, transport};
use crate::child::Daemon;
use crate::echo::Echo;
use crate::site::{Site, TRANSPORTS, Transport};
use crate::spread::Spread;
use crate::table::Table;
use crate::turn::Refused;
use crate::{Outcome, knob};

const OPEN_FILES: u64 = 4096;
/// How long the calls go on before.
const BEFORE: Duration = Duration::from_secs(5);
/// `RestartSec=` of the unit.
const RESTART: Duration = Duration::from_secs(1);
/// Every client sends a packet so often, as soon as the one before is back or given up.
const PERIOD: Duration = Duration::from_millis(50);
const GIVEN_UP: Duration = Duration::from_millis(250);
/// libwebrtc calls a path broken when it has received nothing for so long; the page then restarts ICE.
const SILENCE: Duration = Duration::from_millis(2500);
/// Between two attempts to come back.
const RETRY: Duration = Duration::from_millis(500);
/// More often than in a browser, so that some clients learn of the restart by a refusal.
const REFRESHES: Duration = Duration::from_secs(10);
/// Who is not back by then does not come back.
const PATIENCE: Duration = Duration::from_secs(15);
const PAUSE: Duration = Duration::from_millis(20);

pub fn measure(table: &mut Table) -> Outcome<()> {
    let count = knob("CALLS", 200)?;
    let site = Site::new(OPEN_FILES)?;
    let daemon = site.start("daemon", 0)?;
    let fresh = Traces::of(&site, &daemon)?;
    let echo = Echo::open()?;
    let (over, echo_over, back) = (AtomicBool::new(false), AtomicBool::new(false), AtomicUsize::new(0));
    thread::scope(|scope| {
        let echoing = scope.spawn(|| echo.run(&echo_over));
        let measured = (|| {
            let peer = echo.address()?;
            let calls: Outcome<Vec<_>> =
                (0..count).map(|number| Call::begin(&site, transport(number), peer)).collect();
            let calls = calls?;
            let ports: Vec<_> = calls.iter().map(|call| call.relayed).collect();
            let (site, over, back) = (&site, &over, &back);
            let start = |(number, call)| {
                let client = Client::new(site, call, peer, REFRESHES * number / u32::try_from(count)?);
                Ok(scope.spawn(move || client.live(over, back)))
            };
            let fates: Outcome<Vec<_>> = (0..).zip(calls).map(start).collect();
            let killed = Killed::watch(site, daemon, &ports, || back.load(Ordering::Relaxed) >= count);
            over.store(true, Ordering::Relaxed);
            let fates: Outcome<Vec<Fate>> =
                fates?.into_iter().map(|fate| fate.join().expect("clients do not panic")).collect();
            killed?.report(table, site, &fates?, &fresh)
        })();
        echo_over.store(true, Ordering::Relaxed);
        echoing.join().expect("the echo does not panic").and(measured)
    })
}

/// Why a client makes another allocation.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Cause {
    Silence,
    Closed,
    Refused,
}

/// What became of a client.
struct Fate {
    transport: Transport,
    /// Of its last allocation.
    relayed: SocketAddrV4,
    cause: Option<Cause>,
    allocated: Option<Instant>,
    media: Option<Instant>,
}

/// Like a browser in a call.
struct Client<'a> {
    site: &'a Site,
    call: Call<'a>,
    peer: SocketAddrV4,
    heard: Instant,
    refresh: Instant,
}

impl<'a> Client<'a> {
    fn new(site: &'a Site, call: Call<'a>, peer: SocketAddrV4, refresh: Duration) -> Self {
        let now = Instant::now();
        Self { site, call, peer, heard: now, refresh: now + refresh }
    }

    fn live(mut self, over: &AtomicBool, back: &AtomicUsize) -> Outcome<Fate> {
        let transport = self.call.transport;
        let mut fate =
            Fate { transport, relayed: self.call.relayed, cause: None, allocated: None, media: None };
        let mut due = Instant::now();
        while !over.load(Ordering::Relaxed) {
            thread::sleep(due.saturating_duration_since(Instant::now()));
            due = Instant::now().max(due + PERIOD);
            match self.beat() {
                Ok(heard) if heard && fate.allocated.is_some() && fate.media.is_none() => {
                    fate.media = Some(Instant::now());
                    back.fetch_add(1, Ordering::Relaxed);
                }
                Ok(_) => {}
                Err(cause) => {
                    if fate.media.is_some() {
                        back.fetch_sub(1, Ordering::Relaxed);
                    }
                    let allocated = self.come_back(over);
                    let relayed = self.call.relayed;
                    fate = Fate { transport, relayed, cause: Some(cause), allocated, media: None };
                }
            }
        }
        // Who is not back has nothing to give up.
        if fate.allocated.is_some() == fate.cause.is_some() {
            self.call.hang_up()?;
        }
        Ok(fate)
    }

    /// Sends a packet, and a refresh if one is due. Returns whether the packet came back, or why the client gives up.
    fn beat(&mut self) -> Result<bool, Cause> {
        let is_udp = self.call.transport == Transport::Udp;
        let back = match self.call.exchange(GIVEN_UP) {
            Ok(back) => back,
            // Our socket is connected and so is told that nobody listens; a browser's is not.
            Err(_) if is_udp => false,
            Err(_) => return Err(Cause::Closed),
        };
        if back {
            self.heard = Instant::now();
        } else if self.heard.elapsed() > SILENCE {
            return Err(Cause::Silence);
        }
        if Instant::now() > self.refresh {
            self.refresh += REFRESHES;
            match self.call.refresh() {
                Ok(()) => {}
                Err(error) if error.is::<Refused>() => return Err(Cause::Refused),
                Err(_) if is_udp => {}
                Err(_) => return Err(Cause::Closed),
            }
        }
        Ok(back)
    }

    /// Tries again and again from a new port; returns when it was let in.
    fn come_back(&mut self, over: &AtomicBool) -> Option<Instant> {
        while !over.load(Ordering::Relaxed) {
            if let Ok(call) = Call::begin(self.site, self.call.transport, self.peer) {
                self.call = call;
                self.heard = Instant::now();
                return Some(self.heard);
            }
            thread::sleep(RETRY);
        }
        None
    }
}

struct Killed {
    at: Instant,
    /// Relay ports that are not free after the kill.
    left: usize,
    listening: Duration,
    daemon: Daemon,
}

impl Killed {
    /// Returns when all are back, or have had the time to be.
    fn watch(
        site: &Site,
        daemon: Daemon,
        ports: &[SocketAddrV4],
        all_back: impl Fn() -> bool,
    ) -> Outcome<Self> {
        thread::sleep(BEFORE);
        let at = Instant::now();
        daemon.kill()?;
        let left = taken(ports);
        thread::sleep(RESTART);
        let daemon = site.start("daemon", 0)?;
        for transport in TRANSPORTS {
            site.connect(transport)?.binding()?;
        }
        let listening = at.elapsed();
        while !all_back() && at.elapsed() < PATIENCE {
            thread::sleep(PAUSE);
        }
        Ok(Self { at, left, listening, daemon })
    }

    fn report(&self, table: &mut Table, site: &Site, fates: &[Fate], fresh: &Traces) -> Outcome<()> {
        let count = fates.len();
        let within = |time: fn(&Fate) -> Option<Instant>, seconds| {
            let last = self.at + Duration::from_secs(seconds);
            fates.iter().filter(|fate| time(fate).is_some_and(|time| time <= last)).count()
        };
        table.title(format!(
            "kill: {count} calls over UDP, TCP and TLS; kill -9, started again after {RESTART:?}"
        ));
        let listening = self.listening.as_secs_f64();
        table.figure(
            "answers over UDP, TCP and TLS after",
            format!("{listening:.2} s"),
            "2 s",
            listening <= 2.0,
        );
        let allocated = within(|fate| fate.allocated, 5);
        let enough = allocated * 100 >= count * 99;
        table.figure("allocated again within 5 s", format!("{allocated} of {count}"), "99 %", enough);
        let media = within(|fate| fate.media, 10);
        table.figure("media back within 10 s", format!("{media} of {count}"), "all", media == count);
        for transport in TRANSPORTS {
            let (mut allocated, mut media) = (Spread::default(), Spread::default());
            for fate in fates.iter().filter(|fate| fate.transport == transport) {
                let seconds = |time: Instant| time.saturating_duration_since(self.at).as_secs_f64();
                fate.allocated.into_iter().for_each(|time| allocated.push(seconds(time)));
                fate.media.into_iter().for_each(|time| media.push(seconds(time)));
            }
            table.note(
                format!("{}: allocated, media after", transport.name()),
                format!("{allocated} s, {media} s"),
            );
        }
        let of = |cause| fates.iter().filter(|fate| fate.cause == Some(cause)).count();
        let (silence, closed, refused) = (of(Cause::Silence), of(Cause::Closed), of(Cause::Refused));
        let causes = format!("{silence} by silence, {closed} by a closed connection, {refused} by an answer");
        table.note("who noticed how", causes);
        table.figure("relay ports taken after the kill", self.left.to_string(), "0", self.left == 0);
        let ports: Vec<_> = fates.iter().map(|fate| fate.relayed).collect();
        let traces = Traces::settled(site, &self.daemon, fresh)?;
        let taken = taken(&ports);
        table.figure("relay ports taken when all have left", taken.to_string(), "0", taken == 0);
        let open = format!("{}, as before: {}", traces.open, fresh.open);
        table.figure("open files of the daemon then", open, "the same", traces.open == fresh.open);
        let more = traces.files.difference(&fresh.files).count();
        table.figure("files left in its folder", more.to_string(), "0", more == 0);
        Ok(())
    }
}

/// How many of these addresses are in use.
fn taken(ports: &[SocketAddrV4]) -> usize {
    ports.iter().filter(|port| UdpSocket::bind(port).is_err()).count()
}

/// What a daemon has, and may leave behind.
#[derive(PartialEq, Eq)]
struct Traces {
    files: BTreeSet<PathBuf>,
    open: usize,
}

impl Traces {
    fn of(site: &Site, daemon: &Daemon) -> Outcome<Self> {
        let folders = [site.folder.path(), &site.folder.path().join("daemon")];
        let files: Result<Vec<_>, _> = folders.into_iter().map(fs::read_dir).collect();
        let files = files?.into_iter().flatten().map(|file| Ok(file?.path()));
        let open = fs::read_dir(format!("/proc/{}/fd", daemon.pid()))?.count();
        Ok(Self { files: files.collect::<Outcome<_>>()?, open })
    }

    /// Waits until they are those of a fresh daemon, or would be by then.
    fn settled(site: &Site, daemon: &Daemon, fresh: &Self) -> Outcome<Self> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let traces = Self::of(site, daemon)?;
            if traces == *fresh || Instant::now() >= deadline {
                return Ok(traces);
            }
            thread::sleep(PAUSE);
        }
    }
}
