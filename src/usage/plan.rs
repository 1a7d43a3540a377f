//! PURE  What the usage service is started with, and what a reload replaces.

use std::path::PathBuf;

use crate::usage::ledger::Purpose;

/// What the configuration decides.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// The file of the store, if usage is stored.
    pub path: Option<PathBuf>,
    /// For how many days usage is stored, today included.
    pub days: u32,
    /// Whether there is a limit on what a user may carry in one day.
    pub limit: bool,
}

impl Plan {
    /// What the ledger is kept for.
    #[must_use]
    pub const fn purpose(&self) -> Purpose {
        Purpose { store: self.path.is_some(), limit: self.limit }
    }
}
