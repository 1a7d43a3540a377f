//! PURE  Puts one page of a list of sessions together, from the pieces of all shards.
//!
//! A page holds its best sessions and no others, so its size is bounded, however many sessions there are.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::observed::session::{Cursor, LIMIT_MAX, Query, Sessions, Summary};
use crate::relay::engine::sessions::{Piece, Wanted};

/// A page that is being put together.
#[derive(Debug)]
pub(super) struct Page {
    wanted: Wanted,
    limit: usize,
    /// In their order; one more than the page may have, if there are as many.
    best: BTreeMap<Cursor, Summary>,
    total: u64,
    pieces: u64,
}

impl Page {
    /// An empty page for a query.
    pub(super) fn new(query: &Query) -> Self {
        let user = query.user.as_deref().map(Arc::from);
        Self {
            wanted: Wanted { user, sort: query.sort, after: query.cursor, before: None },
            limit: query.limit.min(LIMIT_MAX),
            best: BTreeMap::new(),
            total: 0,
            pieces: 0,
        }
    }

    /// What the next piece may contain: only what still has a place on the page.
    pub(super) fn wanted(&self) -> Wanted {
        let is_full = self.best.len() > self.limit;
        let before = self.best.last_key_value().filter(|_| is_full).map(|(place, _)| *place);
        Wanted { before, ..self.wanted.clone() }
    }

    /// Adds a piece.
    pub(super) fn add(&mut self, piece: Piece) {
        self.pieces += 1;
        self.total += piece.total;
        for (place, session) in piece.sessions {
            self.best.insert(place, session);
            if self.best.len() > self.limit + 1 {
                self.best.pop_last();
            }
        }
    }

    /// The page, when every piece has been added.
    pub(super) fn finish(mut self) -> Sessions {
        let more = self.best.len() > self.limit && self.best.pop_last().is_some();
        let next = self.best.last_key_value().filter(|_| more).map(|(place, _)| *place);
        let sessions = self.best.into_values().collect();
        Sessions { total: self.total, sessions, next, pieces: self.pieces }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::network::address::ClientTransport;
    use crate::observed::session::{SessionId, Sort, Traffic};

    const SESSIONS: u32 = 1000;
    /// Sessions of the same rank.
    const EQUAL: u32 = 3;

    fn place(number: u32) -> Cursor {
        // Neither in the order of the slots nor in that of the serial numbers.
        let slot = number * 7 % SESSIONS;
        Cursor { rank: u64::from(slot / EQUAL), id: SessionId { shard: 0, slot, serial: SESSIONS - slot } }
    }

    fn summary(id: SessionId) -> Summary {
        Summary {
            id,
            user: "alice".to_owned(),
            transport: ClientTransport::Udp,
            client: "203.0.113.1:5000".parse().unwrap(),
            relayed: Vec::new(),
            age: 0,
            expires_in: 600,
            up: Traffic::default(),
            down: Traffic::default(),
        }
    }

    /// What an engine returns for the sessions `numbers`.
    fn piece(wanted: &Wanted, numbers: std::ops::Range<u32>) -> Piece {
        let total = u64::from(numbers.end - numbers.start);
        let is_wanted = |place: &Cursor| {
            wanted.after.is_none_or(|after| after < *place)
                && wanted.before.is_none_or(|before| *place < before)
        };
        let sessions = numbers.map(place).filter(is_wanted).map(|place| (place, summary(place.id))).collect();
        Piece { sessions, total, next: None }
    }

    /// The page for a query, and how many sessions were copied for it.
    fn read(query: &Query) -> (Sessions, usize) {
        let (mut page, mut copied) = (Page::new(query), 0);
        for first in (0..SESSIONS).step_by(100) {
            let piece = piece(&page.wanted(), first..first + 100);
            copied += piece.sessions.len();
            page.add(piece);
            assert!(page.best.len() <= page.limit + 1);
        }
        (page.finish(), copied)
    }

    #[test]
    fn pages_that_are_read_one_after_the_other_contain_each_session_once_and_in_order() {
        for limit in [1, 7, 100, 999, 1000, 5000] {
            let (mut slots, mut cursor, mut pages) = (Vec::new(), None, 0);
            loop {
                let (page, _) = read(&Query { limit, cursor, ..Query::default() });
                assert_eq!((page.total, page.pieces), (SESSIONS.into(), 10));
                assert!(page.sessions.len() <= limit.min(LIMIT_MAX));
                slots.extend(page.sessions.iter().map(|session| session.id.slot));
                (cursor, pages) = (page.next, pages + 1);
                if cursor.is_none() {
                    break;
                }
            }
            assert_eq!(slots, (0..SESSIONS).collect::<Vec<_>>(), "{limit}");
            assert_eq!(pages, (SESSIONS as usize).div_ceil(limit), "{limit}");
        }
    }

    #[test]
    fn sessions_that_have_no_place_on_the_page_are_not_even_copied() {
        let (page, copied) = read(&Query { limit: 10, sort: Sort::Rate, ..Query::default() });
        assert_eq!(page.sessions.len(), 10);
        assert!(copied < SESSIONS as usize / 4, "{copied}");
    }

    #[test]
    fn a_page_for_no_sessions_counts_them() {
        let (page, _) = read(&Query { limit: 0, ..Query::default() });
        assert_eq!((page.total, page.sessions, page.next), (SESSIONS.into(), vec![], None));
    }
}
