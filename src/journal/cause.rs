//! PURE  Why a client was refused, as the journal says it. fail2ban reads these words: they do not change.

use std::hash::{DefaultHasher, Hash, Hasher as _};

use crate::labels::labels;

labels! {
    /// The cause of a refusal. The first three are attacks.
    #[derive(PartialOrd, Ord)]
    pub enum Cause {
        /// Wrong passwords, or unknown users, under at least [`MANY`] different names.
        GuessingPasswords = "guessing_passwords",
        /// At least [`MANY`] different wrong API keys.
        GuessingKeys = "guessing_keys",
        /// At least [`MANY`] different wrong names or keys of rooms.
        GuessingRooms = "guessing_rooms",
        /// A wrong password of a static user.
        WrongPassword = "wrong_password",
        /// No such user.
        UnknownUser = "unknown_user",
        /// A time-limited credential that was made with another secret. Nobody guesses these passwords.
        WrongSecret = "wrong_secret",
        /// The client named another realm.
        WrongRealm = "wrong_realm",
        /// The credential has expired.
        ExpiredCredential = "expired_credential",
        /// The credential was revoked.
        RevokedCredential = "revoked_credential",
        /// So many wrong passwords that there is no answer any more.
        GuessLimit = "guess_limit",
        /// A quota of allocations is used up: 486.
        Quota = "quota",
        /// The server has no allocation or port left: 508.
        ServerFull = "server_full",
        /// The allocation has as many permissions, channels or peers as it may have: 508.
        AllocationLimit = "allocation_limit",
        /// The address, its network or the server has as many connections as allowed.
        ConnectionLimit = "connection_limit",
        /// The address or its network began too many TLS handshakes.
        HandshakeLimit = "handshake_limit",
        /// A wrong API key.
        WrongApiKey = "wrong_api_key",
        /// An API key was used too often.
        ApiKeyLimit = "api_key_limit",
        /// A wrong room token.
        WrongToken = "wrong_token",
        /// The room token has expired.
        ExpiredToken = "expired_token",
        /// A wrong password with which rooms are opened.
        WrongRoomPassword = "wrong_room_password",
        /// A wrong key of a room.
        WrongRoomKey = "wrong_room_key",
        /// No such room.
        UnknownRoom = "unknown_room",
        /// Too many wrong names or keys of rooms.
        RoomGuessLimit = "room_guess_limit",
        /// Too many joins.
        JoinLimit = "join_limit",
        /// The address, its network or the server has as many WebSockets as allowed.
        SocketLimit = "socket_limit",
    }
}

/// This many different wrong names or keys of one client in a minute are guesses. People who mistype one, or whose
/// software keeps an old one, try the same again and again.
pub const MANY: usize = 10;

impl Cause {
    /// The cause if the client has tried [`MANY`] different ones.
    #[must_use]
    pub const fn if_many(self) -> Self {
        match self {
            Self::WrongPassword | Self::WrongRoomPassword | Self::UnknownUser => Self::GuessingPasswords,
            Self::WrongApiKey => Self::GuessingKeys,
            Self::WrongRoomKey | Self::UnknownRoom => Self::GuessingRooms,
            Self::GuessingPasswords
            | Self::GuessingKeys
            | Self::GuessingRooms
            | Self::WrongSecret
            | Self::WrongRealm
            | Self::ExpiredCredential
            | Self::RevokedCredential
            | Self::GuessLimit
            | Self::Quota
            | Self::ServerFull
            | Self::AllocationLimit
            | Self::ConnectionLimit
            | Self::HandshakeLimit
            | Self::ApiKeyLimit
            | Self::WrongToken
            | Self::ExpiredToken
            | Self::RoomGuessLimit
            | Self::JoinLimit
            | Self::SocketLimit => self,
        }
    }

    /// Whether this cause is an attack.
    #[must_use]
    pub const fn is_attack(self) -> bool {
        matches!(self, Self::GuessingPasswords | Self::GuessingKeys | Self::GuessingRooms)
    }
}

/// Tells one tried name or key from another, without keeping it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tried(u64);

impl Tried {
    /// What was tried.
    pub fn of(what: impl Hash) -> Self {
        let mut hasher = DefaultHasher::new();
        what.hash(&mut hasher);
        Self(hasher.finish())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cause_is_one_word_that_fail2ban_can_match() {
        let is_word = |name: &str| name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_');
        assert!(Cause::ALL.into_iter().all(|cause| is_word(cause.name())));
    }

    #[test]
    fn only_guesses_are_attacks() {
        let attacks: Vec<_> = Cause::ALL.into_iter().filter(|cause| cause.is_attack()).collect();
        assert_eq!(attacks.len(), 3);
        for cause in Cause::ALL {
            assert_eq!(cause.name().starts_with("guessing_"), cause.is_attack());
            assert!(cause.if_many() == cause || cause.if_many().is_attack());
        }
    }
}
