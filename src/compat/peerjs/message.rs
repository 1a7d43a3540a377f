//! PURE  The messages of PeerJS: JSON objects with a `type`, and for those between peers `src`, `dst` and a `payload`.
//!
//! The server reads no payload. It passes one on as it is written.

use std::borrow::Cow;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::json;
use serde_json::value::RawValue;

use crate::labels::labels;

labels! {
    /// What a client sends.
    pub enum Kind {
        /// A session description that begins a connection.
        Offer = "OFFER",
        /// The answer to one.
        Answer = "ANSWER",
        /// An ICE candidate.
        Candidate = "CANDIDATE",
        /// The sender has closed its connections with the other; without another, it leaves the server.
        Leave = "LEAVE",
        /// Servers send this; a client's is passed on.
        Expire = "EXPIRE",
        /// A sign of life, without an answer.
        Heartbeat = "HEARTBEAT",
        /// Anything else, which is ignored.
        Other = "other",
    }
}

labels! {
    /// What the server sends of its own.
    pub enum Answer {
        /// The client has its id.
        Open = "OPEN",
        /// What was sent to a peer has expired, because it has not come.
        Expire = "EXPIRE",
        /// Another client has the id.
        IdTaken = "ID-TAKEN",
        /// The key is wrong.
        InvalidKey = "INVALID-KEY",
        /// Something else is wrong.
        Error = "ERROR",
    }
}

/// A message of a client.
#[derive(Debug, Clone, Copy)]
pub struct Said<'a> {
    /// What it is.
    pub kind: Kind,
    /// The text of the message.
    fields: Option<&'a Fields<'a>>,
}

/// The fields of a client's message. Its `src` is not read: the sender has the id of its socket.
#[derive(Debug, Deserialize)]
pub struct Fields<'a> {
    #[serde(borrow, rename = "type")]
    kind: Cow<'a, str>,
    #[serde(borrow, default)]
    dst: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    payload: Option<&'a RawValue>,
}

/// A message from one peer to another.
#[derive(Debug, Serialize)]
struct Carried<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    src: &'a str,
    dst: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    payload: Option<&'a RawValue>,
}

impl<'a> Fields<'a> {
    /// Reads the text of a message; `None` if it is no JSON object with a `type` in text.
    #[must_use]
    pub fn read(text: &'a str) -> Option<Self> {
        serde_json::from_str(text).ok()
    }
}

impl<'a> Said<'a> {
    /// What was said; `None` is no message at all.
    #[must_use]
    pub fn of(fields: Option<&'a Fields<'a>>) -> Self {
        let named = |fields: &Fields<'_>| Kind::ALL.into_iter().find(|kind| kind.name() == fields.kind);
        let kind = fields.and_then(named).filter(|kind| *kind != Kind::Other).unwrap_or(Kind::Other);
        Self { kind, fields }
    }

    /// The peer that it is for.
    #[must_use]
    pub fn dst(&self) -> Option<&'a str> {
        self.fields?.dst.as_deref().filter(|dst| !dst.is_empty())
    }

    /// The text for the peer `dst`, from the peer `src`.
    #[must_use]
    pub fn carried(&self, src: &str, dst: &str) -> Arc<str> {
        let payload = self.fields.and_then(|fields| fields.payload);
        text(&Carried { kind: self.kind.name(), src, dst, payload }).into()
    }
}

/// The client has its id.
#[must_use]
pub fn open() -> String {
    json!({ "type": Answer::Open.name() }).to_string()
}

/// Tells `dst` that what it has sent to `src` has expired.
#[must_use]
pub fn expire(src: &str, dst: &str) -> String {
    text(&Carried { kind: Answer::Expire.name(), src, dst, payload: None })
}

/// Another client has the id.
#[must_use]
pub fn id_taken() -> String {
    because(Answer::IdTaken, "ID is taken")
}

/// The key is wrong.
#[must_use]
pub fn invalid_key() -> String {
    because(Answer::InvalidKey, "Invalid key provided")
}

/// Something else is wrong.
#[must_use]
pub fn error(msg: &str) -> String {
    because(Answer::Error, msg)
}

