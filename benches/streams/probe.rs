//! A client that measures round trips through its relay, a thousand a second.

use std::fs::File;
use std::io::{ErrorKind, Write};
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use socket2::SockRef;

use crate::Outcome;
use crate::daemon::{Daemon, Transport, channel_data, payload};
use crate::echo::{Echo, NOTICE};
use crate::report::Times;
use crate::turn::Session;

const INTERVAL: Duration = Duration::from_millis(1);
const PACKET: usize = 160;

pub struct Probe {
    session: Session,
    epoch: Instant,
}

/// Round trips in milliseconds.
pub struct RoundTrips {
    pub p50: f64,
    pub p99: f64,
    pub lost: u64,
}

impl Probe {
    /// Over UDP or TCP.
    pub fn open(daemon: &Daemon, transport: Transport, echo: &Echo) -> Outcome<Self> {
        let (session, _) = daemon.client(transport, echo.address()?)?;
        SockRef::from(&session.link).set_read_timeout(Some(NOTICE))?;
        Ok(Self { session, epoch: Instant::now() })
    }

    pub fn run(&mut self, over: &AtomicBool) -> Outcome<RoundTrips> {
        let epoch = self.epoch;
        // A connected socket and a TCP connection are both written to like a file, on a thread of its own.
        let mut out = File::from(self.session.link.as_fd().try_clone_to_owned()?);
        let mut times = Times::with_room_for(1 << 16);
        let (start, mut received) = (nanoseconds(epoch), 0);
        let sent = thread::scope(|scope| -> Outcome<u64> {
            let sender = scope.spawn(move || send(&mut out, epoch, over));
            loop {
                let result = self.session.link.receive(|message| {
                    let stamp = payload(message).and_then(|payload| payload.first_chunk());
                    let sent_at = stamp.map_or(0, |stamp| u64::from_be_bytes(*stamp));
                    // What an earlier run has given up waiting for is lost.
                    if sent_at >= start {
                        times.push(nanoseconds(epoch).saturating_sub(sent_at));
                        received += 1;
                    }
                });
                match result {
                    Ok(()) => {}
                    Err(error) if error.kind() != ErrorKind::WouldBlock => return Err(error.into()),
                    Err(_) if over.load(Ordering::Relaxed) => break,
                    Err(_) => {}
                }
            }
            Ok(sender.join().expect("the sender does not panic")?)
        })?;
        let mut milliseconds = |per_mille| times.percentile(per_mille) / 1000.0;
        let (p50, p99) = (milliseconds(500), milliseconds(990));
        Ok(RoundTrips { p50, p99, lost: sent - received })
    }
}

fn send(out: &mut File, epoch: Instant, over: &AtomicBool) -> std::io::Result<u64> {
    let mut sent = 0;
    let mut due = Instant::now();
    while !over.load(Ordering::Relaxed) {
        thread::sleep(due.saturating_duration_since(Instant::now()));
        due += INTERVAL;
        let mut packet = [0; PACKET];
        packet[..8].copy_from_slice(&nanoseconds(epoch).to_be_bytes());
        out.write_all(&channel_data(&packet))?;
        sent += 1;
    }
    Ok(sent)
}

fn nanoseconds(since: Instant) -> u64 {
    u64::try_from(since.elapsed().as_nanos()).unwrap_or(u64::MAX)
}
