//! PURE  Limits on rate, number and duration: for one client, for one network, and for all of them together.

pub mod admission;
pub mod client_net;
pub mod denied;
pub mod headcount;
pub mod net_throttle;
pub mod notice;
pub mod rate;
pub mod reached;
pub mod strangers;
pub mod throttle;

use std::time::Duration;

/// How long a client may take for a TLS handshake, and then for its first message.
pub const FIRST_MESSAGE: Duration = Duration::from_secs(10);
