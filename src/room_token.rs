//! PURE  Issues and checks room tokens: signed, with an expiry, and for one room or for all.
//!
//! A backend requests a token with its API key and passes it to its user, whose client shows it in the signaling
//! `hello`. So the server needs no list of members, and a browser never sees an API key. A token is
//!
//! ```text
//! r1.<expiry in seconds since the Unix epoch>.<room in base64url, or *>.<base64url(HMAC-SHA256(key, all before))>
//! ```
//!
//! The key is derived from the shared secret of the TURN credentials, so tokens reveal nothing about passwords. While a
//! secret is being replaced, tokens of both secrets are valid.
//!
//! Somebody who knows the password of `[rooms]` gets a token that begins with `p1` instead. Its signature also covers the
//! hash of the password, so another password ends all of these tokens.

use std::fmt;

use base64::prelude::{BASE64_URL_SAFE_NO_PAD, Engine as _};
use hmac::{Hmac, Mac};
use sha2::Sha256;

use crate::clock::{Expiry, Unix};
use crate::password::PasswordHash;
use crate::secret::Secret;

/// Who may create rooms.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Create {
    /// Any client that may join one.
    Anyone,
    /// Only clients with a room token.
    Token,
    /// Only clients with a room token, which people get for the password.
    Password,
}

impl Create {
    /// Whether a client must show a room token to create a room.
    #[must_use]
    pub const fn needs_token(self) -> bool {
        match self {
            Self::Anyone => false,
            Self::Token | Self::Password => true,
        }
    }

    /// How the configuration and the API name it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Anyone => "anyone",
            Self::Token => "token",
            Self::Password => "password",
        }
    }
}

/// What a token allows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grant {
    /// The only room that its holder may join; `None` for every room.
    pub room: Option<String>,
}

/// Why a token is invalid.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TokenError {
    /// It is malformed, or signed with none of the present secrets.
    Invalid,
    /// It has expired.
    Expired,
}

impl fmt::Display for TokenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Invalid => "the token is not from this server",
            Self::Expired => "the token has expired",
        })
    }
}

impl std::error::Error for TokenError {}

/// Issues and checks tokens.
#[derive(Clone)]
pub struct RoomTokens {
    /// One key for each present secret, newest first.
    keys: Vec<Hmac<Sha256>>,
    /// The hash of the password for which a token may be issued.
    password: Option<String>,
}

/// The most bytes of a token; a longer one is invalid.
pub const TOKEN_MAX: usize = 512;
/// The most bytes of the room's name in a token.
pub const ROOM_MAX: usize = 256;

const VERSION: &str = "r1";
const FOR_PASSWORD: &str = "p1";
const EVERY_ROOM: &str = "*";
/// Makes the key differ from all other keys that are derived from the same secret.
const LABEL: &[u8] = b"hairpin room token v1";

impl RoomTokens {
    /// Tokens signed with these secrets, newest first. Without secrets, none can be issued and none is valid.
    #[must_use]
    pub fn new(secrets: &[Secret]) -> Self {
        Self { keys: secrets.iter().map(|secret| secret.derive(LABEL)).collect(), password: None }
    }

    /// The same, and tokens for those who know a password.
    #[must_use]
    pub fn with_password(self, password: Option<&PasswordHash>) -> Self {
        Self { password: password.map(PasswordHash::to_string), ..self }
    }

    /// A token for one room, or for all, that is valid until `expires`. `None` without a secret, or if the room's name
    /// has more than [`ROOM_MAX`] bytes.
    #[must_use]
    pub fn issue(&self, room: Option<&str>, expires: Expiry) -> Option<String> {
        if room.is_some_and(|room| room.len() > ROOM_MAX) {
            return None;
        }
        let room = room.map_or_else(|| EVERY_ROOM.to_owned(), |room| BASE64_URL_SAFE_NO_PAD.encode(room));
        self.sign(&format!("{VERSION}.{expires}.{room}"))
    }

    /// A token for all rooms, for somebody who knows the password. `None` without a secret or without a password.
    #[must_use]
    pub fn issue_for_password(&self, expires: Expiry) -> Option<String> {
        self.password.as_ref()?;
        self.sign(&format!("{FOR_PASSWORD}.{expires}.{EVERY_ROOM}"))
    }

