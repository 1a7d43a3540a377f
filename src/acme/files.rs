//! Keeps the account and the certificate in files that only the daemon's user can read, and says what to do if it cannot.

use std::io;
use std::path::Path;

use crate::acme::authority::Failure;
use crate::files;

/// Checks that `file` can be written.
pub(super) fn check(file: &Path) -> Result<(), Failure> {
    files::check_private(file).map_err(|error| unwritable(file, &error))
}

/// Writes a file as a whole.
pub(super) fn write(file: &Path, bytes: &[u8]) -> Result<(), Failure> {
    files::write_private(file, bytes).map_err(|error| unwritable(file, &error))
}

/// Reads a file; `None` if there is none.
pub(super) fn read(file: &Path) -> Result<Option<String>, Failure> {
    match files::open(file).and_then(|file| files::read_text(&file)) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Failure::of(format!("{} cannot be read ({error})", file.display()))),
    }
}

fn unwritable(file: &Path, error: &io::Error) -> Failure {
    let file = file.display();
    Failure::of(format!(
        "{file} cannot be written ({error}): let the service's user write it, or name another tls.acme.folder"
    ))
}
