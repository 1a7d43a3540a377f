//! A bounded queue of lines that wait to be written. Lines that do not fit are dropped and counted.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// The queue between the threads that log and the writer.
#[derive(Debug, Default)]
pub(super) struct Queue {
    state: Mutex<State>,
    /// Wakes the writer, or the thread that waits for the writer.
    changed: Condvar,
    /// Lines that did not fit, or that could not be written.
    pub(super) lost: AtomicU64,
}

#[derive(Debug, Default)]
struct State {
    waiting: Vec<u8>,
    nudged: bool,
    closing: bool,
    /// Whether no more lines are taken: the writer has written its last line, or is no longer waited for.
    ended: bool,
}

/// What the writer must do next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Next {
    /// Go on.
    GoOn,
    /// Write the batch, and end when the queue is empty.
    End,
}

/// Bytes that may wait in the queue; as many again may be in the writer's batch. This is one or two thousand lines: only a
/// flood or a long pause of the reader loses lines.
pub(super) const BYTES_MAX: usize = 256 << 10;
/// The capacity that a buffer keeps after a flood.
const BYTES_USUAL: usize = 16 << 10;

impl Queue {
    /// Adds a line if it fits. Never waits for the log's reader.
    pub(super) fn push(&self, line: &[u8]) {
        let mut state = self.state();
        if state.ended || state.waiting.len() + line.len() > BYTES_MAX {
            self.lose(1);
            return;
        }
        state.waiting.extend_from_slice(line);
        drop(state);
        self.changed.notify_all();
    }

    /// Counts lost lines.
    pub(super) fn lose(&self, lines: u64) {
        self.lost.fetch_add(lines, Ordering::Relaxed);
    }

    /// Wakes the writer, even if there is no line.
    pub(super) fn nudge(&self) {
        self.state().nudged = true;
        self.changed.notify_all();
    }

    /// Waits for lines, a nudge or the end, for at most `patience`. The waiting lines replace those in `batch`.
    pub(super) fn take(&self, batch: &mut Vec<u8>, patience: Option<Duration>) -> Next {
        batch.clear();
        batch.shrink_to(BYTES_USUAL);
        let idle = |state: &mut State| state.waiting.is_empty() && !state.nudged && !state.closing;
        let state = self.state();
        let mut state = match patience {
            None => self.changed.wait_while(state, idle).unwrap_or_else(PoisonError::into_inner),
            Some(patience) => {
                let waited = self.changed.wait_timeout_while(state, patience, idle);
                waited.unwrap_or_else(PoisonError::into_inner).0
            }
        };
        state.nudged = false;
        std::mem::swap(&mut state.waiting, batch);
        if state.closing { Next::End } else { Next::GoOn }
    }

    /// Has the writer write the waiting lines and end. Waits for it for at most `patience`.
    pub(super) fn close(&self, patience: Duration) {
        let mut state = self.state();
        state.closing = true;
        self.changed.notify_all();
        let waited = self.changed.wait_timeout_while(state, patience, |state| !state.ended);
        waited.unwrap_or_else(PoisonError::into_inner).0.ended = true;
    }

    /// Ends the queue unless a new line waits in it. Returns whether it has ended.
    pub(super) fn end(&self) -> bool {
        let mut state = self.state();
        state.ended |= state.waiting.is_empty();
        self.changed.notify_all();
        state.ended
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_fit_is_counted_and_what_fits_stays_in_order() {
        let (queue, mut batch) = (Queue::default(), Vec::new());
        let line = |n: usize| format!("{n:>99}\n");
        for n in 0..10_000 {
            queue.push(line(n).as_bytes());
        }
        let fit = BYTES_MAX / 100;
        assert_eq!(queue.lost.load(Ordering::Relaxed), (10_000 - fit) as u64);
        assert_eq!(queue.take(&mut batch, None), Next::GoOn);
        assert_eq!(String::from_utf8(batch.clone()).unwrap(), (0..fit).map(line).collect::<String>());
        queue.push(&vec![b'x'; BYTES_MAX + 1]);
        queue.push(b"again\n");
        queue.take(&mut batch, None);
        assert_eq!(batch, b"again\n", "a line that never fits harms no other");
    }

    #[test]
    fn the_end_waits_for_nobody_for_ever() {
        let queue = Queue::default();
        queue.push(b"a line\n");
        queue.close(Duration::from_millis(10));
        queue.push(b"too late\n");
        let mut batch = Vec::new();
        assert_eq!((queue.take(&mut batch, None), batch), (Next::End, b"a line\n".to_vec()));
        assert_eq!(queue.lost.load(Ordering::Relaxed), 1);
    }
}
