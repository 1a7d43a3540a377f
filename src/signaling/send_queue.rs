//! The frames that wait to be sent on one socket: a bounded queue between the rooms and the task that writes.
//!
//! Rooms reach a member only through this queue. For members that are connected to another node, a bus will take its
//! place.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use crate::signaling::frame::Frame;
use crate::signaling::protocol::codes::Close;
use crate::signaling::replay;

/// The most frames that may wait: all that a resume can replay, and as many that arrive meanwhile. If more wait, the
/// client does not read, and its socket is closed.
pub const FRAMES_MAX: usize = 2 * replay::FRAMES_MAX;
/// The most bytes that may wait.
pub const BYTES_MAX: usize = 1024 * 1024;

/// The queue of one socket. Clones share it.
#[derive(Debug, Clone, Default)]
pub struct SendQueue(Arc<Shared>);

/// The next action for a socket.
#[derive(Debug, PartialEq, Eq)]
pub enum Next {
    /// Send this frame.
    Send(Frame),
    /// Close the socket; no more frames follow.
    Close(Close),
}

/// The queue is full.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct QueueFull;

#[derive(Debug, Default)]
struct Shared {
    queue: Mutex<Queue>,
    changed: Notify,
}

#[derive(Debug, Default)]
struct Queue {
    frames: VecDeque<Frame>,
    bytes: usize,
    close: Option<Close>,
}

impl SendQueue {
    /// Queues a frame.
    ///
    /// # Errors
    /// If the queue is full. Then the frame is not queued.
    pub fn push(&self, frame: Frame) -> Result<(), QueueFull> {
        let mut queue = self.queue();
        if queue.frames.len() >= FRAMES_MAX || queue.bytes + frame.bytes() > BYTES_MAX {
            return Err(QueueFull);
        }
        queue.bytes += frame.bytes();
        queue.frames.push_back(frame);
        drop(queue);
        self.0.changed.notify_one();
        Ok(())
    }

    /// Closes the socket after the queued frames. A slow consumer's is closed at once, because it would never read
    /// them.
    pub fn close(&self, close: Close) {
        let mut queue = self.queue();
        if close == Close::SlowConsumer {
            (queue.frames, queue.bytes) = (VecDeque::new(), 0);
        }
        queue.close.get_or_insert(close);
        drop(queue);
        self.0.changed.notify_one();
    }

    /// The next action. The future may be dropped while it waits; nothing is lost.
    pub async fn next(&self) -> Next {
        loop {
            if let Some(next) = self.take() {
                return next;
            }
            self.0.changed.notified().await;
        }
    }

    /// Waits until the socket must close, however many frames are queued before that.
    pub async fn closing(&self) -> Close {
        loop {
            if let Some(close) = self.queue().close {
                return close;
            }
            self.0.changed.notified().await;
        }
    }

    fn take(&self) -> Option<Next> {
        let mut queue = self.queue();
        let Some(frame) = queue.frames.pop_front() else { return queue.close.map(Next::Close) };
        queue.bytes -= frame.bytes();
        if queue.frames.is_empty() {
            // Frees the memory of a past burst.
            queue.frames = VecDeque::new();
        }
        Some(Next::Send(frame))
    }

    /// The queue is right between any two statements, so a panic elsewhere spoils nothing.
    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.0.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(size: usize) -> Frame {
        Frame { n: None, re: None, message: "x".repeat(size).into() }
    }

    #[test]
    fn what_waits_comes_out_in_order_and_then_the_end() {
        let send_queue = SendQueue::default();
        (1..4).for_each(|size| send_queue.push(frame(size)).unwrap());
        send_queue.close(Close::Kicked);
        send_queue.close(Close::Drain);
        let all: Vec<_> = (0..4).filter_map(|_| send_queue.take()).collect();
        let expected =
            [Next::Send(frame(1)), Next::Send(frame(2)), Next::Send(frame(3)), Next::Close(Close::Kicked)];
        assert_eq!((all.as_slice(), send_queue.queue().frames.capacity()), (&expected[..], 0));
    }

    #[test]
    fn no_more_waits_than_the_bound() {
        let (many, large) = (SendQueue::default(), SendQueue::default());
        assert_eq!((0..).take_while(|_| many.push(frame(1)).is_ok()).count(), FRAMES_MAX);
        assert_eq!((0..).take_while(|_| large.push(frame(BYTES_MAX / 8)).is_ok()).count(), 8);
        assert_eq!(many.take(), Some(Next::Send(frame(1))));
        assert_eq!((many.push(frame(1)), many.push(frame(1))), (Ok(()), Err(QueueFull)));
    }

    #[test]
    fn a_slow_consumer_gets_nothing_more() {
        let send_queue = SendQueue::default();
        send_queue.push(frame(1)).unwrap();
        send_queue.close(Close::SlowConsumer);
        assert_eq!(send_queue.take(), Some(Next::Close(Close::SlowConsumer)));
    }
}
