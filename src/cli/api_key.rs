//! `hairpin api-key`: makes a key for the HTTP API, shows it once, and says what to put into `config.toml`.

use crate::api_key::{self, KeyHash, KeyId};
use crate::cli::{Failure, print};
use crate::secret::Secret;
use crate::system;

#[derive(Debug, clap::Args)]
#[group(skip)]
pub(super) struct Arguments {
    /// The key's id, in the configuration and in the user names made with it: 1 to 32 letters, digits, - and _.
    #[arg(long, value_name = "NAME")]
    id: String,
}

pub(super) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let id = KeyId::parse(&arguments.id).map_err(|wrong| Failure::config(format!("--id: {wrong}")))?;
    let bytes = system::random_bytes().map_err(Failure::system)?;
    print(&show(id.as_str(), &api_key::from_random(bytes)))
}

fn show(id: &str, key: &Secret) -> String {
    let (key, hash) = (key.reveal(), KeyHash::of(key.reveal()));
    format!(
        "The key, which is shown only once. Give it to the backend that will use it:\n\n    {key}\n\n\
         Lines for config.toml, which take effect after a reload:\n\n[[http.keys]]\nid = \"{id}\"\nhash = \"{hash}\"\n"
    )
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::config::Config;

    #[test]
    fn the_lines_for_the_configuration_are_accepted_and_do_not_hold_the_key() {
        let key = api_key::from_random([7; 32]);
        let shown = show("backend", &key);
        let lines = &shown[shown.find("[[http.keys]]").unwrap()..];
        let config = Config::parse(lines, Path::new("config.toml")).unwrap();
        assert_eq!(
            (config.http.keys[0].id.as_str(), config.http.keys[0].hash),
            ("backend", KeyHash::of(key.reveal()))
        );
        assert!(shown.contains(key.reveal()) && !lines.contains(key.reveal()));
    }
}
