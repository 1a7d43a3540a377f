//! PURE  Names of rooms and members, which people choose, and ids of members and sessions, which the server chooses.

use std::fmt;
use std::sync::Arc;

use base64::prelude::{BASE64_URL_SAFE_NO_PAD, Engine as _};
use rand::RngCore;
use serde::{Deserialize, Serialize};
use unicode_normalization::UnicodeNormalization as _;
use unicode_normalization::char::canonical_combining_class;

use crate::unseen::{is_joiner, is_unseen};

/// A room's name: 1 to 64 visible characters in normalization form C, without a slash, so that it fits in a URL.
/// Normalized, a name is the same room from every keyboard (macOS sends form D).
///
/// Anybody who knows the name may join, so it is never logged; `Credentials::pseudonym` is logged instead.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct RoomName(Arc<str>);

/// A member's name: at most 64 visible characters in normalization form C.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Name(Box<str>);

/// A member's id in its room, as the others see it: new with each join.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct PeerId(Id);

/// A session's id, as its own client sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SessionId(Id);

/// 96 random bits; 16 characters of base64url.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
struct Id([u8; 12]);

/// Why a name is invalid.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BadName {
    /// A room's name must not be empty.
    Empty,
    /// No character is visible.
    Blank,
    /// More than [`NAME_MAX`] characters.
    TooLong,
    /// A slash, which a room's name must not contain.
    Slash,
    /// A control character.
    Control(char),
    /// An invisible character, or one that changes the writing direction.
    Hidden(char),
    /// A joiner or a variation selector without a neighbour that it can act on.
    Loose(char),
}

/// The text is not a valid id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct BadId;

/// Characters of a room's name, and of a member's.
pub const NAME_MAX: usize = 64;

impl RoomName {
    /// The name itself.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The name of a room that is kept apart from all others under `space`, which has no slash: `text` is visible as a
    /// room's name is, and may have slashes. No frame can name such a room.
    ///
    /// # Errors
    /// If `text` could not be a room's name even without its slashes.
    pub fn within(space: &str, text: &str) -> Result<Self, BadName> {
        let name = normalized(text)?;
        if name.is_empty() { Err(BadName::Empty) } else { Ok(Self(format!("{space}/{name}").into())) }
    }

    /// Whether people who are told `name` call this room so: it has the name, perhaps [within](Self::within) a space.
    #[must_use]
    pub fn is_called(&self, name: &Self) -> bool {
        self == name || self.0.split_once('/').is_some_and(|(_, inside)| inside == name.as_str())
    }
}

impl TryFrom<String> for RoomName {
    type Error = BadName;

    fn try_from(text: String) -> Result<Self, BadName> {
        let name = normalized(&text)?;
        if name.is_empty() {
            return Err(BadName::Empty);
        }
        if name.contains('/') { Err(BadName::Slash) } else { Ok(Self(name.into())) }
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
    /// A new id.
    #[must_use]
    pub fn random(rng: &mut dyn RngCore) -> Self {
        Self(Id::random(rng))
    }
}

impl fmt::Display for PeerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&String::from(self.0))
    }
}

impl SessionId {
    /// A new id.
    #[must_use]
    pub fn random(rng: &mut dyn RngCore) -> Self {
        Self(Id::random(rng))
    }
}

impl Id {
    fn random(rng: &mut dyn RngCore) -> Self {
        let mut bytes = [0; 12];
        rng.fill_bytes(&mut bytes);
        Self(bytes)
    }
}

impl TryFrom<String> for Id {
    type Error = BadId;

    fn try_from(text: String) -> Result<Self, BadId> {
        let bytes = BASE64_URL_SAFE_NO_PAD.decode(text).map_err(|_| BadId)?;
        bytes.try_into().map(Self).map_err(|_| BadId)
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
        let code = |c: char| u32::from(c);
        match *self {
            Self::Empty => f.write_str("it is empty"),
            Self::Blank => f.write_str("it is blank"),
            Self::TooLong => write!(f, "it has more than {NAME_MAX} characters"),
            Self::Slash => f.write_str("it contains a slash"),
            Self::Control(c) => write!(f, "it contains U+{:04X}, a control character", code(c)),
            Self::Hidden(c) => {
                write!(
                    f,
                    "it contains U+{:04X}, which is invisible or changes the writing direction",
                    code(c)
                )
            }
            Self::Loose(c) => {
                write!(f, "it contains U+{:04X} in a place where it has no effect", code(c))
            }
        }
    }
}

