//! Reads and replaces the files that an operator names. Only regular files of at most 1 MiB are read.
//!
//! Reading a pipe may block, and a device may never end, without any message to the operator.

use std::fs::{self, DirBuilder, File, FileType, Metadata, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{
    DirBuilderExt as _, FileTypeExt as _, MetadataExt as _, OpenOptionsExt as _, fchown,
};
use std::path::{Path, PathBuf};

/// The longest file that is read: many times the size of any certificate or configuration.
const LENGTH_MAX: u64 = 1 << 20;

/// What systemd makes by `StateDirectory=hairpin`. It names it to the service; without systemd it is the same place.
#[must_use]
pub fn state_directory() -> PathBuf {
    std::env::var_os("STATE_DIRECTORY").map_or_else(|| "/var/lib/hairpin".into(), PathBuf::from)
}

/// Opens a regular file. Symlinks are followed.
///
/// # Errors
/// The system's error, or that it is not a regular file.
pub fn open(path: &Path) -> io::Result<File> {
    // Checked first, because opening can have side effects: a pipe's writer sees a reader, and a terminal becomes ours.
    ordinary(&path.metadata()?)?;
    let file = OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY).open(path)?;
    ordinary(&file.metadata()?)?;
    Ok(file)
}

/// Reads an open file, without the byte order mark that some editors write at the beginning.
///
/// # Errors
/// The system's error, or that the file is too long.
pub fn read(file: &File) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    file.take(LENGTH_MAX + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > LENGTH_MAX {
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, "the file is larger than 1 MiB"));
    }
    if bytes.starts_with(MARK) {
        bytes.drain(..MARK.len());
    }
    Ok(bytes)
}

/// Writes a file that only this user can read, in a folder that is made if it is missing. After a power failure, there is
/// the old content or the new one. [`Replacement`] is for the files of an operator, whose owner and mode it keeps.
///
/// # Errors
/// The system's error; then the file is as it was.
pub fn write_private(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let beside = path.with_extension("new");
    let mut file = create_private(&beside)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&beside, path)
}

/// Checks that [`write_private`] can write there.
///
/// # Errors
/// The system's error.
pub fn check_private(path: &Path) -> io::Result<()> {
    let beside = path.with_extension("new");
    create_private(&beside)?;
    fs::remove_file(&beside)
}

fn create_private(path: &Path) -> io::Result<File> {
    if let Some(folder) = path.parent() {
        DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    }
    OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path)
}

/// Reads an open text file.
///
/// # Errors
/// As [`read`], or that the file is not UTF-8.
pub fn read_text(file: &File) -> io::Result<String> {
    let text = String::from_utf8(read(file)?);
    text.map_err(|_| {
        io::Error::new(io::ErrorKind::InvalidData, "the file is not UTF-8: save it as UTF-8 text")
    })
}

fn ordinary(metadata: &Metadata) -> io::Result<()> {
    if metadata.is_file() {
        return Ok(());
    }
    if metadata.is_dir() {
        return Err(io::Error::from_raw_os_error(libc::EISDIR));
    }
    let text = format!("it is {}, and only regular files are read", name(metadata.file_type()));
    Err(io::Error::new(io::ErrorKind::InvalidInput, text))
}

fn name(kind: FileType) -> &'static str {
    if kind.is_fifo() {
        "a pipe"
    } else if kind.is_socket() {
        "a socket"
    } else {
        "a device"
    }
}

/// The new content of a file, which is written beside it and then takes its place. Whoever reads the file sees the old
/// content or the new one. While there is a replacement, no other can begin.
#[derive(Debug)]
pub struct Replacement {
    /// The file itself, not a symlink to it.
    path: PathBuf,
    beside: PathBuf,
    file: File,
    former: Metadata,
    in_place: bool,
}

impl Replacement {
    /// Begins to replace a file. Symlinks are followed.
    ///
    /// # Errors
    /// The system's error, or that another replacement has begun.
    pub fn begin(path: &Path) -> io::Result<Self> {
        let path = path.canonicalize()?;
        let former = open(&path)?.metadata()?;
        let mut name = path.file_name().unwrap_or_default().to_owned();
        name.push(".new");
        let beside = path.with_file_name(name);
        let file =
            OpenOptions::new().write(true).create_new(true).mode(0o600).open(&beside).map_err(|error| {
                let text = if error.kind() == io::ErrorKind::AlreadyExists {
                    format!(
                        "{} exists: if no other command is replacing the file, remove it",
                        beside.display()
                    )
                } else {
                    format!("{} cannot be written ({error})", beside.display())
                };
                io::Error::new(error.kind(), text)
            })?;
        Ok(Self { path, beside, file, former, in_place: false })
    }

    /// Writes the new content, gives it the owner and the mode of the old one, and puts it in its place.
    ///
    /// # Errors
    /// The system's error; then the file is as it was.
    pub fn finish(mut self, bytes: &[u8]) -> io::Result<()> {
        self.file.write_all(bytes)?;
        let made = self.file.metadata()?;
        if (made.uid(), made.gid()) != (self.former.uid(), self.former.gid()) {
            fchown(&self.file, Some(self.former.uid()), Some(self.former.gid()))?;
        }
        self.file.set_permissions(self.former.permissions())?;
        self.file.sync_all()?;
        fs::rename(&self.beside, &self.path)?;
        self.in_place = true;
        // The new name is on the disk, too.
        let folder = self.path.parent().map(File::open).transpose()?;
        folder.map_or(Ok(()), |folder| folder.sync_all())
    }
}

impl Drop for Replacement {
    fn drop(&mut self) {
        if !self.in_place {
            // If it cannot be removed, the next replacement says so.
            let _ = fs::remove_file(&self.beside);
        }
    }
}

/// The byte order mark in UTF-8, which is not part of the text.
const MARK: &[u8] = b"\xEF\xBB\xBF";

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn folder(name: &str) -> PathBuf {
        let folder = std::env::temp_dir().join(format!("hairpin-files-{}-{name}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        folder
    }

    #[test]
    fn a_replaced_file_keeps_its_mode_and_a_symlink_to_it() {
        let folder = folder("mode");
        let (file, link) = (folder.join("secret"), folder.join("link"));
        fs::write(&file, "old").unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o640)).unwrap();
        std::os::unix::fs::symlink(&file, &link).unwrap();

        Replacement::begin(&link).unwrap().finish(b"new").unwrap();

        assert_eq!(fs::read_to_string(&file).unwrap(), "new");
        assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o640);
        assert!(link.symlink_metadata().unwrap().is_symlink());
        assert_eq!(fs::read_dir(&folder).unwrap().count(), 2);
        fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn of_two_replacements_at_once_the_second_does_not_begin() {
        let folder = folder("twice");
        let file = folder.join("secret");
        fs::write(&file, "old").unwrap();
        let first = Replacement::begin(&file).unwrap();
        assert!(Replacement::begin(&file).unwrap_err().to_string().contains("secret.new exists"));
        drop(first);
        assert_eq!(fs::read_to_string(&file).unwrap(), "old");
        Replacement::begin(&file).unwrap().finish(b"new").unwrap();
        fs::remove_dir_all(folder).unwrap();
    }
}
