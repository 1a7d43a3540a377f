//! Draining: from the moment at which no new clients are admitted until the daemon can stop without a loss.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::spawn_blocking;

use crate::daemon::takeover::{self, Offer};
use crate::daemon::{Addresses, Daemon, Services};
use crate::observed::Lifecycle;
use crate::relay::Kept;
use crate::sections::listen::Listen;

/// How often it is looked whether clients have left.
const LOOK: Duration = Duration::from_millis(100);

impl Daemon {
    /// Refuses new clients from now on, and tells the members of rooms to go. What is relayed goes on.
    pub fn drain(&self) {
        self.services.start_draining();
    }

    /// How long a drain may take.
    #[must_use]
    pub fn drain_timeout(&self) -> Duration {
        self.services.effective.get().config.relay.drain_timeout.get()
    }

    /// Waits until a drain has begun. Only one may wait.
    pub async fn draining(&self) {
        self.services.draining.notified().await;
    }

    /// Waits until no allocation is left.
    pub async fn emptied(&self) {
        // When all shards have answered, none makes a new allocation any more.
        self.services.relay.clients().await;
        let mut look = tokio::time::interval(LOOK);
        while self.services.relay.snapshot().allocations.iter().any(|count| *count > 0) {
            look.tick().await;
        }
    }

    /// Lets the next daemon on this machine take over the listen addresses, if the configuration allows it. Call it when
    /// this one drains. It never returns, because what is relayed here goes on.
    pub async fn hand_over(&self) -> Infallible {
        let listen = self.services.effective.get().config.listen.clone();
        if let Some(address) = own_meeting_point(&listen, &self.addresses()) {
            self.dwindled().await;
            let Kept { clients, lost } = self.services.relay.keep_clients().await;
            if lost > 0 {
                tracing::warn!(
                    clients = lost,
                    "no sockets for some clients, which are lost when another daemon takes over: raise LimitNOFILE"
                );
            }
            if let Err(error) = self.offer(address, clients).await {
                tracing::error!(%error, "no other daemon can take over the listen addresses");
            }
        }
        std::future::pending().await
    }

    /// Waits until another daemon serves at the listen addresses, and closes the TCP listeners.
    async fn offer(&self, address: SocketAddr, clients: usize) -> io::Result<()> {
        let offer = Offer::at(address)?;
        tracing::info!(clients, "another daemon may take over the listen addresses");
        let successor = offer.successor().await?;
        let addresses = self.addresses();
        let Addresses { tcp, tls, http, .. } = &*addresses;
        let (services, closed) = (Arc::clone(&self.services), [tcp.as_slice(), tls, http].concat());
        // If the runtime ends, nobody waits any more.
        let _ = spawn_blocking(move || services.front.close(closed)).await;
        tracing::info!("another daemon has taken over the listen addresses");
        drop(successor);
        Ok(())
    }

    /// Waits until few enough clients are left for a takeover.
    async fn dwindled(&self) {
        let mut look = tokio::time::interval(LOOK);
        let mut told = false;
        loop {
            look.tick().await;
            let (clients, most) = (self.services.relay.clients().await, takeover::CLIENTS_MAX);
            if clients <= most {
                return;
            }
            if !told {
                tracing::info!(
                    clients,
                    most,
                    "too many clients over UDP for a takeover until some have left"
                );
                told = true;
            }
        }
    }
}

impl Services {
    /// As [`Daemon::drain`].
    pub(super) fn start_draining(&self) {
        {
            let mut lifecycle = self.lifecycle();
            if *lifecycle != Lifecycle::Serving {
                return;
            }
            *lifecycle = Lifecycle::Draining;
        }
        self.relay.drain();
        self.site.drain();
        self.hub.drain();
        self.acme.drain();
        self.draining.notify_one();
    }
}

/// Where a daemon that drains on these addresses can be found. Port 0 is another port each time, so there is none.
pub(super) fn meeting_point(listen: &Listen) -> Option<SocketAddr> {
    let Listen { udp, tcp, tls, .. } = listen;
    first(listen.takeover, [udp, tcp, tls]).filter(|address| address.port() != 0)
}

/// Where the next daemon finds the one that is bound to `addresses`, if it may take over.
fn own_meeting_point(listen: &Listen, addresses: &Addresses) -> Option<SocketAddr> {
    let Addresses { udp, tcp, tls, .. } = addresses;
    first(listen.takeover, [udp, tcp, tls])
}

fn first(takeover: bool, addresses: [&Vec<SocketAddr>; 3]) -> Option<SocketAddr> {
    addresses.into_iter().flatten().next().copied().filter(|_| takeover)
}
