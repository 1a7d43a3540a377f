//! PURE  Parses a client's messages, and says which field is wrong.

use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use crate::secret::Secret;
use crate::signaling::protocol::codes::ErrorCode;
use crate::signaling::protocol::names::{Name, RoomName};
use crate::signaling::protocol::{
    BODY_MAX, CANDIDATE_MAX, CANDIDATES_MAX, Candidate, ClientMessage, Content, DEPTH_MAX, Description,
    Hello, Join, KEY_MAX, KIND_MAX, Request, RequestError, Resume, SDP_MAX, StateChange, TOKEN_MAX,
};

/// What is wrong with a frame, and the request that the error answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ParseError {
    /// The request's `id`, if that much could be read.
    pub re: Option<u32>,
    /// What is wrong.
    pub error: RequestError,
}

/// Parses the text of a frame.
///
/// # Errors
/// If it is not a valid request.
pub fn parse(text: &str) -> Result<Request, ParseError> {
    let mut fields = Fields::read(text).map_err(|error| ParseError { re: None, error })?;
    let id = fields.optional("id").map_err(|error| ParseError { re: None, error })?;
    match fields.message() {
        Ok(message) => Ok(Request { id, message }),
        Err(error) => Err(ParseError { re: id, error }),
    }
}

/// The fields of a message that are not read yet. A `null` field counts as absent; unknown fields are ignored.
struct Fields(Map<String, Value>);

impl Fields {
    fn read(text: &str) -> Result<Self, RequestError> {
        if is_too_deep(text) {
            return Err(ErrorCode::BadJson.into());
        }
        serde_json::from_str(text).map(Self).map_err(|_| ErrorCode::BadJson.into())
    }

    fn message(&mut self) -> Result<ClientMessage, RequestError> {
        let t: String = self.required("t")?;
        Ok(match t.as_str() {
            "hello" => ClientMessage::Hello(self.hello()?),
            "join" => ClientMessage::Join(self.join()?),
            "leave" => ClientMessage::Leave,
            "bye" => ClientMessage::Bye,
            "signal" => ClientMessage::Signal {
                to: self.required("to")?,
                e: self.required("e")?,
                content: self.content()?,
            },
            "state" => ClientMessage::State(self.state()?),
            "msg" => ClientMessage::Msg {
                to: self.optional("to")?,
                kind: self.text("kind", KIND_MAX)?.ok_or(RequestError::field("kind"))?,
                body: self.body()?,
            },
            "ice" => ClientMessage::Ice,
            "ping" => ClientMessage::Ping { ts: self.optional("ts")?, last: self.optional("last")? },
            "lock" => ClientMessage::Lock { on: self.required("on")? },
            "kick" => ClientMessage::Kick {
                peer: self.required("peer")?,
                ban_s: self.optional("ban_s")?.unwrap_or_default(),
            },
            "admit" => ClientMessage::Admit { peer: self.required("peer")? },
            "deny" => ClientMessage::Deny { peer: self.required("peer")? },
            "host" => ClientMessage::Host { peer: self.required("peer")? },
            "end" => ClientMessage::End,
            _ => return Err(ErrorCode::UnknownType.into()),
        })
    }

    fn hello(&mut self) -> Result<Hello, RequestError> {
        let last = self.optional("last")?.unwrap_or_default();
        Ok(Hello {
            versions: self.required("v")?,
            token: self.token("token", TOKEN_MAX)?,
            resume: self.token("resume", TOKEN_MAX)?.map(|token| Resume { token, last }),
        })
    }

    fn join(&mut self) -> Result<Join, RequestError> {
        let room: String = self.required("room")?;
        Ok(Join {
            room: RoomName::try_from(room).map_err(RequestError::room)?,
            name: self.name()?.unwrap_or_default(),
            key: self.token("key", KEY_MAX)?,
            host_token: self.token("host_token", TOKEN_MAX)?,
            state: self.state_of_newcomer()?,
            most: None,
        })
    }

    fn state_of_newcomer(&mut self) -> Result<StateChange, RequestError> {
        let state: Option<Map<String, Value>> = self.optional("state")?;
        let state = state.map(|fields| Self(fields).state()).transpose();
        state.map(Option::unwrap_or_default).map_err(|error| RequestError { field: Some("state"), ..error })
    }

