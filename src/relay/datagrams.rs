//! UDP in batches: many datagrams for one system call, each with the local address that received it.
//!
//! A [`Batch`] owns the buffers. The kernel fills a slot of them with one datagram, or with several of one sender that
//! have the same length (`UDP_GRO`); each is a [`Segment`]. A [`Message`] to be sent is data in the buffers with a header
//! before it, so that relaying copies no data. Messages that leave the same way leave together (`UDP_SEGMENT`): the
//! network stack is the most expensive part of relaying, and is then traversed once for all of them. Only this folder
//! knows where the bytes of a segment are.
//!
//! Only this folder and `system.rs` call libc: neither std nor mio has recvmmsg, sendmmsg or the control messages, and
//! the safe wrappers allocate for each call. `as _` stands where musl's types of lengths and flags differ from glibc's.

mod batch;
mod control;
mod message;
mod name;
mod offload;
mod runs;
mod send;
mod socket;

pub use batch::{Arrivals, Batch, SLOTS};
pub use message::{Message, Received, Segment};
pub use runs::Outgoing;
pub use send::Flushed;
pub use socket::DatagramSocket;

#[cfg(test)]
mod tests;
