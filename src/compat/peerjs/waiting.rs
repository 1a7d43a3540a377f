//! PURE  Messages for peers that are not there: kept for a few seconds, within bounds for everybody who causes them.
//!
//! A peer may be called a moment before it connects. All that waits for one peer expires together, and its senders are
//! told, once each.

use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use crate::bounds::client_net::{NETWORK_SHARE, address, network};
use crate::clock::Moment;

/// How long after the first message for a peer all of its messages expire.
pub const EXPIRY: Duration = Duration::from_secs(5);
/// Bytes that a message costs beside its text.
pub const COST: usize = 256;
/// Bytes that may wait from one sender: the offers and candidates of a dozen connections.
pub const OF_SENDER: usize = 128 << 10;
/// Bytes that may wait from one address: from a hundred people who all call somebody who is not there yet.
pub const OF_ADDRESS: usize = 2 << 20;
/// Bytes that may wait from one network.
pub const OF_NETWORK: usize = OF_ADDRESS * NETWORK_SHARE as usize;
/// Bytes that may wait for one peer.
pub const FOR_PEER: usize = 512 << 10;
/// Messages that may wait for one peer: half of what the queue of its socket can take at once.
pub const MESSAGES_FOR_PEER: usize = 256;
/// Bytes that may wait in all.
pub const IN_ALL: usize = 16 << 20;

/// Everything that waits.
#[derive(Debug, Default)]
pub struct Waiting {
    queues: HashMap<Arc<str>, Queue>,
    /// The peers whose messages expire, in this order.
    due: BTreeMap<Due, Arc<str>>,
    queued: u64,
    bytes: usize,
    senders: HashMap<Arc<str>, usize>,
    addresses: HashMap<IpAddr, usize>,
    networks: HashMap<IpAddr, usize>,
}

/// When a queue expires; no two are equal.
type Due = (Moment, u64);

/// What waits for one peer.
#[derive(Debug)]
struct Queue {
    due: Due,
    bytes: usize,
    letters: Vec<Letter>,
}

/// A message that waits.
#[derive(Debug, Clone)]
pub struct Letter {
    /// The id of its sender.
    pub src: Arc<str>,
    /// The address of its sender.
    pub ip: IpAddr,
    /// The text for its receiver.
    pub text: Arc<str>,
}

/// Too much waits already: from the sender, its address or network, for the peer, or in all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Full;

/// What has expired: `src` has sent something to `dst`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expired {
    /// The sender.
    pub src: Arc<str>,
    /// The peer that has not come.
    pub dst: Arc<str>,
}

impl Letter {
    fn bytes(&self) -> usize {
        self.text.len() + COST
    }
}

impl Waiting {
    /// Keeps a message for the peer `dst`.
    ///
    /// # Errors
    /// If too much waits already. Then it is not kept.
    pub fn add(&mut self, dst: &str, letter: Letter, now: Moment) -> Result<(), Full> {
        if !self.has_room(dst, &letter) {
            return Err(Full);
        }
        self.count(&letter);
        let queue = match self.queues.get_mut(dst) {
            Some(queue) => queue,
            None => {
                self.queued += 1;
                let (dst, due) = (Arc::<str>::from(dst), (now + EXPIRY, self.queued));
                self.due.insert(due, Arc::clone(&dst));
                self.queues.entry(dst).or_insert(Queue { due, bytes: 0, letters: Vec::new() })
            }
        };
        queue.bytes += letter.bytes();
        queue.letters.push(letter);
        Ok(())
    }

    /// The peer `dst` has come: what waits for it, in the order in which it was sent.
    pub fn claim(&mut self, dst: &str) -> Vec<Letter> {
        let Some(queue) = self.queues.remove(dst) else { return Vec::new() };
        self.due.remove(&queue.due);
        queue.letters.iter().for_each(|letter| self.discount(letter));
        queue.letters
    }