    fn sign(&self, signed: &str) -> Option<String> {
        let key = self.keys.first()?.clone().chain_update(signed).chain_update(self.covered(signed)?);
        let signature = key.finalize().into_bytes();
        Some(format!("{signed}.{}", BASE64_URL_SAFE_NO_PAD.encode(signature)))
    }

    /// What the signature covers beside the token itself; `None` if there is no such token.
    fn covered(&self, signed: &str) -> Option<&str> {
        if signed.starts_with(FOR_PASSWORD) { self.password.as_deref() } else { Some("") }
    }

    /// What a token allows at `now`.
    ///
    /// # Errors
    /// Only genuine tokens give [`TokenError::Expired`].
    pub fn check(&self, token: &str, now: Unix) -> Result<Grant, TokenError> {
        let (signed, signature) = token.rsplit_once('.').ok_or(TokenError::Invalid)?;
        if token.len() > TOKEN_MAX || !self.is_genuine(signed, signature) {
            return Err(TokenError::Invalid);
        }
        let (expires, room) = read(signed).ok_or(TokenError::Invalid)?;
        if expires.is_over(now) { Err(TokenError::Expired) } else { Ok(Grant { room }) }
    }

    /// Tries every key, even after a match, so that the time reveals nothing.
    fn is_genuine(&self, signed: &str, signature: &str) -> bool {
        let Ok(signature) = BASE64_URL_SAFE_NO_PAD.decode(signature) else { return false };
        let Some(covered) = self.covered(signed) else { return false };
        let matches = |key: &Hmac<Sha256>| {
            key.clone().chain_update(signed).chain_update(covered).verify_slice(&signature).is_ok()
        };
        self.keys.iter().fold(false, |found, key| matches(key) | found)
    }
}

impl fmt::Debug for RoomTokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RoomTokens(..)")
    }
}

