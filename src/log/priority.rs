//! Marks lines with their priorities, which systemd's journal reads and removes (sd-daemon(3)).

use std::fs::File;
use std::io;
use std::os::fd::AsFd as _;
use std::os::unix::fs::MetadataExt as _;

use tracing::Level;

/// Whether standard error is the journal. systemd names its device and inode in `JOURNAL_STREAM` (systemd.exec(5)); a
/// process that inherits the variable may write somewhere else.
pub(super) fn is_read() -> bool {
    let stderr = || File::from(io::stderr().as_fd().try_clone_to_owned()?).metadata();
    let journal = std::env::var("JOURNAL_STREAM").ok();
    journal
        .zip(stderr().ok())
        .is_some_and(|(journal, stderr)| journal == format!("{}:{}", stderr.dev(), stderr.ino()))
}

/// The text with the priority of `level` before each of its lines: the journal takes each line for an entry.
pub(super) fn marked(level: Level, text: &[u8]) -> Vec<u8> {
    let mark = mark(level).as_bytes();
    text.split_inclusive(|byte| *byte == b'\n').flat_map(|line| [mark, line].concat()).collect()
}

fn mark(level: Level) -> &'static str {
    match level {
        Level::ERROR => "<3>",
        Level::WARN => "<4>",
        Level::INFO => "<6>",
        Level::DEBUG | Level::TRACE => "<7>",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_line_has_the_priority_of_its_event() {
        for (level, expected) in [
            (Level::ERROR, "<3>one\n<3>two\n"),
            (Level::WARN, "<4>one\n<4>two\n"),
            (Level::INFO, "<6>one\n<6>two\n"),
            (Level::DEBUG, "<7>one\n<7>two\n"),
            (Level::TRACE, "<7>one\n<7>two\n"),
        ] {
            assert_eq!(marked(level, b"one\ntwo\n"), expected.as_bytes());
        }
        assert_eq!(marked(Level::ERROR, b""), b"");
    }
}