    /// Removes what has expired: each sender is named once for each peer.
    pub fn expire(&mut self, now: Moment) -> Vec<Expired> {
        let mut expired = Vec::new();
        while let Some(entry) = self.due.first_entry().filter(|entry| entry.key().0 <= now) {
            let dst = Arc::clone(entry.get());
            let mut senders: Vec<_> = self.claim(&dst).into_iter().map(|letter| letter.src).collect();
            senders.sort();
            senders.dedup();
            expired.extend(senders.into_iter().map(|src| Expired { src, dst: Arc::clone(&dst) }));
        }
        expired
    }

    /// Bytes that wait in all.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    fn has_room(&self, dst: &str, letter: &Letter) -> bool {
        let more = letter.bytes();
        let (peer, messages) =
            self.queues.get(dst).map_or((0, 0), |queue| (queue.bytes, queue.letters.len()));
        let of = |held: Option<&usize>| held.copied().unwrap_or(0);
        messages < MESSAGES_FOR_PEER
            && peer + more <= FOR_PEER
            && of(self.senders.get(&letter.src)) + more <= OF_SENDER
            && of(self.addresses.get(&address(letter.ip))) + more <= OF_ADDRESS
            && of(self.networks.get(&network(letter.ip))) + more <= OF_NETWORK
            && self.bytes + more <= IN_ALL
    }

    fn count(&mut self, letter: &Letter) {
        let more = letter.bytes();
        self.bytes += more;
        *self.senders.entry(Arc::clone(&letter.src)).or_default() += more;
        *self.addresses.entry(address(letter.ip)).or_default() += more;
        *self.networks.entry(network(letter.ip)).or_default() += more;
    }

    fn discount(&mut self, letter: &Letter) {
        let less = letter.bytes();
        self.bytes -= less;
        take(&mut self.senders, &letter.src, less);
        take(&mut self.addresses, &address(letter.ip), less);
        take(&mut self.networks, &network(letter.ip), less);
    }
}

