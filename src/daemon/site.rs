//! Builds what is served over HTTP: pages, the API and the rooms.

use std::net::IpAddr;
use std::sync::Arc;

use rand::SeedableRng as _;
use rand::rngs::StdRng;

use crate::clock::Clock;
use crate::config::Config;
use crate::credentials::Credentials;
use crate::daemon::{Addresses, StartError, seed};
use crate::http::app_state::{AppState, Plan};
use crate::http::connection::Server;
use crate::http::origins::Origins;
use crate::http::router::router;
use crate::ice::{IceServers, Served};
use crate::relay::Relay;
use crate::room_token::RoomTokens;
use crate::sections::http::Http;
use crate::sections::rooms::Rooms;
use crate::signaling::hub::Hub;
use crate::signaling::rooms::Rules;
use crate::signaling::switchboard::{IceSource, Parts};

/// Opens the site of a daemon that is reached at `addresses` and whose relay is `turn`.
pub(super) fn open(
    config: &Config,
    addresses: &Addresses,
    credentials: &Credentials,
    own: &[IpAddr],
    turn: &Relay,
    clock: Clock,
) -> Result<(Server, Arc<Hub>), StartError> {
    let Addresses { udp, tcp, tls, relay, http: _, ports: _ } = addresses;
    let tls_on_tcp = !config.tls.certificate.0.is_empty();
    let ice = config.ice_servers(&Served { udp, tcp, tls, tls_on_tcp, relay });
    let hub = Arc::new(hub(config, ice.clone(), credentials, clock)?);
    let origins = Arc::new(origins(config, addresses, own));
    let plan = Plan {
        origins: Arc::clone(&origins),
        create: config.rooms.create,
        credentials: credentials.clone(),
        ice,
        keys: &config.http.keys,
    };
    let state = Arc::new(AppState::new(plan, turn.clone(), Arc::clone(&hub), clock, seed()?));
    Ok((Server::new(router(state), origins, &config.http.proxies, clock), hub))
}

/// Whose pages may do what.
fn origins(config: &Config, addresses: &Addresses, own: &[IpAddr]) -> Origins {
    let Http { public_url, allowed_origins, keys, .. } = &config.http;
    Origins::new(public_url.as_ref(), allowed_origins, keys, &addresses.http, own)
}

/// Where clients meet, with the relay that they are given.
fn hub(
    config: &Config,
    servers: IceServers,
    credentials: &Credentials,
    clock: Clock,
) -> Result<Hub, StartError> {
    let Rooms { capacity, create, knock, members, sockets_per_ip, joins_per_minute } = config.rooms;
    let credentials = credentials.clone();
    let members = members.get() as usize;
    let parts = Parts {
        rules: Rules { capacity: capacity.get() as usize, create, knock, rooms: members },
        sessions: members,
        sockets_per_ip: sockets_per_ip.get(),
        joins_per_minute: joins_per_minute.get(),
        tokens: RoomTokens::new(credentials.secrets()),
        relay: IceSource { servers, credentials, ttl: config.credentials.ttl.get() },
        counters: Arc::default(),
    };
    Ok(Hub::new(parts, clock, StdRng::from_seed(seed()?)))
}
