//! The disk queue: what was acknowledged, until the collector has it.
//!
//! A batch gets its number, goes to a WAL, and only when it is on disk is its sender told so. From then on it never
//! changes. The queue is bounded in bytes: who can wait is pushed back, what cannot wait leaves a gap. It must not know
//! what a body means.

mod cursor;
mod error;
mod gap;
mod reader;
mod record;
mod stats;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use parking_lot::Mutex;
use sonde_disk::wal::{Position, Wal, WalError, WalOptions};
use sonde_disk::{Fs, FsLock, OpenReport};
use sonde_model::{BatchId, Signal};
use tokio::sync::Notify;

use crate::identity::{Identity, IdentityError};
use crate::payload::Encoded;
use cursor::ReadCursor;
use gap::OpenGaps;
use record::{Encoding, HEADER_BYTES, Packer, Record};

pub use error::{AppendError, OpenError};
pub use gap::{DropReason, Gap};
pub use reader::{QueueReader, Queued};
pub use record::RecordError;
pub use stats::QueueStats;

/// What gap records may take beyond the cap, so that a full queue can still say what it drops.
const GAP_RESERVE_BYTES: u64 = 1 << 20;

/// Where a batch came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Source {
    /// The host receivers.
    Host = 0,
    /// A `/metrics` page.
    Scrape = 1,
    /// A local application.
    Otlp = 2,
    /// The agent's own metrics.
    Telemetry = 3,
    /// A gap record.
    Gap = 4,
}

/// What the queue is opened with.
#[derive(Clone, Debug)]
pub struct QueueOptions {
    /// How many bytes may wait.
    pub max_bytes: u64,
    /// How much space is left free on the disk.
    pub min_free_bytes: u64,
    /// The largest body.
    pub max_body_bytes: usize,
}

/// The queue. Share it as `Arc<Queue>`.
#[derive(Debug)]
pub struct Queue {
    fs: Arc<dyn Fs>,
    dir: PathBuf,
    options: QueueOptions,
    wal: Wal,
    numbers: Mutex<Numbers>,
    packer: Packer,
    delivered: Mutex<Delivered>,
    /// Held while the cursor's file is written and segments are removed.
    persisting: Mutex<()>,
    gaps: Mutex<OpenGaps>,
    low_on_space: AtomicBool,
    appended: Notify,
    stats: Arc<QueueStats>,
    _lock: FsLock,
}

#[derive(Debug)]
struct Numbers {
    identity: Identity,
    next_seq: u64,
}

#[derive(Debug)]
struct Delivered {
    cursor: Option<ReadCursor>,
    /// Whether `cursor` is what its file says.
    is_stored: bool,
}

/// What replay found.
#[derive(Debug, Default)]
struct Replayed {
    last: Option<BatchId>,
    /// Everything that lies there, as if it were waiting.
    all: QueueStats,
    /// What the collector has not taken, by the cursor's file.
    behind_cursor: QueueStats,
}

/// What opening found.
#[derive(Clone, Debug)]
pub struct QueueReport {
    /// What the WAL found.
    pub wal: OpenReport,
    /// Under which identity batches are numbered from now on.
    pub identity: Identity,
    /// Whether this start began a new epoch because queue state could have been lost.
    pub new_epoch: bool,
    /// Batches that wait.
    pub waiting: u64,
}

impl Source {
    /// All sources.
    pub const ALL: [Source; 5] = [Source::Host, Source::Scrape, Source::Otlp, Source::Telemetry, Source::Gap];

    /// The source as a label value.
    pub fn as_str(self) -> &'static str {
        match self {
            Source::Host => "host",
            Source::Scrape => "scrape",
            Source::Otlp => "otlp",
            Source::Telemetry => "telemetry",
            Source::Gap => "gap",
        }
    }

    fn from_byte(byte: u8) -> Option<Self> {
        Source::ALL.get(usize::from(byte)).copied()
    }
}

