//! PURE  Judges peers by the rules of the operator and the current addresses of this machine, and again when these change.

use std::net::IpAddr;
use std::sync::Arc;

use crate::clock::Moment;
use crate::journal::shown;
use crate::network::address::Transport;
use crate::network::own::Own;
use crate::outcome::Refusal;
use crate::peers::{Denial, PeerPolicy};
use crate::relay::address::{ConnectionId, PeerAddr, RelayId};
use crate::relay::engine::allocation::Allocation;
use crate::relay::engine::seam::Ports;
use crate::relay::engine::{Engine, Settings};

impl Engine {
    /// The machine's addresses or networks have changed. Permissions and channels that would now be refused end at
    /// once. Returns the TCP connections that would now be refused; the caller closes them.
    pub fn set_own(&mut self, own: Own, ports: &impl Ports) -> Vec<ConnectionId> {
        self.peers.own = own;
        self.judge_again(ports)
    }

    /// The configuration has changed. No limit ends what is there. Peers that the new rules deny are cut off at once, as
    /// by [`Self::set_own`], whose addresses stay in effect; those in `fixed` belong to this machine as well. The relay
    /// addresses in `ports` may be others than before.
    pub fn apply(
        &mut self,
        settings: Arc<Settings>,
        peers: PeerPolicy,
        fixed: &[IpAddr],
        ports: &impl Ports,
    ) -> Vec<ConnectionId> {
        self.nonces.offer_user_hash(settings.credentials.offers_user_hash());
        self.purse.limit(&settings.limits);
        self.settings = settings;
        let own = std::mem::take(&mut self.peers.own).with(fixed);
        self.peers = PeerPolicy { own, ..peers };
        self.judge_again(ports)
    }

    /// Ends the permissions and channels that are now denied. Returns the connections that are; the caller closes them.
    fn judge_again(&mut self, ports: &impl Ports) -> Vec<ConnectionId> {
        let (peers, routes) = (&self.peers, &mut self.routes);
        let judge = |ip, transport| peers.judge_ip(ip, transport, ports.is_relay_ip(ip));
        for (_, allocation) in self.allocations.iter_mut() {
            let Allocation { path, transport, permissions, channels, .. } = allocation;
            let before = (permissions.len(), channels.len());
            permissions.retain(|permission| judge(permission.ip, *transport).is_ok());
            channels.retain(|channel| {
                let own = ports.is_relay_ip(channel.peer.ip());
                // Data to an address that we relay from is judged packet by packet.
                let keep = own || peers.judge(channel.peer.0, Transport::Udp, false, false).is_ok();
                if keep {
                    routes.mark(*path, channel.number, own);
                } else {
                    routes.remove(*path, channel.number, channel.relay, channel.peer);
                }
                keep
            });
            self.counters.permissions.sub((before.0 - permissions.len()) as u64);
            self.counters.channels.sub((before.1 - channels.len()) as u64);
        }
        self.bridges.with_peers(|peer| judge(peer.ip(), Transport::Tcp).is_err())
    }

    /// Whether a permission for `ip` is allowed.
    pub(super) fn may_permit(
        &self,
        ip: IpAddr,
        transport: Transport,
        ports: &impl Ports,
    ) -> Result<(), Refusal> {
        let verdict = self.peers.judge_ip(ip, transport, ports.is_relay_ip(ip));
        verdict.map_err(|denial| deny(ip, denial))
    }

    /// Whether a channel to `peer`, or a connection with it, is allowed.
    pub(super) fn may_reach(
        &self,
        peer: PeerAddr,
        transport: Transport,
        ports: &impl Ports,
    ) -> Result<(), Refusal> {
        self.judge(peer, transport, ports).map_err(|denial| deny(peer.ip(), denial))
    }

    /// Judges data for `peer`.
    pub(super) fn judge(
        &self,
        peer: PeerAddr,
        transport: Transport,
        ports: &impl Ports,
    ) -> Result<(), Denial> {
        let live = match transport {
            Transport::Udp => ports.is_live(peer.0),
            Transport::Tcp => ports.is_live_stream(peer.0),
        };
        self.peers.judge(peer.0, transport, ports.is_relay_ip(peer.ip()), live)
    }

    /// By which of its two addresses a client knows a peer on this machine, behind a 1:1 NAT: a relay by the `outside`
    /// one, another service by the one that the client used. A channel counts more than a permission.
    #[must_use]
    pub fn known_as(&self, relay: RelayId, outside: PeerAddr, inside: PeerAddr, now: Moment) -> PeerAddr {
        if outside == inside {
            return outside;
        }
        let allocation = self.allocations.by_relay(relay).and_then(|id| self.allocations.get(id));
        let has_channel = |peer| self.routes.down(relay, peer).is_some_and(|down| down.until > now);
        let is_permitted = |peer: PeerAddr| {
            allocation.and_then(|a| a.permitted_until(peer.ip())).is_some_and(|until| until > now)
        };
        let acquaintance = |peer| (has_channel(peer), is_permitted(peer));
        if acquaintance(inside) > acquaintance(outside) { inside } else { outside }
    }
}

fn deny(peer: IpAddr, denial: Denial) -> Refusal {
    tracing::debug!(peer = shown::ip(peer), reason = denial.name(), "peer denied");
    Refusal::PeerDenied
}
