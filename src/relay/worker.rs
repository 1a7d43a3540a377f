//! The threads of the relay. Each serves some shards, one after the other, or sleeps while it has none.
//!
//! Each thread has a poll, which reports the sockets of all its shards. When the load changes, [`balance`] moves shards
//! between the threads.

mod balance;

use std::io;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::time::Duration;

use mio::{Events, Poll, Registry, Waker};

use crate::clock::{Clock, Moment};
use crate::relay::shard::{Round, Shard};
use crate::relay::source::{Source, WAKER, Watcher};
use crate::relay::worker::balance::{LOOK, Load, Other, QUIET_FOR};
use crate::system::{run_in_short_slices, thread_time};

/// One thread, before it runs.
pub(super) struct Worker {
    index: usize,
    clock: Clock,
    workers: Arc<Workers>,
    inbox: mpsc::Receiver<Order>,
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
    waker: Waker,
    registry: Registry,
    shards: AtomicUsize,
    /// Its load (the low bits) and when it was measured, in milliseconds.
    load: AtomicU64,
}

/// The thread that serves a shard.
#[derive(Debug)]
pub(super) struct Host {
    workers: Arc<Workers>,
    index: AtomicUsize,
}

enum Order {
    /// Serve this shard.
    Serve(Box<Shard>),
    /// End, once no shard is left.
    Stop,
    /// Give a shard to another thread.
    #[cfg(test)]
    Give(usize),
}

struct Hosted {
    shard: Box<Shard>,
    /// Whether it has something to do.
    ready: bool,
    /// When it has, if nothing happens until then.
    due: Option<Moment>,
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

/// How many events a thread is told of at a time.
const EVENTS: usize = 1024;
const LOAD_BITS: u32 = 10;
/// A load that was measured longer ago is zero: a thread at work looks more often.
const OUTDATED: Duration = Duration::from_millis(1500);

impl Workers {
    /// So many threads, without shards.
    ///
    /// # Errors
    /// If the operating system refuses a poll.
    pub(super) fn new(count: usize, clock: Clock) -> io::Result<(Arc<Self>, Vec<Worker>)> {
        let (mut entrances, mut exits) = (Vec::new(), Vec::new());
        for _ in 0..count {
            let ((orders, inbox), poll) = (mpsc::channel(), Poll::new()?);
            let (waker, registry) = (Waker::new(poll.registry(), WAKER)?, poll.registry().try_clone()?);
            let (shards, load) = (AtomicUsize::new(0), AtomicU64::new(0));
            entrances.push(Entrance { orders, waker, registry, shards, load });
            exits.push((inbox, poll));
        }
        let workers = Arc::new(Self(entrances));
        let start = |(index, (inbox, poll))| {
            let (workers, hosted, meter) = (Arc::clone(&workers), Vec::new(), Meter::default());
            Worker { index, clock, workers, inbox, poll, hosted, stopping: false, meter }
        };
        let threads = exits.into_iter().enumerate().map(start).collect();
        Ok((workers, threads))
    }

