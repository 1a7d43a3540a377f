//! PURE  The packets of socket.io, protocol version 5.
//!
//! <https://github.com/socketio/socket.io-protocol>: a digit for the type, the namespace if it is not the main one, the
//! number of an acknowledgement, and JSON. Packets with binary parts are not taken: signaling is text.

use serde_json::{Value, json};

use crate::signaling::protocol::parse::is_too_deep;

/// A packet from a client.
#[derive(Debug, Clone, PartialEq)]
pub enum Packet<'a> {
    /// The client enters a namespace, and may show a token.
    Connect {
        /// The namespace, such as `/`.
        space: &'a str,
        /// What the page has set as `auth`.
        auth: Value,
    },
    /// The client leaves a namespace.
    Disconnect,
    /// An event.
    Event(Event),
    /// Acknowledges an event of the server, which asks for none.
    Ack,
}

/// What a client says.
#[derive(Debug, Clone, PartialEq)]
pub struct Event {
    /// Its name.
    pub name: String,
    /// Its arguments.
    pub args: Vec<Value>,
    /// The number to acknowledge it with, if the client waits for that.
    pub ack: Option<u64>,
}

/// The text is no packet, or one that is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BadPacket;

/// The namespace that every client uses unless its page names another.
pub const MAIN: &str = "/";
/// Bytes of the longest name of an event, and of a namespace.
const NAME_MAX: usize = 64;
/// Digits of the number of an acknowledgement.
const ACK_DIGITS: usize = 15;

impl<'a> Packet<'a> {
    /// Reads a packet.
    ///
    /// # Errors
    /// If it is none, or has binary parts, or is nested too deeply, or is for another namespace than [`MAIN`] without being
    /// a connect.
    pub fn parse(text: &'a str) -> Result<Self, BadPacket> {
        let kind = text.chars().next().ok_or(BadPacket)?;
        let rest = text.get(kind.len_utf8()..).ok_or(BadPacket)?;
        let (space, rest) = space(rest);
        if space.len() > NAME_MAX {
            return Err(BadPacket);
        }
        match kind {
            '0' => Ok(Self::Connect { space, auth: json(rest, Value::Null)? }),
            _ if space != MAIN => Err(BadPacket),
            '1' if rest.is_empty() => Ok(Self::Disconnect),
            '2' => event(rest).map(Self::Event),
            '3' => Ok(Self::Ack),
            _ => Err(BadPacket),
        }
    }
}

/// The namespace in front of a packet, and the rest.
fn space(text: &str) -> (&str, &str) {
    if !text.starts_with('/') {
        return (MAIN, text);
    }
    let (space, rest) = text.split_once(',').unwrap_or((text, ""));
    // The protocol allows a query behind it.
    (space.split('?').next().unwrap_or(space), rest)
}

fn event(text: &str) -> Result<Event, BadPacket> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, list) = text.split_at(digits);
    let ack = match digits {
        0 => None,
        1..=ACK_DIGITS => Some(number.parse().map_err(|_| BadPacket)?),
        _ => return Err(BadPacket),
    };
    let Value::Array(mut args) = json(list, Value::Null)? else { return Err(BadPacket) };
    if args.is_empty() {
        return Err(BadPacket);
    }
    let Value::String(name) = args.remove(0) else { return Err(BadPacket) };
    if name.len() > NAME_MAX { Err(BadPacket) } else { Ok(Event { name, args, ack }) }
}

fn json(text: &str, if_empty: Value) -> Result<Value, BadPacket> {
    if text.is_empty() {
        return Ok(if_empty);
    }
    if is_too_deep(text) { Err(BadPacket) } else { serde_json::from_str(text).map_err(|_| BadPacket) }
}

/// The client has entered the main namespace.
#[must_use]
pub fn connected(sid: &str) -> String {
    format!("40{}", json!({ "sid": sid }))
}

/// The client may not enter a namespace.
#[must_use]
pub fn refused(space: &str, message: &str) -> String {
    let space = if space == MAIN { String::new() } else { format!("{space},") };
    format!("44{space}{}", json!({ "message": message }))
}

/// The client is put out of the main namespace. It does not connect again by itself.
pub const DISCONNECTED: &str = "41";

/// An event for the client.
#[must_use]
pub fn said(name: &str, args: &[Value]) -> String {
    let args: Vec<String> = args.iter().map(|arg| format!(",{arg}")).collect();
    format!("42[{}{}]", json!(name), args.concat())
}

/// Acknowledges an event of the client, without a value.
#[must_use]
pub fn acknowledged(ack: u64) -> String {
    format!("43{ack}[]")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn an_event_has_a_name_arguments_and_perhaps_a_number() {
        let event = |text| match Packet::parse(text) {
            Ok(Packet::Event(Event { name, args, ack })) => Some((name, args.len(), ack)),
            _ => None,
        };
        assert_eq!(event(r#"2["join","방 1"]"#), Some(("join".to_owned(), 1, None)));
        assert_eq!(event(r#"20["join_room",7]"#), Some(("join_room".to_owned(), 1, Some(0))));
        assert_eq!(event(r#"2/,["a"]"#), Some(("a".to_owned(), 0, None)));
        for wrong in [
            "2",
            "2{}",
            "2[]",
            "2[7]",
            "2[\"a\"",
            "2/other,[\"a\"]",
            "21234567890123456[\"a\"]",
            "51-[\"a\"]",
        ] {
            assert_eq!(event(wrong), None, "{wrong}");
        }
        let deep = format!("2[\"a\",{}{}]", "[".repeat(50_000), "]".repeat(50_000));
        assert_eq!(Packet::parse(&deep), Err(BadPacket));
        assert_eq!(Packet::parse(&format!("2[\"{}\"]", "n".repeat(65))), Err(BadPacket));
    }

    #[test]
    fn a_connect_names_a_namespace_and_may_show_a_token() {
        let connect = |text| match Packet::parse(text) {
            Ok(Packet::Connect { space, auth }) => Some((space, auth)),
            _ => None,
        };
        assert_eq!(connect("0"), Some(("/", Value::Null)));
        assert_eq!(connect(r#"0{"token":"t"}"#), Some(("/", json!({ "token": "t" }))));
        assert_eq!(connect("0/admin,"), Some(("/admin", Value::Null)));
        assert_eq!(connect("0/admin?a=1,{}"), Some(("/admin", json!({}))));
        assert_eq!(refused("/admin", "Invalid namespace"), r#"44/admin,{"message":"Invalid namespace"}"#);
    }

    #[test]
    fn what_is_written_is_what_clients_read() {
        assert_eq!(said("ready", &[]), r#"42["ready"]"#);
        assert_eq!(
            said("offer", &[json!({ "type": "offer" }), Value::Null]),
            r#"42["offer",{"type":"offer"},null]"#
        );
        assert_eq!(acknowledged(12), "4312[]");
    }

    proptest! {
        #[test]
        fn no_text_breaks_it(text in "[0-6]?\\PC{0,40}|2[0-9]{0,20}\\[\"[a-z_]{0,70}\".{0,20}") {
            let _ = Packet::parse(&text);
        }
    }
}
