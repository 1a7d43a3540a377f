//! Pages with a WebSocket and JSON of their own, as MDN's example has them, as members of rooms of the hub.
//!
//! A [`member`] reads what its page says, and passes it on to the member that it names in `to`. It is pure; the [`socket`]
//! carries its texts.

pub mod member;
pub mod socket;
