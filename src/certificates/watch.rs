//! Decides from the metadata of files when to read them again.

use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How often to look. A change is read at the second look after it, and so within a second.
pub const PERIOD: Duration = Duration::from_millis(250);

/// Metadata of files, with symlinks followed. It changes when a file is replaced or written, or gets another owner or mode.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Stamps(Vec<Option<Stamp>>);

/// Decides when files have changed and come to rest.
///
/// Polling also works where notifications do not: swapped symlinks (certbot, Kubernetes), files that are missing for a
/// while, network mounts.
#[derive(Debug, Default)]
pub struct Watch {
    seen: Option<Stamps>,
    judged: Option<Stamps>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Stamp {
    device: u64,
    inode: u64,
    length: u64,
    written: (i64, i64),
    /// The time of the last status change. A new owner or mode changes it too, and may be what makes the file readable.
    changed: (i64, i64),
}

impl Stamps {
    pub(super) fn of<'a>(files: impl Iterator<Item = &'a PathBuf>) -> Self {
        Self(files.map(|file| Stamp::of(file)).collect())
    }
}

impl Watch {
    /// Whether to read the files, whose metadata is now `stamps`. They are read if they have changed since they were last
    /// read, but not since the last look: a certificate is often written a moment before its key. Files that never come to
    /// rest are never read. The first state is read too, because it may be newer than what was read at start.
    pub fn look(&mut self, stamps: Stamps) -> bool {
        let settled = self.seen.as_ref() == Some(&stamps);
        let due = settled && self.judged.as_ref() != Some(&stamps);
        if due {
            self.judged = Some(stamps.clone());
        }
        self.seen = Some(stamps);
        due
    }

    /// Notes that the files are read now, for any reason. `stamps` must be from before the reading.
    pub fn judged(&mut self, stamps: Stamps) {
        self.judged = Some(stamps);
    }
}

impl Stamp {
    fn of(file: &Path) -> Option<Self> {
        let file = file.metadata().ok()?;
        Some(Self {
            device: file.dev(),
            inode: file.ino(),
            length: file.len(),
            written: (file.mtime(), file.mtime_nsec()),
            changed: (file.ctime(), file.ctime_nsec()),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_read_once_they_changed_and_came_to_rest() {
        let mut watch = Watch::default();
        let looks = [
            (state(1, 1), false),
            (state(1, 1), true), // the first state
            (state(1, 1), false),
            (state(2, 1), false), // the certificate is new, the key not yet
            (state(2, 2), false),
            (state(2, 2), true), // both
            (state(2, 2), false),
            (state(3, 2), false),
            (state(3, 2), true), // only one, and it stays so: refused, once
            (state(3, 2), false),
            (state(3, 2), false),
            (Stamps(vec![None, None]), false),
            (Stamps(vec![None, None]), true), // gone
            (Stamps(vec![None, None]), false),
            (state(3, 2), false),
            (state(3, 2), true), // back
        ];
        for (at, (stamps, due)) in looks.into_iter().enumerate() {
            assert_eq!(watch.look(stamps), due, "look {at}");
        }
    }

    #[test]
    fn what_was_read_for_another_reason_is_not_read_again() {
        let mut watch = Watch::default();
        watch.judged(state(1, 1));
        assert!(!watch.look(state(1, 1)) && !watch.look(state(1, 1)));
        assert!(!watch.look(state(2, 1)));

        watch.judged(state(2, 1));

        assert!(!watch.look(state(2, 1)));
        assert!(!watch.look(state(2, 2)) && watch.look(state(2, 2)));
    }

    #[test]
    fn files_that_flap_between_two_looks_are_left_until_they_rest() {
        let mut watch = Watch::default();
        for n in 0..100 {
            assert!(!watch.look(state(n % 2, 0)));
        }
        assert!(watch.look(state(1, 0)));
    }

    fn state(certificate: u64, key: u64) -> Stamps {
        let stamp = |inode| Some(Stamp { device: 0, inode, length: 0, written: (0, 0), changed: (0, 0) });
        Stamps(vec![stamp(certificate), stamp(key)])
    }
}
