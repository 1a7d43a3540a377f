//! Translates the configuration into the plans of the services, at the start and for a reload.
//!
//! This is the only place that knows both what `config.toml` says and what the services want to know: defaults that
//! depend on each other, and units that differ, are worked out here.

use std::net::{IpAddr, SocketAddr};
use std::num::NonZeroU64;
use std::time::Duration;

use crate::acme;
use crate::admin;
use crate::bounds::denied::DenyList;
use crate::bounds::rate::Rate;
use crate::compat;
use crate::config::Config;
use crate::credentials::Credentials;
use crate::daemon::Addresses;
use crate::daemon::resources::{Connections, Resources};
use crate::daemon::takeover::CLIENTS_MAX;
use crate::files::state_directory;
use crate::front;
use crate::http::{self, origins::Origins};
use crate::ice::{IceServers, Served};
use crate::network::address::{RelayAddress, Transport};
use crate::network::own::Own;
use crate::peers::PeerPolicy;
use crate::relay;
use crate::relay::engine::Settings;
use crate::relay::engine::bandwidth::CHUNK;
use crate::relay::engine::limits::Limits;
use crate::room_token::RoomTokens;
use crate::secret::Secret;
use crate::sections::http::Http;
use crate::sections::limits::Limits as LimitsConfig;
use crate::sections::number::Count;
use crate::sections::usage::UsagePath;
use crate::signaling::{self, IceSource};
use crate::usage;

/// What was found out before the plans can be made.
#[derive(Debug, Clone)]
pub(super) struct Found {
    /// Where the daemon is reached: the addresses as they are bound.
    pub(super) addresses: Addresses,
    /// What the interfaces of this machine say.
    pub(super) own: Own,
    /// What the machine can bear.
    pub(super) resources: Resources,
    /// The secret for this run, if there was a time when the configuration had neither a secret nor a user. It stays valid
    /// behind configured ones, because credentials were made with it.
    pub(super) secret: Option<Secret>,
    /// The credentials that were valid before this reload.
    pub(super) former: Option<Credentials>,
}

/// What each service works by.
pub(super) struct Plans {
    pub(super) relay: relay::Plan,
    pub(super) rooms: signaling::Plan,
    pub(super) site: http::Plan,
    pub(super) front: front::Plan,
    pub(super) admin: admin::Plan,
    pub(super) usage: usage::Plan,
    pub(super) acme: acme::Plan,
}

/// Makes the plans.
pub(super) fn plans(config: &Config, found: &Found) -> Plans {
    let credentials = credentials(config, found);
    let ice = ice(config, &found.addresses);
    Plans {
        relay: relay(config, found, credentials.clone()),
        rooms: rooms(config, credentials.clone(), ice.clone()),
        site: site(config, found, credentials, ice),
        front: front::Plan {
            connections: connections(config, found).bounds,
            proxies: config.listen.proxies.clone(),
            denied: DenyList::new(&config.clients.deny),
            handshakes_per_ip: config.limits.handshakes_per_ip.get(),
            coalesce: config.tls.coalesce,
        },
        admin: admin::Plan { token: config.admin.token_hash },
        usage: usage(config),
        acme: acme(config, &found.addresses),
    }
}

fn credentials(config: &Config, found: &Found) -> Credentials {
    let secrets = config.credentials.secrets.iter().cloned().chain(found.secret.clone()).collect();
    let (realm, users) = (config.credentials.realm.as_str(), config.credentials.users.clone());
    let credentials = Credentials::new(realm, secrets, users, config.credentials.check_expiry);
    match &found.former {
        Some(former) => credentials.in_place_of(former),
        None => credentials,
    }
}

/// How many UDP sockets allocations may need.
pub(super) fn relay_sockets(config: &Config, relay_addresses: usize) -> usize {
    let ports = config.relay.ports.len() * relay_addresses;
    // While another daemon takes over, each client over UDP has a socket, too.
    if config.listen.takeover { ports + CLIENTS_MAX } else { ports }
}

