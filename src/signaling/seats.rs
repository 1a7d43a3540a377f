//! PURE  Limits sockets per address, per network and in all, and decides which socket is evicted when a limit is reached.
//!
//! A socket whose session is in a room keeps its seat. Every other socket is a *stranger*. When a limit is reached, the
//! oldest stranger is evicted for the newcomer. So new sockets never end a call, and idle sockets keep nobody out.

use std::collections::HashMap;
use std::net::IpAddr;
use std::time::Duration;

use crate::bounds::client_net::NETWORK_SHARE;
use crate::bounds::headcount::{self, Headcount};
use crate::bounds::strangers::{Age, Scope, Strangers};
use crate::clock::Moment;
use crate::labels::labels;
use crate::signaling::sessions::SocketId;

/// How long a stranger cannot be evicted: hello and join take at most this long, even over a slow line. A longer time
/// would help a flood: with `s` seats for strangers, `s` sockets in this time keep everybody out.
pub const SETTLING: Duration = Duration::from_secs(3);

labels! {
    /// Why a socket is refused.
    pub enum NoSeat {
        /// The address (IPv4, or an IPv6 /64) has reached its limit.
        Address = "address",
        /// The network (an IPv4 /24, or an IPv6 /48) has reached its limit.
        Network = "network",
        /// All seats are taken.
        Server = "server",
        /// The server is about to stop.
        Draining = "draining",
    }
}

/// All seats.
#[derive(Debug)]
pub struct Seats {
    most: usize,
    heads: Headcount,
    seats: HashMap<SocketId, Seat>,
    /// The sockets that are in no room.
    strangers: Strangers<Stranger>,
}

#[derive(Debug)]
struct Seat {
    ip: IpAddr,
    /// Its age among the strangers; `None` in a room.
    stranger: Option<Age>,
}

#[derive(Debug, Clone, Copy)]
struct Stranger {
    socket: SocketId,
    since: Moment,
}

impl Seats {
    /// At most `most` sockets, and `per_address` for one address; for a network, [`NETWORK_SHARE`] times as many.
    #[must_use]
    pub fn new(most: usize, per_address: u32) -> Self {
        let per_network = per_address.saturating_mul(NETWORK_SHARE);
        Self {
            most,
            heads: Headcount::new(per_address as usize, per_network as usize),
            seats: HashMap::new(),
            strangers: Strangers::default(),
        }
    }

    /// Changes the limits. Nobody loses a seat.
    pub fn limit(&mut self, most: usize, per_address: u32) {
        self.most = most;
        self.heads.limit(per_address as usize, per_address.saturating_mul(NETWORK_SHARE) as usize);
    }

    /// Which socket must be evicted for one more of `ip`, and which limit is reached; `None` if there is a free seat.
    ///
    /// # Errors
    /// Which limit is reached, if no socket can be evicted.
    pub fn way(&self, ip: IpAddr, now: Moment) -> Result<Option<(SocketId, NoSeat)>, NoSeat> {
        let (crowded, line) = match self.heads.room(ip) {
            Err(full @ headcount::Crowded::Address) => (NoSeat::Address, Scope::of(full, ip)),
            Err(full @ headcount::Crowded::Network) => (NoSeat::Network, Scope::of(full, ip)),
            Ok(()) if self.seats.len() < self.most => return Ok(None),
            Ok(()) => (NoSeat::Server, Scope::All),
        };
        let oldest = self.strangers.of(line).next().filter(|oldest| oldest.is_old(now)).ok_or(crowded)?;
        Ok(Some((oldest.socket, crowded)))
    }

    /// The socket to evict for one more session, among those that `have` one; `None` if none can be evicted.
    #[must_use]
    pub fn oldest(&self, have: impl Fn(SocketId) -> bool, now: Moment) -> Option<SocketId> {
        let oldest = self.strangers.of(Scope::All).find(|stranger| have(stranger.socket))?;
        oldest.is_old(now).then_some(oldest.socket)
    }

    /// Gives a socket a seat, as a stranger. [`Self::way`] says whether there is one.
    pub fn take(&mut self, socket: SocketId, ip: IpAddr, now: Moment) {
        // After a limit was lowered there may be more than it allows, one of which has just made way.
        self.heads.count(ip);
        self.seats.insert(socket, Seat { ip, stranger: None });
        self.is_in_room(socket, false, now);
    }

    /// A socket's session has entered or left a room.
    pub fn is_in_room(&mut self, socket: SocketId, is: bool, now: Moment) {
        let Some(seat) = self.seats.get_mut(&socket) else { return };
        match (is, seat.stranger) {
            (true, Some(age)) => {
                seat.stranger = None;
                self.strangers.leave(age, Some(seat.ip));
            }
            (false, None) => {
                let stranger = Stranger { socket, since: now };
                seat.stranger = Some(self.strangers.enter(stranger, Some(seat.ip)));
            }
            (true, None) | (false, Some(_)) => {}
        }
    }

    /// A socket's place is free again.
    pub fn leave(&mut self, socket: SocketId) {
        let Some(Seat { ip, stranger }) = self.seats.remove(&socket) else { return };
        self.heads.leave(ip);
        if let Some(age) = stranger {
            self.strangers.leave(age, Some(ip));
        }
    }
}

