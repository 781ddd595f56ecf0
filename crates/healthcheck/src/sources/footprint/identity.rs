//! Which file it is, and when it was changed.

use jiff::Timestamp;
use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;
use std::time::Duration;

/// A file's times may be this far ahead without lying in the future: clocks are read one after the other.
const READ_TOLERANCE: Duration = Duration::from_secs(1);

/// Which file it is, and when it was changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Identity {
    pub(super) file: File,
    pub(super) modified: Timestamp,
    pub(super) changed: Timestamp,
}

/// A file, whatever it is called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct File {
    device: u64,
    inode: u64,
}

impl File {
    pub(super) fn of(metadata: &Metadata) -> Self {
        Self { device: metadata.dev(), inode: metadata.ino() }
    }
}

impl Identity {
    pub(super) fn of(metadata: &Metadata) -> Self {
        Self {
            file: File::of(metadata),
            modified: timestamp(metadata.mtime(), metadata.mtime_nsec()),
            changed: timestamp(metadata.ctime(), metadata.ctime_nsec()),
        }
    }

    /// When something was done to it last. What is unpacked keeps its modification time, and not every file system
    /// has a change time; of those that lie in the future none is believed.
    pub(super) fn touched(&self, now: Timestamp) -> Option<Timestamp> {
        let latest = now.checked_add(READ_TOLERANCE).unwrap_or(now);
        [self.modified, self.changed].into_iter().filter(|time| *time <= latest).max()
    }
}

fn timestamp(seconds: i64, nanos: i64) -> Timestamp {
    Timestamp::new(seconds, i32::try_from(nanos).unwrap_or(0)).unwrap_or_default()
}