/// How many connections there may be.
pub(super) fn connections(config: &Config, found: &Found) -> Connections {
    let relay_sockets = relay_sockets(config, found.addresses.relay.len());
    Connections::new(&config.limits, relay_sockets, &found.resources)
}

fn ice(config: &Config, addresses: &Addresses) -> IceServers {
    let Addresses { udp, tcp, tls, relay, http: _, ports: _, admin: _ } = addresses;
    let tls_on_tcp = config.tls.is_on();
    config.ice_servers(&Served { udp, tcp, tls, tls_on_tcp, relay })
}

fn relay(config: &Config, found: &Found, credentials: Credentials) -> relay::Plan {
    let Found { addresses, own, .. } = found;
    let listeners = listeners(addresses);
    // A NAT's public side, and what we are bound to, belong to this machine whatever its interfaces say.
    let relayed = addresses.relay.iter().flat_map(|address| [address.bind, address.public]);
    let fixed: Vec<IpAddr> = relayed.chain(listeners.iter().map(|(_, listener)| listener.ip())).collect();
    relay::Plan {
        settings: Settings {
            credentials,
            limits: limits(&config.limits, config.relay.ports.len() * most_of_a_family(&addresses.relay)),
            rfc5766_channels: config.relay.rfc5766_channels,
            rfc3489: config.listen.rfc3489,
            tcp: config.relay.tcp,
            alternates: config.relay.alternates.iter().map(|alternate| alternate.get()).collect(),
        },
        denied: DenyList::new(&config.clients.deny),
        peers: PeerPolicy {
            allow: config.peers.allow.iter().map(|range| range.get()).collect(),
            deny: config.peers.deny.clone(),
            nat64: config.peers.nat64_prefixes.clone(),
            loopback: config.peers.loopback,
            allow_own: config.peers.allow_own.clone(),
            own: own.clone().with(&fixed),
            listeners,
        },
        fixed,
        addresses: addresses.relay.clone(),
        offload: config.relay.udp_offload,
        lookup: config.relay.sk_lookup,
        ports: addresses.ports.clone(),
    }
}

/// Every transport address that we listen on. What is bound to the inner side of a 1:1 NAT is reached by the outer one, too.
fn listeners(addresses: &Addresses) -> Vec<(Transport, SocketAddr)> {
    let Addresses { udp, tcp, tls, http, relay, ports: _, admin: _ } = addresses;
    let streams = [&tcp[..], tls, http].concat().into_iter().map(|listener| (Transport::Tcp, listener));
    let bound = udp.iter().map(|listener| (Transport::Udp, *listener)).chain(streams);
    let both_sides = |(transport, inside): (Transport, SocketAddr)| {
        let same = relay.iter().filter(move |address| address.bind == inside.ip());
        let outside = same.map(move |address| SocketAddr::new(address.public, inside.port()));
        std::iter::once(inside).chain(outside).map(move |listener| (transport, listener))
    };
    bound.flat_map(both_sides).collect()
}

/// How many relay addresses the family has that has more: a port of each family may go to one allocation.
fn most_of_a_family(relay: &[RelayAddress]) -> usize {
    let v4 = relay.iter().filter(|address| address.bind.is_ipv4()).count();
    v4.max(relay.len() - v4)
}

