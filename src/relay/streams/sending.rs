//! Sends what waits for each connection, many messages at once, and drops media that a slow reader does not take.

use crate::clock::Moment;
use crate::outcome::Ignored;
use crate::relay::address::StreamId;
use crate::relay::streams::role::Role;
use crate::relay::streams::stream::OUTBOX_MAX;
use crate::relay::streams::{BRIDGED, Streams};

/// Room in the outbox that is reserved for answers. Without an allocation it is all the room there is.
const ANSWERS: usize = 16 << 10;

impl Streams {
    /// Sends an answer at the next [`Self::flush`]. For a client without an allocation the outbox is smaller.
    pub fn answer(&mut self, id: StreamId, message: &[u8], allocated: bool) {
        if let Some(stream) = self.slots.get_mut(id.0 as usize) {
            stream.stand(allocated);
        }
        self.push(id, &[message], if allocated { OUTBOX_MAX } else { ANSWERS });
    }

    /// Sends media at the next [`Self::flush`]: a message of a head, a payload and padding.
    pub fn relay(&mut self, id: StreamId, parts: [&[u8]; 3]) {
        self.push(id, &parts, OUTBOX_MAX - ANSWERS);
    }

    fn push(&mut self, id: StreamId, parts: &[&[u8]], most: usize) {
        let Some(stream) = self.slots.get_mut(id.0 as usize) else { return };
        if stream.push(parts, most, &mut self.spares) {
            self.sending.push(id);
        } else {
            self.counters.ignored(Ignored::SlowReader);
        }
    }

    /// Sends what waits, the messages of each connection together, and ends the round of [`Self::next`]. Returns the
    /// connections that have ended; the caller closes them.
    pub fn flush(&mut self, now: Moment) -> Vec<StreamId> {
        self.turns = 0;
        let mut ended = Vec::new();
        while let Some(id) = self.sending.pop() {
            let Some(stream) = self.slots.get_mut(id.0 as usize) else { continue };
            match (stream.send(), stream.role) {
                (Err(_), _) => ended.push(id),
                // A connection of a bridge may take its time.
                (Ok(_), Role::Bridged(_)) => {}
                (Ok(_), Role::Leaving) if !stream.has_to_send() => match stream.ended {
                    Some(_) => ended.push(id),
                    None => stream.shut(now),
                },
                (Ok(progress), _) => stream.patience.sent(progress, stream.has_to_send(), now),
            }
            stream.spare(&mut self.spares);
            let room = stream.waiting() < BRIDGED;
            if let Role::Bridged(mate) = stream.role
                && room
                && self.slots.get(mate.0 as usize).is_some_and(|mate| mate.flags.held)
            {
                self.readable.push(mate);
            }
            self.reschedule(id);
        }
        ended
    }
}
