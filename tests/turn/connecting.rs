//! TCP between an allocation and its peers (RFC 6062): Connect, ConnectionAttempt, ConnectionBind.

use hairpin::bounds::rate::Rate;
use hairpin::metrics::Direction;
use hairpin::outcome::{Ignored, Method, Refusal};
use hairpin::relay::address::{ClientPath, ConnectionId, PeerAddr, StreamId, Via};
use hairpin::relay::engine::Action;
use hairpin::sections::number::Count;

use crate::support::client::Client;
use crate::support::stun::{
    ADDITIONAL_ADDRESS_FAMILY, ALLOCATE, CHANNEL_BIND, CHANNEL_NUMBER, CONNECT, CONNECTION_ATTEMPT,
    CONNECTION_BIND, CONNECTION_ID, Class, DATA, DONT_FRAGMENT, EVEN_PORT, Message, REQUESTED_TRANSPORT,
    RESERVATION_TOKEN, SEND, XOR_PEER_ADDRESS, XOR_RELAYED_ADDRESS,
};
use crate::support::world::{Plan, World, path};

const TCP: [u8; 4] = [6, 0, 0, 0];
const PEER: &str = "1.1.1.1:9000";
const OTHER: &str = "1.1.1.2:9000";

fn world(change: impl FnOnce(&mut Plan)) -> World {
    World::with(|plan| {
        plan.tcp = true;
        change(plan);
    })
}

fn connection(id: u32) -> ClientPath {
    ClientPath { via: Via::Tcp(StreamId(id)), ..path("203.0.113.1:5000") }
}

/// A client on a connection, with an allocation for TCP.
pub(crate) fn allocated(world: &mut World, id: u32) -> (Client, std::net::SocketAddr) {
    let mut client = Client { path: connection(id), ..world.client("203.0.113.1:5000", "alice") };
    client.challenge(world);
    let request = client.request(ALLOCATE).attr(REQUESTED_TRANSPORT, &TCP);
    let answer = client.ask(world, request);
    assert_eq!(answer.code(), None);
    (client, answer.address(XOR_RELAYED_ADDRESS))
}

/// What the engine does about a Connect: the connection's name, or the error.
pub(crate) fn connect(
    world: &mut World,
    client: &mut Client,
    peer: &str,
) -> Result<ConnectionId, Option<u16>> {
    let request = client.request(CONNECT).peer(peer);
    match world.deliver(client.path, &client.sign(request)) {
        Action::Connect(connection, _, to) => {
            assert_eq!(to.0, peer.parse().unwrap());
            Ok(connection)
        }
        Action::Reply(answer) => Err(Message::read(&answer).code()),
        other => panic!("{other:?}"),
    }
}

/// The same client's ConnectionBind, on a connection of its own.
fn bind(world: &mut World, client: &Client, on: u32, id: ConnectionId) -> Result<ConnectionId, Option<u16>> {
    let mut data = Client { path: connection(on), ..client.clone() };
    let request = data.request(CONNECTION_BIND).attr(CONNECTION_ID, &id.0.to_be_bytes());
    match world.deliver(data.path, &data.sign(request)) {
        Action::Bind(bound, answer) => {
            assert_eq!(Message::read(&answer).code(), None);
            Ok(bound)
        }
        Action::Reply(answer) => Err(Message::read(&answer).code()),
        other => panic!("{other:?}"),
    }
}

#[test]
fn without_the_option_tcp_is_a_transport_that_is_not_served() {
    let mut world = World::new();
    let mut client = Client { path: connection(1), ..world.client("203.0.113.1:5000", "alice") };
    client.challenge(&mut world);
    let request = client.request(ALLOCATE).attr(REQUESTED_TRANSPORT, &TCP);
    assert_eq!(client.ask(&mut world, request).code(), Some(442));
    for method in [CONNECT, CONNECTION_BIND] {
        let request = client.request(method).peer(PEER);
        assert_eq!(client.ask(&mut world, request).code(), Some(400));
    }
}

/// RFC 6062 §5.1.
#[test]
fn a_tcp_allocation_is_asked_for_over_a_connection_and_without_what_is_for_udp() {
    let mut world = world(|_| {});
    let mut datagrams = world.client("203.0.113.1:5000", "alice");
    datagrams.challenge(&mut world);
    let request = datagrams.request(ALLOCATE).attr(REQUESTED_TRANSPORT, &TCP);
    assert_eq!(datagrams.ask(&mut world, request).code(), Some(400));

    let mut client = Client { path: connection(1), ..world.client("203.0.113.1:5000", "alice") };
    client.challenge(&mut world);
    for (kind, value) in [
        (DONT_FRAGMENT, &[][..]),
        (EVEN_PORT, &[0]),
        (RESERVATION_TOKEN, b"12345678"),
        (ADDITIONAL_ADDRESS_FAMILY, &[2, 0, 0, 0]),
    ] {
        let request = client.request(ALLOCATE).attr(REQUESTED_TRANSPORT, &TCP).attr(kind, value);
        assert_eq!(client.ask(&mut world, request).code(), Some(400), "{kind:#x}");
    }
    let other = client.request(ALLOCATE).attr(REQUESTED_TRANSPORT, &[33, 0, 0, 0]);
    assert_eq!(client.ask(&mut world, other).code(), Some(442));
    assert_eq!(world.allocations(), 0);
}

