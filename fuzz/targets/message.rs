//! A signaling message: any text is a message or a mistake, and what is accepted keeps the protocol's bounds.
#![no_main]

use hairpin::signaling::protocol::parse::parse;
use hairpin::signaling::protocol::{BODY_MAX, CANDIDATES_MAX, ClientMessage, Content, SDP_MAX};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let Ok(request) = parse(text) else { return };
    match request.message {
        ClientMessage::Msg { body, .. } => assert!(body.len() <= BODY_MAX),
        ClientMessage::Signal { content: Content::Description(description), .. } => {
            assert!(description.sdp.len() <= SDP_MAX);
        }
        ClientMessage::Signal { content: Content::Candidates(candidates), .. } => {
            assert!(candidates.len() <= CANDIDATES_MAX);
        }
        ClientMessage::Join(join) => assert!(!join.room.as_str().is_empty()),
        _ => {}
    }
});
