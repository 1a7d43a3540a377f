//! PURE  When several datagrams cross the network stack as one: `UDP_GRO` for those that arrive, `UDP_SEGMENT` for those
//! that leave (udp(7)).
//!
//! To receive so is worth it where datagrams of one sender follow one another, so each socket learns whether they do. To
//! send so is always worth it, but not every network device can.

use std::cell::Cell;

use crate::sections::relay::Switch;

/// What the traffic of one socket has been like.
#[derive(Debug, Default)]
pub(super) struct Traffic {
    /// How many slots its next read should offer the kernel.
    expected: Cell<u8>,
    /// Rises while datagrams of one sender follow one another, and falls while they do not.
    runs: Cell<u8>,
    /// Whether the kernel may deliver several datagrams as one.
    joined: Cell<bool>,
    /// How many datagrams the kernel had dropped when it last said so. The kernel's number wraps.
    dropped: Cell<u32>,
}

/// The fewest and the most slots that a read offers. To prepare a slot costs some nanoseconds.
const FEWEST: usize = 4;
const MOST: usize = 64;
/// How high [`Traffic::runs`] may rise, and where joining begins. It ends at zero.
const RUNS_MAX: u8 = 64;
const JOIN_AT: u8 = 32;

impl Traffic {
    /// How many slots a read should offer.
    pub(super) fn expected(&self) -> usize {
        usize::from(self.expected.get()).max(FEWEST)
    }

    /// A read has filled so many slots: the next one offers room for twice as many, or for a few less than this one. A burst
    /// often arrives in two parts, and the smaller one must not make the next burst take another system call.
    pub(super) fn filled(&self, slots: usize) {
        let before = self.expected();
        self.expected.set((2 * slots).clamp(FEWEST, MOST).max(before - before.div_ceil(8)) as u8);
    }

    /// Notes what a read has brought: how many datagrams came right behind one of the same sender and length, and how many
    /// did not. Returns whether the kernel should join datagrams from now on, if that changes.
    pub(super) fn learn(&self, offload: Switch, followers: usize, others: usize) -> Option<bool> {
        let (up, down) = ((2 * followers).min(255) as u8, others.min(255) as u8);
        self.runs.set(self.runs.get().saturating_add(up).min(RUNS_MAX).saturating_sub(down));
        let wanted = match offload {
            Switch::On => true,
            Switch::Off => false,
            Switch::Auto if self.joined.get() => self.runs.get() > 0,
            Switch::Auto => self.runs.get() >= JOIN_AT,
        };
        (self.joined.replace(wanted) != wanted).then_some(wanted)
    }

    /// The kernel has dropped so many datagrams in all; returns how many are new.
    pub(super) fn dropped(&self, all: u32) -> u32 {
        all.wrapping_sub(self.dropped.replace(all))
    }
}

/// The longest datagram that is sent as part of a longer one: what fits an Ethernet packet over IPv4. The kernel cuts
/// nothing that is too long for the way.
const SEGMENT_MAX: usize = 1472;
/// Shorter datagrams fit every network. If the kernel cannot even cut into these, it cannot cut.
const SEGMENT_MIN: usize = 1232;

/// What the kernel can cut into datagrams, as far as is known.
#[derive(Debug)]
pub(super) struct Cut {
    /// The longest datagram that it cuts into; 0 if it cuts nothing.
    most: usize,
}

impl Cut {
    /// What the configuration allows, if the kernel can cut at all.
    pub(super) fn new(offload: Switch, kernel_cuts: bool) -> Self {
        Self { most: if offload == Switch::Off || !kernel_cuts { 0 } else { SEGMENT_MAX } }
    }

    /// The longest datagram that may be part of a longer one; 0 if there is none.
    pub(super) fn most(&self) -> usize {
        self.most
    }

    /// The kernel has refused to cut into datagrams of this length. From now on it is not asked for as much. `too_long` says
    /// that it may have been the length. Returns whether this is news.
    pub(super) fn refused(&mut self, length: usize, too_long: bool) -> bool {
        let most = if too_long && length > SEGMENT_MIN { length - 1 } else { 0 };
        let news = most < self.most;
        self.most = self.most.min(most);
        news
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn joining_begins_where_datagrams_follow_one_another_and_ends_where_they_do_not() {
        let traffic = Traffic::default();
        let learn = |followers, others| traffic.learn(Switch::Auto, followers, others);
        assert_eq!((0..100).find_map(|_| learn(0, 1)), None);
        assert_eq!([learn(10, 1), learn(10, 1)], [None, Some(true)]);
        // Frames of video between packets of sound.
        assert_eq!((0..100).find_map(|_| learn(3, 3)), None);
        assert_eq!((0..RUNS_MAX).find_map(|_| learn(0, 1)), Some(false));
    }

    #[test]
    fn the_configuration_may_want_it_always_or_never() {
        let traffic = Traffic::default();
        assert_eq!(traffic.learn(Switch::On, 0, 1), Some(true));
        assert_eq!(traffic.learn(Switch::On, 0, 100), None);
        assert_eq!(traffic.learn(Switch::Off, 100, 0), Some(false));
        assert_eq!(traffic.learn(Switch::Off, 100, 0), None);
    }

    #[test]
    fn a_read_offers_twice_as_many_slots_as_were_filled_and_only_a_few_less_after_a_small_one() {
        let traffic = Traffic::default();
        let offered = |filled| {
            traffic.filled(filled);
            traffic.expected()
        };
        assert_eq!([0, 1, 3, 16, 64, 1, 32, 1].map(offered), [4, 4, 6, 32, 64, 56, 64, 56]);
        assert_eq!((0..40).map(|_| offered(1)).min(), Some(FEWEST));
    }

    #[test]
    fn what_the_kernel_refuses_to_cut_is_not_tried_again() {
        let mut cut = Cut::new(Switch::Auto, true);
        assert_eq!(cut.most(), 1472);
        assert!(cut.refused(1400, true));
        assert_eq!(cut.most(), 1399);
        assert!(!cut.refused(1450, true));
        assert!(cut.refused(SEGMENT_MIN, true) && cut.most() == 0);
        let mut cut = Cut::new(Switch::On, true);
        assert!(cut.refused(1400, false) && cut.most() == 0);
        assert_eq!((Cut::new(Switch::Off, true).most(), Cut::new(Switch::On, false).most()), (0, 0));
    }
}
