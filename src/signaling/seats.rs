//! PURE  The places for sockets: how many an address, a network and the server have, and who makes way when they are taken.
//!
//! Whoever is in a room keeps its place. Whoever is in none is a stranger, and the one that has been a stranger for the
//! longest time makes way for a newcomer: a call goes on, whatever others open, and idle sockets keep nobody out.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::IpAddr;
use std::time::Duration;

use crate::bounds::client_net::{address, network};
use crate::bounds::headcount::{self, Headcount};
use crate::clock::Moment;
use crate::signaling::sessions::SocketId;

/// How long a stranger need not make way: hello and join take that long at most, over a slow line. More would serve who
/// floods: with `s` places for strangers, `s` sockets in this time keep everybody out.
pub const SETTLING: Duration = Duration::from_secs(3);
/// A network has the places of so many addresses.
pub const NETWORK_SHARE: u32 = 4;

/// Why there is no place for one more socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Crowded {
    /// The address (IPv4, or an IPv6 /64) has as many as it may.
    Address,
    /// The network (an IPv4 /24, or an IPv6 /48) has as many as it may.
    Network,
    /// All places are taken.
    Server,
    /// The server is about to stop.
    Draining,
}

/// All places.
#[derive(Debug)]
pub struct Seats {
    most: usize,
    heads: Headcount,
    seats: HashMap<SocketId, Seat>,
    /// Who is in no room, by number: who has been there for longer has a lower one.
    strangers: BTreeMap<Number, Stranger>,
    of_address: HashMap<IpAddr, BTreeSet<Number>>,
    of_network: HashMap<IpAddr, BTreeSet<Number>>,
    next: Number,
}

type Number = u64;

#[derive(Debug)]
struct Seat {
    ip: IpAddr,
    /// The number among the strangers; `None` in a room.
    stranger: Option<Number>,
}

#[derive(Debug)]
struct Stranger {
    socket: SocketId,
    since: Moment,
}

impl Seats {
    /// So many places in all, and so many for one address.
    #[must_use]
    pub fn new(most: usize, per_address: u32) -> Self {
        let per_network = per_address.saturating_mul(NETWORK_SHARE);
        Self {
            most,
            heads: Headcount::new(per_address as usize, per_network as usize),
            seats: HashMap::new(),
            strangers: BTreeMap::new(),
            of_address: HashMap::new(),
            of_network: HashMap::new(),
            next: 0,
        }
    }

    /// Who must make way for one more socket of `ip`; `None` if there is a place.
    ///
    /// # Errors
    /// Where it is crowded, if nobody there has to make way.
    pub fn way(&self, ip: IpAddr, now: Moment) -> Result<Option<(SocketId, Crowded)>, Crowded> {
        let first = |queue: Option<&BTreeSet<Number>>| queue.and_then(BTreeSet::first).copied();
        let (crowded, oldest) = match self.heads.room(ip) {
            Err(headcount::Crowded::Address) => (Crowded::Address, first(self.of_address.get(&address(ip)))),
            Err(headcount::Crowded::Network) => (Crowded::Network, first(self.of_network.get(&network(ip)))),
            Ok(()) if self.seats.len() < self.most => return Ok(None),
            Ok(()) => (Crowded::Server, self.strangers.keys().next().copied()),
        };
        let oldest = oldest.and_then(|number| self.strangers.get(&number));
        let oldest = oldest.filter(|stranger| stranger.since + SETTLING <= now).ok_or(crowded)?;
        Ok(Some((oldest.socket, crowded)))
    }

    /// Who must make way for one more session, which has a socket already; `None` if nobody has to.
    #[must_use]
    pub fn oldest(&self, but: SocketId, now: Moment) -> Option<SocketId> {
        let oldest = self.strangers.values().find(|stranger| stranger.socket != but)?;
        (oldest.since + SETTLING <= now).then_some(oldest.socket)
    }

    /// Gives a socket a place, as a stranger. Whether there is one, [`Self::way`] says.
    pub fn take(&mut self, socket: SocketId, ip: IpAddr, now: Moment) {
        if self.heads.enter(ip).is_ok() {
            self.seats.insert(socket, Seat { ip, stranger: None });
            self.is_in_room(socket, false, now);
        }
    }

    /// A socket's session is in a room now, or in none.
    pub fn is_in_room(&mut self, socket: SocketId, is: bool, now: Moment) {
        let Some(seat) = self.seats.get_mut(&socket) else { return };
        match (is, seat.stranger) {
            (true, Some(number)) => {
                seat.stranger = None;
                let ip = seat.ip;
                self.unqueue(number, ip);
            }
            (false, None) => {
                let number = self.next;
                self.next += 1;
                seat.stranger = Some(number);
                self.strangers.insert(number, Stranger { socket, since: now });
                self.of_address.entry(address(seat.ip)).or_default().insert(number);
                self.of_network.entry(network(seat.ip)).or_default().insert(number);
            }
            (true, None) | (false, Some(_)) => {}
        }
    }

