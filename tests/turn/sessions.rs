//! What an administrator sees of allocations, and how one is ended.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use hairpin::network::address::{ClientTransport, Transport};
use hairpin::observed::session::{Channel, Peer, Session, SessionId, Sort, Summary, Traffic};
use hairpin::relay::address::{ClientPath, ListenerId, StreamId, Via};
use hairpin::relay::engine::quotas::IDLE;
use hairpin::relay::engine::sessions::{ENDS, PIECE, Wanted};
use hairpin::sections::number::Count;

use crate::support::client::Client;
use crate::support::stun::channel_data;
use crate::support::world::{LISTENER, TablePorts, World, path};

const PEER: &str = "1.1.1.1:9000";
const OTHER_PEER: &str = "1.1.1.2:9000";
const CHANNEL: u16 = 0x4001;

/// A world with room for more allocations than one piece shows.
fn wide() -> World {
    World::with(|plan| plan.ports = TablePorts::new(&["192.0.2.1"], 50_000, 51_999))
}

/// Clients of a user, each with an allocation.
fn allocate(world: &mut World, user: &str, clients: std::ops::Range<u16>) -> Vec<Client> {
    let one = |number: u16| {
        let mut client = world.client(&format!("203.0.113.1:{}", 2000 + number), user);
        client.allocate(world);
        client
    };
    clients.map(one).collect()
}

/// All sessions, and in how many pieces they came.
fn list(world: &World, wanted: &Wanted) -> (Vec<Summary>, usize) {
    let (mut sessions, mut pieces, mut from) = (Vec::new(), 0, Some(0));
    while let Some(slot) = from {
        let piece = world.engine.sessions(wanted, slot, world.now.moment);
        assert!(piece.sessions.len() <= PIECE && piece.total <= PIECE as u64);
        sessions.extend(piece.sessions.into_iter().map(|(_, session)| session));
        pieces += 1;
        from = piece.next;
    }
    (sessions, pieces)
}

fn all(world: &World) -> Vec<Summary> {
    list(world, &Wanted::default()).0
}

fn show(world: &World, id: SessionId) -> Option<Session> {
    world.engine.session(id, world.now.moment)
}

fn end(world: &mut World, id: SessionId) -> bool {
    world.engine.end_session(id, world.now.moment, &mut world.ports).is_some()
}

#[test]
fn a_session_shows_its_client_its_peers_and_its_traffic() {
    let (mut world, mut client, relayed) = World::with_allocation(|_| {});
    assert_eq!(client.permit(&mut world, &[OTHER_PEER]), None);
    world.pass(100);
    assert_eq!(client.bind(&mut world, CHANNEL, PEER), None);
    for _ in 0..3 {
        world.relayed(client.path, &channel_data(CHANNEL, &[7; 1000]));
    }
    world.peer_sends(relayed, PEER, 500).unwrap();
    world.pass(4);

    let [summary] = &all(&world)[..] else { panic!("one session") };
    assert_eq!(
        *summary,
        Summary {
            id: summary.id,
            user: "alice".to_owned(),
            transport: ClientTransport::Udp,
            client: "203.0.113.1:5000".parse().unwrap(),
            relayed: vec![relayed],
            age: 104,
            expires_in: 3600 - 104,
            up: Traffic { packets: 3, bytes: 3000, packets_per_second: 0, bytes_per_second: 333 },
            down: Traffic { packets: 1, bytes: 500, packets_per_second: 0, bytes_per_second: 56 },
        }
    );
    let shown = show(&world, summary.id).unwrap();
    let peers =
        [(PEER, 596), (OTHER_PEER, 196)].map(|(peer, expires_in)| Peer { address: ip(peer), expires_in });
    assert_eq!(
        Session { peers: Vec::new(), ..shown.clone() },
        Session {
            summary: summary.clone(),
            username: client.username,
            server: LISTENER.parse().unwrap(),
            peer_transport: Transport::Udp,
            peers: Vec::new(),
            channels: vec![Channel { number: CHANNEL, peer: PEER.parse().unwrap(), expires_in: 596 }],
            connections: Vec::new(),
        }
    );
    assert!(peers.iter().all(|peer| shown.peers.contains(peer)) && shown.peers.len() == 2, "{shown:?}");
}

#[test]
fn what_has_expired_is_not_shown() {
    let (mut world, mut client, _) = World::with_allocation(|_| {});
    client.permit(&mut world, &[OTHER_PEER]);
    client.bind(&mut world, CHANNEL, PEER);
    world.pass(601);
    let shown = show(&world, all(&world)[0].id).unwrap();
    assert_eq!((shown.peers, shown.channels), (vec![], vec![]));
}

#[test]
fn the_rate_is_that_of_the_last_seconds_and_gone_after_ten() {
    let (mut world, mut client, _) = World::with_allocation(|_| {});
    client.bind(&mut world, CHANNEL, PEER);
    let mut rates = Vec::new();
    for second in 0..60 {
        if second < 40 {
            world.relayed(client.path, &channel_data(CHANNEL, &[7; 1000]));
        }
        world.pass(1);
        rates.push(all(&world)[0].up.bytes_per_second);
    }
    assert!(rates[..40].iter().all(|rate| (900..=1200).contains(rate)), "{rates:?}");
    assert!(rates[50..].iter().all(|rate| *rate == 0), "{rates:?}");
}

#[test]
fn the_client_of_a_session_uses_udp_tcp_or_tls() {
    let mut world = World::new();
    for via in [Via::Socket(ListenerId(0)), Via::Tcp(StreamId(1)), Via::Tls(StreamId(2))] {
        let path = ClientPath { via, ..path("203.0.113.1:5000") };
        Client { path, ..world.client("203.0.113.1:5000", "alice") }.allocate(&mut world);
    }
    let transports: Vec<_> = all(&world).iter().map(|session| session.transport.name()).collect();
    assert_eq!(transports, ["udp", "tcp", "tls"]);
}

