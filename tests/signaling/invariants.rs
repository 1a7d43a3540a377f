//! Whatever members do, and whatever happens to their sockets: a room keeps its promises.
//!
//! Random joins, leaves, signals, kicks, losses and resumes are told to a switchboard and to a model of a few lists,
//! which says what each of them is answered and who must hear what. Frames are in flight for a while, and lost with
//! their socket.

mod view;

use std::collections::VecDeque;

use hairpin::signaling::joins;
use hairpin::signaling::protocol::codes::Close;
use hairpin::signaling::sessions::SocketId;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::world::{RULES, World, text, value};
use view::View;

const CLIENTS: usize = 6;
const ROOMS: usize = 2;
const GRACE: u64 = 30;
const EMPTY: u64 = 60;

#[derive(Debug, Clone)]
enum Step {
    Join(usize, usize),
    Leave(usize),
    /// From one client to whatever another one was last called.
    Signal(usize, usize),
    Say(usize),
    Whisper(usize, usize),
    Kick(usize, usize),
    MakeHost(usize, usize),
    Lock(usize, bool),
    End(usize),
    Lose(usize),
    Resume(usize),
    /// Another socket takes over while the old one is still there.
    TakeOver(usize),
    Bye(usize),
    Arrive(usize, usize),
    Acknowledge(usize),
    Pass(u64),
}

fn step() -> impl Strategy<Value = Step> {
    let client = || 0..CLIENTS;
    prop_oneof![
        6 => (client(), 0..ROOMS).prop_map(|(c, room)| Step::Join(c, room)),
        2 => client().prop_map(Step::Leave),
        8 => (client(), client()).prop_map(|(from, to)| Step::Signal(from, to)),
        4 => client().prop_map(Step::Say),
        3 => (client(), client()).prop_map(|(from, to)| Step::Whisper(from, to)),
        2 => (client(), client()).prop_map(|(c, other)| Step::Kick(c, other)),
        1 => (client(), client()).prop_map(|(c, other)| Step::MakeHost(c, other)),
        1 => (client(), any::<bool>()).prop_map(|(c, on)| Step::Lock(c, on)),
        1 => client().prop_map(Step::End),
        4 => client().prop_map(Step::Lose),
        5 => client().prop_map(Step::Resume),
        2 => client().prop_map(Step::TakeOver),
        1 => client().prop_map(Step::Bye),
        5 => (client(), 1..9_usize).prop_map(|(c, frames)| Step::Arrive(c, frames)),
        2 => client().prop_map(Step::Acknowledge),
        3 => prop_oneof![1..10_u64, 25..70_u64].prop_map(Step::Pass),
    ]
}

/// What the model knows of a client.
#[derive(Debug, Default)]
struct Client {
    /// The token of its session, while it has one.
    resume: Option<String>,
    socket: Option<SocketId>,
    /// Since when it has no socket, in seconds.
    away: u64,
    room: Option<usize>,
    /// How often it has tried to join since a minute went by.
    joins: u64,
    /// What it was last called.
    peer: String,
    /// The number of the last frame that has arrived.
    last: u64,
    flying: VecDeque<Value>,
    /// What it must hear from others, in this order.
    expected: VecDeque<String>,
    /// What it knows of its room.
    view: View,
}

/// What the model knows of a room.
#[derive(Debug, Default)]
struct Room {
    exists: bool,
    members: Vec<usize>,
    host: Option<usize>,
    locked: bool,
    empty: u64,
}

struct Model {
    world: World,
    clients: [Client; CLIENTS],
    rooms: [Room; ROOMS],
    said: usize,
    seconds: u64,
}

impl Model {
    fn new() -> Self {
        Self {
            world: World::new(RULES),
            clients: Default::default(),
            rooms: Default::default(),
            said: 0,
            seconds: 0,
        }
    }

