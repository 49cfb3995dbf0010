//! What can go wrong.

use std::path::PathBuf;

use sonde_disk::blocks::directory::FileError;
use sonde_model::BatchId;
use thiserror::Error;

/// Why the store cannot do its work.
#[derive(Debug, Error)]
pub enum Error {
    /// The directory is used by another process.
    #[error("{dir}: in use by another process; a data directory belongs to one program at a time")]
    Locked {
        /// The directory.
        dir: PathBuf,
    },
    /// The file system refused.
    #[error("{action} {path}")]
    Io {
        /// What was attempted.
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// What the file system said.
        #[source]
        source: std::io::Error,
    },
    /// The batch was not written, and its number is free again: it may be sent again.
    #[error("the batch was not written: {reason}")]
    NotWritten {
        /// What the WAL said.
        reason: String,
    },
    /// A block does not hold what its checksums say.
    #[error("block {path} is damaged: {reason}")]
    DamagedBlock {
        /// The file.
        path: PathBuf,
        /// What does not hold.
        reason: String,
    },
    /// Spans in the head or the WAL cannot be read, although their checksums hold.
    #[error("spans of the WAL are unreadable: {reason}")]
    Unreadable {
        /// What does not hold.
        reason: String,
    },
    /// A merge would fill the disk.
    #[error("merging needs {needed} bytes and {available} are free; make room and compact again")]
    NoSpace {
        /// What the merge may take.
        needed: u64,
        /// What is there.
        available: u64,
    },
    /// The WAL cannot be opened or does not take what maintenance writes.
    #[error("the WAL of the store")]
    Wal(#[from] sonde_disk::WalError),
}

impl From<FileError> for Error {
    fn from(FileError { action, path, source }: FileError) -> Self {
        Error::Io { action, path, source }
    }
}

/// Why a batch was refused. Nothing of it was written.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum AppendError {
    /// The number was taken by a batch with other content.
    #[error("{id:?} was taken before with other content: two senders share one identity")]
    CursorConflict {
        /// The number.
        id: BatchId,
    },
    /// There is no room: the disk is slower than the senders, flushes fail, or who derives from spans is behind.
    #[error("the store is busy: {reason}; send again later")]
    Busy {
        /// What is full.
        reason: &'static str,
    },
    /// The batch is larger than a WAL record may be.
    #[error("the batch needs {bytes} bytes in the WAL and {limit} are allowed; send smaller batches")]
    TooLarge {
        /// What it needs.
        bytes: usize,
        /// What is allowed.
        limit: usize,
    },
    /// The WAL does not take records.
    #[error("the WAL refused: {reason}")]
    Wal {
        /// What the WAL said.
        reason: String,
    },
    /// The store was closed.
    #[error("the store is closed")]
    Closed,
}

/// Why a read gave no answer.
#[derive(Debug, Error)]
pub enum ReadError {
    /// The trace has more spans than may be read at once.
    #[error("the trace has more than {limit} spans; raise max_trace_spans to read it")]
    TraceTooLarge {
        /// The limit.
        limit: usize,
    },
    /// Head or blocks could not be read.
    #[error("reading spans")]
    Storage(#[from] Error),
}
