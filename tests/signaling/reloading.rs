//! Another plan holds for whoever comes from now on, and nobody who is there loses anything.

use hairpin::room_token::{Create, RoomTokens};
use hairpin::secret::Secret;
use hairpin::sections::number::{Bounded, Count};
use hairpin::sections::rooms::Rooms;
use serde_json::json;

use crate::world::{RULES, World, plan};

/// How long it may take until all members have fresh ICE servers.
const SPREAD: u64 = 21;

#[test]
fn the_rules_of_rooms_change_for_new_rooms_and_new_joins() {
    let mut world = World::new(RULES);
    let [alice, bob, carol] = world.members("garden");
    let rooms = Rooms { capacity: Bounded::of::<2>(), create: Create::Token, ..RULES };
    world.board.apply(hairpin::signaling::Plan { rooms, ..plan() }, world.now.moment);

    for member in [&alice, &bob, &carol] {
        assert_eq!(world.ask(member.socket, json!({"t": "ping"}))["t"], "pong", "nobody is lost");
    }
    let (dave, _) = world.client();
    assert_eq!(world.refusal(dave, json!({"t": "join", "room": "another"})), "room_not_found");

    let rooms = Rooms { capacity: Bounded::of::<2>(), ..RULES };
    world.board.apply(hairpin::signaling::Plan { rooms, ..plan() }, world.now.moment);
    let _ = [world.member("another"), world.member("another")];
    assert_eq!(world.refusal(dave, json!({"t": "join", "room": "another"})), "room_full");
    world.ask(carol.socket, json!({"t": "leave"}));
    let joined = world.ask(dave, json!({"t": "join", "room": "garden"}));
    assert_eq!(joined["t"], "joined", "an older room keeps its capacity: {joined}");
}

#[test]
fn fewer_seats_and_joins_take_nothing_from_who_is_there() {
    let mut world = World::new(RULES);
    let [alice, bob] = world.members("garden");
    let rooms = Rooms { members: Count::of::<1>(), joins_per_minute: Count::of::<1>(), ..RULES };
    world.board.apply(hairpin::signaling::Plan { rooms, sessions: 2, ..plan() }, world.now.moment);
    world.say(alice.socket, &json!({"t": "msg", "kind": "chat", "body": "still here?"}));
    assert_eq!(world.heard(bob.socket).last().unwrap()["body"], "still here?");
    world.lose(bob.socket);
    let (_, heard) = world.resume(&bob.resume, 0);
    assert_eq!(heard[0]["t"], "welcome", "a session that is there can be resumed: {heard:?}");
}

#[test]
fn members_get_what_has_changed_of_their_ice_servers_and_not_all_at_once() {
    let mut world = World::new(RULES);
    let rooms: Vec<_> = (0..10).map(|room| world.members::<2>(&format!("room-{room}"))).collect();
    let members: Vec<_> = rooms.iter().flatten().map(|member| member.socket).collect();

    world.board.apply(plan(), world.now.moment);
    world.pass(SPREAD);
    assert!(members.iter().all(|socket| world.heard(*socket).is_empty()), "nothing has changed");

    let secrets = vec![Secret::new("another secret of the tests, long enough")];
    let mut other = plan();
    other.tokens = RoomTokens::new(&secrets);
    other.ice.credentials = hairpin::credentials::Credentials::new(
        "hairpin.test",
        secrets,
        std::collections::HashMap::new(),
        hairpin::credentials::CheckExpiry::Allocate,
    );
    world.board.apply(other, world.now.moment);
    let mut given = vec![0; members.len()];
    for _ in 0..SPREAD {
        world.pass(1);
        let mut now = 0;
        for (socket, given) in members.iter().zip(&mut given) {
            let ice = world.heard(*socket).iter().filter(|message| message["t"] == "ice").count();
            (*given, now) = (*given + ice, now + ice);
        }
        assert!(now <= members.len() / 2, "{now} at once");
    }
    assert_eq!(given, vec![1; members.len()]);
}