    fn take(&mut self, step: &Step) {
        match *step {
            Step::Join(c, room) => self.join(c, room),
            Step::Leave(c) => self.leave(c),
            Step::Signal(from, to) => self.signal(from, to),
            Step::Say(from) => self.say(from),
            Step::Whisper(from, to) => self.whisper(from, to),
            Step::Kick(c, other) => self.kick(c, other),
            Step::MakeHost(c, other) => self.make_host(c, other),
            Step::Lock(c, on) => self.lock(c, on),
            Step::End(c) => self.end(c),
            Step::Lose(c) => self.lose(c),
            Step::Resume(c) => self.resume(c),
            Step::TakeOver(c) => self.take_over(c),
            Step::Bye(c) => self.bye(c),
            Step::Arrive(c, frames) => self.arrive(c, frames),
            Step::Acknowledge(c) => {
                if let Some(socket) = self.clients[c].socket {
                    self.world.board.acknowledge(socket, self.clients[c].last);
                }
            }
            Step::Pass(seconds) => self.pass(seconds),
        }
        self.collect();
        for room in &self.rooms {
            assert!(room.members.len() <= RULES.capacity.get() as usize);
        }
    }

    fn join(&mut self, c: usize, r: usize) {
        let Some(socket) = self.patient(c) else { return };
        let full = self.rooms[r].members.len() >= RULES.capacity.get() as usize;
        let expected = match (self.clients[c].room, self.rooms[r].locked, full) {
            (Some(_), _, _) => "already_joined",
            (None, true, _) => "room_locked",
            (None, false, true) => "room_full",
            (None, false, false) => "joined",
        };
        let reply = self.ask(socket, json!({"t": "join", "room": format!("room {r}")}), expected);
        if expected != "joined" {
            return;
        }
        self.clients[c].peer = text(&reply, "you");
        self.clients[c].room = Some(r);
        let room = &mut self.rooms[r];
        let others: Vec<String> =
            room.members.iter().map(|other| self.clients[*other].peer.clone()).collect();
        let listed: Vec<String> =
            reply["peers"].as_array().unwrap().iter().map(|peer| text(peer, "id")).collect();
        assert_eq!(listed, others, "the newcomer is told who is there");
        room.members.push(c);
        room.exists = true;
        let host = *room.host.get_or_insert(c);
        assert_eq!(text(&reply, "host"), self.clients[host].peer);
    }

    fn leave(&mut self, c: usize) {
        let Some(socket) = self.connected(c) else { return };
        let expected = if self.clients[c].room.is_some() { "ok" } else { "not_in_room" };
        self.ask(socket, json!({"t": "leave"}), expected);
        self.out(c);
    }

    fn signal(&mut self, from: usize, to: usize) {
        let Some(socket) = self.connected(from) else { return };
        let peer = self.clients[to].peer.clone();
        if peer.is_empty() {
            return;
        }
        let mark = self.mark();
        let message = json!({"t": "signal", "to": peer, "e": 1, "d": {"type": "offer", "sdp": mark}});
        self.addressed(from, to, socket, message, mark);
    }

    fn whisper(&mut self, from: usize, to: usize) {
        let Some(socket) = self.connected(from) else { return };
        let peer = self.clients[to].peer.clone();
        if peer.is_empty() {
            return;
        }
        let mark = self.mark();
        let message = json!({"t": "msg", "to": peer, "kind": "chat", "body": mark});
        self.addressed(from, to, socket, message, mark);
    }

    /// Something for one member: it arrives if the two are in one room, and else at nobody.
    fn addressed(&mut self, from: usize, to: usize, socket: SocketId, message: Value, mark: String) {
        let room = self.clients[from].room;
        let expected = match room {
            None => "not_in_room",
            Some(_) if from == to || self.clients[to].room != room => "peer_not_found",
            Some(_) => "ok",
        };
        self.ask(socket, message, expected);
        if expected == "ok" {
            self.clients[to].expected.push_back(mark);
        }
    }

    fn say(&mut self, from: usize) {
        let Some(socket) = self.connected(from) else { return };
        let mark = self.mark();
        let expected = if self.clients[from].room.is_some() { "ok" } else { "not_in_room" };
        self.ask(socket, json!({"t": "msg", "kind": "chat", "body": mark}), expected);
        let Some(room) = self.clients[from].room else { return };
        for other in self.rooms[room].members.iter().filter(|other| **other != from) {
            self.clients[*other].expected.push_back(mark.clone());
        }
    }

