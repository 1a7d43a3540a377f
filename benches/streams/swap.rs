//! Replaces the certificate again and again under traffic and handshakes: nobody may notice but the new clients.

use std::fmt::Display;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use x509_parser::parse_x509_certificate;

use crate::daemon::{Daemon, Transport, channel_data, payload};
use crate::echo::Echo;
use crate::net::Poller;
use crate::spread::Spread;
use crate::turn::Session;
use crate::{Outcome, knob};

const BETWEEN_SWAPS: Duration = Duration::from_millis(1500);
const BETWEEN_HANDSHAKES: Duration = Duration::from_millis(20);
/// Every client sends ten packets a second.
const PERIOD: Duration = Duration::from_millis(100);
/// Clients take turns in groups, so that the generator need not wake for each of them.
const TICK: Duration = Duration::from_millis(2);
const PACKET: usize = 160;
/// How long after the last packet another may still arrive.
const DRAIN: Duration = Duration::from_secs(1);

pub fn measure() -> Outcome<()> {
    let (clients, swaps) = (knob("CLIENTS", 500)?, knob("SWAPS", 20)?);
    let daemon = Daemon::start(r#""auto""#)?;
    let echo = Echo::open()?;
    let mut traffic = Traffic::open(&daemon, &echo, clients)?;
    let over = AtomicBool::new(false);
    let echo_over = AtomicBool::new(false);
    let (swaps, seen) = thread::scope(|scope| {
        let echoing = scope.spawn(|| echo.run(&echo_over).map_err(in_words));
        let flowing = scope.spawn(|| traffic.run(&over).map_err(in_words));
        let probing = scope.spawn(|| probe(&daemon, &over));
        let swaps = swap(&daemon, swaps).map_err(in_words);
        over.store(true, Ordering::Relaxed);
        let seen = probing.join().expect("the probes do not panic");
        let flowed = flowing.join().expect("the traffic does not panic");
        echo_over.store(true, Ordering::Relaxed);
        echoing.join().expect("the echo does not panic").and(flowed)?;
        Ok::<_, String>((swaps?, seen))
    })?;
    report(&traffic, &swaps, &seen);
    Ok(())
}

/// An error that may leave its thread.
fn in_words(error: impl Display) -> String {
    error.to_string()
}

/// When a certificate was in place, and whether the daemon was told so.
struct Swap {
    serial: u64,
    at: Instant,
    hangup: bool,
}

fn swap(daemon: &Daemon, swaps: u64) -> Outcome<Vec<Swap>> {
    let mut done = Vec::new();
    for serial in 2..swaps + 2 {
        thread::sleep(BETWEEN_SWAPS);
        let hangup = serial % 2 == 0;
        daemon.renew_certificate(serial)?;
        done.push(Swap { serial, at: Instant::now(), hangup });
        if hangup {
            daemon.hang_up()?;
        }
    }
    thread::sleep(BETWEEN_SWAPS);
    Ok(done)
}

/// What the handshakes saw, and when each ended.
#[derive(Default)]
struct Seen {
    serials: Vec<(Instant, u64)>,
    failures: Vec<String>,
    times: Spread,
}

fn probe(daemon: &Daemon, over: &AtomicBool) -> Seen {
    let mut seen = Seen::default();
    let mut due = Instant::now();
    while !over.load(Ordering::Relaxed) {
        thread::sleep(due.saturating_duration_since(Instant::now()));
        due += BETWEEN_HANDSHAKES;
        let start = Instant::now();
        match shown_serial(daemon) {
            Ok(serial) => seen.serials.push((Instant::now(), serial)),
            Err(error) => seen.failures.push(error.to_string()),
        }
        seen.times.push(milliseconds(start.elapsed()));
    }
    seen
}

fn shown_serial(daemon: &Daemon) -> Outcome<u64> {
    let stream = daemon.handshake()?;
    let certificate = stream.certificate().ok_or("no certificate")?;
    let (_, certificate) = parse_x509_certificate(certificate)?;
    Ok(certificate.raw_serial().iter().fold(0, |serial, byte| serial << 8 | u64::from(*byte)))
}

/// Clients that send numbered packets to the echo.
struct Traffic {
    clients: Vec<Client>,
    poller: Poller,
}

struct Client {
    session: Session,
    sent: u64,
    /// Those that came back; each must have a higher number than the one before.
    received: u64,
    last: u64,
    lost: Option<String>,
}

impl Traffic {
    fn open(daemon: &Daemon, echo: &Echo, count: usize) -> Outcome<Self> {
        let mut clients = Vec::with_capacity(count);
        for _ in 0..count {
            let (session, _) = daemon.client(Transport::Tls, echo.address()?)?;
            clients.push(Client { session, sent: 0, received: 0, last: 0, lost: None });
        }
        let poller = Poller::new(clients.iter().map(|client| &client.session.link))?;
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
}

impl Client {
    fn send(&mut self) {
        if self.lost.is_some() {
            return;
        }
        let mut packet = [0; PACKET];
        packet[..8].copy_from_slice(&(self.sent + 1).to_be_bytes());
        match self.session.link.send(&channel_data(&packet)) {
            Ok(()) => self.sent += 1,
            Err(error) => self.lost = Some(error.to_string()),
        }
    }

    fn receive(&mut self) {
        if self.lost.is_some() {
            return;
        }
        let (received, last) = (&mut self.received, &mut self.last);
        let result = self.session.link.receive(|message| {
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

fn report(traffic: &Traffic, swaps: &[Swap], seen: &Seen) {
    let clients = &traffic.clients;
    let sum = |count: fn(&Client) -> u64| clients.iter().map(count).sum::<u64>();
    let (sent, received) = (sum(|client| client.sent), sum(|client| client.received));
    let lost: Vec<_> = clients.iter().filter_map(|client| client.lost.as_ref()).collect();
    println!("{} TLS clients, {} swaps of the certificate", clients.len(), swaps.len());
    println!("connections lost    {} (target 0)", lost.len());
    println!("packets lost        {} of {sent} (target 0)", sent - received);
    println!("handshakes failed   {} of {} (target 0)", seen.failures.len(), seen.times.len());
    println!("handshake           {} ms", seen.times);
    for (what, hangup) in [("files alone", false), ("files and SIGHUP", true)] {
        let (mut delays, mut never) = (Spread::default(), 0);
        for swap in swaps.iter().filter(|swap| swap.hangup == hangup) {
            match seen.serials.iter().find(|(_, serial)| *serial == swap.serial) {
                Some((at, _)) => delays.push(milliseconds(at.saturating_duration_since(swap.at))),
                None => never += 1,
            }
        }
        println!("new serial after    {delays} ms with {what}, {never} never seen (target 1000 ms, 0)");
    }
    for error in lost.into_iter().chain(&seen.failures).take(10) {
        println!("  {error}");
    }
}

fn milliseconds(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1000.0
}
