//! PURE  `[limits]`: how much one client, user or network may have.

use std::collections::HashMap;
use std::num::NonZeroU64;

use serde_json::Value;
use toml::de::DeValue;

use crate::sections::number::{Bounded, Count};
use crate::sections::reading::{Place, kind};
use crate::sections::value::{Auto, FromToml, Off};

section! {
    /// `[limits]`
    pub struct Limits {
        /// Allocations in total.
        pub allocations: Auto<Count> = Auto(None),
        /// Allocations of one user, counted by the tag of the credential.
        pub allocations_per_user: Count = Count::of::<100>(),
        /// Allocations of single users, in place of that: by the tag of their credentials, or the name of a static user.
        pub users: HashMap<String, Count> = HashMap::new(),
        /// Allocations of one client address (one /64 for IPv6).
        pub allocations_per_ip: Auto<Count> = Auto(None),
        /// Connections in total.
        pub connections: Auto<Count> = Auto(None),
        /// Connections of one network, a /24 or /48.
        pub connections_per_network: Auto<Count> = Auto(None),
        /// Connections of one address.
        pub connections_per_ip: Auto<Count> = Auto(None),
        /// TLS handshakes of one address, each second.
        pub handshakes_per_ip: Count = Count::of::<50>(),
        /// Permissions of one allocation.
        pub permissions: Count = Count::of::<32>(),
        /// Channels of one allocation, those in their last five minutes of reservation included.
        pub channels: Count = Count::of::<32>(),
        /// New peers of one allocation, each second in the long run.
        pub new_peers_per_second: Count = Count::of::<5>(),
        /// New peers of one allocation, at once.
        pub new_peers_burst: Count = Count::of::<32>(),
        /// Packets of one allocation, each second and direction.
        pub packets_per_second: Count = Count::of::<10_000>(),
        /// Bits of payload of one allocation, each second and direction.
        pub bits_per_second: NonZeroU64 = MEGABITS_25,
        /// Bits of payload of one user's allocations together, each second and direction.
        pub bits_per_second_per_user: Off<NonZeroU64> = Off(None),
        /// Bits of payload of all allocations together, each second and direction.
        pub bits_per_second_total: Off<NonZeroU64> = Off(None),
        /// Bytes of payload of one user, in both directions together, each day in UTC.
        pub bytes_per_user_per_day: Off<NonZeroU64> = Off(None),
        /// Unauthenticated errors to one address, each second in the long run.
        pub answers_per_ip: Count = Count::of::<10>(),
        /// Unauthenticated errors to one address, at once.
        pub answers_per_ip_burst: Count = Count::of::<600>(),
        /// Unauthenticated errors to one network, each second in the long run.
        pub answers_per_network: Count = Count::of::<100>(),
        /// Unauthenticated errors to one network, at once.
        pub answers_per_network_burst: Count = Count::of::<2400>(),
        /// Wrong passwords of one client, that is from one address and port, each minute.
        pub failures_per_minute: Failures = Failures::of::<20>(),
    }
}

/// Wrong passwords a minute. One address may have a hundred times as many, each of which must cost a time that the table
/// of `relay::engine::answers` can tell.
pub type Failures = Bounded<1, 1000>;

const MEGABITS_25: NonZeroU64 = NonZeroU64::new(25_000_000).expect("it is not zero");

impl FromToml for HashMap<String, Count> {
    fn expected() -> String {
        "a table of users, such as { galene = 2000 }".to_owned()
    }

    fn from_toml(value: &DeValue<'_>, place: &mut Place<'_>) -> Option<Self> {
        let Some(table) = value.as_table() else { return place.refuse(kind(value)) };
        let users = table.iter().map(|(name, value)| {
            let name = name.get_ref();
            place.entry(name, value).map(|most| (name.to_string(), most))
        });
        // All of them are read before one that is wrong counts, so that each of those is reported.
        users.collect::<Vec<_>>().into_iter().collect()
    }

    fn to_json(&self) -> Value {
        self.iter().map(|(name, most)| (name.clone(), most.to_json())).collect()
    }
}
