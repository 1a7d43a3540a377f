//! What the broker promises to peers, by a clock that the test moves.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::compat::peerjs::message::Fields;
use crate::compat::peerjs::waiting::{EXPIRY, OF_SENDER};
use crate::sections::number::Count;
use crate::signaling::seats::SETTLING;

const HERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(198, 51, 100, 7));
const NEXT_DOOR: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(198, 51, 100, 8));

/// A broker, its clock, and what was sent to each socket.
struct World {
    broker: Broker,
    now: Moment,
    opened: u64,
    effects: Vec<Effect>,
}

fn world() -> World {
    limited(|_| {})
}

fn limited(change: impl FnOnce(&mut Rooms)) -> World {
    let mut rooms = Rooms::default();
    change(&mut rooms);
    let broker = Broker::new(&rooms, Arc::default(), Arc::default());
    World { broker, now: Moment::default() + Duration::from_secs(100), opened: 0, effects: Vec::new() }
}

impl World {
    fn try_open(&mut self, ip: IpAddr, id: &str, token: &str) -> Result<SocketId, Refused> {
        self.opened += 1;
        let socket = SocketId(self.opened);
        let arrival = Arrival { id: id.to_owned(), token: Digest::of(token) };
        let effects = self.broker.open(socket, ip, Ok(arrival), self.now)?;
        self.effects.extend(effects);
        Ok(socket)
    }

    /// A socket of the peer `id`, which is told that it is open.
    fn peer(&mut self, id: &str) -> SocketId {
        let socket = self.try_open(HERE, id, "token").unwrap();
        assert_eq!(self.told(socket), [json!({"type": "OPEN"})]);
        socket
    }

    fn say(&mut self, socket: SocketId, message: &Value) {
        let text = message.to_string();
        let fields = Fields::read(&text);
        let effects = self.broker.hear(socket, Said::of(fields.as_ref()), self.now);
        self.effects.extend(effects);
    }

    fn pass(&mut self, time: Duration) {
        self.now = self.now + time;
        let effects = self.broker.tick(self.now);
        self.effects.extend(effects);
    }

    /// What a socket was told since this was asked.
    fn told(&mut self, socket: SocketId) -> Vec<Value> {
        let (told, others) = std::mem::take(&mut self.effects).into_iter().partition(|effect| match effect {
            Effect::Send(to, _) => *to == socket,
            Effect::Close(..) => false,
        });
        self.effects = others;
        let text = |effect: Effect| match effect {
            Effect::Send(_, text) => serde_json::from_str(&text).unwrap(),
            Effect::Close(..) => Value::Null,
        };
        Vec::into_iter(told).map(text).collect()
    }

    /// Why a socket was closed.
    fn closed(&self, socket: SocketId) -> Option<Close> {
        self.effects.iter().find_map(|effect| match effect {
            Effect::Close(closed, why) if *closed == socket => Some(*why),
            Effect::Close(..) | Effect::Send(..) => None,
        })
    }
}

fn offer(dst: &str) -> Value {
    json!({"type": "OFFER", "dst": dst, "src": "somebody else", "payload": {"sdp": "v=0"}})
}

#[test]
fn a_message_goes_to_the_peer_of_that_id_and_says_who_sent_it() {
    let mut world = world();
    let (me, you) = (world.peer("me"), world.peer("you"));
    world.say(me, &offer("you"));
    let expected = json!({"type": "OFFER", "src": "me", "dst": "you", "payload": {"sdp": "v=0"}});
    assert_eq!((world.told(you), world.told(me)), (vec![expected], vec![]));
}

#[test]
fn prototype_names_are_ids_as_others_are() {
    let mut world = world();
    for id in ["__proto__", "constructor", "toString", "hasOwnProperty"] {
        let peer = world.peer(id);
        world.say(peer, &offer(id));
        assert_eq!(world.told(peer).len(), 1, "{id} is told what it sends to itself");
    }
    assert_eq!(world.broker.ids().len(), 4);
}

