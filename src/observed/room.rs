//! PURE  A room as an administrator sees it, under its pseudonym.

use serde::{Deserialize, Serialize};

/// A room. Its name is not shown, because anyone who knows it may join.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Room {
    /// The pseudonym: the 8 characters that also stand in logs and in the user names of members.
    pub room: String,
    /// Members, including those that are away.
    pub members: usize,
    /// Members whose connection is lost and who may come back.
    pub away: usize,
    /// Clients that have knocked and wait for the host.
    pub waiting: usize,
    /// The most members.
    pub capacity: usize,
    /// Whether the host has locked it.
    pub locked: bool,
    /// Whether joining it needs a key.
    pub has_key: bool,
    /// Seconds since it was created.
    pub age: u64,
}
