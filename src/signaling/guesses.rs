//! PURE  Limits how often clients may guess room names and keys.
//!
//! A wrong guess counts against the guesser at this room, and against the room itself. A wrong key at one room does not
//! slow the guesser's network at any other room. A client with a room token is known by the token, and its guesses
//! count for nobody else.

use std::net::IpAddr;
use std::time::Duration;

use crate::bounds::client_net::{NETWORK_SHARE, address, network};
use crate::bounds::net_throttle::NetThrottle;
use crate::bounds::rate::Rate;
use crate::bounds::throttle::Throttle;
use crate::clock::Moment;
use crate::secret::Digest;
use crate::signaling::protocol::names::RoomName;

/// Wrong joins of one room per minute, for one address or one token.
pub const AT_ROOM_BY_ADDRESS: u64 = 10;
/// The same, for one network.
pub const AT_ROOM_BY_NETWORK: u64 = 30;
/// The same, for all clients without a token together. When it is spent, each network without a wrong join there in the
/// last minute still has one try. Otherwise anybody could close a room to everybody else by guessing.
pub const AT_ROOM: u64 = 120;
/// Names of rooms that do not exist, per minute, for one address.
pub const ROOMS_BY_ADDRESS: u64 = 60;
/// The same, for one network.
pub const ROOMS_BY_NETWORK: u64 = ROOMS_BY_ADDRESS * NETWORK_SHARE as u64;

const MINUTE: Duration = Duration::from_secs(60);

/// Against whom a guess counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Guesser {
    /// The client with the token of this hash.
    Holder(Digest),
    /// A client without a token: its address and its network.
    Stranger(IpAddr),
}

/// What was wrong in a join.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wrong {
    /// The room's key.
    Key,
    /// The room's name or its key; the guesser must not learn which.
    NameOrKey,
}

/// The recent wrong guesses.
#[derive(Debug)]
pub struct Guesses {
    by_holder: Throttle<(Digest, RoomName)>,
    by_address: Throttle<(IpAddr, RoomName)>,
    by_network: Throttle<(IpAddr, RoomName)>,
    firsts: Throttle<(IpAddr, RoomName)>,
    at_room: Throttle<RoomName>,
    rooms: NetThrottle,
}

impl Default for Guesses {
    fn default() -> Self {
        Self {
            by_holder: minutely(AT_ROOM_BY_ADDRESS),
            by_address: minutely(AT_ROOM_BY_ADDRESS),
            by_network: minutely(AT_ROOM_BY_NETWORK),
            firsts: minutely(1),
            at_room: minutely(AT_ROOM),
            rooms: NetThrottle::new(Rate::new(ROOMS_BY_ADDRESS, MINUTE, ROOMS_BY_ADDRESS)),
        }
    }
}

impl Guesses {
    /// How long the guesser must wait before it may try this room again; zero if it need not.
    #[must_use]
    pub fn wait(&self, guesser: Guesser, room: &RoomName, now: Moment) -> Duration {
        let ip = match guesser {
            Guesser::Holder(token) => return self.by_holder.wait(&(token, room.clone()), now),
            Guesser::Stranger(ip) => ip,
        };
        let (address, network) = ((address(ip), room.clone()), (network(ip), room.clone()));
        [
            self.by_address.wait(&address, now),
            self.by_network.wait(&network, now),
            self.at_room.wait(room, now).min(self.firsts.wait(&network, now)),
            self.rooms.wait(ip, now),
        ]
        .into_iter()
        .max()
        .unwrap_or_default()
    }

    /// Counts a wrong guess.
    pub fn count(&mut self, guesser: Guesser, room: &RoomName, wrong: Wrong, now: Moment) {
        // If a limit is spent already, it stays spent.
        match (guesser, wrong) {
            (Guesser::Holder(token), Wrong::Key | Wrong::NameOrKey) => {
                let _ = self.by_holder.take((token, room.clone()), now);
            }
            (Guesser::Stranger(ip), Wrong::Key) => self.count_at(ip, room, now),
            (Guesser::Stranger(ip), Wrong::NameOrKey) => {
                self.count_at(ip, room, now);
                let _ = self.rooms.take(ip, now);
            }
        }
    }

