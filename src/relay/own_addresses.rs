//! Watches the addresses and networks of this machine.

use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::Duration;

use crate::bounds::notice::Notice;
use crate::clock::{Clock, Moment};
use crate::network::interfaces;
use crate::network::own::Own;
use crate::relay::shard::{Command, Handle};

/// How often the interfaces are read.
const PERIOD: Duration = Duration::from_secs(1);

/// An order to the thread.
#[derive(Debug)]
pub(super) enum Order {
    /// These addresses belong to the machine from now on, even if no interface has them.
    Fixed(Vec<IpAddr>),
    /// End.
    Stop,
}

/// The last known addresses and networks of this machine.
pub(super) struct OwnAddresses {
    known: Own,
    /// Addresses that belong to the machine even if no interface has them.
    fixed: Vec<IpAddr>,
    unreadable: Notice,
}

impl OwnAddresses {
    /// Begins with `known`, and adds `fixed`, which belong to the machine even if no interface has them.
    pub(super) fn new(known: Own, fixed: Vec<IpAddr>) -> Self {
        Self { known, fixed, unreadable: Notice::new() }
    }

    /// Reads the interfaces every second and sends changes to the shards, until it is ordered to stop.
    pub(super) fn follow(mut self, shards: &[Handle], clock: Clock, inbox: &Receiver<Order>) {
        let mut look = clock.now().moment + PERIOD;
        loop {
            match inbox.recv_timeout(look.since(clock.now().moment)) {
                // The shards know them already; the next look removes those that are not fixed any more.
                Ok(Order::Fixed(fixed)) => self.fixed = fixed,
                Ok(Order::Stop) | Err(RecvTimeoutError::Disconnected) => return,
                Err(RecvTimeoutError::Timeout) => {
                    let now = clock.now().moment;
                    look = now + PERIOD;
                    let Some(own) = self.look(interfaces::own(), now).map(Arc::new) else { continue };
                    for shard in shards {
                        shard.tell(Command::Move(Arc::clone(&own)));
                    }
                }
            }
        }
    }

    /// Updates the known addresses; returns them if they have changed. If the interfaces cannot be read, nothing changes.
    fn look(&mut self, read: io::Result<Own>, now: Moment) -> Option<Own> {
        let own = match read {
            Ok(own) => own.with(&self.fixed),
            Err(error) => {
                if let Some(times) = self.unreadable.due(1, now) {
                    tracing::warn!(%error, times, "this machine's addresses cannot be read; the last known ones stay \
                        in effect");
                }
                return None;
            }
        };
        if own == self.known {
            return None;
        }
        tracing::debug!(addresses = ?own.addresses, on_link = ?own.on_link, "this machine's addresses have changed");
        self.known = own.clone();
        Some(own)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    fn own(addresses: &[&str]) -> Own {
        Own::new(addresses.iter().map(|address| ip(address)).collect(), &[])
    }

    fn behind_a_nat(addresses: &[&str]) -> OwnAddresses {
        let fixed = vec![ip("10.0.0.5"), ip("192.0.2.1")];
        OwnAddresses::new(own(addresses).with(&fixed), fixed)
    }

    #[test]
    fn both_sides_of_a_nat_are_own_and_stay_so_whatever_the_interfaces_say() {
        let mut followed = behind_a_nat(&["127.0.0.1", "10.0.0.5"]);
        assert!(followed.known.addresses.contains(&ip("192.0.2.1")));
        let news = followed.look(Ok(own(&["127.0.0.1", "10.0.0.6"])), Moment::default()).unwrap();
        for address in ["192.0.2.1", "10.0.0.5", "10.0.0.6"] {
            assert!(news.addresses.contains(&ip(address)), "{address}");
        }
    }

    #[test]
    fn what_cannot_be_read_changes_nothing_and_what_is_the_same_is_no_news() {
        let mut followed = behind_a_nat(&["127.0.0.1"]);
        let known = followed.known.clone();
        let denied = || Err(io::ErrorKind::PermissionDenied.into());
        assert_eq!(followed.look(denied(), Moment::default()), None);
        assert_eq!(followed.known, known);
        assert_eq!(followed.look(Ok(own(&["127.0.0.1"])), Moment::default()), None);
        let news = followed.look(Ok(own(&["127.0.0.1", "192.0.2.9"])), Moment::default());
        assert!(news.is_some_and(|own| own.addresses.contains(&ip("192.0.2.9"))));
    }
}
