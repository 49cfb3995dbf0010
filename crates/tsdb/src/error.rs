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
    /// There is no store to look at.
    #[error("{dir}: no metrics store lies there; a data directory of a collector has one in `tsdb`")]
    NoStore {
        /// The directory.
        dir: PathBuf,
    },
    /// A tier whose steps do not fill a day.
    #[error("a tier with steps of {step_ms} ms: a day must be a multiple of the step")]
    InvalidTier {
        /// The length of its steps.
        step_ms: i64,
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
    /// The batch was not written, and its decisions were taken back: it may be sent again.
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
    /// A block of a format that this program does not read. It is sound as far as can be told, and stays where it is.
    #[error("block {path} has format version {version}, this program reads {readable}; run the release that wrote it")]
    UnknownVersion {
        /// The file.
        path: PathBuf,
        /// What it says of itself.
        version: u32,
        /// The version that is known.
        readable: u32,
    },
    /// A merge would not fit on the disk. It is tried again.
    #[error("merging blocks needs {needed} bytes and {available} are available; free some, or lower the retention")]
    NoSpace {
        /// What the merge may need.
        needed: u64,
        /// What the file system offers.
        available: u64,
    },
    /// So many deletes wait for their space. It comes back with maintenance.
    #[error("{limit} deletes wait for their space; clean the tombstones first")]
    TooManyDeletes {
        /// The limit.
        limit: usize,
    },
    /// The selectors of the deletes that wait for their space are so large that no start would read them again.
    #[error(
        "the selectors of deletes that wait for their space have {bytes} bytes of {limit}; clean the tombstones first"
    )]
    DeletesTooLarge {
        /// Their size with the new delete, in bytes.
        bytes: u64,
        /// The limit, in bytes.
        limit: u64,
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
    /// A series ref no longer holds: find the series again by its labels and repeat.
    #[error("a series left the head since it was looked up; look its labels up again and repeat")]
    StaleRef,
    /// The number was taken by a batch with other content.
    #[error("{id:?} was taken before with other content: two senders share one identity")]
    CursorConflict {
        /// The number.
        id: BatchId,
    },
    /// There is no room: the disk is slower than the senders, or flushes fail.
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

/// A new series is refused; those that are there go on.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum SeriesLimit {
    /// The head is full.
    #[error("the head holds {limit} series, as many as max_series allows; the new series was refused")]
    Total {
        /// The limit.
        limit: usize,
    },
    /// The metric has as many as one may have.
    #[error("the metric has {limit} series, as many as max_series_per_metric allows; the new series was refused")]
    Metric {
        /// The limit.
        limit: usize,
    },
    /// The agent has brought as many as one may bring.
    #[error("the agent has brought {limit} series, as many as max_series_per_agent allows; the new one was refused")]
    Agent {
        /// The limit.
        limit: usize,
    },
    /// It has more labels than any series may have.
    #[error("the series has more than {limit} labels; it was refused")]
    Labels {
        /// The limit.
        limit: usize,
    },
}

/// Why a read gave no answer.
#[derive(Debug, Error)]
pub enum SelectError {
    /// More series match than are allowed.
    #[error("more than {limit} series match; narrow the selector or raise the limit")]
    TooManySeries {
        /// The limit.
        limit: usize,
    },
    /// More samples match than are allowed.
    #[error("more than {limit} samples match; narrow the selector or the range, or raise the limit")]
    TooManySamples {
        /// The limit.
        limit: usize,
    },
    /// The time of the read was over.
    #[error("the time of the read was over")]
    Expired,
    /// A block could not be read.
    #[error("reading blocks")]
    Storage(#[from] Error),
}