/// A shard relays nothing while it makes a piece.
#[test]
fn many_allocations_come_in_pieces_of_which_each_looks_at_few() {
    let mut world = wide();
    let _clients = allocate(&mut world, "alice", 0..1000);
    let (sessions, pieces) = list(&world, &Wanted::default());
    assert_eq!((sessions.len(), pieces), (1000, 1000_usize.div_ceil(PIECE)));

    // Only the sessions of the user who is asked for are copied.
    let _bob = allocate(&mut world, "bob", 1000..1001);
    let (sessions, _) = list(&world, &Wanted { user: Some(Arc::from("bob")), ..Wanted::default() });
    assert_eq!(sessions.iter().map(|session| &*session.user).collect::<Vec<_>>(), ["bob"]);
}

#[test]
fn an_ended_session_gives_everything_back_and_ends_only_once() {
    let (mut world, mut client, relayed) = World::with_allocation(|_| {});
    client.bind(&mut world, CHANNEL, PEER);
    let id = all(&world)[0].id;
    assert!(end(&mut world, id));
    assert!((0..10).all(|_| !end(&mut world, id)), "it is not there any more");
    assert_eq!((world.allocations(), world.quotas.total(), world.ports.open.len()), (0, 0, 0));
    assert!(!world.ports.open.values().any(|open| *open == relayed));
    assert_eq!(world.engine.routes().len(), (0, 0));
    assert_eq!(show(&world, id), None);
    assert_eq!(client.refresh(&mut world, None).code(), Some(437));
}

#[test]
fn an_id_never_names_another_session_in_the_same_place() {
    let (mut world, mut client, _) = World::with_allocation(|_| {});
    let first = all(&world)[0].id;
    assert!(end(&mut world, first));
    client.allocate(&mut world);
    let second = all(&world)[0].id;
    assert_eq!((first.shard, first.slot), (second.shard, second.slot));
    assert!(first != second && !end(&mut world, first));
    for wrong in [
        SessionId { slot: second.slot + 1, ..second },
        SessionId { slot: u32::MAX, ..second },
        SessionId { shard: 1, ..second },
    ] {
        assert!(show(&world, wrong).is_none() && !end(&mut world, wrong), "{wrong}");
    }
    assert!(show(&world, second).is_some());
}

#[test]
fn all_sessions_of_a_user_end_few_at_a_time_and_those_of_others_stay() {
    let mut world = wide();
    let _clients = [allocate(&mut world, "alice", 0..1000), allocate(&mut world, "bob", 1000..1010)];
    let (mut ended, mut from) = (0, Some(0));
    while let Some(slot) = from {
        let (some, next) = world.engine.end_user("alice", slot, world.now.moment, &mut world.ports);
        assert!(some.len() <= ENDS && some.iter().all(|ended| &*ended.user == "alice"));
        ended += some.len();
        from = next;
    }
    assert_eq!((ended, world.allocations()), (1000, 10));
    assert!(all(&world).iter().all(|session| session.user == "bob"));
}

/// To its client it is gone already, and its port is closed at the next sweep.
#[test]
fn an_evicted_session_is_not_shown_and_cannot_be_ended() {
    let mut world = World::with(|plan| plan.limits.configured.allocations_per_user = Count::of::<1>());
    allocate(&mut world, "alice", 0..1);
    let id = all(&world)[0].id;
    world.now = world.now + IDLE + Duration::from_secs(1);
    allocate(&mut world, "alice", 1..2);
    assert_eq!(world.allocations(), 2);
    assert_eq!(all(&world).len(), 1);
    assert!(show(&world, id).is_none() && !end(&mut world, id));
}

#[test]
fn a_list_is_ordered_by_age_rate_or_bytes() {
    let mut world = World::new();
    let mut clients = Vec::new();
    for (number, user) in ["old", "busy", "fast"].into_iter().enumerate() {
        let mut client = allocate(&mut world, user, number as u16..number as u16 + 1).remove(0);
        client.bind(&mut world, CHANNEL, PEER);
        clients.push(client);
        world.pass(1);
    }
    let busy =
        |world: &mut World, bytes| world.relayed(clients[1].path, &channel_data(CHANNEL, &vec![7; bytes]));
    (0..20).for_each(|_| drop(busy(&mut world, 1000)));
    world.pass(20);
    world.relayed(clients[2].path, &channel_data(CHANNEL, &[7; 1000]));
    for (sort, expected) in [
        (Sort::Age, ["old", "busy", "fast"]),
        (Sort::Rate, ["fast", "old", "busy"]),
        (Sort::Bytes, ["busy", "fast", "old"]),
    ] {
        let piece = world.engine.sessions(&Wanted { sort, ..Wanted::default() }, 0, world.now.moment);
        let mut places = piece.sessions;
        places.sort_by_key(|(place, _)| *place);
        let users: Vec<_> = places.iter().map(|(_, session)| &*session.user).collect();
        assert_eq!(users, expected, "{sort:?}");

        // Only what lies between two places is copied, and everything is counted.
        let between =
            Wanted { after: Some(places[0].0), before: Some(places[2].0), sort, ..Wanted::default() };
        let piece = world.engine.sessions(&between, 0, world.now.moment);
        assert_eq!((piece.total, piece.sessions.len()), (3, 1));
        assert_eq!(piece.sessions[0].0, places[1].0);
    }
}

fn ip(address: &str) -> IpAddr {
    address.parse::<std::net::SocketAddr>().unwrap().ip()
}
