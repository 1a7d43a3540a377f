//! Rooms in which clients find each other: signaling over WebSocket, as `docs/signaling.md` says.
//!
//! A frame comes in at a [`socket`], which does nothing but carry. The [`hub`] has it parsed by [`protocol`] and gives it,
//! under its lock, to the [`switchboard`]: there it belongs to one of the [`sessions`], asks something of one of the
//! [`rooms`], and makes [`post`] for others. Each frame that goes out is kept in the [`replay`] of its session, and
//! waits in the [`send_queue`] of its socket. Everything but the hub, the send_queue and the socket is pure.

pub mod counters;
pub mod frame;
pub mod guesses;
pub mod heartbeat;
pub mod hub;
pub mod joins;
pub mod notices;
pub mod pace;
mod plan;
pub mod post;
pub mod protocol;
pub mod replay;
pub mod room;
pub mod rooms;
pub mod seats;
pub mod send_queue;
pub mod sessions;
pub mod socket;
pub mod switchboard;
pub mod worth;

pub use plan::{IceSource, Plan};