/// Counts `less` bytes less for `who`.
fn take<K: Eq + std::hash::Hash>(held: &mut HashMap<K, usize>, who: &K, less: usize) {
    if let Some(bytes) = held.get_mut(who) {
        *bytes -= less;
        if *bytes == 0 {
            held.remove(who);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const HERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(198, 51, 100, 7));

    fn letter(src: &str, ip: impl Into<IpAddr>, bytes: usize) -> Letter {
        Letter { src: src.into(), ip: ip.into(), text: "x".repeat(bytes).into() }
    }

    fn at(millis: u64) -> Moment {
        Moment::default() + Duration::from_millis(millis)
    }

    /// How many messages of a kilobyte are kept until one is refused.
    fn fits(waiting: &mut Waiting, mut next: impl FnMut(usize) -> (String, Letter)) -> usize {
        (0..100_000).take_while(|n| next_fits(waiting, next(*n))).count()
    }

    fn next_fits(waiting: &mut Waiting, (dst, letter): (String, Letter)) -> bool {
        waiting.add(&dst, letter, at(0)).is_ok()
    }

    const KIB: usize = 1024 - COST;

    #[test]
    fn who_comes_gets_what_waits_in_order_and_nobody_is_told() {
        let mut waiting = Waiting::default();
        for n in 1..4 {
            waiting.add("you", letter("me", HERE, n), at(0)).unwrap();
        }
        let lengths: Vec<_> = waiting.claim("you").iter().map(|letter| letter.text.len()).collect();
        assert_eq!((lengths, waiting.bytes(), waiting.claim("you").len()), (vec![1, 2, 3], 0, 0));
        assert_eq!(waiting.expire(at(100_000)), []);
    }

    #[test]
    fn who_does_not_come_within_five_seconds_is_reported_to_each_sender_once() {
        let mut waiting = Waiting::default();
        for (src, when) in [("me", 0), ("her", 10), ("me", 4_999)] {
            waiting.add("you", letter(src, HERE, 1), at(when)).unwrap();
        }
        assert_eq!(waiting.expire(at(4_999)), []);
        let expired =
            waiting.expire(at(5_000)).into_iter().map(|it| (it.src.to_string(), it.dst.to_string()));
        let pair = |src: &str| (src.to_owned(), "you".to_owned());
        assert!(expired.eq([pair("her"), pair("me")]));
        assert_eq!((waiting.bytes(), waiting.senders.len(), waiting.addresses.len()), (0, 0, 0));
    }

    #[test]
    fn one_sender_keeps_to_its_share_and_its_neighbour_has_its_own() {
        let mut waiting = Waiting::default();
        let kept = fits(&mut waiting, |n| (format!("nobody {}", n % 9), letter("flood", HERE, KIB)));
        assert_eq!(kept, OF_SENDER / 1024);
        assert!(waiting.add("you", letter("neighbour", HERE, KIB), at(0)).is_ok());
    }

    #[test]
    fn one_address_keeps_to_its_share_whatever_its_senders_are_called_and_the_next_has_its_own() {
        let mut waiting = Waiting::default();
        let kept =
            fits(&mut waiting, |n| (format!("nobody {}", n % 99), letter(&format!("flood {n}"), HERE, KIB)));
        assert_eq!(kept, OF_ADDRESS / 1024);
        assert!(waiting.add("you", letter("next door", [198, 51, 100, 8], KIB), at(0)).is_ok());
    }

    #[test]
    fn one_network_and_the_server_have_their_shares() {
        let mut waiting = Waiting::default();
        let of = |network: u8, n: usize| {
            letter(&format!("{network} {n}"), [203, 0, network, (n % 250) as u8], KIB)
        };
        let kept = fits(&mut waiting, |n| (format!("nobody {}", n % 999), of(1, n)));
        assert_eq!(kept, OF_NETWORK / 1024);
        let rest = fits(&mut waiting, |n| (format!("nobody {}", n % 999), of(2 + (n % 200) as u8, n)));
        assert_eq!((kept + rest, waiting.bytes()), (IN_ALL / 1024, IN_ALL));
    }

    #[test]
    fn no_more_waits_for_one_peer_than_its_socket_can_take() {
        let mut waiting = Waiting::default();
        let small = fits(&mut waiting, |n| ("you".to_owned(), letter(&n.to_string(), HERE, 1)));
        let large =
            fits(&mut waiting, |n| ("her".to_owned(), letter(&n.to_string(), HERE, (16 << 10) - COST)));
        assert_eq!((small, large), (MESSAGES_FOR_PEER, FOR_PEER / (16 << 10)));
    }

    proptest! {
        #[test]
        fn what_is_counted_is_what_waits(steps in prop::collection::vec((0..4_u8, 0..6_u8, 0..6_u8, 0..40_000_usize), 0..200)) {
            let (mut waiting, mut now) = (Waiting::default(), 0);
            for (what, src, dst, size) in steps {
                now += 500;
                match what {
                    0 => drop(waiting.claim(&dst.to_string())),
                    1 => drop(waiting.expire(at(now))),
                    _ => drop(waiting.add(&dst.to_string(), letter(&src.to_string(), [10, 0, src, 1], size), at(now))),
                }
                let mut letters: Vec<&Letter> = Vec::new();
                for dst in waiting.due.values() {
                    letters.extend(&waiting.queues[dst].letters);
                }
                let bytes: usize = letters.iter().map(|letter| letter.bytes()).sum();
                prop_assert_eq!((waiting.bytes, waiting.due.len()), (bytes, waiting.queues.len()));
                for counted in [waiting.senders.values().sum::<usize>(), waiting.addresses.values().sum(), waiting.networks.values().sum()] {
                    prop_assert_eq!(counted, bytes);
                }
            }
        }
    }
}
