//! A TURN client that speaks raw bytes to a [`World`].

use std::net::SocketAddr;

use hairpin::relay::address::ClientPath;

use super::stun::{
    ADDITIONAL_ADDRESS_FAMILY, ALLOCATE, Builder, CHANNEL_BIND, CHANNEL_NUMBER, CREATE_PERMISSION, Class,
    DATA, LIFETIME, Message, NONCE, REALM as REALM_ATTRIBUTE, REFRESH, REQUESTED_TRANSPORT, SEND, USERNAME,
    XOR_RELAYED_ADDRESS, md5_key,
};
use super::world::{REALM, World};

/// A client with its credentials, its nonce and a counter for its transactions.
#[derive(Debug, Clone)]
pub struct Client {
    pub path: ClientPath,
    pub username: String,
    pub password: String,
    pub realm: String,
    pub nonce: String,
    pub transactions: u32,
}

impl Client {
    pub fn new(path: ClientPath, username: &str, password: &str) -> Self {
        Self {
            path,
            username: username.to_owned(),
            password: password.to_owned(),
            realm: REALM.to_owned(),
            nonce: String::new(),
            transactions: 0,
        }
    }

    /// A request with a transaction id of its own, not yet signed.
    pub fn request(&mut self, method: u16) -> Builder {
        let id = self.transaction();
        Builder::new(Class::Request, method, id)
    }

    /// An indication with a transaction id of its own.
    pub fn indication(&mut self, method: u16) -> Builder {
        let id = self.transaction();
        Builder::new(Class::Indication, method, id)
    }

    /// Adds the credentials and MESSAGE-INTEGRITY under the MD5 key.
    pub fn sign(&self, request: Builder) -> Vec<u8> {
        self.claim(request).sign_sha1(&self.key()).0
    }

    /// Adds USERNAME, REALM and NONCE.
    pub fn claim(&self, request: Builder) -> Builder {
        request
            .attr(USERNAME, self.username.as_bytes())
            .attr(REALM_ATTRIBUTE, self.realm.as_bytes())
            .attr(NONCE, self.nonce.as_bytes())
    }

    /// The MD5 key.
    pub fn key(&self) -> Vec<u8> {
        md5_key(&self.username, &self.realm, &self.password)
    }

    /// Fetches a nonce by a first request without credentials, as every session starts.
    pub fn challenge(&mut self, world: &mut World) {
        let request = self.request(ALLOCATE);
        let answer = world.ask(self.path, &request.0);
        assert_eq!(answer.code(), Some(401));
        self.nonce = answer.text(NONCE);
    }

    /// Signs a request, sends it, and returns the answer.
    pub fn ask(&self, world: &mut World, request: Builder) -> Message {
        world.ask(self.path, &self.sign(request))
    }

    /// Allocates with the attributes that `extend` adds.
    pub fn try_allocate(&mut self, world: &mut World, extend: impl FnOnce(Builder) -> Builder) -> Message {
        if self.nonce.is_empty() {
            self.challenge(world);
        }
        let request = extend(self.request(ALLOCATE).attr(REQUESTED_TRANSPORT, &[17, 0, 0, 0]));
        self.ask(world, request)
    }

    /// Allocates an IPv4 address and returns it.
    pub fn allocate(&mut self, world: &mut World) -> SocketAddr {
        let answer = self.try_allocate(world, |request| request);
        assert_eq!(answer.code(), None);
        answer.address(XOR_RELAYED_ADDRESS)
    }

    /// Allocates an address of each family and returns them, IPv4 first.
    pub fn allocate_dual(&mut self, world: &mut World) -> (SocketAddr, SocketAddr) {
        let answer =
            self.try_allocate(world, |request| request.attr(ADDITIONAL_ADDRESS_FAMILY, &[2, 0, 0, 0]));
        let relayed = answer.addresses(XOR_RELAYED_ADDRESS);
        (relayed[0], relayed[1])
    }

    /// Refreshes, with LIFETIME if given.
    pub fn refresh(&mut self, world: &mut World, lifetime: Option<u32>) -> Message {
        let request = self.request(REFRESH);
        let request = match lifetime {
            Some(seconds) => request.attr(LIFETIME, &seconds.to_be_bytes()),
            None => request,
        };
        self.ask(world, request)
    }

    /// Asks for permissions; returns the error code, if it is refused.
    pub fn permit(&mut self, world: &mut World, peers: &[&str]) -> Option<u16> {
        let request = peers.iter().fold(self.request(CREATE_PERMISSION), |request, peer| request.peer(peer));
        self.ask(world, request).code()
    }

    /// Binds a channel; returns the error code, if it is refused.
    pub fn bind(&mut self, world: &mut World, channel: u16, peer: &str) -> Option<u16> {
        let [high, low] = channel.to_be_bytes();
        let request = self.request(CHANNEL_BIND).attr(CHANNEL_NUMBER, &[high, low, 0, 0]).peer(peer);
        self.ask(world, request).code()
    }

    /// A Send indication.
    pub fn send(&mut self, peer: &str, data: &[u8]) -> Vec<u8> {
        self.indication(SEND).peer(peer).attr(DATA, data).0
    }

    fn transaction(&mut self) -> [u8; 12] {
        self.transactions += 1;
        let mut id = [0; 12];
        id[..4].copy_from_slice(&self.transactions.to_be_bytes());
        id[4..6].copy_from_slice(&self.path.client.port().to_be_bytes());
        id
    }
}
