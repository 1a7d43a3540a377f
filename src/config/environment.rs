//! PURE  What environment variables say: `HAIRPIN_LIMITS__ALLOCATIONS_PER_USER=5` is the key `limits.allocations_per_user`,
//! and takes the place of that key in the file. `${NAME}` in a string of the file stands for the variable `NAME`.

use std::collections::BTreeMap;

use toml::de::{DeTable, DeValue};

/// The environment variables of a process.
#[derive(Debug, Default)]
pub(super) struct Environment(BTreeMap<String, String>);

/// The keys that variables set, as TOML.
#[derive(Debug, Default)]
pub(super) struct Settings {
    /// A line for each variable.
    pub(super) text: String,
    /// The variable of each line.
    pub(super) names: Vec<String>,
}

/// A variable that a string of the file names, and that is not set.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Missing {
    /// The dotted key with the string.
    pub(super) key: String,
    /// Where the value begins.
    pub(super) at: usize,
    /// The variable.
    pub(super) name: String,
}

/// How the variables that set keys begin. Sections and keys are separated by two underscores, so that
/// `HAIRPIN_ADMIN_TOKEN`, which the commands use, is none of them.
const PREFIX: &str = "HAIRPIN_";
const SEPARATOR: &str = "__";

impl Environment {
    pub(super) fn new(variables: impl IntoIterator<Item = (String, String)>) -> Self {
        Self(variables.into_iter().collect())
    }

    /// The keys that variables set.
    pub(super) fn settings(&self) -> Settings {
        let mut settings = Settings::default();
        for (name, value) in &self.0 {
            let Some(path) = name.strip_prefix(PREFIX).filter(|path| path.contains(SEPARATOR)) else {
                continue;
            };
            let key = path.to_ascii_lowercase().replace(SEPARATOR, ".");
            settings.text += &format!("{key} = {}\n", written(value));
            settings.names.push(name.clone());
        }
        settings
    }

    /// Puts the values of variables in the place of their names, in every string of `table`. A key whose string names a
    /// variable that is not set is removed.
    pub(super) fn fill_in(&self, table: &mut DeTable<'_>) -> Vec<Missing> {
        let mut missing = Vec::new();
        self.fill_in_table(table, "", &mut missing);
        missing
    }

    fn fill_in_table(&self, table: &mut DeTable<'_>, path: &str, missing: &mut Vec<Missing>) {
        for (name, mut value) in std::mem::take(table) {
            let at = value.span().start;
            let key = if path.is_empty() {
                name.get_ref().to_string()
            } else {
                format!("{path}.{}", name.get_ref())
            };
            if self.fill_in_value(value.get_mut(), &key, at, missing) {
                table.insert(name, value);
            }
        }
    }

    /// Returns whether every variable that the value names is set.
    fn fill_in_value(
        &self,
        value: &mut DeValue<'_>,
        key: &str,
        at: usize,
        missing: &mut Vec<Missing>,
    ) -> bool {
        match value {
            DeValue::String(text) if text.contains("${") => match self.filled_in(text) {
                Ok(filled) => {
                    *text = filled.into();
                    true
                }
                Err(name) => {
                    missing.push(Missing { key: key.to_owned(), at, name });
                    false
                }
            },
            DeValue::Table(table) => {
                self.fill_in_table(table, key, missing);
                true
            }
            DeValue::Array(list) => {
                let before = missing.len();
                for item in list.iter_mut() {
                    let at = item.span().start;
                    self.fill_in_value(item.get_mut(), key, at, missing);
                }
                missing.len() == before
            }
            DeValue::String(_)
            | DeValue::Integer(_)
            | DeValue::Float(_)
            | DeValue::Boolean(_)
            | DeValue::Datetime(_) => true,
        }
    }

    /// A text with the values of the variables that it names; an error is the name of one that is not set. `$${` is a plain
    /// `${`.
    fn filled_in(&self, text: &str) -> Result<String, String> {
        let (mut filled, mut rest) = (String::new(), text);
        while let Some(start) = rest.find("${") {
            let (before, from) = rest.split_at(start);
            if let Some(before) = before.strip_suffix('$') {
                filled += before;
                filled += "${";
                rest = &from[2..];
                continue;
            }
            filled += before;
            let name = from[2..].split('}').next().unwrap_or_default();
            if !is_name(name) || !from[2 + name.len()..].starts_with('}') {
                filled += "${";
                rest = &from[2..];
                continue;
            }
            filled += self.0.get(name).ok_or_else(|| name.to_owned())?;
            rest = &from[2 + name.len() + 1..];
        }
        Ok(filled + rest)
    }
}

