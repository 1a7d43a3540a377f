//! The messages to be sent on one connection, with the boundaries between them.

use std::collections::VecDeque;
use std::io::IoSlice;

/// The messages, in order.
#[derive(Debug, Default)]
pub(super) struct Outbox {
    bytes: VecDeque<u8>,
    /// The lengths of the messages. The first may have been sent partly.
    lengths: VecDeque<u32>,
}

/// An empty outbox releases a buffer larger than this, the size of a video frame.
const KEPT: usize = 16 << 10;

impl Outbox {
    /// Adds a message, which is in parts, unless the outbox would then hold more than `most` bytes. Returns whether it was
    /// added.
    pub(super) fn push(&mut self, message: [&[u8]; 3], most: usize) -> bool {
        let length: usize = message.iter().map(|part| part.len()).sum();
        let fits = self.held() + length + size_of::<u32>() <= most;
        if fits && length > 0 {
            let needed = self.bytes.len() + length;
            if needed > self.bytes.capacity() {
                // Doubles, but to no more than may be held.
                let room = (2 * self.bytes.capacity()).clamp(needed, most);
                self.bytes.reserve_exact(room - self.bytes.len());
            }
            message.iter().for_each(|part| self.bytes.extend(*part));
            self.lengths.push_back(length as u32);
        }
        fits
    }

    /// What it holds, in bytes.
    pub(super) fn held(&self) -> usize {
        self.bytes.len() + self.lengths.len() * size_of::<u32>()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// All bytes.
    pub(super) fn all(&self) -> [IoSlice<'_>; 2] {
        let (front, back) = self.bytes.as_slices();
        [IoSlice::new(front), IoSlice::new(back)]
    }

    /// The first message, or the rest of it.
    pub(super) fn first(&self) -> [IoSlice<'_>; 2] {
        let length = self.lengths.front().map_or(0, |length| *length as usize);
        let (front, back) = self.bytes.as_slices();
        let in_front = length.min(front.len());
        [IoSlice::new(&front[..in_front]), IoSlice::new(&back[..length - in_front])]
    }

    /// Removes `count` bytes that were sent, regardless of message boundaries.
    pub(super) fn sent(&mut self, mut count: usize) {
        self.bytes.drain(..count);
        while let Some(first) = self.lengths.front_mut() {
            let length = *first as usize;
            if count < length {
                *first -= count as u32;
                break;
            }
            count -= length;
            self.lengths.pop_front();
        }
        if self.bytes.is_empty() && self.bytes.capacity() > KEPT {
            *self = Self::default();
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn text(slices: [IoSlice<'_>; 2]) -> Vec<u8> {
        slices.iter().flat_map(|slice| slice.to_vec()).collect()
    }

    #[test]
    fn a_message_that_does_not_fit_is_not_there_at_all() {
        let mut outbox = Outbox::default();
        let most = 6 + 2 * size_of::<u32>();
        assert!(
            outbox.push([b"12", b"3", b"4"], most)
                && !outbox.push([b"567", b"", b""], most)
                && outbox.push([b"", b"56", b""], most)
        );
        assert_eq!(text(outbox.all()), b"123456");
    }

    proptest! {
        /// Both ways of sending, mixed, send every byte exactly once and in order.
        #[test]
        fn what_is_sent_is_what_was_pushed(
            steps in proptest::collection::vec((0..50_usize, 0..80_usize, any::<bool>()), 1..100),
        ) {
            let (mut outbox, mut pushed, mut sent) = (Outbox::default(), Vec::new(), Vec::new());
            for (length, most, whole) in steps {
                let message: Vec<u8> = (0..length).map(|i| (pushed.len() + i) as u8).collect();
                if outbox.push([&message[..length / 2], &message[length / 2..], b""], 200) {
                    pushed.extend_from_slice(&message);
                }
                let slices = if whole { outbox.first() } else { outbox.all() };
                let mut bytes = text(slices);
                bytes.truncate(if whole { bytes.len() } else { most });
                outbox.sent(bytes.len());
                sent.extend(bytes);
                prop_assert_eq!(outbox.lengths.iter().sum::<u32>() as usize, outbox.bytes.len());
            }
            sent.extend(text(outbox.all()));
            prop_assert_eq!(sent, pushed);
        }
    }
}
