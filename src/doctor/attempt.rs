//! Allocates at each target with the `turn` crate's client, as browsers do.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::ServerName;
use tokio::net::{TcpStream, UdpSocket};
use tokio::time::timeout;
use turn::client::{Client, ClientConfig};
use webrtc_util::Conn;

use crate::credentials::Credential;
use crate::doctor::PATIENCE;
use crate::doctor::report::Report;
use crate::doctor::stream::Messages;
use crate::doctor::target::Target;
use crate::doctor::tls;
use crate::ice::Transport;

/// A client of the daemon that has an allocation.
pub(super) struct Session {
    pub(super) relay: Arc<dyn Conn + Send + Sync>,
    pub(super) relayed: SocketAddr,
    client: Client,
}

/// A target at which allocations work, and the credential for more of them.
pub(super) struct Reached<'a> {
    pub(super) target: &'a Target,
    names: &'a [String],
    credential: &'a Credential,
}

/// Why there is no allocation.
pub(super) enum Fault {
    /// This machine has no address, or no route, of the target's family.
    NoRoute,
    /// Nothing answers.
    Silent,
    /// Nothing listens.
    Refused,
    /// The connection failed, or was ended.
    Closed(String),
    /// The TLS handshake failed.
    Tls(String),
    /// The server does not accept the credential (401).
    Unauthorized,
    /// The user has as many allocations as allowed (486).
    Quota,
    /// The server answered with another error.
    Error(String),
}

/// How long the client waits before it sends a request again, in milliseconds.
const RTO: u16 = 100;

/// Tries every target, and reports each. Returns the first one at which allocations work.
pub(super) async fn all<'a>(
    targets: &'a [Target],
    names: &'a [String],
    credential: Option<&'a Credential>,
    report: &mut Report,
) -> Option<Reached<'a>> {
    let mut reached = None;
    for target in targets {
        if target.transport == Transport::Tls {
            for name in names {
                show_certificate(target, name, report).await;
            }
        }
        match one(target, names, credential).await {
            Ok(text) => {
                report.ok(target.subject(), text);
                let works = credential.map(|credential| Reached { target, names, credential });
                reached = reached.or(works);
            }
            Err(fault) => fault.report(&target.subject(), target, report),
        }
    }
    reached
}

/// Allocates, or without a credential asks for the mapped address. Returns what was answered.
async fn one(target: &Target, names: &[String], credential: Option<&Credential>) -> Result<String, Fault> {
    let conn = connect(target, names.first()).await?;
    let Some(credential) = credential else {
        let mapped = bind(conn, target).await?;
        return Ok(format!("answers, and sees this machine as {mapped}"));
    };
    let session = allocate(conn, target, credential).await?;
    let text = format!("allocated {}", session.relayed);
    session.end().await;
    Ok(text)
}

/// Reports the certificate that clients of this name see.
async fn show_certificate(target: &Target, name: &String, report: &mut Report) {
    // If the handshake fails, the allocation reports it.
    if let Ok(stream) = tcp(target.address).await
        && let Ok(Ok((_, chain))) =
            timeout(PATIENCE, tls::connect(stream, &server_name(Some(name), target))).await
    {
        tls::judge(&chain, name, &target.subject(), report);
    }
}

impl Reached<'_> {
    /// Where the server is reached.
    pub(super) const fn target(&self) -> &Target {
        self.target
    }

    /// Another allocation at the same target.
    pub(super) async fn again(&self) -> Result<Session, Fault> {
        let conn = connect(self.target, self.names.first()).await?;
        allocate(conn, self.target, self.credential).await
    }
}

impl Session {
    /// Ends the allocation.
    pub(super) async fn end(self) {
        // The daemon ends it by itself if this request is lost.
        let _ = timeout(PATIENCE, self.relay.close()).await;
        let _ = timeout(PATIENCE, self.client.close()).await;
    }
}

impl Fault {
    /// The error of a socket.
    fn of(error: &io::Error) -> Self {
        match error.raw_os_error() {
            Some(libc::EADDRNOTAVAIL | libc::EAFNOSUPPORT | libc::ENETUNREACH) => Self::NoRoute,
            Some(libc::ECONNREFUSED) => Self::Refused,
            _ => Self::Closed(error.to_string()),
        }
    }

    /// What the client says of an error response.
    fn of_response(error: &str) -> Self {
        if error.contains("error 401") {
            Self::Unauthorized
        } else if error.contains("error 486") {
            Self::Quota
        } else {
            Self::Error(error.to_owned())
        }
    }

