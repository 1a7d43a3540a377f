//! What one path was granted, as a client that keeps books would know it.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use hairpin::clock::Moment;

use crate::support::stun::{Message, XOR_RELAYED_ADDRESS};

const PERMISSION: Duration = Duration::from_secs(300);
const CHANNEL: Duration = Duration::from_secs(600);

/// What a request changes if it is granted.
#[derive(Debug, Clone)]
pub(super) enum Effect {
    Allocate,
    Refresh { family: Option<u8>, lifetime: u32 },
    Permit { ips: Vec<IpAddr> },
    Bind { number: u16, peer: SocketAddr },
}

/// The allocation of one path.
#[derive(Debug, Clone, Default)]
pub(super) struct Granted {
    /// Which client made it.
    pub(super) owner: Option<usize>,
    /// Whether it had to make way for another, and may end before its time.
    pub(super) evicted: bool,
    pub(super) relays: Vec<(SocketAddr, Moment)>,
    permissions: Vec<(IpAddr, Moment)>,
    channels: Vec<(u16, SocketAddr, Moment)>,
}

impl Granted {
    /// A request of client `who` was granted.
    pub(super) fn apply(&mut self, who: usize, effect: &Effect, answer: &Message, now: Moment) {
        match effect {
            // A retransmission is answered again, and changes nothing.
            Effect::Allocate if self.owner.is_some() => assert_eq!(self.owner, Some(who)),
            Effect::Allocate => {
                let until = now + Duration::from_secs(answer.lifetime().into());
                let relays = answer.addresses(XOR_RELAYED_ADDRESS);
                let relays = relays.into_iter().map(|relayed| (relayed, until)).collect();
                *self = Self { owner: Some(who), relays, ..Self::default() };
            }
            Effect::Refresh { family, lifetime } => {
                assert_eq!(self.owner, Some(who));
                let granted = if *lifetime == 0 { 0 } else { (*lifetime).clamp(600, 3600) };
                assert_eq!(answer.lifetime(), granted);
                for (relayed, until) in &mut self.relays {
                    if family.is_none_or(|family| (family == 1) == relayed.is_ipv4()) {
                        *until = now + Duration::from_secs(granted.into());
                    }
                }
            }
            Effect::Permit { ips } => {
                assert_eq!(self.owner, Some(who));
                ips.iter().for_each(|ip| self.permit(*ip, now + PERMISSION));
            }
            Effect::Bind { number, peer } => {
                assert_eq!(self.owner, Some(who));
                self.channels.retain(|(other, ..)| other != number);
                self.channels.push((*number, *peer, now + CHANNEL));
                self.permit(peer.ip(), now + CHANNEL);
            }
        }
        self.settle(now);
    }

    /// Forgets what is over.
    pub(super) fn settle(&mut self, now: Moment) {
        self.relays.retain(|(_, until)| *until > now);
        let relays = &self.relays;
        let has_family = |ip: IpAddr| relays.iter().any(|(relayed, _)| relayed.is_ipv4() == ip.is_ipv4());
        self.permissions.retain(|(ip, until)| *until > now && has_family(*ip));
        self.channels.retain(|(_, peer, until)| *until > now && has_family(peer.ip()));
        if self.relays.is_empty() {
            *self = Self::default();
        }
    }

    pub(super) fn is_permitted(&self, ip: IpAddr) -> bool {
        self.permissions.iter().any(|(other, _)| *other == ip)
    }

    /// The peer of a channel.
    pub(super) fn peer_of(&self, number: u16) -> Option<SocketAddr> {
        self.channels.iter().find(|(other, ..)| *other == number).map(|(_, peer, _)| *peer)
    }

    /// The channel of a peer.
    pub(super) fn channel_of(&self, peer: SocketAddr) -> Option<u16> {
        self.channels.iter().find(|(_, other, _)| *other == peer).map(|(number, ..)| *number)
    }

    /// The relayed address of a family.
    pub(super) fn relay(&self, is_v4: bool) -> Option<SocketAddr> {
        self.relays.iter().map(|(relayed, _)| *relayed).find(|relayed| relayed.is_ipv4() == is_v4)
    }

    fn permit(&mut self, ip: IpAddr, until: Moment) {
        let before =
            self.permissions.iter().find(|(other, _)| *other == ip).map_or(until, |(_, until)| *until);
        self.permissions.retain(|(other, _)| *other != ip);
        self.permissions.push((ip, until.max(before)));
    }
}
