//! PURE  `[credentials]` of an import: the same user names and passwords as before.

use std::collections::BTreeMap;

use crate::coturn::document::{Item, quoted, quoted_key};
use crate::coturn::lines::Entry;
use crate::coturn::{Import, Kind};
use crate::secret::Secret;
use crate::sections::credentials::{Realm, UNSEEN, is_hidden, prepare};
use crate::sections::value::Text as _;

impl<'a> Import<'a> {
    /// `[credentials]`
    pub(super) fn credentials(&mut self) {
        self.realm();
        let secrets = self.all("static-auth-secret");
        // coturn switches this on whatever the value is.
        let asked = self.last("use-auth-secret");
        self.secrets(&secrets);
        if let Some(entry) = self.last("rest-api-separator").filter(|entry| entry.value != ":") {
            let text = "Hairpin's user names are <expiry>:<user>: let your backend write a colon";
            self.remark(entry, Kind::Unsupported, text);
        }
        let users = self.all("user");
        if !secrets.is_empty() || asked.is_some() {
            for entry in users {
                let text = "coturn ignores users beside use-auth-secret; Hairpin serves both: write it into [credentials] users if you need it";
                self.remark(entry, Kind::Needless, text);
            }
            if let Some(entry) = asked.filter(|_| secrets.is_empty()) {
                let text = "the secrets are in coturn's database: write those that `turnadmin --show-secret` shows into [credentials] secrets";
                self.remark(entry, Kind::ByHand, text);
            }
        } else if users.is_empty() {
            let text = "there are no credentials in this file: write secrets or users into [credentials]; until then, Hairpin makes a \
                        random secret at each start";
            self.remark_on("static-auth-secret, user", Kind::ByHand, text);
        } else {
            self.users(&users);
        }
    }

    fn realm(&mut self) {
        let Some(entry) = self.last("realm") else { return };
        match Realm::parse(entry.value) {
            Ok(realm) => self.document.key("credentials", "realm", &quoted(realm.as_str()), &[entry]),
            Err(reason) => {
                let text = format!("{reason}. Clients learn the new realm from the server");
                self.remark(entry, Kind::ByHand, text);
            }
        }
    }

    fn secrets(&mut self, entries: &[Entry<'a>]) {
        let mut secrets: Vec<Item<'a>> = Vec::new();
        let mut weak = Vec::new();
        for entry in entries {
            let written = quoted(entry.value);
            if entry.value.is_empty() {
                self.remark(
                    *entry,
                    Kind::ByHand,
                    "the secret is empty: make one with `openssl rand -base64 32`",
                );
            } else if entry.value.contains(is_hidden) {
                self.remark(*entry, Kind::ByHand, format!("the secret has {UNSEEN}"));
            } else if secrets.iter().any(|(other, _)| *other == written) {
                self.remark(*entry, Kind::Needless, "this secret is listed twice");
            } else {
                weak.extend(Secret::new(entry.value).is_weak().then_some(*entry));
                secrets.push((written, vec![*entry]));
            }
        }
        if !secrets.is_empty() {
            self.document.list("credentials", "secrets", &secrets);
        }
        if !weak.is_empty() {
            self.document.key("credentials", "allow_weak_secret", "true", &weak);
        }
        for entry in weak {
            let text = "this secret can be guessed by anyone with one credential: put a new one in front, change it in your backends, then \
                        remove this one and allow_weak_secret";
            self.remark(entry, Kind::ByHand, text);
        }
    }

    /// Users with their passwords. As in coturn, the last line with a name counts.
    fn users(&mut self, entries: &[Entry<'a>]) {
        let mut users: BTreeMap<String, (&str, Entry<'a>)> = BTreeMap::new();
        for entry in entries {
            let (name, password) = entry.value.split_once(':').unwrap_or((entry.value, ""));
            let password = password.trim_start();
            let Some(name) = prepare(name) else {
                self.remark(
                    *entry,
                    Kind::ByHand,
                    "the name is missing, or has characters that are not allowed",
                );
                continue;
            };
            if password.starts_with("0x") {
                let text = "this is a key, from which nobody can tell the password: ask for it, or choose a new one, and write it into \
                            [credentials] users";
                self.remark(*entry, Kind::ByHand, text);
            } else if prepare(password).is_none() {
                self.remark(
                    *entry,
                    Kind::ByHand,
                    "the password is missing, or has characters that are not allowed",
                );
            } else if let Some((_, former)) = users.insert(name, (password, *entry)) {
                self.remark(
                    former,
                    Kind::Needless,
                    format!("line {} says it again, and only that one counts", entry.line),
                );
            }
        }
        for (name, (password, entry)) in users {
            self.document.key("credentials.users", &quoted_key(&name), &quoted(password), &[entry]);
        }
    }
}
