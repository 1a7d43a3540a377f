//! Clients of PeerJS. What the broker decides is tested beside it; here it is shown that it fits together.

mod enduring;
mod limits;
mod serving;

use std::time::Duration;

use hairpin::config::Config;
use hairpin::daemon::Daemon;
use hairpin::observed::Compat;
use hairpin::origin::OriginPattern;
use hairpin::sections::compat::SitePath;
use hairpin::sections::number::Count;
use hairpin::sections::value::{Auto, Off, Text as _};
use serde_json::{Value, json};

use crate::support::daemon::{config, start_with};
use crate::support::http::{Answer, Http};
use crate::support::websocket::{CLOSE, TEXT, WebSocket, headers};

/// A site whose pages may use the daemon.
const FRIEND: &str = "https://friend.example";

fn start(ports: &str) -> Daemon {
    start_changed(ports, |_| {})
}

fn start_changed(ports: &str, change: impl FnOnce(&mut Config)) -> Daemon {
    start_with(ports, |config| {
        serve_peers(config);
        change(config);
    })
}

/// What [`start`] starts with.
fn config_of(ports: &str) -> Config {
    let mut config = config(ports, &["127.0.0.1:0"]);
    serve_peers(&mut config);
    config
}

fn serve_peers(config: &mut Config) {
    config.http.listen = vec!["127.0.0.1:0".parse().unwrap()];
    config.http.allowed_origins = vec![OriginPattern::parse(FRIEND).unwrap()];
    config.limits.connections = Auto(Count::new(4000));
    config.limits.connections_per_ip = Auto(Count::new(4000));
    config.rooms.sockets_per_ip = Count::of::<2000>();
    config.rooms.joins_per_minute = Count::of::<10_000>();
    config.compat.peerjs = Off(Some(SitePath::parse("/peerjs").unwrap()));
}

fn counted(daemon: &Daemon) -> Compat {
    daemon.snapshot().compat.remove("peerjs").unwrap()
}

/// How many sockets the daemon closed for this reason.
fn closes(daemon: &Daemon, reason: &str) -> u64 {
    counted(daemon).closed.get(reason).copied().unwrap_or(0)
}

/// The socket of a client.
struct Peer {
    socket: WebSocket,
    /// The id that it asked for; empty if it was given one.
    id: String,
}

/// How a socket ended: the code of its Close frame.
type Code = Option<u16>;

impl Peer {
    /// A client of the site `FRIEND`, at the address `ip` behind a proxy, with this query.
    fn try_at(daemon: &Daemon, ip: &str, query: &str) -> Result<Self, Answer> {
        let mut headers = headers(FRIEND);
        headers.push(("X-Forwarded-For", ip));
        let socket = WebSocket::try_open_at(Http::of(daemon), &format!("/peerjs/peerjs?{query}"), &headers)?;
        Ok(Self { socket, id: String::new() })
    }

    fn with(daemon: &Daemon, query: &str) -> Self {
        Self::try_at(daemon, "198.51.100.7", query).expect("the socket opens")
    }

    /// A client that has its id.
    fn at(daemon: &Daemon, ip: &str, id: &str) -> Self {
        let mut peer = Self::try_at(daemon, ip, &format!("key=peerjs&id={id}&token=t{id}&version=1.5.5"))
            .expect("the socket opens");
        assert_eq!(peer.hear(), json!({"type": "OPEN"}));
        peer.id = id.to_owned();
        peer
    }

    fn open(daemon: &Daemon, id: &str) -> Self {
        Self::at(daemon, "198.51.100.7", id)
    }

    fn say(&mut self, message: &Value) {
        self.socket.say(message);
    }

    fn offer(&mut self, dst: &str) {
        self.say(&json!({"type": "OFFER", "src": "somebody else", "dst": dst, "payload": {"sdp": "v=0"}}));
    }

    fn hear(&mut self) -> Value {
        self.socket.hear()
    }

    /// The types of the messages that have come when the server has answered everything: the last one is a candidate for itself,
    /// which waits behind them. A pong would overtake them.
    fn types(&mut self) -> Vec<String> {
        let last = json!({"type": "CANDIDATE", "src": self.id, "dst": self.id, "payload": "last"});
        self.say(&last);
        let heard = std::iter::from_fn(|| Some(self.hear()).filter(|message| *message != last));
        heard.map(|message| message["type"].as_str().unwrap().to_owned()).collect()
    }

    /// Reads to the end: the last message, and the code.
    fn end(&mut self) -> (Value, Code) {
        let mut last = Value::Null;
        while let Some((opcode, payload)) = self.socket.next() {
            match opcode {
                TEXT => last = serde_json::from_slice(&payload).unwrap(),
                CLOSE => return (last, payload.get(..2).map(|code| u16::from_be_bytes([code[0], code[1]]))),
                _ => {}
            }
        }
        (last, None)
    }

    /// Waits for messages up to ten seconds.
    fn patiently(self) -> Self {
        let patience = Some(Duration::from_secs(10));
        self.socket.http.connection.socket.set_read_timeout(patience).unwrap();
        self
    }
}
