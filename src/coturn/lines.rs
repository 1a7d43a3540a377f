//! PURE  Reads the lines of a `turnserver.conf` as coturn does.
//!
//! A line is `name`, `name=value` or `name value`. A `#` begins a comment only at the beginning of a line. A value may
//! stand in double quotes. Names are case-sensitive.

/// A line with an option.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Entry<'a> {
    /// The line, counted from 1.
    pub(super) line: usize,
    pub(super) name: &'a str,
    /// Empty if there is none.
    pub(super) value: &'a str,
}

/// Every line with an option.
pub(super) fn entries(text: &str) -> Vec<Entry<'_>> {
    text.lines().enumerate().filter_map(|(index, line)| entry(index + 1, line)).collect()
}

const SEPARATORS: [char; 3] = [' ', '=', '\t'];

fn entry(line: usize, text: &str) -> Option<Entry<'_>> {
    let text = text.trim_matches(|c: char| c.is_ascii_whitespace() || c == '\u{b}');
    if text.is_empty() || text.starts_with('#') {
        return None;
    }
    let (name, value) = text.split_at(text.find(SEPARATORS).unwrap_or(text.len()));
    let value = value.trim_start_matches(SEPARATORS);
    let value = value.strip_prefix('"').map_or(value, |inner| inner.strip_suffix('"').unwrap_or(inner));
    Some(Entry { line, name, value })
}

impl Entry<'_> {
    /// Whether the line begins as an option may. Anything else may be part of a secret, and is not shown.
    pub(super) fn is_named(&self) -> bool {
        let fits = |byte: u8| byte.is_ascii_alphabetic() || byte == b'-';
        (1..=NAME_MAX).contains(&self.name.len()) && self.name.bytes().all(fits)
    }

    /// The value of a switch; `None` if it is invalid.
    pub(super) fn flag(&self) -> Option<bool> {
        match self.value.chars().next() {
            None | Some('y' | 'Y' | 't' | 'T' | '1'..='9') => Some(true),
            Some('n' | 'N' | 'f' | 'F' | '0') => Some(false),
            Some(_) => match self.value {
                "on" | "On" | "ON" => Some(true),
                "off" | "Off" | "OFF" => Some(false),
                _ => None,
            },
        }
    }

    /// Whether the value says so in a word that means nothing else.
    pub(super) fn is_off(&self) -> bool {
        ["0", "f", "false", "n", "no", "off"].iter().any(|word| self.value.eq_ignore_ascii_case(word))
    }

    /// The number at the beginning of the value. A comment or a semicolon may follow.
    pub(super) fn number(&self) -> Option<u64> {
        let end = self.value.find(|c: char| !c.is_ascii_digit()).unwrap_or(self.value.len());
        let (digits, rest) = self.value.split_at(end);
        if rest.starts_with(|c: char| c.is_alphanumeric() || matches!(c, '.' | ':' | ',')) {
            return None;
        }
        digits.parse().ok()
    }
}

/// No option of coturn has a longer name.
const NAME_MAX: usize = 40;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_an_option_with_or_without_a_value() {
        let read = |text| entry(7, text).map(|Entry { name, value, .. }| (name, value));
        for (text, expected) in [
            ("", None),
            ("  \t\r", None),
            ("# realm=a", None),
            ("   # realm=a", None),
            ("fingerprint", Some(("fingerprint", ""))),
            ("realm=example.org", Some(("realm", "example.org"))),
            ("  realm = example.org  \r", Some(("realm", "example.org"))),
            ("realm\texample.org", Some(("realm", "example.org"))),
            ("realm=\"example org\"", Some(("realm", "example org"))),
            ("realm=\"example.org", Some(("realm", "example.org"))),
            ("realm=", Some(("realm", ""))),
            ("user=alice:a=b c", Some(("user", "alice:a=b c"))),
            ("cert=/a.pem # mine", Some(("cert", "/a.pem # mine"))),
            ("=x", Some(("", "x"))),
        ] {
            assert_eq!(read(text), expected, "{text:?}");
        }
    }

    #[test]
    fn lines_are_counted_with_those_that_say_nothing() {
        let lines: Vec<usize> =
            entries("# one\n\nno-udp\r\n\nno-tcp").iter().map(|entry| entry.line).collect();
        assert_eq!(lines, [3, 5]);
    }

    #[test]
    fn a_switch_has_every_form_that_coturn_reads() {
        let flag = |value| Entry { line: 1, name: "no-udp", value }.flag();
        for on in ["", "1", "yes", "true", "T", "on", "ON"] {
            assert_eq!(flag(on), Some(true), "{on:?}");
        }
        for off in ["0", "no", "false", "F", "off", "Off"] {
            assert_eq!(flag(off), Some(false), "{off:?}");
        }
        assert_eq!(flag("maybe"), None);
    }

    #[test]
    fn a_number_may_be_followed_by_what_is_no_number() {
        let number = |value| Entry { line: 1, name: "max-bps", value }.number();
        for (text, expected) in [
            ("12", Some(12)),
            ("12;", Some(12)),
            ("12 # bytes", Some(12)),
            ("", None),
            ("-1", None),
            ("1k", None),
        ] {
            assert_eq!(number(text), expected, "{text:?}");
        }
        assert_eq!(number("99999999999999999999999"), None);
    }

    #[test]
    fn what_may_be_a_secret_is_no_name() {
        let named = |name| Entry { line: 1, name, value: "" }.is_named();
        assert!(named("no-udp") && named("CA-file") && named("nosuchoption"));
        assert!(!named("") && !named("6f0c1d3a-8b5e") && !named("\u{1b}[31m") && !named(&"a-".repeat(40)));
    }
}