    /// A socket's place is free again.
    pub fn leave(&mut self, socket: SocketId) {
        let Some(Seat { ip, stranger }) = self.seats.remove(&socket) else { return };
        self.heads.leave(ip);
        if let Some(number) = stranger {
            self.unqueue(number, ip);
        }
    }

    fn unqueue(&mut self, number: Number, ip: IpAddr) {
        self.strangers.remove(&number);
        for (queues, key) in [(&mut self.of_address, address(ip)), (&mut self.of_network, network(ip))] {
            let Some(queue) = queues.get_mut(&key) else { continue };
            queue.remove(&number);
            if queue.is_empty() {
                queues.remove(&key);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(seconds: u64) -> Moment {
        Moment::from_nanos(seconds * 1_000_000_000)
    }

    /// One of 16 addresses, in 4 networks.
    fn host(n: u8) -> IpAddr {
        [198, 51, n % 4, n % 16].into()
    }

    /// Opens a socket as the switchboard does. Returns who made way.
    fn open(seats: &mut Seats, socket: u64, ip: IpAddr, now: Moment) -> Result<Option<SocketId>, Crowded> {
        let way = seats.way(ip, now)?;
        if let Some((oldest, _)) = way {
            seats.leave(oldest);
        }
        seats.take(SocketId(socket), ip, now);
        Ok(way.map(|(oldest, _)| oldest))
    }

    #[test]
    fn the_oldest_stranger_of_the_address_makes_way_and_nobody_who_is_new_or_in_a_room() {
        let mut seats = Seats::new(100, 3);
        for socket in 1..4 {
            assert_eq!(open(&mut seats, socket, host(1), at(socket)), Ok(None));
        }
        assert_eq!(open(&mut seats, 4, host(1), at(3)), Err(Crowded::Address), "nobody had 3 s yet");
        assert_eq!(open(&mut seats, 4, host(2), at(3)), Ok(None), "another address has its own");
        seats.is_in_room(SocketId(1), true, at(3));
        assert_eq!(open(&mut seats, 5, host(1), at(5)), Ok(Some(SocketId(2))));
        seats.is_in_room(SocketId(3), true, at(5));
        seats.is_in_room(SocketId(5), true, at(5));
        assert_eq!(open(&mut seats, 6, host(1), at(99)), Err(Crowded::Address), "all are in rooms");
        seats.is_in_room(SocketId(3), false, at(99));
        assert_eq!(open(&mut seats, 6, host(1), at(101)), Err(Crowded::Address), "it has just left");
        assert_eq!(open(&mut seats, 6, host(1), at(102)), Ok(Some(SocketId(3))));
    }

    #[test]
    fn a_network_and_the_server_are_full_in_the_same_way() {
        let mut seats = Seats::new(6, 1);
        let of = |network: u8, last: u8| IpAddr::from([203, 0, network, last]);
        (1..5).for_each(|n| assert_eq!(open(&mut seats, n, of(1, n as u8), at(0)), Ok(None)));
        assert_eq!(open(&mut seats, 9, of(1, 9), at(1)), Err(Crowded::Network));
        (5..7).for_each(|n| assert_eq!(open(&mut seats, n, of(2, n as u8), at(0)), Ok(None)));
        assert_eq!(open(&mut seats, 9, of(3, 9), at(1)), Err(Crowded::Server));
        assert_eq!(open(&mut seats, 9, of(3, 9), at(3)), Ok(Some(SocketId(1))));
        assert_eq!(open(&mut seats, 10, of(2, 5), at(3)), Ok(Some(SocketId(5))), "of its own address");
    }

    proptest! {
        #[test]
        fn the_queues_are_those_of_the_seats(steps in prop::collection::vec((0..4_u8, 0..16_u8, 0..5_u64), 0..200)) {
            let (mut seats, mut now) = (Seats::new(20, 3), 0);
            for (socket, (what, n, pause)) in (0..).zip(steps) {
                now += pause;
                match what {
                    0 | 1 => drop(open(&mut seats, socket, host(n), at(now))),
                    2 => seats.is_in_room(SocketId(socket.saturating_sub(u64::from(n))), n % 2 == 0, at(now)),
                    _ => seats.leave(SocketId(socket.saturating_sub(u64::from(n)))),
                }
                let strangers = seats.seats.values().filter(|seat| seat.stranger.is_some()).count();
                prop_assert_eq!(seats.strangers.len(), strangers);
                for queues in [&seats.of_address, &seats.of_network] {
                    prop_assert_eq!(queues.values().map(BTreeSet::len).sum::<usize>(), strangers);
                    prop_assert!(queues.values().all(|queue| !queue.is_empty()));
                }
                prop_assert!(seats.seats.len() <= 20);
                prop_assert_eq!(seats.seats.is_empty(), seats.heads.is_empty());
            }
        }
    }
}
