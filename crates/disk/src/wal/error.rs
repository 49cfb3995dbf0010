//! What can go wrong with a WAL.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use thiserror::Error;

use super::DamagedRange;

/// What can go wrong with a WAL. Cloned to every record of a batch that failed.
#[derive(Clone, Debug, Error)]
pub enum WalError {
    /// The options contradict each other.
    #[error("invalid WAL options: {message}")]
    InvalidOptions {
        /// Which option, and what it must be.
        message: String,
    },
    /// The record is larger than `max_record_bytes`.
    #[error("a record of {bytes} bytes exceeds max_record_bytes of {limit}")]
    RecordTooLarge {
        /// The size of the record.
        bytes: usize,
        /// The limit.
        limit: usize,
    },
    /// As many bytes wait for their sync as may wait. Nothing was taken; try again later.
    #[error("the WAL is busy: {pending_bytes} bytes wait for the disk, max_pending_bytes is {limit}")]
    Busy {
        /// What waits now.
        pending_bytes: usize,
        /// The limit.
        limit: usize,
    },
    /// A record that this one builds on was not written, and the owner has not gone back yet. Nothing was taken; try
    /// again.
    #[error("a record that this one builds on was not written")]
    BasisFailed,
    /// The WAL has been closed.
    #[error("the WAL is closed")]
    Closed,
    /// A call that waits for the WAL thread was made on the WAL thread, from a callback, and would wait for ever.
    #[error("{call} was called from a WAL callback, where it would wait for itself")]
    OnWalThread {
        /// The call.
        call: &'static str,
    },
    /// The disk is full. Later appends work again once space is freed.
    #[error("no space left on the disk: cannot {action} {}", path.display())]
    DiskFull {
        /// What was tried.
        action: &'static str,
        /// On which file or directory.
        path: PathBuf,
        /// What the system said.
        source: Arc<io::Error>,
    },
    /// The file system failed.
    #[error("cannot {action} {}", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// On which file or directory.
        path: PathBuf,
        /// What the system said.
        source: Arc<io::Error>,
    },
    /// A segment was written by a newer release. Nothing was changed.
    #[error("{} has format version {version}, this release reads up to {supported}: start a newer release", path.display())]
    UnsupportedVersion {
        /// The segment's file.
        path: PathBuf,
        /// Its version.
        version: u8,
        /// The newest version that this release reads.
        supported: u8,
    },
    /// A reader met damage and has stepped behind it: the next call goes on there.
    #[error("the WAL is damaged: {0}")]
    Damaged(DamagedRange),
}

impl WalError {
    /// Wraps what the file system said; a full disk gets its own variant because there is something to do about it.
    pub(super) fn io(action: &'static str, path: &Path, source: io::Error) -> Self {
        let path = path.to_owned();
        let full = matches!(source.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded);
        let source = Arc::new(source);
        if full { Self::DiskFull { action, path, source } } else { Self::Io { action, path, source } }
    }
}