#[test]
fn an_id_belongs_to_whoever_has_its_token() {
    let mut world = world();
    let first = world.peer("me");
    let other = world.try_open(HERE, "me", "another token").unwrap();
    assert_eq!(world.told(other), [json!({"type": "ID-TAKEN", "payload": {"msg": "ID is taken"}})]);
    assert_eq!((world.closed(other), world.closed(first)), (Some(Close::Protocol), None));
    // A socket that was turned down has no id to send from.
    world.say(other, &offer("me"));
    assert_eq!(world.told(first), Vec::<Value>::new());
}

#[test]
fn who_comes_back_with_its_token_is_open_again_and_its_old_socket_is_closed() {
    let mut world = world();
    let (old, you) = (world.peer("me"), world.peer("you"));
    let new = world.peer("me");
    assert_eq!(world.closed(old), Some(Close::Replaced));
    world.say(you, &offer("me"));
    assert_eq!((world.told(new).len(), world.told(old).len()), (1, 0));
    // That the old socket is gone takes nothing from the new one.
    world.broker.lost(old);
    world.say(old, &offer("you"));
    world.say(new, &offer("you"));
    assert_eq!(world.told(you).len(), 1);
    world.broker.lost(new);
    assert!(world.broker.ids().iter().map(|id| &**id).eq(["you"]));
}

#[test]
fn who_is_not_there_yet_gets_what_waits_when_it_comes() {
    let mut world = world();
    let me = world.peer("me");
    world.say(me, &offer("you"));
    world.say(me, &json!({"type": "CANDIDATE", "dst": "you", "payload": 1}));
    world.pass(EXPIRY - Duration::from_millis(1));
    let you = world.try_open(NEXT_DOOR, "you", "t").unwrap();
    let types: Vec<_> = world.told(you).iter().map(|told| told["type"].clone()).collect();
    assert_eq!(types, ["OPEN", "OFFER", "CANDIDATE"]);
    world.pass(EXPIRY);
    assert_eq!(world.told(me), Vec::<Value>::new());
}

#[test]
fn who_calls_a_peer_that_does_not_come_is_told_once() {
    let mut world = world();
    let me = world.peer("me");
    for message in [offer("you"), offer("you"), offer("her"), json!({"type": "LEAVE", "dst": "him"})] {
        world.say(me, &message);
    }
    world.pass(EXPIRY);
    let expire = |src: &str| json!({"type": "EXPIRE", "src": src, "dst": "me"});
    assert_eq!(world.told(me), [expire("you"), expire("her")]);
    assert!(!world.broker.is_idle());
    world.broker.lost(me);
    assert!(world.broker.is_idle());
}

#[test]
fn who_floods_a_peer_that_is_not_there_is_told_at_once_and_a_neighbour_is_served() {
    let mut world = world();
    let (flood, neighbour) = (world.peer("flood"), world.peer("neighbour"));
    let large = json!({"type": "OFFER", "dst": "you", "payload": "x".repeat(32 << 10)});
    (0..10).for_each(|_| world.say(flood, &large));
    assert_eq!(world.told(flood).len(), 10 - OF_SENDER / (33 << 10));
    world.say(neighbour, &offer("you"));
    assert_eq!(world.told(neighbour), Vec::<Value>::new());
    let you = world.try_open(NEXT_DOOR, "you", "t").unwrap();
    assert!(world.told(you).iter().any(|told| told["src"] == "neighbour"));
}

#[test]
fn leave_is_passed_on_and_without_a_receiver_it_ends_the_socket() {
    let mut world = world();
    let (me, you) = (world.peer("me"), world.peer("you"));
    world.say(me, &json!({"type": "LEAVE", "dst": "you"}));
    assert_eq!(world.told(you), [json!({"type": "LEAVE", "src": "me", "dst": "you"})]);
    world.say(me, &json!({"type": "LEAVE"}));
    assert_eq!((world.closed(me), world.closed(you)), (Some(Close::Bye), None));
    world.try_open(NEXT_DOOR, "me", "another token").unwrap();
}

