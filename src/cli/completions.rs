//! `hairpin completions` and `hairpin man`: what a package installs beside the program, from the definition of its commands.

use std::path::PathBuf;

use clap::CommandFactory as _;
use clap_complete::Shell;

use crate::cli::{self, Failure, print};

#[derive(Debug, clap::Args)]
#[group(skip)]
pub(super) struct Arguments {
    /// The shell.
    shell: Shell,
}

#[derive(Debug, clap::Args)]
#[group(skip)]
pub(super) struct ManArguments {
    /// The folder for the pages: one for the program, and one for each command.
    folder: PathBuf,
}

/// Prints the completions for a shell.
pub(super) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let mut text = Vec::new();
    clap_complete::generate(arguments.shell, &mut cli::Arguments::command(), "hairpin", &mut text);
    print(&String::from_utf8_lossy(&text))
}

/// Writes the manual pages.
pub(super) fn man(arguments: &ManArguments) -> Result<(), Failure> {
    let folder = &arguments.folder;
    clap_mangen::generate_to(cli::Arguments::command(), folder)
        .map_err(|error| Failure::system(format!("{}: cannot be written ({error})", folder.display())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_command_has_a_page() {
        let folder = std::env::temp_dir().join(format!("hairpin-man-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        assert!(man(&ManArguments { folder: folder.clone() }).is_ok());
        let read = |page: &str| std::fs::read_to_string(folder.join(page)).unwrap();
        assert!(read("hairpin.1").contains("check\\-config"));
        assert!(read("hairpin-secret-rotate.1").contains("rotate"));
        std::fs::remove_dir_all(folder).unwrap();
    }
}
