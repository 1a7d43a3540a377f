//! A switchboard without sockets: tests say what clients send, and move the clock.

use hairpin::sections::number::Bounded;
use hairpin::sections::number::Count;
use std::collections::{BTreeMap, HashMap};
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::Duration;

use hairpin::clock::{Expiry, Moment, Now, Unix};
use hairpin::credentials::{CheckExpiry, Credentials};
use hairpin::ice::{IceServers, Names, Served, Wishes};
use hairpin::journal::Journal;
use hairpin::observed::room::Room;
use hairpin::room_token::Create;
use hairpin::room_token::RoomTokens;
use hairpin::secret::Secret;
use hairpin::sections::rooms::Rooms;
use hairpin::signaling::counters::Counters;
use hairpin::signaling::frame::Frame;
use hairpin::signaling::protocol::codes::Close;
use hairpin::signaling::protocol::parse::parse;
use hairpin::signaling::sessions::SocketId;
use hairpin::signaling::switchboard::administration::PIECE;
use hairpin::signaling::switchboard::{Effect, Switchboard, Visit};
use hairpin::signaling::{IceSource, Plan};
use rand::SeedableRng as _;
use rand::rngs::StdRng;
use serde_json::{Value, json};

use crate::support::seeds;

pub const RULES: Rooms = Rooms {
    capacity: Bounded::of::<3>(),
    create: Create::Anyone,
    password_hash: None,
    knock: false,
    members: Count::of::<100>(),
    sockets_per_ip: Count::of::<1_000_000>(),
    joins_per_minute: Count::of::<1_000_000>(),
};
pub const SECRET: &str = "a secret of the tests, long enough";
/// When the tests happen, as a Unix time.
pub const UNIX: u64 = 1_800_000_000;

/// What ends in the second `secs`, since the Unix epoch.
pub const fn until(secs: u64) -> Expiry {
    Expiry::at(Unix::from_secs(secs))
}

/// A switchboard and what it has sent.
pub struct World {
    pub board: Switchboard,
    pub now: Now,
    pub counters: Arc<Counters>,
    pub journal: Arc<Journal>,
    pub rng: StdRng,
    sockets: u64,
    ids: u64,
    /// What each socket was sent and no test has looked at.
    inboxes: BTreeMap<SocketId, Vec<Frame>>,
    closed: BTreeMap<SocketId, Close>,
}

/// A client in a room.
#[derive(Debug, Clone)]
pub struct Member {
    pub socket: SocketId,
    pub peer: String,
    pub resume: String,
    pub host_token: Option<String>,
}

impl World {
    pub fn new(rules: Rooms) -> Self {
        Self::with(|plan| plan.rooms = rules)
    }

    pub fn with(change: impl FnOnce(&mut Plan)) -> Self {
        let counters = Arc::new(Counters::default());
        let journal = Arc::<Journal>::default();
        let mut plan = plan();
        change(&mut plan);
        Self {
            board: Switchboard::new(plan, Arc::clone(&journal), Arc::clone(&counters)),
            now: Now { moment: Moment::from_nanos(1_000_000_000), unix: Unix::from_secs(UNIX) },
            counters,
            journal,
            rng: StdRng::seed_from_u64(1),
            sockets: 0,
            ids: 0,
            inboxes: BTreeMap::new(),
            closed: BTreeMap::new(),
        }
    }

    /// A socket from an address of its own.
    pub fn open(&mut self) -> SocketId {
        let host = self.sockets as u32 + 1;
        self.open_from(Ipv4Addr::from(0xC633_6400 + host).into(), false)
    }

    pub fn open_from(&mut self, ip: IpAddr, needs_token: bool) -> SocketId {
        self.sockets += 1;
        let socket = SocketId(self.sockets);
        let effects = self.board.open(socket, Visit { ip, needs_token }, self.now, &mut self.rng);
        self.carry_out(effects.expect("there is a place"));
        socket
    }

    /// A client says something.
    pub fn say(&mut self, socket: SocketId, message: &Value) {
        self.say_text(socket, &message.to_string());
    }

    pub fn say_text(&mut self, socket: SocketId, text: &str) {
        seeds::keep("message", text.as_bytes());
        let effects = self.board.hear(socket, parse(text), self.now, &mut self.rng);
        self.carry_out(effects);
    }

    /// A client asks for something, and gets this reply; whatever else it is sent waits.
    pub fn ask(&mut self, socket: SocketId, mut message: Value) -> Value {
        self.ids += 1;
        message["id"] = self.ids.into();
        self.say(socket, &message);
        let inbox = self.inboxes.get_mut(&socket).unwrap_or_else(|| panic!("no answer to {message}"));
        let reply = inbox.iter().position(|frame| value(frame)["re"] == message["id"]);
        value(&inbox.remove(reply.unwrap_or_else(|| panic!("no reply to {message}"))))
    }

    /// The code of the error that a client gets for something.
    pub fn refusal(&mut self, socket: SocketId, message: Value) -> String {
        let reply = self.ask(socket, message);
        assert_eq!(reply["t"], "error", "{reply}");
        reply["code"].as_str().unwrap().to_owned()
    }

