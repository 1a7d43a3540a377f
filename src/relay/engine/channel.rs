//! PURE  ChannelBind (RFC 8656 §12.2): binds a channel to a peer, or refreshes it.

use stun::attributes::ATTR_CHANNEL_NUMBER;

use crate::network::address::Transport;
use crate::outcome::Refusal;
use crate::relay::address::{ChannelNumber, PeerAddr};
use crate::relay::engine::Engine;
use crate::relay::engine::allocation::{AllocationId, CHANNEL_LIFETIME, CHANNEL_RESERVATION, Channel};
use crate::relay::engine::authenticate::Authenticated;
use crate::relay::engine::reply::Attributes;
use crate::relay::engine::routes::{Down, Up};
use crate::relay::engine::seam::Ports;

impl Engine {
    pub(super) fn channel_bind(
        &mut self,
        request: &Authenticated<'_>,
        ports: &impl Ports,
    ) -> Result<Attributes, Refusal> {
        let id = self.owned(request)?;
        let (number, peer) = wanted(request)?;
        if number.is_reserved() && !self.settings.rfc5766_channels {
            return Err(Refusal::BadRequest);
        }
        let now = request.now().moment;
        self.drop_channels(id, |channel| channel.until + CHANNEL_RESERVATION <= now);
        let allocation = self.allocations.get(id).ok_or(Refusal::AllocationMismatch)?;
        if allocation.transport != Transport::Udp {
            return Err(Refusal::BadRequest);
        }
        // Both conflict rules: a number has one peer, and a peer has one number.
        if allocation.channels.iter().any(|other| (other.number == number) != (other.peer == peer)) {
            return Err(Refusal::BadRequest);
        }
        let relay = allocation.relay(peer.family()).ok_or(Refusal::FamilyMismatch)?;
        self.may_reach(peer, Transport::Udp, ports)?;
        let is_new = allocation.channels.iter().all(|other| other.number != number);
        if is_new && allocation.channels.len() >= self.settings.limits.configured.channels.get() as usize {
            return Err(Refusal::Channels);
        }
        // The permission lasts as long as the channel, not the five minutes of RFC 8656 §9: some clients rely on that,
        // bind once and refresh no permission. They have named this very peer for ten minutes.
        self.permit(id, &[peer.ip()], now, CHANNEL_LIFETIME)?;
        self.bind(id, Channel { number, peer, relay: relay.id, until: now + CHANNEL_LIFETIME }, ports);
        Ok(Attributes::new())
    }

    fn bind(&mut self, id: AllocationId, channel: Channel, ports: &impl Ports) {
        let Some(allocation) = self.allocations.get_mut(id) else { return };
        let Channel { number, peer, relay, until } = channel;
        match allocation.channels.iter_mut().find(|other| other.number == number) {
            Some(refreshed) => *refreshed = channel,
            None => {
                allocation.channels.push(channel);
                self.counters.channels.add(1);
            }
        }
        let up = Up { allocation: id, relay, peer, own: ports.is_relay_ip(peer.ip()), until };
        let down = Down { allocation: id, channel: number, until };
        self.routes.insert(allocation.path, up, down);
    }
}

fn wanted(request: &Authenticated<'_>) -> Result<(ChannelNumber, PeerAddr), Refusal> {
    let message = request.message();
    let [high, low, _, _] = message.value(ATTR_CHANNEL_NUMBER)?.ok_or(Refusal::BadRequest)?;
    let number = ChannelNumber::new(u16::from_be_bytes([high, low])).ok_or(Refusal::BadRequest)?;
    let peer = message.first_peer()?.ok_or(Refusal::BadRequest)?;
    Ok((number, peer))
}