    fn state(&mut self) -> Result<StateChange, RequestError> {
        Ok(StateChange {
            mic: self.optional("mic")?,
            cam: self.optional("cam")?,
            screen: self.optional("screen")?,
            hand: self.optional("hand")?,
            name: self.name()?,
        })
    }

    fn name(&mut self) -> Result<Option<Name>, RequestError> {
        let text: Option<String> = self.optional("name")?;
        text.map(Name::try_from).transpose().map_err(|why| RequestError::name("name", why))
    }

    /// Exactly one of `d` and `c`.
    fn content(&mut self) -> Result<Content, RequestError> {
        let description: Option<Description> = self.object("d")?;
        if self.0.get("c").and_then(Value::as_array).is_some_and(|list| list.iter().any(Value::is_array)) {
            return Err(RequestError::field("c"));
        }
        let candidates: Option<Vec<Option<Candidate>>> = self.optional("c")?;
        match (description, candidates) {
            (Some(description), None) if description.sdp.len() <= SDP_MAX => {
                Ok(Content::Description(description))
            }
            (Some(_), None) => Err(RequestError::too_large("d")),
            (None, Some(candidates)) if candidates.len() > CANDIDATES_MAX => {
                Err(RequestError::too_large("c"))
            }
            (None, Some(candidates)) if candidates.iter().flatten().all(is_short) => {
                Ok(Content::Candidates(candidates))
            }
            (None, Some(_)) => Err(RequestError::too_large("c")),
            (Some(_), Some(_)) => Err(RequestError::field("c")),
            (None, None) => Err(RequestError::field("d")),
        }
    }

    fn body(&mut self) -> Result<String, RequestError> {
        let body: String = self.required("body")?;
        if body.len() > BODY_MAX { Err(RequestError::too_large("body")) } else { Ok(body) }
    }

    fn text(&mut self, name: &'static str, most: usize) -> Result<Option<String>, RequestError> {
        let text: Option<String> = self.optional(name)?;
        if text.as_ref().is_some_and(|text| text.len() > most) {
            Err(RequestError::field(name))
        } else {
            Ok(text)
        }
    }

    fn token(&mut self, name: &'static str, most: usize) -> Result<Option<Secret>, RequestError> {
        Ok(self.text(name, most)?.map(Secret::new))
    }

    /// Reads an object. A list is refused, because serde would take it for the fields in their order.
    fn object<T: DeserializeOwned>(&mut self, name: &'static str) -> Result<Option<T>, RequestError> {
        if self.0.get(name).is_some_and(Value::is_array) {
            Err(RequestError::field(name))
        } else {
            self.optional(name)
        }
    }

    fn required<T: DeserializeOwned>(&mut self, name: &'static str) -> Result<T, RequestError> {
        self.optional(name)?.ok_or(RequestError::field(name))
    }

    fn optional<T: DeserializeOwned>(&mut self, name: &'static str) -> Result<Option<T>, RequestError> {
        match self.0.remove(name) {
            None | Some(Value::Null) => Ok(None),
            Some(value) => serde_json::from_value(value).map(Some).map_err(|_| RequestError::field(name)),
        }
    }
}

fn is_short(candidate: &Candidate) -> bool {
    let texts =
        [Some(&candidate.candidate), candidate.sdp_mid.as_ref(), candidate.username_fragment.as_ref()];
    texts.into_iter().flatten().all(|text| text.len() <= CANDIDATE_MAX)
}

