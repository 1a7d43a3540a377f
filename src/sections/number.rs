//! PURE  Whole numbers with bounds.

use std::fmt;
use std::num::NonZeroU64;

use serde_json::Value;
use toml::de::DeValue;

use crate::sections::reading::{Place, kind};
use crate::sections::value::FromToml;

/// A whole number from `LEAST` to `MOST`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Bounded<const LEAST: u32, const MOST: u32>(u32);

/// At least 1.
pub type Count = Bounded<1, { u32::MAX }>;

impl<const LEAST: u32, const MOST: u32> Bounded<LEAST, MOST> {
    /// The largest one.
    pub const MAX: Self = Self(MOST);

    /// `number`, if it is within the bounds.
    #[must_use]
    pub const fn new(number: u32) -> Option<Self> {
        if number < LEAST || number > MOST { None } else { Some(Self(number)) }
    }

    /// A number of the source code: beyond the bounds it does not compile.
    #[must_use]
    pub const fn of<const NUMBER: u32>() -> Self {
        const { assert!(LEAST <= NUMBER && NUMBER <= MOST, "the number is beyond its bounds") };
        Self(NUMBER)
    }

    /// The number.
    #[must_use]
    pub const fn get(self) -> u32 {
        self.0
    }
}

impl<const LEAST: u32, const MOST: u32> fmt::Display for Bounded<LEAST, MOST> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl<const LEAST: u32, const MOST: u32> FromToml for Bounded<LEAST, MOST> {
    fn expected() -> String {
        format!("a whole number from {LEAST} to {MOST}")
    }

    fn from_toml(value: &DeValue<'_>, place: &mut Place<'_>) -> Option<Self> {
        read(value, place, Self::new)
    }

    fn to_json(&self) -> Value {
        self.0.into()
    }
}

impl FromToml for NonZeroU64 {
    fn expected() -> String {
        format!("a whole number from 1 to {}", u64::MAX)
    }

    fn from_toml(value: &DeValue<'_>, place: &mut Place<'_>) -> Option<Self> {
        read(value, place, Self::new)
    }

    fn to_json(&self) -> Value {
        self.get().into()
    }
}

/// Reads a number that `new` takes. An error shows a number, because no secret is written without quotes in TOML.
fn read<N: TryFrom<u64>, T>(
    value: &DeValue<'_>,
    place: &mut Place<'_>,
    new: impl Fn(N) -> Option<T>,
) -> Option<T> {
    match value {
        DeValue::Integer(integer) => {
            let number = u64::from_str_radix(integer.as_str(), integer.radix()).ok();
            let read = number.and_then(|number| N::try_from(number).ok()).and_then(new);
            read.or_else(|| place.refuse(integer))
        }
        DeValue::Float(float) => place.refuse(float),
        DeValue::String(_)
        | DeValue::Boolean(_)
        | DeValue::Datetime(_)
        | DeValue::Array(_)
        | DeValue::Table(_) => place.refuse(kind(value)),
    }
}
