//! A peer that pushes more to a client than that may want to read.

use std::fs::{self, File};
use std::io::{ErrorKind, Read};
use std::net::UdpSocket;
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use socket2::SockRef;

use crate::Outcome;
use crate::daemon::{Daemon, Transport};
use crate::echo::NOTICE;
use crate::net::{MOST_SENT, Outbox, OwnPorts, loopback};
use crate::turn::Session;

const PACKET: usize = 1000;
const BURST: u64 = (PACKET * MOST_SENT) as u64;
const SEND_BUFFER: libc::c_int = 1 << 20;
const LOOK: Duration = Duration::from_millis(500);
const TRICKLE: Duration = Duration::from_millis(10);
/// The limit is half a minute.
const CLOSED_WITHIN: Duration = Duration::from_secs(45);

/// How much is pushed, and how fast.
#[derive(Clone, Copy)]
pub struct Volume {
    pub bytes: u64,
    pub bits_per_second: u64,
}

/// What became of it.
#[derive(Default)]
pub struct Pushed {
    pub offered: u64,
    /// What the client has read, with headers.
    pub read: u64,
    /// The daemon's resident memory at most, in bytes.
    pub resident: u64,
    /// What the kernel held at most of what the client had not taken, in bytes.
    pub queued: u64,
    /// How long clients were served that were closed in the meantime; for each of them another one came.
    pub closed: Vec<Duration>,
}

/// A client, and the peer that pushes to it.
pub struct Victim<'a> {
    daemon: &'a Daemon,
    transport: Transport,
    peer: UdpSocket,
    session: Session,
    since: Instant,
}

impl<'a> Victim<'a> {
    pub fn open(daemon: &'a Daemon, transport: Transport) -> Outcome<Self> {
        let peer = OwnPorts::new(SystemTime::now()).bind(SEND_BUFFER)?;
        let session = open(daemon, transport, &peer)?;
        Ok(Self { daemon, transport, peer, session, since: Instant::now() })
    }

    /// Pushes to a client that reads nothing.
    pub fn push_unread(&mut self, volume: Volume) -> Outcome<Pushed> {
        let mut pushed = Pushed::default();
        let mut outbox = Outbox::new(MOST_SENT, PACKET);
        let interval = Duration::from_secs(1).mul_f64(BURST as f64 * 8.0 / volume.bits_per_second as f64);
        let mut due = Instant::now();
        let mut look = due;
        while pushed.offered < volume.bytes {
            thread::sleep(due.saturating_duration_since(Instant::now()));
            due += interval;
            match outbox.send(&self.peer, None) {
                Ok(()) => pushed.offered += BURST,
                Err(error) if error.kind() == ErrorKind::ConnectionRefused => {
                    pushed.closed.push(self.since.elapsed());
                    self.session = open(self.daemon, self.transport, &self.peer)?;
                    self.since = Instant::now();
                }
                Err(error) => return Err(error.into()),
            }
            if Instant::now() >= look {
                look += LOOK;
                pushed.resident = pushed.resident.max(self.daemon.resident()?);
                pushed.queued = pushed.queued.max(self.queued()?);
            }
        }
        Ok(pushed)
    }

    /// Pushes to a client that reads all the time.
    pub fn push_read(&mut self, volume: Volume) -> Outcome<Pushed> {
        SockRef::from(&self.session.link).set_read_timeout(Some(NOTICE))?;
        // The bytes are not looked at, so TLS need not be undone.
        let mut bytes = File::from(self.session.link.as_fd().try_clone_to_owned()?);
        let over = AtomicBool::new(false);
        thread::scope(|scope| {
            let reader = scope.spawn(|| read(&mut bytes, &over));
            let pushed = self.push_unread(volume);
            over.store(true, Ordering::Relaxed);
            let read = reader.join().expect("the reader does not panic")?;
            Ok(Pushed { read, ..pushed? })
        })
    }

    /// How long a client that reads nothing is served.
    pub fn time_to_close(&mut self) -> Outcome<Option<Duration>> {
        let mut outbox = Outbox::new(MOST_SENT, PACKET);
        while self.since.elapsed() < CLOSED_WITHIN {
            match outbox.send(&self.peer, None) {
                Ok(()) => thread::sleep(TRICKLE),
                Err(error) if error.kind() == ErrorKind::ConnectionRefused => {
                    return Ok(Some(self.since.elapsed()));
                }
                Err(error) => return Err(error.into()),
            }
        }
        Ok(None)
    }

    /// What the kernel has of the daemon's that the client has not acknowledged (`tx_queue`, proc(5)).
    fn queued(&self) -> Outcome<u64> {
        let client = format!("0100007F:{:04X}", self.session.link.local_port()?);
        let table = fs::read_to_string("/proc/net/tcp")?;
        let mut rows = table.lines().map(|row| row.split_ascii_whitespace().collect::<Vec<_>>());
        let row = rows.find(|row| row.get(2) == Some(&client.as_str()));
        let queue = row.and_then(|row| row.get(4)?.split_once(':').map(|(sent, _)| sent.to_owned()));
        Ok(queue.map_or(Ok(0), |queue| u64::from_str_radix(&queue, 16))?)
    }
}

fn open(daemon: &Daemon, transport: Transport, peer: &UdpSocket) -> Outcome<Session> {
    let (session, relayed) = daemon.client(transport, loopback(peer.local_addr()?.port()))?;
    // Connected, the peer learns that the relayed address is gone.
    peer.connect(relayed)?;
    Ok(session)
}

fn read(bytes: &mut File, over: &AtomicBool) -> std::io::Result<u64> {
    let mut buffer = vec![0; 256 << 10];
    let mut total = 0;
    loop {
        match bytes.read(&mut buffer) {
            Ok(0) => return Ok(total),
            Ok(count) => total += count as u64,
            Err(error) if !matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => {
                return Err(error);
            }
            Err(_) if over.load(Ordering::Relaxed) => return Ok(total),
            Err(_) => {}
        }
    }
}
