//! A daemon whose rooms are open to many from one address.

use hairpin::config::Config;
use hairpin::credentials::Secret;
use hairpin::daemon::Daemon;
use hairpin::origin::OriginPattern;

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
        config.limits.connections = Some(4000);
        config.limits.connections_per_ip = Some(4000);
        config.rooms.sockets_per_ip = 2000;
        config.rooms.joins_per_minute = 10_000;
        change(config);
    })
}