    /// Adds it to a report.
    pub(super) fn report(&self, subject: &str, target: &Target, report: &mut Report) {
        let protocol = if target.transport == Transport::Udp { "udp" } else { "tcp" };
        let (text, remedy) = match self {
            Self::NoRoute => {
                let family = if target.address.is_ipv4() { "IPv4" } else { "IPv6" };
                report.skip(subject, format!("this machine has no {family}"));
                return;
            }
            Self::Quota => {
                report.skip(subject, "limits.allocations_per_user does not allow as many allocations as this needs");
                return;
            }
            Self::Silent => (
                "nothing answers".to_owned(),
                format!("open the port in every firewall: ufw allow {}/{protocol}", target.address.port()),
            ),
            Self::Refused => (
                "nothing listens there".to_owned(),
                "check that the daemon runs (systemctl status hairpin), and that its configuration has this port".to_owned(),
            ),
            Self::Closed(why) => (
                format!("the connection fails: {why}"),
                "look into the daemon's log; only a listed proxy may connect where listen.proxies are set".to_owned(),
            ),
            Self::Tls(why) => (
                format!("the TLS handshake fails: {why}"),
                "look into the daemon's log for the certificate".to_owned(),
            ),
            Self::Unauthorized => (
                "the server does not accept the credential".to_owned(),
                "the daemon has another secret: reload it if its secret has changed, or name its configuration with --config"
                    .to_owned(),
            ),
            Self::Error(why) => {
                (format!("the server refuses an allocation: {why}"), "the daemon's log says why".to_owned())
            }
        };
        report.fail(subject, text, remedy);
    }
}

async fn connect(target: &Target, name: Option<&String>) -> Result<Arc<dyn Conn + Send + Sync>, Fault> {
    let server = target.address;
    if target.transport == Transport::Udp {
        let any: IpAddr = match server.ip() {
            IpAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
            IpAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
        };
        let socket = UdpSocket::bind((any, 0)).await.map_err(|error| Fault::of(&error))?;
        // Only a connected socket is told that there is no route.
        let probe = UdpSocket::bind((any, 0)).await.map_err(|error| Fault::of(&error))?;
        probe.connect(server).await.map_err(|error| Fault::of(&error))?;
        return Ok(Arc::new(socket));
    }
    let stream = tcp(server).await?;
    let local = stream.local_addr().map_err(|error| Fault::of(&error))?;
    if target.transport == Transport::Tcp {
        return Ok(Arc::new(Messages::new(stream, local, server)));
    }
    match timeout(PATIENCE, tls::connect(stream, &server_name(name, target))).await {
        Ok(Ok((stream, _))) => Ok(Arc::new(Messages::new(stream, local, server))),
        Ok(Err(error)) => Err(Fault::Tls(error.to_string())),
        Err(_) => Err(Fault::Silent),
    }
}

async fn tcp(server: SocketAddr) -> Result<TcpStream, Fault> {
    match timeout(PATIENCE, TcpStream::connect(server)).await {
        Ok(connected) => connected.map_err(|error| Fault::of(&error)),
        Err(_) => Err(Fault::Silent),
    }
}

/// The name that a TLS client asks for.
fn server_name(name: Option<&String>, target: &Target) -> ServerName<'static> {
    let name = name.and_then(|name| ServerName::try_from(name.clone()).ok());
    name.unwrap_or_else(|| ServerName::from(target.address.ip()))
}

async fn client(
    conn: Arc<dyn Conn + Send + Sync>,
    target: &Target,
    credential: Option<&Credential>,
) -> Result<Client, Fault> {
    let server = target.address.to_string();
    let (username, password) = credential
        .map(|credential| (credential.username.clone(), credential.password.reveal().to_owned()))
        .unwrap_or_default();
    let client = Client::new(ClientConfig {
        stun_serv_addr: server.clone(),
        turn_serv_addr: server,
        username,
        password,
        realm: String::new(),
        software: String::new(),
        rto_in_ms: RTO,
        conn,
        vnet: None,
    });
    let client = client.await.map_err(|error| Fault::Closed(error.to_string()))?;
    client.listen().await.map_err(|error| Fault::Closed(error.to_string()))?;
    Ok(client)
}

async fn bind(conn: Arc<dyn Conn + Send + Sync>, target: &Target) -> Result<SocketAddr, Fault> {
    let client = client(conn, target, None).await?;
    match timeout(PATIENCE, client.send_binding_request()).await {
        Ok(Ok(mapped)) => Ok(mapped),
        Ok(Err(_)) | Err(_) => Err(Fault::Silent),
    }
}

async fn allocate(
    conn: Arc<dyn Conn + Send + Sync>,
    target: &Target,
    credential: &Credential,
) -> Result<Session, Fault> {
    let client = client(conn, target, Some(credential)).await?;
    let allocated = match timeout(PATIENCE, client.allocate()).await {
        Err(_) => return Err(Fault::Silent),
        Ok(Err(error)) => return Err(Fault::of_response(&error.to_string())),
        Ok(Ok(relay)) => relay,
    };
    let relay: Arc<dyn Conn + Send + Sync> = Arc::new(allocated);
    let relayed = relay.local_addr().map_err(|error| Fault::of_response(&error.to_string()))?;
    Ok(Session { relay, relayed, client })
}

/// The transport address of a socket of this machine, as the server `at` sees it.
pub(super) async fn mapped(socket: UdpSocket, at: SocketAddr) -> Option<SocketAddr> {
    let target = Target { transport: Transport::Udp, address: at };
    bind(Arc::new(socket), &target).await.ok()
}

/// Between two tries of a packet.
pub(super) const RETRY: Duration = Duration::from_millis(300);
