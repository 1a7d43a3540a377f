//! Says where in a configuration file a mistake is.

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use crate::sections::reading::Fault;

/// Where a configuration is written. It finds the line of a key for every later error, and keeps nothing else of the
/// text, because that holds secrets.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Source {
    path: PathBuf,
    lines: BTreeMap<String, usize>,
}

/// Everything that is wrong with a configuration. Each fault is shown in a line of its own, as `file:line: key: reason`,
/// in the order of the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigError {
    file: PathBuf,
    faults: Vec<Fault>,
}

impl Source {
    /// The file, with the line of each dotted key that it has.
    pub(super) fn new(path: &Path, lines: BTreeMap<String, usize>) -> Self {
        Self { path: path.to_owned(), lines }
    }

    /// The file; empty if there is none.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Where a key is, as an error begins: `file:line: key: `. Empty for a key that is not in the file.
    #[must_use]
    pub fn place(&self, key: &str) -> String {
        let line = self.lines.get(key);
        line.map(|line| format!("{}:{line}: {key}: ", self.path.display())).unwrap_or_default()
    }

    /// What is wrong with a key, at the line of the key.
    pub(super) fn fault(&self, key: &str, reason: String) -> Fault {
        Fault { line: self.lines.get(key).copied(), key: key.to_owned(), reason }
    }
}

impl ConfigError {
    pub(super) fn new(source: &Source, mut faults: Vec<Fault>) -> Self {
        // What stands nowhere in the file comes last.
        faults.sort_by_key(|fault| fault.line.unwrap_or(usize::MAX));
        Self { file: source.path.clone(), faults }
    }

    pub(super) fn unreadable(file: &Path, error: &io::Error) -> Self {
        let reason =
            format!("cannot be read ({error}): check the path, and that the daemon's user may read it");
        Self { file: file.to_owned(), faults: vec![Fault { line: None, key: String::new(), reason }] }
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