    fn kick(&mut self, c: usize, other: usize) {
        let Some((socket, room, is_host)) = self.role(c) else { return };
        let is_there = self.clients[other].room == Some(room) && other != c;
        let peer = self.clients[other].peer.clone();
        if peer.is_empty() {
            return;
        }
        let expected = answer_to_host(is_host, is_there);
        self.ask(socket, json!({"t": "kick", "peer": peer}), expected);
        if expected == "ok" {
            self.out(other);
            self.clients[other] = Client::default();
        }
    }

    fn make_host(&mut self, c: usize, other: usize) {
        let Some((socket, room, is_host)) = self.role(c) else { return };
        let peer = self.clients[other].peer.clone();
        if peer.is_empty() {
            return;
        }
        let is_there = self.clients[other].room == Some(room);
        let expected = answer_to_host(is_host, is_there);
        self.ask(socket, json!({"t": "host", "peer": peer}), expected);
        if expected == "ok" {
            self.rooms[room].host = Some(other);
        }
    }

    fn lock(&mut self, c: usize, on: bool) {
        let Some((socket, room, is_host)) = self.role(c) else { return };
        self.ask(socket, json!({"t": "lock", "on": on}), if is_host { "ok" } else { "not_host" });
        if is_host {
            self.rooms[room].locked = on;
        }
    }

    fn end(&mut self, c: usize) {
        let Some((socket, room, is_host)) = self.role(c) else { return };
        self.ask(socket, json!({"t": "end"}), if is_host { "ok" } else { "not_host" });
        if !is_host {
            return;
        }
        for member in std::mem::take(&mut self.rooms[room]).members {
            if member == c {
                self.clients[c].room = None;
            } else {
                self.clients[member] = Client::default();
            }
        }
    }

    fn lose(&mut self, c: usize) {
        let Some(socket) = self.clients[c].socket.take() else { return };
        self.collect();
        self.world.lose(socket);
        self.clients[c].flying.clear();
        self.clients[c].away = self.seconds;
        if self.clients[c].room.is_none() {
            self.clients[c] = Client::default();
        }
    }

    fn resume(&mut self, c: usize) {
        if self.clients[c].socket.is_some() {
            return;
        }
        // Nobody comes back faster than a session may be resumed.
        self.pass(2);
        self.reconnect(c);
    }

    fn reconnect(&mut self, c: usize) {
        let Some(token) = self.clients[c].resume.clone() else { return };
        let (socket, sent) = self.world.resume(&token, self.clients[c].last);
        assert_eq!((&sent[0]["t"], &sent[0]["resumed"]), (&json!("welcome"), &json!(true)), "{sent:?}");
        self.clients[c].socket = Some(socket);
        self.clients[c].flying.extend(sent.into_iter().skip(1));
    }

    fn take_over(&mut self, c: usize) {
        let Some(old) = self.clients[c].socket else { return };
        self.pass(2);
        self.collect();
        self.clients[c].flying.clear();
        self.reconnect(c);
        assert_eq!(self.world.closed(old).map(Close::code), Some(4409));
        self.world.lose(old);
    }

    fn bye(&mut self, c: usize) {
        let Some(socket) = self.clients[c].socket else { return };
        self.world.say(socket, &json!({"t": "bye"}));
        assert_eq!(self.world.closed(socket).map(Close::code), Some(1000));
        self.out(c);
        self.clients[c] = Client::default();
    }

    /// Frames that were in flight have arrived.
    fn arrive(&mut self, c: usize, frames: usize) {
        self.collect();
        let client = &mut self.clients[c];
        let frames = frames.min(client.flying.len());
        for message in client.flying.drain(..frames) {
            client.last += 1;
            assert_eq!(message["n"], client.last, "no frame is missing, and none comes twice");
            client.view.hear(&message);
            assert!(client.view.others.len() < RULES.capacity.get() as usize, "as far as anybody sees");
            let mark = match message["t"].as_str().unwrap() {
                "signal" => message["d"]["sdp"].as_str(),
                "msg" => message["body"].as_str(),
                _ => None,
            };
            if let Some(mark) = mark {
                assert_eq!(
                    client.expected.pop_front().as_deref(),
                    Some(mark),
                    "nobody else's, nothing missing"
                );
            }
        }
    }

