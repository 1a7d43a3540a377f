//! What an event of a shard's poll is about, written into the event's token.

use mio::Token;

use crate::relay::address::{ListenerId, RelayId, StreamId};

/// What a shard waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Source {
    /// A command from outside.
    Waker,
    /// A UDP socket that clients talk to.
    Listener(ListenerId),
    /// A relay socket.
    Relay(RelayId),
    /// A TCP connection.
    Stream(StreamId),
}

/// The low bits of a token say which kind of source it is; the others are its index. That leaves 30 bits for an index
/// where a pointer has 32 (armv7, i686): more than sockets fit into such a process.
const KIND_BITS: u32 = 2;

impl From<Source> for Token {
    fn from(source: Source) -> Self {
        let (kind, index) = match source {
            Source::Waker => (0, 0),
            Source::Listener(id) => (1, usize::from(id.0)),
            Source::Relay(id) => (2, id.0 as usize),
            Source::Stream(id) => (3, id.0 as usize),
        };
        Self(index << KIND_BITS | kind)
    }
}

impl From<Token> for Source {
    fn from(Token(token): Token) -> Self {
        let index = token >> KIND_BITS;
        match token & ((1 << KIND_BITS) - 1) {
            0 => Self::Waker,
            1 => Self::Listener(ListenerId(index as u16)),
            2 => Self::Relay(RelayId(index as u32)),
            _ => Self::Stream(StreamId(index as u32)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_source_has_a_token_of_its_own_which_leads_back_to_it() {
        let most = (usize::MAX >> KIND_BITS) as u32;
        let mut tokens = std::collections::HashSet::new();
        for source in [
            Source::Waker,
            Source::Listener(ListenerId(0)),
            Source::Listener(ListenerId(u16::MAX)),
            Source::Relay(RelayId(0)),
            Source::Relay(RelayId(most)),
            Source::Stream(StreamId(0)),
            Source::Stream(StreamId(most)),
        ] {
            let token = Token::from(source);
            assert!(tokens.insert(token), "{source:?}");
            assert_eq!(Source::from(token), source);
        }
    }
}
