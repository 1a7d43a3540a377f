//! The network side of this machine: its addresses, its interfaces, and the TCP sockets that it opens.

pub mod address;
pub mod interfaces;
pub mod ipv6;
pub mod own;
pub mod tcp;
