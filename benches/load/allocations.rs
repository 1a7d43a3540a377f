//! Measures how fast a server allocates, and the memory that it and the kernel keep for an idle allocation.

use std::collections::VecDeque;
use std::fs;
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use crate::Outcome;
use crate::args::{AllocationsOrder, Entry};
use crate::flows::Door;
use crate::link::Link;
use crate::net::{Inbox, OwnPorts, Poller, raise_file_limit};
use crate::report::{Line, ratio};
use crate::sample::{Counters, add_verdict};
use crate::server;
use crate::stun::Response;
use crate::traffic::nanoseconds;
use crate::turn::{Credential, Session};

/// Made before the first reading, so that code touched for the first time is not counted.
const WARM_UP: u16 = 256;
/// How many clients wait for an answer at a time.
const WINDOW: usize = 64;
/// After this time without any answer, those who wait ask again.
const RETRY: Duration = Duration::from_millis(250);
const RETRIES: u32 = 40;
const SETTLE: Duration = Duration::from_millis(500);
const SMALL_RECEIVE_BUFFER: libc::c_int = 8192;
/// A generator that waits for less of the time than this was busy itself, so the rate may not be the server's limit.
const WAITED: f64 = 0.2;

pub fn measure(order: &AllocationsOrder) -> Outcome<Line> {
    let Entry::Secret(secret) = &order.target.entry else {
        return Err("the stub has no allocations".into());
    };
    raise_file_limit(u64::from(order.allocations) + u64::from(WARM_UP) + 64)?;
    let credential = Credential::issue(secret, SystemTime::now())?;
    let mut ports = OwnPorts::new(SystemTime::now()).at(order.target.from);
    let mut door = Door::of(&order.target, &mut ports)?;
    let mut warm_up = Crowd::connect(&mut door, WARM_UP)?;
    let mut crowd = Crowd::connect(&mut door, order.allocations)?;
    warm_up.allocate(&credential)?;
    thread::sleep(SETTLE);

    // All sockets of the generator are there by now, so that what the kernel takes from here on is the server's.
    let pid = order.pids[0];
    let (rss, slab) = (server::resident(pid)?, kernel_memory()?);
    let before = Counters::read(&order.pids)?;
    crowd.allocate(&credential)?;
    let used = Counters::read(&order.pids)?.since(&before);
    thread::sleep(SETTLE);
    let rss = server::resident(pid)?.saturating_sub(rss);
    let slab = kernel_memory()?.saturating_sub(slab);

    let count = u64::from(order.allocations);
    let cpu = used.server.unwrap_or(0);
    let waited = ratio(nanoseconds(crowd.waited), used.wall);
    let flaws = [(used.server.is_none(), "thread_ended")];
    let mut line = Line::new();
    line.add("scenario", "allocations");
    line.add("direction", "-");
    line.add("allocations", count);
    line.add("allocations_per_s", format!("{:.0}", 1e9 * ratio(count, used.wall)));
    line.add("limit", if waited >= WAITED { "server" } else { "generator" });
    line.add("waited_pct", format!("{:.0}", 100.0 * waited));
    line.add("cpu_us_per_allocation", format!("{:.1}", ratio(cpu, count) / 1000.0));
    line.add("rss_per_allocation", rss / count);
    line.add("slab_per_allocation", slab / count);
    line.add("asked_again", crowd.asked_again);
    add_verdict(&mut line, &used, &flaws);
    Ok(line)
}

/// Clients that allocate at the same time.
struct Crowd {
    sessions: Vec<Session>,
    /// What each has asked last.
    requests: Vec<Vec<u8>>,
    poller: Poller,
    asked_again: u64,
    /// How long all clients that may ask were waiting for answers.
    waited: Duration,
}

impl Crowd {
    fn connect(door: &mut Door<'_>, count: u16) -> Outcome<Self> {
        let mut sessions = Vec::with_capacity(usize::from(count));
        for _ in 0..count {
            sessions.push(Session::new(Link::Datagrams(door.socket(SMALL_RECEIVE_BUFFER)?)));
        }
        let poller = Poller::new(sessions.iter().map(|session| &session.link))?;
        let requests = vec![Vec::new(); sessions.len()];
        Ok(Self { sessions, requests, poller, asked_again: 0, waited: Duration::ZERO })
    }

    /// Gives each client an allocation: 401, then the request with the credential.
    fn allocate(&mut self, credential: &Credential) -> Outcome<()> {
        let mut inbox = Inbox::new();
        let mut waiting: VecDeque<usize> = (0..self.sessions.len()).collect();
        let mut asking: Vec<usize> = Vec::with_capacity(WINDOW);
        let (mut progress, mut retries) = (Instant::now(), 0);
        while !(waiting.is_empty() && asking.is_empty()) {
            while asking.len() < WINDOW
                && let Some(client) = waiting.pop_front()
            {
                self.ask(client, credential)?;
                asking.push(client);
            }
            let look = Instant::now();
            let ready = self.poller.ready()?.to_vec();
            if ready.is_empty() {
                self.waited += look.elapsed();
            }
            for client in ready {
                progress = look;
                if self.hear(client, &mut inbox, credential)? {
                    asking.retain(|&other| other != client);
                }
            }
            if progress.elapsed() > RETRY {
                retries += 1;
                if retries > RETRIES {
                    return Err("the server does not answer".into());
                }
                for &client in &asking {
                    self.sessions[client].link.send(&self.requests[client])?;
                    self.asked_again += 1;
                }
                progress = Instant::now();
            }
        }
        Ok(())
    }

    fn ask(&mut self, client: usize, credential: &Credential) -> Outcome<()> {
        let session = &mut self.sessions[client];
        self.requests[client] = session.compose_allocate(credential)?;
        Ok(session.link.send(&self.requests[client])?)
    }

    /// Whether this client has its allocation now; answers to what it asked before are passed over.
    fn hear(&mut self, client: usize, inbox: &mut Inbox, credential: &Credential) -> Outcome<bool> {
        let Link::Datagrams(socket) = &self.sessions[client].link else { return Ok(false) };
        for i in 0..inbox.fill(socket)? {
            let Some(response) = Response::to(&self.requests[client], inbox.datagram(i).0) else { continue };
            if self.sessions[client].settles(&response, credential)? {
                return Ok(true);
            }
            self.ask(client, credential)?;
            break; // what else has come is an answer to an earlier request
        }
        Ok(false)
    }
}

/// Bytes of the kernel's slabs, where sockets and their files are.
fn kernel_memory() -> Outcome<u64> {
    let text = fs::read_to_string("/proc/meminfo")?;
    let line = text.lines().find_map(|line| line.strip_prefix("Slab:"));
    let kibibytes = line.and_then(|line| line.split_ascii_whitespace().next());
    let kibibytes: u64 = kibibytes.ok_or("no Slab in /proc/meminfo")?.parse()?;
    Ok(kibibytes * 1024)
}
