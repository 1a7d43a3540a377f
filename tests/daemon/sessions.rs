//! An administrator sees who relays what, and ends it, while packets flow.

use std::collections::HashSet;
use std::net::{IpAddr, Ipv4Addr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;

use hairpin::daemon::Daemon;
use hairpin::network::address::{ClientTransport, RelayAddress};
use hairpin::observed::session::{Query, SessionId, Sessions, Sort};
use hairpin::relay::engine::sessions::PIECE;
use hairpin::secret::Secret;
use hairpin::sections::value::Auto;

use crate::support::daemon::{Client, peer, receive, start, start_with};
use crate::support::session::Turn;
use crate::support::stream::eventually;
use crate::support::stun::{REFRESH, channel_data};

const CHANNEL: u16 = 0x4000;

/// Runs what the admin service would run on its thread.
fn wait<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(future)
}

fn list(daemon: &Daemon, query: &Query) -> Sessions {
    wait(daemon.relay().sessions(query))
}

/// All pages, one after the other.
fn pages(daemon: &Daemon, limit: usize) -> Vec<Sessions> {
    let mut query = Query { limit, ..Query::default() };
    let mut pages = Vec::new();
    loop {
        let page = list(daemon, &query);
        query.cursor = page.next;
        pages.push(page);
        if query.cursor.is_none() {
            return pages;
        }
    }
}

/// A client with a channel to a peer.
fn call(daemon: &Daemon) -> (Client, UdpSocket) {
    let mut client = Client::of(daemon, "127.0.0.1");
    client.allocate();
    let peer = peer([127, 0, 0, 1].into());
    client.bind(CHANNEL, peer.local_addr().unwrap());
    (client, peer)
}

/// Sends `payload` to the peer and back.
fn exchange((client, peer): &(Client, UdpSocket), payload: &[u8]) {
    client.send(&channel_data(CHANNEL, payload));
    let (heard, relayed) = receive(peer);
    assert_eq!(heard, payload);
    peer.send_to(payload, relayed).unwrap();
    assert_eq!(client.receive(), channel_data(CHANNEL, payload));
}

/// Sets a flag when it is dropped.
struct SetAtTheEnd<'a>(&'a AtomicBool);

impl Drop for SetAtTheEnd<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// F of the issue: packets wait for a few hundred table entries at most, not for a list of ten thousand.
#[test]
fn ten_thousand_sessions_are_listed_while_packets_flow() {
    const SESSIONS: usize = 10_000;
    rlimit::increase_nofile_limit(u64::MAX).unwrap();
    let daemon = start_with("22800-22899", |config| {
        let relay = |host| IpAddr::from([127, 1, 0, host]);
        let relays = (1..=120).map(|host| RelayAddress { bind: relay(host), public: relay(host) }.into());
        config.relay.addresses = Auto(Some(relays.collect()));
    });
    let server = daemon.addresses().udp[0];
    for number in 0..SESSIONS as u32 {
        // Each from an address of its own. Its socket is closed then, and the allocation stays.
        Client::to(server, Ipv4Addr::from(0x7F02_0000 + number).into()).allocate();
    }
    let call = call(&daemon);
    let (exchanges, over) = (AtomicU64::new(0), AtomicBool::new(false));

    thread::scope(|scope| {
        // Every packet must arrive: a lost one fails the test.
        scope.spawn(|| {
            while !over.load(Ordering::Relaxed) {
                exchange(&call, &[7; 100]);
                exchanges.fetch_add(1, Ordering::Relaxed);
            }
        });
        // If a list fails, the thread must end, too.
        let _over = SetAtTheEnd(&over);
        let mut lists = 0;
        while lists < 10 || exchanges.load(Ordering::Relaxed) < 1000 {
            let pages = pages(&daemon, 1000);
            let ids: HashSet<SessionId> =
                pages.iter().flat_map(|page| &page.sessions).map(|session| session.id).collect();
            assert_eq!((ids.len(), pages.len()), (SESSIONS + 1, 11));
            for page in pages {
                assert_eq!(page.total, SESSIONS as u64 + 1);
                assert!(page.pieces >= (SESSIONS / PIECE) as u64, "packets are relayed between the pieces");
            }
            lists += 1;
        }
    });

    let busiest = list(&daemon, &Query { sort: Sort::Rate, limit: 1, ..Query::default() });
    let busiest = &busiest.sessions[0];
    let sent = exchanges.into_inner();
    assert_eq!((busiest.up.packets, busiest.up.bytes), (sent, 100 * sent));
    assert_eq!((busiest.down.packets, busiest.down.bytes), (sent, 100 * sent));
    assert!(busiest.up.bytes_per_second > 0);
    assert_eq!(wait(daemon.relay().end_user("alice")), SESSIONS + 1);
    assert_eq!(list(&daemon, &Query::default()).total, 0);
    daemon.stop();
}

