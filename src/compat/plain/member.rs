//! PURE  A member whose page says what it likes in JSON, and names in `to` who shall get it.
//!
//! The page is told its id (`{"type": "id", "id": ..}`), and whenever somebody comes or goes, who is there
//! (`{"type": "userlist", "users": [..]}`), as in MDN's example. It may take a name, by which others can name it instead.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use crate::compat::news::News;
use crate::secret::Secret;
use crate::signaling::frame::Frame;
use crate::signaling::protocol::codes::ErrorCode;
use crate::signaling::protocol::names::{Name, PeerId, RoomName};
use crate::signaling::protocol::parse::is_too_deep;
use crate::signaling::protocol::{ClientMessage, Hello, Join, Request, StateChange, VERSION};

/// What to do.
#[derive(Debug, Clone, PartialEq)]
pub enum Effect {
    /// Send the page a text.
    Send(String),
    /// Ask the rooms.
    Ask(Request),
    /// Count a mistake of the page.
    Mistake,
}

/// A member.
#[derive(Debug)]
pub struct Member {
    room: RoomName,
    /// Its id, once it is in the room.
    id: Option<PeerId>,
    name: Option<String>,
    /// The others, with the names that they have taken.
    others: BTreeMap<PeerId, Option<String>>,
}

/// The room of a page that names none in its URL.
pub const USUAL: &str = "lobby";
/// Keeps the rooms apart from those of other clients.
const SPACE: &str = "plain";
/// The only request whose answer matters.
const ENTER: u32 = 1;
/// What members tell each other: what a page says, and the names that pages take.
const SAID: &str = "said";
const NAMED: &str = "named";

impl Member {
    /// A member of the room that its page has named.
    ///
    /// # Errors
    /// If that is no name for a room.
    pub fn of(room: Option<&str>) -> Result<Self, ErrorCode> {
        let room = RoomName::within(SPACE, room.unwrap_or(USUAL)).map_err(|_| ErrorCode::RoomNameInvalid)?;
        Ok(Self { room, id: None, name: None, others: BTreeMap::new() })
    }

    /// What enters the room. `token` is a room token.
    #[must_use]
    pub fn enter(&self, token: Option<Secret>) -> [Request; 2] {
        let hello = Hello { versions: vec![VERSION], token, resume: None };
        let (name, state) = (Name::default(), StateChange::default());
        let join = Join { room: self.room.clone(), name, key: None, host_token: None, state, most: None };
        let request = |message| Request { id: Some(ENTER), message };
        [ClientMessage::Hello(hello), ClientMessage::Join(join)].map(request)
    }

    /// Takes a text of the page.
    pub fn hear(&mut self, text: &str) -> Vec<Effect> {
        let Some(fields) = read(text).filter(|_| self.id.is_some()) else { return vec![Effect::Mistake] };
        match (fields.get("type").and_then(Value::as_str), target(&fields)) {
            (Some("username"), None) => self.take_name(&fields),
            (_, Some(to)) => match self.find(to) {
                Some(peer) => vec![self.say(Some(peer), fields)],
                None => vec![refuse("peer_not_found", "nobody here has this id or name"), Effect::Mistake],
            },
            (_, None) => vec![self.say(None, fields)],
        }
    }

    /// Takes a message of the rooms.
    pub fn told(&mut self, frame: &Frame) -> Vec<Effect> {
        match News::read(&frame.message) {
            News::Joined { you, peers } => {
                self.id = Some(you);
                self.others = peers.into_iter().map(|member| (member.id, None)).collect();
                let id = send(&json!({ "type": "id", "id": you.to_string() }));
                vec![id, self.list()]
            }
            News::PeerJoined { member } => {
                self.others.insert(member.id, None);
                let named = self.name.iter().map(|name| ask(Some(member.id), NAMED, name.clone()));
                named.chain([self.list()]).collect()
            }
            News::PeerLeft { peer } => {
                self.others.remove(&peer);
                vec![self.list()]
            }
            News::Msg { body, kind, .. } if kind == SAID => vec![Effect::Send(body)],
            News::Msg { from, body, .. } => {
                self.others.entry(from).and_modify(|name| *name = Some(body));
                vec![self.list()]
            }
            News::Error { code } => vec![refuse(code.name(), code.message())],
            News::Welcome | News::Other => Vec::new(),
        }
    }

    fn take_name(&mut self, fields: &Map<String, Value>) -> Vec<Effect> {
        let name = fields.get("name").and_then(Value::as_str).map(str::to_owned);
        let name = name.and_then(|name| Name::try_from(name).ok()).map(String::from);
        let Some(name) = name.filter(|name| !name.is_empty()) else {
            return vec![refuse("bad_field", "a name has 1 to 64 visible characters"), Effect::Mistake];
        };
        if self.find(&name).is_some() {
            return vec![refuse("name_taken", "somebody here has this name")];
        }
        self.name = Some(name.clone());
        vec![ask(None, NAMED, name), self.list()]
    }