impl Stranger {
    /// Whether it has had its time to join a room.
    fn is_old(self, now: Moment) -> bool {
        self.since + SETTLING <= now
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

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
    fn open(seats: &mut Seats, socket: u64, ip: IpAddr, now: Moment) -> Result<Option<SocketId>, NoSeat> {
        let way = seats.way(ip, now)?;
        if let Some((oldest, _)) = way {
            seats.leave(oldest);
        }
        seats.take(SocketId(socket), ip, now);
        Ok(way.map(|(oldest, _)| oldest))
    }

    #[test]
    fn after_a_limit_was_lowered_one_makes_way_for_one_until_there_are_fewer() {
        let mut seats = Seats::new(100, 5);
        let ip = IpAddr::from([198, 51, 100, 7]);
        let at = |seconds| Moment::default() + Duration::from_secs(seconds);
        (1..=4).for_each(|n| seats.take(SocketId(n), ip, at(0)));
        seats.limit(100, 2);
        for n in 5..=50 {
            let (oldest, limit) = seats.way(ip, at(10 * n)).unwrap().unwrap();
            assert_eq!((oldest, limit), (SocketId(n - 4), NoSeat::Address));
            seats.leave(oldest);
            seats.take(SocketId(n), ip, at(10 * n));
            assert_eq!(seats.heads.of_address(ip), 4);
        }
        (47..=49).for_each(|n| seats.leave(SocketId(n)));
        assert_eq!(seats.way(ip, at(1000)), Ok(None));
    }

    #[test]
    fn the_oldest_stranger_of_the_address_makes_way_and_nobody_who_is_new_or_in_a_room() {
        let mut seats = Seats::new(100, 3);
        for socket in 1..4 {
            assert_eq!(open(&mut seats, socket, host(1), at(socket)), Ok(None));
        }
        assert_eq!(open(&mut seats, 4, host(1), at(3)), Err(NoSeat::Address), "nobody had 3 s yet");
        assert_eq!(open(&mut seats, 4, host(2), at(3)), Ok(None), "another address has its own");
        seats.is_in_room(SocketId(1), true, at(3));
        assert_eq!(open(&mut seats, 5, host(1), at(5)), Ok(Some(SocketId(2))));
        seats.is_in_room(SocketId(3), true, at(5));
        seats.is_in_room(SocketId(5), true, at(5));
        assert_eq!(open(&mut seats, 6, host(1), at(99)), Err(NoSeat::Address), "all are in rooms");
        seats.is_in_room(SocketId(3), false, at(99));
        assert_eq!(open(&mut seats, 6, host(1), at(101)), Err(NoSeat::Address), "it has just left");
        assert_eq!(open(&mut seats, 6, host(1), at(102)), Ok(Some(SocketId(3))));
    }

    #[test]
    fn a_network_and_the_server_are_full_in_the_same_way() {
        let mut seats = Seats::new(6, 1);
        let of = |network: u8, last: u8| IpAddr::from([203, 0, network, last]);
        (1..5).for_each(|n| assert_eq!(open(&mut seats, n, of(1, n as u8), at(0)), Ok(None)));
        assert_eq!(open(&mut seats, 9, of(1, 9), at(1)), Err(NoSeat::Network));
        (5..7).for_each(|n| assert_eq!(open(&mut seats, n, of(2, n as u8), at(0)), Ok(None)));
        assert_eq!(open(&mut seats, 9, of(3, 9), at(1)), Err(NoSeat::Server));
        assert_eq!(open(&mut seats, 9, of(3, 9), at(3)), Ok(Some(SocketId(1))));
        assert_eq!(open(&mut seats, 10, of(2, 5), at(3)), Ok(Some(SocketId(5))), "of its own address");
    }

    proptest! {
        #[test]
        fn the_lines_are_those_of_the_seats(steps in prop::collection::vec((0..4_u8, 0..16_u8, 0..5_u64), 0..200)) {
            let (mut seats, mut now) = (Seats::new(20, 3), 0);
            for (socket, (what, n, pause)) in (0..).zip(steps) {
                now += pause;
                match what {
                    0 | 1 => drop(open(&mut seats, socket, host(n), at(now))),
                    2 => seats.is_in_room(SocketId(socket.saturating_sub(u64::from(n))), n % 2 == 0, at(now)),
                    _ => seats.leave(SocketId(socket.saturating_sub(u64::from(n)))),
                }
                let strangers = seats.seats.values().filter(|seat| seat.stranger.is_some());
                prop_assert_eq!(seats.strangers.of(Scope::All).count(), strangers.clone().count());
                for crowded in [headcount::Crowded::Address, headcount::Crowded::Network] {
                    let lines: BTreeSet<_> = strangers.clone().map(|seat| Scope::of(crowded, seat.ip)).collect();
                    let all: usize = lines.into_iter().map(|line| seats.strangers.of(line).count()).sum();
                    prop_assert_eq!(all, strangers.clone().count());
                }
                prop_assert!(seats.seats.len() <= 20);
                prop_assert_eq!(seats.seats.is_empty(), seats.heads.is_empty());
            }
        }
    }
}
