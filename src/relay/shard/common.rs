//! The sockets that receive for many relay ports of the shard, if the kernel delivers their datagrams there
//! ([`crate::relay::lookup`]).

use std::io;

use mio::Interest;

use crate::clock::Now;
use crate::metrics::SocketKind;
use crate::relay::address::{CommonId, RelayId};
use crate::relay::datagrams::{Arrivals, DatagramSocket, SLOTS};
use crate::relay::ready::Ready;
use crate::relay::shard::Shard;
use crate::relay::shard::datagram::receive;
use crate::relay::source::{Source, Watcher};

/// The sockets: none, or one for each family.
#[derive(Debug, Default)]
pub(super) struct Common {
    sockets: Vec<DatagramSocket>,
    /// Those that may have something to read.
    pub(super) readable: Ready<CommonId>,
    /// Relays that receive by their own sockets now. These are read when the common ones have been read to the end, so
    /// that no datagram overtakes an earlier one.
    separated: Vec<(CommonId, RelayId)>,
}

impl Common {
    /// The watcher will report what they have to read.
    ///
    /// # Errors
    /// If the kernel refuses to watch them.
    pub(super) fn new(sockets: Vec<DatagramSocket>, watcher: &Watcher) -> io::Result<Self> {
        let mut common = Self { sockets, ..Self::default() };
        for (socket, index) in common.sockets.iter_mut().zip(0..) {
            watcher.watch(socket.source(), Source::Common(CommonId(index)), Interest::READABLE)?;
        }
        Ok(common)
    }

    /// Another watcher reports them from now on, instead of `from`.
    ///
    /// # Errors
    /// If the kernel refuses, which is always a bug in this program.
    pub(super) fn change_watcher(&mut self, watcher: &Watcher, from: &Watcher) -> io::Result<()> {
        for (socket, index) in self.sockets.iter_mut().zip(0..) {
            let source = Source::Common(CommonId(index));
            watcher.watch_instead(from, socket.source(), source, Interest::READABLE)?;
        }
        Ok(())
    }
}

impl Shard {
    /// Reads what peers have sent to relay ports for which a common socket receives.
    pub(super) fn read_common(&mut self, now: Now) {
        for _ in 0..self.common.readable.len() {
            let Some(id) = self.common.readable.pop() else { return };
            self.flush();
            let Some(socket) = self.common.sockets.get(usize::from(id.0)) else { continue };
            let mut arrivals = receive(&mut self.batch, socket, SLOTS);
            if arrivals.is_full() {
                self.common.readable.push(id);
            } else {
                self.watch_separated(id);
            }
            if arrivals.overflowed() > 0 {
                self.counters.overflowed(SocketKind::Relay, arrivals.overflowed());
                self.separate_busiest(id, arrivals.clone());
            }
            while let Some(datagram) = arrivals.next(&self.batch) {
                let received = self.batch.received(datagram);
                // The relay may have been closed since.
                let Some(relay) = received.to().and_then(|to| self.ports.bound_to(to)) else { continue };
                let peer = self.peer_of(relay, received.from, now);
                self.peer_sent(relay, peer, datagram, received.class, now);
            }
        }
    }

    /// Datagrams were dropped because the socket was full. If one relay port received most of what was there, it is flooded:
    /// from now on its own socket receives, and only what is for this port is dropped.
    fn separate_busiest(&mut self, id: CommonId, mut arrivals: Arrivals) {
        let mut count: usize = 0;
        let mut busiest: Option<RelayId> = None;
        // After Boyer and Moore: who has more than half is left.
        while let Some(datagram) = arrivals.next(&self.batch) {
            let relay = self.batch.received(datagram).to().and_then(|to| self.ports.bound_to(to));
            match count {
                0 => (busiest, count) = (relay, 1),
                _ if relay == busiest => count += 1,
                _ => count -= 1,
            }
        }
        if let Some(relay) = busiest
            && self.ports.separate(relay)
        {
            tracing::debug!(relay = relay.0, "a flooded relay port receives by its own socket from now on");
            self.common.separated.push((id, relay));
            // The end is to be found even if nothing more comes.
            self.common.readable.push(id);
        }
    }

    /// A common socket has been read to the end since these relays were separated, so their own sockets have what is next.
    fn watch_separated(&mut self, id: CommonId) {
        for (_, relay) in self.common.separated.extract_if(.., |(common, _)| *common == id) {
            self.ports.watch(relay);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::UdpSocket;

    use super::*;
    use crate::clock::Clock;
    use crate::outcome::Ignored;
    use crate::relay::engine::ShardIndex;
    use crate::relay::lookup::Lookup;
    use crate::relay::shard::tests::{open, shard_with};
    use crate::relay::worker::Workers;

    /// Neighbours of a flooded port lose what has come while the socket was full, and nothing more.
    #[test]
    fn a_flooded_port_receives_by_its_own_socket_from_the_first_loss_on() {
        let ports = 27_950..=27_959;
        let (lookup, mut common) = match Lookup::attach(&ports, 1, 1) {
            Ok(attached) => attached,
            Err(error) => return println!("not tested: {error}"),
        };
        let common = common.remove(0);
        common[0].limit_receive_buffer(10_000);
        let (workers, _) = Workers::new(1, Clock::start()).unwrap();
        let (mut shard, _) = shard_with(&workers, ShardIndex::ALONE, ports, Some((lookup, common)));
        let (flooded, neighbour) = (open(&mut shard), open(&mut shard));
        let peer = UdpSocket::bind("127.0.0.1:0").unwrap();
        let send = |shard: &Shard, relay, times| {
            let to = shard.ports.relayed(relay).unwrap().0;
            (0..times).for_each(|_| assert_eq!(peer.send_to(&[7; 100], to).unwrap(), 100));
        };
        // The kernel says how many were lost with the first datagram that comes after them.
        send(&shard, flooded, 1000);
        while read(&mut shard) > 0 {}
        send(&shard, flooded, 1);
        assert_eq!(read(&mut shard), 1);
        assert!(shard.ports.receives_itself(flooded) && !shard.ports.receives_itself(neighbour));
        // What came before may still be in the common socket, until a read finds its end.
        assert!(!shard.common.readable.is_empty() && shard.common.separated.len() == 1);
        assert_eq!((read(&mut shard), shard.common.separated.len()), (0, 0));

        // What the flood fills now is its own.
        send(&shard, flooded, 1000);
        send(&shard, neighbour, 1);
        assert_eq!(read(&mut shard), 1);
    }

    /// Reads the common socket; returns how many datagrams there were. They are for relays without an allocation.
    fn read(shard: &mut Shard) -> u64 {
        let before = shard.counters.drops(Ignored::NoAllocation);
        shard.common.readable.push(CommonId(0));
        shard.read_common(shard.clock.now());
        shard.counters.drops(Ignored::NoAllocation) - before
    }
}
