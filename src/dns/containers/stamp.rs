//! Whether a file has changed since it was read.

use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;
use std::time::{Duration, SystemTime};

/// Clocks of file systems tick this seldom, or more often: what was changed so shortly before it was read may be changed again with
/// the same time.
const TICK: Duration = Duration::from_millis(50);

/// What tells one state of a file from another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamp {
    file: (u64, u64),
    size: u64,
    modified: (i64, i64),
    changed: (i64, i64),
    is_settled: bool,
}

impl Stamp {
    /// The state that a file had just before it was read.
    pub fn of(metadata: &Metadata) -> Stamp {
        let age = metadata.modified().ok().and_then(|modified| SystemTime::now().duration_since(modified).ok());
        Stamp {
            file: (metadata.dev(), metadata.ino()),
            size: metadata.size(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
            is_settled: age.is_some_and(|age| age >= TICK),
        }
    }

    /// Whether the file is certainly what it was at an earlier time.
    pub fn is_as(&self, earlier: &Stamp) -> bool {
        earlier.is_settled && (Stamp { is_settled: true, ..*self }) == *earlier
    }
}
