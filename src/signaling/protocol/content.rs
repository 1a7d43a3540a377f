//! PURE  The signals between two members, which the server passes on: the dictionaries of `RTCPeerConnection`.

use serde::{Deserialize, Serialize};

/// The content of a signal. The server checks only its size and type.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Content {
    /// An `RTCSessionDescriptionInit`.
    #[serde(rename = "d")]
    Description(Description),
    /// `RTCIceCandidateInit`s; `null` marks their end.
    #[serde(rename = "c")]
    Candidates(Vec<Option<Candidate>>),
}

/// An `RTCSessionDescriptionInit`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Description {
    /// The type of the description.
    #[serde(rename = "type")]
    pub kind: DescriptionKind,
    /// The SDP; empty for a rollback.
    #[serde(default)]
    pub sdp: String,
}

/// An `RTCSdpType`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DescriptionKind {
    /// An offer.
    Offer,
    /// An answer.
    Answer,
    /// A provisional answer.
    Pranswer,
    /// Takes back an offer.
    Rollback,
}

/// An `RTCIceCandidateInit`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Candidate {
    /// The candidate-attribute (RFC 8839 §5.1).
    pub candidate: String,
    /// The media section, by its identification tag.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sdp_mid: Option<String>,
    /// The media section, by its index.
    #[serde(default, skip_serializing_if = "Option::is_none", rename = "sdpMLineIndex")]
    pub sdp_mline_index: Option<u16>,
    /// The ICE generation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub username_fragment: Option<String>,
}
