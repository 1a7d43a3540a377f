//! PURE  Counts the requests of the site: their answers, how long they took, and the credentials that were issued.

use std::time::Duration;

use crate::labels::labels;
use crate::metrics::SharedCounter;
use crate::observed::{Answered, Histogram, Site};

labels! {
    /// A route, as metrics name it. A path that a client sent is never a label: it may name a room, and there is no bound
    /// to how many there are.
    pub(super) enum Route {
        /// Whether the daemon is alive.
        Health = "/healthz",
        /// Whether new clients may come.
        Ready = "/readyz",
        /// The WebSocket of the rooms.
        WebSocket = "/ws",
        /// The challenge of a certificate authority.
        Challenge = "/.well-known/acme-challenge/{token}",
        /// Credentials by draft-uberti-behave-turn-rest.
        Turn = "/turn",
        /// The same.
        TurnCredentials = "/turn/credentials",
        /// ICE servers for backends.
        IceServers = "/api/v1/ice-servers",
        /// Revocation.
        Revoke = "/api/v1/credentials/{username}/revoke",
        /// Room tokens.
        RoomTokens = "/api/v1/room-tokens",
        /// A room token for the password.
        RoomPassword = "/api/v1/room-password",
        /// Whether a WebSocket may be opened.
        Door = "/api/v1/door",
        /// The connection test's credentials.
        CheckIce = "/api/v1/check-ice",
        /// ICE servers for pages.
        PageIce = "/api/v1/page-ice",
        /// The description of the API.
        OpenApi = "/api/v1/openapi.json",
        /// Clients of PeerJS, whose path the configuration names.
        PeerJs = "peerjs",
        /// Clients of socket.io.
        SocketIo = "/socket.io/",
        /// The WebSocket of pages that speak JSON of their own, whose path the configuration names.
        Plain = "websocket",
        /// The pages, and their scripts, styles and images.
        Pages = "pages",
        /// A route that has no label of its own.
        Other = "other",
        /// No route: the request is for a path that does not exist.
        NotFound = "none",
    }
}

labels! {
    /// The class of an answer's status.
    enum Class {
        /// 101: a connection becomes a WebSocket.
        Informational = "1xx",
        /// Success.
        Success = "2xx",
        /// Nothing has changed.
        Redirection = "3xx",
        /// The client's fault.
        ClientError = "4xx",
        /// The server's fault, or it is too busy.
        ServerError = "5xx",
    }
}

labels! {
    /// An endpoint that issues credentials.
    pub(super) enum Endpoint {
        /// `/turn` and `/turn/credentials`.
        Turn = "turn",
        /// `/api/v1/ice-servers`.
        IceServers = "ice_servers",
        /// `/api/v1/check-ice`.
        CheckIce = "check_ice",
        /// `/api/v1/page-ice`.
        PageIce = "page_ice",
        /// `/api/v1/room-tokens`, whose tokens are for rooms and not for the relay.
        RoomTokens = "room_tokens",
        /// `/api/v1/room-password`, the same for people who know the password.
        RoomPassword = "room_password",
    }
}

/// The counters.
#[derive(Debug, Default)]
pub(super) struct HttpCounters {
    answered: [[SharedCounter; Class::ALL.len()]; Route::ALL.len()],
    durations: [Durations; Route::ALL.len()],
    issued: [SharedCounter; Endpoint::ALL.len()],
}

/// How long the requests of a route took.
#[derive(Debug, Default)]
struct Durations {
    counts: [SharedCounter; Histogram::BOUNDS.len() + 1],
    nanos: SharedCounter,
}

impl Route {
    /// The route with this template, which is `None` if the path matched no route. `is_page` says whether a path is that of
    /// an embedded file.
    pub(super) fn of(template: Option<&str>, is_page: impl Fn(&str) -> bool) -> Self {
        let Some(template) = template else { return Self::NotFound };
        let named = Self::ALL.into_iter().find(|route| route.name() == template);
        named.unwrap_or_else(|| if is_page(template) { Self::Pages } else { Self::Other })
    }
}

impl Class {
    /// The class of a status.
    const fn of(status: u16) -> Self {
        match status {
            ..200 => Self::Informational,
            200..300 => Self::Success,
            300..400 => Self::Redirection,
            400..500 => Self::ClientError,
            500.. => Self::ServerError,
        }
    }
}

impl HttpCounters {
    /// A request was answered with this status, after this time.
    pub(super) fn answered(&self, route: Route, status: u16, took: Duration) {
        self.answered[route as usize][Class::of(status) as usize].add(1);
        let Durations { counts, nanos } = &self.durations[route as usize];
        let above = Histogram::BOUNDS.iter().filter(|bound| took > Duration::from_millis(**bound)).count();
        counts[above].add(1);
        nanos.add(u64::try_from(took.as_nanos()).unwrap_or(u64::MAX));
    }

    /// An endpoint has issued a credential.
    pub(super) fn issued(&self, endpoint: Endpoint) {
        self.issued[endpoint as usize].add(1);
    }

    /// The present values, of a site with so many connections.
    pub(super) fn snapshot(&self, connections: usize) -> Site {
        let answered = |route: Route| {
            Class::ALL.map(|class| Answered {
                route: route.name(),
                status: class.name(),
                count: self.answered[route as usize][class as usize].get(),
            })
        };
        let duration = |route: Route| {
            let Durations { counts, nanos } = &self.durations[route as usize];
            (route.name(), Histogram { counts: counts.each_ref().map(SharedCounter::get), sum: nanos.get() })
        };
        let answered = Route::ALL.into_iter().flat_map(answered);
        Site {
            connections,
            requests: answered.filter(|answered| answered.count > 0).collect(),
            durations: Route::ALL.into_iter().map(duration).collect(),
            credentials: Endpoint::ALL
                .into_iter()
                .map(|it| (it.name(), self.issued[it as usize].get()))
                .collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_route_is_named_by_its_template_and_a_path_by_nothing() {
        let is_page = |path: &str| path == "/js/call.js";
        let name = |template| Route::of(template, is_page).name();
        assert_eq!(
            name(Some("/api/v1/credentials/{username}/revoke")),
            "/api/v1/credentials/{username}/revoke"
        );
        assert_eq!(name(Some("/js/call.js")), "pages");
        assert_eq!(name(Some("/new")), "other");
        assert_eq!(name(None), "none");
    }

    #[test]
    fn times_are_counted_between_the_bounds_and_a_bound_belongs_below() {
        let counters = HttpCounters::default();
        for millis in [0, 5, 6, 10_000, 10_001] {
            counters.answered(Route::Door, 200, Duration::from_millis(millis));
        }
        let Site { durations, .. } = counters.snapshot(0);
        let Histogram { counts, sum } = durations["/api/v1/door"];
        assert_eq!(counts, [2, 1, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1]);
        assert_eq!(sum, 20_012 * 1_000_000);
    }

    #[test]
    fn answers_are_counted_by_class_and_those_that_never_were_left_out() {
        let counters = HttpCounters::default();
        for status in [101, 200, 204, 304, 404, 429, 503] {
            counters.answered(Route::WebSocket, status, Duration::ZERO);
        }
        let counts = counters.snapshot(0).requests.into_iter().map(|it| (it.route, it.status, it.count));
        let expected = [("1xx", 1), ("2xx", 2), ("3xx", 1), ("4xx", 2), ("5xx", 1)];
        assert!(counts.eq(expected.map(|(class, count)| ("/ws", class, count))));
    }
}