fn because(answer: Answer, msg: &str) -> String {
    json!({ "type": answer.name(), "payload": { "msg": msg } }).to_string()
}

fn text(message: &Carried<'_>) -> String {
    serde_json::to_string(message).expect("texts and JSON become JSON")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::Value;

    use super::*;

    /// What the peer "you" gets from the peer "me" who sends this; `None` if it gets nothing.
    fn carried(sent: &str) -> Option<Value> {
        let fields = Fields::read(sent);
        let said = Said::of(fields.as_ref());
        (said.kind != Kind::Other).then(|| serde_json::from_str(&said.carried("me", "you")).unwrap())
    }

    #[test]
    fn a_payload_is_passed_on_as_it_is_and_the_sender_is_who_it_is() {
        let sent = r#"{"type":"OFFER","src":"somebody else","dst":"you","payload":{"n":1e400,"n":12345678901234567890,"s":"\u0000"},"more":1}"#;
        let fields = Fields::read(sent).unwrap();
        assert_eq!(
            &*Said::of(Some(&fields)).carried("me", "you"),
            r#"{"type":"OFFER","src":"me","dst":"you","payload":{"n":1e400,"n":12345678901234567890,"s":"\u0000"}}"#
        );
        assert_eq!(carried(r#"{"type":"LEAVE"}"#), Some(json!({"type": "LEAVE", "src": "me", "dst": "you"})));
    }

    #[test]
    fn an_id_is_a_text_whatever_is_in_it() {
        for id in ["__proto__", "constructor", "\"},{\"", "한글", "\u{0}", "\u{2028}"] {
            let fields = json!({ "type": "ANSWER", "dst": id }).to_string();
            let fields = Fields::read(&fields).unwrap();
            let said = Said::of(Some(&fields));
            let told: Value = serde_json::from_str(&said.carried(id, said.dst().unwrap())).unwrap();
            assert_eq!((told["src"].as_str(), told["dst"].as_str()), (Some(id), Some(id)));
        }
    }

    #[test]
    fn what_is_no_message_of_a_client_is_ignored() {
        for sent in [
            "",
            "null",
            "[]",
            "7",
            "{",
            r#"{"type":7}"#,
            r#"{"type":"OPEN"}"#,
            r#"{"type":"other","dst":"a"}"#,
            r#"{"type":"OFFER","dst":7}"#,
            r#"{"type":"OFFER","dst":{"a":1}}"#,
            r#"{"dst":"a"}"#,
            r#"{"type":"offer"}"#,
            &format!(r#"{{"type":"OFFER","payload":{}"#, "[".repeat(30_000)),
        ] {
            assert_eq!(carried(sent), None, "{sent}");
        }
    }

    #[test]
    fn no_receiver_is_none() {
        for (sent, dst) in [
            (r#"{"type":"LEAVE","dst":""}"#, None),
            (r#"{"type":"LEAVE","dst":null}"#, None),
            (r#"{"type":"LEAVE","dst":"a"}"#, Some("a")),
        ] {
            assert_eq!(Said::of(Fields::read(sent).as_ref()).dst(), dst);
        }
    }

    #[test]
    fn the_server_says_why() {
        assert_eq!(open(), r#"{"type":"OPEN"}"#);
        assert_eq!(expire("you", "me"), r#"{"type":"EXPIRE","src":"you","dst":"me"}"#);
        let told: Value = serde_json::from_str(&id_taken()).unwrap();
        assert_eq!(told, json!({"type": "ID-TAKEN", "payload": {"msg": "ID is taken"}}));
    }

    proptest! {
        #[test]
        fn any_text_is_a_message_or_none(text in r#"\{?("(type|src|dst|payload)":("[A-Z]{4,9}"|"(OFFER|LEAVE)"|[0-9.eE-]{1,5}|null|\[\PC{0,5}\]),?){0,4}\PC{0,9}\}?"#) {
            if let Some(told) = carried(&text) {
                prop_assert_eq!((told["src"].as_str(), told["dst"].as_str()), (Some("me"), Some("you")));
            }
        }
    }
}