    /// The member with this id, or with this name.
    fn find(&self, to: &str) -> Option<PeerId> {
        let others = || self.others.iter();
        let by_id = others().find(|(id, _)| id.to_string() == to);
        let found = by_id.or_else(|| others().find(|(_, name)| name.as_deref() == Some(to)));
        found.map(|(id, _)| *id)
    }

    fn say(&self, to: Option<PeerId>, mut fields: Map<String, Value>) -> Effect {
        fields.insert("from".to_owned(), self.own().into());
        ask(to, SAID, Value::Object(fields).to_string())
    }

    fn list(&self) -> Effect {
        let others = self.others.iter().map(|(id, name)| name.clone().unwrap_or_else(|| id.to_string()));
        let users: Vec<String> = [self.own()].into_iter().chain(others).collect();
        send(&json!({ "type": "userlist", "users": users }))
    }

    fn own(&self) -> String {
        let id = || self.id.as_ref().map(ToString::to_string);
        self.name.clone().or_else(id).unwrap_or_default()
    }
}

fn read(text: &str) -> Option<Map<String, Value>> {
    if is_too_deep(text) { None } else { serde_json::from_str(text).ok() }
}

/// Who shall get it. MDN's example says `target`.
fn target(fields: &Map<String, Value>) -> Option<&str> {
    ["to", "target"].into_iter().find_map(|key| fields.get(key)?.as_str())
}

fn ask(to: Option<PeerId>, kind: &str, body: String) -> Effect {
    Effect::Ask(Request { id: None, message: ClientMessage::Msg { to, kind: kind.to_owned(), body } })
}

fn refuse(code: &str, message: &str) -> Effect {
    send(&json!({ "type": "error", "code": code, "message": message }))
}

fn send(message: &Value) -> Effect {
    Effect::Send(message.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    const ME: &str = "AAECAwQFBgcICQoL";
    const OTHER: &str = "BAUGBwgJCgsMDQ4P";

    fn frame(json: String) -> Frame {
        Frame { n: None, re: None, message: json.into() }
    }

    fn member() -> Member {
        let mut member = Member::of(Some("한글 방")).unwrap();
        member.told(&frame(format!(r#"{{"t":"joined","you":"{ME}","peers":[{{"id":"{OTHER}"}}]}}"#)));
        member
    }

    /// To whom a page's text goes, and as what.
    fn passed(effects: &[Effect]) -> Option<(Option<String>, String)> {
        let [Effect::Ask(Request { message: ClientMessage::Msg { to, body, .. }, .. })] = effects else {
            return None;
        };
        Some((to.as_ref().map(ToString::to_string), body.clone()))
    }

    #[test]
    fn a_text_goes_to_whom_it_names_with_the_sender_that_the_server_knows() {
        let mut member = member();
        let said = member.hear(&format!(r#"{{"type":"a","to":"{OTHER}","from":"x","__proto__":{{"y":1}}}}"#));
        let body = format!(r#"{{"__proto__":{{"y":1}},"from":"{ME}","to":"{OTHER}","type":"a"}}"#);
        assert_eq!(passed(&said), Some((Some(OTHER.to_owned()), body)));
        assert_eq!(passed(&member.hear("{}")), Some((None, format!(r#"{{"from":"{ME}"}}"#))));
    }

    #[test]
    fn what_is_no_object_or_names_nobody_is_a_mistake() {
        let mut member = member();
        for text in ["", "[]", "7", "\"a\"", "{", &format!("{}{}", "[".repeat(9), "]".repeat(9))] {
            assert_eq!(member.hear(text), [Effect::Mistake], "{text}");
        }
        for to in [ME, "toString", "AAAAAAAAAAAAAAAA"] {
            assert!(matches!(
                &member.hear(&format!(r#"{{"to":"{to}"}}"#))[..],
                [Effect::Send(_), Effect::Mistake]
            ));
        }
        let mut outside = Member::of(None).unwrap();
        assert_eq!(outside.hear("{}"), [Effect::Mistake], "it is not in the room yet");
        assert!(Member::of(Some("")).is_err() && Member::of(Some(&"x".repeat(65))).is_err());
    }

    #[test]
    fn a_name_that_another_has_is_not_taken_and_a_member_can_be_named_by_its_own() {
        let mut member = member();
        member.told(&frame(format!(
            r#"{{"t":"msg","from":"{OTHER}","direct":false,"kind":"named","body":"준호"}}"#
        )));
        assert!(passed(&member.hear(r#"{"to":"준호"}"#)).is_some_and(|(to, _)| to.as_deref() == Some(OTHER)));
        for (name, fits) in [("준호", false), (OTHER, false), ("", false), ("\\u0000", false), ("민지", true)]
        {
            let said = member.hear(&format!(r#"{{"type":"username","name":"{name}"}}"#));
            assert_eq!(matches!(said[0], Effect::Ask(_)), fits, "{name}");
        }
        assert!(passed(&member.hear("{}")).is_some_and(|(_, body)| body.contains("민지")));
    }
}
