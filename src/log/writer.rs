//! The only thread that waits for the log's reader. It also reports lines that were lost or left out.

use std::io::{self, Write};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tracing::Level;

use crate::clock::{Clock, Moment};
use crate::log::bound::{Bound, OVER, Sum};
use crate::log::queue::{Next, Queue};

/// Writes lines from the queue to `sink`.
pub(super) struct Writer<S> {
    queue: Arc<Queue>,
    bound: Arc<Mutex<Bound>>,
    sink: S,
    clock: Clock,
    /// Whether the sink took all of the last batch.
    takes: bool,
    /// Whether the sink's last line is incomplete.
    torn: bool,
    /// How many lost lines have been reported, and when.
    told: u64,
    told_at: Option<Moment>,
}

/// The shortest time between two reports of lost lines.
const TELL: Duration = Duration::from_secs(1);
/// How long to wait before another write to a non-blocking sink that is full.
const PAUSE: Duration = Duration::from_millis(50);

impl<S: Write> Writer<S> {
    pub(super) fn new(queue: Arc<Queue>, bound: Arc<Mutex<Bound>>, sink: S, clock: Clock) -> Self {
        Self { queue, bound, sink, clock, takes: true, torn: false, told: 0, told_at: None }
    }

    /// Writes until the queue is closed and empty.
    pub(super) fn run(mut self) {
        let mut batch = Vec::new();
        loop {
            let next = self.queue.take(&mut batch, self.patience());
            if !batch.is_empty() {
                self.takes = self.write(&batch);
            }
            let now = self.clock.now().moment;
            let sums = match next {
                Next::GoOn => self.bound().due(now),
                Next::End => self.bound().rest(),
            };
            sums.into_iter().for_each(tell_sum);
            self.tell_losses(next, now);
            if next == Next::End && self.queue.end() {
                return;
            }
        }
    }

    /// How long to wait for a line: at most [`OVER`] if there is something to report.
    fn patience(&self) -> Option<Duration> {
        let owes = self.bound().holds_any() || (self.takes && self.lost() > self.told);
        owes.then_some(OVER)
    }

    /// Whether the sink took the whole batch. Lines that it did not take are counted as lost.
    fn write(&mut self, batch: &[u8]) -> bool {
        if self.torn && self.put(b"\n").is_err() {
            self.queue.lose(lines(batch));
            return false;
        }
        self.torn = false;
        match self.put(batch) {
            Ok(()) => true,
            Err(written) => {
                self.torn = batch[..written].last().is_some_and(|last| *last != b'\n');
                self.queue.lose(lines(&batch[written..]));
                false
            }
        }
    }

    /// Writes bytes to the sink.
    ///
    /// # Errors
    /// The number of bytes that the sink took, if it did not take all.
    fn put(&mut self, bytes: &[u8]) -> Result<(), usize> {
        let mut written = 0;
        while written < bytes.len() {
            match self.sink.write(&bytes[written..]) {
                Ok(0) => return Err(written),
                Ok(count) => written += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                // Another process that shares the sink has made it non-blocking.
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => std::thread::sleep(PAUSE),
                Err(_) => return Err(written),
            }
        }
        Ok(())
    }

    /// Reports how many lines were lost, once the sink takes lines again.
    fn tell_losses(&mut self, next: Next, now: Moment) {
        let lost = self.lost();
        let early = self.told_at.is_some_and(|told| now.since(told) < TELL) && next == Next::GoOn;
        if !self.takes || lost == self.told || early {
            return;
        }
        let more = lost - self.told;
        (self.told, self.told_at) = (lost, Some(now));
        tracing::warn!(
            lost = more,
            in_all = lost,
            "log lines were lost: nobody read the log, or it could not be written"
        );
    }

    fn lost(&self) -> u64 {
        self.queue.lost.load(Ordering::Relaxed)
    }

    fn bound(&self) -> MutexGuard<'_, Bound> {
        self.bound.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Reports ERROR lines at ERROR and all others at WARN, so that every level that shows the lines also shows the sum.
fn tell_sum(Sum { site, left_out }: Sum) {
    let (target, line) = (site.target(), site.line().unwrap_or(0));
    if *site.level() == Level::ERROR {
        tracing::error!(
            left_out,
            from = format_args!("{target}:{line}"),
            "too many lines like this: some were left out"
        );
    } else {
        tracing::warn!(
            left_out,
            from = format_args!("{target}:{line}"),
            "too many lines like this: some were left out"
        );
    }
}

fn lines(bytes: &[u8]) -> u64 {
    bytes.iter().filter(|byte| **byte == b'\n').count() as u64
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use super::*;

    /// A sink that handles each write as `moods` says, and then takes everything.
    struct Moody {
        moods: VecDeque<io::Result<usize>>,
        taken: Arc<Mutex<Vec<u8>>>,
    }

    impl Write for Moody {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let count = self.moods.pop_front().unwrap_or(Ok(bytes.len()))?.min(bytes.len());
            self.taken.lock().unwrap().extend_from_slice(&bytes[..count]);
            Ok(count)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// The text that arrives in such a sink, and the number of lost lines.
    fn written(moods: Vec<io::Result<usize>>, batches: &[&str]) -> (String, u64) {
        let (queue, taken) = (Arc::new(Queue::default()), Arc::default());
        let sink = Moody { moods: moods.into(), taken: Arc::clone(&taken) };
        let mut writer = Writer::new(Arc::clone(&queue), Arc::default(), sink, Clock::start());
        for batch in batches {
            writer.takes = writer.write(batch.as_bytes());
        }
        let text = String::from_utf8(taken.lock().unwrap().clone()).unwrap();
        (text, queue.lost.load(Ordering::Relaxed))
    }

    #[test]
    fn a_sink_that_takes_pieces_or_has_no_room_for_a_moment_gets_everything() {
        let error = |kind: io::ErrorKind| Err(kind.into());
        let moods =
            vec![Ok(1), error(io::ErrorKind::WouldBlock), error(io::ErrorKind::Interrupted), Ok(2), Ok(1)];
        assert_eq!(written(moods, &["one\ntwo\n"]), ("one\ntwo\n".to_owned(), 0));
    }

    #[test]
    fn what_a_sink_refuses_is_counted_in_lines_and_the_next_line_begins_where_lines_begin() {
        let full = || Err(io::ErrorKind::StorageFull.into());
        assert_eq!(
            written(vec![Ok(5), full()], &["one\ntwo\nthree\n", "four\n"]),
            ("one\nt\nfour\n".to_owned(), 2)
        );
        assert_eq!(
            written(vec![full(), full(), Ok(0)], &["one\n", "two\n", "x\n", "y\n"]),
            ("y\n".to_owned(), 3)
        );
        assert_eq!(
            written(vec![Ok(1), full(), full()], &["one\n", "two\n", "y\n"]),
            ("o\ny\n".to_owned(), 2)
        );
    }

    #[test]
    fn all_that_was_said_is_written_before_the_end() {
        let (queue, taken) = (Arc::new(Queue::default()), Arc::default());
        let sink = Moody { moods: VecDeque::new(), taken: Arc::clone(&taken) };
        let writer = Writer::new(Arc::clone(&queue), Arc::default(), sink, Clock::start());
        let thread = std::thread::spawn(|| writer.run());
        for n in 0..1000 {
            queue.push(format!("{n}\n").as_bytes());
        }
        queue.close(Duration::from_secs(60));
        let text: String = (0..1000).map(|n| format!("{n}\n")).collect();
        assert_eq!(String::from_utf8(taken.lock().unwrap().clone()).unwrap(), text);
        thread.join().unwrap();
    }
}
