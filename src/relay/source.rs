//! The source of an event of a shard's poll, encoded in the event's token.

use mio::Token;

use crate::relay::address::{DirectId, ListenerId, RelayId, StreamId};

/// A source of events.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Source {
    /// A command from outside.
    Waker,
    /// An order to the thread that serves the shard.
    Bell,
    /// A UDP socket that clients talk to.
    Listener(ListenerId),
    /// A relay socket.
    Relay(RelayId),
    /// A TCP connection.
    Stream(StreamId),
    /// A UDP socket that belongs to one client.
    Direct(DirectId),
}

/// The low bits of a token are the kind of the source, and the others its index. That leaves 29 bits for an index on
/// 32-bit systems (armv7, i686): more sockets than such a process can have.
const KIND_BITS: u32 = 3;

impl From<Source> for Token {
    fn from(source: Source) -> Self {
        let (kind, index) = match source {
            Source::Waker => (0, 0),
            Source::Bell => (5, 0),
            Source::Listener(id) => (1, usize::from(id.0)),
            Source::Relay(id) => (2, id.0 as usize),
            Source::Stream(id) => (3, id.0 as usize),
            Source::Direct(id) => (4, id.0 as usize),
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
            3 => Self::Stream(StreamId(index as u32)),
            5 => Self::Bell,
            _ => Self::Direct(DirectId(index as u32)),
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
            Source::Bell,
            Source::Listener(ListenerId(0)),
            Source::Listener(ListenerId(u16::MAX)),
            Source::Relay(RelayId(0)),
            Source::Relay(RelayId(most)),
            Source::Stream(StreamId(0)),
            Source::Stream(StreamId(most)),
            Source::Direct(DirectId(0)),
            Source::Direct(DirectId(most)),
        ] {
            let token = Token::from(source);
            assert!(tokens.insert(token), "{source:?}");
            assert_eq!(Source::from(token), source);
        }
    }
}
