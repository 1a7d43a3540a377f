//! Rooms in which clients find each other.
pub mod protocol;
