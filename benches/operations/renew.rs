//! Renews the certificate again and again under traffic and handshakes: nobody may notice but the new clients.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use x509_parser::parse_x509_certificate;

use crate::authority::{mismatch, truncate};
use crate::call::{Call, channel_data, payload};
use crate::child::Daemon;
use crate::echo::Echo;
use crate::net::Poller;
use crate::site::{Site, Transport};
use crate::spread::Spread;
use crate::table::Table;
use crate::{Outcome, knob};

const OPEN_FILES: u64 = 4096;
const BETWEEN_RENEWALS: Duration = Duration::from_millis(1500);
const BETWEEN_HANDSHAKES: Duration = Duration::from_millis(20);
/// Every client sends ten packets a second.
const PERIOD: Duration = Duration::from_millis(100);
/// Clients take turns in groups, so that the generator need not wake for each of them.
const TICK: Duration = Duration::from_millis(2);
const PACKET: usize = 160;
/// How long after the last packet another may still arrive.
const DRAIN: Duration = Duration::from_secs(1);
const TARGET: f64 = 1000.0;
/// What the log says of each pair that is not taken.
const REFUSED: &str = "the old certificate stays in use";

pub fn measure(table: &mut Table) -> Outcome<()> {
    let (clients, renewals) = (knob("CLIENTS", 500)?, knob("RENEWALS", 20)?);
    let site = Site::new(OPEN_FILES)?;
    let daemon = site.start("daemon", 0)?;
    let echo = Echo::open()?;
    let mut traffic = Traffic::open(&site, &echo, clients)?;
    let (over, echo_over) = (AtomicBool::new(false), AtomicBool::new(false));
    let (pairs, seen) = thread::scope(|scope| {
        let echoing = scope.spawn(|| echo.run(&echo_over));
        let flowing = scope.spawn(|| traffic.run(&over));
        let probing = scope.spawn(|| probe(&site, &over));
        let pairs = renew(&site, &daemon, renewals);
        over.store(true, Ordering::Relaxed);
        let seen = probing.join().expect("the probes do not panic");
        let flowed = flowing.join().expect("the traffic does not panic");
        echo_over.store(true, Ordering::Relaxed);
        echoing.join().expect("the echo does not panic").and(flowed)?;
        Ok::<_, crate::Error>((pairs?, seen))
    })?;
    let refused =
        daemon.log()?.lines().filter(|line| line.contains("ERROR") && line.contains(REFUSED)).count();
    traffic.report(table, pairs.len());
    seen.report(table, &pairs, refused);
    Ok(())
}

/// What was put in place of the certificate.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Renewed,
    /// The key is another one's.
    Mismatched,
    Truncated,
}

/// A pair of files, when it was in place, and whether the daemon was told so by SIGHUP.
struct Pair {
    kind: Kind,
    /// Of the certificate that clients should be shown from now on.
    serial: u64,
    at: Instant,
    hangup: bool,
}

/// Of five pairs, two are broken.
fn renew(site: &Site, daemon: &Daemon, renewals: u64) -> Outcome<Vec<Pair>> {
    let (folder, mut serial, mut pairs) = (site.folder.path(), 1, Vec::new());
    for number in 0..renewals {
        thread::sleep(BETWEEN_RENEWALS);
        let kind = match number % 5 {
            1 => Kind::Mismatched,
            3 => Kind::Truncated,
            _ => Kind::Renewed,
        };
        match kind {
            Kind::Renewed => {
                serial += 1;
                site.authority.renew(folder, serial)?;
            }
            Kind::Mismatched => mismatch(folder)?,
            Kind::Truncated => truncate(folder)?,
        }
        let hangup = number % 2 == 0;
        pairs.push(Pair { kind, serial, at: Instant::now(), hangup });
        if hangup {
            daemon.signal("HUP")?;
        }
    }
    thread::sleep(BETWEEN_RENEWALS);
    Ok(pairs)
}

/// What the handshakes saw, and when each ended.
#[derive(Default)]
struct Seen {
    serials: Vec<(Instant, u64)>,
    failures: Vec<String>,
    times: Spread,
}

fn probe(site: &Site, over: &AtomicBool) -> Seen {
    let mut seen = Seen::default();
    let mut due = Instant::now();
    while !over.load(Ordering::Relaxed) {
        thread::sleep(due.saturating_duration_since(Instant::now()));
        due += BETWEEN_HANDSHAKES;
        let start = Instant::now();
        match shown_serial(site) {
            Ok(serial) => seen.serials.push((Instant::now(), serial)),
            Err(error) => seen.failures.push(error.to_string()),
        }
        seen.times.push(milliseconds(start.elapsed()));
    }
    seen
}

fn shown_serial(site: &Site) -> Outcome<u64> {
    let stream = site.handshake()?;
    let certificate = stream.certificate().ok_or("no certificate")?;
    let (_, certificate) = parse_x509_certificate(certificate)?;
    Ok(certificate.raw_serial().iter().fold(0, |serial, byte| serial << 8 | u64::from(*byte)))
}

