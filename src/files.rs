//! Reads the files that an operator names. Only regular files of at most 1 MiB are read.
//!
//! Reading a pipe may block, and a device may never end, without any message to the operator.

use std::fs::{File, FileType, Metadata, OpenOptions};
use std::io::{self, Read as _};
use std::os::unix::fs::{FileTypeExt as _, OpenOptionsExt as _};
use std::path::Path;

/// The longest file that is read: many times the size of any certificate or configuration.
const LENGTH_MAX: u64 = 1 << 20;

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

/// The byte order mark in UTF-8, which is not part of the text.
const MARK: &[u8] = b"\xEF\xBB\xBF";
