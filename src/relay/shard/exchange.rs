//! Passes data between relays of different shards, so that it need not leave the process.
//!
//! Clients of one server that call each other through relays on both sides are usual. The network stack would be traversed
//! twice more for each packet.

use std::mem;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::clock::Now;
use crate::outcome::Ignored;
use crate::relay::address::PeerAddr;
use crate::relay::datagrams::Segment;
use crate::relay::engine::ToPeer;
use crate::relay::shard::Shard;

/// What the other shards have for the relays of one shard.
#[derive(Debug, Default)]
pub(super) struct Exchange {
    parcels: Mutex<Parcels>,
    /// Whether there is something.
    full: AtomicBool,
}

/// Data for some relays, in order.
#[derive(Debug, Default)]
pub(super) struct Parcels {
    bytes: Vec<u8>,
    all: Vec<Parcel>,
}

/// Data for one relay: the next `length` bytes.
#[derive(Debug, Clone, Copy)]
struct Parcel {
    /// The relayed address that it is for.
    to: SocketAddr,
    /// The relayed address that it comes from.
    from: SocketAddr,
    class: u8,
    length: usize,
}

/// How many bytes may wait for one shard, with what is noted of each parcel: an empty one counts, too. A socket's receive
/// buffer holds about as much.
const BYTES_MAX: usize = 256 << 10;

impl Exchange {
    /// Whether nothing waits.
    pub(super) fn is_empty(&self) -> bool {
        !self.full.load(Ordering::Acquire)
    }

    /// Adds a parcel; returns whether the shard must be told, or `None` if there is no room.
    fn add(&self, to: SocketAddr, from: SocketAddr, class: u8, data: &[u8]) -> Option<bool> {
        let mut parcels = self.lock();
        let held = parcels.bytes.len() + parcels.all.len() * size_of::<Parcel>();
        if held + data.len() + size_of::<Parcel>() > BYTES_MAX {
            return None;
        }
        parcels.bytes.extend_from_slice(data);
        parcels.all.push(Parcel { to, from, class, length: data.len() });
        Some(!self.full.swap(true, Ordering::AcqRel))
    }

    /// Exchanges what waits for empty parcels.
    fn take(&self, empty: &mut Parcels) {
        let mut parcels = self.lock();
        mem::swap(&mut *parcels, empty);
        self.full.store(false, Ordering::Release);
    }

    fn lock(&self) -> MutexGuard<'_, Parcels> {
        self.parcels.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Shard {
    /// Passes data to the relay with the address of the peer, if it is one of this process; returns whether it is.
    pub(super) fn pass_inside(&mut self, packet: &ToPeer, data: Segment, now: Now) -> bool {
        let to = packet.peer.0;
        let Some(from) = self.ports.relayed(packet.relay) else { return false };
        let class = self.batch.received(data).class;
        if let Some(other) = self.ports.local(to) {
            self.peer_sent(other, PeerAddr(from.0), data, class, now);
            return true;
        }
        let Some(shard) = self.ports.shard_of(to).filter(|shard| *shard != self.shard.index) else {
            return false;
        };
        let Some(shard) = self.neighbours.get().and_then(|all| all.get(shard as usize)) else { return false };
        match shard.exchange.add(to, from.0, class, self.batch.bytes(data)) {
            None => self.counters.ignored(Ignored::SendFailed),
            // On this thread, it has its turn before the thread waits again.
            Some(true) if !shard.host.is_same(&self.host) => shard.host.wake(),
            Some(_) => {}
        }
        true
    }

    /// Relays what other shards have passed to this one.
    pub(super) fn read_exchange(&mut self, now: Now) {
        if self.exchange.is_empty() {
            return;
        }
        let mut parcels = mem::take(&mut self.parcels);
        self.exchange.take(&mut parcels);
        let mut at = 0;
        for Parcel { to, from, class, length } in &parcels.all {
            let data = &parcels.bytes[at..at + length];
            at += length;
            // The allocation may have ended meanwhile.
            let Some(relay) = self.ports.local(*to) else {
                self.counters.ignored(Ignored::NoAllocation);
                continue;
            };
            if self.batch.is_heavy() {
                self.flush();
            }
            let data = self.batch.compose(data);
            self.peer_sent(relay, PeerAddr(*from), data, *class, now);
        }
        parcels.bytes.clear();
        parcels.all.clear();
        self.parcels = parcels;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_waits_is_bounded_and_comes_out_whole_and_in_order_and_the_first_parcel_is_announced() {
        let [to, from] = [1, 2].map(|port| SocketAddr::from(([127, 0, 0, 1], port)));
        for length in [0, 1, 1200, 65_507] {
            let exchange = Exchange::default();
            let mut parcels = Parcels::default();
            for _ in 0..2 {
                assert!(exchange.is_empty());
                assert_eq!(exchange.add(to, from, 0xB8, &vec![0; length]), Some(true));
                let more = (1..=u8::MAX).cycle().map_while(|number| {
                    let added = exchange.add(to, from, 0, &vec![number; length])?;
                    assert!(!added, "it has been announced");
                    Some(())
                });
                let added = 1 + more.count();
                assert!(!exchange.is_empty());

                exchange.take(&mut parcels);
                assert_eq!((parcels.all.len(), parcels.bytes.len()), (added, added * length));
                let held = parcels.bytes.len() + added * size_of::<Parcel>();
                assert!((BYTES_MAX - length - size_of::<Parcel>()..=BYTES_MAX).contains(&held), "{held}");
                assert!(
                    parcels
                        .bytes
                        .chunks(length.max(1))
                        .zip((0..=u8::MAX).take(256))
                        .all(|(data, n)| data[0] == n)
                );
                assert_eq!((parcels.all[0].class, parcels.all[0].length), (0xB8, length));
                parcels.bytes.clear();
                parcels.all.clear();
            }
        }
    }
}
