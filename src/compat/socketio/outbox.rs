//! The packets that wait for a client: a bounded queue between a session and its transport.

use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

/// While so many packets or bytes wait, the session takes no more from the hub, whose own queue is bounded.
const PACKETS: usize = 64;
const BYTES: usize = 64 * 1024;
/// A client that has so many packets or bytes waiting, because it goes on sending, does not read.
const PACKETS_MAX: usize = 4 * PACKETS;
const BYTES_MAX: usize = 4 * BYTES;

/// The queue of one session.
#[derive(Debug, Default)]
pub(super) struct Outbox {
    waiting: Mutex<Waiting>,
    /// A packet has come, or the end.
    filled: Notify,
    /// Packets were taken.
    emptied: Notify,
}

/// The queue is full, or over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct NoSpace;

#[derive(Debug, Default)]
struct Waiting {
    packets: Vec<String>,
    bytes: usize,
    is_over: bool,
}

impl Outbox {
    /// Adds a packet.
    pub(super) fn push(&self, packet: String) -> Result<(), NoSpace> {
        let mut waiting = self.waiting();
        let bytes = waiting.bytes + packet.len();
        if waiting.is_over || waiting.packets.len() >= PACKETS_MAX || bytes > BYTES_MAX {
            return Err(NoSpace);
        }
        waiting.bytes = bytes;
        waiting.packets.push(packet);
        drop(waiting);
        self.filled.notify_one();
        Ok(())
    }

    /// Adds the last packets, however many wait.
    pub(super) fn end(&self, last: Vec<String>) {
        let mut waiting = self.waiting();
        if !waiting.is_over {
            waiting.packets.extend(last);
            waiting.is_over = true;
        }
        drop(waiting);
        self.filled.notify_one();
        self.emptied.notify_one();
    }

    /// All packets that wait, once there are any; `None` at the end. The future may be dropped while it waits.
    pub(super) async fn take(&self) -> Option<Vec<String>> {
        loop {
            if let Some(packets) = self.take_now() {
                return packets;
            }
            self.filled.notified().await;
        }
    }

    /// Whether more can be taken from the hub.
    pub(super) fn has_space(&self) -> bool {
        let waiting = self.waiting();
        waiting.packets.len() < PACKETS && waiting.bytes < BYTES
    }

    /// Waits until no packet waits.
    pub(super) async fn drained(&self) {
        while !self.waiting().packets.is_empty() {
            self.emptied.notified().await;
        }
    }

    /// Waits until packets were taken, or for the end.
    pub(super) async fn emptied(&self) {
        self.emptied.notified().await;
    }

    fn take_now(&self) -> Option<Option<Vec<String>>> {
        let mut waiting = self.waiting();
        if waiting.packets.is_empty() {
            return waiting.is_over.then_some(None);
        }
        waiting.bytes = 0;
        let packets = std::mem::take(&mut waiting.packets);
        drop(waiting);
        self.emptied.notify_one();
        Some(Some(packets))
    }

    /// The queue is right between any two statements, so a panic elsewhere spoils nothing.
    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packets_come_out_together_and_then_the_end() {
        let outbox = Outbox::default();
        outbox.push("a".to_owned()).unwrap();
        outbox.push("b".to_owned()).unwrap();
        outbox.end(vec!["1".to_owned()]);
        outbox.end(vec!["2".to_owned()]);
        assert_eq!(outbox.take_now(), Some(Some(["a", "b", "1"].map(str::to_owned).into())));
        assert_eq!(outbox.take_now(), Some(None));
        assert_eq!(outbox.push(String::new()), Err(NoSpace));
    }

    #[test]
    fn a_client_that_does_not_read_gets_so_much_and_no_more() {
        let (many, large) = (Outbox::default(), Outbox::default());
        assert_eq!((0..).take_while(|_| many.push("x".to_owned()).is_ok()).count(), PACKETS_MAX);
        assert_eq!((0..).take_while(|_| large.push("x".repeat(BYTES)).is_ok()).count(), 4);
        assert!(!many.has_space() && !large.has_space());
        many.take_now();
        assert!(many.has_space() && many.push("x".to_owned()).is_ok());
    }
}