impl fmt::Display for BadId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not an id")
    }
}

/// The name in normalization form C, if it is short enough and visible.
fn normalized(text: &str) -> Result<Box<str>, BadName> {
    // A cheap bound before the normalization: longer texts are refused in any form.
    if text.chars().count() > 3 * NAME_MAX {
        return Err(BadName::TooLong);
    }
    let name: Vec<char> = text.nfc().collect();
    if name.len() > NAME_MAX {
        return Err(BadName::TooLong);
    }
    for (index, c) in name.iter().enumerate() {
        let before = index.checked_sub(1).and_then(|before| name.get(before)).copied();
        check(before, *c, name.get(index + 1).copied())?;
    }
    let is_blank = !name.is_empty() && name.iter().all(|c| is_blank(*c));
    if is_blank { Err(BadName::Blank) } else { Ok(name.into_iter().collect()) }
}

/// Whether a character may stand between its neighbours, or at an end. Every character of a name must be visible, and
/// in the order in which it is written. Otherwise one name could pass for another.
fn check(before: Option<char>, c: char, after: Option<char>) -> Result<(), BadName> {
    if c.is_control() {
        return Err(BadName::Control(c));
    }
    if is_unseen(c) {
        return Err(BadName::Hidden(c));
    }
    let is_base = |c: char| !is_blank(c) && !is_joiner(c);
    let fits = match (before, after) {
        // Malayalam and Sinhala write this, even at the end of a word.
        (Some(before), _) if is_joiner(c) && canonical_combining_class(before) == VIRAMA => true,
        // Persian words contain one, and so do most emoji of several people; English has none.
        (Some(before), Some(after)) if is_joiner(c) => {
            is_base(before) && is_base(after) && !(before.is_ascii() && after.is_ascii())
        }
        (_, None) | (None, _) if is_joiner(c) => false,
        (before, _) if is_selector(c) => before.is_some_and(|before| is_base(before) && !is_selector(before)),
        (None | Some(_), None | Some(_)) => true,
    };
    if fits { Ok(()) } else { Err(BadName::Loose(c)) }
}

fn is_blank(c: char) -> bool {
    // An empty cell of braille.
    c.is_whitespace() || c == '\u{2800}'
}

/// Whether a character selects a form of the one before it.
fn is_selector(c: char) -> bool {
    matches!(c, '\u{180b}'..='\u{180d}' | '\u{180f}' | '\u{fe00}'..='\u{fe0f}' | '\u{e0100}'..='\u{e01ef}')
}

