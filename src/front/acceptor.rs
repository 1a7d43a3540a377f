//! Accepts connections at every door, and identifies each client's address and protocol.

use std::collections::HashMap;
use std::convert::Infallible;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use ipnet::IpNet;
use tokio::io::AsyncBufReadExt as _;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, mpsc, oneshot};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::server::TlsStream;

use crate::bounds::FIRST_MESSAGE;
use crate::bounds::admission::{Admission, Permit};
use crate::bounds::denied::DenyList;
use crate::bounds::notice::Notice;
use crate::bounds::reached::Limit;
use crate::certificates::{Alpn, Certificates};
use crate::clock::{Clock, Moment};
use crate::current::Current;
use crate::front::counters::{FrontCounters, Handshake, Identity};
use crate::front::door::{BACKLOG, Door, Kind};
use crate::front::proxy_header::Ends;
use crate::front::{Closed, Handshakes, Order, proxy_header};
use crate::http::connection::{self, Protocol};
use crate::journal::cause::Cause;
use crate::journal::{Journal, shown};
use crate::network::tcp;
use crate::outcome::Ending;
use crate::relay::{Arrival, Relay, TlsSession};
use crate::system::give_back_memory;

/// Accepts connections.
pub(super) struct Acceptor {
    /// Serves TURN connections.
    pub(super) relay: Relay,
    /// Limits the number of connections.
    pub(super) admission: Arc<Admission>,
    /// The certificates for TLS clients; without any there is no TLS.
    pub(super) certificates: Arc<Certificates>,
    /// Limits the rate of TLS handshakes.
    pub(super) handshakes: Arc<Handshakes>,
    /// Whether messages to a new TLS client share records.
    pub(super) coalesce: Arc<AtomicBool>,
    /// The proxies whose connections begin with a PROXY protocol header.
    pub(super) proxies: Arc<Current<Vec<IpNet>>>,
    /// The networks whose clients are refused.
    pub(super) denied: Arc<Current<DenyList>>,
    /// The clock.
    pub(super) clock: Clock,
    /// What is reported for the log.
    pub(super) journal: Arc<Journal>,
    /// Counts connections.
    pub(super) counters: Arc<FrontCounters>,
}

/// A connection whose protocol is known.
enum Identified {
    /// TURN, or nothing that rules TURN out so far.
    Turn(Box<Arrival>),
    /// HTTP.
    Http(TcpStream, connection::Client),
    /// HTTP over TLS.
    Https(Box<TlsStream<TcpStream>>, connection::Client),
}

/// How long a listener waits before it accepts again when the operating system refuses to create a socket.
const PAUSE: Duration = Duration::from_millis(100);
/// How often the front checks whether many connections have closed.
const TIDYING: Duration = Duration::from_secs(5);
/// The first byte of a TLS handshake record (RFC 8446 §5.1). No STUN method in use begins with this byte.
const HANDSHAKE: u8 = 22;

