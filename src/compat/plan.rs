//! PURE  The settings of the clients of other servers, at the start and after a reload.

use std::sync::Arc;

use crate::sections::compat::Compat;
use crate::sections::rooms::Rooms;

/// Everything that the configuration decides for them.
#[derive(Debug, Clone, Default)]
pub struct Plan {
    /// `[compat]`.
    pub compat: Compat,
    /// What the file `compat.socketio_client` holds.
    pub socketio_client: Option<Arc<str>>,
    /// `[rooms]`, whose limits on WebSockets and joins hold here too, counted separately.
    pub rooms: Rooms,
}
