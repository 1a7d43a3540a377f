//! What a TURN client says to a daemon, whatever carries it.

use std::net::SocketAddr;

use super::stun::{
    ALLOCATE, Builder, CHANNEL_BIND, CHANNEL_NUMBER, CREATE_PERMISSION, Class, DATA, Message, NONCE, REALM,
    SEND, USERNAME, md5_key,
};

/// What a client remembers: who it is, its nonce and its last transaction.
pub struct Session {
    pub username: String,
    pub password: String,
    nonce: String,
    transactions: u32,
}

impl Default for Session {
    fn default() -> Self {
        let [username, password] = ["alice", "a password of the tests"].map(str::to_owned);
        Self { username, password, nonce: String::new(), transactions: 0 }
    }
}

/// A client, by what carries its messages.
pub trait Turn {
    fn session(&mut self) -> &mut Session;

    fn send(&mut self, message: &[u8]);

    /// Sends a request and returns the answer.
    fn exchange(&mut self, request: &[u8]) -> Message;

    /// Fetches a nonce.
    fn challenge(&mut self) {
        let first = self.request(ALLOCATE);
        let nonce = self.exchange(&first.0).text(NONCE);
        self.session().nonce = nonce;
    }

    fn permit(&mut self, peer: SocketAddr) {
        let request = self.request(CREATE_PERMISSION).peer(&peer.to_string());
        assert_eq!(self.ask(request).code(), None);
    }

    fn bind(&mut self, channel: u16, peer: SocketAddr) {
        let [high, low] = channel.to_be_bytes();
        let request =
            self.request(CHANNEL_BIND).attr(CHANNEL_NUMBER, &[high, low, 0, 0]).peer(&peer.to_string());
        assert_eq!(self.ask(request).code(), None);
    }

    fn indicate(&mut self, peer: SocketAddr, data: &[u8]) {
        let id = self.session().transaction();
        let message = Builder::new(Class::Indication, SEND, id).peer(&peer.to_string()).attr(DATA, data);
        self.send(&message.0);
    }

    /// Signs a request, sends it and returns the answer.
    fn ask(&mut self, request: Builder) -> Message {
        let signed = self.sign(request);
        self.exchange(&signed)
    }

    /// Adds the credentials and MESSAGE-INTEGRITY.
    fn sign(&mut self, request: Builder) -> Vec<u8> {
        let Session { username, password, nonce, .. } = self.session();
        let key = md5_key(username, "hairpin.test", password);
        let claim = request.attr(USERNAME, username.as_bytes()).attr(REALM, b"hairpin.test");
        let claim = claim.attr(NONCE, nonce.as_bytes());
        claim.sign_sha1(&key).0
    }

    fn request(&mut self, method: u16) -> Builder {
        let id = self.session().transaction();
        Builder::new(Class::Request, method, id)
    }
}

impl Session {
    fn transaction(&mut self) -> [u8; 12] {
        self.transactions += 1;
        let mut id = [7; 12];
        id[..4].copy_from_slice(&self.transactions.to_be_bytes());
        id
    }
}
