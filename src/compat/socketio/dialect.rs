//! PURE  The events of tutorials: each dialect is a file here, and a line in [`DIALECTS`].
//!
//! A page shows by its first event which dialect it speaks, and so which events it will understand. Rooms of different
//! dialects are kept apart, so that a room has the dialect of its first member. What a page sends is passed on unread, as
//! far as its dialect has such an event, to the others of its own room.

mod announced;
mod offers;
mod paired;
mod welcomed;

use serde_json::Value;

use crate::signaling::protocol::names::PeerId;
use crate::signaling::protocol::{CANDIDATE_MAX, ClientMessage, SDP_MAX};

/// All dialects.
pub const DIALECTS: [&Dialect; 3] = [&announced::DIALECT, &paired::DIALECT, &welcomed::DIALECT];

/// A dialect.
#[derive(Debug)]
pub struct Dialect {
    /// The event with which a page enters a room. Its first argument is the room.
    pub enter: &'static str,
    /// Keeps the rooms apart from those of other dialects.
    pub space: &'static str,
    /// How many members its pages can deal with, if that is fewer than a room may have.
    pub most: Option<usize>,
    /// Begins a member's part in a room, with the arguments behind the room.
    pub begin: fn(&[Value]) -> Option<Box<dyn Part>>,
}

/// A member's part in a room: what its page says and hears.
pub trait Part: Send {
    /// The member is in the room, with `others`. `room` is its name as the page wrote it.
    fn entered(&mut self, room: &Value, others: usize, acts: &mut Acts);

    /// The page says something in its room. Returns whether the dialect has such an event.
    fn said(&mut self, name: &str, content: Vec<Value>, acts: &mut Acts) -> bool;

    /// Another member has said something, by the part that it has itself.
    fn heard(&mut self, from: PeerId, name: &str, content: Vec<Value>, acts: &mut Acts);

    /// Another member has left.
    fn left(&mut self, room: &Value, peer: PeerId, acts: &mut Acts);
}

/// What a part does.
#[derive(Debug, Clone, PartialEq)]
pub enum Act {
    /// Tells its own page an event.
    Emit(&'static str, Vec<Value>),
    /// Acknowledges the event of its page that has this number.
    Acknowledge(u64),
    /// Asks the rooms for something.
    Ask(ClientMessage),
}

/// Acts, in their order.
#[derive(Debug, Default)]
pub struct Acts(Vec<Act>);

impl Acts {
    /// Adds an event for its own page.
    pub fn emit(&mut self, name: &'static str, args: impl Into<Vec<Value>>) {
        self.0.push(Act::Emit(name, args.into()));
    }

    /// Adds an event for all others in the room.
    pub fn pass(&mut self, name: &str, args: Vec<Value>) {
        self.say(None, name, args);
    }

    /// Adds an event for one other.
    pub fn tell(&mut self, to: PeerId, name: &str, args: Vec<Value>) {
        self.say(Some(to), name, args);
    }

    /// Adds any act.
    pub fn push(&mut self, act: Act) {
        self.0.push(act);
    }

    fn say(&mut self, to: Option<PeerId>, name: &str, args: Vec<Value>) {
        let (kind, body) = (name.to_owned(), Value::Array(args).to_string());
        self.0.push(Act::Ask(ClientMessage::Msg { to, kind, body }));
    }
}

impl IntoIterator for Acts {
    type Item = Act;
    type IntoIter = std::vec::IntoIter<Act>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

/// Bytes around a description and a candidate, as JSON.
const AROUND: usize = 1024;

/// Whether the content of an event is one session description: an object, or the text of one.
fn is_description(content: &[Value]) -> bool {
    matches!(content, [it @ (Value::Object(_) | Value::String(_))] if it.to_string().len() <= SDP_MAX + AROUND)
}

/// Whether the content of an event is one candidate: an object, or the text of one, or the end of them.
fn is_candidate(content: &[Value]) -> bool {
    let fits = |it: &Value| it.to_string().len() <= CANDIDATE_MAX + AROUND;
    matches!(content, [it @ (Value::Object(_) | Value::String(_) | Value::Null)] if fits(it))
}
