//! Clients of other signaling servers, which find the same answers here as at their own: `docs/compat.md`.
//!
//! Each kind of client has a folder. What decides is pure; a lock, a clock and sockets are around it.

pub mod news;
pub mod peerjs;
pub mod plain;
mod plan;
pub mod socketio;

pub use plan::Plan;
