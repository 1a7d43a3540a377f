//! What the daemon promises on real sockets: that the parts fit together, and fit the kernel.
//!
//! Every daemon here listens on ports that the kernel picks, on loopback; the NATs are in `tests/interop`.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod serving;
mod starting;
#[path = "../turn/support/stun.rs"]
#[allow(
    dead_code,
    missing_docs,
    unreachable_pub,
    reason = "a test's codec, complete even where no test needs it"
)]
mod stun;
mod support;
mod turn_crate;
