//! An administrator ends a session: every connection that belongs to it ends.

use std::net::SocketAddr;

use hairpin::daemon::Daemon;
use hairpin::network::address::{ClientTransport, Transport};
use hairpin::observed::session::{Query, SessionId};
use hairpin::outcome::Ending;

use crate::support::daemon::start_secure;
use crate::support::stream::{Client, End, eventually, rest};
use crate::tcp_relays::{allocate, bridge};

fn wait<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
}

/// The session of a client.
fn session_of(daemon: &Daemon, client: SocketAddr) -> SessionId {
    let list = wait(daemon.relay().sessions(&Query::default()));
    list.sessions.iter().find(|session| session.client == client).unwrap().id
}

#[test]
fn a_session_ends_with_its_clients_connection_and_others_go_on() {
    let daemon = start_secure("31960-31969", |_| {});
    let [tcp, tls] = [daemon.addresses().tcp[0], daemon.addresses().tls[0]];
    let mut bystander = Client::tcp(tcp);
    bystander.allocate();
    for (mut client, transport) in
        [(Client::tcp(tcp), ClientTransport::Tcp), (Client::tls(tls), ClientTransport::Tls)]
    {
        client.allocate();
        let id = session_of(&daemon, client.connection.socket.local_addr().unwrap());
        let session = wait(daemon.relay().session(id)).unwrap();
        assert_eq!((session.summary.transport, session.peer_transport), (transport, Transport::Udp));
        assert!(wait(daemon.relay().end(id)));
        assert_eq!(client.end(), End::Closed);
    }
    assert_eq!(daemon.metrics().sum(|shard| shard.endings(Ending::Kicked)), 2);
    assert_eq!(bystander.refresh(600).code(), None);
    assert_eq!(wait(daemon.relay().end_user("alice")), 1);
    assert_eq!(bystander.end(), End::Closed);
    daemon.stop();
}

/// RFC 6062: the client's connections for data, and those of the peers.
#[test]
fn a_session_ends_with_its_connections_to_peers() {
    let daemon = start_secure("31970-31979", |config| config.relay.tcp = true);
    let tcp = daemon.addresses().tcp[0];
    let mut client = Client::tcp(tcp);
    allocate(&mut client);
    let bridges: Vec<_> = (0..3).map(|_| bridge(&mut client, tcp)).collect();
    let id = session_of(&daemon, client.connection.socket.local_addr().unwrap());
    let session = wait(daemon.relay().session(id)).unwrap();
    let mut peers: Vec<_> = bridges.iter().map(|(_, peer)| peer.local_addr().unwrap()).collect();
    let mut shown = session.connections;
    shown.sort_unstable();
    peers.sort_unstable();
    assert_eq!((session.peer_transport, shown), (Transport::Tcp, peers));

    assert!(wait(daemon.relay().end(id)));
    assert_eq!(client.end(), End::Closed);
    for (mut data, peer) in bridges {
        assert_eq!(data.end(), End::Closed);
        assert_eq!(rest(&peer).1, End::Closed);
    }
    eventually("no connection is left", || daemon.metrics().sum(|shard| shard.streams.get()) == 0);
    daemon.stop();
}
