//! PURE  Keeps the frames that a session was sent, until they are known to have arrived.
//!
//! Clients confirm frames by number: in the pongs that every WebSocket client sends automatically, in `ping` and in
//! `hello`. So the replay of a client that reads stays nearly empty, and that of one that does not is bounded. One
//! member's messages must not end another's session: at the bound, the frames of least [worth](Worth) are left out.

use std::collections::VecDeque;
use std::sync::Arc;

use crate::signaling::frame::{self, Frame};
use crate::signaling::protocol::names::PeerId;
use crate::signaling::worth::Worth;

/// The most frames that are kept.
pub const FRAMES_MAX: usize = 256;
/// The most bytes that are kept.
pub const BYTES_MAX: usize = 256 * 1024;

/// The frames of one session that may not have arrived.
#[derive(Debug, Default)]
pub struct Replay {
    /// The number of the last frame.
    sent: u64,
    /// The number of the last frame that was handed to a socket.
    shown: u64,
    /// The number up to which all frames are dropped, because they arrived or because there were too many.
    gone: u64,
    /// The frames from `gone` to `sent`, in order, without those that were left out.
    frames: VecDeque<Kept>,
    bytes: usize,
}

/// Where a new frame goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// To a socket, at once.
    Socket,
    /// Into the replay only, until the session is resumed.
    Waits,
}

#[derive(Debug)]
struct Kept {
    n: u64,
    re: Option<u32>,
    message: Arc<str>,
    worth: Worth,
}

/// What a frame costs besides its bytes, when the member who has sent the most is determined. At this size, the two
/// bounds are reached together.
const FRAME_COST: usize = BYTES_MAX / FRAMES_MAX;

impl Replay {
    /// The number of the next frame.
    #[must_use]
    pub fn next(&self) -> u64 {
        self.sent + 1
    }

    /// Gives a message the next number and keeps it; `re` is the request that it answers, if any.
    pub fn push(&mut self, worth: Worth, way: Way, re: Option<u32>, message: Arc<str>) -> Frame {
        self.sent += 1;
        if way == Way::Socket {
            self.shown = self.sent;
        }
        let kept = Kept { n: self.sent, re, message, worth };
        let frame = kept.frame();
        self.bytes += kept.bytes();
        self.frames.push_back(kept);
        while self.frames.len() > FRAMES_MAX || self.bytes > BYTES_MAX {
            self.leave_out();
        }
        frame
    }

    /// Everything up to `n` has arrived. A number that was never sent is ignored.
    pub fn acknowledge(&mut self, n: u64) {
        if n > self.sent {
            return;
        }
        while self.frames.front().is_some_and(|kept| kept.n <= n) {
            self.remove(0);
        }
        self.gone = self.gone.max(n);
        if self.frames.is_empty() {
            self.frames = VecDeque::new();
        }
    }

    /// The frames after `last`; `None` if an indispensable one is missing, or if `last` was never sent.
    pub fn after(&self, last: u64) -> Option<impl Iterator<Item = Frame>> {
        let known = self.gone..=self.sent;
        if !known.contains(&last) {
            return None;
        }
        let missed = self.frames.iter().filter(move |kept| kept.n > last);
        Some(missed.map(Kept::frame))
    }

    /// Everything that was kept has been handed to a socket.
    pub fn show(&mut self) {
        self.shown = self.sent;
    }

    /// Leaves out the least valuable frames. If all are indispensable, drops the oldest, and the session can no longer
    /// be resumed from before it.
    fn leave_out(&mut self) {
        if let Some(peer) = self.passer() {
            self.retain(|kept| kept.worth.peer() != Some(peer));
        } else if let Some(index) = self.outdated() {
            self.remove(index);
        } else if let Some(index) = self.said_most() {
            self.remove(index);
        } else if let Some(oldest) = self.frames.front() {
            self.gone = oldest.n;
            self.remove(0);
        }
    }

