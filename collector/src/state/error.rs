//! What can go wrong with the state database.

use std::path::PathBuf;
use std::sync::Arc;

/// Why the state database cannot be opened. Each says what to do.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// It cannot be opened or read.
    #[error("the state database {path} cannot be opened: check its permissions and the space on its disk")]
    Open {
        /// The file.
        path: PathBuf,
        /// What SQLite says.
        source: rusqlite::Error,
    },
    /// Its folder cannot be made.
    #[error("the folder of the state database {path} cannot be made")]
    Folder {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// It is not what was written.
    #[error(
        "the state database {path} is damaged ({reason}): restore it with its -wal file from a backup, or move both away to \
         start without memory; alerts then begin anew and notifications may come twice"
    )]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// A newer program wrote it.
    #[error(
        "the state database {path} has version {found}, this program knows versions up to {known}: start the newer program, \
         or move the file away to start without memory"
    )]
    Newer {
        /// The file.
        path: PathBuf,
        /// Its version.
        found: i64,
        /// The version of this program.
        known: i64,
    },
    /// The thread that writes cannot be started.
    #[error("the thread of the state database cannot be started")]
    Thread(#[source] std::io::Error),
}

/// Why changes were not committed. They are lost for the database, not for the process.
#[derive(Clone, Debug, thiserror::Error)]
pub enum CommitError {
    /// The database does not take them.
    #[error("the state database cannot be written")]
    Write(#[source] Arc<rusqlite::Error>),
    /// Too many wait already.
    #[error("too many changes wait for the state database")]
    Busy,
    /// The process ends.
    #[error("the state database is closed")]
    Closed,
}
