//! The client's side of TURN: allocate, bind a channel, refresh, release (RFC 8656), one request at a time.

use std::io::ErrorKind;
use std::net::{SocketAddrV4, UdpSocket};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use md5::{Digest, Md5};

use crate::Outcome;
use crate::link::Link;
use crate::stun::{Method, Request, Response, TransactionId, hmac_sha1, xor_address};

const USERNAME: u16 = 0x0006;
const CHANNEL_NUMBER: u16 = 0x000c;
const LIFETIME: u16 = 0x000d;
const XOR_PEER_ADDRESS: u16 = 0x0012;
const REALM: u16 = 0x0014;
const NONCE: u16 = 0x0015;
const XOR_RELAYED_ADDRESS: u16 = 0x0016;
const REQUESTED_TRANSPORT: u16 = 0x0019;
const UDP: [u8; 4] = [17, 0, 0, 0];

const UNAUTHORIZED: u16 = 401;
const STALE_NONCE: u16 = 438;

const FIRST_WAIT: Duration = Duration::from_millis(250);
const TRANSMISSIONS: u32 = 6;
/// One challenge, one stale nonce, and the answer.
const ATTEMPTS: u32 = 3;
const CREDENTIAL_LIFETIME: Duration = Duration::from_secs(3600);

/// A username and password as a web application would issue them from the shared secret.
pub struct Credential {
    username: String,
    password: String,
}

impl Credential {
    pub fn issue(secret: &str, now: SystemTime) -> Outcome<Self> {
        let expiry = (now + CREDENTIAL_LIFETIME).duration_since(UNIX_EPOCH)?.as_secs();
        let username = format!("{expiry}:bench");
        let password = STANDARD.encode(hmac_sha1(secret.as_bytes(), username.as_bytes()));
        Ok(Self { username, password })
    }

    fn key(&self, realm: &[u8]) -> [u8; 16] {
        let mut digest = Md5::new();
        digest.update(self.username.as_bytes());
        digest.update(b":");
        digest.update(realm);
        digest.update(b":");
        digest.update(self.password.as_bytes());
        digest.finalize().into()
    }
}

/// The server has refused a request with this code.
#[derive(Debug)]
pub struct Refused(pub u16);

impl std::fmt::Display for Refused {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "the server answered with error {}", self.0)
    }
}

impl std::error::Error for Refused {}

/// One client of the server: its way there, and what the server challenged it with.
pub struct Session {
    pub link: Link,
    challenge: Option<Challenge>,
    requests: u64,
}

struct Challenge {
    realm: Vec<u8>,
    nonce: Vec<u8>,
    key: [u8; 16],
}

impl Session {
    pub fn new(link: Link) -> Self {
        Self { link, challenge: None, requests: 0 }
    }

    pub fn binding(&mut self) -> Outcome<()> {
        let request = Request::new(Method::Binding, self.next_transaction()?).plain();
        self.transact(&request).map(drop)
    }

    pub fn allocate(&mut self, credential: &Credential) -> Outcome<SocketAddrV4> {
        let response = self.request(Method::Allocate, &[(REQUESTED_TRANSPORT, &UDP)], credential)?;
        let relayed = response.xored_address(XOR_RELAYED_ADDRESS);
        relayed.ok_or_else(|| "the allocation has no IPv4 relayed address".into())
    }

    pub fn bind_channel(&mut self, channel: u16, peer: SocketAddrV4, credential: &Credential) -> Outcome<()> {
        let [high, low] = channel.to_be_bytes();
        let attributes: [(u16, &[u8]); 2] =
            [(CHANNEL_NUMBER, &[high, low, 0, 0]), (XOR_PEER_ADDRESS, &xor_address(peer))];
        self.request(Method::ChannelBind, &attributes, credential).map(drop)
    }

    pub fn permit(&mut self, peer: SocketAddrV4, credential: &Credential) -> Outcome<()> {
        let attributes: [(u16, &[u8]); 1] = [(XOR_PEER_ADDRESS, &xor_address(peer))];
        self.request(Method::CreatePermission, &attributes, credential).map(drop)
    }

    pub fn refresh(&mut self, credential: &Credential) -> Outcome<()> {
        self.request(Method::Refresh, &[], credential).map(drop)
    }

