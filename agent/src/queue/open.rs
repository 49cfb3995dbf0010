//! Opens the queues of both signals: what lies on disk decides under which identity batches are numbered from now on.
//!
//! Each signal has a WAL and a cursor of its own, so that neither waits for the other; `docs/decisions` says why.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use parking_lot::Mutex;
use sonde_disk::wal::{Position, Wal, WalOptions};
use sonde_disk::{Fs, OpenReport};
use sonde_model::{BatchId, Signal};
use tokio::sync::Notify;

use super::cursor::ReadCursor;
use super::folder::{self, Folder};
use super::record::{HEADER_BYTES, Packer, Record};
use super::refused::RefusedNumbers;
use super::{Delivered, Numbers, OpenError, Queue, QueueStats, reader};
use crate::identity::Identity;

/// What the queues are opened with.
#[derive(Clone, Debug)]
pub struct QueueOptions {
    /// How many bytes of metrics may wait.
    pub max_bytes: u64,
    /// How many bytes of spans may wait.
    pub max_trace_bytes: u64,
    /// How much space is left free on the disk.
    pub min_free_bytes: u64,
    /// The largest body.
    pub max_body_bytes: usize,
}

/// The queues of an agent, one for each signal.
#[derive(Clone, Debug)]
pub struct Queues {
    /// Metrics.
    pub metrics: Arc<Queue>,
    /// Spans.
    pub traces: Arc<Queue>,
}

/// What opening found.
#[derive(Clone, Debug)]
pub struct QueueReport {
    /// What the WAL of the metrics found.
    pub metrics: OpenReport,
    /// What the WAL of the spans found.
    pub traces: OpenReport,
    /// Under which identity batches are numbered from now on.
    pub identity: Identity,
    /// Whether this start began a new epoch because queue state could have been lost.
    pub new_epoch: bool,
    /// Batches that wait.
    pub waiting: u64,
}

/// What lies on disk of one signal.
#[derive(Debug)]
struct Found {
    signal: Signal,
    wal: Wal,
    report: OpenReport,
    cursor: Option<ReadCursor>,
    last: Option<BatchId>,
    stats: QueueStats,
    /// The queue is not the one that the cursor was written for.
    is_replaced: bool,
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

impl Queues {
    /// Opens the queues in the agent's folder `dir`, creating them if needed.
    pub fn open(fs: Arc<dyn Fs>, dir: &Path, options: &QueueOptions) -> Result<(Self, QueueReport), OpenError> {
        let lock = folder::lock(fs.as_ref(), dir)?;
        let known = Identity::load(fs.as_ref(), dir)?;
        let metrics = Found::open(&fs, dir, Signal::Metrics, options)?;
        let traces = Found::open(&fs, dir, Signal::Traces, options)?;

        let is_lost = metrics.is_lost(true) || traces.is_lost(known.is_some_and(|known| known.has_traces));
        let new_epoch = known.is_some() && is_lost;
        let identity = match known {
            Some(known) if is_lost => Identity { epoch: known.epoch + 1, has_traces: true, ..known },
            Some(known) => Identity { has_traces: true, ..known },
            None => Identity::new()?,
        };
        if known != Some(identity) {
            identity.store(fs.as_ref(), dir)?;
        }
        let folder = Arc::new(Folder::new(fs, dir, options.min_free_bytes, identity, lock));
        let (found_metrics, found_traces) = (metrics.report.clone(), traces.report.clone());
        let queues =
            Queues { metrics: metrics.into_queue(&folder, options)?, traces: traces.into_queue(&folder, options)? };
        let waiting = queues.waiting_batches();
        Ok((queues, QueueReport { metrics: found_metrics, traces: found_traces, identity, new_epoch, waiting }))
    }

    /// Both.
    pub fn both(&self) -> [&Arc<Queue>; 2] {
        [&self.metrics, &self.traces]
    }

    /// The queue of a signal.
    pub fn of(&self, signal: Signal) -> &Arc<Queue> {
        match signal {
            Signal::Metrics => &self.metrics,
            Signal::Traces => &self.traces,
        }
    }

    /// Whether there are gaps that are not written yet.
    pub fn has_gaps(&self) -> bool {
        self.both().iter().any(|queue| queue.has_gaps())
    }

    /// Batches that wait.
    pub fn waiting_batches(&self) -> u64 {
        self.both().iter().map(|queue| queue.stats().waiting_batches.load(Ordering::Relaxed)).sum()
    }

    /// Looks at how much space the disk has left. Blocks.
    pub fn check_space(&self) {
        self.metrics.folder.check_space();
    }

    /// Writes what waits for the disk and ends. Blocks.
    pub fn close(&self) {
        self.both().iter().for_each(|queue| queue.close());
    }
}

impl QueueReport {
    /// Whether a WAL was damaged.
    pub fn is_damaged(&self) -> bool {
        !self.metrics.damage.is_empty() || !self.traces.damage.is_empty()
    }
}

impl QueueOptions {
    fn max_bytes(&self, signal: Signal) -> u64 {
        match signal {
            Signal::Metrics => self.max_bytes,
            Signal::Traces => self.max_trace_bytes,
        }
    }

