//! PURE  Turns coturn's `turnserver.conf` into a `config.toml`, and says what is not carried over.
//!
//! `lines` reads the text as coturn does, and `options` says of every option what becomes of it. Each of the other
//! modules writes the keys of one section. Every line of the text is either named in a comment of the result or in a remark.

mod credentials;
mod document;
mod limits;
mod lines;
mod listen;
mod options;
mod peers;
mod ranges;
mod relay;

use std::collections::BTreeSet;
use std::fmt;
use std::net::IpAddr;

use crate::coturn::document::Document;
use crate::coturn::lines::Entry;
use crate::coturn::options::Fate;

/// What became of a `turnserver.conf`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Imported {
    /// A `config.toml`, which states only what differs from the defaults.
    pub toml: String,
    /// What is not carried over or works differently, in the order of the lines.
    pub remarks: Vec<Remark>,
}

/// Something that the operator should know of an option.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Remark {
    /// The line, counted from 1; `None` if the option is missing.
    pub line: Option<usize>,
    /// The name of the option.
    pub option: String,
    /// What became of it.
    pub kind: Kind,
    /// Why, and what to do.
    pub text: String,
}

/// What became of an option.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Hairpin needs no such option.
    Needless,
    /// Hairpin has nothing like it.
    Unsupported,
    /// The operator must do something.
    ByHand,
    /// It is carried over, with a difference.
    Note,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Needless => "needless",
            Self::Unsupported => "not supported",
            Self::ByHand => "by hand",
            Self::Note => "note",
        })
    }
}

impl Remark {
    /// The remark in one line, which begins with the name of the `file`.
    #[must_use]
    pub fn show(&self, file: &str) -> String {
        let Self { line, option, kind, text } = self;
        let line = line.map(|line| format!(":{line}")).unwrap_or_default();
        format!("{file}{line}: {option}: {kind}: {text}")
    }
}

/// Imports the text of a `turnserver.conf`. `own` are the addresses that Hairpin would relay from on this machine; they
/// complete an `external-ip` without a private address.
#[must_use]
pub fn import(text: &str, own: &[IpAddr]) -> Imported {
    let mut import = Import {
        entries: lines::entries(text),
        own,
        document: Document::new(),
        remarks: Vec::new(),
        listeners: Vec::new(),
        room: 0,
    };
    import.remark_by_table();
    import.listen();
    import.relay();
    import.credentials();
    import.peers();
    import.limits();
    import.log();
    import.remark_on_the_rest();
    let Import { document, mut remarks, .. } = import;
    remarks.sort_by_key(|remark| remark.line.unwrap_or(usize::MAX));
    Imported { toml: document.finish(), remarks }
}

/// An import in progress.
struct Import<'a> {
    entries: Vec<Entry<'a>>,
    own: &'a [IpAddr],
    document: Document,
    remarks: Vec<Remark>,
    /// The ports on which clients are served over UDP.
    listeners: Vec<u16>,
    /// How many relay ports there are, on all addresses.
    room: u64,
}

impl<'a> Import<'a> {
    /// Every line with an option.
    fn all(&self, name: &str) -> Vec<Entry<'a>> {
        self.entries.iter().filter(|entry| entry.name == name).copied().collect()
    }

    /// The line with an option that counts: the last one.
    fn last(&self, name: &str) -> Option<Entry<'a>> {
        self.entries.iter().rfind(|entry| entry.name == name).copied()
    }

    /// The line that switches something on, if nothing switches it off again.
    fn switch(&self, name: &str) -> Option<Entry<'a>> {
        self.last(name).filter(|entry| entry.flag() == Some(true))
    }

    fn remark(&mut self, entry: Entry<'_>, kind: Kind, text: impl Into<String>) {
        self.remarks.push(Remark {
            line: Some(entry.line),
            option: entry.name.to_owned(),
            kind,
            text: text.into(),
        });
    }

    /// A remark on an option that is missing.
    fn remark_on(&mut self, option: &str, kind: Kind, text: impl Into<String>) {
        self.remarks.push(Remark { line: None, option: option.to_owned(), kind, text: text.into() });
    }

    fn invalid(&mut self, entry: Entry<'_>, expected: &str) {
        self.remark(entry, Kind::ByHand, format!("the value is invalid: coturn expects {expected}"));
    }

    /// A number from `least` to `most`.
    fn number(&mut self, name: &str, least: u64, most: u64) -> Option<(u64, Entry<'a>)> {
        let entry = self.last(name)?;
        let number = entry.number().filter(|number| (least..=most).contains(number));
        if number.is_none() {
            self.invalid(entry, &format!("a number from {least} to {most}"));
        }
        Some((number?, entry))
    }

    /// Remarks on what is not carried over whatever its value is, and on what is said twice.
    fn remark_by_table(&mut self) {
        for entry in self.entries.clone() {
            match options::fate(entry.name) {
                None if entry.is_named() => {
                    self.remark(entry, Kind::ByHand, "coturn has no such option: check the spelling");
                }
                None => {
                    let nameless = Entry { name: "?", ..entry };
                    self.remark(nameless, Kind::ByHand, "this line is not an option of coturn: check it");
                }
                Some(Fate::Needless(text)) => self.remark(entry, Kind::Needless, text),
                Some(Fate::Unsupported(_) | Fate::ByHand(_)) if entry.is_off() => {
                    self.remark(entry, Kind::Needless, "it is switched off");
                }
                Some(Fate::Unsupported(text)) => self.remark(entry, Kind::Unsupported, text),
                Some(Fate::ByHand(text)) => self.remark(entry, Kind::ByHand, text),
                Some(Fate::Switch) if entry.flag().is_none() => self.invalid(entry, "on or off"),
                Some(Fate::Once | Fate::Switch) => self.remark_on_repetition(entry),
                Some(Fate::List) => {}
            }
        }
    }

    fn remark_on_repetition(&mut self, entry: Entry<'_>) {
        let last = self.last(entry.name).map_or(entry.line, |last| last.line);
        if last != entry.line {
            self.remark(
                entry,
                Kind::Needless,
                format!("line {last} says it again, and only that one counts"),
            );
        }
    }

    /// Remarks on lines that led to nothing, because they say what is so without them.
    fn remark_on_the_rest(&mut self) {
        let remarked = self.remarks.iter().filter_map(|remark| remark.line);
        let named: BTreeSet<usize> = self.document.lines().chain(remarked).collect();
        for entry in self.entries.clone().into_iter().filter(|entry| !named.contains(&entry.line)) {
            self.remark(entry, Kind::Needless, "Hairpin does this by default");
        }
    }

    /// `[log]`
    fn log(&mut self) {
        let Some(entry) = self.last("log-min-level") else { return };
        match entry.value {
            "debug" | "info" => self.remark(
                entry,
                Kind::Needless,
                "Hairpin's level is info: it has no packets and no addresses",
            ),
            "warning" => self.document.key("log", "level", "\"warn\"", &[entry]),
            "error" => self.document.key("log", "level", "\"error\"", &[entry]),
            _ => self.invalid(entry, "debug, info, warning or error"),
        }
    }
}

#[cfg(test)]
mod tests;
