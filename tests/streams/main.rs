//! What the daemon promises to clients over TCP and TLS, and of them, on real sockets. Each module is a part of it.
//!
//! C1 to C13 are the hostile inputs that the threat model lists for streams. What clients can make the daemon's memory
//! grow by is in `tests/memory.rs`.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "../support/mod.rs"]
mod support;

mod relaying;

mod framing;

mod coalescing;

mod ending;

mod kicking;

mod waiting;

mod slow_readers;

mod crowding;

mod handshakes;

mod renewing;

mod reloading;

mod proxies;

mod tcp_relays;
