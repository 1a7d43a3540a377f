//! PURE  The limits of one client, one user and one network.

use crate::bounds::rate::Rate;
use crate::sections::limits::Limits as Configured;

/// Every limit of the engine. Each bounds something that clients could otherwise increase without end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// `[limits]`, for the numbers that are used as they are configured. The limits below depend on more than one key,
    /// or are rates.
    pub configured: Configured,
    /// Allocations in total.
    pub allocations: u32,
    /// Allocations of one client address (one /64 for IPv6).
    pub allocations_per_ip: u32,
    /// Allocations of one network (a /24, or a /48 for IPv6).
    pub allocations_per_network: u32,
    /// New peers that an allocation may add, in the long run.
    pub new_peers: Rate,
    /// Packets of one allocation, in each direction.
    pub packets: Rate,
    /// Bytes of payload of one allocation, in each direction.
    pub bytes: Rate,
    /// Bytes of payload of all allocations of one user, in each direction; `None` is unlimited.
    pub user_bytes: Option<Rate>,
    /// Bytes of payload of all allocations together, in each direction; `None` is unlimited.
    pub total_bytes: Option<Rate>,
    /// Unauthenticated error answers to one address.
    pub answers_per_ip: Rate,
    /// Unauthenticated error answers to one /24 or /48.
    pub answers_per_network: Rate,
    /// Wrong passwords from one address and port. The limits of users and addresses are higher, see [`super::answers`].
    pub failures: Rate,
}

#[cfg(test)]
pub(in crate::relay) mod tests {
    use std::sync::Arc;

    use std::collections::HashMap;

    use super::*;
    use crate::credentials::{CheckExpiry, Credentials};
    use crate::relay::engine::Settings;
    use crate::sections::number::Count;

    /// Settings with these limits, without any user.
    pub(in crate::relay) fn settings(limits: Limits) -> Arc<Settings> {
        let credentials = Credentials::new("test", Vec::new(), HashMap::new(), CheckExpiry::Allocate);
        Arc::new(Settings {
            credentials,
            limits,
            rfc5766_channels: false,
            rfc3489: false,
            tcp: false,
            alternates: Vec::new(),
        })
    }

    /// Limits that no test reaches by accident.
    pub(in crate::relay) fn generous() -> Limits {
        Limits {
            allocations: 1000,
            configured: Configured {
                allocations_per_user: Count::of::<1000>(),
                permissions: Count::of::<1000>(),
                channels: Count::of::<1000>(),
                ..Configured::default()
            },
            allocations_per_ip: 1000,
            allocations_per_network: 1000,
            new_peers: Rate::per_second(1_000_000),
            packets: Rate::per_second(1_000_000),
            bytes: Rate::per_second(1_000_000_000),
            user_bytes: None,
            total_bytes: None,
            answers_per_ip: Rate::per_second(1_000_000),
            answers_per_network: Rate::per_second(1_000_000),
            failures: Rate::per_second(1_000_000),
        }
    }
}
