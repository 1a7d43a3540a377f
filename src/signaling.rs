//! Rooms in which clients find each other: signaling over WebSocket, as `docs/signaling.md` describes it.
//!
//! A [`socket`] receives a frame and only carries it. [`protocol`] parses it, and the [`hub`] passes the request, under
//! its lock, to the [`switchboard`]. There the request belongs to one of the [`sessions`], concerns one of the
//! [`rooms`], and causes [`post`] for other sessions. Each outgoing message gets a number, is kept in the [`replay`] of
//! its session, and waits as a [`frame`] in the [`send_queue`] of its socket. Everything but the hub, the send queue
//! and the socket is pure.

pub mod counters;
pub mod frame;
pub mod guesses;
pub mod heartbeat;
pub mod hub;
pub mod joins;
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