    /// What a new shard needs, which the first thread will serve.
    ///
    /// # Errors
    /// If the system has no more open files.
    pub(super) fn first(self: &Arc<Self>, shard: u32) -> io::Result<(Watcher, Host)> {
        let host = Host { workers: Arc::clone(self), index: AtomicUsize::new(0) };
        Ok((self.watcher(0, shard)?, host))
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

    /// Has a thread serve a shard; returns the shard if the thread has ended.
    pub(super) fn give(&self, shard: Box<Shard>, to: usize) -> Result<(), Box<Shard>> {
        self.0[to].shards.fetch_add(1, Ordering::Relaxed);
        // Whoever has told the shard something and woken its former thread has done so before this: the new one sees it.
        shard.host().index.swap(to, Ordering::AcqRel);
        match self.tell(to, Order::Serve(shard)) {
            Err(Order::Serve(shard)) => Err(shard),
            Ok(()) | Err(_) => Ok(()),
        }
    }

    /// Tells a thread what to do; returns the order if the thread has ended.
    fn tell(&self, index: usize, order: Order) -> Result<(), Order> {
        self.0[index].orders.send(order).map_err(|mpsc::SendError(order)| order)?;
        // It fails only if the thread has ended.
        let _ = self.0[index].waker.wake();
        Ok(())
    }

    fn watcher(&self, index: usize, shard: u32) -> io::Result<Watcher> {
        Ok(Watcher::new(self.0[index].registry.try_clone()?, shard))
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
                    Order::Serve(shard) => self.host(shard)?,
                    Order::Stop => self.stopping = true,
                    #[cfg(test)]
                    Order::Give(to) if !self.hosted.is_empty() => self.give(0, to)?,
                    // It has given all away by itself.
                    #[cfg(test)]
                    Order::Give(_) => {}
                }
            }
            if self.hosted.is_empty() {
                return Ok(());
            }
            self.wait(&mut events)?;
            self.serve();
            self.look()?;
        }
    }

    /// The next order. Without a shard there is nothing else to do but wait for one.
    fn next_order(&self) -> Option<Order> {
        if self.hosted.is_empty() && !self.stopping {
            self.inbox.recv().ok()
        } else {
            self.inbox.try_recv().ok()
        }
    }

    /// Waits until a shard has something to do.
    fn wait(&mut self, events: &mut Events) -> io::Result<()> {
        let now = self.clock.now().moment;
        let due = self.hosted.iter().filter_map(|hosted| hosted.due).min().map(|due| due.since(now));
        let at_once = self.hosted.iter().any(|hosted| hosted.ready || hosted.shard.has_parcels());
        let timeout = [due, self.patience(), at_once.then_some(Duration::ZERO)].into_iter().flatten().min();
        match self.poll.poll(events, timeout) {
            Err(error) if error.kind() != io::ErrorKind::Interrupted => return Err(error),
            Ok(()) | Err(_) => {}
        }
        for event in events.iter() {
            if event.token() == WAKER {
                for hosted in &mut self.hosted {
                    hosted.shard.summon();
                    hosted.ready = true;
                }
                continue;
            }
            let (shard, source) = Source::of(event.token());
            // A shard that has moved away has its sockets reported to its new thread.
            if let Some(hosted) = self.hosted.iter_mut().find(|hosted| hosted.shard.index() == shard as usize)
            {
                hosted.shard.on_event(source, event);
                hosted.ready = true;
            }
        }
        Ok(())
    }

    /// Does what its shards have to do.
    fn serve(&mut self) {
        let several = self.hosted.len() > 1;
        let mut now = self.clock.now().moment;
        for position in (0..self.hosted.len()).rev() {
            let hosted = &mut self.hosted[position];
            let is_due = hosted.due.is_some_and(|due| due <= now) || hosted.shard.has_parcels();
            if !std::mem::take(&mut hosted.ready) && !is_due {
                continue;
            }
            let round = hosted.shard.round();
            hosted.due = hosted.shard.next_round();
            if several {
                let after = self.clock.now().moment;
                hosted.worked += after.since(now);
                now = after;
            }
            if round == Round::Ended {
                self.remove(position);
            }
        }
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
    fn host(&mut self, mut shard: Box<Shard>) -> io::Result<()> {
        shard.move_to(self.workers.watcher(self.index, shard.index() as u32)?)?;
        if self.hosted.is_empty() {
            self.meter.restart(self.clock.now().moment, thread_time());
        }
        self.hosted.push(Hosted { shard, ready: true, due: None, worked: Duration::ZERO });
        Ok(())
    }

    /// Stops serving a shard.
    fn remove(&mut self, position: usize) -> Box<Shard> {
        self.workers.0[self.index].shards.fetch_sub(1, Ordering::Relaxed);
        self.hosted.remove(position).shard
    }

    fn give(&mut self, position: usize, to: usize) -> io::Result<()> {
        let shard = self.remove(position);
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

impl Host {
    /// Whether the same thread serves both shards.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        self.index.load(Ordering::Acquire) == other.index.load(Ordering::Acquire)
    }

    /// Has the thread look at the commands to the shard.
    pub(super) fn wake(&self) {
        // An exchange, not a load: if the shard moves, its new thread sees what was told before.
        let index = self.index.fetch_add(0, Ordering::AcqRel);
        // It fails only if the thread has ended.
        let _ = self.workers.0[index].waker.wake();
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

#[cfg(test)]
mod tests {
    use std::net::UdpSocket;

    use tokio::sync::oneshot;

    use super::*;
    use crate::relay::engine::ShardIndex;
    use crate::relay::shard::Command;
    use crate::relay::shard::tests::shard_of;

    /// A Binding request (RFC 8489 §5) with this number in its transaction id.
    fn request(number: u32) -> Vec<u8> {
        [&[0, 1, 0, 0, 0x21, 0x12, 0xA4, 0x42, 0, 0, 0, 0, 0, 0, 0, 0][..], &number.to_be_bytes()].concat()
    }

    #[test]
    fn a_client_and_an_administrator_do_not_notice_that_a_shard_moves() {
        let (workers, threads) = Workers::new(3, Clock::start()).unwrap();
        let number = |index| ShardIndex { index, of: 2 };
        let (shard, handle) = shard_of(&workers, number(0));
        let server = shard.address();
        let second = shard_of(&workers, number(1));
        for shard in [shard, second.0] {
            assert!(workers.give(Box::new(shard), 0).is_ok());
        }
        let threads = threads.into_iter().map(|worker| std::thread::spawn(|| worker.run().unwrap()));
        let threads: Vec<_> = threads.collect();
        let client = UdpSocket::bind("127.0.0.1:0").unwrap();
        client.set_read_timeout(Some(Duration::from_secs(2))).unwrap();
        let mut answer = [0; 200];
        for number in 0..3000_u32 {
            if number.is_multiple_of(10) {
                // Round and round: from 0 to 1, to 2, to 0.
                let (from, to) = (number / 10 % 3, (number / 10 + 1) % 3);
                assert!(workers.tell(from as usize, Order::Give(to as usize)).is_ok());
            }
            client.send_to(&request(number), server).unwrap();
            let length = client.recv(&mut answer).unwrap_or_else(|error| panic!("request {number}: {error}"));
            assert_eq!(answer[16..20], number.to_be_bytes());
            assert!(length > 20);
            let (ping, pong) = oneshot::channel();
            handle.tell(Command::Ping(ping));
            pong.blocking_recv().expect("every command is obeyed");
        }
        for handle in [handle, second.1] {
            handle.tell(Command::Stop);
        }
        workers.stop();
        threads.into_iter().for_each(|thread| thread.join().unwrap());
        assert_eq!(workers.awake(), 0);
    }

    #[test]
    fn the_load_is_what_a_thread_uses_of_a_core_and_a_long_sleep_is_no_load() {
        let at = |millis: u64| Moment::from_nanos(millis * 1_000_000);
        let used = Duration::from_millis;
        let mut meter = Meter::default();
        meter.restart(at(1000), used(50));
        assert_eq!(meter.measure(at(1020), used(70)), 500);
        assert_eq!(meter.measure(at(1040), used(90)), 750);
        assert_eq!(meter.measure(at(3040), used(92)), 1);
        assert!(meter.next_look == at(3060));
    }
}
