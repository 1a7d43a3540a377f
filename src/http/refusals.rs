//! Tells the operator why pages are turned away, each reason at most once a minute.

use axum::http::HeaderMap;
use axum::http::header::ORIGIN;

use crate::bounds::notice::Notice;
use crate::clock::Moment;
use crate::http::origins::{Origins, page};
use crate::origin::Origin;
use crate::signaling::hub::Crowded;

/// What was said lately. Who reads the log has a page before them that does not work, and one line is enough for that;
/// strangers must not fill it.
#[derive(Debug, Default)]
pub struct Refusals {
    stranger: Notice,
    address: Notice,
    server: Notice,
}

/// Characters of an origin that are shown: whoever sends one chooses it.
const SHOWN: usize = 100;

impl Refusals {
    /// A page was refused for its origin.
    pub(super) fn stranger(&self, headers: &HeaderMap, origins: &Origins, now: Moment) {
        // Nobody's page is no page.
        if !headers.contains_key(ORIGIN) || self.stranger.due(now).is_none() {
            return;
        }
        let origin: String = page(headers).unwrap_or("more than one origin").chars().take(SHOWN).collect();
        let public = origins.public().map_or("not set", Origin::as_str);
        let allowed = origins.allowed().iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
        tracing::warn!(
            "a page of {origin} was refused: http.public_url is {public}, and http.allowed_origins is [{allowed}]. If browsers \
             reach this server there, write it in http.public_url; if it is another site of yours, in http.allowed_origins; if \
             it is none of yours, all is well"
        );
    }

    /// A WebSocket found no place.
    pub(super) fn crowded(&self, crowded: Crowded, now: Moment) {
        match crowded {
            Crowded::Address if self.address.due(now).is_some() => tracing::info!(
                "a WebSocket was refused, because its address has as many as it may: raise rooms.sockets_per_ip if many of your \
                 users share one, and name your reverse proxy in http.proxies"
            ),
            Crowded::Server if self.server.due(now).is_some() => {
                tracing::info!("a WebSocket was refused, because all places are taken: raise rooms.members");
            }
            Crowded::Address | Crowded::Server | Crowded::Draining => {}
        }
    }
}
