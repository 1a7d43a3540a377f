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
    /// The first line that an environment variable stands for, and the variable of each such line.
    environment: (usize, Vec<String>),
}

/// Everything that is wrong with a configuration. Each fault is shown in a line of its own, as `file:line: key: reason`,
/// in the order of the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigError {
    source: Source,
    faults: Vec<Fault>,
}

impl Source {
    /// The file, with the line of each dotted key that it has. Behind it, from the first line of `environment` on, each line
    /// is what a variable sets.
    pub(super) fn new(
        path: &Path,
        lines: BTreeMap<String, usize>,
        environment: (usize, Vec<String>),
    ) -> Self {
        Self { path: path.to_owned(), lines, environment }
    }

    /// The file; empty if there is none.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Where a key is, as an error begins: `file:line: key: ` or `VARIABLE: key: `. Empty for a key that is in neither.
    #[must_use]
    pub fn place(&self, key: &str) -> String {
        let line = self.lines.get(key);
        line.map(|line| format!("{}: {key}: ", self.at(*line))).unwrap_or_default()
    }

    /// The file with a line, or the variable that stands for it.
    fn at(&self, line: usize) -> String {
        let (first, names) = &self.environment;
        let name = line.checked_sub(*first).and_then(|index| names.get(index));
        name.cloned().unwrap_or_else(|| format!("{}:{line}", self.path.display()))
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
        Self { source: source.clone(), faults }
    }

    pub(super) fn unreadable(file: &Path, error: &io::Error) -> Self {
        let reason =
            format!("cannot be read ({error}): check the path, and that the daemon's user may read it");
        let source = Source { path: file.to_owned(), ..Source::default() };
        Self { source, faults: vec![Fault { line: None, key: String::new(), reason }] }
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, Fault { line, key, reason }) in self.faults.iter().enumerate() {
            let end = if index == 0 { "" } else { "\n" };
            let file = self.source.path.display().to_string();
            let place = line.map_or(file, |line| self.source.at(line));
            let parts = [&place, key, reason].into_iter().filter(|part| !part.is_empty());
            write!(f, "{end}{}", parts.cloned().collect::<Vec<_>>().join(": "))?;
        }
        Ok(())
    }
}

impl std::error::Error for ConfigError {}
