//! What can go wrong with the queue.

use std::io;
use std::path::PathBuf;

use sonde_disk::WalError;
use thiserror::Error;

use super::DropReason;
use crate::identity::IdentityError;

/// Why the queue cannot be opened.
#[derive(Debug, Error)]
pub enum OpenError {
    /// Another process has the folder.
    #[error("{} is in use by another agent; stop it or give this one its own data_dir", path.display())]
    InUse {
        /// The lock file.
        path: PathBuf,
    },
    /// A file cannot be read or written.
    #[error("{}", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// The identity cannot be kept.
    #[error("the agent's identity")]
    Identity(#[from] IdentityError),
    /// The WAL cannot be opened.
    #[error("the agent's queue")]
    Wal(#[from] WalError),
}

/// Why a batch was not taken. Nothing was kept of it.
#[derive(Clone, Debug, Error)]
pub enum AppendError {
    /// The queue holds as much as it may.
    #[error("the queue is full: {waiting} bytes wait for the collector, {key} is {limit}")]
    Full {
        /// The key of the configuration that bounds it.
        key: &'static str,
        /// Bytes that wait.
        waiting: u64,
        /// The limit.
        limit: u64,
    },
    /// The disk has less free space than the queue must leave.
    #[error("the disk of the queue has less than queue.min_free of {min_free} bytes left")]
    DiskSpace {
        /// What must stay free.
        min_free: u64,
    },
    /// Too much waits for the disk.
    #[error("the disk does not keep up with what comes in")]
    Busy,
    /// The body is larger than the queue takes.
    #[error("a batch of {bytes} bytes is larger than the limit of {limit}")]
    TooLarge {
        /// Its size.
        bytes: usize,
        /// The limit.
        limit: usize,
    },
    /// The disk failed.
    #[error("the queue cannot be written")]
    Disk(#[source] WalError),
}

impl AppendError {
    /// Why data points or spans are dropped when nobody can be told to wait.
    pub fn reason(&self) -> DropReason {
        match self {
            AppendError::Full { .. } | AppendError::Busy => DropReason::QueueFull,
            AppendError::TooLarge { .. } => DropReason::TooLarge,
            AppendError::DiskSpace { .. } => DropReason::DiskSpace,
            AppendError::Disk(_) => DropReason::DiskError,
        }
    }
}
