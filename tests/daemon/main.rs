//! What the daemon promises on real sockets: that the parts fit together, and fit the kernel.
//!
//! Every daemon here listens on ports that the kernel picks, on loopback; the NATs are in `tests/interop`.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod administering;
mod administering_sessions;
mod checking;
mod denying;
mod draining;
mod flooding;
mod living;
mod logging;
mod ports;
mod relay_addresses;
mod reloading;
mod serving;
mod sessions;
mod sk_lookup;
mod starting;
#[path = "../support/mod.rs"]
mod support;
mod taking_over;
mod turn_crate;
mod using;
