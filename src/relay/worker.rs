//! The threads of the relay. Each serves some shards, one after the other, or sleeps while it has none.
//!
//! A thread with one shard waits for the shard's own events. A thread with several waits until one of them has events. When
//! the load changes, [`balance`] moves shards between the threads.

mod balance;

use std::io::{self, Read as _, Write as _};
use std::os::fd::AsRawFd as _;
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::time::Duration;

use mio::unix::SourceFd;
use mio::{Events, Interest, Poll, Token};

use crate::clock::{Clock, Moment};
use crate::relay::shard::{Round, Shard};
use crate::relay::worker::balance::{LOOK, Load, Other, QUIET_FOR};
use crate::system::{run_in_short_slices, thread_time};

/// One thread, before it runs.
pub(super) struct Worker {
    index: usize,
    clock: Clock,
    workers: Arc<Workers>,
    inbox: mpsc::Receiver<Order>,
    bell: UnixStream,
    /// Reports which shards have events, and the bell.
    poll: Poll,
    hosted: Vec<Hosted>,
    stopping: bool,
    meter: Meter,
}

/// All threads, as they see each other.
#[derive(Debug)]
pub(super) struct Workers(Vec<Entrance>);

/// How a thread is reached, and what the others know of it.
#[derive(Debug)]
struct Entrance {
    orders: mpsc::Sender<Order>,
    bell: UnixStream,
    shards: AtomicUsize,
    /// Its load (the low bits) and when it was measured, in milliseconds.
    load: AtomicU64,
}

enum Order {
    /// Serve this shard.
    Host(Box<Shard>),
    /// End, once no shard is left.
    Stop,
}

struct Hosted {
    shard: Box<Shard>,
    /// Whether it has events.
    ready: bool,
    /// How long it has worked since the last look.
    worked: Duration,
}

/// Measures what a thread uses of a core.
#[derive(Debug, Default)]
struct Meter {
    next_look: Moment,
    looked: Moment,
    used: Duration,
    load: Load,
    quiet_since: Option<Moment>,
}

/// The token of the bell in the thread's own poll. The shards have their numbers.
const BELL: Token = Token(usize::MAX >> 1);
const EVENTS: usize = 1024;
const LOAD_BITS: u32 = 10;
/// A load that was measured longer ago is zero: a thread at work looks more often.
const OUTDATED: Duration = Duration::from_millis(1500);

impl Workers {
    /// A thread for each of `shards`. The first one has all of them.
    ///
    /// # Errors
    /// If the operating system refuses a poll or a pair of sockets.
    pub(super) fn new(shards: Vec<Shard>, clock: Clock) -> io::Result<(Arc<Self>, Vec<Worker>)> {
        let (mut entrances, mut exits) = (Vec::new(), Vec::new());
        for _ in 0..shards.len() {
            let ((orders, inbox), (ringing, bell)) = (mpsc::channel(), UnixStream::pair()?);
            ringing.set_nonblocking(true)?;
            bell.set_nonblocking(true)?;
            entrances.push(Entrance {
                orders,
                bell: ringing,
                shards: AtomicUsize::new(0),
                load: AtomicU64::new(0),
            });
            exits.push((inbox, bell));
        }
        let workers = Arc::new(Self(entrances));
        for shard in shards {
            // The first thread waits for it, though it does not run yet.
            let _ = workers.give(Box::new(shard), 0);
        }
        let start = |(index, (inbox, bell)): (usize, (_, UnixStream))| {
            let poll = Poll::new()?;
            poll.registry().register(&mut SourceFd(&bell.as_raw_fd()), BELL, Interest::READABLE)?;
            let workers = Arc::clone(&workers);
            let (hosted, meter) = (Vec::new(), Meter::default());
            Ok(Worker { index, clock, workers, inbox, bell, poll, hosted, stopping: false, meter })
        };
        let threads = exits.into_iter().enumerate().map(start).collect::<io::Result<_>>()?;
        Ok((workers, threads))
    }

    /// Ends every thread, once its shards have ended.
    pub(super) fn stop(&self) {
        // A thread that has ended needs no order.
        (0..self.0.len()).for_each(|index| drop(self.tell(index, Order::Stop)));
    }

    /// How many threads have shards.
    pub(super) fn awake(&self) -> usize {
        self.0.iter().filter(|worker| worker.shards.load(Ordering::Relaxed) > 0).count()
    }