    fn wal(&self, signal: Signal) -> WalOptions {
        let max_record_bytes = self.max_body_bytes + HEADER_BYTES;
        WalOptions {
            // Small enough that space comes back soon, large enough that an outage does not make thousands of files.
            segment_bytes: (self.max_bytes(signal) / 8).clamp(256 << 10, 8 << 20),
            max_pending_bytes: 2 * max_record_bytes,
            max_record_bytes,
            ..WalOptions::default()
        }
    }
}

impl Found {
    fn open(fs: &Arc<dyn Fs>, dir: &Path, signal: Signal, options: &QueueOptions) -> Result<Self, OpenError> {
        let io = |path: &Path| {
            let path = path.to_owned();
            move |source| OpenError::Io { path, source }
        };
        let cursor = ReadCursor::load(fs.as_ref(), dir, signal).map_err(io(dir))?;
        let wal_dir = wal_dir(dir, signal);
        let has_wal = fs.exists(&wal_dir).map_err(io(&wal_dir))?;
        let mut found = Replayed::default();
        let mut replay = |position: Position, bytes: &[u8]| found.add(position, bytes, cursor.as_ref());
        let (wal, report) = Wal::open(Arc::clone(fs), &wal_dir, options.wal(signal), &mut replay)?;
        let Replayed { last, all, behind_cursor } = found;

        // A queue that ends before the cursor is not the one that the cursor was written for.
        let is_replaced = cursor.is_some_and(|cursor| !has_wal || wal.end() < cursor.next);
        let cursor = if is_replaced { None } else { cursor };
        let stats = if is_replaced { all } else { behind_cursor };
        Ok(Found { signal, wal, report, cursor, last, stats, is_replaced })
    }

    /// Whether numbers may have been given that nothing on disk knows of; `is_numbered` says whether the signal was
    /// numbered at all under the identity that lies in the folder.
    fn is_lost(&self, is_numbered: bool) -> bool {
        let knows_nothing = self.cursor.is_none() && self.last.is_none();
        !self.report.damage.is_empty() || self.is_replaced || (is_numbered && knows_nothing)
    }

    fn into_queue(self, folder: &Arc<Folder>, options: &QueueOptions) -> Result<Arc<Queue>, OpenError> {
        let Found { signal, wal, mut cursor, last, stats, .. } = self;
        let io = |source| OpenError::Io { path: folder.dir.clone(), source };
        let identity = folder.identity();
        if cursor.is_none() && last.is_none() {
            // A signal that is never sent has a cursor nevertheless, so that its emptiness does not look like a loss.
            let none = BatchId { agent: identity.agent, epoch: identity.epoch, signal, seq: 0 };
            let start = ReadCursor { next: Position::START, last: none };
            start.store(folder.fs.as_ref(), &folder.dir).map_err(io)?;
            cursor = Some(start);
        }
        let seq_of = |id: Option<BatchId>| {
            id.filter(|id| (id.agent, id.epoch) == (identity.agent, identity.epoch)).map_or(0, |id| id.seq)
        };
        let refused = RefusedNumbers::load(folder.fs.as_ref(), &folder.dir, signal, cursor.as_ref()).map_err(io)?;
        let next_seq = seq_of(last).max(seq_of(cursor.map(|cursor| cursor.last))) + 1;
        Ok(Arc::new(Queue {
            folder: Arc::clone(folder),
            signal,
            max_bytes: options.max_bytes(signal),
            max_body_bytes: options.max_body_bytes,
            wal,
            numbers: Mutex::new(Numbers { identity, next_seq }),
            packer: Packer::new().map_err(io)?,
            delivered: Mutex::new(Delivered { cursor, is_stored: true }),
            refused: Mutex::new(refused),
            persisting: Mutex::default(),
            gaps: Mutex::default(),
            appended: Notify::new(),
            stats: Arc::new(stats),
        }))
    }
}

impl Replayed {
    fn add(&mut self, position: Position, bytes: &[u8], cursor: Option<&ReadCursor>) {
        let Ok(record) = Record::decode(bytes) else { return };
        self.last = Some(record.id);
        self.all.add_waiting(bytes.len() as u64, record.items);
        // The WAL may have written again elsewhere what was sent before the crash.
        let is_sent = |cursor: &ReadCursor| {
            position < cursor.next || (reader::same_stream(record.id, cursor.last) && record.id.seq <= cursor.last.seq)
        };
        if !cursor.is_some_and(is_sent) {
            self.behind_cursor.add_waiting(bytes.len() as u64, record.items);
        }
    }
}

/// Where the WAL of a signal lies.
fn wal_dir(dir: &Path, signal: Signal) -> PathBuf {
    dir.join(match signal {
        Signal::Metrics => "queue",
        Signal::Traces => "queue-traces",
    })
}
