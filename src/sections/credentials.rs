//! PURE  `[credentials]`: who may use the relay.

use std::collections::HashMap;
use std::path::PathBuf;
use std::time::Duration;

use precis_profiles::OpaqueString;
use precis_profiles::precis_core::profile::PrecisFastInvocation;
use serde_json::Value;
use toml::de::DeValue;

use crate::credentials::CheckExpiry;
use crate::secret::Secret;
use crate::sections::reading::{Place, kind};
use crate::sections::value::{FromToml, HIDDEN, Text};
use crate::unseen::{is_joiner, is_unseen};

section! {
    /// `[credentials]`
    pub struct Credentials {
        /// The realm.
        pub realm: Realm = Realm("hairpin".to_owned()),
        /// Shared secrets, newest first; those in `secrets_file` once [`crate::config::Config::load`] has read it.
        pub secrets: Vec<Secret> = Vec::new(),
        /// The file that holds the secrets instead.
        pub secrets_file: Option<PathBuf> = None,
        /// Whether weak secrets are accepted.
        pub allow_weak_secret: bool = false,
        /// Static users and their passwords, prepared by the OpaqueString profile (RFC 8265 §4.2).
        pub users: HashMap<String, Secret> = HashMap::new(),
        /// The lifetime of the credentials of members of rooms, and of those that the command line makes.
        pub ttl: CredentialTtl = Lifetime::of::<HOUR>(),
        /// When the expiry is checked.
        pub check_expiry: CheckExpiry = CheckExpiry::Allocate,
    }
}

impl Credentials {
    /// Whether anything is configured by which a client can authenticate.
    #[must_use]
    pub fn is_configured(&self) -> bool {
        !self.secrets.is_empty() || self.secrets_file.is_some() || !self.users.is_empty()
    }
}

/// A realm (RFC 8489 §14.9): 1 to 127 characters that need no escape.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Realm(String);

impl Realm {
    /// The realm as clients receive it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Text for Realm {
    const EXAMPLE: &'static str = "\"example.org\"";

    fn parse(text: &str) -> Result<Self, String> {
        if !(1..=REALM_MAX).contains(&text.chars().count()) {
            return Err(format!("a realm has 1 to {REALM_MAX} characters: write your domain name"));
        }
        if text.contains(['"', '\\', ':']) || text.chars().any(char::is_control) {
            return Err("a realm has no quote, backslash, colon or control character".to_owned());
        }
        Ok(Self(text.to_owned()))
    }

    fn write(&self) -> String {
        self.0.clone()
    }
}

/// RFC 8489 §14.9.
const REALM_MAX: usize = 127;

/// A lifetime of 1 minute to `MOST` seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Lifetime<const MOST: u64>(Duration);

/// How long a credential may live.
pub type CredentialTtl = Lifetime<{ 30 * DAY }>;

/// Seconds.
pub const HOUR: u64 = 3600;
/// Seconds.
pub const DAY: u64 = 24 * HOUR;

impl<const MOST: u64> Lifetime<MOST> {
    /// The shortest one.
    pub const MIN: Self = Self(Duration::from_secs(60));
    /// The longest one.
    pub const MAX: Self = Self(Duration::from_secs(MOST));

    /// A lifetime, if it is within the bounds.
    #[must_use]
    pub fn new(time: Duration) -> Option<Self> {
        (Self::MIN.0..=Self::MAX.0).contains(&time).then_some(Self(time))
    }

    /// A lifetime of the source code: beyond the bounds it does not compile.
    #[must_use]
    pub const fn of<const SECONDS: u64>() -> Self {
        const { assert!(60 <= SECONDS && SECONDS <= MOST, "the lifetime is beyond its bounds") };
        Self(Duration::from_secs(SECONDS))
    }

    /// The time.
    #[must_use]
    pub const fn get(self) -> Duration {
        self.0
    }

    /// Whole seconds.
    #[must_use]
    pub const fn as_secs(self) -> u64 {
        self.0.as_secs()
    }

    /// The bounds in words.
    #[must_use]
    pub fn bounds() -> String {
        format!("from \"1m\" to \"{}\"", humantime::format_duration(Self::MAX.0))
    }
}

impl<const MOST: u64> FromToml for Lifetime<MOST> {
    fn expected() -> String {
        format!("a time such as \"30m\" or \"1h\", {}", Self::bounds())
    }

