//! The source of an event, encoded in the event's token, and how a source comes to be reported.

use std::io;

use mio::{Interest, Registry, Token, event};

use crate::relay::address::{CommonId, DirectId, ListenerId, RelayId, StreamId};

/// A source of events.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Source {
    /// A UDP socket that clients talk to.
    Listener(ListenerId),
    /// A relay socket.
    Relay(RelayId),
    /// A socket that receives for the relay ports of a family.
    Common(CommonId),
    /// A TCP connection.
    Stream(StreamId),
    /// A UDP socket that belongs to one client.
    Direct(DirectId),
}

/// Has the poll of a thread report what the sockets of one shard have to read.
#[derive(Debug)]
pub struct Watcher {
    registry: Registry,
    shard: u32,
}

/// The token of a thread's waker.
pub(super) const WAKER: Token = Token(usize::MAX);

/// The low bits of a token are the kind of the source, the next ones the number of the shard, and the others the index of
/// the source. That leaves 19 bits for an index on 32-bit systems (armv7, i686): more sockets than such a process can have.
const KIND_BITS: u32 = 3;
const SHARD_BITS: u32 = 10;

impl Watcher {
    /// The sockets of shard `shard` are reported by the poll of `registry`.
    pub(super) fn new(registry: Registry, shard: u32) -> Self {
        Self { registry, shard }
    }

    /// The number of the shard.
    pub(super) fn shard(&self) -> u32 {
        self.shard
    }

    /// Another one with the same effect.
    ///
    /// # Errors
    /// If the system has no more open files.
    pub(super) fn try_clone(&self) -> io::Result<Self> {
        Ok(Self { registry: self.registry.try_clone()?, shard: self.shard })
    }

    /// Reports this socket from now on. If it has something to read already, it is reported soon.
    ///
    /// # Errors
    /// If the kernel refuses.
    pub(super) fn watch(
        &self,
        socket: &mut impl event::Source,
        source: Source,
        interest: Interest,
    ) -> io::Result<()> {
        self.registry.register(socket, source.token(self.shard), interest)
    }

    /// The same for a socket that another watcher reports, which does so no more.
    ///
    /// # Errors
    /// If the kernel refuses, or this watcher reports the socket already.
    pub(super) fn watch_instead(
        &self,
        from: &Self,
        socket: &mut impl event::Source,
        source: Source,
        interest: Interest,
    ) -> io::Result<()> {
        from.forget(socket);
        self.watch(socket, source, interest)
    }

    /// Reports this socket no more. Best effort: the kernel forgets sockets that are closed.
    pub(super) fn forget(&self, socket: &mut impl event::Source) {
        let _ = self.registry.deregister(socket);
    }
}

impl Source {
    fn token(self, shard: u32) -> Token {
        let (kind, index) = match self {
            Self::Listener(id) => (1, usize::from(id.0)),
            Self::Relay(id) => (2, id.0 as usize),
            Self::Stream(id) => (3, id.0 as usize),
            Self::Direct(id) => (4, id.0 as usize),
            Self::Common(id) => (5, usize::from(id.0)),
        };
        Token((index << SHARD_BITS | shard as usize) << KIND_BITS | kind)
    }

    /// The shard and the source that a token names.
    pub(super) fn of(Token(token): Token) -> (u32, Self) {
        let index = token >> (SHARD_BITS + KIND_BITS);
        let shard = token >> KIND_BITS & ((1 << SHARD_BITS) - 1);
        let source = match token & ((1 << KIND_BITS) - 1) {
            1 => Self::Listener(ListenerId(index as u16)),
            2 => Self::Relay(RelayId(index as u32)),
            3 => Self::Stream(StreamId(index as u32)),
            5 => Self::Common(CommonId(index as u8)),
            _ => Self::Direct(DirectId(index as u32)),
        };
        (shard as u32, source)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_source_has_a_token_of_its_own_which_leads_back_to_it() {
        let most = (usize::MAX >> (KIND_BITS + SHARD_BITS)) as u32;
        let mut tokens = std::collections::HashSet::from([WAKER]);
        let sources = [
            Source::Listener(ListenerId(0)),
            Source::Listener(ListenerId(u16::MAX)),
            Source::Relay(RelayId(0)),
            Source::Relay(RelayId(most)),
            Source::Stream(StreamId(0)),
            Source::Stream(StreamId(most)),
            Source::Direct(DirectId(0)),
            Source::Direct(DirectId(most)),
            Source::Common(CommonId(0)),
            Source::Common(CommonId(1)),
        ];
        for (source, shard) in sources.iter().flat_map(|source| [0, 1, 1023].map(|shard| (*source, shard))) {
            let token = source.token(shard);
            assert!(tokens.insert(token), "{source:?}");
            assert_eq!(Source::of(token), (shard, source));
        }
    }
}
