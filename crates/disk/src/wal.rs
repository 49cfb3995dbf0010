//! The write-ahead log: records that are on the disk before anyone hears that they are.
//!
//! A record is opaque bytes, an outcome and not a request: replay applies what was decided. [`Wal::append`] takes a
//! callback, so that no thread waits for a sync; one thread writes what has gathered with one write and one sync. After
//! a failed write or sync the segment is abandoned and what was not acknowledged is written to a new one. The format is
//! docs/format/wal.md. This module must not know what a record means.

mod create;
mod error;
mod frame;
mod options;
mod position;
mod queue;
mod reader;
mod recovery;
mod report;
mod scan;
mod segment;
mod shared;
mod stats;
mod window;
mod writer;

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc;
use std::thread::{JoinHandle, ThreadId};

use parking_lot::Mutex;

pub use error::WalError;
pub use options::{SyncPolicy, WalOptions};
pub use position::Position;
pub use reader::Reader;
pub use report::{DamageReason, DamagedRange, OpenReport, TruncatedTail};
pub use stats::WalStats;

use crate::fs::Fs;
use create::SYNC;
use recovery::{Purpose, Recovered, recover};
use shared::Shared;
use writer::Writer;

/// Called once per record on the WAL thread, in WAL order, after the sync: with the position of the record, or with
/// why it is not durable. It must be quick and must not wait for the WAL. What it may do: append again.
pub type OnDurable = Box<dyn FnOnce(Result<Position, WalError>) + Send>;

/// A write-ahead log in a directory of its own. Share it as `Arc<Wal>`.
#[derive(Debug)]
pub struct Wal {
    shared: Arc<Shared>,
    thread: Mutex<Option<JoinHandle<()>>>,
    thread_id: ThreadId,
    /// Held while segments are removed, which must happen in order.
    truncating: Mutex<()>,
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
        options.check()?;
        fs.create_dir_all(dir).map_err(|error| WalError::io("create", dir, error))?;
        let Recovered { segments, next_number, next_sequence, report } =
            recover(fs.as_ref(), dir, Purpose::Open, replay)?;
        let shared = Arc::new(Shared::new(fs, dir.to_owned(), options, segments));
        let writer = Writer::new(Arc::clone(&shared), next_number, next_sequence);
        let thread = std::thread::Builder::new()
            .name("wal".to_owned())
            .spawn(move || writer.run())
            .map_err(|error| WalError::io("start the thread of", dir, error))?;
        let thread_id = thread.thread().id();
        Ok((Self { shared, thread: Mutex::new(Some(thread)), thread_id, truncating: Mutex::default() }, report))
    }

    /// Hands every intact record of the WAL in `dir` to `visit`, in order, as [`Wal::open`] would find them, and changes
    /// nothing: what an opening would cut or write again is in the report and where it was.
    pub fn examine(fs: &dyn Fs, dir: &Path, visit: &mut dyn FnMut(Position, &[u8])) -> Result<OpenReport, WalError> {
        recover(fs, dir, Purpose::Examine, visit).map(|recovered| recovered.report)
    }

    /// Takes a record; `on_durable` is called once it is durable or has failed. Never waits for the disk.
    /// After an error nothing was taken and the callback is dropped uncalled.
    pub fn append(&self, record: Vec<u8>, on_durable: OnDurable) -> Result<(), WalError> {
        self.push(record, None, on_durable)
    }

    /// As [`Wal::append`], for a record whose content builds on every record before it: if one of those fails while
    /// this one waits, this one fails with it and is not written.
    ///
    /// `failures` is how many failures the content allows for: 0 after the opening, and one more with the first
    /// callback that reports a failure of a record appended with the current number. A record of a number that is
    /// behind is refused as [`WalError::BasisFailed`]. So the owner goes back to what is durable once for each
    /// failure, and nothing that it decided on what failed is ever written.
    pub fn append_after(&self, failures: u64, record: Vec<u8>, on_durable: OnDurable) -> Result<(), WalError> {
        self.push(record, Some(failures), on_durable)
    }

    /// Starts a new segment behind everything appended so far and returns its start: waits for the disk.
    /// If the segment in use is empty, it is the new one.
    pub fn rotate(&self) -> Result<Position, WalError> {
        if self.is_wal_thread() {
            return Err(WalError::OnWalThread { call: "rotate" });
        }
        let (sender, receiver) = mpsc::sync_channel(1);
        self.rotate_with(Box::new(move |result| {
            // The receiver waits below until this is sent.
            let _ = sender.send(result);
        }))?;
        receiver.recv().unwrap_or(Err(WalError::Closed))
    }

    /// As [`Wal::rotate`], without waiting: `on_rotated` is called on the WAL thread in WAL order, after the callbacks
    /// of every record before the new segment and before those of every record in it.
    pub fn rotate_with(&self, on_rotated: OnDurable) -> Result<(), WalError> {
        self.shared.queue.push_rotate(on_rotated)
    }

    /// Removes the segments that hold nothing at or behind `position`: whole ones, never the last. Durable when this
    /// returns.
    pub fn truncate_before(&self, position: Position) -> Result<(), WalError> {
        let _in_order = self.truncating.lock();
        let Shared { fs, dir, .. } = self.shared.as_ref();
        let passed = self.shared.segments_before(position);
        let sync_dir = || fs.sync_dir(dir).map_err(|error| WalError::io(SYNC, dir, error));
        for number in &passed {
            // One by one, each after a sync of what happened before, so that a crash never leaves a hole.
            sync_dir()?;
            let path = segment::path(dir, *number);
            match fs.remove_file(&path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    return Err(WalError::io("remove", &path, error));
                }
                _ => self.shared.remove_segment(*number),
            }
        }
        if passed.is_empty() { Ok(()) } else { sync_dir() }
    }

    /// Where the next record will lie at the earliest: behind everything durable.
    pub fn end(&self) -> Position {
        self.shared.end()
    }

    /// Where the oldest record that is kept lies at the earliest.
    pub fn start(&self) -> Position {
        self.shared.start()
    }

    /// A reader over the durable records at and behind `from`, which sees those that become durable while it lives.
    pub fn reader(&self, from: Position) -> Reader {
        Reader::new(Arc::clone(&self.shared), from)
    }

    /// Bytes of all segments on disk.
    pub fn size_bytes(&self) -> u64 {
        self.shared.stats.size_bytes.load(Ordering::Relaxed)
    }

    /// What was counted since the opening.
    pub fn stats(&self) -> &Arc<WalStats> {
        &self.shared.stats
    }

    /// Writes what waits, calls the callbacks and ends the WAL thread; later appends get [`WalError::Closed`].
    /// Dropping the WAL does the same. From a callback it only begins this, because the WAL thread cannot wait for
    /// itself.
    pub fn close(&self) {
        self.shared.queue.close();
        if self.is_wal_thread() {
            return;
        }
        let thread = self.thread.lock().take();
        if let Some(Err(_)) = thread.map(JoinHandle::join) {
            tracing::error!("the WAL thread panicked");
        }
    }

    fn push(&self, record: Vec<u8>, after: Option<u64>, on_durable: OnDurable) -> Result<(), WalError> {
        let limit = self.shared.options.max_record_bytes;
        if record.len() > limit {
            return Err(WalError::RecordTooLarge { bytes: record.len(), limit });
        }
        self.shared.queue.push_record(record, after, on_durable)
    }

    fn is_wal_thread(&self) -> bool {
        std::thread::current().id() == self.thread_id
    }
}

impl Drop for Wal {
    fn drop(&mut self) {
        self.close();
    }
}
