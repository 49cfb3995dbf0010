//! The disk queue: what was acknowledged, until the collector has it.
//!
//! A batch gets its number, goes to a WAL, and only when it is on disk is its sender told so. From then on it never
//! changes. Each signal has a queue of its own; they share the agent's folder and identity. A queue is bounded in
//! bytes: who can wait is pushed back, what cannot wait leaves a gap. It must not know what a body means.

mod cursor;
mod error;
mod folder;
mod gap;
mod open;
mod reader;
mod record;
mod refused;
mod stats;

use std::sync::Arc;
use std::sync::atomic::Ordering;

use bytes::Bytes;
use parking_lot::Mutex;
use sonde_disk::wal::{Position, Wal, WalError};
use sonde_disk::write_atomic;
use sonde_model::{AgentId, BatchId, Signal};
use tokio::sync::Notify;

use crate::identity::{Identity, IdentityError};
use crate::payload::Encoded;
use cursor::ReadCursor;
use folder::Folder;
use gap::OpenGaps;
use record::{Encoding, Packer, Record};
use refused::RefusedNumbers;

pub use error::{AppendError, OpenError};
pub use gap::{DropReason, Gap};
pub use open::{QueueOptions, QueueReport, Queues};
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

/// The queue of one signal. Share it as `Arc<Queue>`.
#[derive(Debug)]
pub struct Queue {
    folder: Arc<Folder>,
    signal: Signal,
    max_bytes: u64,
    max_body_bytes: usize,
    wal: Wal,
    numbers: Mutex<Numbers>,
    packer: Packer,
    delivered: Mutex<Delivered>,
    refused: Mutex<RefusedNumbers>,
    /// Held while the files of the cursor and of refused batches are written and segments are removed.
    persisting: Mutex<()>,
    gaps: Mutex<OpenGaps>,
    appended: Notify,
    stats: Arc<QueueStats>,
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
        let identity = self.folder.identity();
        if numbers.identity != identity {
            // It was renewed, here or by the other signal's queue.
            *numbers = Numbers { identity, next_seq: 1 };
        }
        let id = BatchId { agent: identity.agent, epoch: identity.epoch, signal: self.signal, seq: numbers.next_seq };
        let record = Record {
            id,
            source,
            items: batch.items,
            created_ms,
            encoding: if packed.is_some() { Encoding::Zstd } else { Encoding::Plain },
            // `check_room` has compared it with a limit that is below 4 GiB.
            plain_bytes: u32::try_from(batch.body.len()).unwrap_or(u32::MAX),
            body: packed.as_deref().unwrap_or(&batch.body),
        };
        let record = record.encode();
        let (bytes, items, queue) = (record.len() as u64, batch.items, Arc::clone(self));
        self.stats.add_waiting(bytes, items);
        let appended = self.wal.append(
            record,
            Box::new(move |durable| {
                let outcome = queue.on_durable(source, bytes, items, durable);
                on_durable(outcome);
            }),
        );
        match appended {
            Ok(()) => {
                numbers.next_seq += 1;
                Ok(())
            }
            Err(error) => {
                self.stats.sub_waiting(bytes, items);
                Err(match error {
                    WalError::Busy { .. } => AppendError::Busy,
                    error => AppendError::Disk(error),
                })
            }
        }
    }

    /// Takes a batch of a source that cannot wait. If there is no room it is dropped and leaves a gap.
    pub fn offer(self: &Arc<Self>, source: Source, batch: &Encoded, created_ms: i64) {
        let (queue, items) = (Arc::clone(self), batch.items);
        let lose = move |queue: &Queue, error: &AppendError| {
            queue.stats.count_accepted(source, items);
            queue.lose(source, error.reason(), items, created_ms);
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

    /// Records that accepted items are gone.
    pub fn lose(&self, source: Source, reason: DropReason, items: u64, time_ms: i64) {
        self.stats.count_dropped(reason, items);
        let signal = self.signal;
        self.gaps.lock().add(Gap { signal, source, reason, from_ms: time_ms, to_ms: time_ms, batches: 1, items });
    }

    /// Takes out the gaps that are not written yet.
    pub fn take_gaps(&self) -> Vec<Gap> {
        self.gaps.lock().take()
    }

    /// Puts a gap back that could not be written.
    pub fn restore_gap(&self, gap: Gap) {
        self.gaps.lock().add(gap);
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
            self.stats.sub_waiting(batch.disk_bytes, batch.items);
        } else {
            self.stats.filled_holes.fetch_add(1, Ordering::Relaxed);
        }
        self.refused.lock().remove(batch.id);
        let mut delivered = self.delivered.lock();
        delivered.cursor = Some(ReadCursor { next: batch.next, last: batch.id });
        delivered.is_stored = false;
    }

    /// Takes a batch that was refused for good out of what waits; the empty batch that comes under its number instead.
    /// A restart knows it, too, once [`Queue::persist_refused`] has written it.
    pub fn emptied(&self, batch: &Queued) -> Queued {
        self.stats.sub_waiting(batch.disk_bytes, batch.items);
        self.refused.lock().add(batch.id);
        Queued { source: None, body: Bytes::new(), items: 0, ..batch.clone() }
    }

    /// Writes which batches are emptied. Blocks.
    pub fn persist_refused(&self) -> Result<(), OpenError> {
        let _one_at_a_time = self.persisting.lock();
        self.write_refused()
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
        if let Err(source) = cursor.store(self.folder.fs.as_ref(), &self.folder.dir) {
            self.delivered.lock().is_stored = false;
            return Err(OpenError::Io { path: self.folder.dir.join(cursor::file_name(self.signal)), source });
        }
        self.wal.truncate_before(cursor.next)?;
        self.write_refused()
    }

    /// Numbers further batches of both signals under a new id, because another agent uses `taken`. Blocks.
    pub fn renew_identity(&self, taken: AgentId) -> Result<Identity, IdentityError> {
        self.folder.renew_identity(taken)
    }

    /// Under which identity batches are numbered.
    pub fn identity(&self) -> Identity {
        self.folder.identity()
    }

    /// What the batches hold.
    pub fn signal(&self) -> Signal {
        self.signal
    }

    /// The signal as a label value.
    pub fn signal_name(&self) -> &'static str {
        signal_name(self.signal)
    }

    /// What is counted: data points or spans.
    pub fn items_name(&self) -> &'static str {
        items_name(self.signal)
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
        self.max_bytes
    }

    /// Writes what waits for the disk and ends. Blocks.
    pub fn close(&self) {
        self.wal.close();
    }

    fn write_refused(&self) -> Result<(), OpenError> {
        let Some(text) = self.refused.lock().take_text() else { return Ok(()) };
        let path = self.folder.dir.join(refused::file_name(self.signal));
        write_atomic(self.folder.fs.as_ref(), &path, text.as_bytes()).map_err(|source| {
            self.refused.lock().not_stored();
            OpenError::Io { path, source }
        })
    }

    fn max_body_bytes(&self) -> usize {
        self.max_body_bytes
    }

    fn max_bytes_key(&self) -> &'static str {
        match self.signal {
            Signal::Metrics => "queue.max_bytes",
            Signal::Traces => "queue.max_trace_bytes",
        }
    }

    fn check_room(&self, source: Source, bytes: usize) -> Result<(), AppendError> {
        if bytes > self.max_body_bytes {
            return Err(AppendError::TooLarge { bytes, limit: self.max_body_bytes });
        }
        if self.folder.is_low_on_space() {
            return Err(AppendError::DiskSpace { min_free: self.folder.min_free_bytes });
        }
        let reserve = if source == Source::Gap { GAP_RESERVE_BYTES } else { 0 };
        let waiting = self.stats.waiting_bytes.load(Ordering::Relaxed);
        // Judged by what waits already, so that a single batch may exceed the cap but never a second.
        if waiting >= self.max_bytes + reserve {
            return Err(AppendError::Full { key: self.max_bytes_key(), waiting, limit: self.max_bytes });
        }
        Ok(())
    }

    fn on_durable(
        &self,
        source: Source,
        bytes: u64,
        items: u64,
        durable: Result<Position, WalError>,
    ) -> Result<(), AppendError> {
        match durable {
            Ok(_) => {
                self.stats.count_accepted(source, items);
                self.appended.notify_one();
                Ok(())
            }
            Err(error) => {
                self.stats.sub_waiting(bytes, items);
                Err(AppendError::Disk(error))
            }
        }
    }
}

/// A signal as a label value.
pub fn signal_name(signal: Signal) -> &'static str {
    match signal {
        Signal::Metrics => "metrics",
        Signal::Traces => "traces",
    }
}

/// What is counted of a signal.
pub fn items_name(signal: Signal) -> &'static str {
    match signal {
        Signal::Metrics => "points",
        Signal::Traces => "spans",
    }
}

#[cfg(test)]
mod tests;
