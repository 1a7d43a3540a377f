//! PURE  Shows rooms to an administrator, some at a time, and ends a room for one.

use rand::RngCore;

use crate::clock::{Moment, Now};
use crate::credentials::tag::Pseudonym;
use crate::observed;
use crate::secret::Secret;
use crate::signaling::post::Post;
use crate::signaling::protocol::names::RoomName;
use crate::signaling::switchboard::{Effect, Step, Switchboard};

/// The most rooms that are shown at once. Nobody can signal meanwhile, for a fraction of a millisecond.
pub const PIECE: usize = 100;

impl Switchboard {
    /// At most [`PIECE`] rooms, each with its name: those behind the room `after`. Pseudonyms are made with the shared secret,
    /// or with `stand_in` if there is none.
    #[must_use]
    pub fn rooms(
        &self,
        after: Option<&RoomName>,
        stand_in: &Secret,
        now: Moment,
    ) -> Vec<(RoomName, observed::room::Room)> {
        let secret = self.ice.credentials.secrets().first().unwrap_or(stand_in);
        let some = self.rooms.after(after).take(PIECE);
        some.map(|(name, room)| (name.clone(), room.observed(&Pseudonym::of(name.as_str(), secret), now)))
            .collect()
    }

    /// Ends a room for an administrator: its members are told what they are told when their host ends it. `None` if there
    /// is no such room.
    pub fn end_room(&mut self, name: &RoomName, now: Now, rng: &mut dyn RngCore) -> Option<Vec<Effect>> {
        let (mut step, mut post) = (Step { effects: Vec::new(), now, rng }, Post::default());
        if !self.rooms.end_room(name, None, &mut post) {
            return None;
        }
        self.deliver(post, &mut step);
        self.settle(None, now.moment);
        Some(step.effects)
    }
}