    /// A client that has said hello.
    pub fn client(&mut self) -> (SocketId, String) {
        let socket = self.open();
        let welcome = self.ask(socket, json!({"t": "hello", "v": [1]}));
        assert_eq!(welcome["t"], "welcome", "{welcome}");
        (socket, text(&welcome, "resume"))
    }

    /// A client in a room.
    pub fn member(&mut self, room: &str) -> Member {
        let (socket, resume) = self.client();
        let joined = self.ask(socket, json!({"t": "join", "room": room}));
        assert_eq!(joined["t"], "joined", "{joined}");
        let host_token = joined["host_token"].as_str().map(str::to_owned);
        Member { socket, peer: text(&joined, "you"), resume, host_token }
    }

    /// Members who have heard all about each other.
    pub fn members<const N: usize>(&mut self, room: &str) -> [Member; N] {
        let members = std::array::from_fn(|_| self.member(room));
        self.inboxes.clear();
        members
    }

    /// Goes on with a session on another socket; returns it and what it is sent, the welcome first.
    pub fn resume(&mut self, token: &str, last: u64) -> (SocketId, Vec<Value>) {
        let socket = self.open();
        self.say(socket, &json!({"t": "hello", "v": [1], "resume": token, "last": last}));
        let sent = self.heard(socket);
        (socket, sent)
    }

    /// What a socket was sent since the last time.
    pub fn heard(&mut self, socket: SocketId) -> Vec<Value> {
        self.frames(socket).iter().map(value).collect()
    }

    pub fn frames(&mut self, socket: SocketId) -> Vec<Frame> {
        self.inboxes.remove(&socket).unwrap_or_default()
    }

    /// The same, as types and without what is different each time.
    pub fn types(&mut self, socket: SocketId) -> Vec<String> {
        self.heard(socket).iter().map(|message| text(message, "t")).collect()
    }

    /// Why a socket was closed.
    pub fn closed(&self, socket: SocketId) -> Option<Close> {
        self.closed.get(&socket).copied()
    }

    pub fn lose(&mut self, socket: SocketId) {
        let effects = self.board.lost(socket, self.now, &mut self.rng);
        self.carry_out(effects);
    }

    pub fn drain(&mut self) {
        let effects = self.board.drain(&mut self.rng);
        self.carry_out(effects);
    }

    /// What an administrator sees of all rooms.
    pub fn rooms(&self) -> Vec<Room> {
        let (mut all, mut last) = (Vec::new(), None);
        loop {
            let piece = self.board.rooms(last.as_ref(), &Secret::new("used by nobody"), self.now.moment);
            assert!(piece.len() <= PIECE);
            let Some((name, _)) = piece.last() else { return all };
            last = Some(name.clone());
            all.extend(piece.into_iter().map(|(_, room)| room));
        }
    }

    /// An administrator ends a room; returns whether it existed.
    pub fn end_room(&mut self, room: &str) -> bool {
        let effects = self.board.end_room(&room.to_owned().try_into().unwrap(), self.now, &mut self.rng);
        let existed = effects.is_some();
        self.carry_out(effects.unwrap_or_default());
        existed
    }

    /// Lets time pass.
    pub fn pass(&mut self, seconds: u64) {
        self.now = self.now + Duration::from_secs(seconds);
        let effects = self.board.tick(self.now, &mut self.rng);
        self.carry_out(effects);
    }

    fn carry_out(&mut self, effects: Vec<Effect>) {
        for effect in effects {
            match effect {
                Effect::Send(socket, frame) => {
                    assert_eq!(self.closed.get(&socket), None, "nothing is sent after the end: {frame:?}");
                    self.inboxes.entry(socket).or_default().push(frame);
                }
                Effect::Close(socket, close) => {
                    assert_eq!(self.closed.insert(socket, close), None, "a socket is closed once");
                }
            }
        }
    }
}

/// A frame, read.
pub fn value(frame: &Frame) -> Value {
    let value: Value = serde_json::from_str(&frame.text()).unwrap();
    assert_eq!(value.get("n").and_then(Value::as_u64), frame.n, "a frame knows its number");
    value
}

pub fn text(message: &Value, field: &str) -> String {
    message[field].as_str().unwrap_or_else(|| panic!("{field} in {message}")).to_owned()
}

pub fn plan() -> Plan {
    let address = [(Ipv4Addr::new(203, 0, 113, 5), 3478).into()];
    let served = Served { udp: &address, tcp: &address, tls: &[], tls_on_tcp: false, relay: &[] };
    let secrets = vec![Secret::new(SECRET)];
    Plan {
        rooms: RULES,
        sessions: 1000,
        tokens: RoomTokens::new(&secrets),
        ice: IceSource {
            servers: IceServers::new(&served, &Names::default(), &Wishes::default()),
            credentials: Credentials::new("hairpin.test", secrets, HashMap::new(), CheckExpiry::Allocate),
            ttl: Duration::from_secs(3600),
        },
    }
}
