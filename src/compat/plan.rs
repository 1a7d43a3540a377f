//! PURE  The settings of the clients of other servers, at the start and after a reload.

use crate::sections::compat::Compat;
use crate::sections::rooms::Rooms;

/// Everything that the configuration decides for them.
#[derive(Debug, Clone, Default)]
pub struct Plan {
    /// `[compat]`.
    pub compat: Compat,
    /// `[rooms]`, whose limits on WebSockets and joins hold here too, counted separately.
    pub rooms: Rooms,
}
