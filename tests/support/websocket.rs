//! A WebSocket client that sends what a test wants to send, be it a frame or not (RFC 6455).

use std::collections::VecDeque;

use hairpin::daemon::Daemon;
use serde_json::{Value, json};

use super::http::{Answer, Http, request};

pub const CONTINUATION: u8 = 0x0;
pub const TEXT: u8 = 0x1;
pub const BINARY: u8 = 0x2;
pub const CLOSE: u8 = 0x8;
pub const PING: u8 = 0x9;
pub const PONG: u8 = 0xA;
/// The bit of the last frame of a message.
pub const FIN: u8 = 0x80;

/// The key and its answer in RFC 6455 §1.3.
const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";
const ACCEPT: &str = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";

/// A WebSocket to a daemon.
pub struct WebSocket {
    pub http: Http,
    /// What was read while the test waited for something else.
    heard: VecDeque<Value>,
    ids: u64,
}

/// What a WebSocket upgrade needs, the origin of the daemon's own page included.
pub fn headers(origin: &str) -> Vec<(&str, &str)> {
    let mut headers = vec![
        ("Connection", "Upgrade"),
        ("Upgrade", "websocket"),
        ("Sec-WebSocket-Version", "13"),
        ("Sec-WebSocket-Key", KEY),
    ];
    if !origin.is_empty() {
        headers.push(("Origin", origin));
    }
    headers
}

/// The origin of the daemon's own pages.
pub fn own_origin(daemon: &Daemon) -> String {
    format!("http://{}", daemon.addresses().http[0])
}

impl WebSocket {
    /// A page of the daemon opens a socket.
    pub fn open(daemon: &Daemon) -> Self {
        let origin = own_origin(daemon);
        Self::try_open(Http::of(daemon), &headers(&origin)).expect("the socket opens")
    }

    /// Whoever sends `headers` opens a socket, or gets another answer.
    pub fn try_open(http: Http, headers: &[(&str, &str)]) -> Result<Self, Answer> {
        Self::try_open_at(http, "/ws", headers)
    }

    /// The same at another path.
    pub fn try_open_at(mut http: Http, path: &str, headers: &[(&str, &str)]) -> Result<Self, Answer> {
        http.send(request("GET", path, headers, ""));
        let answer = http.answer();
        if answer.status != 101 {
            return Err(answer);
        }
        assert_eq!(answer.header("sec-websocket-accept"), Some(ACCEPT));
        Ok(Self { http, heard: VecDeque::new(), ids: 0 })
    }

    /// A client that has said hello, and its resume token.
    pub fn welcome(daemon: &Daemon) -> (Self, String) {
        let mut socket = Self::open(daemon);
        let welcome = socket.ask(json!({"t": "hello", "v": [1]}));
        assert_eq!(welcome["t"], "welcome", "{welcome}");
        (socket, welcome["resume"].as_str().unwrap().to_owned())
    }

    /// A member of a room, and who it is there.
    pub fn member(daemon: &Daemon, room: &str) -> (Self, String) {
        let (mut socket, _) = Self::welcome(daemon);
        let joined = socket.ask(json!({"t": "join", "room": room}));
        assert_eq!(joined["t"], "joined", "{joined}");
        let you = joined["you"].as_str().unwrap().to_owned();
        (socket, you)
    }

    pub fn say(&mut self, message: &Value) {
        self.frame(FIN | TEXT, message.to_string().as_bytes());
    }

    /// Asks for something, and gets the reply; what comes before it can be heard later.
    pub fn ask(&mut self, mut message: Value) -> Value {
        self.ids += 1;
        message["id"] = self.ids.into();
        self.say(&message);
        let mut others = VecDeque::new();
        loop {
            let heard = self.hear();
            if heard["re"] == self.ids {
                self.heard = others;
                return heard;
            }
            others.push_back(heard);
        }
    }

    /// The next message, which must come. Pings are answered on the way.
    pub fn hear(&mut self) -> Value {
        if let Some(message) = self.heard.pop_front() {
            return message;
        }
        loop {
            let (opcode, payload) = self.next().expect("a message comes before the end");
            match opcode {
                TEXT => return serde_json::from_slice(&payload).unwrap(),
                PING => self.frame(FIN | PONG, &payload),
                PONG => {}
                _ => panic!("no message: {opcode} {}", String::from_utf8_lossy(&payload)),
            }
        }
    }

    /// Forgets what was read and not heard.
    pub fn forget(&mut self) {
        self.heard.clear();
    }

    /// The next message of this type; others are passed over.
    pub fn hear_of(&mut self, t: &str) -> Value {
        loop {
            let message = self.hear();
            if message["t"] == t {
                return message;
            }
        }
    }

    /// Reads to the end: the code of the Close frame, if there is one, and the last error before it.
    pub fn end(&mut self) -> (Option<u16>, Option<String>) {
        let mut error = None;
        while let Some((opcode, payload)) = self.next() {
            match opcode {
                TEXT => {
                    let message: Value = serde_json::from_slice(&payload).unwrap();
                    error = message["code"].as_str().map(str::to_owned).or(error);
                }
                CLOSE => {
                    let code = payload.get(..2).map(|code| u16::from_be_bytes([code[0], code[1]]));
                    return (code, error);
                }
                _ => {}
            }
        }
        (None, error)
    }

    /// One masked frame, with `first` as its first byte.
    pub fn frame(&mut self, first: u8, payload: &[u8]) {
        self.http.send(frame(first, payload));
    }

    /// The next frame, whatever it is; `None` if the connection ends before it.
    pub fn next(&mut self) -> Option<(u8, Vec<u8>)> {
        let head = self.http.bytes(2)?;
        assert_eq!(head[0] & 0x70, 0, "no extension was agreed on");
        assert_eq!(head[0] & FIN, FIN, "the server does not fragment");
        assert_eq!(head[1] & 0x80, 0, "a server does not mask");
        let length = match head[1] {
            126 => self.http.bytes(2)?.iter().fold(0, |sum, byte| sum << 8 | usize::from(*byte)),
            127 => self.http.bytes(8)?.iter().fold(0, |sum, byte| sum << 8 | usize::from(*byte)),
            length => usize::from(length),
        };
        Some((head[0] & 0x0F, self.http.bytes(length)?))
    }
}

/// One masked frame.
pub fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mask = [0x37, 0xFA, 0x21, 0x3D];
    let mut bytes = head(first, payload.len() as u64);
    bytes.extend(mask);
    bytes.extend(payload.iter().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask));
    bytes
}

/// The beginning of a masked frame that says to have so many bytes.
pub fn head(first: u8, length: u64) -> Vec<u8> {
    let mut bytes = vec![first];
    match length {
        0..=125 => bytes.push(0x80 | length as u8),
        126..=0xFFFF => {
            bytes.push(0x80 | 126);
            bytes.extend((length as u16).to_be_bytes());
        }
        _ => {
            bytes.push(0x80 | 127);
            bytes.extend(length.to_be_bytes());
        }
    }
    bytes
}