    /// Gives a shard to a thread; returns it if the thread has ended.
    fn give(&self, shard: Box<Shard>, to: usize) -> Result<(), Box<Shard>> {
        self.0[to].shards.fetch_add(1, Ordering::Relaxed);
        match self.tell(to, Order::Host(shard)) {
            Err(Order::Host(shard)) => Err(shard),
            Ok(()) | Err(Order::Stop) => Ok(()),
        }
    }

    /// Tells a thread what to do; returns the order if the thread has ended.
    fn tell(&self, index: usize, order: Order) -> Result<(), Order> {
        let entrance = &self.0[index];
        entrance.orders.send(order).map_err(|mpsc::SendError(order)| order)?;
        // If the bell's buffer is full, it rings anyway.
        let _ = (&entrance.bell).write(&[0]);
        Ok(())
    }

    /// What thread `index` knows of the others.
    fn others(&self, index: usize, now: Moment) -> Vec<Other> {
        let millis = now.as_nanos() / 1_000_000;
        let other = |(index, worker): (usize, &Entrance)| {
            let (shards, load) = (worker.shards.load(Ordering::Relaxed), worker.load.load(Ordering::Relaxed));
            let is_new = Duration::from_millis(millis.saturating_sub(load >> LOAD_BITS)) < OUTDATED;
            let load = if is_new { (load & ((1 << LOAD_BITS) - 1)) as Load } else { 0 };
            Other { index, shards, load }
        };
        self.0.iter().enumerate().filter(|(other, _)| *other != index).map(other).collect()
    }
}

impl Worker {
    /// Serves its shards until it is ordered to stop and they have ended.
    ///
    /// # Errors
    /// If the kernel refuses to poll, which is always a bug in this program.
    pub(super) fn run(mut self) -> io::Result<()> {
        run_in_short_slices();
        let mut events = Events::with_capacity(EVENTS);
        loop {
            while let Some(order) = self.next_order() {
                match order {
                    Order::Host(shard) => self.host(shard)?,
                    Order::Stop => self.stopping = true,
                }
            }
            match self.hosted.len() {
                0 => return Ok(()),
                1 => self.run_one(&mut events)?,
                _ => self.run_several(&mut events)?,
            }
            self.look()?;
        }
    }

    /// The next order. Without a shard there is nothing else to do but wait for one.
    fn next_order(&mut self) -> Option<Order> {
        if self.hosted.is_empty() && !self.stopping {
            return self.inbox.recv().ok();
        }
        let order = self.inbox.try_recv().ok()?;
        // The bell has rung for this order or for an earlier one.
        let _ = self.bell.read(&mut [0; 64]);
        Some(order)
    }

    /// Waits for the events of the only shard, and handles them.
    fn run_one(&mut self, events: &mut Events) -> io::Result<()> {
        let now = self.clock.now().moment;
        let wait = earlier(self.hosted[0].shard.timeout(now), self.patience());
        if self.hosted[0].shard.round(events, wait)? == Round::Ended {
            self.remove(0)?;
        }
        Ok(())
    }

    /// Waits until a shard has events, and handles the events of all that have.
    fn run_several(&mut self, events: &mut Events) -> io::Result<()> {
        let mut now = self.clock.now().moment;
        let timeouts = self
            .hosted
            .iter()
            .map(|hosted| if hosted.ready { Some(Duration::ZERO) } else { hosted.shard.timeout(now) });
        let wait = timeouts.fold(self.patience(), earlier);
        match self.poll.poll(events, wait) {
            Err(error) if error.kind() != io::ErrorKind::Interrupted => return Err(error),
            Ok(()) | Err(_) => {}
        }
        for event in events.iter() {
            let index = event.token().0;
            if let Some(hosted) = self.hosted.iter_mut().find(|hosted| hosted.shard.index() == index) {
                hosted.ready = true;
            }
        }
        for position in (0..self.hosted.len()).rev() {
            let hosted = &mut self.hosted[position];
            if !std::mem::take(&mut hosted.ready) && hosted.shard.timeout(now) != Some(Duration::ZERO) {
                continue;
            }
            let round = hosted.shard.round(events, Some(Duration::ZERO))?;
            let after = self.clock.now().moment;
            hosted.worked += after.since(now);
            now = after;
            if round == Round::Ended {
                self.remove(position)?;
            }
        }
        Ok(())
    }

    /// How long this thread may sleep before it looks whether it should give its shards away. The first one keeps them.
    fn patience(&self) -> Option<Duration> {
        (self.index > 0).then_some(QUIET_FOR)
    }