impl Acceptor {
    /// Accepts connections until an order to stop arrives. HTTP connections end when this returns.
    ///
    /// # Errors
    /// If the operating system refuses a runtime or a poll, or a task has panicked.
    pub(super) fn run(self, doors: Vec<Door>, mut inbox: mpsc::UnboundedReceiver<Order>) -> io::Result<()> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let acceptor = Arc::new(self);
        runtime.block_on(async {
            // These tasks run until they are dropped.
            let mut duties = JoinSet::new();
            duties.spawn(Arc::clone(&acceptor).tidy());
            let mut open = HashMap::new();
            for door in doors {
                acceptor.open(door, &mut duties, &mut open)?;
            }
            loop {
                tokio::select! {
                    order = inbox.recv() => match order {
                        // If the receiver is gone, the answer is not needed any more.
                        Some(Order::Ping(ping)) => drop(ping.send(())),
                        Some(Order::Open(doors)) => for door in doors {
                            if let Err(error) = acceptor.open(door, &mut duties, &mut open) {
                                tracing::error!(%error, "cannot wait for connections at a new address");
                            }
                        },
                        Some(Order::Close(addresses, closed)) => for address in addresses {
                            if let Some(door) = open.remove(&address) {
                                // If its task has ended, it is closed already.
                                let _ = door.send(closed.clone());
                            }
                        },
                        Some(Order::Stop) | None => return Ok(()),
                    },
                    Some(ended) = duties.join_next() => match ended {
                        // A door that was closed.
                        Ok(()) => {}
                        Err(_) => return Err(io::Error::other("a task has panicked")),
                    },
                }
            }
        })
    }

    /// Accepts connections at a door, until its sender is used.
    fn open(
        self: &Arc<Self>,
        Door { socket, kind }: Door,
        duties: &mut JoinSet<()>,
        open: &mut HashMap<SocketAddr, oneshot::Sender<Closed>>,
    ) -> io::Result<()> {
        let address = socket.local_addr()?;
        let (close, closing) = oneshot::channel();
        duties.spawn(Arc::clone(self).accept(TcpListener::from_std(socket)?, kind, closing));
        open.insert(address, close);
        Ok(())
    }

    /// Returns memory to the system after many connections have closed. Otherwise freed memory stays with the process,
    /// because memory that is still used lies behind it.
    async fn tidy(self: Arc<Self>) {
        loop {
            sleep(TIDYING).await;
            if self.admission.has_emptied() {
                give_back_memory();
            }
        }
    }

    /// Accepts connections at one door until it is closed.
    async fn accept(self: Arc<Self>, listener: TcpListener, kind: Kind, closing: oneshot::Receiver<Closed>) {
        let closed = tokio::select! {
            biased;
            closed = closing => closed,
            never = self.accept_all(&listener, &kind) => match never {},
        };
        if let Err(error) = self.accept_last(listener, &kind) {
            tracing::debug!(%error, "connections that waited at a closed listener are lost");
        }
        drop(closed);
    }

    /// Accepts connections.
    async fn accept_all(self: &Arc<Self>, listener: &TcpListener, kind: &Kind) -> Infallible {
        let exhausted = Notice::new();
        loop {
            match listener.accept().await {
                Ok((socket, from)) => self.admit(socket, from, kind),
                Err(error) if tcp::is_of_one_connection(&error) => {}
                Err(error) => {
                    if let Some(times) = exhausted.due(1, self.clock.now().moment) {
                        tracing::warn!(%error, times, "cannot accept connections: raise LimitNOFILE");
                    }
                    sleep(PAUSE).await;
                }
            }
        }
    }

    /// Accepts the connections that wait, and closes the listener, which would reset them. Clients that go on connecting
    /// cannot keep it open.
    fn accept_last(self: &Arc<Self>, listener: TcpListener, kind: &Kind) -> io::Result<()> {
        let listener = listener.into_std()?;
        for _ in 0..BACKLOG {
            match listener.accept() {
                Ok((socket, from)) => {
                    socket.set_nonblocking(true)?;
                    self.admit(TcpStream::from_std(socket)?, from, kind);
                }
                Err(error) if tcp::is_of_one_connection(&error) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Serves a new connection, unless its client is denied or has too many.
    fn admit(self: &Arc<Self>, socket: TcpStream, from: SocketAddr, kind: &Kind) {
        // A proxy's own address is not limited: its clients are counted when their addresses are known.
        let ip = Some(from.ip()).filter(|ip| !self.is_proxy(*ip, kind));
        if ip.is_some_and(|ip| self.denied.get().contains(ip)) {
            return self.refuse(from, Ending::Denied);
        }
        let now = self.clock.now().moment;
        let Ok(permit) = self.admission.admit(ip, now) else {
            if let Some(ip) = ip {
                self.journal.refused(ip, Cause::ConnectionLimit, None, now);
            }
            return self.refuse(from, Ending::Crowded);
        };
        let (acceptor, kind) = (Arc::clone(self), kind.clone());
        tokio::spawn(async move { acceptor.welcome(socket, from, permit, &kind).await });
    }

    /// Identifies a connection within [`FIRST_MESSAGE`], and hands it to the relay or serves it.
    async fn welcome(&self, socket: TcpStream, from: SocketAddr, permit: Permit, kind: &Kind) {
        let told = Arc::new(Notify::new());
        let tell = Arc::clone(&told);
        permit.watch(move || tell.notify_one());
        let identified = timeout(FIRST_MESSAGE, self.identify(socket, from, permit, kind));
        let identified = tokio::select! {
            identified = identified => identified.unwrap_or(Err(Ending::Silent)),
            () = told.notified() => Err(Ending::MadeWay),
        };
        let http = kind.server().clone();
        match identified {
            Ok(Identified::Turn(arrival)) => {
                self.counters.identified(if arrival.tls.is_some() {
                    Identity::Turns
                } else {
                    Identity::Turn
                });
                self.relay.adopt(arrival);
            }
            Ok(Identified::Http(socket, client)) => {
                self.counters.identified(Identity::Http);
                http.serve(socket, client).await;
            }
            Ok(Identified::Https(stream, client)) => {
                self.counters.identified(Identity::Https);
                http.serve(stream, client).await;
            }
            Err(ending) => self.refuse(from, ending),
        }
    }

    /// Finds out whose connection this is, and which protocol it carries.
    async fn identify(
        &self,
        mut socket: TcpStream,
        from: SocketAddr,
        permit: Permit,
        kind: &Kind,
    ) -> Result<Identified, Ending> {
        let since = self.clock.now().moment;
        if let Kind::Http(_) = kind {
            return plain_http(socket, from.ip(), permit);
        }
        let ends = self.ends(&mut socket, from, &permit, kind).await?;
        match self.certificates.current() {
            Some(tls) if matches!(kind, Kind::Tls(_)) || speaks_tls(&socket).await? => {
                self.identify_in_tls(socket, ends, permit, tls).await
            }
            // The last certificate was taken away a moment ago. A client that speaks TLS must not be answered without it.
            None if matches!(kind, Kind::Tls(_)) => Err(Ending::BadHandshake),
            Some(_) | None => turn(socket, None, ends, since, permit),
        }
    }

    /// The two ends of a connection. What a trusted proxy says is true of a connection that comes from it.
    async fn ends(
        &self,
        socket: &mut TcpStream,
        from: SocketAddr,
        permit: &Permit,
        kind: &Kind,
    ) -> Result<Ends, Ending> {
        let own = Ends { client: from, server: socket.local_addr().map_err(gone)? };
        if !self.is_proxy(from.ip(), kind) {
            return Ok(own);
        }
        let ends = proxy_header::read(socket).await.map_err(|_| Ending::BadHeader)?.unwrap_or(own);
        let (client, now) = (ends.client.ip(), self.clock.now().moment);
        if self.denied.get().contains(client) {
            return Err(Ending::Denied);
        }
        permit.claim(client, now).map_err(|_| {
            self.journal.refused(client, Cause::ConnectionLimit, None, now);
            Ending::Crowded
        })?;
        Ok(ends)
    }

    /// Performs the TLS handshake, and identifies the protocol inside.
    async fn identify_in_tls(
        &self,
        socket: TcpStream,
        ends: Ends,
        permit: Permit,
        tls: Arc<ServerConfig>,
    ) -> Result<Identified, Ending> {
        let (peer, now) = (ends.client.ip(), self.clock.now().moment);
        if !self.handshakes.may_begin(peer, now) {
            self.journal.limit(Limit::Handshakes, now);
            self.journal.refused(peer, Cause::HandshakeLimit, None, now);
            self.counters.handshake(Handshake::Refused);
            return Err(Ending::TooManyHandshakes);
        }
        let handshake = self.counters.begin_handshake();
        let accepted = TlsAcceptor::from(tls).accept(socket).into_fallible().await;
        let mut stream = match accepted {
            Ok(stream) => stream,
            Err((error, socket)) => {
                tracing::debug!(client = shown::socket(ends.client), %error, "TLS handshake failed");
                // In this order: a client may reconnect as soon as it sees that the socket is closed.
                drop(permit);
                drop(socket);
                return Err(Ending::BadHandshake);
            }
        };
        handshake.succeeded();
        let Some(protocol) = protocol(&mut stream).await? else {
            let (socket, tls) = stream.into_inner();
            let tls = TlsSession::new(tls, self.coalesce.load(Ordering::Relaxed));
            return turn(socket, Some(tls), ends, self.clock.now().moment, permit);
        };
        stream.get_ref().0.set_nodelay(true).map_err(gone)?;
        let client = connection::Client { peer, secure: true, protocol, permit };
        Ok(Identified::Https(Box::new(stream), client))
    }

    /// Whether an address is that of a trusted proxy.
    fn is_proxy(&self, ip: IpAddr, kind: &Kind) -> bool {
        match kind {
            Kind::Http(server) => server.is_proxy(ip),
            Kind::Any(_) | Kind::Tls(_) => self.proxies.get().iter().any(|net| net.contains(&ip)),
        }
    }

    fn refuse(&self, from: SocketAddr, ending: Ending) {
        self.counters.ended(ending);
        tracing::debug!(client = shown::socket(from), reason = ending.name(), "connection not served");
    }
}

fn plain_http(socket: TcpStream, peer: IpAddr, permit: Permit) -> Result<Identified, Ending> {
    socket.set_nodelay(true).map_err(gone)?;
    let client = connection::Client { peer, secure: false, protocol: Protocol::Http1, permit };
    Ok(Identified::Http(socket, client))
}

fn turn(
    socket: TcpStream,
    tls: Option<TlsSession>,
    ends: Ends,
    since: Moment,
    permit: Permit,
) -> Result<Identified, Ending> {
    let socket = socket.into_std().map_err(gone)?;
    let Ends { client, server } = ends;
    Ok(Identified::Turn(Box::new(Arrival { socket, tls, client, server, since, permit, said: Vec::new() })))
}

/// Waits for the first byte, without consuming it.
async fn speaks_tls(socket: &TcpStream) -> Result<bool, Ending> {
    let mut first = [0];
    match socket.peek(&mut first).await {
        Ok(0) | Err(_) => Err(Ending::Closed),
        Ok(_) => Ok(first[0] == HANDSHAKE),
    }
}

/// Which HTTP a TLS client speaks; `None` for TURN. The negotiated protocol decides (RFC 7301). Without one the first byte
/// decides, which is not consumed: a request line begins with a capital letter, and no TURN client's first message does.
async fn protocol(stream: &mut TlsStream<TcpStream>) -> Result<Option<Protocol>, Ending> {
    match stream.get_ref().1.alpn_protocol().and_then(Alpn::of) {
        Some(Alpn::Http2) => return Ok(Some(Protocol::Http2)),
        Some(Alpn::Http1) => return Ok(Some(Protocol::Http1)),
        Some(Alpn::Turn | Alpn::NatDiscovery) => return Ok(None),
        Some(Alpn::Acme) => return Err(Ending::Closed),
        None => {}
    }
    let first = stream.fill_buf().await.map_err(gone)?.first().ok_or(Ending::Closed)?;
    Ok(first.is_ascii_uppercase().then_some(Protocol::Http1))
}

fn gone(_: io::Error) -> Ending {
    Ending::Closed
}