    fn pass(&mut self, seconds: u64) {
        self.seconds += seconds;
        for c in 0..CLIENTS {
            let client = &self.clients[c];
            if client.resume.is_some() && client.socket.is_none() && client.away + GRACE <= self.seconds {
                self.out(c);
                self.clients[c] = Client::default();
            }
        }
        self.world.pass(seconds);
        // A room is forgotten at the first tick after its minute; it becomes empty at a tick, too, by a timeout.
        for room in &mut self.rooms {
            if room.exists && room.members.is_empty() && room.empty + EMPTY <= self.seconds {
                *room = Room::default();
            }
        }
    }

    /// Everything arrives in the end, at everybody who is still there or comes back; and all know the room as it is.
    fn settle(&mut self) {
        (0..CLIENTS).for_each(|c| self.resume(c));
        for c in 0..CLIENTS {
            self.arrive(c, usize::MAX);
            let client = &self.clients[c];
            assert_eq!(client.expected, VecDeque::<String>::new(), "client {c} misses nothing");
            let Some(room) = client.room else { continue };
            let Room { members, host, locked, .. } = &self.rooms[room];
            let others = members.iter().filter(|other| **other != c);
            let others = others.map(|other| (self.clients[*other].peer.clone(), false)).collect();
            let host = self.clients[host.unwrap()].peer.clone();
            assert_eq!(client.view, View { host, locked: *locked, others }, "client {c} knows its room");
        }
    }

    /// The client's socket; whoever has no session and no socket gets both.
    fn connected(&mut self, c: usize) -> Option<SocketId> {
        if self.clients[c].resume.is_none() {
            let (socket, resume) = self.world.client();
            self.clients[c] = Client { resume: Some(resume), socket: Some(socket), ..Client::default() };
        }
        self.clients[c].socket
    }

    /// The client's socket, when it may join again.
    fn patient(&mut self, c: usize) -> Option<SocketId> {
        self.connected(c)?;
        self.clients[c].joins += 1;
        if self.clients[c].joins > joins::BY_SESSION {
            self.pass(60);
            self.clients[c].joins = 1;
        }
        self.clients[c].socket
    }

    fn role(&mut self, c: usize) -> Option<(SocketId, usize, bool)> {
        let socket = self.connected(c)?;
        let room = self.clients[c].room?;
        Some((socket, room, self.rooms[room].host == Some(c)))
    }

    /// A client is in no room any more.
    fn out(&mut self, c: usize) {
        let Some(room) = self.clients[c].room.take() else { return };
        let room = &mut self.rooms[room];
        room.members.retain(|member| *member != c);
        room.host = room.host.filter(|host| *host != c).or(room.members.first().copied());
        room.locked &= !room.members.is_empty();
        room.empty = self.seconds;
    }

    fn ask(&mut self, socket: SocketId, mut message: Value, expected: &str) -> Value {
        message["id"] = 1.into();
        self.world.say(socket, &message);
        self.collect();
        let client = self.clients.iter().find(|client| client.socket == Some(socket)).unwrap();
        let reply = client.flying.iter().rev().find(|frame| frame["re"] == 1).cloned().unwrap_or_default();
        let found = if reply["t"] == "error" { &reply["code"] } else { &reply["t"] };
        assert_eq!(found, expected, "{message}");
        reply
    }

    /// What was sent is in flight.
    fn collect(&mut self) {
        for client in &mut self.clients {
            if let Some(socket) = client.socket {
                client
                    .flying
                    .extend(self.world.frames(socket).iter().map(value).filter(|frame| frame["n"].is_u64()));
            }
        }
    }

    fn mark(&mut self) -> String {
        self.said += 1;
        format!("mark {}", self.said)
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn a_signal_reaches_its_member_and_nobody_else_no_room_overflows_and_nothing_is_lost(
        steps in prop::collection::vec(step(), 1..120),
    ) {
        let mut model = Model::new();
        steps.iter().for_each(|step| model.take(step));
        model.settle();
    }
}

/// What a member hears who asks something of another member that only a host may ask.
fn answer_to_host(is_host: bool, is_there: bool) -> &'static str {
    match (is_host, is_there) {
        (false, _) => "not_host",
        (true, true) => "ok",
        (true, false) => "peer_not_found",
    }
}
