//! A daemon whose rooms are open to many from one address.

use hairpin::config::Config;
use hairpin::daemon::Daemon;
use hairpin::origin::OriginPattern;
use hairpin::secret::Secret;
use hairpin::sections::number::Count;
use hairpin::sections::value::Auto;

use super::world::SECRET;
use crate::support::daemon::start_with;

/// With its relay ports in `ports`.
pub fn start(ports: &str) -> Daemon {
    start_changed(ports, |_| {})
}

pub fn start_changed(ports: &str, change: impl FnOnce(&mut Config)) -> Daemon {
    start_with(ports, |config| {
        config.http.listen = vec!["127.0.0.1:0".parse().unwrap()];
        config.http.allowed_origins = vec![OriginPattern::parse("https://friend.example").unwrap()];
        config.credentials.secrets = vec![Secret::new(SECRET)];
        config.limits.connections = Auto(Count::new(4000));
        config.limits.connections_per_ip = Auto(Count::new(4000));
        config.rooms.sockets_per_ip = Count::of::<2000>();
        config.rooms.joins_per_minute = Count::of::<10_000>();
        change(config);
    })
}
