//! Logs why pages are refused, at most once a minute.

use crate::bounds::notice::Notice;
use crate::clock::Moment;
use crate::http::origins::{Origins, PageOf};
use crate::http::requester::Requester;
use crate::origin::Origin;

/// When a refusal was last logged. One line is enough for an operator who looks at a broken page, and unauthenticated
/// clients must not fill the log.
#[derive(Debug, Default)]
pub struct Refusals {
    foreign: Notice,
}

/// At most this many characters of an origin are logged, because the client chooses its length.
const SHOWN: usize = 100;

impl Refusals {
    /// Logs that a page was refused for its origin.
    pub(super) fn page(&self, requester: &Requester, origins: &Origins, now: Moment) {
        if requester.page == PageOf::Nobody || self.foreign.due(1, now).is_none() {
            return;
        }
        let origin: String =
            requester.origin().unwrap_or("more than one origin").chars().take(SHOWN).collect();
        let public = origins.public().map_or("not set", Origin::as_str);
        let allowed = origins.allowed().iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
        tracing::warn!(
            "a page of {origin} was refused: http.public_url is {public}, and http.allowed_origins is [{allowed}]. If \
             browsers reach this server at that origin, write it in http.public_url. If it is another site of yours, \
             add it to http.allowed_origins. Otherwise nothing needs to be done"
        );
    }
}
