//! All sessions, by their ids.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use base64::prelude::{BASE64_URL_SAFE_NO_PAD, Engine as _};
use rand::rngs::StdRng;
use rand::{RngCore as _, SeedableRng as _};

use crate::clock::Clock;
use crate::compat::socketio::session::{Session, Transport};
use crate::secret::Secret;
use crate::signaling::hub::Hub;
use crate::signaling::protocol::codes::Close;
use crate::signaling::seats::NoSeat;
use crate::signaling::switchboard::Visit;

/// All sessions. There are as many as the hub has seats for them.
pub struct Sessions {
    hub: Arc<Hub>,
    clock: Clock,
    table: Mutex<Table>,
}

struct Table {
    sessions: HashMap<String, Arc<Session>>,
    rng: StdRng,
}

/// Bytes of an id: whoever knows it can speak for the client.
const ID: usize = 18;

impl Sessions {
    /// No sessions yet. `seed` must be unpredictable: the ids come from it.
    #[must_use]
    pub fn new(hub: Arc<Hub>, clock: Clock, seed: [u8; 32]) -> Arc<Self> {
        let table = Table { sessions: HashMap::new(), rng: StdRng::from_seed(seed) };
        Arc::new(Self { hub, clock, table: Mutex::new(table) })
    }

    /// Begins a session, if the hub has a seat. `token` is a room token in the URL.
    ///
    /// # Errors
    /// Why there is no seat.
    pub fn open(
        self: &Arc<Self>,
        visit: Visit,
        token: Option<Secret>,
        transport: Transport,
    ) -> Result<Arc<Session>, NoSeat> {
        let seat = self.hub.connect(visit)?;
        let mut table = self.table();
        let mut id = [0; ID];
        table.rng.fill_bytes(&mut id);
        let sid = BASE64_URL_SAFE_NO_PAD.encode(id);
        let session = Session::new(sid.clone(), seat, token, transport, self.clock);
        table.sessions.insert(sid, Arc::clone(&session));
        drop(table);
        let (all, running) = (Arc::clone(self), Arc::clone(&session));
        tokio::spawn(async move {
            running.run().await;
            running.linger().await;
            all.table().sessions.remove(running.sid());
        });
        Ok(session)
    }

    /// The session with this id, if it is not over.
    #[must_use]
    pub fn get(&self, sid: &str) -> Option<Arc<Session>> {
        self.table().sessions.get(sid).cloned()
    }

    /// Ends all sessions, because such clients are served no longer.
    pub fn end_all(&self) {
        let all: Vec<_> = self.table().sessions.drain().collect();
        all.iter().for_each(|(_, session)| session.end(Some(Close::Drain)));
    }

    /// The table is right between any two statements, so a panic elsewhere spoils nothing.
    fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