    /// A member that came and left, while the client has been sent neither.
    fn passer(&self) -> Option<PeerId> {
        let untold = || self.frames.iter().filter(|kept| kept.n > self.shown).map(|kept| kept.worth);
        let went = untold().filter(|worth| worth.is_went()).filter_map(Worth::peer);
        went.into_iter().find(|peer| untold().any(|worth| worth == Worth::Came(*peer)))
    }

    /// A frame that a later one replaces.
    fn outdated(&self) -> Option<usize> {
        let mut later: Vec<Worth> = Vec::new();
        let found = self.frames.iter().enumerate().rev().find(|(_, kept)| {
            let outdated = later.iter().any(|later| later.outdates(kept.worth));
            if kept.worth.can_outdate() && !later.contains(&kept.worth) {
                later.push(kept.worth);
            }
            outdated
        });
        found.map(|(index, _)| index)
    }

    /// The oldest text, or else the oldest signal, of the member that has sent the most.
    fn said_most(&self) -> Option<usize> {
        let mut senders: Vec<(PeerId, usize)> = Vec::new();
        for kept in self.frames.iter().filter(|kept| kept.worth.is_said()) {
            let Some(peer) = kept.worth.peer() else { continue };
            let cost = kept.bytes() + FRAME_COST;
            match senders.iter_mut().find(|(sender, _)| *sender == peer) {
                Some((_, sum)) => *sum += cost,
                None => senders.push((peer, cost)),
            }
        }
        let (sender, _) = senders.into_iter().max_by_key(|(_, sum)| *sum)?;
        let oldest = |worth| self.frames.iter().position(|kept| kept.worth == worth);
        oldest(Worth::Text(sender)).or_else(|| oldest(Worth::Signal(sender)))
    }

    fn remove(&mut self, index: usize) {
        if let Some(kept) = self.frames.remove(index) {
            self.bytes -= kept.bytes();
        }
    }

    fn retain(&mut self, stays: impl Fn(&Kept) -> bool) {
        self.frames.retain(|kept| stays(kept));
        self.bytes = self.frames.iter().map(Kept::bytes).sum();
    }
}

impl Kept {
    fn frame(&self) -> Frame {
        Frame { n: Some(self.n), re: self.re, message: Arc::clone(&self.message) }
    }