impl Queue {
    /// Opens the queue in the agent's folder `dir`, creating it if needed.
    pub fn open(fs: Arc<dyn Fs>, dir: &Path, options: QueueOptions) -> Result<(Arc<Self>, QueueReport), OpenError> {
        let io = |path: &Path| {
            let path = path.to_owned();
            move |source| OpenError::Io { path, source }
        };
        fs.create_dir_all(dir).map_err(io(dir))?;
        let lock_path = dir.join("lock");
        let lock = fs.lock(&lock_path).map_err(|source| match source.kind() {
            io::ErrorKind::WouldBlock => OpenError::InUse { path: lock_path.clone() },
            _ => OpenError::Io { path: lock_path.clone(), source },
        })?;
        let known = Identity::load(fs.as_ref(), dir)?;
        let cursor = ReadCursor::load(fs.as_ref(), dir).map_err(io(dir))?;

        let mut found = Replayed::default();
        let mut replay = |position: Position, bytes: &[u8]| found.add(position, bytes, cursor.as_ref());
        let (wal, report) = Wal::open(Arc::clone(&fs), &dir.join("queue"), options.wal(), &mut replay)?;
        let Replayed { last, all, behind_cursor } = found;

        // A queue that ends before the cursor is not the one that the cursor was written for.
        let is_replaced = cursor.is_some_and(|cursor| wal.end() < cursor.next);
        let cursor = if is_replaced { None } else { cursor };
        let stats = Arc::new(if is_replaced { all } else { behind_cursor });
        let lost_queue = !report.damage.is_empty() || is_replaced || (cursor.is_none() && last.is_none());
        let new_epoch = known.is_some() && lost_queue;
        let identity = match known {
            Some(known) if lost_queue => Identity { epoch: known.epoch + 1, ..known },
            Some(known) => known,
            None => Identity::new()?,
        };
        if known != Some(identity) {
            identity.store(fs.as_ref(), dir)?;
        }
        let seq_of = |id: Option<BatchId>| {
            id.filter(|id| (id.agent, id.epoch) == (identity.agent, identity.epoch)).map_or(0, |id| id.seq)
        };
        let next_seq = seq_of(last).max(seq_of(cursor.map(|cursor| cursor.last))) + 1;

        let waiting = stats.waiting_batches.load(Ordering::Relaxed);
        let packer = Packer::new().map_err(io(dir))?;
        let queue = Queue {
            fs,
            dir: dir.to_owned(),
            options,
            wal,
            numbers: Mutex::new(Numbers { identity, next_seq }),
            packer,
            delivered: Mutex::new(Delivered { cursor, is_stored: true }),
            persisting: Mutex::new(()),
            gaps: Mutex::default(),
            low_on_space: AtomicBool::new(false),
            appended: Notify::new(),
            stats,
            _lock: lock,
        };
        Ok((Arc::new(queue), QueueReport { wal: report, identity, new_epoch, waiting }))
    }

    /// Takes a batch. `on_durable` is called, on the thread of the WAL, once it is on disk or has failed; after an error
    /// returned from here it is not called.
    pub fn append(
        self: &Arc<Self>,
        source: Source,
        batch: &Encoded,
        created_ms: i64,
        on_durable: impl FnOnce(Result<(), AppendError>) + Send + 'static,
    ) -> Result<(), AppendError> {
        self.check_room(source, batch.body.len())?;
        let packed = self.packer.pack(&batch.body);
        let mut numbers = self.numbers.lock();
        let Numbers { identity, next_seq } = *numbers;
        let id = BatchId { agent: identity.agent, epoch: identity.epoch, signal: Signal::Metrics, seq: next_seq };
        let record = Record {
            id,
            source,
            points: batch.points,
            created_ms,
            encoding: if packed.is_some() { Encoding::Zstd } else { Encoding::Plain },
            // `check_room` has compared it with a limit that is below 4 GiB.
            plain_bytes: u32::try_from(batch.body.len()).unwrap_or(u32::MAX),
            body: packed.as_deref().unwrap_or(&batch.body),
        };
        let record = record.encode();
        let (bytes, points, queue) = (record.len() as u64, batch.points, Arc::clone(self));
        self.stats.add_waiting(bytes, points);
        let appended = self.wal.append(
            record,
            Box::new(move |durable| {
                let outcome = queue.on_durable(source, bytes, points, durable);
                on_durable(outcome);
            }),
        );
        match appended {
            Ok(()) => {
                numbers.next_seq += 1;
                Ok(())
            }
            Err(error) => {
                self.stats.sub_waiting(bytes, points);
                Err(match error {
                    WalError::Busy { .. } => AppendError::Busy,
                    error => AppendError::Disk(error),
                })
            }
        }
    }

