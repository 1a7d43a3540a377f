//! `hairpin admin-token`: makes a token for the admin listener, shows it once, and says what to put into `config.toml`.

use crate::api_key::{self, KeyHash};
use crate::cli::{Failure, print};
use crate::secret::Secret;
use crate::system;

pub(super) fn run() -> Result<(), Failure> {
    let bytes = system::random_bytes().map_err(Failure::system)?;
    print(&show(&api_key::from_random(bytes)))
}

fn show(token: &Secret) -> String {
    let (token, hash) = (token.reveal(), KeyHash::of(token.reveal()));
    format!(
        "The token, which is shown only once. Give it to whoever administers the daemon over TCP:\n\n    {token}\n\n\
         Lines for config.toml, in place of its section for administrators. Then restart Hairpin, because a reload does not open the \
         port:\n\n[admin]\nlisten = [\"/run/hairpin/admin.sock\", \"127.0.0.1:9090\"]\ntoken_hash = \"{hash}\"\n"
    )
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::config::Config;

    #[test]
    fn the_lines_for_the_configuration_are_accepted_and_do_not_hold_the_token() {
        let token = api_key::from_random([7; 32]);
        let shown = show(&token);
        let lines = &shown[shown.find("[admin]").unwrap()..];
        let config = Config::parse(lines, Path::new("config.toml")).unwrap();
        assert_eq!(config.admin.token_hash, Some(KeyHash::of(token.reveal())));
        assert!(shown.contains(token.reveal()) && !lines.contains(token.reveal()));
    }
}