    fn bytes(&self) -> usize {
        frame::bytes(Some(self.n), self.re, &self.message)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rand::SeedableRng as _;
    use rand::rngs::StdRng;

    use super::*;

    fn filled(frames: u64) -> Replay {
        let mut replay = Replay::default();
        (0..frames).for_each(|_| drop(push(&mut replay, Worth::Much, Way::Socket)));
        replay
    }

    /// Keeps a frame whose message is its number.
    fn push(replay: &mut Replay, worth: Worth, way: Way) -> Frame {
        let message = format!("{{frame {}}}", replay.next());
        replay.push(worth, way, None, message.into())
    }

    /// Keeps a frame with a text of `bytes` bytes, or as few as possible.
    fn push_bytes(replay: &mut Replay, worth: Worth, way: Way, bytes: usize) -> Frame {
        let number = format!("\"n\":{},", replay.next()).len();
        let message = format!("{{{}", "x".repeat(bytes.saturating_sub(number + 1)));
        replay.push(worth, way, None, message.into())
    }

    fn after(replay: &Replay, last: u64) -> Option<Vec<u64>> {
        replay.after(last).map(|frames| {
            frames
                .map(|frame| {
                    assert_eq!(*frame.message, *format!("{{frame {}}}", frame.n.unwrap()));
                    frame.n.unwrap()
                })
                .collect()
        })
    }

    fn peers() -> [PeerId; 3] {
        let mut rng = StdRng::seed_from_u64(1);
        std::array::from_fn(|_| PeerId::random(&mut rng))
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
    fn never_more_is_kept_than_the_bound_and_of_what_matters_nobody_goes_on_from_before_it() {
        let many = filled(FRAMES_MAX as u64 + 1);
        assert_eq!((many.frames.len(), after(&many, 0)), (FRAMES_MAX, None));
        assert_eq!(after(&many, 1).map(|list| list.len()), Some(FRAMES_MAX));
        let mut large = Replay::default();
        (0..10).for_each(|_| drop(push_bytes(&mut large, Worth::Much, Way::Socket, BYTES_MAX / 4)));
        assert_eq!((large.frames.len(), large.bytes), (4, BYTES_MAX));
    }

    #[test]
    fn text_is_left_out_first_and_of_who_sent_the_most() {
        let [alice, mallory, _] = peers();
        let mut replay = Replay::default();
        let mut push = |worth, times| {
            (0..times).for_each(|_| drop(push(&mut replay, worth, Way::Waits)));
        };
        push(Worth::Signal(mallory), 50);
        push(Worth::Text(alice), 100);
        push(Worth::Text(mallory), 1000);
        push(Worth::Came(alice), 1);
        let count = |worth| replay.frames.iter().filter(|kept| kept.worth == worth).count();
        let counts = [Worth::Signal(mallory), Worth::Text(alice), Worth::Text(mallory)].map(count);
        assert_eq!(counts, [50, 100, 105]);
        assert_eq!(after(&replay, 0).unwrap()[..3], [1, 2, 3], "and one can still go on from the start");
        assert_eq!(replay.frames.iter().rfind(|kept| kept.worth == Worth::Text(mallory)).unwrap().n, 1150);
    }

    #[test]
    fn what_something_is_like_now_is_enough() {
        let [alice, bob, _] = peers();
        let mut replay = Replay::default();
        for _ in 0..1000 {
            for worth in
                [Worth::State(alice), Worth::State(bob), Worth::Presence(bob), Worth::Room, Worth::Ice]
            {
                push(&mut replay, worth, Way::Socket);
            }
        }
        assert_eq!(after(&replay, 0).unwrap().last_chunk::<5>(), Some(&[4996, 4997, 4998, 4999, 5000]));
    }

    #[test]
    fn who_came_and_went_untold_is_not_worth_a_word_and_of_who_was_told_of_the_end_is_told() {
        let mut rng = StdRng::seed_from_u64(1);
        let mut replay = Replay::default();
        let told = PeerId::random(&mut rng);
        push(&mut replay, Worth::Came(told), Way::Socket);
        for _ in 0..1000 {
            let passer = PeerId::random(&mut rng);
            for worth in [Worth::Came(passer), Worth::Text(passer), Worth::Went(passer)] {
                push(&mut replay, worth, Way::Waits);
            }
        }
        let went = push(&mut replay, Worth::Went(told), Way::Waits).n;
        let missed = after(&replay, 1).unwrap();
        assert!(missed.last().copied() == went && missed.len() < FRAMES_MAX, "{missed:?}");
    }

    proptest! {
        #[test]
        fn the_bytes_are_those_of_the_frames(
            steps in prop::collection::vec((any::<bool>(), 0..40_000_usize, 0..9_usize), 0..100),
        ) {
            let mut replay = Replay::default();
            let [alice, bob, carol] = peers();
            let worths = [
                Worth::Much, Worth::Text(alice), Worth::Text(bob), Worth::Signal(bob), Worth::Came(carol), Worth::Went(carol),
                Worth::State(bob), Worth::Room, Worth::Presence(bob),
            ];
            for (push, size, worth) in steps {
                if push {
                    drop(push_bytes(&mut replay, worths[worth], Way::Waits, size));
                } else {
                    replay.acknowledge(size as u64 / 1000);
                }
                prop_assert_eq!(replay.bytes, replay.frames.iter().map(|kept| kept.frame().text().len()).sum::<usize>());
                prop_assert!(replay.frames.iter().is_sorted_by_key(|kept| kept.n));
                prop_assert!(replay.frames.iter().all(|kept| kept.n > replay.gone && kept.n <= replay.sent));
                prop_assert!(replay.bytes <= BYTES_MAX && replay.frames.len() <= FRAMES_MAX);
            }
        }
    }
}