    /// An error does not show a string: it may be a secret.
    fn from_toml(value: &DeValue<'_>, place: &mut Place<'_>) -> Option<Self> {
        let Some(text) = value.as_str() else { return place.refuse(kind(value)) };
        let Ok(time) = humantime::parse_duration(text) else {
            return place.wrong(format!("this is not a time: write {}", Self::expected()));
        };
        Self::new(time)
            .or_else(|| place.wrong(format!("a credential lives {}: write a time between", Self::bounds())))
    }

    fn to_json(&self) -> Value {
        humantime::format_duration(self.0).to_string().into()
    }
}

impl FromToml for Secret {
    fn expected() -> String {
        "a string in quotes".to_owned()
    }

    /// No error shows the value.
    fn from_toml(value: &DeValue<'_>, place: &mut Place<'_>) -> Option<Self> {
        let Some(text) = value.as_str() else { return place.refuse(kind(value)) };
        if text.contains(is_hidden) {
            return place.wrong(format!("a secret has {UNSEEN}"));
        }
        Some(Self::new(text))
    }

    fn to_json(&self) -> Value {
        HIDDEN.into()
    }

    fn expected_list() -> String {
        "a list of strings in quotes, such as [\"the secret\"]".to_owned()
    }
}

/// Whether a character is invisible, so that who copies a secret by hand or by eye copies another.
pub(crate) fn is_hidden(character: char) -> bool {
    character.is_control() || is_unseen(character) || is_joiner(character)
}

/// What is wrong with a secret that has one.
pub(crate) const UNSEEN: &str =
    "an invisible character: write it anew, or make another with `openssl rand -base64 32`";

impl FromToml for HashMap<String, Secret> {
    fn expected() -> String {
        "a table of users, such as { alice = \"a password\" }".to_owned()
    }

    /// Names and passwords, prepared as RFC 8489 §9.2.2 wants it, so that a password that is typed on another keyboard is
    /// the same password. No error shows a password.
    fn from_toml(value: &DeValue<'_>, place: &mut Place<'_>) -> Option<Self> {
        let Some(table) = value.as_table() else { return place.refuse(kind(value)) };
        let mut users = Self::new();
        let mut complete = true;
        for (name, password) in table {
            let name = name.get_ref();
            let added = match (user(name), password.get_ref().as_str().map(prepare)) {
                (Err(reason), _) => Err(reason),
                (_, None) => Err(format!("the password of {name:?} must be a string: write it in quotes")),
                (_, Some(None)) => Err(format!(
                    "the password of {name:?} is empty or contains characters that are not allowed: choose another"
                )),
                (Ok(name), Some(Some(password))) => match users.insert(name.clone(), Secret::new(password)) {
                    None => Ok(()),
                    Some(_) => Err(format!("{name:?} is listed twice, written differently: remove one")),
                },
            };
            if let Err(reason) = added {
                place.wrong::<()>(reason);
                complete = false;
            }
        }
        complete.then_some(users)
    }

    fn to_json(&self) -> Value {
        self.keys().map(|name| (name.clone(), Value::from(HIDDEN))).collect()
    }
}

/// The name of a static user, prepared.
fn user(name: &str) -> Result<String, String> {
    // What is behind the colon is not shown: it may be the password.
    if let Some((before, _)) = name.split_once(':') {
        return Err(format!("the name that begins with {before:?} has a colon: choose a name without"));
    }
    prepare(name).ok_or_else(|| {
        format!("the name {name:?} is empty or contains characters that are not allowed: choose another")
    })
}

/// A name or a password, prepared by the OpaqueString profile; `None` if it may not be one.
pub(crate) fn prepare(text: &str) -> Option<String> {
    OpaqueString::enforce(text).ok().map(std::borrow::Cow::into_owned)
}

impl Text for CheckExpiry {
    const EXAMPLE: &'static str = "\"allocate\" or \"always\"";

    fn parse(text: &str) -> Result<Self, String> {
        match text {
            "allocate" => Ok(Self::Allocate),
            "always" => Ok(Self::Always),
            // It may be a secret in the wrong place, and is not shown.
            _ => Err(format!("this is not a choice here: write {}", Self::EXAMPLE)),
        }
    }

    fn write(&self) -> String {
        match self {
            Self::Allocate => "allocate",
            Self::Always => "always",
        }
        .to_owned()
    }
}