/// Whether arrays and objects are nested deeper than [`DEPTH_MAX`]; checked before anything is built.
#[must_use]
pub fn is_too_deep(text: &str) -> bool {
    let (mut depth, mut quoted, mut escaped) = (0_usize, false, false);
    for byte in text.bytes() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            b'{' | b'[' if !quoted => depth += 1,
            b'}' | b']' if !quoted => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth > DEPTH_MAX {
            return true;
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::signaling::protocol::DescriptionKind;

    const PEER: &str = "AAECAwQFBgcICQoL";

    fn message(text: &str) -> ClientMessage {
        parse(text).unwrap_or_else(|mistake| panic!("{text}: {mistake:?}")).message
    }

    fn error(text: &str) -> (ErrorCode, Option<&'static str>) {
        let ParseError { error, .. } = parse(text).expect_err(text);
        (error.code, error.field)
    }

    #[test]
    fn a_signal_carries_a_description_or_candidates() {
        let offer = format!(r#"{{"t":"signal","to":"{PEER}","e":2,"d":{{"type":"offer","sdp":"v=0"}}}}"#);
        let ClientMessage::Signal { to, e: 2, content: Content::Description(description) } = message(&offer)
        else {
            panic!("it is an offer")
        };
        assert_eq!((to.to_string().as_str(), description.kind), (PEER, DescriptionKind::Offer));
        let candidates = format!(
            r#"{{"t":"signal","to":"{PEER}","e":2,"c":[{{"candidate":"a","sdpMid":"0","sdpMLineIndex":0,"usernameFragment":null}},null]}}"#
        );
        let ClientMessage::Signal { content: Content::Candidates(list), .. } = message(&candidates) else {
            panic!("these are candidates")
        };
        assert_eq!((list.len(), list[0].as_ref().unwrap().sdp_mline_index, &list[1]), (2, Some(0), &None));
    }

    #[test]
    fn a_list_is_no_object() {
        let signal = |content: &str| format!(r#"{{"t":"signal","to":"{PEER}","e":2,{content}}}"#);
        for (text, field) in [
            (r#"{"t":"join","room":"a","state":[]}"#.to_owned(), "state"),
            (r#"{"t":"join","room":"a","state":[true,true]}"#.to_owned(), "state"),
            (signal(r#""d":["offer","v=0"]"#), "d"),
            (signal(r#""c":[["a","0",0,null]]"#), "c"),
        ] {
            assert_eq!(error(&text), (ErrorCode::BadField, Some(field)), "{text}");
        }
    }

    #[test]
    fn unknown_fields_are_ignored_and_null_is_absent() {
        let join =
            r#"{"t":"join","id":4,"room":"a","key":null,"color":"red","state":{"mic":true,"size":[1]}}"#;
        let state = StateChange { mic: Some(true), ..StateChange::default() };
        let Request { id: Some(4), message: ClientMessage::Join(join) } = parse(join).unwrap() else {
            panic!("it is a join")
        };
        assert_eq!((join.room.as_str(), join.key, join.state), ("a", None, state));
    }

    #[test]
    fn what_is_no_json_object_or_too_deep_is_bad_json() {
        let deep =
            |depth: usize| format!("{{\"t\":\"leave\",\"a\":{}{}}}", "[".repeat(depth), "]".repeat(depth));
        assert_eq!(message(&deep(7)), ClientMessage::Leave);
        let bottomless = "[".repeat(100_000);
        for text in ["", "{", "null", "[]", "7", "{\"t\":NaN}", "\u{feff}{}", &deep(8), &bottomless] {
            assert_eq!(error(text), (ErrorCode::BadJson, None), "{text:.40}");
        }
    }

    #[test]
    fn brackets_in_texts_are_not_depth() {
        let body = "[".repeat(100) + "\\\"" + &"{".repeat(100);
        let ClientMessage::Msg { body, .. } =
            message(&format!(r#"{{"t":"msg","kind":"chat","body":"{body}"}}"#))
        else {
            panic!("it is a msg")
        };
        assert_eq!(body.len(), 201);
    }

    #[test]
    fn an_error_names_the_field() {
        for (text, field) in [
            (r#"{}"#, "t"),
            (r#"{"t":7}"#, "t"),
            (r#"{"t":"leave","id":-1}"#, "id"),
            (r#"{"t":"leave","id":4294967296}"#, "id"),
            (r#"{"t":"hello"}"#, "v"),
            (r#"{"t":"hello","v":1}"#, "v"),
            (r#"{"t":"hello","v":[1],"last":"1"}"#, "last"),
            (r#"{"t":"join"}"#, "room"),
            (r#"{"t":"join","room":"a","name":7}"#, "name"),
            (r#"{"t":"join","room":"a","name":"a\u0000"}"#, "name"),
            (r#"{"t":"join","room":"a","state":{"mic":1}}"#, "state"),
            (r#"{"t":"state","mic":"on"}"#, "mic"),
            (r#"{"t":"lock"}"#, "on"),
            (r#"{"t":"kick","peer":"me"}"#, "peer"),
            (r#"{"t":"ping","ts":"now"}"#, "ts"),
            (r#"{"t":"msg","body":"a"}"#, "kind"),
            (r#"{"t":"msg","kind":"chat","body":{}}"#, "body"),
            (&format!(r#"{{"t":"signal","to":"{PEER}","e":1}}"#), "d"),
            (&format!(r#"{{"t":"signal","to":"{PEER}","e":1,"d":{{"type":"bye","sdp":""}}}}"#), "d"),
            (&format!(r#"{{"t":"signal","to":"{PEER}","e":1.5,"c":[]}}"#), "e"),
            (&format!(r#"{{"t":"signal","to":"{PEER}","e":1,"c":[],"d":{{"type":"rollback"}}}}"#), "c"),
        ] {
            assert_eq!(error(text), (ErrorCode::BadField, Some(field)), "{text}");
        }
        assert_eq!(error(r#"{"t":"join","room":"a/b"}"#), (ErrorCode::RoomNameInvalid, None));
        assert_eq!(error(r#"{"t":"sing"}"#), (ErrorCode::UnknownType, None));
        assert_eq!(parse(r#"{"t":"sing","id":9}"#).unwrap_err().re, Some(9));
    }

    #[test]
    fn more_than_is_allowed_is_too_large() {
        let signal = |rest: String| format!(r#"{{"t":"signal","to":"{PEER}","e":1,{rest}}}"#);
        let sdp = |length| signal(format!(r#""d":{{"type":"offer","sdp":"{}"}}"#, "a".repeat(length)));
        let candidates = |count: usize| signal(format!(r#""c":[{}]"#, vec!["null"; count].join(",")));
        let long = signal(format!(r#""c":[{{"candidate":"{}"}}]"#, "a".repeat(CANDIDATE_MAX + 1)));
        let body = |length| format!(r#"{{"t":"msg","kind":"chat","body":"{}"}}"#, "a".repeat(length));
        for good in [sdp(SDP_MAX), candidates(CANDIDATES_MAX), body(BODY_MAX)] {
            assert!(parse(&good).is_ok());
        }
        for (bad, field) in [
            (sdp(SDP_MAX + 1), "d"),
            (candidates(CANDIDATES_MAX + 1), "c"),
            (long, "c"),
            (body(BODY_MAX + 1), "body"),
        ] {
            assert_eq!(error(&bad), (ErrorCode::TooLarge, Some(field)));
        }
    }

    proptest! {
        #[test]
        fn any_text_is_a_message_or_a_mistake(text in "\\PC{0,80}|[\\[\\]{}\",:a-z0-9\\\\ ]{0,200}") {
            drop(parse(&text));
        }

        #[test]
        fn a_mutated_message_is_a_message_or_a_mistake(at in 0..150_usize, byte in 0x20..0x7f_u8) {
            let text = format!(r#"{{"t":"signal","id":1,"to":"{PEER}","e":1,"c":[{{"candidate":"a b","sdpMid":"0"}},null]}}"#);
            let mut text = text.into_bytes();
            let at = at % text.len();
            text[at] = byte;
            drop(parse(&String::from_utf8(text).unwrap()));
        }

        #[test]
        fn the_depth_is_what_serde_finds(text in "[\\[\\]{}\",:1\\\\]{0,40}") {
            let depth = |value: &Value| {
                fn of(value: &Value) -> usize {
                    match value {
                        Value::Array(list) => 1 + list.iter().map(of).max().unwrap_or(0),
                        Value::Object(map) => 1 + map.values().map(of).max().unwrap_or(0),
                        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => 0,
                    }
                }
                of(value)
            };
            if let Ok(value) = serde_json::from_str::<Value>(&text) {
                prop_assert_eq!(is_too_deep(&text), depth(&value) > DEPTH_MAX);
            }
        }
    }
}