    /// Takes a batch of a source that cannot wait. If there is no room it is dropped and leaves a gap.
    pub fn offer(self: &Arc<Self>, source: Source, batch: &Encoded, created_ms: i64) {
        let (queue, points) = (Arc::clone(self), batch.points);
        let lose = move |queue: &Queue, error: &AppendError| {
            queue.stats.count_accepted(source, points);
            queue.lose(source, error.reason(), points, created_ms);
        };
        let on_durable = move |durable: Result<(), AppendError>| {
            if let Err(error) = durable {
                lose(&queue, &error);
            }
        };
        if let Err(error) = self.append(source, batch, created_ms, on_durable) {
            lose(self, &error);
        }
    }

    /// Records that accepted points are gone.
    pub fn lose(&self, source: Source, reason: DropReason, points: u64, time_ms: i64) {
        self.stats.count_dropped(reason, points);
        self.gaps.lock().add(Gap { source, reason, from_ms: time_ms, to_ms: time_ms, batches: 1, points });
    }

    /// Takes out the gaps that are not written yet.
    pub fn take_gaps(&self) -> Vec<Gap> {
        self.gaps.lock().take()
    }

    /// Puts gaps back that could not be written.
    pub fn restore_gaps(&self, gaps: Vec<Gap>) {
        let mut open = self.gaps.lock();
        gaps.into_iter().for_each(|gap| open.add(gap));
    }

    /// Whether there are gaps that are not written yet.
    pub fn has_gaps(&self) -> bool {
        !self.gaps.lock().is_empty()
    }

    /// Reads the batches that wait. There is one reader at a time: the exporter.
    pub fn reader(self: &Arc<Self>) -> QueueReader {
        let cursor = self.delivered.lock().cursor;
        let from = cursor.map_or(Position::START, |cursor| cursor.next);
        QueueReader::new(Arc::clone(self), self.wal.reader(from), cursor.map(|cursor| cursor.last))
    }

    /// Waits until something was appended since the last call.
    pub async fn appended(&self) {
        self.appended.notified().await;
    }

    /// Records that the collector is done with a batch. Called in the order of the reader.
    pub fn delivered(&self, batch: &Queued) {
        if batch.source.is_some() {
            self.stats.sub_waiting(batch.disk_bytes, batch.points);
        } else {
            self.stats.filled_holes.fetch_add(1, Ordering::Relaxed);
        }
        let mut delivered = self.delivered.lock();
        delivered.cursor = Some(ReadCursor { next: batch.next, last: batch.id });
        delivered.is_stored = false;
    }

    /// Takes a batch that was refused for good out of what waits; the empty batch that comes under its number instead.
    pub fn emptied(&self, batch: &Queued) -> Queued {
        self.stats.sub_waiting(batch.disk_bytes, batch.points);
        Queued { source: None, body: Bytes::new(), points: 0, ..batch.clone() }
    }

    /// Writes how far the collector has taken the queue, then removes the segments before it. Blocks.
    pub fn persist_cursor(&self) -> Result<(), OpenError> {
        let _one_at_a_time = self.persisting.lock();
        let cursor = {
            let mut delivered = self.delivered.lock();
            match delivered.cursor {
                Some(cursor) if !delivered.is_stored => {
                    delivered.is_stored = true;
                    cursor
                }
                _ => return Ok(()),
            }
        };
        if let Err(source) = cursor.store(self.fs.as_ref(), &self.dir) {
            self.delivered.lock().is_stored = false;
            return Err(OpenError::Io { path: self.dir.join(cursor::FILE_NAME), source });
        }
        self.wal.truncate_before(cursor.next)?;
        Ok(())
    }

