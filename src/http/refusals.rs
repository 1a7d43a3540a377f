//! Tells the operator why pages are turned away, each reason at most once a minute.

use axum::http::HeaderMap;
use axum::http::header::ORIGIN;

use crate::bounds::notice::Notice;
use crate::clock::Moment;
use crate::http::origins::{Origins, page};
use crate::origin::Origin;

/// What was said lately. Who reads the log has a page before them that does not work, and one line is enough for that;
/// strangers must not fill it.
#[derive(Debug, Default)]
pub struct Refusals {
    stranger: Notice,
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
}
