//! What the daemon promises over HTTP, on real sockets. Each module is a part of it.
//!
//! W1 to W5 are the hostile inputs that the threat model lists for HTTP.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "../support/mod.rs"]
mod support;

mod http2;

mod backend;

mod bodies;

mod counting;

mod credentials;

mod door;

mod keys;

mod one_port;

mod openapi;

mod origins;

mod page_ice;

mod pages;

mod revoking;

mod room_password;

mod screening;

mod waiting;
