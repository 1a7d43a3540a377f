//! PURE  The packets of engine.io, version 4, over which socket.io speaks.
//!
//! <https://github.com/socketio/engine.io-protocol>: a packet is one digit for its type, and its text. A WebSocket carries
//! one in each message; a request or an answer of long polling carries several, with a separator between them.

use serde_json::json;

use crate::signaling::heartbeat::{DEAD, PING};
use crate::signaling::protocol::FRAME_MAX;

/// A packet from a client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Packet<'a> {
    /// The client ends the session.
    Close,
    /// A client asks whether a WebSocket works, before it leaves long polling. With a text that comes back.
    Ping(&'a str),
    /// Answers the server's ping.
    Pong,
    /// A packet of socket.io.
    Message(&'a str),
    /// The client uses this WebSocket from now on.
    Upgrade,
    /// Says nothing.
    Noop,
}

/// Stands between the packets of one body.
pub const SEPARATOR: char = '\u{1e}';
/// Asks whether the client is there.
pub const PING_PACKET: &str = "2";
/// Ends the session.
pub const CLOSE_PACKET: &str = "1";
/// Says nothing: the answer to a poll for which there is no packet.
pub const NOOP_PACKET: &str = "6";
/// A client asks with this packet whether a WebSocket works, and gets that one back.
pub const PROBE: &str = "probe";
/// See [`PROBE`].
pub const PROBE_ANSWER: &str = "3probe";

impl<'a> Packet<'a> {
    /// Reads a packet; `None` if it is none. Clients send no `open`, and nothing here takes binary packets.
    #[must_use]
    pub fn parse(text: &'a str) -> Option<Self> {
        let mut rest = text.chars();
        match (rest.next()?, rest.as_str()) {
            ('1', "") => Some(Self::Close),
            ('2', text) => Some(Self::Ping(text)),
            ('3', _) => Some(Self::Pong),
            ('4', text) => Some(Self::Message(text)),
            ('5', "") => Some(Self::Upgrade),
            ('6', "") => Some(Self::Noop),
            _ => None,
        }
    }
}

/// The first packet of a session: how to go on. With `upgradable`, the client may change to a WebSocket.
#[must_use]
pub fn open(sid: &str, upgradable: bool) -> String {
    let upgrades: &[&str] = if upgradable { &["websocket"] } else { &[] };
    let (interval, patience) = (PING.as_millis() as u64, (DEAD - PING).as_millis() as u64);
    let open = json!({
        "sid": sid,
        "upgrades": upgrades,
        "pingInterval": interval,
        "pingTimeout": patience,
        "maxPayload": FRAME_MAX,
    });
    format!("0{open}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_packet_is_a_digit_and_a_text() {
        for (text, packet) in [
            ("1", Packet::Close),
            ("2probe", Packet::Ping("probe")),
            ("3", Packet::Pong),
            ("42[\"join\",\"한글\"]", Packet::Message("2[\"join\",\"한글\"]")),
            ("5", Packet::Upgrade),
            ("6", Packet::Noop),
        ] {
            assert_eq!(Packet::parse(text), Some(packet));
        }
        for wrong in ["", "0{}", "7", "bAAAA", "한", "1x", "\u{1e}"] {
            assert_eq!(Packet::parse(wrong), None, "{wrong:?}");
        }
    }

    #[test]
    fn a_session_opens_with_the_times_of_a_websocket() {
        let open = open("abc", true);
        assert_eq!(
            open,
            r#"0{"maxPayload":65536,"pingInterval":20000,"pingTimeout":25000,"sid":"abc","upgrades":["websocket"]}"#
        );
    }
}