#[test]
fn a_connect_is_answered_when_the_peer_has_and_the_connection_bound_once() {
    let mut world = world(|_| {});
    let (mut client, _) = allocated(&mut world, 1);
    let id = connect(&mut world, &mut client, PEER).unwrap();
    assert_eq!(bind(&mut world, &client, 2, id), Err(Some(400)), "there is nothing to bind yet");

    let (to, answer) = world.engine.on_connected(id, true).unwrap();
    let answer = Message::read(&answer);
    assert_eq!((to, answer.code()), (client.path, None));
    assert_eq!(answer.get(CONNECTION_ID), Some(&id.0.to_be_bytes()[..]));
    assert_eq!(world.engine.on_connected(id, true), None);

    assert_eq!(bind(&mut world, &client, 2, id), Ok(id));
    assert_eq!(bind(&mut world, &client, 3, id), Err(Some(400)));
    assert_eq!(world.counters.successes(Method::Connect), 1);
}

#[test]
fn a_peer_that_cannot_be_reached_is_a_447_and_may_be_tried_again() {
    let mut world = world(|_| {});
    let (mut client, _) = allocated(&mut world, 1);
    let id = connect(&mut world, &mut client, PEER).unwrap();
    let (_, answer) = world.engine.on_connected(id, false).unwrap();
    assert_eq!(Message::read(&answer).code(), Some(447));
    assert_eq!(world.counters.refusals(Method::Connect, Refusal::ConnectionFailed), 1);
    assert!(connect(&mut world, &mut client, PEER).is_ok());
}

/// RFC 6062 §5.2.
#[test]
fn a_second_connection_to_the_same_peer_is_a_446_as_long_as_the_first_lasts() {
    let mut world = world(|_| {});
    let (mut client, _) = allocated(&mut world, 1);
    let id = connect(&mut world, &mut client, PEER).unwrap();
    assert_eq!(connect(&mut world, &mut client, PEER), Err(Some(446)), "while it is being made");
    world.engine.on_connected(id, true);
    assert_eq!(connect(&mut world, &mut client, PEER), Err(Some(446)), "while it waits");
    bind(&mut world, &client, 2, id).unwrap();
    assert_eq!(connect(&mut world, &mut client, PEER), Err(Some(446)), "while it carries");
    assert!(connect(&mut world, &mut client, OTHER).is_ok());
    world.engine.on_hung_up(id);
    assert!(connect(&mut world, &mut client, PEER).is_ok());
}

#[test]
fn connect_is_under_the_same_policy_as_everything_else() {
    let mut world = world(|_| {});
    let (mut client, relayed) = allocated(&mut world, 1);
    for denied in ["10.0.0.1:80", "127.0.0.1:80", "169.254.169.254:80", "192.0.2.1:3478", "192.0.2.1:50999"] {
        assert_eq!(connect(&mut world, &mut client, denied), Err(Some(403)), "{denied}");
    }
    assert_eq!(connect(&mut world, &mut client, "[2600::1]:80"), Err(Some(443)));
    let request = client.request(CONNECT);
    assert_eq!(client.ask(&mut world, request).code(), Some(400));
    // A relayed address of our own is a peer like any other, if it takes connections.
    assert!(connect(&mut world, &mut client, &relayed.to_string()).is_ok());
    let udp = world.client("203.0.113.2:5000", "bob").allocate(&mut world);
    assert_eq!(connect(&mut world, &mut client, &udp.to_string()), Err(Some(403)));
}

#[test]
fn connections_are_bounded_as_channels_are_and_new_peers_in_their_rate() {
    let mut world = world(|plan| plan.limits.configured.channels = Count::of::<2>());
    let (mut client, _) = allocated(&mut world, 1);
    let first = connect(&mut world, &mut client, PEER).unwrap();
    connect(&mut world, &mut client, OTHER).unwrap();
    assert_eq!(connect(&mut world, &mut client, "1.1.1.3:9000"), Err(Some(508)));
    world.engine.on_hung_up(first);
    assert!(connect(&mut world, &mut client, "1.1.1.3:9000").is_ok());

    let mut world = self::world(|plan| plan.limits.new_peers = Rate::per_second(2));
    let (mut client, _) = allocated(&mut world, 1);
    let asked = (1..=5)
        .map(|port| connect(&mut world, &mut client, &format!("1.1.1.1:{}", 9000 + port)).err().flatten());
    assert_eq!(asked.collect::<Vec<_>>(), [None, None, Some(508), Some(508), Some(508)]);
}

