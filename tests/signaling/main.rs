//! What rooms promise to their members, and what they endure from others.
//!
//! Rules of the protocol are shown on a switchboard without sockets, by a clock that the test moves; that it all fits
//! together, on a daemon with real ones. G1 to G8 are the hostile inputs that the threat model lists for signaling.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
#![allow(unreachable_pub, missing_docs, reason = "these are tests")]

#[path = "../support/mod.rs"]
mod support;

mod daemon;

mod world;

mod rooms;

mod sessions;

mod reloading;

mod invariants;

mod neighbours;

mod opening;

mod framing;

mod enduring;

mod document;

mod walking;

mod journaling;
