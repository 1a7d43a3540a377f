//! `hairpin room-password`: hashes the password with which people open rooms, and says what to put into `config.toml`.

use std::io::{self, BufRead as _, IsTerminal as _};

use crate::cli::{Failure, print};
use crate::password::{PASSWORD_MAX, PASSWORD_MIN, PasswordHash};
use crate::secret::Secret;
use crate::system;

pub(super) fn run() -> Result<(), Failure> {
    let password = if io::stdin().is_terminal() { ask()? } else { read(&mut io::stdin().lock())? };
    let length = password.reveal().chars().count();
    if length < PASSWORD_MIN || password.reveal().len() > PASSWORD_MAX {
        return Err(Failure::config(format!(
            "the password has {length} characters: choose one with at least {PASSWORD_MIN} characters and at most \
             {PASSWORD_MAX} bytes"
        )));
    }
    let salt = system::random_bytes().map_err(Failure::system)?;
    let hash = PasswordHash::of(password.reveal(), salt);
    let hash = hash.ok_or_else(|| Failure::system("there is not enough memory to hash the password"))?;
    print(&show(&hash))
}

/// Asks twice, because nothing is shown of what is typed.
fn ask() -> Result<Secret, Failure> {
    let prompt = |text| rpassword::prompt_password(text).map(Secret::new).map_err(Failure::system);
    let password = prompt("Password with which people open rooms: ")?;
    if prompt("The same again: ")? != password {
        return Err(Failure::config("the passwords are not the same: start again"));
    }
    Ok(password)
}

/// Reads the first line.
fn read(input: &mut dyn io::BufRead) -> Result<Secret, Failure> {
    let mut line = String::new();
    io::Read::take(input, 4096).read_line(&mut line).map_err(Failure::system)?;
    Ok(Secret::new(line.trim_end_matches(['\r', '\n'])))
}

fn show(hash: &PasswordHash) -> String {
    format!(
        "Lines for config.toml, in its section [rooms], which take effect after a reload:\n\n[rooms]\n\
         create = \"password\"\npassword_hash = \"{hash}\"\n"
    )
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::config::Config;
    use crate::room_token::Create;

    #[test]
    fn the_lines_for_the_configuration_are_accepted_and_do_not_hold_the_password() {
        let password =
            read(&mut "correct horse \r\nmore".as_bytes()).unwrap_or_else(|_| panic!("it is there"));
        assert_eq!(password.reveal(), "correct horse ");
        let hash = PasswordHash::of(password.reveal(), [7; 16]).unwrap();
        let shown = show(&hash);
        let config =
            Config::parse(&shown[shown.find("\n[rooms]").unwrap()..], Path::new("config.toml")).unwrap();
        assert_eq!((config.rooms.create, config.rooms.password_hash), (Create::Password, Some(hash)));
        assert!(!shown.contains("correct"));
    }
}