/// RFC 6062 §5.3.
#[test]
fn a_permitted_peer_may_connect_by_itself_and_the_client_hears_of_it() {
    let mut world = world(|_| {});
    let (mut client, relayed) = allocated(&mut world, 1);
    let (relay, peer) = (world.ports.id_of(relayed), PeerAddr(PEER.parse().unwrap()));
    let now = world.now.moment;
    assert_eq!(world.engine.on_attempt(relay, peer, now).unwrap_err(), Ignored::NoPermission);

    assert_eq!(client.permit(&mut world, &[PEER]), None);
    let (id, to, indication) = world.engine.on_attempt(relay, peer, now).unwrap();
    let indication = Message::read(&indication);
    assert_eq!(
        (to, indication.class, indication.method),
        (client.path, Class::Indication, CONNECTION_ATTEMPT)
    );
    assert_eq!(indication.address(XOR_PEER_ADDRESS), peer.0);
    assert_eq!(indication.get(CONNECTION_ID), Some(&id.0.to_be_bytes()[..]));
    assert_eq!(bind(&mut world, &client, 2, id), Ok(id));
}

#[test]
fn only_who_has_the_allocation_binds_its_connections_and_on_a_connection_for_that() {
    let mut world = world(|_| {});
    let (mut client, _) = allocated(&mut world, 1);
    let id = connect(&mut world, &mut client, PEER).unwrap();
    world.engine.on_connected(id, true);

    let mut stranger = world.client("203.0.113.1:5000", "mallory");
    stranger.path = connection(7);
    stranger.challenge(&mut world);
    assert_eq!(bind(&mut world, &stranger, 7, id), Err(Some(441)));
    assert_eq!(bind(&mut world, &client, 1, id), Err(Some(400)), "on the control connection");
    assert_eq!(bind(&mut world, &client, 2, ConnectionId(id.0 ^ 1)), Err(Some(400)), "no such connection");
    let mut datagrams = Client { path: path("203.0.113.1:5000"), ..client.clone() };
    datagrams.challenge(&mut world);
    let request = datagrams.request(CONNECTION_BIND).attr(CONNECTION_ID, &id.0.to_be_bytes());
    assert_eq!(datagrams.ask(&mut world, request).code(), Some(400), "over UDP");
    let request = client.request(CONNECTION_BIND);
    let other = Client { path: connection(3), ..client.clone() };
    assert_eq!(other.ask(&mut world, request).code(), Some(400), "without CONNECTION-ID");

    assert_eq!(bind(&mut world, &client, 2, id), Ok(id));
}

#[test]
fn connections_end_with_their_allocation() {
    let mut world = world(|_| {});
    let (mut client, _) = allocated(&mut world, 1);
    let id = connect(&mut world, &mut client, PEER).unwrap();
    world.engine.on_connected(id, true);
    assert_eq!(client.refresh(&mut world, Some(0)).code(), None);
    assert_eq!(bind(&mut world, &client, 2, id), Err(Some(400)));
    assert!(!world.engine.may_carry(id, Direction::Up, world.now.moment));
    assert_eq!((world.ports.open.len(), world.ports.streams.len()), (0, 0));
}

#[test]
fn what_a_connection_carries_counts_on_the_rate_of_its_allocation() {
    let mut world = world(|plan| plan.limits.bytes = Rate::per_second(1000));
    let (mut client, _) = allocated(&mut world, 1);
    let id = connect(&mut world, &mut client, PEER).unwrap();
    let now = world.now.moment;
    world.engine.on_carried(id, Direction::Down, 3000, now);
    assert!(!world.engine.may_carry(id, Direction::Down, now), "more than a second's worth");
    assert!(world.engine.may_carry(id, Direction::Up, now));
    world.pass(3);
    assert!(world.engine.may_carry(id, Direction::Down, world.now.moment));
}

#[test]
fn channels_and_send_indications_are_for_udp_and_connect_is_not() {
    let mut world = world(|_| {});
    let (mut client, _) = allocated(&mut world, 1);
    let request = client.request(CHANNEL_BIND).attr(CHANNEL_NUMBER, &[0x40, 0, 0, 0]).peer(PEER);
    assert_eq!(client.ask(&mut world, request).code(), Some(400));
    assert_eq!(client.permit(&mut world, &[PEER]), None);
    let send = client.indication(SEND).peer(PEER).attr(DATA, b"data");
    assert_eq!(world.drop_of(client.path, &send.0), Ignored::BadSend);

    let mut udp = Client { path: connection(2), ..world.client("203.0.113.1:5000", "alice") };
    udp.allocate(&mut world);
    assert_eq!(connect(&mut world, &mut udp, PEER), Err(Some(400)));
}
