//! The site: pages, the API and the WebSockets of the rooms, as one service.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::timeout;

use crate::certificates::Challenges;
use crate::clock::Clock;
use crate::http::app_state::AppState;
use crate::http::connection::Server;
use crate::http::plan::Plan;
use crate::http::router::router;
use crate::journal::Journal;
use crate::observed;
use crate::relay::Relay;
use crate::signaling::hub::Hub;

/// A running site. It has no thread: its connections are served on the front's thread.
pub struct Site {
    server: Server,
    state: Arc<AppState>,
}

impl Site {
    /// Starts the site. It revokes credentials at the relay, hands WebSockets to the hub, and answers the challenges of a
    /// certificate authority. `seed` must be unpredictable: it makes the names of users for whom a backend gives no name.
    #[must_use]
    pub fn start(
        plan: Plan,
        neighbours: (Relay, Arc<Hub>, Arc<Challenges>),
        journal: Arc<Journal>,
        clock: Clock,
        seed: [u8; 32],
    ) -> Self {
        let state = Arc::new(AppState::new(plan, neighbours, journal, clock, seed));
        let server = Server::new(router(Arc::clone(&state)), Arc::clone(&state.trust), clock);
        Self { server, state }
    }

    /// Serves by another plan from now on, on open connections too.
    pub fn apply(&self, plan: Plan) {
        self.state.apply(plan);
    }

    /// The server for HTTP connections.
    #[must_use]
    pub fn server(&self) -> Server {
        self.server.clone()
    }

    /// Whether the site responds to a valid request within `patience`.
    pub async fn is_alive(&self, patience: Duration) -> bool {
        timeout(patience, self.server.health()).await.is_ok_and(|status| !status.is_client_error())
    }

    /// The number of the site's connections, and its counters.
    #[must_use]
    pub fn snapshot(&self) -> observed::Site {
        self.state.counters.snapshot(self.server.connections())
    }

    /// The clients of other signaling servers, by their kind.
    #[must_use]
    pub fn compat(&self) -> BTreeMap<&'static str, observed::Compat> {
        let is_on = self.state.compat.get().peerjs.0.is_some();
        let peerjs = is_on.then(|| ("peerjs", self.state.peerjs.snapshot()));
        peerjs.into_iter().collect()
    }

    /// Issues no more credentials, and reports at `/readyz` that new clients must go elsewhere.
    pub fn drain(&self) {
        self.state.drain();
    }

    /// Stops taking requests, and closes the WebSockets of other servers' clients, which have a second to hear it. Responses
    /// that are not sent when the front stops are lost.
    pub fn stop(&self) {
        self.state.peerjs.stop();
        self.server.stop();
    }
}