    /// Looks at how much space the disk has left. Blocks.
    pub fn check_space(&self) {
        // A file system that does not say counts as one with space.
        let free = self.fs.available_space(&self.dir).unwrap_or(u64::MAX);
        let is_low = free < self.options.min_free_bytes;
        if self.low_on_space.swap(is_low, Ordering::Relaxed) != is_low {
            let min_free = self.options.min_free_bytes;
            if is_low {
                tracing::warn!(
                    "only {free} bytes are left on the queue's disk, queue.min_free is {min_free}: refusing"
                );
            } else {
                tracing::info!("{free} bytes are left on the queue's disk: taking batches again");
            }
        }
    }

    /// Numbers further batches under a new id, because another agent uses ours. Blocks.
    pub fn renew_identity(&self) -> Result<Identity, IdentityError> {
        let identity = Identity::new()?;
        identity.store(self.fs.as_ref(), &self.dir)?;
        *self.numbers.lock() = Numbers { identity, next_seq: 1 };
        Ok(identity)
    }

    /// Under which identity batches are numbered.
    pub fn identity(&self) -> Identity {
        self.numbers.lock().identity
    }

    /// What was counted since the start, and what waits.
    pub fn stats(&self) -> &Arc<QueueStats> {
        &self.stats
    }

    /// What the WAL counted.
    pub fn wal(&self) -> &Wal {
        &self.wal
    }

    /// How many bytes may wait.
    pub fn max_bytes(&self) -> u64 {
        self.options.max_bytes
    }

    /// Writes what waits for the disk and ends. Blocks.
    pub fn close(&self) {
        self.wal.close();
    }

    fn max_body_bytes(&self) -> usize {
        self.options.max_body_bytes
    }

    fn check_room(&self, source: Source, bytes: usize) -> Result<(), AppendError> {
        if bytes > self.options.max_body_bytes {
            return Err(AppendError::TooLarge { bytes, limit: self.options.max_body_bytes });
        }
        if self.low_on_space.load(Ordering::Relaxed) {
            return Err(AppendError::DiskSpace { min_free: self.options.min_free_bytes });
        }
        let reserve = if source == Source::Gap { GAP_RESERVE_BYTES } else { 0 };
        let waiting = self.stats.waiting_bytes.load(Ordering::Relaxed);
        // Judged by what waits already, so that a single batch may exceed the cap but never a second.
        if waiting >= self.options.max_bytes + reserve {
            return Err(AppendError::Full { waiting, limit: self.options.max_bytes });
        }
        Ok(())
    }

    fn on_durable(
        &self,
        source: Source,
        bytes: u64,
        points: u64,
        durable: Result<Position, WalError>,
    ) -> Result<(), AppendError> {
        match durable {
            Ok(_) => {
                self.stats.count_accepted(source, points);
                self.appended.notify_one();
                Ok(())
            }
            Err(error) => {
                self.stats.sub_waiting(bytes, points);
                Err(AppendError::Disk(error))
            }
        }
    }
}

impl Replayed {
    fn add(&mut self, position: Position, bytes: &[u8], cursor: Option<&ReadCursor>) {
        let Ok(record) = Record::decode(bytes) else { return };
        self.last = Some(record.id);
        self.all.add_waiting(bytes.len() as u64, record.points);
        // The WAL may have written again elsewhere what was sent before the crash.
        let is_sent = |cursor: &ReadCursor| {
            position < cursor.next || (reader::same_stream(record.id, cursor.last) && record.id.seq <= cursor.last.seq)
        };
        if !cursor.is_some_and(is_sent) {
            self.behind_cursor.add_waiting(bytes.len() as u64, record.points);
        }
    }
}

impl QueueOptions {
    fn wal(&self) -> WalOptions {
        let max_record_bytes = self.max_body_bytes + HEADER_BYTES;
        WalOptions {
            // Small enough that space comes back soon, large enough that an outage does not make thousands of files.
            segment_bytes: (self.max_bytes / 8).clamp(256 << 10, 8 << 20),
            max_pending_bytes: 2 * max_record_bytes,
            max_record_bytes,
            ..WalOptions::default()
        }
    }
}

#[cfg(test)]
mod tests;
