//! PURE  Pages for two that enter with `join(room)`. Two dialects begin so, and the server cannot know which it is.
//!
//! In one, the server says `ready` to both when the second has come, and both offer, which cannot work. So `ready` goes to
//! the newcomer, and to the other right before the newcomer's offer, so that both have heard it. In the other, the server
//! says `created` to the first and `joined` to the second, which says `ready` when it has its camera; then the first offers.
//! Its newcomer does not act on `ready`, and the pages of the one dialect do not listen to the other's events.

use serde_json::Value;

use crate::compat::socketio::dialect::offers::Offers;
use crate::compat::socketio::dialect::{Acts, Dialect, Part, is_candidate, is_description};
use crate::signaling::protocol::names::PeerId;

/// The dialect.
pub(super) const DIALECT: Dialect = Dialect {
    enter: "join",
    space: "socket.io join",
    most: Some(2),
    begin: |_| Some(Box::new(Paired::default())),
};

const READY: &str = "ready";
const OFFER: &str = "offer";
const ANSWER: &str = "answer";
/// What the two dialects call a candidate.
const CANDIDATES: [&str; 2] = ["ice-candidate", "candidate"];

#[derive(Default)]
struct Paired {
    offers: Offers,
    /// Whether the page was told that the other is ready.
    is_ready: bool,
}

impl Part for Paired {
    fn entered(&mut self, room: &Value, others: usize, acts: &mut Acts) {
        if others == 0 {
            return acts.emit("created", [room.clone()]);
        }
        self.offers.is_newcomer = true;
        self.is_ready = true;
        acts.emit("joined", [room.clone()]);
        acts.emit(READY, []);
    }

    fn said(&mut self, name: &str, content: Vec<Value>, acts: &mut Acts) -> bool {
        let name = match name {
            READY if content.is_empty() => READY,
            OFFER if is_description(&content) => {
                if !self.offers.made(&content[0]) {
                    return true;
                }
                OFFER
            }
            ANSWER if is_description(&content) => {
                self.offers.answered(&content[0]);
                ANSWER
            }
            _ => match CANDIDATES.into_iter().find(|other| *other == name && is_candidate(&content)) {
                Some(name) if self.offers.passes(&content[0]) => name,
                Some(_) => return true,
                None => return false,
            },
        };
        acts.pass(name, content);
        true
    }

    fn heard(&mut self, _: PeerId, name: &str, content: Vec<Value>, acts: &mut Acts) {
        match name {
            READY => {
                self.is_ready = true;
                acts.emit(READY, []);
            }
            OFFER if self.offers.came(content.first().unwrap_or(&Value::Null)) => {
                if !std::mem::replace(&mut self.is_ready, true) {
                    acts.emit(READY, []);
                }
                acts.emit(OFFER, content);
            }
            ANSWER => {
                self.offers.was_answered(content.first().unwrap_or(&Value::Null));
                acts.emit(ANSWER, content);
            }
            _ => {
                let name = CANDIDATES.into_iter().find(|other| *other == name);
                if let Some(name) = name.filter(|_| content.first().is_none_or(|it| self.offers.takes(it))) {
                    acts.emit(name, content);
                }
            }
        }
    }

    /// The page that stays becomes the first again, so that it offers to whoever comes next.
    fn left(&mut self, room: &Value, _: PeerId, acts: &mut Acts) {
        if self.offers.is_newcomer {
            acts.emit("created", [room.clone()]);
        }
        *self = Self::default();
    }
}
