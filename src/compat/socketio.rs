//! Clients of socket.io, as members of rooms of the hub, in the dialects of tutorials.
//!
//! [`engine`] and [`packet`] read and write what such clients speak, and a [`mod@line`] is one of them: it finds the [`dialect`]
//! of its page, and asks the hub for it. All of that is pure. A [`session`] joins a line with its seat at the hub; the
//! [`sessions`] are found by their ids, which the requests of long polling name.

pub mod client;
pub mod dialect;
pub mod engine;
pub mod line;
mod outbox;
pub mod packet;
pub mod session;
pub mod sessions;
#[cfg(test)]
mod tests;
