//! Allocates at each target with the `turn` crate's client, as browsers do.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::{CertificateDer, ServerName};
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
    /// Nothing answers.
    Silent,
    /// The connection was refused, or ended.
    Closed(String),
    /// It does not speak TLS.
    Tls(String),
    /// The server does not accept the credential (401).
    Unauthorized,
    /// The server refused the request for another reason.
    Refused(String),
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
        let subject = target.subject();
        let (conn, chain) = match connect(target, names).await {
            Ok(connected) => connected,
            Err(fault) => {
                report.fail(&subject, fault.text(), fault.remedy(target));
                continue;
            }
        };
        if target.transport == Transport::Tls {
            tls::judge(&chain, names, &subject, report);
        }
        let Some(credential) = credential else {
            match bind(conn, target).await {
                Ok(mapped) => report.ok(&subject, format!("answers, and sees this machine as {mapped}")),
                Err(fault) => report.fail(&subject, fault.text(), fault.remedy(target)),
            }
            continue;
        };
        match allocate(conn, target, credential).await {
            Ok(session) => {
                report.ok(&subject, format!("allocated {}", session.relayed));
                session.end().await;
                reached = reached.or(Some(Reached { target, names, credential }));
            }
            Err(fault) => report.fail(&subject, fault.text(), fault.remedy(target)),
        }
    }
    reached
}

impl Reached<'_> {
    /// Where the server is reached.
    pub(super) const fn server(&self) -> SocketAddr {
        self.target.address
    }

    /// Another allocation at the same target.
    pub(super) async fn again(&self) -> Result<Session, Fault> {
        let (conn, _) = connect(self.target, self.names).await?;
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
    /// The client's own words for an error response.
    fn refused(error: &str) -> Self {
        if error.contains("error 401") { Self::Unauthorized } else { Self::Refused(error.to_owned()) }
    }

    pub(super) fn text(&self) -> String {
        match self {
            Self::Silent => "nothing answers".to_owned(),
            Self::Closed(why) => format!("cannot connect: {why}"),
            Self::Tls(why) => format!("does not speak TLS: {why}"),
            Self::Unauthorized => {
                "the server does not accept a credential that this configuration's secret signs".to_owned()
            }
            Self::Refused(why) => format!("the server refuses an allocation: {why}"),
        }
    }

    pub(super) fn remedy(&self, target: &Target) -> String {
        let protocol = if target.transport == Transport::Udp { "udp" } else { "tcp" };
        match self {
            Self::Silent | Self::Closed(_) => format!(
                "check that the daemon runs (systemctl status hairpin), and open the port in every firewall: \
                 ufw allow {}/{protocol}",
                target.address.port()
            ),
            Self::Tls(_) => {
                "look into the journal for the certificate, and whether another program has this port".to_owned()
            }
            Self::Unauthorized => {
                "reload the daemon if its secret has changed, or name the daemon's configuration with --config".to_owned()
            }
            Self::Refused(_) => "the daemon's log at the level debug says why".to_owned(),
        }
    }
}

type Connection = (Arc<dyn Conn + Send + Sync>, Vec<CertificateDer<'static>>);

async fn connect(target: &Target, names: &[String]) -> Result<Connection, Fault> {
    let server = target.address;
    if target.transport == Transport::Udp {
        let any: IpAddr = match server.ip() {
            IpAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
            IpAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
        };
        let socket = UdpSocket::bind((any, 0)).await.map_err(|error| Fault::Closed(error.to_string()))?;
        return Ok((Arc::new(socket), Vec::new()));
    }
    let stream = match timeout(PATIENCE, TcpStream::connect(server)).await {
        Ok(connected) => connected.map_err(|error| Fault::Closed(error.to_string()))?,
        Err(_) => return Err(Fault::Silent),
    };
    let local = stream.local_addr().map_err(|error| Fault::Closed(error.to_string()))?;
    if target.transport == Transport::Tcp {
        return Ok((Arc::new(Messages::new(stream, local, server)), Vec::new()));
    }
    let sni = names.first().and_then(|name| ServerName::try_from(name.clone()).ok());
    let sni = sni.unwrap_or_else(|| ServerName::from(server.ip()));
    match timeout(PATIENCE, tls::connect(stream, &sni)).await {
        Ok(Ok((stream, chain))) => Ok((Arc::new(Messages::new(stream, local, server)), chain)),
        Ok(Err(error)) => Err(Fault::Tls(error.to_string())),
        Err(_) => Err(Fault::Silent),
    }
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
        Ok(Err(error)) => return Err(Fault::refused(&error.to_string())),
        Ok(Ok(relay)) => relay,
    };
    let relay: Arc<dyn Conn + Send + Sync> = Arc::new(allocated);
    let relayed = relay.local_addr().map_err(|error| Fault::Refused(error.to_string()))?;
    Ok(Session { relay, relayed, client })
}

/// The transport address of a socket of this machine, as the server `at` sees it.
pub(super) async fn mapped(socket: UdpSocket, at: SocketAddr) -> Option<SocketAddr> {
    let target = Target { transport: Transport::Udp, address: at };
    bind(Arc::new(socket), &target).await.ok()
}

/// Between two tries of a packet.
pub(super) const RETRY: Duration = Duration::from_millis(300);
