//! PURE  The clients that have knocked at a room and wait for its host.

use std::net::IpAddr;
use std::time::Duration;

use crate::bounds::client_net::network;
use crate::clock::Moment;
use crate::signaling::post::Post;
use crate::signaling::protocol::ServerMessage;
use crate::signaling::protocol::codes::ErrorCode;
use crate::signaling::protocol::names::{PeerId, SessionId};
use crate::signaling::room::member::Member;

/// The most clients that may wait. When the lobby is full, a newcomer is refused, unless `take_for` finds a client to
/// evict.
pub const WAITING_MAX: usize = 8;
/// How long a client waits for the host.
pub const KNOCK: Duration = Duration::from_secs(120);

/// The waiting clients, in the order in which they knocked.
#[derive(Debug, Default)]
pub(super) struct Lobby(Vec<Waiting>);

#[derive(Debug)]
struct Waiting {
    member: Member,
    since: Moment,
}

impl Lobby {
    /// How many clients wait.
    pub(super) fn count(&self) -> usize {
        self.0.len()
    }

    /// Whether no more clients may wait.
    pub(super) fn is_full(&self) -> bool {
        self.0.len() >= WAITING_MAX
    }

    /// Adds a client.
    pub(super) fn enter(&mut self, member: Member, now: Moment) {
        self.0.push(Waiting { member, since: now });
    }

    /// The waiting client of this session.
    pub(super) fn get_mut(&mut self, session: SessionId) -> Option<&mut Member> {
        self.0.iter_mut().map(|waiting| &mut waiting.member).find(|member| member.session == session)
    }

    /// Whether a client with this id waits.
    pub(super) fn has(&self, peer: PeerId) -> bool {
        self.0.iter().any(|waiting| waiting.member.peer.id == peer)
    }

    /// Removes the waiting client of this session.
    pub(super) fn take(&mut self, session: SessionId) -> Option<Member> {
        self.take_if(|member| member.session == session)
    }

    /// Removes the waiting client with this id.
    pub(super) fn take_peer(&mut self, peer: PeerId) -> Option<Member> {
        self.take_if(|member| member.peer.id == peer)
    }

    /// Removes all clients, and tells each that the host did not let it in. Returns their sessions.
    pub(super) fn turn_all_away(&mut self, post: &mut Post) -> Vec<SessionId> {
        let all = std::mem::take(&mut self.0);
        all.into_iter().map(|waiting| turn_away(&waiting.member, post)).collect()
    }

    /// Removes the clients that have waited too long.
    pub(super) fn take_late(&mut self, now: Moment) -> Vec<Member> {
        let late = self.0.extract_if(.., |waiting| waiting.since + KNOCK <= now);
        late.map(|waiting| waiting.member).collect()
    }

    /// Evicts a client for one at `ip`: the latest of the network with the most waiting clients, if the network of `ip`
    /// has at least two fewer. So one network cannot block a room by knocking.
    pub(super) fn take_for(&mut self, ip: IpAddr) -> Option<Member> {
        let of = |net: IpAddr| self.0.iter().filter(|waiting| network(waiting.member.ip) == net).count();
        let last = self.0.iter().max_by_key(|waiting| of(network(waiting.member.ip)))?;
        let (peer, net) = (last.member.peer.id, network(last.member.ip));
        if of(net) <= of(network(ip)) + 1 { None } else { self.take_peer(peer) }
    }

    /// The knocks, for the host.
    pub(super) fn knocks(&self) -> impl Iterator<Item = ServerMessage> {
        self.0.iter().map(|waiting| knock(&waiting.member))
    }

    fn take_if(&mut self, is: impl Fn(&Member) -> bool) -> Option<Member> {
        let index = self.0.iter().position(|waiting| is(&waiting.member))?;
        Some(self.0.remove(index).member)
    }
}

/// The message that tells the host of a client's knock.
pub(super) fn knock(member: &Member) -> ServerMessage {
    ServerMessage::Knock { peer: member.peer.id, name: member.peer.name.clone() }
}

/// Tells a client that the host does not let it in, and returns its session.
pub(super) fn turn_away(member: &Member, post: &mut Post) -> SessionId {
    post.refuse(member.session, ErrorCode::KnockDenied);
    member.session
}
