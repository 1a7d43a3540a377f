//! Clients of socket.io. What the dialects do is tested beside them; here it is shown that it fits together.

mod enduring;
mod limits;
mod serving;

use std::collections::VecDeque;

use hairpin::config::Config;
use hairpin::daemon::Daemon;
use hairpin::origin::OriginPattern;
use hairpin::sections::number::Count;
use hairpin::sections::value::Auto;
use serde_json::{Value, json};

use crate::support::daemon::start_with;
use crate::support::http::{Answer, Http};
use crate::support::websocket::{CLOSE, FIN, PING, PONG, TEXT, WebSocket, headers};

/// A site whose pages may use the daemon.
const FRIEND: &str = "https://friend.example";
/// Its visitors.
const HOME: &str = "198.51.100.7";

const POLLING: &str = "/socket.io/?EIO=4&transport=polling";
const SOCKET: &str = "/socket.io/?EIO=4&transport=websocket";

fn start(ports: &str) -> Daemon {
    start_changed(ports, |_| {})
}

fn start_changed(ports: &str, change: impl FnOnce(&mut Config)) -> Daemon {
    start_with(ports, |config| {
        config.http.listen = vec!["127.0.0.1:0".parse().unwrap()];
        config.http.allowed_origins = vec![OriginPattern::parse(FRIEND).unwrap()];
        config.http.proxies = vec!["127.0.0.1/32".parse().unwrap()];
        config.limits.connections = Auto(Count::new(4000));
        config.limits.connections_per_ip = Auto(Count::new(4000));
        config.rooms.sockets_per_ip = Count::of::<2000>();
        config.rooms.joins_per_minute = Count::of::<10_000>();
        config.compat.socketio = true;
        change(config);
    })
}

/// How many sockets the daemon closed for this reason.
fn closes(daemon: &Daemon, reason: &str) -> u64 {
    let closed = daemon.snapshot().rooms.closed;
    closed.iter().filter(|coded| coded.reason == reason).map(|coded| coded.count).sum()
}

/// A page that speaks by long polling.
struct Polling {
    http: Http,
    sid: String,
    headers: [(&'static str, String); 2],
    heard: VecDeque<String>,
}

impl Polling {
    fn try_open(daemon: &Daemon, origin: &str, ip: &str, query: &str) -> Result<Self, Answer> {
        let mut http = Http::of(daemon);
        let headers = [("Origin", origin.to_owned()), ("X-Forwarded-For", ip.to_owned())];
        let opened = ask(&mut http, "GET", &format!("{POLLING}{query}"), &headers, "");
        if opened.status != 200 {
            return Err(opened);
        }
        let open: Value = serde_json::from_str(opened.body.strip_prefix('0').unwrap()).unwrap();
        let sid = open["sid"].as_str().unwrap().to_owned();
        Ok(Self { http, sid, headers, heard: VecDeque::new() })
    }

    /// A page of `FRIEND` that has entered the main namespace.
    fn open(daemon: &Daemon) -> Self {
        let mut page = Self::try_open(daemon, FRIEND, HOME, "").expect("the session opens");
        page.connect();
        page
    }

    fn connect(&mut self) {
        assert_eq!(self.post("40").body, "ok");
        assert!(self.hear().starts_with("40{\"sid\":"));
    }

    fn path(&self) -> String {
        format!("{POLLING}&sid={}", self.sid)
    }

    /// A request of the page.
    fn ask(&mut self, method: &str, body: &str) -> Answer {
        let path = self.path();
        ask(&mut self.http, method, &path, &self.headers, body)
    }

    fn post(&mut self, packets: &str) -> Answer {
        self.ask("POST", packets)
    }

    fn say(&mut self, event: &Value) {
        assert_eq!(self.post(&format!("42{event}")).body, "ok");
    }

    /// The next packet of socket.io. Pings are answered, and empty answers are asked again.
    fn hear(&mut self) -> String {
        loop {
            while let Some(packet) = self.heard.pop_front() {
                match packet.as_str() {
                    "2" => drop(self.post("3")),
                    "6" => {}
                    _ => return packet,
                }
            }
            let answer = self.ask("GET", "");
            assert_eq!(answer.status, 200, "{}", answer.body);
            self.heard.extend(answer.body.split('\u{1e}').map(str::to_owned));
        }
    }

    /// Whether the daemon no longer knows the session.
    fn is_over(&mut self) -> bool {
        loop {
            let answer = self.ask("GET", "");
            if answer.status != 200 {
                return answer.json()["code"] == 1;
            }
            if !answer.body.split('\u{1e}').any(|packet| packet == "1") {
                return false;
            }
        }
    }
}

fn ask(http: &mut Http, method: &str, path: &str, headers: &[(&str, String)], body: &str) -> Answer {
    let headers: Vec<_> = headers
        .iter()
        .filter(|(_, value)| !value.is_empty())
        .map(|(name, value)| (*name, value.as_str()))
        .collect();
    http.ask(method, path, &headers, body)
}

/// A page that speaks over a WebSocket.
struct Page {
    socket: WebSocket,
}

impl Page {
    fn try_open(daemon: &Daemon, origin: &str, ip: &str, query: &str) -> Result<Self, Answer> {
        let mut headers = headers(origin);
        headers.push(("X-Forwarded-For", ip));
        let socket = WebSocket::try_open_at(Http::of(daemon), &format!("{SOCKET}{query}"), &headers)?;
        let mut page = Self { socket };
        assert!(page.hear().starts_with("0{"));
        Ok(page)
    }

    fn at(daemon: &Daemon, ip: &str) -> Self {
        let mut page = Self::try_open(daemon, FRIEND, ip, "").expect("the socket opens");
        page.send("40");
        assert!(page.hear().starts_with("40{\"sid\":"));
        page
    }

    /// A page of `FRIEND` that has entered the main namespace.
    fn open(daemon: &Daemon) -> Self {
        Self::at(daemon, HOME)
    }

    fn send(&mut self, packet: &str) {
        self.socket.frame(FIN | TEXT, packet.as_bytes());
    }

    fn say(&mut self, event: &Value) {
        self.send(&format!("42{event}"));
    }

    /// The next packet but pings.
    fn hear(&mut self) -> String {
        loop {
            match self.socket.next().expect("a packet comes before the end") {
                (TEXT, text) if text == b"2" => self.send("3"),
                (TEXT, text) => return String::from_utf8(text).unwrap(),
                (PING, payload) => self.socket.frame(FIN | PONG, &payload),
                (opcode, _) => panic!("no packet: {opcode}"),
            }
        }
    }

    /// Reads to the end: the last packets, and the code.
    fn end(&mut self) -> (Vec<String>, Option<u16>) {
        let mut last = Vec::new();
        while let Some((opcode, payload)) = self.socket.next() {
            match opcode {
                TEXT => last.push(String::from_utf8(payload).unwrap()),
                CLOSE => return (last, payload.get(..2).map(|code| u16::from_be_bytes([code[0], code[1]]))),
                _ => {}
            }
        }
        (last, None)
    }
}

fn offer() -> Value {
    json!({ "type": "offer", "sdp": "v=0\r\na=ice-ufrag:abcd\r\n" })
}
