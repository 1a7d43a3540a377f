//! PURE  A session as an administrator sees it: one allocation, its client, its peers and its traffic.
//!
//! A list has a [`Summary`] of each session, and a single [`Session`] has everything. [`Query`] says which sessions a list
//! contains, and in which order.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::labels::labels;
use crate::network::address::{ClientTransport, Transport};

/// The name of a session, `<shard>-<slot>-<serial>`. It never names another session of the same daemon, and hardly ever one
/// of a later daemon.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct SessionId {
    /// The number of its shard.
    pub shard: u32,
    /// Its place in the shard's table.
    pub slot: u32,
    /// Distinguishes it from the earlier sessions in the same place.
    pub serial: u32,
}

/// A session, as it appears in a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Summary {
    /// Its name.
    pub id: SessionId,
    /// The user tag: what a time-limited user name has after its expiry, or the name of a static user.
    pub user: String,
    /// The transport protocol between the client and the relay.
    pub transport: ClientTransport,
    /// The client's transport address.
    pub client: SocketAddr,
    /// The relayed transport addresses, one for each family.
    pub relayed: Vec<SocketAddr>,
    /// Seconds since the allocation was made.
    pub age: u64,
    /// Seconds until the allocation ends, unless its client refreshes it.
    pub expires_in: u64,
    /// Traffic from the client to peers.
    pub up: Traffic,
    /// Traffic from peers to the client.
    pub down: Traffic,
}

/// The traffic of a session in one direction. Bytes are those of the payload.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Traffic {
    /// Packets since the allocation was made.
    pub packets: u64,
    /// Bytes since the allocation was made.
    pub bytes: u64,
    /// Packets in a second, over the last 5 to 10 seconds.
    pub packets_per_second: u64,
    /// Bytes in a second, over the last 5 to 10 seconds.
    pub bytes_per_second: u64,
}

/// Everything about one session.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Session {
    /// What a list shows.
    #[serde(flatten)]
    pub summary: Summary,
    /// The user name of its credential, with which the credential can be revoked. It is not secret, unlike the password.
    pub username: String,
    /// The transport address of the relay that the client talks to.
    pub server: SocketAddr,
    /// The transport protocol between the relay and the peers.
    pub peer_transport: Transport,
    /// The peers that may send to the client.
    pub peers: Vec<Peer>,
    /// The channels that are bound to peers.
    pub channels: Vec<Channel>,
    /// The peers that a TCP connection exists with (RFC 6062), once for each connection.
    pub connections: Vec<SocketAddr>,
}

/// A peer that may send to the client: a permission.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Peer {
    /// The peer's address. A permission has no port.
    pub address: IpAddr,
    /// Seconds until the permission ends.
    pub expires_in: u64,
}

/// A channel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Channel {
    /// Its number.
    pub number: u16,
    /// Its peer.
    pub peer: SocketAddr,
    /// Seconds until it ends.
    pub expires_in: u64,
}

/// Which sessions are listed, and in which order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Query {
    /// Only the sessions of this user tag.
    pub user: Option<String>,
    /// The order.
    pub sort: Sort,
    /// The most sessions in the list. More than [`LIMIT_MAX`] counts as [`LIMIT_MAX`].
    pub limit: usize,
    /// Only sessions behind this place, where the page before ended.
    pub cursor: Option<Cursor>,
}

/// The most sessions on one page.
pub const LIMIT_MAX: usize = 1000;

labels! {
    /// The order of a list.
    #[derive(Default, Serialize, Deserialize)]
    #[serde(rename_all = "lowercase")]
    pub enum Sort {
        /// The oldest first. Only in this order do pages that are read one after the other contain each session once: rates
        /// and bytes change meanwhile.
        #[default]
        Age = "age",
        /// The highest rate first: bytes in a second, both ways together.
        Rate = "rate",
        /// The most bytes first, both ways together.
        Bytes = "bytes",
    }
}

/// A place in an ordered list. Places are compared as the sessions at them are ordered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Cursor {
    /// What the list is sorted by; the smallest is first.
    pub rank: u64,
    /// Distinguishes sessions of the same rank.
    pub id: SessionId,
}

/// One page of a list.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sessions {
    /// How many sessions there are on all pages together.
    pub total: u64,
    /// The sessions.
    pub sessions: Vec<Summary>,
    /// Where the next page begins, if there is one.
    pub next: Option<Cursor>,
    /// For tests: how often a shard was asked. Between two questions it relays packets.
    #[doc(hidden)]
    #[serde(skip)]
    pub pieces: u64,
}