    fn count_at(&mut self, ip: IpAddr, room: &RoomName, now: Moment) {
        let _ = self.by_address.take((address(ip), room.clone()), now);
        let _ = self.by_network.take((network(ip), room.clone()), now);
        let _ = self.firsts.take((network(ip), room.clone()), now);
        let _ = self.at_room.take(room.clone(), now);
    }
}

fn minutely<K: Eq + std::hash::Hash>(count: u64) -> Throttle<K> {
    Throttle::new(Rate::new(count, MINUTE, count))
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: Moment = Moment::from_nanos(1_000_000_000);

    fn room(name: &str) -> RoomName {
        RoomName::try_from(name.to_owned()).unwrap()
    }

    fn host(network: u16, n: u16) -> Guesser {
        Guesser::Stranger([0x2001, 0xdb8, network, n, 0, 0, 0, 1].into())
    }

    /// Guesses until it is refused; returns the number of guesses.
    fn guess(guesses: &mut Guesses, who: Guesser, room: &RoomName, wrong: Wrong, now: Moment) -> usize {
        let may = (0..1000).take_while(|_| {
            let may = guesses.wait(who, room, now).is_zero();
            if may {
                guesses.count(who, room, wrong, now);
            }
            may
        });
        may.count()
    }

    #[test]
    fn a_network_guesses_at_a_room_no_more_than_its_share_however_many_addresses_it_has() {
        let (mut guesses, garden) = (Guesses::default(), room("garden"));
        let guessed: Vec<_> =
            (0..100).map(|n| guess(&mut guesses, host(1, n), &garden, Wrong::Key, START)).collect();
        assert_eq!((guessed[0], guessed.iter().sum::<usize>()), (10, 30));
        let later = START + Duration::from_secs(60);
        let again: usize =
            (0..100).map(|n| guess(&mut guesses, host(1, n), &garden, Wrong::Key, later)).sum();
        assert_eq!(again, 30);
    }

    #[test]
    fn a_room_takes_so_many_guesses_and_then_one_of_each_network_that_was_not_wrong_there() {
        let (mut guesses, garden) = (Guesses::default(), room("garden"));
        let all = |guesses: &mut Guesses, networks: std::ops::Range<u16>| -> usize {
            let hosts = networks.flat_map(|network| (0..5).map(move |n| host(network, n)));
            hosts.map(|host| guess(guesses, host, &garden, Wrong::Key, START)).sum()
        };
        assert_eq!(all(&mut guesses, 0..4), 120);
        assert_eq!(all(&mut guesses, 4..54), 50);
        assert_eq!(all(&mut guesses, 0..54), 0);
        assert!(guesses.wait(host(99, 1), &garden, START).is_zero(), "whoever knows the key comes in");
    }

    #[test]
    fn a_wrong_key_counts_at_no_other_door_and_a_wrong_name_does() {
        let mut guesses = Guesses::default();
        for n in 0..50 {
            let other = room(&format!("door {n}"));
            assert_eq!(guess(&mut guesses, host(1, 1), &other, Wrong::Key, START), 10);
        }
        let names = (0..100).map(|n| room(&format!("name {n}")));
        let tried = names.filter(|name| {
            let may = guesses.wait(host(2, 1), name, START).is_zero();
            if may {
                guesses.count(host(2, 1), name, Wrong::NameOrKey, START);
            }
            may
        });
        assert_eq!(tried.count(), 60);
    }

    #[test]
    fn whoever_shows_a_token_is_not_held_back_by_others_and_has_guesses_of_its_own() {
        let (mut guesses, garden) = (Guesses::default(), room("garden"));
        guess(&mut guesses, host(1, 1), &garden, Wrong::NameOrKey, START);
        let holder = Guesser::Holder(Digest::of("a token"));
        assert_eq!(guess(&mut guesses, holder, &garden, Wrong::Key, START), 10);
        assert!(guesses.wait(Guesser::Holder(Digest::of("another")), &garden, START).is_zero());
    }
}
