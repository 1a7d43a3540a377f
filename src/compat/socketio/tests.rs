//! Pages of tutorials in a room, without sockets: what each says, and what the others hear.

use std::collections::VecDeque;

use rand::SeedableRng as _;
use rand::rngs::StdRng;
use serde_json::{Value, json};

use crate::clock::Moment;
use crate::compat::news::News;
use crate::compat::socketio::client::{Client, Unknown};
use crate::compat::socketio::dialect::{Act, Acts};
use crate::compat::socketio::packet::Event;
use crate::sections::rooms::Rooms as Section;
use crate::signaling::post::{self, Post};
use crate::signaling::protocol::codes::ErrorCode;
use crate::signaling::protocol::names::{PeerId, SessionId};
use crate::signaling::protocol::{ClientMessage, LeaveReason, ServerMessage};
use crate::signaling::room::Newcomer;
use crate::signaling::rooms::Rooms;

/// Rooms, and pages that are in them or want to be.
struct World {
    rooms: Rooms,
    pages: Vec<(SessionId, Client, Vec<String>)>,
    rng: StdRng,
}

impl World {
    fn new() -> Self {
        Self { rooms: Rooms::new(Section::default()), pages: Vec::new(), rng: StdRng::seed_from_u64(1) }
    }

    fn page(&mut self) -> usize {
        self.pages.push((SessionId::random(&mut self.rng), Client::default(), Vec::new()));
        self.pages.len() - 1
    }

    fn say(&mut self, page: usize, name: &str, args: Value) -> Result<(), Unknown> {
        self.say_with(page, name, args, None)
    }

    fn say_with(&mut self, page: usize, name: &str, args: Value, ack: Option<u64>) -> Result<(), Unknown> {
        let Value::Array(args) = args else { panic!("arguments are a list") };
        let mut acts = Acts::default();
        let done = self.pages[page].1.said(Event { name: name.to_owned(), args, ack }, &mut acts);
        self.carry_out(page, acts);
        done
    }

    fn leave(&mut self, page: usize) {
        let (mut post, session) = (Post::default(), self.pages[page].0);
        self.rooms.leave(session, LeaveReason::Left, Moment::default(), &mut post);
        self.deliver(post);
    }

    /// What a page has heard since it was asked last.
    fn heard(&mut self, page: usize) -> Vec<String> {
        std::mem::take(&mut self.pages[page].2)
    }

    fn carry_out(&mut self, page: usize, acts: Acts) {
        let mut todo: VecDeque<Act> = acts.into_iter().collect();
        while let Some(act) = todo.pop_front() {
            match act {
                Act::Emit(name, args) => self.pages[page].2.push(format!("{name}{}", json!(args))),
                Act::Acknowledge(ack) => self.pages[page].2.push(format!("ack {ack}")),
                Act::Ask(message) => self.ask(page, message),
            }
        }
    }

    fn ask(&mut self, page: usize, message: ClientMessage) {
        let (mut post, session, now) = (Post::default(), self.pages[page].0, Moment::default());
        let is_join = matches!(message, ClientMessage::Join(_));
        let answer = if let ClientMessage::Join(join) = message {
            let newcomer = Newcomer { session, ip: [192, 0, 2, 1].into(), id: PeerId::random(&mut self.rng) };
            self.rooms.join(&newcomer, &join, None, now, (&mut self.rng, &mut post))
        } else {
            self.rooms.ask(session, message, now, &mut post)
        };
        match answer {
            Ok(message) => self.tell(page, &message),
            Err(code) if is_join => {
                let mut acts = Acts::default();
                self.pages[page].1.refused(code, &mut acts);
                self.carry_out(page, acts);
            }
            Err(code) => panic!("{code:?}"),
        }
        self.deliver(post);
    }

    fn deliver(&mut self, post: Post) {
        for act in post {
            let post::Act::Tell { to, message } = act else { continue };
            for page in 0..self.pages.len() {
                if to.contains(&self.pages[page].0) {
                    self.tell(page, &message);
                }
            }
        }
    }

    fn tell(&mut self, page: usize, message: &ServerMessage) {
        let mut acts = Acts::default();
        self.pages[page].1.told(News::read(&message.to_json()), &mut acts);
        self.carry_out(page, acts);
    }
}

fn offer(fragment: &str) -> Value {
    json!({ "type": "offer", "sdp": format!("v=0\r\na=ice-ufrag:{fragment}\r\n") })
}

