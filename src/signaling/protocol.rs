//! PURE  The messages of the signaling protocol, version 1; `docs/signaling.md` describes them for developers.
//!
//! Each frame is one JSON object with its type in `t`. [`parse`] reads the client's messages field by field, so that an
//! error can name the field. Serde writes the server's messages, and [`super::frame`] puts them into frames.

mod client;
pub mod codes;
mod content;
mod kinds;
pub mod names;
pub mod parse;
mod request_error;
mod server;

pub use client::{ClientMessage, Hello, Join, Request, Resume, StateChange};
pub use content::{Candidate, Content, Description, DescriptionKind};
pub use kinds::{ClientKind, ServerKind};
pub use request_error::RequestError;
pub use server::{
    ErrorBody, GoawayAction, Heartbeats, Joined, KickReason, LeaveReason, MemberState, MessageLimits, Peer,
    ServerMessage, Welcome,
};

/// The version of the protocol.
pub const VERSION: u32 = 1;
/// Bytes of a frame.
pub const FRAME_MAX: usize = 64 * 1024;
/// How deep arrays and objects may be nested in a frame.
pub const DEPTH_MAX: usize = 8;
/// Bytes of a session description.
pub const SDP_MAX: usize = 32 * 1024;
/// Candidates in one frame.
pub const CANDIDATES_MAX: usize = 64;
/// Bytes of each text of a candidate.
pub const CANDIDATE_MAX: usize = 1024;
/// Bytes of the text of a `msg`.
pub const BODY_MAX: usize = 4 * 1024;
/// Bytes of the kind of a `msg`.
pub const KIND_MAX: usize = 32;
/// Bytes of a room's key.
pub const KEY_MAX: usize = 256;
/// Bytes of any token.
pub const TOKEN_MAX: usize = 4 * 1024;

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::codes::ErrorCode;
    use super::*;

    #[test]
    fn what_a_change_does_not_name_stays() {
        let state = MemberState { mic: true, cam: true, ..MemberState::default() };
        let change = StateChange { cam: Some(false), hand: Some(true), ..StateChange::default() };
        assert_eq!(state.after(&change), MemberState { mic: true, hand: true, ..MemberState::default() });
    }

    #[test]
    fn no_log_shows_a_token_or_a_key() {
        let heard = [
            r#"{"t":"hello","v":[1],"token":"sesame","resume":"sesame","last":1}"#,
            r#"{"t":"join","room":"sesame","key":"sesame","host_token":"sesame"}"#,
        ];
        let peer = "AAECAwQFBgcICQoL";
        let said = [
            format!(
                r#"{{"t":"welcome","v":1,"session":"{peer}","resume":"sesame","resumed":false,"hb":{{"ping":1,"dead":2}},
                "limits":{{"frame":1,"sdp":1,"candidates":1,"body":1,"rate":1,"burst":1,"grace":1}},"now":1,"build":""}}"#
            ),
            format!(
                r#"{{"t":"joined","room":"sesame","you":"{peer}","host":"{peer}","locked":false,"cap":4,"peers":[],
                "ice":{{"iceServers":[{{"urls":[],"credential":"sesame"}}],"ttl":1,"expires_at":1}},"host_token":"sesame"}}"#
            ),
        ];
        let heard = heard.map(|text| format!("{:?}", parse::parse(text).unwrap()));
        let said = said.map(|text| serde_json::from_str::<ServerMessage>(&text).unwrap());
        assert!(said.iter().all(|message| message.to_json().contains("sesame")), "{said:?}");
        for shown in heard.into_iter().chain(said.map(|message| format!("{message:?}"))) {
            assert!(!shown.contains("sesame") && shown.contains("(..)"), "{shown}");
        }
    }

    #[test]
    fn a_fault_says_when_to_try_again_rounded_up() {
        let error = RequestError::later(ErrorCode::RateLimited, Duration::from_micros(1500));
        let ServerMessage::Error(body) = error.into() else { panic!("it is an error") };
        assert_eq!((body.code, body.retry_after_ms), (ErrorCode::RateLimited, Some(2)));
    }
}
