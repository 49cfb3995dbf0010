//! The write-ahead log: records that are on the disk before anyone hears that they are.
//!
//! A record is opaque bytes, an outcome and not a request: replay applies what was decided. [`Wal::append`] takes a
//! callback, so that no thread waits for a sync; one thread writes what has gathered with one write and one sync. After
//! a failed write or sync the segment is abandoned and what was not acknowledged is written to a new one. The format is
//! docs/format/wal.md. This module must not know what a record means.

mod error;
mod frame;
mod options;
mod position;
mod reader;
mod report;
mod stats;

use std::path::Path;
use std::sync::Arc;

pub use error::WalError;
pub use options::{SyncPolicy, WalOptions};
pub use position::Position;
pub use reader::Reader;
pub use report::{DamageReason, DamagedRange, OpenReport, TruncatedTail};
pub use stats::WalStats;

use crate::fs::Fs;

/// Called once per record on the WAL thread, in WAL order, after the sync: with the position of the record, or with
/// why it is not durable. It must be quick and must not wait for the WAL. What it may do: append again.
pub type OnDurable = Box<dyn FnOnce(Result<Position, WalError>) + Send>;

/// A write-ahead log in a directory of its own. Share it as `Arc<Wal>`.
#[derive(Debug)]
pub struct Wal {
    stats: Arc<WalStats>,
}

impl Wal {
    /// Opens the WAL in `dir`, creating the directory if needed, and hands every intact record to `replay`, in order.
    /// What was replayed is durable when this returns.
    ///
    /// Damage is no error: it is skipped and reported. Errors: the options, a file system that fails, a newer format.
    /// Only one `Wal` may be open in a directory; the owner of the data directory holds its lock.
    pub fn open(
        fs: Arc<dyn Fs>,
        dir: &Path,
        options: WalOptions,
        replay: &mut dyn FnMut(Position, &[u8]),
    ) -> Result<(Self, OpenReport), WalError> {
        let _ = (fs, replay);
        options.check()?;
        Err(not_implemented("open", dir))
    }

    /// Takes a record; `on_durable` is called once it is durable or has failed. Never waits for the disk.
    /// After an error nothing was taken and the callback is dropped uncalled.
    pub fn append(&self, record: Vec<u8>, on_durable: OnDurable) -> Result<(), WalError> {
        let _ = (record, on_durable);
        Err(not_implemented("append", Path::new("")))
    }

    /// Starts a new segment behind everything appended so far and returns its start: waits for the disk.
    pub fn rotate(&self) -> Result<Position, WalError> {
        Err(not_implemented("rotate", Path::new("")))
    }

    /// As [`Wal::rotate`], without waiting: `on_rotated` is called on the WAL thread in WAL order, after the callbacks
    /// of every record before the new segment and before those of every record in it.
    pub fn rotate_with(&self, on_rotated: OnDurable) -> Result<(), WalError> {
        drop(on_rotated);
        Err(not_implemented("rotate", Path::new("")))
    }

    /// Removes the segments that hold nothing at or behind `position`: whole ones, never the last. Durable when this
    /// returns.
    pub fn truncate_before(&self, position: Position) -> Result<(), WalError> {
        let _ = position;
        Err(not_implemented("truncate", Path::new("")))
    }

    /// Where the next record will lie at the earliest: behind everything durable.
    pub fn end(&self) -> Position {
        Position::START
    }

    /// Where the oldest record that is kept lies at the earliest.
    pub fn start(&self) -> Position {
        Position::START
    }

    /// A reader over the durable records at and behind `from`, which sees those that become durable while it lives.
    pub fn reader(&self, from: Position) -> Reader {
        Reader::new(from)
    }

    /// Bytes of all segments on disk.
    pub fn size_bytes(&self) -> u64 {
        0
    }

    /// What was counted since the opening.
    pub fn stats(&self) -> &Arc<WalStats> {
        &self.stats
    }

    /// Writes what waits, calls the callbacks and ends the WAL thread; later appends get [`WalError::Closed`].
    /// Dropping the WAL does the same.
    pub fn close(&self) {}
}

fn not_implemented(action: &'static str, path: &Path) -> WalError {
    WalError::io(action, path, std::io::Error::new(std::io::ErrorKind::Unsupported, "the WAL is not implemented yet"))
}