fn candidate(fragment: &str) -> Value {
    json!({ "candidate": format!("candidate:1 1 udp 1 192.0.2.1 9 typ host ufrag {fragment}"), "sdpMid": "0" })
}

#[test]
fn pages_with_peerjs_hear_who_comes_and_who_goes_also_of_those_who_came_before_them() {
    let mut world = World::new();
    let [ada, bob, eve] = [(); 3].map(|()| world.page());
    for (page, id) in [(ada, "peer of ada"), (bob, "peer of bob"), (eve, "peer of eve")] {
        world.say(page, "join-room", json!(["a8f0", id])).unwrap();
    }
    let came = |id: &str| [format!("user-connected[\"{id}\"]"), format!("uesr-connected[\"{id}\"]")];
    assert_eq!(world.heard(ada), [came("peer of bob"), came("peer of eve")].concat());
    assert_eq!((world.heard(bob), world.heard(eve)), (came("peer of eve").to_vec(), Vec::new()));
    // when
    world.leave(ada);
    // then
    for page in [bob, eve] {
        assert_eq!(world.heard(page), ["user-disconnected[\"peer of ada\"]"]);
    }
    assert_eq!(
        world.say(eve, "user-connected", json!(["peer of bob", "a8f0"])),
        Err(Unknown),
        "it speaks for itself only"
    );
    assert_eq!(world.say(ada, "join-room", json!(["a8f0"])), Err(Unknown));
}

