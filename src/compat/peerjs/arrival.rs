//! PURE  What a client of PeerJS shows in the URL of its WebSocket: a key, its id, and a token.

use url::form_urlencoded;

use crate::compat::peerjs::message;
use crate::secret::Digest;

/// Bytes of the longest id.
pub const ID_MAX: usize = 128;
/// Bytes of the longest token. Clients make one of 11 characters.
pub const TOKEN_MAX: usize = 256;

/// A client that may have its id, unless another has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Arrival {
    /// The id that it wants. Any text: clients of PeerJS send letters, digits, `-`, `_` and spaces.
    pub id: String,
    /// The token, which a client that comes back shows again. Only its digest is kept.
    pub token: Digest,
}

/// Why a client cannot be served.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unfit {
    /// The key, the id or the token is missing or empty.
    Incomplete,
    /// The key is not that of the configuration.
    Key,
    /// The id or the token is too long.
    TooLong,
}

impl Arrival {
    /// Reads the query of the URL. Of a parameter that occurs twice, the last counts; unknown ones are ignored.
    ///
    /// # Errors
    /// Why the client cannot be served.
    pub fn read(query: &str, key: &str) -> Result<Self, Unfit> {
        let last = |name: &str| {
            let values = form_urlencoded::parse(query.as_bytes()).filter(|(it, _)| it == name);
            values.last().map(|(_, value)| value.into_owned()).filter(|value| !value.is_empty())
        };
        let (Some(id), Some(token), Some(named)) = (last("id"), last("token"), last("key")) else {
            return Err(Unfit::Incomplete);
        };
        if named != key {
            return Err(Unfit::Key);
        }
        if id.len() > ID_MAX || token.len() > TOKEN_MAX {
            return Err(Unfit::TooLong);
        }
        Ok(Self { id, token: Digest::of(&token) })
    }
}

impl Unfit {
    /// The message that tells the client.
    #[must_use]
    pub fn message(self) -> String {
        match self {
            Self::Incomplete => message::error("No id, token, or key supplied to websocket server"),
            Self::Key => message::invalid_key(),
            Self::TooLong => message::error(&format!(
                "the id has more than {ID_MAX} bytes, or the token more than {TOKEN_MAX}: shorten it"
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_client_shows_its_id_and_token_and_a_key() {
        let arrival = Arrival::read("key=peerjs&id=a%20b&token=t+1&version=1.5.5", "peerjs").unwrap();
        assert_eq!((arrival.id.as_str(), arrival.token), ("a b", Digest::of("t 1")));
        let twice = Arrival::read("id=a&id=__proto__&token=t&key=k&key=peerjs", "peerjs").unwrap();
        assert_eq!(twice.id, "__proto__");
    }

    #[test]
    fn without_one_of_them_or_with_one_that_is_wrong_it_is_not_served() {
        for (query, unfit) in [
            ("", Unfit::Incomplete),
            ("id=a&token=t", Unfit::Incomplete),
            ("id=&token=t&key=peerjs", Unfit::Incomplete),
            ("id=a&token=&key=wrong", Unfit::Incomplete),
            ("id=a&token=t&key=wrong", Unfit::Key),
            (&format!("id={}&token=t&key=peerjs", "a".repeat(ID_MAX + 1)), Unfit::TooLong),
            (&format!("id=a&token={}&key=peerjs", "t".repeat(TOKEN_MAX + 1)), Unfit::TooLong),
        ] {
            assert_eq!(Arrival::read(query, "peerjs"), Err(unfit), "{query}");
        }
        let longest = format!("id={}&token={}&key=peerjs", "a".repeat(ID_MAX), "t".repeat(TOKEN_MAX));
        assert!(Arrival::read(&longest, "peerjs").is_ok());
    }

    proptest! {
        #[test]
        fn any_query_has_an_id_within_its_bound_or_an_answer(query in "((id|token|key)=(peerjs|[%&+=\\PC]{0,200})&?){0,5}") {
            match Arrival::read(&query, "peerjs") {
                Ok(arrival) => prop_assert!(!arrival.id.is_empty() && arrival.id.len() <= ID_MAX),
                Err(unfit) => prop_assert!(unfit.message().contains("msg")),
            }
        }
    }
}
