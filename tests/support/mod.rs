//! What the tests need: a codec of their own, clients, a world for the engine, and daemons on real sockets,
//! in this process and in others.
#![allow(unreachable_pub, missing_docs, reason = "a test's tools; each test uses what it needs")]
#![allow(dead_code, reason = "a codec is complete even where no test needs it yet")]

pub mod certificate;
pub mod client;
pub mod daemon;
pub mod http;
pub mod http2;
pub mod logged;
pub mod process;
pub mod seeds;
pub mod session;
pub mod stream;
pub mod stun;
pub mod websocket;
pub mod world;
