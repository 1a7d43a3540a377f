//! A backend's request for a credential for one of its users: checks it, bounds it, and names the user with the key's id.

use std::time::Duration;

use serde::Deserialize;
use serde::de::IntoDeserializer as _;
use serde::de::value::Error;

use crate::credentials::tag::Tag;
use crate::credentials::{Credentials, USER, is_user};
use crate::http::problem::{Problem, bad};
use crate::ice::Transport;
use crate::sections::http::{ApiKey, KeyTtl};
use crate::signaling::protocol::names::RoomName;

/// The parameters of a JSON request, all optional.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct CredentialRequest {
    /// The lifetime in seconds.
    pub(super) ttl: Option<u64>,
    /// The user that the credential is for; a random name if absent.
    pub(super) user: Option<String>,
    /// The room that the user is going to join.
    pub(super) room: Option<String>,
    /// The transports by which the user may reach the relay.
    pub(super) transports: Option<Vec<Transport>>,
}

/// The same parameters in a URL, where a list is separated by commas. Other parameters are ignored.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct CredentialQuery {
    ttl: Option<u64>,
    user: Option<String>,
    room: Option<String>,
    transports: Option<String>,
}

/// The lifetime in seconds if the request gives none.
const USUAL: u64 = 3600;
/// A `ttl` from here on is refused: it must be a date, or be in milliseconds. A smaller one is cut to the key's `max_ttl`.
const ABSURD: u64 = 1 << 32;

impl CredentialRequest {
    /// The tag of the credential. `somebody` is the user's name if the request gives none. Without a secret the tag has no
    /// room, but then there is no credential either.
    pub(super) fn tag<'a>(
        &'a self,
        key: &'a ApiKey,
        credentials: &Credentials,
        somebody: &'a str,
    ) -> Result<Tag<'a>, Problem> {
        let user = self.user.as_deref().unwrap_or(somebody);
        if !is_user(user) {
            return Err(bad(format!(
                "user must have {USER}: use an id of your application, not a person's name"
            )));
        }
        let room = self.room.clone().map(room).transpose()?;
        let room = room.and_then(|room| credentials.pseudonym(room.as_str()));
        Ok(Tag::Key { key: key.id.as_str(), room, user })
    }

    /// The allowed transports; `None` means all of them.
    pub(super) fn transports(&self) -> Result<Option<&[Transport]>, Problem> {
        match self.transports.as_deref() {
            Some([]) => {
                Err(bad("transports is empty: write \"udp\", \"tcp\" or \"tls\", or omit transports"))
            }
            transports => Ok(transports),
        }
    }
}

impl TryFrom<CredentialQuery> for CredentialRequest {
    type Error = Problem;

    fn try_from(request: CredentialQuery) -> Result<Self, Problem> {
        let CredentialQuery { ttl, user, room, transports } = request;
        let read = |text: &str| Transport::deserialize(text.into_deserializer());
        let read_all = |texts: String| texts.split(',').map(read).collect::<Result<_, Error>>();
        let transports = transports.map(read_all).transpose();
        let transports = transports.map_err(|error| bad(format!("transports: {error}")))?;
        Ok(Self { ttl, user, room, transports })
    }
}

/// The lifetime of a credential or token made with `key`, for a request of `asked` seconds.
pub(super) fn ttl(asked: Option<u64>, key: &ApiKey) -> Result<Duration, Problem> {
    let asked = asked.unwrap_or(USUAL);
    if !(1..ABSURD).contains(&asked) {
        return Err(bad("ttl must be a number of seconds, at least 1"));
    }
    Ok(Duration::from_secs(asked).clamp(KeyTtl::MIN.get(), key.max_ttl.get()))
}

/// Whether a request of `asked` seconds is cut to the longest lifetime that `key` allows.
pub(super) fn is_cut(asked: Option<u64>, key: &ApiKey) -> bool {
    asked.is_some_and(|asked| asked > key.max_ttl.as_secs())
}

/// Checks a room's name.
pub(super) fn room(name: String) -> Result<RoomName, Problem> {
    RoomName::try_from(name).map_err(|why| bad(format!("room: invalid name: {why}")))
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;
    use crate::api_key::{KeyHash, KeyId};
    use crate::credentials::CheckExpiry;
    use crate::secret::Secret;

    fn key() -> ApiKey {
        ApiKey {
            max_ttl: KeyTtl::of::<7200>(),
            ..ApiKey::new(KeyId::parse("shop").unwrap(), KeyHash::of("a key"))
        }
    }

    fn credentials() -> Credentials {
        Credentials::new("", vec![Secret::new("north")], HashMap::new(), CheckExpiry::Allocate)
    }

    fn user(name: &str) -> CredentialRequest {
        CredentialRequest { user: Some(name.to_owned()), ..CredentialRequest::default() }
    }

    #[test]
    fn a_tag_begins_with_the_key_and_ends_with_the_user() {
        let tag =
            |request: CredentialRequest| request.tag(&key(), &credentials(), "random").unwrap().to_string();
        assert_eq!(tag(user("alice")), "shop.alice");
        assert_eq!(tag(CredentialRequest::default()), "shop.random");
        let lobby = credentials().pseudonym("lobby").unwrap();
        assert_eq!(
            tag(CredentialRequest { room: Some("lobby".to_owned()), ..user("alice") }),
            format!("shop.{lobby}.alice")
        );
        assert!(
            CredentialRequest { room: Some("a/b".to_owned()), ..user("alice") }
                .tag(&key(), &credentials(), "")
                .is_err()
        );
    }

    /// W3
    #[test]
    fn a_user_is_a_short_printable_word() {
        for wrong in ["", "a:b", ":", "a b", "a\n", "\0", "é", &"a".repeat(129), &"a".repeat(10 << 10)] {
            assert!(user(wrong).tag(&key(), &credentials(), "random").is_err(), "{wrong:?}");
        }
        assert!(user(&"~".repeat(128)).tag(&key(), &credentials(), "random").is_ok());
    }

    /// W3
    #[test]
    fn a_ttl_is_positive_and_cut_to_what_the_key_may_have() {
        for (asked, given) in
            [(None, 3600), (Some(1), 60), (Some(60), 60), (Some(7200), 7200), (Some(86_400_000), 7200)]
        {
            assert_eq!(ttl(asked, &key()).unwrap().as_secs(), given, "{asked:?}");
        }
        assert_eq!(ttl(None, &ApiKey { max_ttl: KeyTtl::MIN, ..key() }).unwrap().as_secs(), 60);
        for wrong in [0, ABSURD, 1_000_000_000_000_000_000, u64::MAX] {
            assert!(ttl(Some(wrong), &key()).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_list_in_a_url_has_commas() {
        let read = |text: &str| {
            let request = CredentialQuery { transports: Some(text.to_owned()), ..CredentialQuery::default() };
            CredentialRequest::try_from(request).map(|request| request.transports.unwrap()).ok()
        };
        assert_eq!(read("tls,udp"), Some(vec![Transport::Tls, Transport::Udp]));
        for wrong in ["", "udp,", "UDP", "udp tcp", "quic"] {
            assert_eq!(read(wrong), None, "{wrong}");
        }
        assert!(
            CredentialRequest { transports: Some(Vec::new()), ..CredentialRequest::default() }
                .transports()
                .is_err()
        );
    }
}
