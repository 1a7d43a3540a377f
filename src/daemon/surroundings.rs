//! Follows which addresses and networks this machine has, and tells the relay.

use std::convert::Infallible;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::Duration;

use crate::bounds::notice::Notice;
use crate::clock::{Clock, Moment};
use crate::config::Config;
use crate::daemon::{Addresses, StartError};
use crate::network::address::Transport;
use crate::network::interfaces;
use crate::network::own::Own;
use crate::peers::PeerPolicy;
use crate::relay::Relay;

/// How often the interfaces are read.
const PERIOD: Duration = Duration::from_secs(1);

/// What this machine is, and whoever wants to hear of it.
pub(super) struct Surroundings {
    /// Addresses that are the machine's whatever its interfaces say: a NAT's public side, and what we are bound to.
    fixed: Vec<IpAddr>,
    own: Own,
    unreadable: Notice,
}

/// What the interfaces say now.
///
/// # Errors
/// If nobody tells: a relay that does not know its own addresses would be a way around its machine's firewall.
pub(super) fn read() -> Result<Own, StartError> {
    interfaces::own().map_err(StartError::Blind)
}

impl Surroundings {
    /// A machine whose interfaces say `own`, with a daemon at `addresses` on it.
    pub(super) fn new(own: Own, addresses: &Addresses) -> Self {
        let relay = addresses.relay.iter().flat_map(|address| [address.bind, address.public]);
        let bound = listeners(addresses).into_iter().map(|(_, listener)| listener.ip());
        let fixed: Vec<IpAddr> = relay.chain(bound).collect();
        Self { own: own.with(&fixed), fixed, unreadable: Notice::new() }
    }

    /// Whom clients may reach.
    pub(super) fn policy(&self, config: &Config, addresses: &Addresses) -> PeerPolicy {
        let policy = PeerPolicy {
            allow: config.peers.allow.iter().map(|range| range.get()).collect(),
            deny: config.peers.deny.clone(),
            nat64: config.peers.nat64_prefixes.clone(),
            loopback: config.peers.loopback,
            allow_own: config.peers.allow_own.clone(),
            own: self.own.clone(),
            listeners: listeners(addresses),
        };
        for warning in config.needless_openings(&self.own) {
            tracing::warn!("{warning}");
        }
        let neighbours: Vec<String> = policy.closed_neighbours().iter().map(ToString::to_string).collect();
        if !neighbours.is_empty() {
            let networks = neighbours.join(", ");
            tracing::info!(
                "this machine's own networks are closed to clients: {networks}; peers.allow can open them"
            );
        }
        policy
    }

    /// Reads the interfaces again and again, until nobody holds the other end of `until` any more.
    pub(super) fn follow(
        mut self,
        relay: &Relay,
        clock: Clock,
        until: &Receiver<Infallible>,
    ) -> io::Result<()> {
        while let Err(RecvTimeoutError::Timeout) = until.recv_timeout(PERIOD) {
            let Some(own) = self.look(interfaces::own(), clock.now().moment) else { continue };
            relay.set_own(own);
        }
        Ok(())
    }

    /// Takes in what the interfaces say; returns it if it is news. If they cannot be read, what is known still holds.
    fn look(&mut self, read: io::Result<Own>, now: Moment) -> Option<Own> {
        let own = match read {
            Ok(own) => own.with(&self.fixed),
            Err(error) => {
                if let Some(times) = self.unreadable.due(now) {
                    tracing::warn!(%error, times, "this machine's addresses cannot be read; the last ones known still count");
                }
                return None;
            }
        };
        if own == self.own {
            return None;
        }
        tracing::debug!(addresses = ?own.addresses, on_link = ?own.on_link, "this machine's addresses have changed");
        self.own = own.clone();
        Some(own)
    }
}

/// Every transport address that we listen on. What is bound to the inner side of a 1:1 NAT is reached by the outer one, too.
fn listeners(addresses: &Addresses) -> Vec<(Transport, SocketAddr)> {
    let Addresses { udp, tcp, tls, http, relay, ports: _ } = addresses;
    let streams = [&tcp[..], tls, http].concat().into_iter().map(|listener| (Transport::Tcp, listener));
    let bound = udp.iter().map(|listener| (Transport::Udp, *listener)).chain(streams);
    let both_sides = |(transport, inside): (Transport, SocketAddr)| {
        let same = relay.iter().filter(move |address| address.bind == inside.ip());
        let outside = same.map(move |address| SocketAddr::new(address.public, inside.port()));
        std::iter::once(inside).chain(outside).map(move |listener| (transport, listener))
    };
    bound.flat_map(both_sides).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::network::address::RelayAddress;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    fn own(addresses: &[&str]) -> Own {
        Own::new(addresses.iter().map(|address| ip(address)).collect(), &[])
    }

    fn behind_a_nat() -> Addresses {
        let socket = |text: &str| vec![text.parse().unwrap()];
        Addresses {
            udp: socket("10.0.0.5:3478"),
            tcp: socket("0.0.0.0:3478"),
            tls: Vec::new(),
            http: socket("127.0.0.1:8080"),
            relay: vec![RelayAddress { bind: ip("10.0.0.5"), public: ip("192.0.2.1") }],
            ports: 50_000..=50_001,
        }
    }

    #[test]
    fn both_sides_of_a_nat_are_own_and_stay_so_whatever_the_interfaces_say() {
        let mut surroundings = Surroundings::new(own(&["127.0.0.1", "10.0.0.5"]), &behind_a_nat());
        assert!(surroundings.own.addresses.contains(&ip("192.0.2.1")));
        let news = surroundings.look(Ok(own(&["127.0.0.1", "10.0.0.6"])), Moment::default()).unwrap();
        for address in ["192.0.2.1", "10.0.0.5", "10.0.0.6"] {
            assert!(news.addresses.contains(&ip(address)), "{address}");
        }
    }

    #[test]
    fn what_cannot_be_read_changes_nothing_and_what_is_the_same_is_no_news() {
        let mut surroundings = Surroundings::new(own(&["127.0.0.1"]), &behind_a_nat());
        let known = surroundings.own.clone();
        let denied = || Err(io::ErrorKind::PermissionDenied.into());
        assert_eq!(surroundings.look(denied(), Moment::default()), None);
        assert_eq!(surroundings.own, known);
        assert_eq!(surroundings.look(Ok(own(&["127.0.0.1"])), Moment::default()), None);
        let news = surroundings.look(Ok(own(&["127.0.0.1", "192.0.2.9"])), Moment::default());
        assert!(news.is_some_and(|own| own.addresses.contains(&ip("192.0.2.9"))));
    }

    #[test]
    fn a_listener_behind_a_nat_is_one_by_its_public_address_too() {
        let listeners = listeners(&behind_a_nat());
        let (udp, tcp) = (Transport::Udp, Transport::Tcp);
        let expected =
            [(udp, "10.0.0.5:3478"), (udp, "192.0.2.1:3478"), (tcp, "0.0.0.0:3478"), (tcp, "127.0.0.1:8080")];
        assert_eq!(listeners, expected.map(|(transport, listener)| (transport, listener.parse().unwrap())));
    }
}
