//! PURE  When allocations and what belongs to them end.
//!
//! One table holds a deadline for each allocation and for each reserved port. Permissions and channels carry their own
//! expiry, which is checked when they are used.

use std::sync::Arc;
use std::time::Duration;

use crate::bounds::denied::DenyList;
use crate::clock::Moment;
use crate::outcome::AllocationEnding;
use crate::relay::address::{ClientPath, Family, RelayId};
use crate::relay::engine::Engine;
use crate::relay::engine::allocation::{Allocation, AllocationId, CHANNEL_RESERVATION, Channel, Permission};
use crate::relay::engine::endings::Sum;
use crate::relay::engine::seam::{Ports, ReservationToken};

/// What a deadline is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Due {
    Allocation(AllocationId),
    Reservation(ReservationToken),
    Sweep,
    Endings,
    Usage,
}

/// How long a reserved port is held for its token (RFC 8656 §7.2 requires at least 30 s).
pub const RESERVATION_LIFETIME: Duration = Duration::from_secs(30);

/// How many allocations may end in one call of [`Engine::expire`]. To close a socket takes some ten microseconds, and packets
/// wait meanwhile.
pub const EXPIRED_AT_ONCE: usize = 32;

/// How often evicted allocations are looked for, and meters are read.
const SWEEP: Duration = Duration::from_secs(5);

impl Engine {
    /// A client's connection has ended, and its allocation with it (RFC 8656 §3.1).
    pub fn disconnect(&mut self, path: ClientPath, now: Moment, ports: &mut impl Ports) {
        let Some(id) = self.allocations.by_path(&path) else { return };
        self.end(id, AllocationEnding::Disconnected, now, ports);
    }

    /// A credential is revoked: the allocations that were made with it end at once. [`Credentials`](crate::credentials::Credentials) must know of the
    /// revocation before this is called, so that no later request is granted.
    pub fn revoke(&mut self, username: &str, now: Moment, ports: &mut impl Ports) {
        let revoked = self.allocations.iter().filter(|(_, allocation)| *allocation.username == *username);
        for id in revoked.map(|(id, _)| id).collect::<Vec<_>>() {
            self.end(id, AllocationEnding::Revoked, now, ports);
        }
    }

    /// Clients of these networks are refused from now on: their datagrams are dropped, and their allocations end at once.
    pub fn deny(&mut self, denied: Arc<DenyList>, now: Moment, ports: &mut impl Ports) {
        self.denied = denied;
        let denied = self.allocations.iter().filter(|(_, it)| self.denied.contains(it.path.client.ip()));
        for id in denied.map(|(id, _)| id).collect::<Vec<_>>() {
            self.end(id, AllocationEnding::Denied, now, ports);
        }
    }