    /// Looks at the load, if it is time, and gives a shard away if that is better.
    fn look(&mut self) -> io::Result<()> {
        let now = self.clock.now().moment;
        if now < self.meter.next_look || self.hosted.is_empty() || self.workers.0.len() == 1 {
            return Ok(());
        }
        let load = self.meter.measure(now, thread_time());
        let stamped = (now.as_nanos() / 1_000_000) << LOAD_BITS | u64::from(load);
        self.workers.0[self.index].load.store(stamped, Ordering::Relaxed);
        let all: Duration = self.hosted.iter().map(|hosted| hosted.worked).sum();
        let share = |hosted: &mut Hosted| {
            let worked = std::mem::take(&mut hosted.worked).as_nanos() as u64;
            (u64::from(load) * worked / (all.as_nanos() as u64).max(1)) as Load
        };
        let own: Vec<Load> = self.hosted.iter_mut().map(share).collect();
        let others = self.workers.others(self.index, now);
        if let Some((position, to)) = balance::relief(&own, &others) {
            return self.give(position, to);
        }
        match balance::union(self.index, load, &others) {
            None => self.meter.quiet_since = None,
            Some(to) => {
                let since = *self.meter.quiet_since.get_or_insert(now);
                if now.since(since) >= QUIET_FOR {
                    return self.give(0, to);
                }
            }
        }
        Ok(())
    }

    /// Serves a shard from now on. [`Workers::give`] has counted it.
    fn host(&mut self, shard: Box<Shard>) -> io::Result<()> {
        if let [first] = &self.hosted[..] {
            first.shard.forget(&self.bell)?;
            self.wait_for(&first.shard)?;
        }
        if self.hosted.is_empty() {
            shard.hear(&self.bell)?;
            self.meter.restart(self.clock.now().moment, thread_time());
        } else {
            self.wait_for(&shard)?;
        }
        self.hosted.push(Hosted { shard, ready: true, worked: Duration::ZERO });
        Ok(())
    }

    fn wait_for(&self, shard: &Shard) -> io::Result<()> {
        let token = Token(shard.index());
        self.poll.registry().register(&mut SourceFd(&shard.poll_fd()), token, Interest::READABLE)
    }

    /// Stops serving a shard.
    fn remove(&mut self, position: usize) -> io::Result<Box<Shard>> {
        let Hosted { shard, .. } = self.hosted.remove(position);
        self.workers.0[self.index].shards.fetch_sub(1, Ordering::Relaxed);
        match &self.hosted[..] {
            [] => shard.forget(&self.bell)?,
            [last] => {
                let registry = self.poll.registry();
                registry.deregister(&mut SourceFd(&shard.poll_fd()))?;
                registry.deregister(&mut SourceFd(&last.shard.poll_fd()))?;
                last.shard.hear(&self.bell)?;
            }
            _ => self.poll.registry().deregister(&mut SourceFd(&shard.poll_fd()))?,
        }
        Ok(shard)
    }

    fn give(&mut self, position: usize, to: usize) -> io::Result<()> {
        let shard = self.remove(position)?;
        tracing::debug!(shard = shard.index(), from = self.index, to, "a shard moves to another thread");
        match self.workers.give(shard, to) {
            Ok(()) => Ok(()),
            // The relay stops, and that thread has ended already.
            Err(shard) => {
                self.workers.0[self.index].shards.fetch_add(1, Ordering::Relaxed);
                self.host(shard)
            }
        }
    }
}

impl Meter {
    /// Begins anew.
    fn restart(&mut self, now: Moment, used: Duration) {
        *self = Self { next_look: now + LOOK, looked: now, used, load: 0, quiet_since: None };
    }

    /// The load, when the thread has used `used` in all. Sudden changes count by half.
    fn measure(&mut self, now: Moment, used: Duration) -> Load {
        let (passed, worked) = (now.since(self.looked), used.saturating_sub(self.used));
        let load = (worked.as_nanos() * 1000 / passed.as_nanos().max(1)).min(1000) as Load;
        // After a long sleep, what was before it counts no more.
        self.load = if passed > 4 * LOOK { load } else { self.load.midpoint(load) };
        (self.looked, self.used, self.next_look) = (now, used, now + LOOK);
        self.load
    }
}

fn earlier(one: Option<Duration>, other: Option<Duration>) -> Option<Duration> {
    one.into_iter().chain(other).min()
}