fn limits(config: &LimitsConfig, ports: usize) -> Limits {
    let second = Duration::from_secs(1);
    // The last free ports are hard to find and even pairs run out first, so "auto" leaves a tenth.
    let most = u32::try_from(ports * 9 / 10).unwrap_or(u32::MAX).max(1);
    let allocations = config.allocations.0.map_or(most, Count::get);
    // Ten rooms of eight fit behind one address; and one network cannot take all.
    let share = |parts: u32| (allocations / parts).max(1);
    let allocations_per_ip = config.allocations_per_ip.0.map_or(share(4), Count::get);
    let failures = u64::from(config.failures_per_minute.get());
    let answers =
        |rate: Count, burst: Count| Rate::new(rate.get().into(), second, burst.max(rate).get().into());
    Limits {
        configured: config.clone(),
        allocations,
        allocations_per_ip,
        allocations_per_network: share(2).max(allocations_per_ip),
        new_peers: Rate::new(
            config.new_peers_per_second.get().into(),
            second,
            config.new_peers_burst.get().into(),
        ),
        packets: Rate::per_second(config.packets_per_second.get().into()),
        bytes: bytes(config.bits_per_second),
        user_bytes: config.bits_per_second_per_user.0.map(bytes),
        total_bytes: config.bits_per_second_total.0.map(bytes),
        answers_per_ip: answers(config.answers_per_ip, config.answers_per_ip_burst),
        answers_per_network: answers(config.answers_per_network, config.answers_per_network_burst),
        failures: Rate::new(failures, Duration::from_secs(60), failures),
    }
}

/// Bits of payload that one allocation may relay per second in each direction, if nobody else relays anything.
fn of_one_connection(limits: &LimitsConfig) -> NonZeroU64 {
    let others = [limits.bits_per_second_per_user.0, limits.bits_per_second_total.0];
    others.into_iter().flatten().fold(limits.bits_per_second, Ord::min)
}

/// A rate of bits a second as one of bytes. A second's worth may come at once, and at least a datagram of the largest size
/// beside what a shard takes in advance.
fn bytes(bits_per_second: NonZeroU64) -> Rate {
    let bits_per_second = bits_per_second.get();
    let burst = (bits_per_second / 8).max(u64::from(u16::MAX) + CHUNK);
    Rate::new(bits_per_second.div_ceil(8), Duration::from_secs(1), burst)
}

fn usage(config: &Config) -> usage::Plan {
    let path = match &config.usage.path {
        UsagePath::Off => None,
        UsagePath::Auto => Some(state_directory().join("usage.db")),
        UsagePath::File(path) => Some(path.clone()),
    };
    let limit = config.limits.bytes_per_user_per_day.0.is_some();
    usage::Plan { path, days: config.usage.days.get(), limit }
}

fn acme(config: &Config, addresses: &Addresses) -> acme::Plan {
    let section = config.tls.acme.clone();
    let files = section.files(&state_directory());
    let Addresses { tcp, tls, http, .. } = addresses;
    // An authority reaches no loopback address; a proxy in front would have a certificate of its own.
    let http = http.iter().any(|listener| !listener.ip().is_loopback());
    acme::Plan { section, files, tls: !tcp.is_empty() || !tls.is_empty(), http }
}

fn rooms(config: &Config, credentials: Credentials, servers: IceServers) -> signaling::Plan {
    signaling::Plan {
        rooms: config.rooms.clone(),
        sessions: config.rooms.members.get() as usize,
        tokens: RoomTokens::new(credentials.secrets()).with_password(config.rooms.password_hash.as_ref()),
        ice: IceSource { servers, credentials, ttl: config.credentials.ttl.get() },
    }
}

