//! PURE  The ids whose turn is next: a queue in which each id waits at most once.

use std::collections::VecDeque;

/// Ids in the order in which they were pushed. An id is an index into a table, so one bit says whether it waits.
///
/// An id may be reused while it waits: the next holder of the index then gets a turn with nothing to do.
#[derive(Debug)]
pub(super) struct Ready<Id> {
    queue: VecDeque<Id>,
    /// One bit for each index: whether it is in the queue.
    waiting: Vec<u64>,
}

impl<Id> Default for Ready<Id> {
    fn default() -> Self {
        Self { queue: VecDeque::new(), waiting: Vec::new() }
    }
}

impl<Id: Copy + Into<u32>> Ready<Id> {
    /// Adds an id at the end, unless it waits already.
    pub(super) fn push(&mut self, id: Id) {
        let (word, bit) = place(id);
        if word >= self.waiting.len() {
            self.waiting.resize(word + 1, 0);
        }
        if self.waiting[word] & bit == 0 {
            self.waiting[word] |= bit;
            self.queue.push_back(id);
        }
    }

    /// Takes the id that has waited longest.
    pub(super) fn pop(&mut self) -> Option<Id> {
        let id = self.queue.pop_front()?;
        let (word, bit) = place(id);
        self.waiting[word] &= !bit;
        Some(id)
    }

    /// How many wait.
    #[must_use]
    pub(super) fn len(&self) -> usize {
        self.queue.len()
    }

    /// Whether no id waits.
    #[must_use]
    pub(super) fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }
}

/// The word that holds an id's bit, and the bit.
fn place(id: impl Into<u32>) -> (usize, u64) {
    let index = id.into();
    ((index / u64::BITS) as usize, 1 << (index % u64::BITS))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::relay::address::StreamId;

    #[test]
    fn an_id_waits_once_however_often_it_is_pushed_and_again_after_its_turn() {
        let mut ready = Ready::default();
        for _ in 0..3 {
            [StreamId(70), StreamId(0)].into_iter().for_each(|id| ready.push(id));
        }
        assert_eq!(ready.pop(), Some(StreamId(70)));
        ready.push(StreamId(70));
        assert_eq!([ready.pop(), ready.pop(), ready.pop()], [Some(StreamId(0)), Some(StreamId(70)), None]);
    }

    proptest! {
        #[test]
        fn it_is_a_queue_that_holds_no_id_twice(
            steps in proptest::collection::vec(proptest::option::of(0..200_u32), 0..300),
        ) {
            let (mut ready, mut model) = (Ready::default(), VecDeque::new());
            for step in steps {
                match step.map(StreamId) {
                    Some(id) => {
                        ready.push(id);
                        if !model.contains(&id) {
                            model.push_back(id);
                        }
                    }
                    None => prop_assert_eq!(ready.pop(), model.pop_front()),
                }
                prop_assert_eq!(ready.is_empty(), model.is_empty());
            }
        }
    }
}
