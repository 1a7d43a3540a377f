//! PURE  Keeps what a session was sent until it is known to have arrived.
//!
//! What arrived is known from the numbers that a client echoes: in the pongs that every WebSocket client sends by
//! itself, in `ping` and in `hello`. So a member who reads costs next to nothing, and one who does not costs the bound.

use std::collections::VecDeque;
use std::sync::Arc;

/// Frames that are kept; of more, the oldest are forgotten.
pub const FRAMES_MAX: usize = 256;
/// Bytes that are kept; of more, the oldest frames are forgotten.
pub const BYTES_MAX: usize = 256 * 1024;

/// The text of a frame, shared by all who keep or send it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame {
    /// Its number in the session; `None` for what belongs to the socket alone.
    pub n: Option<u64>,
    /// The JSON.
    pub text: Arc<str>,
}

/// The frames of one session that may not have arrived.
#[derive(Debug, Default)]
pub struct Replay {
    /// The number of the last frame that was sent.
    sent: u64,
    /// The number up to which all is forgotten, because it arrived or because there was too much.
    gone: u64,
    /// The frames from `gone` to `sent`, in order.
    frames: VecDeque<Arc<str>>,
    bytes: usize,
}

impl Replay {
    /// The number of the next frame.
    #[must_use]
    pub fn next(&self) -> u64 {
        self.sent + 1
    }

    /// Keeps the next frame, whose text is made from its number.
    pub fn push(&mut self, text: impl FnOnce(u64) -> String) -> Frame {
        self.sent += 1;
        let text: Arc<str> = text(self.sent).into();
        self.bytes += text.len();
        self.frames.push_back(Arc::clone(&text));
        while self.frames.len() > FRAMES_MAX || self.bytes > BYTES_MAX {
            self.forget_one();
        }
        Frame { n: Some(self.sent), text }
    }

    /// Everything up to `n` has arrived. A number that was never sent proves nothing.
    pub fn acknowledge(&mut self, n: u64) {
        if n > self.sent {
            return;
        }
        while self.gone < n {
            self.forget_one();
        }
        if self.frames.is_empty() {
            self.frames = VecDeque::new();
        }
    }

    /// The frames after `last`; `None` if they are not all there, or `last` was never sent.
    pub fn after(&self, last: u64) -> Option<impl Iterator<Item = Frame>> {
        let known = self.gone..=self.sent;
        if !known.contains(&last) {
            return None;
        }
        let first = last + 1;
        let frames = self.frames.iter().skip(usize::try_from(last - self.gone).unwrap_or(usize::MAX));
        Some((first..).zip(frames).map(|(n, text)| Frame { n: Some(n), text: Arc::clone(text) }))
    }

    fn forget_one(&mut self) {
        if let Some(text) = self.frames.pop_front() {
            self.bytes -= text.len();
            self.gone += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn filled(frames: u64) -> Replay {
        let mut replay = Replay::default();
        (0..frames).for_each(|_| drop(replay.push(|n| format!("frame {n}"))));
        replay
    }

    fn after(replay: &Replay, last: u64) -> Option<Vec<u64>> {
        replay.after(last).map(|frames| {
            frames
                .map(|frame| {
                    assert_eq!(*frame.text, *format!("frame {}", frame.n.unwrap()));
                    frame.n.unwrap()
                })
                .collect()
        })
    }

    #[test]
    fn what_did_not_arrive_is_sent_again_and_nothing_else() {
        let mut replay = filled(5);
        assert_eq!(after(&replay, 0), Some(vec![1, 2, 3, 4, 5]));
        replay.acknowledge(3);
        assert_eq!((after(&replay, 3), after(&replay, 5)), (Some(vec![4, 5]), Some(vec![])));
        assert_eq!((after(&replay, 2), after(&replay, 6)), (None, None));
    }

    #[test]
    fn what_arrived_costs_nothing_and_what_was_never_sent_cannot_have_arrived() {
        let mut replay = filled(100);
        replay.acknowledge(101);
        replay.acknowledge(u64::MAX);
        assert_eq!(replay.frames.len(), 100);
        replay.acknowledge(100);
        replay.acknowledge(7);
        assert_eq!((replay.frames.capacity(), replay.bytes, replay.next()), (0, 0, 101));
    }

    #[test]
    fn never_more_is_kept_than_the_bound_and_then_the_session_cannot_be_resumed_from_the_start() {
        let many = filled(FRAMES_MAX as u64 + 1);
        assert_eq!((many.frames.len(), after(&many, 0)), (FRAMES_MAX, None));
        assert_eq!(after(&many, 1).map(|list| list.len()), Some(FRAMES_MAX));
        let mut large = Replay::default();
        (0..10).for_each(|_| drop(large.push(|_| "x".repeat(BYTES_MAX / 4))));
        assert_eq!((large.frames.len(), large.bytes), (4, BYTES_MAX));
    }

    proptest! {
        #[test]
        fn the_bytes_are_those_of_the_frames(steps in prop::collection::vec((any::<bool>(), 0..40_000_usize), 0..60)) {
            let mut replay = Replay::default();
            for (push, size) in steps {
                if push { drop(replay.push(|_| "x".repeat(size))) } else { replay.acknowledge(size as u64 / 1000) }
                prop_assert_eq!(replay.bytes, replay.frames.iter().map(|text| text.len()).sum::<usize>());
                prop_assert_eq!(replay.sent - replay.gone, replay.frames.len() as u64);
                prop_assert!(replay.bytes <= BYTES_MAX && replay.frames.len() <= FRAMES_MAX);
            }
        }
    }
}