#[test]
fn a_heartbeat_and_what_is_no_message_have_no_answer() {
    let mut world = world();
    let me = world.peer("me");
    for message in [
        json!({"type": "HEARTBEAT"}),
        json!({"type": "OPEN", "dst": "me"}),
        json!(7),
        json!({"type": "OFFER"}),
    ] {
        world.say(me, &message);
    }
    assert_eq!(world.effects, []);
}

#[test]
fn an_address_opens_no_more_sockets_in_a_minute_than_it_may_join_rooms_and_the_next_has_its_own() {
    let mut world = limited(|rooms| rooms.joins_per_minute = Count::of::<5>());
    for n in 0..5 {
        let socket = world.try_open(HERE, "me", &n.to_string()).unwrap();
        world.broker.lost(socket);
    }
    let wait = Duration::from_secs(12);
    assert_eq!(world.try_open(HERE, "me", "t"), Err(Refused::TooOften(wait)));
    assert!(world.try_open(NEXT_DOOR, "me", "t").is_ok());
    world.pass(wait);
    assert!(world.try_open(HERE, "you", "t").is_ok());
}

#[test]
fn a_peer_that_nobody_has_talked_with_makes_way_and_one_that_is_in_a_conversation_stays() {
    let mut world = limited(|rooms| rooms.sockets_per_ip = Count::of::<3>());
    let (a, b, idle) = (world.peer("a"), world.peer("b"), world.peer("idle"));
    world.say(a, &offer("b"));
    world.say(idle, &offer("idle"));
    assert_eq!(
        world.try_open(HERE, "new", "t"),
        Err(Refused::NoSeat(NoSeat::Address)),
        "idle is not old enough"
    );
    world.pass(SETTLING);
    let new = world.try_open(HERE, "new", "t").unwrap();
    assert_eq!([a, b, idle].map(|it| world.closed(it)), [None, None, Some(Close::Crowded)]);
    assert!(world.broker.is_settled(a) && world.broker.is_settled(b) && !world.broker.is_settled(new));
    world.say(new, &offer("a"));
    world.pass(SETTLING);
    assert_eq!(world.try_open(HERE, "more", "t"), Err(Refused::NoSeat(NoSeat::Address)));
    assert!(world.try_open(NEXT_DOOR, "more", "t").is_ok());
}

#[test]
fn the_list_of_ids_is_bounded() {
    let mut world = limited(|rooms| {
        rooms.sockets_per_ip = Count::of::<10_000>();
        rooms.joins_per_minute = Count::of::<10_000>();
    });
    for n in 0..1000 {
        world.try_open(HERE, &format!("{n:0128}"), "t").unwrap();
    }
    assert_eq!(world.broker.ids().len(), LIST_MAX / 128);
}

#[test]
fn a_server_that_stops_closes_all_and_admits_nobody() {
    let mut world = world();
    let (me, you) = (world.peer("me"), world.peer("you"));
    let effects = world.broker.drain();
    assert_eq!(effects, [me, you].map(|it| Effect::Close(it, Close::Drain)));
    assert_eq!(world.try_open(HERE, "her", "t"), Err(Refused::NoSeat(NoSeat::Draining)));
}

proptest! {
    /// Whatever clients do, an id has one socket, and each socket its id.
    #[test]
    fn ids_and_sockets_belong_together(steps in prop::collection::vec((0..5_u8, 0..4_u8, 0..4_u8), 0..100)) {
        let mut world = limited(|rooms| rooms.sockets_per_ip = Count::of::<3>());
        for (what, one, other) in steps {
            let socket = SocketId(world.opened.saturating_sub(one.into()));
            match what {
                0 | 1 => drop(world.try_open(HERE, &one.to_string(), &other.to_string())),
                2 => world.say(socket, &offer(&other.to_string())),
                3 => world.say(socket, &json!({"type": "LEAVE"})),
                _ => world.broker.lost(socket),
            }
            world.pass(Duration::from_millis(700));
            let Broker { sockets, ids, .. } = &world.broker;
            prop_assert_eq!(sockets.len(), ids.len());
            prop_assert!(sockets.iter().all(|(socket, peer)| ids.get(&peer.id) == Some(socket)));
            prop_assert!(sockets.len() <= 3);
        }
    }
}
