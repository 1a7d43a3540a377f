//! Meets every TCP connection: asks who it is and whether it speaks TLS, and hands it to a shard.
//!
//! This is one thread with a tokio runtime. What takes time or patience, and what a stranger can be made to wait for
//! or a library does well, happens here: accepting, PROXY protocol headers, TLS handshakes. So a thousand handshakes
//! cost the shards' packets nothing. From its first message on, a connection belongs to a shard.

mod proxy_header;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use ipnet::IpNet;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, oneshot};
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsAcceptor;

use crate::certificates::Certificates;
use crate::clock::Clock;
use crate::metrics::Counters;
use crate::outcome::Ending;
use crate::relay::admission::{Admission, Permit};
use crate::relay::patience::FIRST_MESSAGE;
use crate::relay::shard::{Command, Handle};
use crate::relay::streams::Arrival;
use crate::relay::tcp;

/// A listening TCP socket.
#[derive(Debug)]
pub struct Door {
    socket: std::net::TcpListener,
    /// Whether nothing but TLS comes in here.
    tls_only: bool,
}

/// What connections are met with.
pub struct Front {
    /// Who serves them from then on.
    pub shards: Vec<Handle>,
    /// How many there may be.
    pub admission: Arc<Admission>,
    /// What TLS clients are shown; without it, no TLS is spoken.
    pub certificates: Option<Arc<Certificates>>,
    /// Whose connections begin with a PROXY protocol header.
    pub proxies: Vec<IpNet>,
    /// The clock.
    pub clock: Clock,
    /// Counts the connections that come no further.
    pub counters: Arc<Counters>,
    /// The shard that got the last connection.
    pub last: AtomicUsize,
}

/// What the front is told from outside.
#[derive(Debug)]
pub enum Order {
    /// Answer, as a sign of life.
    Ping(oneshot::Sender<()>),
    /// End.
    Stop,
}

/// Connections that may wait to be accepted, if the kernel allows as many.
const BACKLOG: i32 = 1024;
/// How long nothing is accepted when the system gives no more sockets.
const PAUSE: Duration = Duration::from_millis(100);
/// How often the log says so.
const WARNING: Duration = Duration::from_secs(60);
/// The first byte of a TLS handshake record (RFC 8446 §5.1). No STUN method that anybody uses begins with it.
const HANDSHAKE: u8 = 22;

impl Door {
    /// Listens on an address, for TLS alone or for whatever comes.
    ///
    /// # Errors
    /// If the address cannot be bound.
    pub fn open(address: SocketAddr, tls_only: bool) -> io::Result<Self> {
        Ok(Self { socket: tcp::listen(address, BACKLOG, false)?, tls_only })
    }

    /// The address that the door is at.
    ///
    /// # Errors
    /// If the kernel does not tell.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.socket.local_addr()
    }
}

impl Front {
    /// Meets whoever comes, until it is told to stop.
    ///
    /// # Errors
    /// If the system gives no runtime, or no poll.
    pub fn run(self, doors: Vec<Door>, mut inbox: mpsc::UnboundedReceiver<Order>) -> io::Result<()> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let front = Arc::new(self);
        runtime.block_on(async {
            for Door { socket, tls_only } in doors {
                let listener = TcpListener::from_std(socket)?;
                tokio::spawn(Arc::clone(&front).accept(listener, tls_only));
            }
            // Without anybody who could give an order, it is time to stop as well.
            while let Some(Order::Ping(answer)) = inbox.recv().await {
                // Who asked may have gone; then nobody needs the answer.
                let _ = answer.send(());
            }
            Ok(())
        })
    }

    async fn accept(self: Arc<Self>, listener: TcpListener, tls_only: bool) {
        let mut warned = None;
        loop {
            match listener.accept().await {
                Ok((socket, from)) => {
                    let Some(permit) = self.admission.admit() else {
                        self.refuse(from, Ending::Crowded);
                        continue;
                    };
                    let front = Arc::clone(&self);
                    tokio::spawn(async move { front.welcome(socket, from, permit, tls_only).await });
                }
                Err(error) if tcp::is_of_one_connection(&error) => {}
                Err(error) => {
                    let now = self.clock.now().moment;
                    if warned.is_none_or(|warned| now.since(warned) > WARNING) {
                        warned = Some(now);
                        tracing::warn!(%error, "no connection can be accepted: raise LimitNOFILE");
                    }
                    sleep(PAUSE).await;
                }
            }
        }
    }

    /// Finds out in time what a connection is, and hands it on.
    async fn welcome(&self, socket: TcpStream, from: SocketAddr, permit: Permit, tls_only: bool) {
        let met = timeout(FIRST_MESSAGE, self.meet(socket, from, permit, tls_only));
        match met.await.unwrap_or(Err(Ending::Silent)) {
            Ok(arrival) => {
                let next = self.last.fetch_add(1, Ordering::Relaxed) % self.shards.len();
                self.shards[next].tell(Command::Adopt(Box::new(arrival)));
            }
            Err(ending) => self.refuse(from, ending),
        }
    }

    async fn meet(
        &self,
        mut socket: TcpStream,
        from: SocketAddr,
        permit: Permit,
        tls_only: bool,
    ) -> Result<Arrival, Ending> {
        let since = self.clock.now().moment;
        let (mut client, mut server) = (from, socket.local_addr().map_err(gone)?);
        if self.proxies.iter().any(|net| net.contains(&from.ip())) {
            let ends = proxy_header::read(&mut socket).await.map_err(|_| Ending::BadHeader)?;
            if let Some(ends) = ends {
                (client, server) = (ends.client, ends.server);
            }
        }
        let permit = permit.claim(client.ip()).ok_or(Ending::Crowded)?;
        let (socket, tls, since) = match &self.certificates {
            Some(certificates) if tls_only || speaks_tls(&socket).await? => {
                let acceptor = TlsAcceptor::from(certificates.current());
                match acceptor.accept(socket).into_fallible().await {
                    Ok(stream) => {
                        let (socket, tls) = stream.into_inner();
                        (socket, Some(Box::new(tls)), self.clock.now().moment)
                    }
                    Err((error, socket)) => {
                        tracing::debug!(%client, %error, "TLS handshake failed");
                        // In this order: who sees the end may come again at once.
                        drop(permit);
                        drop(socket);
                        return Err(Ending::BadHandshake);
                    }
                }
            }
            _ => (socket, None, since),
        };
        let socket = socket.into_std().map_err(gone)?;
        Ok(Arrival { socket, tls, client, server, since, permit, said: Vec::new() })
    }

    fn refuse(&self, from: SocketAddr, ending: Ending) {
        self.counters.ended(ending);
        tracing::debug!(client = %from, reason = ending.name(), "connection not served");
    }
}

/// Waits for the first byte, and leaves it where it is.
async fn speaks_tls(socket: &TcpStream) -> Result<bool, Ending> {
    let mut first = [0];
    match socket.peek(&mut first).await {
        Ok(0) | Err(_) => Err(Ending::Closed),
        Ok(_) => Ok(first[0] == HANDSHAKE),
    }
}

fn gone(_: io::Error) -> Ending {
    Ending::Closed
}