fn site(config: &Config, found: &Found, credentials: Credentials, ice: IceServers) -> http::Plan {
    let Http { public_url, allowed_origins, frame_ancestors, keys, proxies, .. } = &config.http;
    let (plain, machine) = (&found.addresses.http, &found.own.addresses);
    http::Plan {
        origins: Origins::new(public_url.as_ref(), allowed_origins, keys, plain, machine),
        frame_ancestors: frame_ancestors.clone(),
        create: config.rooms.create,
        password: config.rooms.password_hash.clone(),
        credentials,
        ice,
        bits_per_second: of_one_connection(&config.limits),
        keys: keys.clone(),
        proxies: proxies.clone(),
        denied: DenyList::new(&config.clients.deny),
        compat: compat::Plan {
            compat: config.compat.clone(),
            socketio_client: config.socketio_client.clone(),
            rooms: config.rooms.clone(),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sections::value::Off;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    fn behind_a_nat() -> Found {
        let socket = |text: &str| vec![text.parse().unwrap()];
        let addresses = Addresses {
            udp: socket("10.0.0.5:3478"),
            tcp: socket("0.0.0.0:3478"),
            tls: Vec::new(),
            http: socket("127.0.0.1:8080"),
            relay: vec![RelayAddress { bind: ip("10.0.0.5"), public: ip("192.0.2.1") }],
            ports: 50_000..=50_999,
            admin: Vec::new(),
        };
        let own = Own::new(vec![ip("127.0.0.1"), ip("10.0.0.5")], &[]);
        Found { addresses, own, resources: Resources::default(), secret: None, former: None }
    }

    #[test]
    fn a_listener_behind_a_nat_is_one_by_its_public_address_too() {
        let listeners = listeners(&behind_a_nat().addresses);
        let (udp, tcp) = (Transport::Udp, Transport::Tcp);
        let expected =
            [(udp, "10.0.0.5:3478"), (udp, "192.0.2.1:3478"), (tcp, "0.0.0.0:3478"), (tcp, "127.0.0.1:8080")];
        assert_eq!(listeners, expected.map(|(transport, listener)| (transport, listener.parse().unwrap())));
    }

    #[test]
    fn both_sides_of_a_nat_belong_to_this_machine() {
        let plan = plans(&Config::default(), &behind_a_nat()).relay;
        assert!(
            ["10.0.0.5", "192.0.2.1", "127.0.0.1"].iter().all(|own| plan
                .peers
                .own
                .addresses
                .contains(&ip(own)))
        );
        assert!(plan.fixed.contains(&ip("192.0.2.1")));
    }

    #[test]
    fn bits_become_bytes_and_automatic_limits_follow_the_ports() {
        let mut config = Config::default();
        config.relay.ports = 50_000..=50_999;
        let limits = plans(&config, &behind_a_nat()).relay.settings.limits;
        let [all, network, address] =
            [limits.allocations, limits.allocations_per_network, limits.allocations_per_ip];
        assert_eq!([all, network, address], [900, 450, 225]);
        assert_eq!(limits.bytes, Rate::new(3_125_000, Duration::from_secs(1), 3_125_000));
        assert_eq!((limits.user_bytes, limits.total_bytes), (None, None));
    }

    #[test]
    fn one_connection_is_bounded_by_the_smallest_limit() {
        let bits = |bits: u64| NonZeroU64::new(bits).unwrap();
        let mut limits = LimitsConfig { bits_per_second: bits(8), ..LimitsConfig::default() };
        assert_eq!(of_one_connection(&limits), bits(8));
        limits.bits_per_second_total = Off(Some(bits(9)));
        assert_eq!(of_one_connection(&limits), bits(8));
        limits.bits_per_second_per_user = Off(Some(bits(7)));
        assert_eq!(of_one_connection(&limits), bits(7));
    }

    #[test]
    fn the_secret_of_this_run_stays_valid_behind_one_that_is_configured_later() {
        let mut config = Config::default();
        config.credentials.secrets = vec![Secret::new("configured")];
        let found = Found { secret: Some(Secret::new("made for this run")), ..behind_a_nat() };
        let secrets = plans(&config, &found).site.credentials.secrets().to_vec();
        assert_eq!(secrets, ["configured", "made for this run"].map(Secret::new));
    }

    #[test]
    fn the_secret_of_this_run_is_for_all_services() {
        let found = Found { secret: Some(Secret::new("made for this run")), ..behind_a_nat() };
        let plans = plans(&Config::default(), &found);
        for credentials in
            [&plans.relay.settings.credentials, &plans.rooms.ice.credentials, &plans.site.credentials]
        {
            assert_eq!(credentials.secrets().len(), 1);
        }
    }
}
