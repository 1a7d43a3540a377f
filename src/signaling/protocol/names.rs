//! PURE  The names that people and the server give: rooms, members, sessions.

use std::fmt;
use std::sync::Arc;

use base64::prelude::{BASE64_URL_SAFE_NO_PAD, Engine as _};
use rand::RngCore;
use serde::{Deserialize, Serialize};
use unicode_normalization::UnicodeNormalization as _;

/// A room, as its visitors call it: 1 to 64 characters in normalization form C, so that a name is the same room from
/// every keyboard (macOS sends form D), without control characters and without a slash, so that it fits in a URL.
///
/// Whoever knows the name may come in, so it is never logged; `Credentials::pseudonym` is.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct RoomName(Arc<str>);

/// What a member wants to be called: at most 64 characters in normalization form C, no control characters.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Name(Box<str>);

/// A member of a room, as the others see it: new with each join.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct PeerId(Id);

/// A session, as its own client sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SessionId(Id);

/// 96 random bits; 16 characters of base64url.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
struct Id([u8; 12]);

/// A name that cannot be one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BadName;

/// Characters of a room's name, and of a member's.
pub const NAME_MAX: usize = 64;

impl RoomName {
    /// The name itself.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for RoomName {
    type Error = BadName;

    fn try_from(text: String) -> Result<Self, BadName> {
        let name = normalized(&text)?;
        if name.is_empty() || name.contains('/') { Err(BadName) } else { Ok(Self(name.into())) }
    }
}

impl From<RoomName> for String {
    fn from(name: RoomName) -> Self {
        name.as_str().to_owned()
    }
}

impl fmt::Debug for RoomName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RoomName(..)")
    }
}

impl TryFrom<String> for Name {
    type Error = BadName;

    fn try_from(text: String) -> Result<Self, BadName> {
        normalized(&text).map(Self)
    }
}

impl From<Name> for String {
    fn from(name: Name) -> Self {
        name.0.into()
    }
}

impl PeerId {
    /// A new one.
    #[must_use]
    pub fn random(chance: &mut dyn RngCore) -> Self {
        Self(Id::random(chance))
    }
}

impl fmt::Display for PeerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&String::from(self.0))
    }
}

impl SessionId {
    /// A new one.
    #[must_use]
    pub fn random(chance: &mut dyn RngCore) -> Self {
        Self(Id::random(chance))
    }
}

impl Id {
    fn random(chance: &mut dyn RngCore) -> Self {
        let mut bytes = [0; 12];
        chance.fill_bytes(&mut bytes);
        Self(bytes)
    }
}

impl TryFrom<String> for Id {
    type Error = BadName;

    fn try_from(text: String) -> Result<Self, BadName> {
        let bytes = BASE64_URL_SAFE_NO_PAD.decode(text).map_err(|_| BadName)?;
        bytes.try_into().map(Self).map_err(|_| BadName)
    }
}

impl From<Id> for String {
    fn from(id: Id) -> Self {
        BASE64_URL_SAFE_NO_PAD.encode(id.0)
    }
}

impl fmt::Debug for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&String::from(*self))
    }
}

impl fmt::Display for BadName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not a name")
    }
}

/// The name in normalization form C, if it is short enough and has no control characters.
fn normalized(text: &str) -> Result<Box<str>, BadName> {
    // Form C never has more characters than any other form; three times as many is no name in any.
    if text.chars().count() > 3 * NAME_MAX || text.chars().any(char::is_control) {
        return Err(BadName);
    }
    let name: String = text.nfc().collect();
    if name.chars().count() > NAME_MAX { Err(BadName) } else { Ok(name.into()) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rand::SeedableRng as _;
    use rand::rngs::StdRng;

    use super::*;

    fn room(text: &str) -> Result<RoomName, BadName> {
        RoomName::try_from(text.to_owned())
    }

    #[test]
    fn a_room_is_the_same_from_every_keyboard() {
        let (composed, decomposed) =
            ("한글 caf\u{e9}", "\u{1112}\u{1161}\u{11ab}\u{1100}\u{1173}\u{11af} cafe\u{301}");
        assert_eq!(room(decomposed).unwrap(), room(composed).unwrap());
        assert_eq!(room(composed).unwrap().as_str(), composed);
    }

    #[test]
    fn a_room_has_one_to_64_characters_none_of_them_a_slash_or_a_control() {
        for bad in ["", "a/b", "a\0", "a\nb", "\u{7f}", "\u{85}", &"a".repeat(65)] {
            assert_eq!(room(bad), Err(BadName), "{bad:?}");
        }
        for good in ["a", " ", "..", &"한".repeat(64), &"\u{1112}\u{1161}\u{11ab}".repeat(64)] {
            assert!(room(good).is_ok(), "{good:?}");
        }
    }

    #[test]
    fn a_rooms_name_is_not_shown_in_a_log() {
        assert_eq!(format!("{:?}", room("a secret meeting").unwrap()), "RoomName(..)");
    }

    #[test]
    fn an_id_is_16_characters_that_fit_in_a_url_and_nothing_else_is_one() {
        let id = PeerId::random(&mut StdRng::seed_from_u64(1));
        let text = serde_json::to_string(&id).unwrap();
        assert_eq!(text, format!("\"{id}\""));
        assert_eq!(serde_json::from_str::<PeerId>(&text).unwrap(), id);
        for bad in ["\"\"", "\"AAAA\"", "\"AAAAAAAAAAAAAAA+\"", "\"AAAAAAAAAAAAAAAAA\"", "7"] {
            assert!(serde_json::from_str::<PeerId>(bad).is_err(), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn a_name_that_is_taken_is_short_and_stays_itself(text in "\\PC{0,80}|[가-힣é/\u{1100}-\u{11ff}\0-\u{7f}]{0,80}") {
            if let Ok(name) = Name::try_from(text) {
                let text = String::from(name.clone());
                prop_assert!(text.chars().count() <= NAME_MAX && !text.chars().any(char::is_control));
                prop_assert_eq!(Name::try_from(text).unwrap(), name);
            }
        }
    }
}
