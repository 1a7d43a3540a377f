//! Reads the files that an operator names: ordinary ones alone, and none longer than it can be meant to be.
//!
//! A pipe would be waited for, a device may never end, and both say nothing while they do.

use std::fs::{File, FileType, Metadata, OpenOptions};
use std::io::{self, Read as _};
use std::os::unix::fs::{FileTypeExt as _, OpenOptionsExt as _};
use std::path::Path;

/// The longest text or certificate that is read: many times what any has.
const LENGTH_MAX: u64 = 1 << 20;

/// Opens an ordinary file, behind whatever symlinks.
///
/// # Errors
/// What the system says, or what it is instead of a file.
pub fn open(path: &Path) -> io::Result<File> {
    // Looked at first, because opening alone can do things: a pipe's writer sees a reader, a terminal becomes ours.
    ordinary(&path.metadata()?)?;
    let file = OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY).open(path)?;
    ordinary(&file.metadata()?)?;
    Ok(file)
}

/// What is in an open file, without the byte order mark that some editors put in front.
///
/// # Errors
/// What the system says, or that the file is too long.
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

/// The same of a text.
///
/// # Errors
/// As [`read`], or that it is no text in UTF-8.
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

/// A byte order mark in UTF-8. It says nothing, and is no part of what follows.
const MARK: &[u8] = b"\xEF\xBB\xBF";
