//! Says where in a configuration file a mistake is.

use std::fmt;
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::certificates::CertificateError;

/// What is wrong with a configuration. Shown as `file:line: key: reason`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigError {
    file: PathBuf,
    line: Option<usize>,
    key: String,
    reason: String,
}

impl ConfigError {
    pub(super) fn unreadable(file: &Path, error: &io::Error) -> Self {
        let reason =
            format!("cannot be read ({error}): check the path, and that the daemon's user may read it");
        Self { file: file.to_owned(), line: None, key: String::new(), reason }
    }

    /// A value that cannot be read.
    pub(super) fn invalid(file: &Path, text: &str, error: &toml::de::Error) -> Self {
        let at = error.span().map_or(0, |span| span.start);
        let key =
            DeTable::parse(text).ok().and_then(|table| path_at(table.get_ref(), at)).unwrap_or_default();
        let holds_secrets = key.starts_with("credentials") || key.starts_with("http.keys");
        let secret = holds_secrets && error.message().contains("invalid type: string");
        let reason = if secret {
            // The message shows the value, and the value may be a secret in the wrong place.
            "a text cannot stand here".to_owned()
        } else {
            error.message().replace('\n', ", ")
        };
        Self { file: file.to_owned(), line: Some(line_of(text, at)), key, reason }
    }

    /// A value that contradicts another, or cannot be meant.
    pub(super) fn contradiction(file: &Path, text: &str, key: &str, reason: String) -> Self {
        let at = DeTable::parse(text).ok().and_then(|table| span_of(table.get_ref(), key));
        let line = at.map(|span| line_of(text, span.start));
        Self { file: file.to_owned(), line, key: key.to_owned(), reason }
    }

    /// A file that the file `path` names and that cannot be used, found when it is needed.
    #[must_use]
    pub fn certificate(path: &Path, error: &CertificateError) -> Self {
        let text = std::fs::read_to_string(path).unwrap_or_default();
        Self::contradiction(path, &text, error.key(), error.to_string())
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.file.display())?;
        if let Some(line) = self.line {
            write!(f, ":{line}")?;
        }
        if !self.key.is_empty() {
            write!(f, ": {}", self.key)?;
        }
        write!(f, ": {}", self.reason)
    }
}

impl std::error::Error for ConfigError {}

fn line_of(text: &str, at: usize) -> usize {
    text.bytes().take(at).filter(|byte| *byte == b'\n').count() + 1
}

/// The dotted key whose name or value stands at `at`.
fn path_at(table: &DeTable<'_>, at: usize) -> Option<String> {
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
        if holds(&key.span(), at) || holds(&value.span(), at) {
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

fn holds(span: &Range<usize>, at: usize) -> bool {
    (span.start..=span.end).contains(&at)
}
