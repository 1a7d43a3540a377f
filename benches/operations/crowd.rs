//! Measures round trips of many allocations, while administrators watch and while they do not.

use std::net::UdpSocket;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use hairpin::system::run_in_short_slices;

use crate::call::{Call, channel_data, payload};
use crate::commands;
use crate::echo::Echo;
use crate::http;
use crate::link::Link;
use crate::net::{Inbox, Poller};
use crate::report::Times;
use crate::site::{Site, Transport};
use crate::spread::Spread;
use crate::table::Table;
use crate::{Outcome, knob};

const PACKET: usize = 160;
const SCRAPES: Duration = Duration::from_secs(1);
/// How long after the last packet another may still arrive.
const DRAIN: Duration = Duration::from_millis(500);
const NOTICE: Duration = Duration::from_millis(50);
/// No allocation is refreshed, so all must be over before one expires.
const LONGEST: Duration = Duration::from_secs(500);
/// The codes with which commands end.
const SUCCESS: i32 = 0;
const UNREACHABLE: i32 = 71;
pub const PERCENTILES: [(&str, usize); 3] = [("p50", 500), ("p99", 990), ("p999", 999)];

pub fn measure(table: &mut Table) -> Outcome<()> {
    let (allocations, rate, rounds, seconds) =
        (knob("ALLOCATIONS", 10_000)?, knob("RATE", 5000)?, knob("ROUNDS", 5)?, knob("SECONDS", 10)?);
    let site = Site::new(u64::from(allocations) + 1024)?;
    let daemon = site.start("daemon", 0)?;
    let echo = Echo::open()?;
    let begun = Instant::now();
    let pause = Duration::from_millis(knob("PAUSE", 0)?);
    let crowd = Crowd::open(&site, &echo, allocations, rate, pause)?;
    let opened = begun.elapsed();
    let (admin, nobody) = (site.folder.admin("daemon"), site.folder.admin("nobody"));
    let ways = [Way::Alone, Way::Beside(&nobody), Way::Watched(&admin)];
    let echo_over = AtomicBool::new(false);
    let mut seen: [Seen; 3] = Default::default();
    thread::scope(|scope| {
        let echoing = scope.spawn(|| {
            run_in_short_slices();
            echo.run(&echo_over)
        });
        let measured = (0..=rounds).try_for_each(|round| {
            (0..ways.len()).try_for_each(|turn| {
                let index = (round + turn) % ways.len();
                let sample = crowd.sample(Duration::from_secs(seconds), ways[index])?;
                // Round 0 warms up.
                if round > 0 {
                    seen[index].add(sample);
                }
                Ok(())
            })
        });
        echo_over.store(true, Ordering::Relaxed);
        echoing.join().expect("the echo does not panic").and(measured)
    })?;
    if begun.elapsed() > LONGEST {
        return Err("allocations may have expired: take fewer or shorter rounds".into());
    }
    drop(daemon);
    table.title(format!(
        "crowd: {allocations} allocations over UDP, {rate} packets/s among them, {rounds} rounds of {seconds} s each way"
    ));
    table.note("allocated in", format!("{:.1} s", opened.as_secs_f64()));
    report(table, &seen);
    Ok(())
}

