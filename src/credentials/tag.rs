//! PURE  The tag of a time-limited user name: how this daemon writes it, and which part of the daemon issued it.
//!
//! ```text
//! diag.<id>                a connection test of our own page
//! room.<room>.<peer>       a member of a room
//! <key>.<user>             a user of the backend with the API key of this id
//! <key>.<room>.<user>      the same, in a room
//! ```
//!
//! `<room>` is the pseudonym of a room's name. The part before the first dot decides who may revoke a credential, and
//! keeps the users of one issuer from using up the quotas of another's. A tag in any other form was written elsewhere.

use std::fmt;

use base64::prelude::{BASE64_URL_SAFE_NO_PAD, Engine as _};
use hmac::Mac as _;

use crate::secret::Secret;

/// The pseudonym of a room's name, for user names and logs, which others can read: see
/// [`Credentials::pseudonym`](super::Credentials::pseudonym).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pseudonym(String);

/// Makes the key of room pseudonyms differ from all other keys that are derived from the same secret.
const ROOM_NAME: &[u8] = b"hairpin room name v1";

impl Pseudonym {
    /// The pseudonym of the room with this name, made with `secret`.
    #[must_use]
    pub fn of(room: &str, secret: &Secret) -> Self {
        let mac = secret.derive(ROOM_NAME).chain_update(room).finalize();
        let mut text = BASE64_URL_SAFE_NO_PAD.encode(mac.into_bytes());
        text.truncate(8);
        Self(text)
    }

    /// Its 8 characters of base64url.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A tag to write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Tag<'a> {
    /// For the page that tests a connection.
    Check {
        /// Random, so that each test has its own quotas.
        id: &'a str,
    },
    /// For a member of a room.
    Room {
        /// The room.
        room: Pseudonym,
        /// The member's peer id.
        peer: &'a str,
    },
    /// For a user of a backend.
    Key {
        /// The id of the backend's API key.
        key: &'a str,
        /// The room that the user will join, if the backend named one.
        room: Option<Pseudonym>,
        /// The user, as the backend names them: see [`is_user`](super::is_user).
        user: &'a str,
    },
    /// The text that an operator gives to `hairpin credential`; if it is empty, the user name is only an expiry.
    Other(&'a str),
}

/// The part of the daemon that issued a credential, by its tag.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Issuer<'a> {
    /// The connection test. Unauthenticated clients get its credentials, so no allocation outlasts its credential.
    Check,
    /// A room.
    Room,
    /// The API key with this id, if there is one.
    Key(&'a str),
    /// None: the credential was made elsewhere.
    Other,
}

const CHECK: &str = "diag";
const ROOM: &str = "room";

/// Whether a tag's first part is reserved, so that it cannot be the id of an API key.
#[must_use]
pub fn is_reserved(id: &str) -> bool {
    [CHECK, ROOM].contains(&id)
}

impl<'a> Issuer<'a> {
    /// The issuer of a credential with this tag.
    #[must_use]
    pub fn of(tag: &'a str) -> Self {
        match tag.split_once('.') {
            Some((CHECK, _)) => Self::Check,
            Some((ROOM, _)) => Self::Room,
            Some((key, _)) => Self::Key(key),
            None => Self::Other,
        }
    }
}

impl fmt::Display for Tag<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Check { id } => write!(f, "{CHECK}.{id}"),
            Self::Room { room, peer } => write!(f, "{ROOM}.{room}.{peer}"),
            Self::Key { key, room: Some(room), user } => write!(f, "{key}.{room}.{user}"),
            Self::Key { key, room: None, user } => write!(f, "{key}.{user}"),
            Self::Other(text) => f.write_str(text),
        }
    }
}

impl fmt::Display for Pseudonym {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_issued_a_credential_is_read_off_its_tag() {
        let room = || Pseudonym("v_g8LjMG".to_owned());
        for (tag, text, issuer) in [
            (Tag::Check { id: "7f3a" }, "diag.7f3a", Issuer::Check),
            (Tag::Room { room: room(), peer: "p-1" }, "room.v_g8LjMG.p-1", Issuer::Room),
            (Tag::Key { key: "shop", room: None, user: "a.b" }, "shop.a.b", Issuer::Key("shop")),
            (
                Tag::Key { key: "shop", room: Some(room()), user: "diag" },
                "shop.v_g8LjMG.diag",
                Issuer::Key("shop"),
            ),
            (Tag::Other("alice"), "alice", Issuer::Other),
            (Tag::Other("diag"), "diag", Issuer::Other),
        ] {
            assert_eq!(tag.to_string(), text);
            assert_eq!(Issuer::of(text), issuer, "{text}");
        }
    }
}
