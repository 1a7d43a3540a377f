//! A new certificate is shown without a restart, a bad one is not, and connections that are there notice neither.

use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::time::Duration;

use rustls::version::TLS13;

use crate::support::certificate::Folder;
use crate::support::daemon::{config_text, peer, receive};
use crate::support::process::Process;
use crate::support::session::Turn;
use crate::support::stream::{Client, Connection, connect, padded_channel_data, tls_config, within};

const CHANNEL: u16 = 0x4000;
const SECOND: Duration = Duration::from_secs(1);

/// A daemon in a process of its own, and a client that is there from the beginning.
struct Site {
    folder: Folder,
    daemon: Process,
    client: Client,
    peer: UdpSocket,
    relayed: SocketAddr,
}

impl Site {
    fn new(name: &str, ports: &str) -> Self {
        let folder = Folder::new(name);
        folder.pair("turn", "turn.example");
        let config = folder.configure_text(&config_text(ports, &["127.0.0.1:0"]), "turn");
        let daemon = Process::start(&format!("{name}.toml"), &config);
        let mut client = Client::tls(daemon.tls[0]);
        let relayed = client.allocate();
        let peer = peer([127, 0, 0, 1].into());
        client.bind(CHANNEL, peer.local_addr().unwrap());
        Self { folder, daemon, client, peer, relayed }
    }

    /// The certificate that a new client is shown.
    fn shown(&self) -> Vec<u8> {
        let config = Arc::new(tls_config(&TLS13, &[]));
        let connection = Connection::secure(connect(self.daemon.tls[0]), &config, "turn.example").unwrap();
        connection.tls.unwrap().peer_certificates().unwrap()[0].to_vec()
    }

    /// Has the client relay both ways.
    fn relays(&mut self) {
        self.client.send(&padded_channel_data(CHANNEL, b"up"));
        assert_eq!(receive(&self.peer).0, b"up");
        self.peer.send_to(b"down", self.relayed).unwrap();
        assert_eq!(self.client.receive(), padded_channel_data(CHANNEL, b"down"));
    }

    /// The errors in the log up to the next line that contains `text`.
    fn errors_until(&self, text: &str) -> Vec<String> {
        let mut errors = Vec::new();
        loop {
            let line = self.daemon.line("");
            if line.contains(text) {
                return errors;
            }
            errors.extend(Some(line).filter(|line| line.contains("ERROR")));
        }
    }
}

#[test]
fn a_new_certificate_is_shown_within_a_second() {
    let mut site = Site::new("watched", "29060-29069");
    for _ in 0..2 {
        let new = site.folder.pair("turn", "turn.example");
        within(SECOND, "it is shown", || site.shown() == new);
        site.relays();
    }
}

#[test]
fn after_sighup_a_new_certificate_is_shown_within_a_second() {
    let mut site = Site::new("hung-up", "29070-29079");
    site.daemon.hang_up();
    site.daemon.line("the configuration was read again: nothing has changed");
    let new = site.folder.pair("turn", "turn.example");
    site.daemon.hang_up();
    within(SECOND, "it is shown", || site.shown() == new);
    site.relays();
}

#[test]
fn a_pair_that_does_not_match_is_refused_and_the_old_one_stays() {
    let mut site = Site::new("mismatched", "29080-29089");
    let old = site.shown();
    for hang_up in [false, true] {
        site.folder.foreign_key("turn");
        if hang_up {
            site.daemon.hang_up();
            assert!(site.daemon.line("not reloaded").contains("the key does not match"));
        }
        let refused = site.daemon.line("ERROR");
        assert!(refused.contains("the key does not match") && refused.contains("the old certificate stays"));
        assert_eq!(site.shown(), old);
        site.relays();
    }

    let new = site.folder.pair("turn", "turn.example");

    assert_eq!(site.errors_until("new connections get a new certificate"), <[String; 0]>::default());
    assert_eq!(site.shown(), new);
    site.relays();
}