/// The expiry and the room of a genuine token.
fn read(signed: &str) -> Option<(Expiry, Option<String>)> {
    let signed = signed.strip_prefix(VERSION).or_else(|| signed.strip_prefix(FOR_PASSWORD))?;
    let (expires, room) = signed.strip_prefix('.')?.split_once('.')?;
    let room = match room {
        EVERY_ROOM => None,
        room => Some(String::from_utf8(BASE64_URL_SAFE_NO_PAD.decode(room).ok()?).ok()?),
    };
    Some((Expiry::at(Unix::from_secs(expires.parse().ok()?)), room))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;

    const NOON: Expiry = at(1_800_000_000);

    const fn at(secs: u64) -> Expiry {
        Expiry::at(Unix::from_secs(secs))
    }

    fn tokens(secrets: &[&str]) -> RoomTokens {
        RoomTokens::new(&secrets.iter().map(|text| Secret::new(*text)).collect::<Vec<_>>())
    }

    /// `printf 'hairpin room token v1' | openssl dgst -sha256 -hmac north -binary` is the key `K` of
    /// `printf r1.1800000000.bG9iYnk | openssl dgst -sha256 -mac HMAC -macopt hexkey:K -binary | basenc --base64url`.
    #[test]
    fn a_token_is_what_openssl_makes() {
        let token = tokens(&["north"]).issue(Some("lobby"), NOON).unwrap();
        assert_eq!(token, "r1.1800000000.bG9iYnk.mgY1gSS13VX7k3fOVSRImzyWTy4w8ZgfWCRT8wHJCEw");
    }

    #[test]
    fn a_token_admits_to_its_room_until_its_last_second() {
        let tokens = tokens(&["north"]);
        let token = tokens.issue(Some("lobby"), NOON).unwrap();
        assert_eq!(tokens.check(&token, NOON.last()), Ok(Grant { room: Some("lobby".to_owned()) }));
        assert_eq!(tokens.check(&token, NOON.last() + Duration::from_secs(1)), Err(TokenError::Expired));
        let everywhere = tokens.issue(None, NOON).unwrap();
        assert_eq!(tokens.check(&everywhere, Unix::default()), Ok(Grant { room: None }));
    }

    #[test]
    fn while_a_secret_is_replaced_tokens_of_both_are_good_and_new_ones_are_of_the_new() {
        let (old, both, new) = (tokens(&["old"]), tokens(&["new", "old"]), tokens(&["new"]));
        let earlier = old.issue(None, NOON).unwrap();
        assert!(both.check(&earlier, Unix::default()).is_ok());
        assert_eq!(new.check(&earlier, Unix::default()), Err(TokenError::Invalid));
        assert!(new.check(&both.issue(None, NOON).unwrap(), Unix::default()).is_ok());
    }

    #[test]
    fn a_token_for_the_password_ends_with_the_password() {
        let password = |salt| PasswordHash::of("correct horse", [salt; 16]);
        let (one, other) = (password(1), password(2));
        let with = |hash: &Option<PasswordHash>| tokens(&["north"]).with_password(hash.as_ref());
        let token = with(&one).issue_for_password(NOON).unwrap();
        assert_eq!(with(&one).check(&token, NOON.last()), Ok(Grant { room: None }));
        assert_eq!(with(&one).check(&token, NOON.last() + Duration::from_secs(1)), Err(TokenError::Expired));
        for changed in [&other, &None] {
            assert_eq!(with(changed).check(&token, Unix::default()), Err(TokenError::Invalid));
        }
        let backend = with(&one).issue(None, NOON).unwrap();
        assert!(with(&other).check(&backend, Unix::default()).is_ok(), "a backend's token does not");
        assert_eq!(
            with(&one).check(&backend.replacen('r', "p", 1), Unix::default()),
            Err(TokenError::Invalid)
        );
        assert_eq!(with(&one).check(&token.replacen('p', "r", 1), Unix::default()), Err(TokenError::Invalid));
        assert_eq!(tokens(&["north"]).issue_for_password(NOON), None);
        assert_eq!(tokens(&[]).with_password(one.as_ref()).issue_for_password(NOON), None);
    }

    #[test]
    fn without_a_secret_no_token_is_issued_and_none_is_valid() {
        let token = tokens(&[""]).issue(None, NOON).unwrap();
        assert_eq!(tokens(&[]).issue(None, NOON), None);
        assert_eq!(tokens(&[]).check(&token, Unix::default()), Err(TokenError::Invalid));
    }

    #[test]
    fn a_token_is_no_password_and_a_password_no_token() {
        let secret = Secret::new("north");
        let signed = format!("r1.{NOON}.*");
        let forged = format!("{signed}.{}", secret.password(&signed).reveal());
        assert_eq!(tokens(&["north"]).check(&forged, Unix::default()), Err(TokenError::Invalid));
    }

    #[test]
    fn the_longest_token_is_within_its_bound_and_a_longer_room_has_none() {
        let tokens = tokens(&["north"]);
        let token = tokens.issue(Some(&"x".repeat(ROOM_MAX)), at(u64::MAX)).unwrap();
        assert!(token.len() <= TOKEN_MAX && tokens.check(&token, Unix::default()).is_ok(), "{}", token.len());
        assert_eq!(tokens.issue(Some(&"x".repeat(ROOM_MAX + 1)), NOON), None);
    }

    proptest! {
        #[test]
        fn what_is_issued_is_good_and_says_what_was_asked(
            room in proptest::option::of(".{0,64}"),
            expires: u64,
            unix: u64,
        ) {
            let tokens = tokens(&["north"]);
            let token = tokens.issue(room.as_deref(), at(expires)).unwrap();
            let expected = if expires < unix { Err(TokenError::Expired) } else { Ok(Grant { room }) };
            prop_assert_eq!(tokens.check(&token, Unix::from_secs(unix)), expected);
            prop_assert!(token.bytes().all(|byte| byte.is_ascii_graphic()));
        }

        #[test]
        fn no_other_text_is_a_token(text in "\\PC{0,600}|(r1\\.)?[0-9]{0,25}\\.[*a-zA-Z0-9_=-]{0,400}\\.[a-zA-Z0-9_-]{43}") {
            prop_assert_eq!(tokens(&["north"]).check(&text, Unix::default()), Err(TokenError::Invalid));
        }

        #[test]
        fn a_token_with_one_other_byte_is_none(at: usize, byte in 0x20..0x7F_u8) {
            let tokens = tokens(&["north"]);
            let token = tokens.issue(Some("lobby"), NOON).unwrap();
            let mut other = token.clone().into_bytes();
            let at = at % other.len();
            other[at] = byte;
            let other = String::from_utf8(other).unwrap();
            prop_assert_eq!(tokens.check(&other, Unix::default()).is_ok(), other == token);
        }
    }

    #[test]
    fn a_key_is_not_shown() {
        assert_eq!(format!("{:?}", tokens(&["north"])), "RoomTokens(..)");
    }
}