#[test]
fn of_two_who_are_made_ready_the_newcomer_offers_and_the_other_hears_of_it_before_the_offer() {
    let mut world = World::new();
    let [ada, bob] = [(); 2].map(|()| world.page());
    world.say(ada, "join", json!(["방 1"])).unwrap();
    world.say(bob, "join", json!(["방 1"])).unwrap();
    assert_eq!(world.heard(ada), ["created[\"방 1\"]"]);
    assert_eq!(world.heard(bob), ["joined[\"방 1\"]", "ready[]"]);
    // when
    world.say(bob, "offer", json!([offer("new"), "방 1"])).unwrap();
    world.say(bob, "ice-candidate", json!([candidate("new"), "방 1"])).unwrap();
    world.say(ada, "offer", json!([offer("old"), "방 1"])).unwrap();
    world.say(ada, "ice-candidate", json!([candidate("old"), "방 1"])).unwrap();
    world.say(ada, "answer", json!([{ "type": "answer", "sdp": "v=0" }, "방 1"])).unwrap();
    world.say(ada, "ice-candidate", json!([candidate("mine"), "방 1"])).unwrap();
    world.say(ada, "ice-candidate", json!([null, "방 1"])).unwrap();
    // then
    let names = |heard: Vec<String>| {
        heard.iter().map(|event| event.split(['[', '{']).next().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(names(world.heard(ada)), ["ready", "offer", "ice-candidate"]);
    let heard = world.heard(bob);
    assert!(heard[1].contains("ufrag mine"), "not the candidate of the offer that was dropped");
    assert_eq!(names(heard), ["answer", "ice-candidate", "ice-candidate"]);
}

#[test]
fn where_the_newcomer_says_ready_the_first_offers_and_a_third_is_told_that_the_room_is_full() {
    let mut world = World::new();
    let [ada, bob, eve] = [(); 3].map(|()| world.page());
    for page in [ada, bob, eve] {
        world.say(page, "join", json!(["room"])).unwrap();
    }
    assert_eq!(world.heard(eve)[0], "full[\"room\"]");
    assert_eq!(world.say(eve, "offer", json!([offer("eve"), "room"])), Err(Unknown));
    assert_eq!((world.heard(ada).len(), world.heard(bob).len()), (1, 2));
    // when
    world.say(bob, "ready", json!(["room"])).unwrap();
    world.say(ada, "offer", json!([offer("old"), "room"])).unwrap();
    world.say(ada, "candidate", json!([candidate("old"), "room"])).unwrap();
    // then
    assert_eq!(world.heard(ada), ["ready[]"]);
    assert_eq!(world.heard(bob).len(), 2);
    // when: the one who offers leaves and comes back
    world.leave(ada);
    assert_eq!(world.heard(bob), ["created[\"room\"]"], "it offers from now on");
    let ada = world.page();
    world.say(ada, "join", json!(["room"])).unwrap();
    assert_eq!(world.heard(ada)[0], "joined[\"room\"]");
    world.say(ada, "ready", json!(["room"])).unwrap();
    assert_eq!(world.heard(bob), ["ready[]"]);
}

#[test]
fn a_page_with_a_callback_is_called_back_and_the_other_hears_welcome() {
    let mut world = World::new();
    let [ada, bob] = [(); 2].map(|()| world.page());
    world.say_with(ada, "join_room", json!([7]), Some(0)).unwrap();
    world.say_with(bob, "join_room", json!(["7"]), Some(3)).unwrap();
    assert_eq!(
        (world.heard(ada), world.heard(bob)),
        (vec!["ack 0".to_owned(), "welcome[]".to_owned()], vec!["ack 3".to_owned()])
    );
    world.say(ada, "offer", json!([offer("a"), 7])).unwrap();
    world.say(bob, "answer", json!([{ "type": "answer", "sdp": "" }, "7"])).unwrap();
    world.say(bob, "ice", json!([candidate("b"), "7"])).unwrap();
    assert_eq!((world.heard(ada).len(), world.heard(bob).len()), (2, 1));
}

#[test]
fn a_room_has_the_dialect_of_its_first_member_because_others_have_rooms_of_their_own() {
    let mut world = World::new();
    let [ada, bob, eve] = [(); 3].map(|()| world.page());
    world.say(ada, "join_room", json!(["1"])).unwrap();
    world.say(bob, "join", json!(["1"])).unwrap();
    world.say(eve, "join-room", json!(["1", "an id"])).unwrap();
    assert_eq!([world.heard(ada).len(), world.heard(eve).len()], [0, 0]);
    assert_eq!((world.heard(bob), world.rooms.count()), (vec!["created[\"1\"]".to_owned()], 3));
}

#[test]
fn nobody_speaks_in_the_room_of_others() {
    let mut world = World::new();
    let [ada, bob, eve] = [(); 3].map(|()| world.page());
    world.say(ada, "join", json!(["theirs"])).unwrap();
    world.say(bob, "join", json!(["theirs"])).unwrap();
    world.say(eve, "join", json!(["own"])).unwrap();
    for page in [ada, bob, eve] {
        world.heard(page);
    }
    for args in [json!([offer("x"), "theirs"]), json!([offer("x")]), json!(["theirs"]), json!([])] {
        assert_eq!(world.say(eve, "offer", args), Err(Unknown));
    }
    for (name, args) in [
        ("__proto__", json!(["own"])),
        ("constructor", json!(["own"])),
        ("user-disconnected", json!(["peer of ada", "own"])),
        ("full", json!(["own"])),
        ("offer", json!([7, "own"])),
        ("offer", json!([{ "type": "offer", "sdp": "x".repeat(40_000) }, "own"])),
        ("ice-candidate", json!([{ "candidate": "x".repeat(3000) }, "own"])),
        ("offer", json!([offer("x"), offer("y"), "own"])),
    ] {
        assert_eq!(world.say(eve, name, args), Err(Unknown), "{name}");
    }
    assert!(world.heard(ada).is_empty() && world.heard(bob).is_empty());
}

#[test]
fn a_room_has_any_short_name_that_can_be_seen() {
    for good in [json!("한글 방"), json!("a/b"), json!(7), json!("__proto__"), json!("💬".repeat(64))] {
        let mut world = World::new();
        let page = world.page();
        world.say(page, "join", json!([good])).unwrap();
        assert_eq!(world.heard(page), [format!("created{}", json!([good]))]);
    }
    for bad in [
        json!(""),
        json!("  "),
        json!("a\u{0}"),
        json!("x".repeat(65)),
        json!(1.5),
        json!(null),
        json!({}),
        json!(["a"]),
    ] {
        let mut world = World::new();
        let page = world.page();
        assert_eq!(world.say(page, "join", json!([bad])), Err(Unknown));
        assert!(world.heard(page).join("").contains(ErrorCode::RoomNameInvalid.name()), "{bad}");
    }
}

#[test]
fn a_page_that_enters_twice_is_in_once_and_one_that_enters_another_room_leaves_the_first() {
    let mut world = World::new();
    let [ada, bob] = [(); 2].map(|()| world.page());
    world.say(ada, "join", json!(["one"])).unwrap();
    world.say(ada, "join", json!(["one"])).unwrap();
    world.say(bob, "join", json!(["one"])).unwrap();
    assert_eq!((world.heard(ada).len(), world.rooms.members()), (1, 2));
    world.say(bob, "join", json!(["two"])).unwrap();
    assert_eq!(world.heard(bob).last().unwrap(), "created[\"two\"]");
    assert_eq!(world.say(bob, "offer", json!([offer("x"), "one"])), Err(Unknown));
    assert_eq!(world.rooms.count(), 2);
}
