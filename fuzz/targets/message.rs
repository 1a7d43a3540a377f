//! A signaling message: any text is a message or a mistake, and what is accepted keeps the protocol's bounds.
#![no_main]

use hairpin::secret::Secret;
use hairpin::signaling::protocol::names::NAME_MAX;
use hairpin::signaling::protocol::parse::parse;
use hairpin::signaling::protocol::{
    BODY_MAX, CANDIDATE_MAX, CANDIDATES_MAX, Candidate, ClientMessage, Content, DEPTH_MAX, Hello, Join,
    KEY_MAX, KIND_MAX, SDP_MAX, StateChange, TOKEN_MAX,
};
use libfuzzer_sys::fuzz_target;
use serde_json::Value;

fn check(message: ClientMessage) {
    match message {
        ClientMessage::Hello(Hello { versions: _, token, resume }) => {
            check_secret(token.as_ref(), TOKEN_MAX);
            check_secret(resume.as_ref().map(|resume| &resume.token), TOKEN_MAX);
        }
        ClientMessage::Join(Join { room, name, key, host_token, state, most: _ }) => {
            check_name(room.as_str());
            assert!(!room.as_str().is_empty());
            check_name(&String::from(name));
            check_secret(key.as_ref(), KEY_MAX);
            check_secret(host_token.as_ref(), TOKEN_MAX);
            check_state(state);
        }
        ClientMessage::Signal { to: _, e: _, content } => check_content(content),
        ClientMessage::State(state) => check_state(state),
        ClientMessage::Msg { to: _, kind, body } => {
            assert!(kind.len() <= KIND_MAX);
            assert!(body.len() <= BODY_MAX);
        }
        ClientMessage::Leave
        | ClientMessage::Bye
        | ClientMessage::Ice
        | ClientMessage::Ping { .. }
        | ClientMessage::Lock { .. }
        | ClientMessage::Kick { .. }
        | ClientMessage::Admit { .. }
        | ClientMessage::Deny { .. }
        | ClientMessage::Host { .. }
        | ClientMessage::End => {}
    }
}

fn check_content(content: Content) {
    match content {
        Content::Description(description) => assert!(description.sdp.len() <= SDP_MAX),
        Content::Candidates(candidates) => {
            assert!(candidates.len() <= CANDIDATES_MAX);
            for Candidate { candidate, sdp_mid, sdp_mline_index: _, username_fragment } in
                candidates.into_iter().flatten()
            {
                for text in [Some(candidate), sdp_mid, username_fragment].into_iter().flatten() {
                    assert!(text.len() <= CANDIDATE_MAX);
                }
            }
        }
    }
}

fn check_state(state: StateChange) {
    if let Some(name) = state.name {
        check_name(&String::from(name));
    }
}

fn check_name(name: &str) {
    assert!(name.chars().count() <= NAME_MAX);
}

fn check_secret(secret: Option<&Secret>, most: usize) {
    assert!(secret.is_none_or(|secret| secret.reveal().len() <= most));
}

/// How deep arrays and objects are nested.
fn depth(value: &Value) -> usize {
    match value {
        Value::Array(list) => 1 + list.iter().map(depth).max().unwrap_or(0),
        Value::Object(fields) => 1 + fields.values().map(depth).max().unwrap_or(0),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => 0,
    }
}

fuzz_target!(|text: &str| {
    let Ok(request) = parse(text) else { return };
    let value = serde_json::from_str(text).expect("what is accepted is JSON");
    assert!(depth(&value) <= DEPTH_MAX);
    check(request.message);
});
