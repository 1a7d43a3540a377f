//! Keeps the account and the certificate in files that only the daemon's user can read.

use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::Path;

use crate::acme::authority::Failure;

/// Checks that `file` can be written.
pub(super) fn check(file: &Path) -> Result<(), Failure> {
    let beside = beside(file);
    open(&beside).and_then(|_| fs::remove_file(&beside)).map_err(|error| unwritable(file, &error))
}

/// Writes a file as a whole: after a power failure, there is the old one or the new one.
pub(super) fn write(file: &Path, bytes: &[u8]) -> Result<(), Failure> {
    let beside = beside(file);
    let written = open(&beside).and_then(|mut open| {
        open.write_all(bytes)?;
        open.sync_all()?;
        fs::rename(&beside, file)
    });
    written.map_err(|error| unwritable(file, &error))
}

/// Reads a file; `None` if there is none.
pub(super) fn read(file: &Path) -> Result<Option<String>, Failure> {
    match crate::files::open(file).and_then(|file| crate::files::read_text(&file)) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Failure::of(format!("{} cannot be read ({error})", file.display()))),
    }
}

fn beside(file: &Path) -> std::path::PathBuf {
    file.with_extension("new")
}

fn open(file: &Path) -> io::Result<fs::File> {
    if let Some(folder) = file.parent() {
        DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    }
    OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(file)
}

fn unwritable(file: &Path, error: &io::Error) -> Failure {
    let file = file.display();
    Failure::of(format!(
        "{file} cannot be written ({error}): let the service's user write it, or name another tls.acme.folder"
    ))
}
