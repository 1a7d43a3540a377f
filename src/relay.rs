//! The relay: STUN and TURN.
//!
//! The life of a datagram: a [`shard`] reads it in a batch ([`datagrams`]) and hands it to its [`engine`], which
//! screens it ([`wire`]), decides, and says what is to be done: answer, pass on to a peer, or nothing. What comes
//! from a peer to a relay socket ([`ports`]) goes the other way. Everything that belongs to one client (its
//! packets, its allocation, its relay sockets) lives on one shard, so nothing on this way is locked or shared.
//!
//! A TCP or TLS connection is handed to one shard, too ([`streams`]). Each message in it ([`framing`]) then goes the way
//! of a datagram.

pub mod address;
pub mod admission;
pub mod datagrams;
pub mod engine;
pub mod framing;
pub mod patience;
pub mod ports;
pub mod shard;
pub mod streams;
pub mod tcp;
pub mod wire;