    pub fn release(&mut self, credential: &Credential) -> Outcome<()> {
        self.request(Method::Refresh, &[(LIFETIME, &[0; 4])], credential).map(drop)
    }

    fn request(
        &mut self,
        method: Method,
        attributes: &[(u16, &[u8])],
        credential: &Credential,
    ) -> Outcome<Response> {
        for _ in 0..ATTEMPTS {
            let bytes = self.compose(method, attributes, credential)?;
            let response = self.transact(&bytes)?;
            if self.settles(&response, credential)? {
                return Ok(response);
            }
        }
        Err("the server keeps challenging".into())
    }

    /// An Allocate request, signed if the server has sent a challenge, for a caller that waits for the answer itself.
    pub fn compose_allocate(&mut self, credential: &Credential) -> Outcome<Vec<u8>> {
        self.compose(Method::Allocate, &[(REQUESTED_TRANSPORT, &UDP)], credential)
    }

    fn compose(
        &mut self,
        method: Method,
        attributes: &[(u16, &[u8])],
        credential: &Credential,
    ) -> Outcome<Vec<u8>> {
        let mut request = Request::new(method, self.next_transaction()?);
        for (kind, value) in attributes {
            request = request.attribute(*kind, value);
        }
        Ok(match &self.challenge {
            None => request.plain(),
            Some(challenge) => request
                .attribute(USERNAME, credential.username.as_bytes())
                .attribute(REALM, &challenge.realm)
                .attribute(NONCE, &challenge.nonce)
                .signed(&challenge.key),
        })
    }

    /// Whether the request has succeeded; if not, it is to be made again with the challenge of this response.
    pub fn settles(&mut self, response: &Response, credential: &Credential) -> Outcome<bool> {
        if response.is_success() {
            return Ok(true);
        }
        match response.error_code() {
            Some(UNAUTHORIZED) if self.challenge.is_none() => {}
            Some(STALE_NONCE) => {}
            Some(code) => return Err(Refused(code).into()),
            None => return Err(format!("the server answered {response}").into()),
        }
        self.adopt_challenge(response, credential)?;
        Ok(false)
    }

    fn transact(&mut self, request: &[u8]) -> Outcome<Response> {
        match &mut self.link {
            Link::Datagrams(socket) => transact(socket, request),
            Link::Stream(stream) => stream.transact(request),
        }
    }

    fn adopt_challenge(&mut self, response: &Response, credential: &Credential) -> Outcome<()> {
        let realm = response.attribute(REALM).ok_or("the challenge has no realm")?.to_vec();
        let nonce = response.attribute(NONCE).ok_or("the challenge has no nonce")?.to_vec();
        let key = credential.key(&realm);
        self.challenge = Some(Challenge { realm, nonce, key });
        Ok(())
    }

    /// Unique for this socket and run, which is all that a measurement on the loopback needs.
    fn next_transaction(&mut self) -> Outcome<TransactionId> {
        self.requests += 1;
        let mut id = TransactionId::default();
        id[..4].copy_from_slice(&std::process::id().to_be_bytes());
        id[4..6].copy_from_slice(&self.link.local_port()?.to_be_bytes());
        id[6..].copy_from_slice(&self.requests.to_be_bytes()[2..]);
        Ok(id)
    }
}

/// Sends a request until it is answered: six times, waiting twice as long each time.
fn transact(socket: &UdpSocket, request: &[u8]) -> Outcome<Response> {
    let mut wait = FIRST_WAIT;
    for _ in 0..TRANSMISSIONS {
        socket.send(request)?;
        if let Some(response) = response_within(socket, request, wait)? {
            return Ok(response);
        }
        wait *= 2;
    }
    Err("the server does not answer".into())
}

/// The response, or nothing when the time is over; late data of a past sample is passed over.
fn response_within(socket: &UdpSocket, request: &[u8], wait: Duration) -> Outcome<Option<Response>> {
    let deadline = Instant::now() + wait;
    let mut buffer = [0; 2048];
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Ok(None);
        }
        socket.set_read_timeout(Some(left))?;
        match socket.recv(&mut buffer) {
            Ok(length) => {
                if let Some(response) = Response::to(request, &buffer[..length]) {
                    return Ok(Some(response));
                }
            }
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => {}
            Err(error) => return Err(error.into()),
        }
    }
}
