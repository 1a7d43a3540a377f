//! What the daemon promises to clients of other signaling servers, and what it endures from them, on real sockets.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "../support/mod.rs"]
mod support;

mod peerjs;

mod socketio;