/// What goes on beside the packets.
#[derive(Clone, Copy)]
pub enum Way<'a> {
    Alone,
    /// Commands that reach nobody: they take the processor, but nothing of the daemon.
    Beside(&'a Path),
    Watched(&'a Path),
}

/// Round trips in milliseconds, and what administrators did meanwhile.
#[derive(Default)]
pub struct Seen {
    pub percentiles: [Spread; 3],
    pub sent: u64,
    pub lost: u64,
    scrapes: Spread,
    lists: Spread,
}

pub struct Sample {
    times: Times,
    sent: u64,
    received: u64,
    watched: Watched,
}

/// How long each took, in milliseconds.
#[derive(Default)]
struct Watched {
    scrapes: Vec<f64>,
    lists: Vec<f64>,
}

impl Seen {
    pub fn add(&mut self, mut sample: Sample) {
        for (spread, (_, per_mille)) in self.percentiles.iter_mut().zip(PERCENTILES) {
            spread.push(sample.times.percentile(per_mille) / 1000.0);
        }
        self.sent += sample.sent;
        self.lost += sample.sent - sample.received;
        sample.watched.scrapes.into_iter().for_each(|time| self.scrapes.push(time));
        sample.watched.lists.into_iter().for_each(|time| self.lists.push(time));
    }
}

/// Clients with a channel each, which take turns.
pub struct Crowd {
    sockets: Vec<UdpSocket>,
    interval: Duration,
    /// Between two commands.
    pause: Duration,
    epoch: Instant,
}

impl Crowd {
    pub fn open(site: &Site, echo: &Echo, count: u32, rate: u32, pause: Duration) -> Outcome<Self> {
        let mut sockets = Vec::new();
        for _ in 0..count {
            let call = Call::begin(site, Transport::Udp, echo.address()?)?;
            let Link::Datagrams(socket) = call.session.link else { unreachable!("a call over UDP") };
            sockets.push(socket);
        }
        Ok(Self { sockets, interval: Duration::from_secs(1) / rate, pause, epoch: Instant::now() })
    }

    pub fn sample(&self, time: Duration, way: Way) -> Outcome<Sample> {
        let listing = match way {
            Way::Alone => None,
            Way::Beside(nobody) => Some(commands::begin(nobody, UNREACHABLE, self.pause)?),
            Way::Watched(admin) => Some(commands::begin(admin, SUCCESS, self.pause)?),
        };
        let (start, over, all_in) = (self.now(), AtomicBool::new(false), AtomicBool::new(false));
        thread::scope(|scope| {
            let receiving = scope.spawn(|| self.receive(start, &all_in));
            let scraping = scope.spawn(|| match way {
                Way::Alone | Way::Beside(_) => Ok(Vec::new()),
                Way::Watched(admin) => scrape(admin, &over),
            });
            let sent = self.send(time);
            over.store(true, Ordering::Relaxed);
            let scrapes = scraping.join().expect("nobody panics");
            let lists = listing.map_or(Ok(Vec::new()), commands::Running::end);
            thread::sleep(DRAIN);
            all_in.store(true, Ordering::Relaxed);
            let (times, received) = receiving.join().expect("nobody panics")?;
            let watched = Watched { scrapes: scrapes?, lists: lists? };
            Ok(Sample { times, sent: sent?, received, watched })
        })
    }

    /// On an absolute schedule, and each packet when it is due.
    fn send(&self, time: Duration) -> Outcome<u64> {
        run_in_short_slices();
        let start = Instant::now();
        let mut sent = 0_u32;
        for socket in self.sockets.iter().cycle() {
            let due = self.interval * sent;
            if due >= time {
                break;
            }
            thread::sleep(due.saturating_sub(start.elapsed()));
            let mut packet = [0; PACKET];
            packet[..8].copy_from_slice(&self.now().to_be_bytes());
            socket.send(&channel_data(&packet))?;
            sent += 1;
        }
        Ok(u64::from(sent))
    }

    fn receive(&self, start: u64, over: &AtomicBool) -> Outcome<(Times, u64)> {
        run_in_short_slices();
        let mut poller = Poller::new(self.sockets.iter())?;
        let (mut inbox, mut times, mut received) = (Inbox::new(), Times::with_room_for(1 << 20), 0);
        while !over.load(Ordering::Relaxed) {
            for &index in poller.ready_within(NOTICE)? {
                let count = inbox.fill(&self.sockets[index])?;
                for datagram in 0..count {
                    let stamp = payload(inbox.datagram(datagram).0).and_then(|payload| payload.first_chunk());
                    let sent_at = stamp.map_or(0, |stamp| u64::from_be_bytes(*stamp));
                    // What an earlier sample has given up waiting for is lost.
                    if sent_at >= start {
                        times.push(self.now() - sent_at);
                        received += 1;
                    }
                }
            }
        }
        Ok((times, received))
    }

    /// Nanoseconds since it was opened.
    fn now(&self) -> u64 {
        u64::try_from(self.epoch.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }
}

/// `GET /metrics` every second, as Prometheus does at its fastest.
fn scrape(admin: &Path, over: &AtomicBool) -> Outcome<Vec<f64>> {
    let (mut times, mut due) = (Vec::new(), Instant::now());
    while !over.load(Ordering::Relaxed) {
        let start = Instant::now();
        let answer = http::ask_admin(admin, "GET /metrics")?;
        if answer.status != 200 || !answer.body.contains("hairpin_allocations") {
            return Err("the daemon does not tell its metrics".into());
        }
        times.push(milliseconds(start.elapsed()));
        due += SCRAPES;
        thread::sleep(due.saturating_duration_since(Instant::now()));
    }
    Ok(times)
}

fn report(table: &mut Table, [alone, beside, watched]: &[Seen; 3]) {
    for (index, (name, _)) in PERCENTILES.into_iter().enumerate() {
        let [alone, beside, watched] = [alone, beside, watched].map(|seen| &seen.percentiles[index]);
        table.note(format!("{name} alone, ms"), alone.to_string());
        table.note(format!("{name} beside commands that reach nobody, ms"), beside.to_string());
        table.note(format!("{name} with scrapes and lists, ms"), watched.to_string());
        for (than, other) in [("alone", alone), ("beside the commands", beside)] {
            let more = watched.median() - other.median();
            let (what, figure) = (format!("{name} is higher than {than} by"), format!("{more:+.2} ms"));
            if name == "p99" {
                table.figure(what, figure, "1 ms", more <= 1.0);
            } else {
                table.note(what, figure);
            }
        }
    }
    let (lost, sent) = [alone, beside, watched]
        .iter()
        .fold((0, 0), |(lost, sent), seen| (lost + seen.lost, sent + seen.sent));
    table.note("packets lost", format!("{lost} of {sent}"));
    table.note("scrapes", format!("{}, ms: {}", watched.scrapes.len(), watched.scrapes));
    table.note("hairpin sessions", format!("{}, ms: {}", watched.lists.len(), watched.lists));
    table.note("commands that reach nobody", format!("{}, ms: {}", beside.lists.len(), beside.lists));
}

fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}
