//! PURE  Reads the tables of a TOML text key by key, and collects everything that is wrong in them.
//!
//! One mistake hides no other, and what a value holds is shown only where its type shows it: serde's derived code stops
//! at the first mistake, and its messages show the value, which may be a secret in the wrong place.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Display;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::sections::value::FromToml;

/// A text that is being read.
#[derive(Debug)]
pub struct Reading {
    /// Where each line begins.
    starts: Vec<usize>,
    /// Where the text stops being TOML. Values that end later are not read: what belongs to them is unknown.
    end: usize,
    /// What is wrong.
    pub faults: Vec<Fault>,
    /// The keys whose values are not known, because what is there is wrong.
    pub unread: Unread,
    /// The line of each key that was found.
    pub lines: BTreeMap<String, usize>,
}

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// The line, counted from 1; `None` if what is wrong is nowhere in the text.
    pub line: Option<usize>,
    /// The dotted key; empty for what belongs to none.
    pub key: String,
    /// What is wrong, and what to write.
    pub reason: String,
}

/// Keys whose values are not known.
#[derive(Debug, Default)]
pub struct Unread(BTreeSet<String>);

/// Where a value is, and what may be written there.
#[derive(Debug)]
pub struct Place<'a> {
    reading: &'a mut Reading,
    key: String,
    at: usize,
    expected: String,
}

/// The keys of a table.
#[derive(Debug)]
pub struct Keys<'a, 't> {
    place: Place<'a>,
    table: &'t DeTable<'t>,
    known: Vec<&'static str>,
}

/// At most this many faults are collected. A file with more of them is no configuration.
const FAULTS_MAX: usize = 100;

impl Reading {
    /// Nothing of `text` is read yet. From byte `end` on it is not TOML; `usize::MAX` if all of it is.
    #[must_use]
    pub fn new(text: &str, end: usize) -> Self {
        let starts = text.match_indices('\n').map(|(at, _)| at + 1).collect();
        Self { starts, end, faults: Vec::new(), unread: Unread::default(), lines: BTreeMap::new() }
    }

    /// The line of byte `at`, counted from 1.
    #[must_use]
    pub fn line(&self, at: usize) -> usize {
        self.starts.partition_point(|start| *start <= at) + 1
    }

    /// The keys of the whole text.
    pub fn keys<'t>(&mut self, table: &'t DeTable<'t>) -> Keys<'_, 't> {
        Keys { place: self.place(String::new(), 0, String::new()), table, known: Vec::new() }
    }

    fn place(&mut self, key: String, at: usize, expected: String) -> Place<'_> {
        Place { reading: self, key, at, expected }
    }
}

impl Unread {
    /// Adds a key.
    pub fn add(&mut self, key: &str) {
        self.0.insert(key.to_owned());
    }

    /// Whether it is known what the text says of all these keys, even if that is nothing.
    #[must_use]
    pub fn leaves(&self, keys: &[&str]) -> bool {
        let within = |one: &str, other: &str| {
            one.strip_prefix(other).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
        };
        let spoiled = |key: &&str| self.0.iter().any(|unread| within(unread, key) || within(key, unread));
        !keys.iter().any(spoiled)
    }
}

impl Place<'_> {
    /// Reports what is wrong with the value, and what to write. Returns `None`, which the reader of the value returns.
    pub fn wrong<T>(&mut self, reason: impl Into<String>) -> Option<T> {
        let Self { reading, key, at, expected: _ } = self;
        reading.unread.add(key);
        if reading.faults.len() < FAULTS_MAX && *at < reading.end {
            let line = Some(reading.line(*at));
            reading.faults.push(Fault { line, key: key.clone(), reason: reason.into() });
        }
        None
    }

    /// Reports that `found` is not what is expected here. The caller decides whether `found` shows the value, or only
    /// what [`kind`] of value it is.
    pub fn refuse<T>(&mut self, found: impl Display) -> Option<T> {
        self.wrong(format!("{found} is not allowed here: write {}", self.expected))
    }

    /// The keys of the table that is expected here.
    pub fn keys<'t>(&mut self, value: &'t DeValue<'t>) -> Option<Keys<'_, 't>> {
        let Some(table) = value.as_table() else { return self.refuse(kind(value)) };
        let Self { reading, key, at, expected } = self;
        Some(Keys { place: reading.place(key.clone(), *at, expected.clone()), table, known: Vec::new() })
    }

    /// Reads an item of the list that is here.
    pub fn item<T: FromToml>(&mut self, item: &Spanned<DeValue<'_>>) -> Option<T> {
        let mut place = self.reading.place(self.key.clone(), item.span().start, T::expected());
        T::from_toml(item.get_ref(), &mut place)
    }

    /// Reads what the table that is here says of `name`, which is not the name of a key but of a user.
    pub fn entry<T: FromToml>(&mut self, name: &str, value: &Spanned<DeValue<'_>>) -> Option<T> {
        let key = format!("{}.{name}", self.key);
        T::from_toml(value.get_ref(), &mut self.reading.place(key, value.span().start, T::expected()))
    }
}

impl Keys<'_, '_> {
    /// Reads the value of the key `name`; `None` if it is missing, or wrong and reported.
    pub fn read<T: FromToml>(&mut self, name: &'static str) -> Option<T> {
        self.known.push(name);
        let (key, value) = self.table.get_key_value(name)?;
        let path = self.path(name);
        let reading = &mut *self.place.reading;
        let line = reading.line(key.span().start);
        reading.lines.entry(path.clone()).or_insert(line);
        if is_within(value) && value.span().end >= reading.end {
            reading.unread.add(&path);
            return None;
        }
        T::from_toml(value.get_ref(), &mut reading.place(path, value.span().start, T::expected()))
    }

    /// As [`Self::read`], and reports a key that is missing: `reason` says what to write.
    pub fn require<T: FromToml>(&mut self, name: &'static str, reason: &str) -> Option<T> {
        if !self.table.contains_key(name) {
            return self.place.wrong(reason);
        }
        self.read(name)
    }

    /// Reports the keys that were not read: there are no such keys.
    pub fn finish(self) {
        let unknown = self.table.keys().filter(|key| !self.known.contains(&key.get_ref().as_ref()));
        for key in unknown {
            let (path, known) = (self.path(key.get_ref()), self.known.join(", "));
            let reason = format!("unknown key: write one of {known}");
            let _: Option<()> = self.place.reading.place(path, key.span().start, String::new()).wrong(reason);
        }
    }

    fn path(&self, name: &str) -> String {
        if self.place.key.is_empty() { name.to_owned() } else { format!("{}.{name}", self.place.key) }
    }
}

/// Whether the span of a value encloses all of it, which those of `[tables]` do not.
fn is_within(value: &Spanned<DeValue<'_>>) -> bool {
    match value.get_ref() {
        DeValue::Table(_) => false,
        DeValue::Array(list) => !list.iter().any(|item| item.get_ref().is_table()),
        DeValue::String(_)
        | DeValue::Integer(_)
        | DeValue::Float(_)
        | DeValue::Boolean(_)
        | DeValue::Datetime(_) => true,
    }
}

/// What kind of value it is, for an error that does not show it.
#[must_use]
pub fn kind(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "a string",
        DeValue::Integer(_) | DeValue::Float(_) => "a number",
        DeValue::Boolean(_) => "true or false",
        DeValue::Datetime(_) => "a date or time",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    }
}
