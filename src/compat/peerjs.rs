//! The server of PeerJS clients: it gives each peer its id, and carries messages from one id to another.
//!
//! A [`socket`] carries frames between a client and the [`exchange`], which is the [`broker`] behind a lock, with a clock
//! and real queues. [`arrival`] reads what a client shows when it connects, [`message`] what it sends. Messages for a peer
//! that is not there wait for a few seconds ([`waiting`]). All that decides is pure.

pub mod arrival;
pub mod broker;
pub mod counters;
pub mod exchange;
pub mod message;
pub mod socket;
pub mod waiting;