/// Puts the keys of `settings` in the place of those of `table`.
pub(super) fn merge<'t>(table: &mut DeTable<'t>, settings: DeTable<'t>) {
    for (key, value) in settings {
        let is_table = |value: &DeValue<'_>| value.is_table();
        match (table.get_mut(key.get_ref().as_ref()), value.get_ref()) {
            (Some(old), new) if is_table(old.get_ref()) && is_table(new) => {
                if let (DeValue::Table(old), DeValue::Table(new)) = (old.get_mut(), value.into_inner()) {
                    merge(old, new);
                }
            }
            _ => {
                table.remove(key.get_ref().as_ref());
                table.insert(key, value);
            }
        }
    }
}

fn is_name(name: &str) -> bool {
    !name.is_empty()
        && !name.starts_with(|c: char| c.is_ascii_digit())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

/// A value as TOML: as it is, if it is a value of TOML, and otherwise as a string.
fn written(value: &str) -> String {
    let is_toml = !value.contains('\n') && DeTable::parse(&format!("value = {value}")).is_ok();
    if is_toml { value.to_owned() } else { serde_json::Value::from(value).to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn environment(variables: &[(&str, &str)]) -> Environment {
        Environment::new(variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())))
    }

    #[test]
    fn a_variable_with_two_underscores_is_a_key_and_its_value_is_toml_or_a_string() {
        let settings = environment(&[
            ("HAIRPIN_ADMIN_TOKEN", "secret"),
            ("HAIRPIN_LIMITS__ALLOCATIONS_PER_USER", "5"),
            ("HAIRPIN_LISTEN__UDP", "[\"0.0.0.0:3478\"]"),
            ("HAIRPIN_RELAY__PORTS", "50000-50999"),
            ("HAIRPIN_TLS__ACME__CONTACT", "a\"b\n[rooms]"),
            ("PATH", "/bin"),
        ])
        .settings();
        let expected = "limits.allocations_per_user = 5\nlisten.udp = [\"0.0.0.0:3478\"]\n\
                        relay.ports = \"50000-50999\"\ntls.acme.contact = \"a\\\"b\\n[rooms]\"\n";
        assert_eq!(settings.text, expected);
        assert_eq!(settings.names.len(), 4);
        assert_eq!(settings.names[3], "HAIRPIN_TLS__ACME__CONTACT");
    }

    #[test]
    fn a_name_in_a_string_stands_for_its_value() {
        let environment = environment(&[("HOST", "call.example.org"), ("EMPTY", ""), ("N", "${HOST}")]);
        for (text, filled) in [
            ("plain", "plain"),
            ("https://${HOST}/", "https://call.example.org/"),
            ("${HOST}${EMPTY}${N}", "call.example.org${HOST}"),
            ("$${HOST} $HOST ${ ${} ${1} ${a b} ${HOST", "${HOST} $HOST ${ ${} ${1} ${a b} ${HOST"),
        ] {
            assert_eq!(environment.filled_in(text).as_deref(), Ok(filled), "{text}");
        }
        assert_eq!(environment.filled_in("${HOST}${NONE}"), Err("NONE".to_owned()));
    }

    #[test]
    fn a_key_whose_variable_is_not_set_is_removed_and_named() {
        let text = "a = \"${SET}\"\n[b]\nc = [\"x\", \"${UNSET}\"]\nd = 1\n";
        let mut table = DeTable::parse(text).unwrap().into_inner();

        let missing = environment(&[("SET", "1")]).fill_in(&mut table);

        let at = text.find("\"${UNSET").unwrap();
        assert_eq!(missing, [Missing { key: "b.c".to_owned(), at, name: "UNSET".to_owned() }]);
        assert_eq!(table["a"].get_ref().as_str(), Some("1"));
        let b = table["b"].get_ref().as_table().unwrap();
        assert_eq!(b.keys().map(|key| key.get_ref().as_ref()).collect::<Vec<_>>(), ["d"]);
    }

    #[test]
    fn settings_take_the_place_of_keys_and_leave_the_others() {
        let mut table = DeTable::parse("[a]\nb = 1\nc = 2\n[d]\ne = 3").unwrap().into_inner();
        merge(&mut table, DeTable::parse("a.b = 7\nd = 8\nf.g = 9").unwrap().into_inner());
        let number = |path: &[&str]| {
            let mut value = table[path[0]].get_ref();
            for key in &path[1..] {
                value = value.as_table().unwrap()[*key].get_ref();
            }
            value.as_integer().unwrap().to_string()
        };
        assert_eq!(
            [number(&["a", "b"]), number(&["a", "c"]), number(&["d"]), number(&["f", "g"])],
            ["7", "2", "8", "9"]
        );
    }
}