/// The canonical combining class of viramas.
const VIRAMA: u8 = 9;

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
        for (bad, why) in [
            ("", BadName::Empty),
            ("a/b", BadName::Slash),
            ("a\0", BadName::Control('\0')),
            ("a\nb", BadName::Control('\n')),
            ("\n", BadName::Control('\n')),
            ("\u{7f}", BadName::Control('\u{7f}')),
            ("\u{85}", BadName::Control('\u{85}')),
            (&"a".repeat(65), BadName::TooLong),
            (&"a".repeat(500), BadName::TooLong),
        ] {
            assert_eq!(room(bad), Err(why), "{bad:?}");
        }
        for good in ["a", "a b", "..", &"한".repeat(64), &"\u{1112}\u{1161}\u{11ab}".repeat(64)] {
            assert!(room(good).is_ok(), "{good:?}");
        }
    }

    /// F16.
    #[test]
    fn all_of_a_name_can_be_seen() {
        let name = |text: &str| Name::try_from(text.to_owned());
        for hidden in [
            '\u{ad}',
            '\u{34f}',
            '\u{61c}',
            '\u{115f}',
            '\u{1160}',
            '\u{180e}',
            '\u{200b}',
            '\u{200e}',
            '\u{200f}',
            '\u{2028}',
            '\u{2029}',
            '\u{202a}',
            '\u{202e}',
            '\u{2060}',
            '\u{2066}',
            '\u{2069}',
            '\u{3164}',
            '\u{feff}',
            '\u{ffa0}',
            '\u{fff9}',
            '\u{e0001}',
            '\u{e0067}',
            '\u{e007f}',
        ] {
            for text in
                [format!("{hidden}"), format!("a{hidden}b"), format!("가{hidden}나"), format!("👩{hidden}")]
            {
                assert_eq!(name(&text), Err(BadName::Hidden(hidden)), "{text:?}");
            }
        }
        for blank in [" ", "\u{a0}\u{3000}", "\u{2800}", " \u{2003} "] {
            assert_eq!(
                (name(blank), room(blank).err()),
                (Err(BadName::Blank), Some(BadName::Blank)),
                "{blank:?}"
            );
        }
    }

    #[test]
    fn what_joins_or_changes_letters_and_emoji_stands_where_it_does_that() {
        let name = |text: &str| Name::try_from(text.to_owned());
        for (what, good) in [
            ("Korean", "홍길동 님"),
            ("old Hangul", "\u{1112}\u{119e}\u{11ab}글"),
            ("a family", "👨\u{200d}👩\u{200d}👧\u{200d}👦"),
            ("a health worker of some colour", "👩🏽\u{200d}⚕\u{fe0f}"),
            ("a heart on fire", "❤\u{fe0f}\u{200d}🔥"),
            ("a key", "1\u{fe0f}\u{20e3}"),
            ("the flag of Korea", "🇰🇷"),
            ("Persian", "می\u{200c}خواهم"),
            ("Persian and English", "PDF\u{200c}ها"),
            ("Hindi", "क्\u{200d}ष"),
            ("Malayalam, at the end of a word", "രാജന്\u{200d}"),
            ("Malayalam, at the end of one of two", "രാജന്\u{200d} കുമാര്\u{200d}"),
            ("a variant of an ideograph", "葛\u{e0100}城"),
            ("Mongolian", "ᠭᠠᠷ\u{180b}"),
            ("Hebrew and English", "דני Dan"),
            ("accents", "Zoe\u{308}"),
            ("nobody", ""),
        ] {
            assert!(name(good).is_ok(), "{what}: {:?}", name(good));
        }
        for (c, bad) in [
            ('\u{200d}', "\u{200d}"),
            ('\u{200d}', "\u{200d}a"),
            ('\u{200d}', "👩\u{200d}"),
            ('\u{200d}', "Al\u{200d}ice"),
            ('\u{200c}', "가\u{200c} 나"),
            ('\u{200d}', "👩\u{200d}\u{200d}👧"),
            ('\u{200c}', "می\u{200c}\u{200c}خ"),
            ('\u{fe0f}', "\u{fe0f}"),
            ('\u{fe0f}', "a \u{fe0f}"),
            ('\u{fe0f}', "❤\u{fe0f}\u{fe0f}"),
            ('\u{e0100}', "\u{e0100}葛"),
        ] {
            assert_eq!(name(bad), Err(BadName::Loose(c)), "{bad:?}");
        }
    }

    #[test]
    fn a_room_within_a_space_is_apart_from_all_others_and_called_the_same() {
        let inside = RoomName::within("space", "한글 방").unwrap();
        assert_ne!(inside, room("한글 방").unwrap());
        assert_ne!(inside, RoomName::within("other", "한글 방").unwrap());
        assert!(room(inside.as_str()).is_err(), "no frame can name it");
        assert!(inside.is_called(&room("한글 방").unwrap()) && !inside.is_called(&room("방").unwrap()));
        assert!(RoomName::within("space", "a/b").is_ok() && RoomName::within("space", "a\0b").is_err());
        assert_eq!(RoomName::within("space", "").err(), Some(BadName::Empty));
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
