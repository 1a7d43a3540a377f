//! PURE  What a key of `config.toml` may hold: strings, lists, and words that stand for a choice of the daemon's.

use std::path::PathBuf;

use serde_json::Value;
use toml::de::DeValue;

use crate::sections::reading::{Place, kind};

/// A value of `config.toml`. Its type knows which values are right.
pub trait FromToml: Sized {
    /// What may be written, as an error says it after "write".
    fn expected() -> String;

    /// Reads the value; `None` if it is wrong, which is then reported to `place`.
    fn from_toml(value: &DeValue<'_>, place: &mut Place<'_>) -> Option<Self>;

    /// The value as it would be written in `config.toml`, in JSON. Secrets are hidden.
    fn to_json(&self) -> Value;

    /// A list of such values, as an error says it after "write".
    fn expected_list() -> String {
        format!("a list, each item {}", Self::expected())
    }

    /// What is wrong with a list of such values, each of which is right by itself.
    fn clash(_list: &[Self]) -> Option<String> {
        None
    }
}

/// A value that is written as a string in quotes.
pub trait Text: Sized {
    /// What may be written, with its quotes.
    const EXAMPLE: &'static str;

    /// Reads the string.
    ///
    /// # Errors
    /// What is wrong, and what to write. The string is shown only where it cannot be a secret in the wrong place.
    fn parse(text: &str) -> Result<Self, String>;

    /// The string that is read as this value.
    fn write(&self) -> String;

    /// As [`FromToml::clash`].
    fn clash(_list: &[Self]) -> Option<String> {
        None
    }
}

/// What is shown instead of a secret.
pub const HIDDEN: &str = "(hidden)";

/// A value, or `"auto"`: the daemon works it out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Auto<T>(
    /// `None` is `"auto"`.
    pub Option<T>,
);

/// A bound, or `"off"`: there is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Off<T>(
    /// `None` is `"off"`.
    pub Option<T>,
);

impl<T: Text> FromToml for T {
    fn expected() -> String {
        T::EXAMPLE.to_owned()
    }

    fn from_toml(value: &DeValue<'_>, place: &mut Place<'_>) -> Option<Self> {
        let Some(text) = value.as_str() else { return place.refuse(kind(value)) };
        T::parse(text).map_or_else(|reason| place.wrong(reason), Some)
    }

    fn to_json(&self) -> Value {
        self.write().into()
    }

    fn expected_list() -> String {
        format!("a list such as [{}]", T::EXAMPLE)
    }

    fn clash(list: &[Self]) -> Option<String> {
        Text::clash(list)
    }
}

impl FromToml for bool {
    fn expected() -> String {
        "true or false, without quotes".to_owned()
    }

    fn from_toml(value: &DeValue<'_>, place: &mut Place<'_>) -> Option<Self> {
        value.as_bool().or_else(|| place.refuse(kind(value)))
    }

    fn to_json(&self) -> Value {
        (*self).into()
    }
}

impl<T: FromToml> FromToml for Option<T> {
    fn expected() -> String {
        T::expected()
    }

    fn from_toml(value: &DeValue<'_>, place: &mut Place<'_>) -> Option<Self> {
        T::from_toml(value, place).map(Some)
    }

    /// A key without a value is not written, which is `null` here.
    fn to_json(&self) -> Value {
        self.as_ref().map_or(Value::Null, T::to_json)
    }
}

impl<T: FromToml> FromToml for Auto<T> {
    fn expected() -> String {
        format!("\"auto\" or {}", T::expected())
    }

    fn from_toml(value: &DeValue<'_>, place: &mut Place<'_>) -> Option<Self> {
        unless("auto", value, place).map(Self)
    }

    fn to_json(&self) -> Value {
        self.0.as_ref().map_or_else(|| "auto".into(), T::to_json)
    }
}

impl<T: FromToml> FromToml for Off<T> {
    fn expected() -> String {
        format!("\"off\" or {}", T::expected())
    }

    fn from_toml(value: &DeValue<'_>, place: &mut Place<'_>) -> Option<Self> {
        unless("off", value, place).map(Self)
    }

    fn to_json(&self) -> Value {
        self.0.as_ref().map_or_else(|| "off".into(), T::to_json)
    }
}

/// Reads a value, or `None` if `word` is written instead of one.
fn unless<T: FromToml>(word: &str, value: &DeValue<'_>, place: &mut Place<'_>) -> Option<Option<T>> {
    if value.as_str() == Some(word) { Some(None) } else { T::from_toml(value, place).map(Some) }
}

impl<T: FromToml> FromToml for Vec<T> {
    fn expected() -> String {
        T::expected_list()
    }

    /// Reports each item that is wrong.
    fn from_toml(value: &DeValue<'_>, place: &mut Place<'_>) -> Option<Self> {
        let Some(list) = value.as_array() else { return place.refuse(kind(value)) };
        let items: Vec<Option<T>> = list.iter().map(|item| place.item(item)).collect();
        let items: Self = items.into_iter().collect::<Option<_>>()?;
        T::clash(&items).map_or(Some(items), |reason| place.wrong(reason))
    }

    fn to_json(&self) -> Value {
        self.iter().map(T::to_json).collect()
    }
}

impl Text for PathBuf {
    const EXAMPLE: &'static str = "the path of a file, in quotes";

    fn parse(text: &str) -> Result<Self, String> {
        Ok(text.into())
    }

    fn write(&self) -> String {
        self.display().to_string()
    }
}
