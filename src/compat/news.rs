//! PURE  What the rooms tell a member, as far as clients of other protocols need it.

use serde::Deserialize;

use crate::signaling::protocol::codes::ErrorCode;
use crate::signaling::protocol::names::PeerId;

/// A message of the rooms. It is read from the JSON that members of the call page get.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(tag = "t", rename_all = "snake_case")]
pub enum News {
    /// The session has begun.
    Welcome,
    /// The client is in the room.
    Joined {
        /// Its id there.
        you: PeerId,
        /// The others, in the order in which they came.
        peers: Vec<Member>,
    },
    /// Another member has come.
    PeerJoined {
        /// The member.
        member: Member,
    },
    /// A member has left.
    PeerLeft {
        /// The member.
        peer: PeerId,
    },
    /// A member says something.
    Msg {
        /// The member.
        from: PeerId,
        /// What it is.
        kind: String,
        /// The text.
        body: String,
    },
    /// A request is refused.
    Error {
        /// Why.
        code: ErrorCode,
    },
    /// What such clients do not know.
    #[serde(other)]
    Other,
}

/// Another member of the room.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub struct Member {
    /// Its id.
    pub id: PeerId,
}

impl News {
    /// Reads a message.
    #[must_use]
    pub fn read(json: &str) -> Self {
        serde_json::from_str(json).unwrap_or(Self::Other)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_new_is_read_and_the_rest_passed_over() {
        let id = "AAECAwQFBgcICQoL";
        let left = News::read(&format!(r#"{{"t":"peer_left","peer":"{id}","reason":"left"}}"#));
        assert!(matches!(left, News::PeerLeft { .. }));
        let joined = format!(
            r#"{{"t":"joined","room":"a space/a room","you":"{id}","host":"{id}","locked":false,"cap":4,
            "peers":[{{"id":"{id}","seq":1,"name":"","state":{{}},"away":false}}]}}"#
        );
        assert!(matches!(News::read(&joined), News::Joined { peers, .. } if peers.len() == 1));
        assert_eq!([News::read(r#"{"t":"pong"}"#), News::read("")], [News::Other, News::Other]);
    }
}
