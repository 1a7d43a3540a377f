//! Reads the file that `credentials.secrets_file` names.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use crate::files;
use crate::secret::Secret;
use crate::sections::credentials::{UNSEEN, is_hidden};

/// Reads a file with one secret in each line. No error shows what a line holds.
pub(super) fn read(file: &Path) -> Result<Vec<Secret>, String> {
    let path = expand(file)?;
    let shown = path.display();
    let unreadable = |error| {
        format!("{shown} cannot be read ({error}): check the path, and that the daemon's user may read it")
    };
    let open = files::open(&path).map_err(unreadable)?;
    let mode = open.metadata().map_err(unreadable)?.permissions().mode();
    if mode & 0o007 != 0 {
        return Err(format!("every user of this machine can read {shown}: run `chmod o= {shown}`"));
    }
    let text = files::read_text(&open).map_err(unreadable)?;
    let lines: Vec<&str> = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    if lines.is_empty() {
        return Err(format!("{shown} has no secret: write one secret in each line"));
    }
    if lines.iter().any(|line| line.starts_with('#') || line.contains(char::is_whitespace)) {
        return Err(format!("{shown} has a line that is not a secret: remove comments and spaces"));
    }
    if lines.iter().any(|line| line.contains(is_hidden)) {
        return Err(format!("{shown} has a secret with {UNSEEN}"));
    }
    Ok(lines.into_iter().map(Secret::new).collect())
}

/// Replaces a leading `$CREDENTIALS_DIRECTORY` by what systemd set.
fn expand(file: &Path) -> Result<PathBuf, String> {
    let Ok(rest) = file.strip_prefix("$CREDENTIALS_DIRECTORY") else { return Ok(file.to_owned()) };
    let directory = std::env::var_os("CREDENTIALS_DIRECTORY").ok_or(
        "$CREDENTIALS_DIRECTORY is not set: it is there when systemd starts the service with LoadCredential=",
    )?;
    Ok(Path::new(&directory).join(rest))
}