#[test]
fn a_session_is_shown_with_the_addresses_that_its_client_uses() {
    let daemon = start("22950-22959");
    let mut client = Client::of(&daemon, "127.0.0.1");
    let relayed = client.allocate();
    let peer = peer([127, 0, 0, 1].into()).local_addr().unwrap();
    client.bind(CHANNEL, peer);
    let id = list(&daemon, &Query::default()).sessions[0].id;
    let session = wait(daemon.relay().session(id)).unwrap();
    assert_eq!((session.summary.user.as_str(), session.summary.transport), ("alice", ClientTransport::Udp));
    assert_eq!(session.summary.client, client.socket.local_addr().unwrap());
    assert_eq!((session.server, session.summary.relayed), (client.server, vec![relayed]));
    assert_eq!((session.channels[0].peer, session.peers[0].address), (peer, peer.ip()));
    daemon.stop();
}

#[test]
fn of_ten_who_end_a_session_at_once_one_ends_it_and_the_others_learn_that_it_is_not_there() {
    let daemon = Arc::new(start("22960-22969"));
    let mut clients: Vec<Client> = (0..3).map(|_| Client::of(&daemon, "127.0.0.1")).collect();
    for client in &mut clients {
        client.allocate();
    }
    for mut client in clients {
        let address = client.socket.local_addr().unwrap();
        let sessions = list(&daemon, &Query::default()).sessions;
        let id = sessions.iter().find(|session| session.client == address).unwrap().id;
        let ends: Vec<_> = (0..10)
            .map(|_| {
                let daemon = Arc::clone(&daemon);
                thread::spawn(move || wait(daemon.relay().end(id)))
            })
            .collect();
        let ended = ends.into_iter().map(|end| end.join().unwrap()).filter(|ended| *ended);
        assert_eq!(ended.count(), 1);
        assert!(wait(daemon.relay().session(id)).is_none());
        let refresh = client.request(REFRESH);
        assert_eq!(client.ask(refresh).code(), Some(437));
    }
    let unknown = SessionId { shard: 99, slot: 0, serial: 0 };
    assert!(!wait(daemon.relay().end(unknown)) && wait(daemon.relay().session(unknown)).is_none());
    daemon.stop();
}

/// Their sockets are closed, too.
#[test]
fn all_sessions_of_one_user_end_and_those_of_others_go_on() {
    let daemon = start_with("22970-22979", |config| {
        let bob = ("bob".to_owned(), Secret::new("another password of the tests"));
        config.credentials.users.extend([bob]);
    });
    let mut alice: Vec<_> = (0..5).map(|_| call(&daemon)).collect();
    let mut bob = Client::of(&daemon, "127.0.0.1").with("bob", "another password of the tests");
    bob.allocate();
    let of = |user: &str| list(&daemon, &Query { user: Some(user.to_owned()), ..Query::default() });
    assert_eq!((of("alice").total, of("bob").total, of("carol").total), (5, 1, 0));

    assert_eq!(wait(daemon.relay().end_user("alice")), 5);
    assert_eq!((of("alice").total, of("bob").total), (0, 1));
    assert_eq!(wait(daemon.relay().end_user("alice")), 0);
    let refresh = bob.request(REFRESH);
    assert_eq!(bob.ask(refresh).code(), None);
    // Only a revoked credential keeps a user away.
    let (client, _) = &mut alice[0];
    client.allocate();
    assert_eq!(of("alice").total, 1);
    eventually("all ports but two are free", || {
        let counted = |shard: &hairpin::metrics::Counters| shard.allocations.get();
        daemon.metrics().sum(counted) == 2
    });
    daemon.stop();
}
