//! What the TURN server promises, by behaviour. Each module is a part of the specification.
//!
//! The tests speak raw bytes, written by a codec of their own, to an engine with a table of ports and a clock that
//! they move: so ten minutes pass at once, and nothing depends on a network.
#![allow(
    clippy::unwrap_used,
    clippy::wildcard_enum_match_arm,
    reason = "what is not as a test expects fails it, whatever it is"
)]

#[path = "../support/mod.rs"]
mod support;

mod screening;

mod vectors;

mod answering;
mod authenticating;

mod allocating;

mod draining;

mod refreshing;

mod permitting;

mod binding_channels;
mod classic;

mod relaying;

mod peers;

mod own_addresses;

mod limiting;

mod journaling;

mod using;

mod connected;

mod connecting;

mod sessions;

mod invariants;