impl Seen {
    fn report(&self, table: &mut Table, pairs: &[Pair], refused: usize) {
        let failed = self.failures.len();
        table.figure("handshakes failed", format!("{failed} of {}", self.times.len()), "0", failed == 0);
        table.note("handshake, ms", self.times.to_string());
        let of = |kind| pairs.iter().filter(move |pair| pair.kind == kind);
        for (what, hangup) in [("files alone", false), ("SIGHUP", true)] {
            let (mut delays, mut slow) = (Spread::default(), 0);
            for pair in of(Kind::Renewed).filter(|pair| pair.hangup == hangup) {
                let shown = self.serials.iter().find(|(_, serial)| *serial == pair.serial);
                let delay = shown.map(|(at, _)| milliseconds(at.saturating_duration_since(pair.at)));
                delay.into_iter().for_each(|delay| delays.push(delay));
                slow += usize::from(delay.is_none_or(|delay| delay > TARGET));
            }
            table.figure(
                format!("new serial after, ms, with {what}"),
                delays.to_string(),
                "1000 ms",
                slow == 0,
            );
        }
        for (what, kind) in [("mismatched", Kind::Mismatched), ("truncated", Kind::Truncated)] {
            let (all, kept) = (of(kind).count(), of(kind).filter(|pair| self.is_kept(pair)).count());
            table.figure(
                format!("{what}: old certificate kept"),
                format!("{kept} of {all}"),
                "all",
                kept == all,
            );
        }
        let broken = pairs.iter().filter(|pair| pair.kind != Kind::Renewed).count();
        let figure = format!("{refused} for {broken} pairs");
        table.figure("errors in the log about broken pairs", figure, "one each", refused == broken);
        for error in self.failures.iter().take(10) {
            table.note("a handshake failed", error);
        }
    }

    /// Whether the clients after a broken pair were shown the certificate from before it.
    fn is_kept(&self, pair: &Pair) -> bool {
        let after = pair.at..pair.at + BETWEEN_RENEWALS;
        let mut shown = self.serials.iter().filter(|(at, _)| after.contains(at)).peekable();
        shown.peek().is_some() && shown.all(|(_, serial)| *serial == pair.serial)
    }
}

/// Clients that send numbered packets to the echo.
struct Traffic<'a> {
    clients: Vec<Client<'a>>,
    poller: Poller,
}

struct Client<'a> {
    call: Call<'a>,
    sent: u64,
    /// Those that came back; each must have a higher number than the one before.
    received: u64,
    last: u64,
    lost: Option<String>,
}

impl<'a> Traffic<'a> {
    fn open(site: &'a Site, echo: &Echo, count: usize) -> Outcome<Self> {
        let mut clients = Vec::with_capacity(count);
        for _ in 0..count {
            let call = Call::begin(site, Transport::Tls, echo.address()?)?;
            clients.push(Client { call, sent: 0, received: 0, last: 0, lost: None });
        }
        let poller = Poller::new(clients.iter().map(|client| &client.call.session.link))?;
        Ok(Self { clients, poller })
    }

    fn run(&mut self, over: &AtomicBool) -> Outcome<()> {
        let groups = usize::try_from(PERIOD.as_millis() / TICK.as_millis())?;
        let mut due = Instant::now();
        for group in (0..groups).cycle() {
            if over.load(Ordering::Relaxed) {
                break;
            }
            self.clients.iter_mut().skip(group).step_by(groups).for_each(Client::send);
            due += TICK;
            self.receive_until(due)?;
        }
        self.receive_until(Instant::now() + DRAIN)
    }

    fn receive_until(&mut self, due: Instant) -> Outcome<()> {
        loop {
            for &index in self.poller.ready()? {
                self.clients[index].receive();
            }
            let left = due.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(());
            }
            thread::sleep(left.min(TICK));
        }
    }

    fn report(&self, table: &mut Table, pairs: usize) {
        let count = self.clients.len();
        let sum = |count: fn(&Client) -> u64| self.clients.iter().map(count).sum::<u64>();
        let (sent, received) = (sum(|client| client.sent), sum(|client| client.received));
        let ended: Vec<_> = self.clients.iter().filter_map(|client| client.lost.as_ref()).collect();
        table.title(format!(
            "renew: {count} TLS clients, ten packets/s each; 50 handshakes/s; {pairs} pairs of files"
        ));
        table.figure("connections lost", ended.len().to_string(), "0", ended.is_empty());
        table.figure("packets lost", format!("{} of {sent}", sent - received), "0", sent == received);
        for error in ended.into_iter().take(10) {
            table.note("a connection ended", error);
        }
    }
}

impl Client<'_> {
    fn send(&mut self) {
        if self.lost.is_some() {
            return;
        }
        let mut packet = [0; PACKET];
        packet[..8].copy_from_slice(&(self.sent + 1).to_be_bytes());
        match self.call.session.link.send(&channel_data(&packet)) {
            Ok(()) => self.sent += 1,
            Err(error) => self.lost = Some(error.to_string()),
        }
    }

    fn receive(&mut self) {
        if self.lost.is_some() {
            return;
        }
        let (received, last) = (&mut self.received, &mut self.last);
        let result = self.call.session.link.receive(|message| {
            let number = payload(message).and_then(|payload| payload.first_chunk());
            let number = number.map_or(0, |number| u64::from_be_bytes(*number));
            if number > *last {
                (*received, *last) = (*received + 1, number);
            }
        });
        if let Err(error) = result {
            self.lost = Some(error.to_string());
        }
    }
}

fn milliseconds(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1000.0
}