/// A text is not a session id or a cursor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Malformed;

impl Default for Query {
    fn default() -> Self {
        Self { user: None, sort: Sort::default(), limit: 100, cursor: None }
    }
}

impl fmt::Display for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}-{:08x}", self.shard, self.slot, self.serial)
    }
}

impl FromStr for SessionId {
    type Err = Malformed;

    /// Only the text that [`Display`](fmt::Display) writes.
    fn from_str(text: &str) -> Result<Self, Malformed> {
        let mut parts = text.splitn(3, '-');
        let mut part = |radix| u32::from_str_radix(parts.next()?, radix).ok();
        let id = (|| Some(Self { shard: part(10)?, slot: part(10)?, serial: part(16)? }))();
        id.filter(|id| id.to_string() == text).ok_or(Malformed)
    }
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.rank, self.id)
    }
}

impl FromStr for Cursor {
    type Err = Malformed;

    fn from_str(text: &str) -> Result<Self, Malformed> {
        let (rank, id) = text.split_once('.').ok_or(Malformed)?;
        Ok(Self { rank: rank.parse().map_err(|_| Malformed)?, id: id.parse()? })
    }
}

impl FromStr for Sort {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, &'static str> {
        Self::ALL.into_iter().find(|sort| sort.name() == text).ok_or("write age, rate or bytes")
    }
}

impl From<SessionId> for String {
    fn from(id: SessionId) -> Self {
        id.to_string()
    }
}

impl From<Cursor> for String {
    fn from(cursor: Cursor) -> Self {
        cursor.to_string()
    }
}

impl TryFrom<String> for SessionId {
    type Error = Malformed;

    fn try_from(text: String) -> Result<Self, Malformed> {
        text.parse()
    }
}

impl TryFrom<String> for Cursor {
    type Error = Malformed;

    fn try_from(text: String) -> Result<Self, Malformed> {
        text.parse()
    }
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not a session id or a cursor")
    }
}

impl std::error::Error for Malformed {}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: SessionId = SessionId { shard: 1, slot: 17, serial: 0x2A };

    #[test]
    fn an_id_and_a_cursor_are_read_as_they_are_written() {
        let cursor = Cursor { rank: u64::MAX, id: ID };
        assert_eq!((ID.to_string(), "1-17-0000002a".parse()), ("1-17-0000002a".to_owned(), Ok(ID)));
        assert_eq!(cursor.to_string().parse(), Ok(cursor));
        assert_eq!(serde_json::to_string(&cursor).unwrap(), "\"18446744073709551615.1-17-0000002a\"");
        assert_eq!(serde_json::from_str::<Cursor>("\"18446744073709551615.1-17-0000002a\"").unwrap(), cursor);
    }

    #[test]
    fn the_documentation_shows_a_whole_session() {
        let document = include_str!("../../docs/operating.md");
        let mut blocks = document.split("```json\n").skip(1).map(|block| block.split("```").next().unwrap());
        let json = blocks.find(|json| json.contains("\"peer_transport\"")).unwrap();
        let documented: serde_json::Value = serde_json::from_str(json).unwrap();
        let session: Session = serde_json::from_value(documented.clone()).unwrap();
        assert_eq!(serde_json::to_value(session).unwrap(), documented);
    }

    #[test]
    fn every_other_text_is_refused() {
        for text in [
            "",
            "-",
            "1-17",
            "1-17-2a",
            "1-17-0000002A",
            "1-017-0000002a",
            "+1-17-0000002a",
            "1-17-0000002a-",
            " 1-17-0000002a",
            "4294967296-17-0000002a",
            "1-17-10000002a",
            "1--17-0000002a",
            "é-17-0000002a",
        ] {
            assert_eq!(text.parse::<SessionId>(), Err(Malformed), "{text:?}");
            assert_eq!(format!("1.{text}").parse::<Cursor>(), Err(Malformed), "{text:?}");
        }
        for text in
            ["1-17-0000002a", ".1-17-0000002a", "-1.1-17-0000002a", "18446744073709551616.1-17-0000002a"]
        {
            assert_eq!(text.parse::<Cursor>(), Err(Malformed), "{text:?}");
        }
    }
}