    /// When [`Self::expire`] must be called next; `None` while nothing can expire.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Moment> {
        self.deadlines.first().map(|(moment, _)| *moment)
    }

    /// Ends what has expired, the oldest first, and at most [`EXPIRED_AT_ONCE`]. If there is more, [`Self::next_deadline`] is
    /// in the past.
    pub fn expire(&mut self, now: Moment, ports: &mut impl Ports) {
        for _ in 0..EXPIRED_AT_ONCE {
            let Some(entry) = self.deadlines.first().copied().filter(|(moment, _)| *moment <= now) else {
                return;
            };
            self.deadlines.remove(&entry);
            match entry.1 {
                Due::Allocation(id) => {
                    self.expire_allocation(id, AllocationEnding::Expired, now, ports);
                }
                Due::Reservation(token) => {
                    self.reservations.remove(&token);
                    ports.forget(token);
                }
                Due::Sweep => self.sweep(now, ports),
                Due::Endings => self.endings.conclude(),
                Due::Usage => self.visit(now),
            }
        }
    }

    /// The daemon stops: writes the log lines that were still to come, and tells the ledger what allocations have used.
    pub fn conclude(&mut self, now: Moment) {
        self.endings.conclude();
        self.tell_all(now);
    }

    /// Sets an allocation's deadline to the first expiry of its relayed addresses.
    pub(super) fn reschedule(&mut self, id: AllocationId) {
        let Some(allocation) = self.allocations.get_mut(id) else { return };
        let Some(expires) = allocation.expires() else { return };
        self.deadlines.remove(&(allocation.deadline, Due::Allocation(id)));
        allocation.deadline = expires;
        self.deadlines.insert((expires, Due::Allocation(id)));
    }

    /// Closes the expired relayed addresses of an allocation, and ends the allocation with the last one, for the reason
    /// `ending`.
    pub(super) fn expire_allocation(
        &mut self,
        id: AllocationId,
        ending: AllocationEnding,
        now: Moment,
        ports: &mut impl Ports,
    ) {
        while let Some(relay) = self.first_expired(id, now) {
            self.close_relay(id, relay);
            ports.close(relay);
        }
        match self.allocations.get(id) {
            Some(allocation) if allocation.relays.is_empty() => self.close(id, ending, now),
            Some(_) => self.reschedule(id),
            None => {}
        }
    }

    fn first_expired(&self, id: AllocationId, now: Moment) -> Option<RelayId> {
        let relays = &self.allocations.get(id)?.relays;
        relays.iter().find(|(_, expires)| *expires <= now).map(|(relay, _)| relay.id)
    }

    /// Removes a relayed address with its permissions and channels. The other address of a dual allocation keeps its
    /// own (RFC 8656 §8.1).
    fn close_relay(&mut self, id: AllocationId, relay: RelayId) {
        self.bridges.on_relay_closed(relay);
        let before = self.allocations.get(id).and_then(Allocation::families);
        let Some(allocation) = self.allocations.remove_relay(id, relay) else { return };
        self.counters.families(allocation.legs(), before, allocation.families());
        let left: Vec<Family> = allocation.relays.iter().map(|(relay, _)| relay.family()).collect();
        self.drop_permissions(id, |permission| !left.contains(&Family::of(permission.ip)));
        self.drop_channels(id, |channel| channel.relay == relay);
    }

    /// Removes the permissions that have expired, and the channels that are no longer reserved.
    pub(super) fn drop_expired(&mut self, id: AllocationId, now: Moment) {
        self.drop_permissions(id, |permission| permission.until <= now);
        self.drop_channels(id, |channel| channel.until + CHANNEL_RESERVATION <= now);
    }

    pub(super) fn drop_permissions(&mut self, id: AllocationId, over: impl Fn(&Permission) -> bool) {
        let Some(allocation) = self.allocations.get_mut(id) else { return };
        let before = allocation.permissions.len();
        allocation.permissions.retain(|permission| !over(permission));
        self.counters.permissions.sub((before - allocation.permissions.len()) as u64);
    }

    pub(super) fn drop_channels(&mut self, id: AllocationId, over: impl Fn(&Channel) -> bool) {
        let Some(Allocation { path, channels, .. }) = self.allocations.get_mut(id) else { return };
        let before = channels.len();
        channels.retain(|channel| {
            let keep = !over(channel);
            if !keep {
                self.routes.remove(*path, channel.number, channel.relay, channel.peer);
            }
            keep
        });
        self.counters.channels.sub((before - channels.len()) as u64);
    }

    fn close(&mut self, id: AllocationId, ending: AllocationEnding, now: Moment) {
        let Some(mut ended) = self.allocations.remove(id) else { return };
        self.tell_last(&mut ended, now);
        self.deadlines.remove(&(ended.deadline, Due::Allocation(id)));
        self.counters.allocations.sub(1);
        self.counters.concluded(ending);
        let (up, down) = (ended.up, ended.down);
        let (user, seconds) = (&ended.tag, now.since(ended.since).as_secs());
        if up.packets + down.packets == 0 {
            tracing::debug!(?user, seconds, reason = ending.name(), "allocation ended unused");
            return;
        }
        let sum = Sum {
            allocations: 1,
            seconds,
            peers: ended.peers.into(),
            packets_up: up.packets,
            bytes_up: up.bytes,
            packets_down: down.packets,
            bytes_down: down.bytes,
            ..Sum::default()
        };
        let sum = sum.of_client(ended.path.transport(), ended.path.client);
        if let Some(over) = self.endings.add(user, ending, sum, now) {
            self.deadlines.insert((over, Due::Endings));
        }
    }

    /// Closes the evicted allocations, and reads the meters of all.
    fn sweep(&mut self, now: Moment, ports: &mut impl Ports) {
        let mut evicted = Vec::new();
        for (id, allocation) in self.allocations.iter_mut() {
            allocation.readings.take(&allocation.up, &allocation.down);
            evicted.extend(allocation.lease.is_evicted().then_some(id));
        }
        self.read_at.take(now);
        for id in evicted {
            self.end(id, AllocationEnding::Evicted, now, ports);
        }
        self.expect_sweep(now);
    }

    /// Ends an allocation before its time.
    pub(super) fn end(
        &mut self,
        id: AllocationId,
        ending: AllocationEnding,
        now: Moment,
        ports: &mut impl Ports,
    ) {
        if let Some(allocation) = self.allocations.get_mut(id) {
            allocation.relays.iter_mut().for_each(|(_, expires)| *expires = now);
        }
        self.expire_allocation(id, ending, now, ports);
    }

    /// While there are allocations, a sweep is scheduled.
    pub(super) fn expect_sweep(&mut self, now: Moment) {
        if !self.allocations.is_empty() && self.next_sweep <= now {
            self.next_sweep = now + SWEEP;
            self.deadlines.insert((self.next_sweep, Due::Sweep));
        }
    }
}
