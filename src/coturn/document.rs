//! PURE  The `config.toml` that an import writes: each key with the lines that it comes from.

use std::collections::BTreeSet;

use crate::coturn::lines::Entry;

#[derive(Debug)]
pub(super) struct Document {
    text: String,
    section: &'static str,
    /// The lines of `turnserver.conf` that are named in comments.
    lines: BTreeSet<usize>,
}

/// An item of a list, and the lines that it comes from.
pub(super) type Item<'a> = (String, Vec<Entry<'a>>);

impl Document {
    pub(super) fn new() -> Self {
        let text = "# Made from coturn's configuration by `hairpin import-coturn`. Hairpin's own config.toml explains every key.\n";
        Self { text: text.to_owned(), section: "", lines: BTreeSet::new() }
    }

    /// Adds a key, whose value is written as TOML.
    pub(super) fn key(&mut self, section: &'static str, key: &str, value: &str, from: &[Entry<'_>]) {
        let origin = self.origin(from);
        self.begin(section);
        self.text += &format!("{key} = {value}{origin}\n");
    }

    /// Adds a list. Items from different lines have lines of their own.
    pub(super) fn list(&mut self, section: &'static str, key: &str, items: &[Item<'_>]) {
        if let [(_, from), rest @ ..] = items
            && rest.iter().all(|(_, other)| other == from)
        {
            let values: Vec<&str> = items.iter().map(|(value, _)| value.as_str()).collect();
            return self.key(section, key, &format!("[{}]", values.join(", ")), from);
        }
        self.begin(section);
        self.text += &format!("{key} = [\n");
        for (value, from) in items {
            let origin = self.origin(from);
            self.text += &format!("    {value},{origin}\n");
        }
        self.text += "]\n";
    }

    /// The lines that are named in comments.
    pub(super) fn lines(&self) -> impl Iterator<Item = usize> {
        self.lines.iter().copied()
    }

    pub(super) fn finish(self) -> String {
        self.text
    }

    fn begin(&mut self, section: &'static str) {
        if self.section != section {
            self.section = section;
            self.text += &format!("\n[{section}]\n");
        }
    }

    /// The comment behind a value, such as ` # realm (line 7)`.
    fn origin(&mut self, from: &[Entry<'_>]) -> String {
        self.lines.extend(from.iter().map(|entry| entry.line));
        let names: Vec<String> =
            from.iter().map(|Entry { line, name, .. }| format!("{name} (line {line})")).collect();
        if names.is_empty() { String::new() } else { format!(" # {}", names.join(", ")) }
    }
}

/// A text as a value. `${` is escaped, because there it begins the name of an environment variable.
pub(super) fn quoted(text: &str) -> String {
    quoted_key(&text.replace("${", "$${"))
}

/// A text as a key: a string of TOML.
pub(super) fn quoted_key(text: &str) -> String {
    let mut quoted = String::from("\"");
    for character in text.chars() {
        match character {
            '"' | '\\' => quoted.extend(['\\', character]),
            control if control.is_control() => quoted += &format!("\\u{:04X}", u32::from(control)),
            plain => quoted.push(plain),
        }
    }
    quoted + "\""
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_names_its_lines_and_a_section_begins_once() {
        let entry = |line, name| Entry { line, name, value: "" };
        let mut document = Document::new();
        document.key("relay", "tcp", "true", &[entry(3, "a")]);
        document.key("relay", "threads", "2", &[]);
        document.list(
            "peers",
            "deny",
            &[("1".to_owned(), vec![entry(5, "b")]), ("2".to_owned(), vec![entry(6, "b")])],
        );
        document.list(
            "peers",
            "allow",
            &[("1".to_owned(), vec![entry(7, "c")]), ("2".to_owned(), vec![entry(7, "c")])],
        );
        assert_eq!(document.lines().collect::<Vec<_>>(), [3, 5, 6, 7]);
        let text = document.finish();
        let (_, keys) = text.split_once('\n').unwrap();
        assert_eq!(
            keys,
            "\n[relay]\ntcp = true # a (line 3)\nthreads = 2\n\n[peers]\ndeny = [\n    1, # b (line 5)\n    2, # b (line 6)\n]\n\
             allow = [1, 2] # c (line 7)\n"
        );
    }

    #[test]
    fn every_text_is_the_same_behind_toml() {
        for text in ["", "a\"b\\c", "\u{7f}\u{1}\t\n", "日本 \u{85}", "'''"] {
            let document = format!("key = {}", quoted(text));
            let table = toml::de::DeTable::parse(&document).unwrap();
            assert_eq!(table.get_ref()["key"].get_ref().as_str(), Some(text));
        }
        assert_eq!(quoted("a${B}$${"), "\"a$${B}$$${\"");
    }
}
