//! The messages to be sent on one connection, with the boundaries between them.

use std::collections::VecDeque;
use std::io::{self, IoSlice, Write};

/// The messages, in order.
#[derive(Debug, Default)]
pub(super) struct Outbox {
    bytes: VecDeque<u8>,
    /// The lengths of the messages. The first may have been sent partly.
    lengths: VecDeque<u32>,
}

/// Empty outboxes, whose buffers the next connections use that have something to send. A connection needs a buffer only
/// while something waits for it, and the buffer that was emptied last is still in the processor's cache.
#[derive(Debug, Default)]
pub(super) struct Spares(Vec<Outbox>);

/// How many outboxes are kept, and how large each may be: two turns' worth of full packets.
const SPARES: usize = 16;
const KEPT: usize = 64 << 10;

impl Spares {
    /// An empty outbox.
    pub(super) fn take(&mut self) -> Outbox {
        self.0.pop().unwrap_or_default()
    }

    /// Keeps an outbox if it is empty, and leaves one without a buffer in its place.
    pub(super) fn keep(&mut self, outbox: &mut Outbox) {
        if !outbox.is_empty() {
            return;
        }
        let emptied = std::mem::take(outbox);
        if (1..=KEPT).contains(&emptied.bytes.capacity()) && self.0.len() < SPARES {
            self.0.push(emptied);
        }
    }
}

impl Outbox {
    /// Adds a message, whose bytes are those of `parts` one after the other, unless the outbox would then hold more than
    /// `most` bytes. Returns whether it was added.
    pub(super) fn push(&mut self, parts: &[&[u8]], most: usize) -> bool {
        let length = parts.iter().map(|part| part.len()).sum::<usize>();
        let fits = self.held() + length + size_of::<u32>() <= most;
        if fits && length > 0 {
            let needed = self.bytes.len() + length;
            if needed > self.bytes.capacity() {
                // Doubles, but to no more than may be held.
                let room = (2 * self.bytes.capacity()).clamp(needed, most);
                self.bytes.reserve_exact(room - self.bytes.len());
            }
            parts.iter().for_each(|part| self.bytes.extend(*part));
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

    /// Writes, in one call, the first messages that have at most `most` bytes together, or else the first one, or the rest
    /// of it; removes what was written. Returns how many bytes that were.
    pub(super) fn write_to(&mut self, sink: &mut impl Write, most: usize) -> io::Result<usize> {
        let [front, back] = self.first(most);
        // One slice is cheaper to write than two, and the second one is rarely needed.
        let written = if back.is_empty() { sink.write(&front) } else { sink.write_vectored(&[front, back]) }?;
        self.sent(written);
        Ok(written)
    }

    /// The first messages that have at most `most` bytes together, or else the first one, or the rest of it.
    fn first(&self, most: usize) -> [IoSlice<'_>; 2] {
        let (front, back) = self.bytes.as_slices();
        if self.bytes.len() <= most {
            return [IoSlice::new(front), IoSlice::new(back)];
        }
        let mut end = 0;
        for length in self.lengths.iter().map(|length| *length as usize) {
            if end > 0 && end + length > most {
                break;
            }
            end += length;
        }
        let in_front = end.min(front.len());
        [IoSlice::new(&front[..in_front]), IoSlice::new(&back[..end - in_front])]
    }

    /// Removes `count` bytes that were sent, regardless of message boundaries.
    fn sent(&mut self, mut count: usize) {
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
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Takes at most so many bytes of a call, as a socket does.
    struct Sink {
        bytes: Vec<u8>,
        room: usize,
    }

    impl Write for Sink {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let taken = bytes.len().min(self.room);
            self.bytes.extend(&bytes[..taken]);
            self.room -= taken;
            Ok(taken)
        }

        fn write_vectored(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
            slices.iter().map(|slice| self.write(slice)).sum()
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// What the next call would write.
    fn first(outbox: &Outbox, most: usize) -> Vec<u8> {
        outbox.first(most).iter().flat_map(|slice| slice.to_vec()).collect()
    }

    #[test]
    fn a_message_that_does_not_fit_is_not_there_at_all() {
        let mut outbox = Outbox::default();
        let most = 6 + 2 * size_of::<u32>();
        assert!(outbox.push(&[b"12", b"", b"34"], most));
        assert!(!outbox.push(&[b"5", b"67"], most) && outbox.push(&[b"56"], most));
        assert_eq!(first(&outbox, usize::MAX), b"123456");
    }

    #[test]
    fn whole_messages_are_written_together_as_far_as_they_have_room_and_a_long_one_by_itself() {
        let mut outbox = Outbox::default();
        for message in [&b"one"[..], b"two", b"three", b"seventeen", b"x"] {
            assert!(outbox.push(&[message], 100));
        }
        let writes: [(usize, &[u8]); 5] =
            [(0, b"one"), (7, b"two"), (8, b"three"), (8, b"seventeen"), (8, b"x")];
        for (most, written) in writes {
            let mut sink = Sink { bytes: Vec::new(), room: 100 };
            assert_eq!(outbox.write_to(&mut sink, most).unwrap(), written.len());
            assert_eq!(sink.bytes, written);
        }
        assert!(outbox.is_empty());
    }

    #[test]
    fn the_buffer_that_was_emptied_last_is_used_next_and_a_large_one_is_released() {
        let mut spares = Spares::default();
        let used = |size: usize| {
            let mut outbox = Outbox::default();
            assert!(outbox.push(&[&vec![7; size][..]], 2 * KEPT));
            outbox
        };
        let (mut waiting, mut large) = (used(1), used(KEPT + 1));
        let mut emptied = [used(10), used(20)];
        for outbox in emptied.iter_mut().chain([&mut large]) {
            outbox.sent(outbox.bytes.len());
            spares.keep(outbox);
        }
        spares.keep(&mut waiting);
        spares.keep(&mut Outbox::default());
        assert!(!waiting.is_empty() && large.bytes.capacity() == 0);
        let capacities = [spares.take(), spares.take(), spares.take()].map(|outbox| outbox.bytes.capacity());
        assert_eq!(capacities, [20, 10, 0]);
    }

    proptest! {
        /// However much of it the other side takes, every byte is sent exactly once and in order.
        #[test]
        fn what_is_sent_is_what_was_pushed(
            steps in proptest::collection::vec((0..50_usize, 0..50_usize, 0..80_usize, 0..120_usize), 1..100),
        ) {
            let (mut outbox, mut pushed) = (Outbox::default(), Vec::new());
            let mut sink = Sink { bytes: Vec::new(), room: 0 };
            for (length, cut, room, most) in steps {
                let message: Vec<u8> = (0..length).map(|i| (pushed.len() + i) as u8).collect();
                let (head, rest) = message.split_at(cut.min(length));
                if outbox.push(&[head, rest, b""], 200) {
                    pushed.extend_from_slice(&message);
                }
                sink.room = room;
                outbox.write_to(&mut sink, most).unwrap();
                prop_assert_eq!(outbox.lengths.iter().sum::<u32>() as usize, outbox.bytes.len());
            }
            sink.room = usize::MAX;
            outbox.write_to(&mut sink, usize::MAX).unwrap();
            prop_assert_eq!(sink.bytes, pushed);
        }
    }
}
