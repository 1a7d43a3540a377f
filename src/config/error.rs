//! Says where in a configuration file a mistake is.

use std::fmt;
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};

use toml::Spanned;
use toml::de::{DeString, DeTable, DeValue};

use crate::certificates::CertificateError;

/// All that is wrong with a configuration. Each is shown in a line of its own, as `file:line: key: reason`, in the order
/// of the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigError {
    file: PathBuf,
    faults: Vec<Fault>,
}

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Fault {
    line: Option<usize>,
    key: String,
    reason: String,
}

impl ConfigError {
    pub(super) fn unreadable(file: &Path, error: &io::Error) -> Self {
        let reason =
            format!("cannot be read ({error}): check the path, and that the daemon's user may read it");
        Self::of(file, vec![Fault { line: None, key: String::new(), reason }])
    }

    pub(super) fn of(file: &Path, mut faults: Vec<Fault>) -> Self {
        // What stands nowhere in the file comes last.
        faults.sort_by_key(|fault| fault.line.unwrap_or(usize::MAX));
        Self { file: file.to_owned(), faults }
    }
}

impl Fault {
    /// At a place of the text.
    pub(super) fn at(text: &str, at: usize, reason: String, key: String) -> Self {
        Self { line: Some(line_of(text, at)), key, reason }
    }

    /// A value that contradicts another, or cannot be meant.
    pub(super) fn of_key(text: &str, key: &str, reason: String) -> Self {
        let at = DeTable::parse(text).ok().and_then(|table| span_of(table.get_ref(), key));
        let line = at.map(|span| line_of(text, span.start));
        Self { line, key: key.to_owned(), reason }
    }

    pub(super) fn certificate(text: &str, error: &CertificateError) -> Self {
        Self::of_key(text, error.key(), error.to_string())
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, Fault { line, key, reason }) in self.faults.iter().enumerate() {
            let end = if index == 0 { "" } else { "\n" };
            write!(f, "{end}{}", self.file.display())?;
            if let Some(line) = line {
                write!(f, ":{line}")?;
            }
            if !key.is_empty() {
                write!(f, ": {key}")?;
            }
            write!(f, ": {reason}")?;
        }
        Ok(())
    }
}

impl std::error::Error for ConfigError {}

/// Why the value of a key cannot be read, without what may be a secret.
pub(super) fn value_reason(key: &str, message: &str) -> String {
    let holds_secrets = key.starts_with("credentials") || key.starts_with("http.keys");
    if holds_secrets && message.contains("invalid type: string") {
        // The message shows the value, and the value may be a secret in the wrong place.
        return "a text cannot stand here".to_owned();
    }
    plain(message).unwrap_or_else(|| message.replace('\n', ", "))
}

/// What serde says of a number or a yes-or-no, without the names of Rust's types; `None` of anything else.
fn plain(message: &str) -> Option<String> {
    let rest = message.strip_prefix("invalid type: ").or_else(|| message.strip_prefix("invalid value: "))?;
    let (found, expected) = rest.rsplit_once(", expected ")?;
    let value = match found.split_once('`') {
        Some((_, number)) => number.split('`').next().unwrap_or(number),
        None => found.find('"').map_or(found, |at| &found[at..]),
    };
    let write = match expected {
        "u32" => "a whole number from 0 to 4294967295",
        "u64" | "usize" => "a whole number from 0 on",
        "a boolean" => "true or false, without quotes",
        "a string" => "a text in quotes",
        "a sequence" => "a list in brackets",
        _ => return None,
    };
    Some(format!("{value} cannot stand here: write {write}"))
}

pub(super) fn line_of(text: &str, at: usize) -> usize {
    text.bytes().take(at).filter(|byte| *byte == b'\n').count() + 1
}

/// The dotted key whose name or value stands at `at`.
pub(super) fn path_at(table: &DeTable<'_>, at: usize) -> Option<String> {
    for (key, value) in table {
        let name = key.get_ref();
        let tables: Vec<&DeTable<'_>> = match value.get_ref() {
            DeValue::Table(inner) => vec![inner],
            DeValue::Array(list) => list.iter().filter_map(|item| item.get_ref().as_table()).collect(),
            DeValue::String(_)
            | DeValue::Integer(_)
            | DeValue::Float(_)
            | DeValue::Boolean(_)
            | DeValue::Datetime(_) => Vec::new(),
        };
        if let Some(path) = tables.into_iter().find_map(|table| path_at(table, at)) {
            return Some(format!("{name}.{path}"));
        }
        if is_at(key, value, at) {
            return Some(name.to_string());
        }
    }
    None
}

/// Where the key of a dotted path stands.
fn span_of(table: &DeTable<'_>, path: &str) -> Option<Range<usize>> {
    let (name, rest) = path.split_once('.').map_or((path, None), |(name, rest)| (name, Some(rest)));
    let (key, value) = table.iter().find(|(key, _)| key.get_ref() == name)?;
    match (rest, value.get_ref()) {
        (None, _) => Some(Spanned::span(key)),
        (Some(rest), DeValue::Table(inner)) => span_of(inner, rest),
        (Some(_), _) => None,
    }
}

/// Whether a key, its value, or an item of it stands at `at`: `[[http.keys]]` stands there once for each.
pub(super) fn is_at(key: &Spanned<DeString<'_>>, value: &Spanned<DeValue<'_>>, at: usize) -> bool {
    let mut items = value.get_ref().as_array().into_iter().flat_map(|list| list.iter());
    holds(&key.span(), at) || holds(&value.span(), at) || items.any(|item| holds(&item.span(), at))
}

pub(super) fn holds(span: &Range<usize>, at: usize) -> bool {
    (span.start..=span.end).contains(&at)
}
