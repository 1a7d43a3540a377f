//! `hairpin check-config`: says whether a configuration is good, and what is doubtful in it.

use std::path::PathBuf;

use crate::cli::{Failure, load};

#[derive(Debug, clap::Args)]
#[group(skip)]
pub(super) struct Arguments {
    /// The file to check.
    file: PathBuf,
}

pub(super) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let config = load(Some(&arguments.file))?;
    let file = arguments.file.display();
    for warning in config.warnings(Some(&arguments.file)) {
        println!("{file}: warning: {warning}");
    }
    println!("{file}: good");
    Ok(())
}
