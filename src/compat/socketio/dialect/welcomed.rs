//! PURE  Pages for two that enter with `join_room(room, callback)`, and offer when they hear `welcome`.

use serde_json::Value;

use crate::compat::socketio::dialect::offers::Offers;
use crate::compat::socketio::dialect::{Acts, Dialect, Part, is_candidate, is_description};
use crate::signaling::protocol::names::PeerId;

/// The dialect.
pub(super) const DIALECT: Dialect = Dialect {
    enter: "join_room",
    space: "socket.io join_room",
    most: Some(2),
    begin: |_| Some(Box::new(Welcomed::default())),
};

const WELCOME: &str = "welcome";
const OFFER: &str = "offer";
const ANSWER: &str = "answer";
const ICE: &str = "ice";

#[derive(Default)]
struct Welcomed(Offers);

impl Part for Welcomed {
    fn entered(&mut self, _: &Value, others: usize, acts: &mut Acts) {
        self.0.is_newcomer = others > 0;
        acts.pass(WELCOME, Vec::new());
    }

    fn said(&mut self, name: &str, content: Vec<Value>, acts: &mut Acts) -> bool {
        let is_passed = match name {
            OFFER if is_description(&content) => self.0.made(&content[0]),
            ANSWER if is_description(&content) => {
                self.0.answered(&content[0]);
                true
            }
            ICE if is_candidate(&content) => self.0.passes(&content[0]),
            _ => return false,
        };
        if is_passed {
            acts.pass(name, content);
        }
        true
    }

    fn heard(&mut self, _: PeerId, name: &str, content: Vec<Value>, acts: &mut Acts) {
        let first = content.first().unwrap_or(&Value::Null);
        match name {
            WELCOME => acts.emit(WELCOME, []),
            OFFER if self.0.came(first) => acts.emit(OFFER, content),
            ANSWER => {
                self.0.was_answered(first);
                acts.emit(ANSWER, content);
            }
            ICE if self.0.takes(first) => acts.emit(ICE, content),
            _ => {}
        }
    }

    fn left(&mut self, _: &Value, _: PeerId, _: &mut Acts) {
        self.0.is_left();
    }
}
