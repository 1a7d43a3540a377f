//! PURE  One client: puts its page into a room, by the dialect that it speaks, and passes on what is said there.

use serde_json::{Value, json};

use crate::compat::news::News;
use crate::compat::socketio::dialect::{Act, Acts, DIALECTS, Dialect, Part};
use crate::compat::socketio::packet::Event;
use crate::signaling::protocol::codes::ErrorCode;
use crate::signaling::protocol::names::{Name, RoomName};
use crate::signaling::protocol::{ClientMessage, Join, StateChange};

/// A client that has connected.
#[derive(Default)]
pub struct Client(Option<Place>);

/// A client's place in a room, which it is in or wants to enter.
struct Place {
    dialect: &'static Dialect,
    name: RoomName,
    /// The room as the page wrote it.
    room: Value,
    /// The number with which the event that enters is acknowledged.
    ack: Option<u64>,
    part: Box<dyn Part>,
}

/// The page says something that its dialect does not have, or says it in a room that it is not in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unknown;

impl Client {
    /// The page says an event.
    ///
    /// # Errors
    /// If nothing is done about it.
    pub fn said(&mut self, event: Event, acts: &mut Acts) -> Result<(), Unknown> {
        let Event { name, mut args, ack } = event;
        if let Some(dialect) = DIALECTS.into_iter().find(|dialect| dialect.enter == name) {
            return self.enter(dialect, &args, ack, acts);
        }
        let place = self.0.as_mut().ok_or(Unknown)?;
        // The room comes last in every dialect.
        let room = args.pop().ok_or(Unknown)?;
        if room != place.room && place.dialect.name(&room) != Ok(place.name.clone()) {
            return Err(Unknown);
        }
        if !place.part.said(&name, args, acts) {
            return Err(Unknown);
        }
        ack.into_iter().for_each(|ack| acts.push(Act::Acknowledge(ack)));
        Ok(())
    }

    /// The rooms tell something.
    pub fn told(&mut self, news: News, acts: &mut Acts) {
        let Some(Place { room, part, ack, .. }) = &mut self.0 else { return };
        match news {
            News::Joined { peers, .. } => {
                ack.take().into_iter().for_each(|ack| acts.push(Act::Acknowledge(ack)));
                part.entered(room, peers.len(), acts);
            }
            News::PeerLeft { peer } => part.left(room, peer, acts),
            News::Msg { from, kind, body } => {
                if let Ok(content) = serde_json::from_str(&body) {
                    part.heard(from, &kind, content, acts);
                }
            }
            News::Welcome | News::PeerJoined { .. } | News::Error { .. } | News::Other => {}
        }
    }

    /// The rooms have refused to let the client in.
    pub fn refused(&mut self, code: ErrorCode, acts: &mut Acts) {
        let Some(Place { room, .. }) = self.0.take() else { return };
        refuse(&room, code, acts);
    }

    fn enter(
        &mut self,
        dialect: &'static Dialect,
        args: &[Value],
        ack: Option<u64>,
        acts: &mut Acts,
    ) -> Result<(), Unknown> {
        let (room, rest) = args.split_first().ok_or(Unknown)?;
        let name = match dialect.name(room) {
            Ok(name) => name,
            Err(code) => {
                refuse(room, code, acts);
                return Err(Unknown);
            }
        };
        let part = (dialect.begin)(rest).ok_or(Unknown)?;
        if let Some(place) = &mut self.0 {
            if place.name == name {
                // Some pages say it twice, and are in the room already.
                ack.into_iter().for_each(|ack| acts.push(Act::Acknowledge(ack)));
                return Ok(());
            }
            acts.push(Act::Ask(ClientMessage::Leave));
        }
        acts.push(Act::Ask(ClientMessage::Join(join(name.clone(), dialect.most))));
        self.0 = Some(Place { dialect, name, room: room.clone(), ack, part });
        Ok(())
    }
}

impl Dialect {
    /// The name of a room that a page has written: a text, or a whole number.
    fn name(&self, room: &Value) -> Result<RoomName, ErrorCode> {
        let text = match room {
            Value::String(text) => text.clone(),
            Value::Number(number) if !number.is_f64() => number.to_string(),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => {
                return Err(ErrorCode::RoomNameInvalid);
            }
        };
        RoomName::within(self.space, &text).map_err(|_| ErrorCode::RoomNameInvalid)
    }
}

fn join(room: RoomName, most: Option<usize>) -> Join {
    let (name, state) = (Name::default(), StateChange::default());
    Join { room, name, key: None, host_token: None, state, most }
}

/// Tells a page why it is not in a room. Pages of tutorials listen to `full` at most; the other event is for developers.
fn refuse(room: &Value, code: ErrorCode, acts: &mut Acts) {
    if code == ErrorCode::RoomFull {
        acts.emit("full", [room.clone()]);
    }
    acts.emit("refused", [json!({ "code": code.name(), "message": code.message() })]);
}
