//! PURE  When to ping a socket, and when its client counts as dead.
//!
//! A ping carries the number of the last frame that went out before it, and every WebSocket client echoes pings
//! automatically. So a pong proves that all frames up to that number have arrived, and the session need not keep them.
//! That is why a ping is due early when many frames or bytes are unconfirmed.

use std::time::Duration;

use crate::clock::Moment;

/// The longest time between pings; below the minute after which proxies close a silent connection.
pub const PING: Duration = Duration::from_secs(20);
/// How long a client may be silent before it counts as dead.
pub const DEAD: Duration = Duration::from_secs(45);
/// Frames and bytes that may be sent before an early ping is due.
pub const FRAMES: u32 = 16;
/// See [`FRAMES`].
pub const BYTES: usize = 4 * 1024;

/// The heartbeat of one socket.
#[derive(Debug)]
pub struct Heartbeat {
    heard: Moment,
    pinged: Moment,
    /// Whether the last ping is unanswered. No early ping is sent meanwhile.
    waiting: bool,
    last: u64,
    frames: u32,
    bytes: usize,
}

impl Heartbeat {
    /// The heartbeat of a socket that was opened at `now`.
    #[must_use]
    pub fn new(now: Moment) -> Self {
        Self { heard: now, pinged: now, waiting: false, last: 0, frames: 0, bytes: 0 }
    }

    /// Something has arrived from the client.
    pub fn heard(&mut self, now: Moment) {
        self.heard = now;
    }

    /// A frame of `bytes` bytes was sent; `n` is its number, if it has one.
    pub fn sent(&mut self, n: Option<u64>, bytes: usize) {
        if let Some(n) = n {
            self.last = n;
            self.frames += 1;
            self.bytes += bytes;
        }
    }

    /// The payload of a ping, if one is due.
    pub fn ping(&mut self, now: Moment) -> Option<[u8; 8]> {
        let early = !self.waiting && (self.frames >= FRAMES || self.bytes >= BYTES);
        if !early && now < self.pinged + PING {
            return None;
        }
        (self.pinged, self.waiting, self.frames, self.bytes) = (now, true, 0, 0);
        Some(self.last.to_be_bytes())
    }

    /// A pong has arrived. Returns the number up to which all frames have arrived; `None` for a pong that answers no
    /// ping.
    pub fn pong(&mut self, payload: &[u8]) -> Option<u64> {
        let n = u64::from_be_bytes(payload.try_into().ok()?);
        let is_asked_for = self.waiting && n <= self.last;
        self.waiting &= !is_asked_for;
        is_asked_for.then_some(n)
    }

    /// When the next action is due: [`Self::ping`], or giving the client up.
    #[must_use]
    pub fn next(&self) -> Moment {
        (self.pinged + PING).min(self.heard + DEAD)
    }

    /// Whether the client has been silent for too long.
    #[must_use]
    pub fn is_dead(&self, now: Moment) -> bool {
        self.heard + DEAD <= now
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Moment {
        Moment::from_nanos(seconds * 1_000_000_000)
    }

    #[test]
    fn a_ping_goes_out_every_twenty_seconds_and_says_what_went_out_before() {
        let mut heartbeat = Heartbeat::new(at(0));
        heartbeat.sent(Some(3), 100);
        assert_eq!((heartbeat.ping(at(19)), heartbeat.next()), (None, at(20)));
        assert_eq!(heartbeat.ping(at(20)), Some([0, 0, 0, 0, 0, 0, 0, 3]));
        assert_eq!((heartbeat.ping(at(39)), heartbeat.ping(at(40)).is_some()), (None, true));
    }

    #[test]
    fn much_that_nobody_confirmed_makes_it_early_but_there_is_one_at_a_time() {
        let mut heartbeat = Heartbeat::new(at(0));
        (1..=u64::from(FRAMES)).for_each(|n| heartbeat.sent(Some(n), 10));
        let ping = heartbeat.ping(at(1)).unwrap();
        heartbeat.sent(Some(17), BYTES);
        assert_eq!(heartbeat.ping(at(1)), None);
        assert_eq!(heartbeat.pong(&ping), Some(16));
        assert_eq!(heartbeat.ping(at(1)), Some([0, 0, 0, 0, 0, 0, 0, 17]));
    }

    #[test]
    fn a_pong_confirms_nothing_that_was_not_sent() {
        let mut heartbeat = Heartbeat::new(at(0));
        heartbeat.sent(Some(7), 10);
        assert_eq!(heartbeat.pong(&7_u64.to_be_bytes()), None, "nobody asked");
        assert!(heartbeat.ping(at(20)).is_some());
        for lie in [&8_u64.to_be_bytes()[..], &u64::MAX.to_be_bytes(), b"", b"keepalive"] {
            assert_eq!(heartbeat.pong(lie), None);
        }
        let seven = 7_u64.to_be_bytes();
        assert_eq!((heartbeat.pong(&seven), heartbeat.pong(&seven)), (Some(7), None));
    }

    #[test]
    fn a_client_is_dead_after_45_silent_seconds() {
        let mut heartbeat = Heartbeat::new(at(0));
        heartbeat.heard(at(10));
        assert_eq!((heartbeat.is_dead(at(54)), heartbeat.is_dead(at(55))), (false, true));
    }
}
