//! Reads a configuration so that one mistake hides no other: what is wrong is cut out, and the rest read again.

use std::collections::BTreeSet;

use serde::Deserialize as _;
use toml::Deserializer;
use toml::Spanned;
use toml::de::{DeArray, DeTable, DeValue, Error};

use crate::config::Config;
use crate::config::error::{Fault, holds, is_at, line_of, path_at, value_reason};

/// What a text says, as far as it can be read.
#[derive(Debug)]
pub(super) struct Reading {
    /// With defaults where something was wrong.
    pub(super) config: Config,
    pub(super) faults: Vec<Fault>,
    pub(super) unread: Unread,
}

/// The keys whose values are not known, because what is there is wrong.
#[derive(Debug, Default)]
pub(super) struct Unread {
    keys: BTreeSet<String>,
    /// Whether the text is no TOML, so that nobody knows what else it says.
    broken: bool,
}

/// So many are looked for. Whoever has more has not written a configuration.
const FAULTS_MAX: usize = 100;

/// Of a list that is never closed, every line that follows is a fault.
const SYNTAX_MAX: usize = 5;

/// Something that was cut out.
struct Cut {
    path: String,
    /// Where the table in a list begins that it was cut out of, such as one of `[[http.keys]]`, and what it is called there.
    from: Option<(usize, String)>,
}

impl Unread {
    /// One more.
    pub(super) fn add(&mut self, key: &str) {
        self.keys.insert(key.to_owned());
    }

    /// Whether it is known what the file says of all these keys, be it nothing.
    pub(super) fn leaves(&self, keys: &[&str]) -> bool {
        let within = |one: &str, other: &str| {
            one.strip_prefix(other).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
        };
        let spoiled = |key: &&str| self.keys.iter().any(|unread| within(unread, key) || within(key, unread));
        !self.broken && !keys.iter().any(spoiled)
    }

    /// Whether it is known what the file says at all.
    pub(super) fn is_toml(&self) -> bool {
        !self.broken
    }
}

/// Reads the text of a configuration. Of a text that is no TOML, the values are judged that stand before its first fault:
/// behind that, nobody knows what belongs where.
pub(super) fn read(text: &str) -> Reading {
    let (mut table, broken) = DeTable::parse_recoverable(text);
    let mut unread = Unread { keys: BTreeSet::new(), broken: !broken.is_empty() };
    let mut faults = Vec::new();
    let mut cuts = Vec::new();
    let config = loop {
        let error = match Config::deserialize(Deserializer::from(table.clone())) {
            Ok(config) => break config,
            Err(error) => error,
        };
        let (at, end) = error.span().map_or((0, 0), |span| (span.start, span.end));
        let key = path_at(table.get_ref(), at).unwrap_or_default();
        if !is_consequence(&error, at, table.get_ref(), &cuts) {
            faults.push((end, Fault::at(text, at, value_reason(&key, error.message()), key)));
        }
        let Some(cut) = cut(table.get_mut(), at).filter(|_| faults.len() < FAULTS_MAX) else {
            break Config::default();
        };
        unread.keys.insert(cut.path);
        cuts.extend(cut.from);
    };
    let first = broken.iter().map(start).min().unwrap_or(usize::MAX);
    let mut faults: Vec<Fault> =
        faults.into_iter().filter(|(end, _)| *end < first).map(|(_, fault)| fault).collect();
    faults.extend(syntax(text, &broken));
    Reading { config, faults, unread }
}

fn start(error: &Error) -> usize {
    error.span().map_or(0, |span| span.start)
}

/// What is no TOML; of each line what is wrong first, because the rest mostly follows from it.
fn syntax(text: &str, errors: &[Error]) -> Vec<Fault> {
    let mut lines = BTreeSet::new();
    let first = errors.iter().filter(|error| lines.insert(line_of(text, start(error))));
    let fault =
        |error: &Error| Fault::at(text, start(error), error.message().replace('\n', ", "), String::new());
    first.take(SYNTAX_MAX).map(fault).collect()
}

/// Whether what is missing at `at` was there, and was cut out.
fn is_consequence(error: &Error, at: usize, table: &DeTable<'_>, cuts: &[(usize, String)]) -> bool {
    let missing = |name: &str| error.message().contains(&format!("missing field `{name}`"));
    let begin = element_at(table, at);
    cuts.iter().any(|(from, name)| Some(*from) == begin && missing(name))
}

/// Where the table in a list begins that stands at `at`.
fn element_at(table: &DeTable<'_>, at: usize) -> Option<usize> {
    table.iter().find_map(|(_, value)| match value.get_ref() {
        DeValue::Table(inner) => element_at(inner, at),
        DeValue::Array(list) => {
            let holding = list.iter().find(|item| item.get_ref().is_table() && holds(&item.span(), at));
            holding.map(|item| item.span().start)
        }
        DeValue::String(_)
        | DeValue::Integer(_)
        | DeValue::Float(_)
        | DeValue::Boolean(_)
        | DeValue::Datetime(_) => None,
    })
}

/// Cuts out the smallest thing whose name or value stands at `at`.
fn cut(table: &mut DeTable<'_>, at: usize) -> Option<Cut> {
    let names: Vec<String> = table.keys().map(|key| key.get_ref().to_string()).collect();
    for name in names {
        let (key, value) = table.get_key_value(name.as_str())?;
        let here = is_at(key, value, at);
        let value = table.get_mut(name.as_str())?;
        if let Some(inner) = cut_within(value, at) {
            return Some(Cut { path: join(&name, &inner.path), ..inner });
        }
        if here {
            table.remove(name.as_str());
            return Some(Cut { path: name, from: None });
        }
    }
    None
}

fn cut_within(value: &mut Spanned<DeValue<'_>>, at: usize) -> Option<Cut> {
    match value.get_mut() {
        DeValue::Table(inner) => cut(inner, at),
        DeValue::Array(list) => cut_item(list, at),
        DeValue::String(_)
        | DeValue::Integer(_)
        | DeValue::Float(_)
        | DeValue::Boolean(_)
        | DeValue::Datetime(_) => None,
    }
}

/// Out of a list: what is within one of its tables, or else a whole item.
fn cut_item(list: &mut DeArray<'_>, at: usize) -> Option<Cut> {
    for item in list.iter_mut() {
        let begin = item.span().start;
        if let DeValue::Table(inner) = item.get_mut()
            && let Some(inner) = cut(inner, at)
        {
            return Some(Cut { from: Some((begin, inner.path.clone())), ..inner });
        }
    }
    let index = list.iter().position(|item| holds(&item.span(), at))?;
    let all = std::mem::replace(list, DeArray::new()).into_iter().enumerate();
    *list = all.filter(|(other, _)| *other != index).map(|(_, item)| item).collect();
    Some(Cut { path: String::new(), from: None })
}

fn join(name: &str, rest: &str) -> String {
    if rest.is_empty() { name.to_owned() } else { format!("{name}.{rest}") }
}
