//! PURE  Pages that announce the id that they have at a PeerJS server, by which the others call them.
//!
//! `join-room(room, id)` of a page makes `user-connected(id)` for the others, and `user-disconnected(id)` when it is gone. A
//! widespread tutorial writes the first `uesr-connected`, on both sides. A page listens to one of the two.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::compat::socketio::dialect::{Acts, Dialect, Part};
use crate::signaling::protocol::names::PeerId;

/// The dialect.
pub(super) const DIALECT: Dialect =
    Dialect { enter: "join-room", space: "socket.io join-room", most: None, begin };

/// Bytes of the longest id.
const ID_MAX: usize = 128;
const CONNECTED: &str = "user-connected";
const MISSPELT: &str = "uesr-connected";
const DISCONNECTED: &str = "user-disconnected";

/// What a member's part tells that of a newcomer, whose page hears it only when the member has left.
const HERE: &str = "here";

struct Announced {
    id: Value,
    others: BTreeMap<PeerId, Value>,
}

fn begin(args: &[Value]) -> Option<Box<dyn Part>> {
    let id = args.first().filter(|id| is_id(id))?.clone();
    Some(Box::new(Announced { id, others: BTreeMap::new() }))
}

fn is_id(id: &Value) -> bool {
    matches!(id, Value::String(id) if (1..=ID_MAX).contains(&id.len()))
}

impl Part for Announced {
    fn entered(&mut self, _: &Value, _: usize, acts: &mut Acts) {
        acts.pass(CONNECTED, vec![self.id.clone()]);
    }

    fn said(&mut self, _: &str, _: Vec<Value>, _: &mut Acts) -> bool {
        false
    }

    fn heard(&mut self, from: PeerId, name: &str, mut content: Vec<Value>, acts: &mut Acts) {
        let Some(id) = content.pop().filter(is_id) else { return };
        if name == CONNECTED {
            for name in [CONNECTED, MISSPELT] {
                acts.emit(name, [id.clone()]);
            }
            acts.tell(from, HERE, vec![self.id.clone()]);
        }
        self.others.insert(from, id);
    }

    fn left(&mut self, _: &Value, peer: PeerId, acts: &mut Acts) {
        if let Some(id) = self.others.remove(&peer) {
            acts.emit(DISCONNECTED, [id]);
        }
    }
}
