//! Reads the queue in the order of the numbers, for the exporter.
//!
//! A number that damage took away, or whose batch was refused for good before a restart, is given up with an empty
//! batch, so that the collector's contiguous mark goes on.

use std::sync::Arc;

use bytes::Bytes;
use sonde_disk::WalError;
use sonde_disk::wal::{Position, Reader};
use sonde_model::BatchId;

use super::record::Record;
use super::{Queue, Source};

/// A batch that is to be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Queued {
    /// Its number.
    pub id: BatchId,
    /// Where it came from; `None` for an empty batch in the place of one that was lost or refused.
    pub source: Option<Source>,
    /// A protobuf export request of the signal of the queue.
    pub body: Bytes,
    /// Data points or spans in it.
    pub items: u64,
    /// When it was made, in milliseconds since the Unix epoch.
    pub created_ms: i64,
    /// Bytes on disk.
    pub(super) disk_bytes: u64,
    /// Where it lies; for an empty batch, where the one behind the hole lies.
    pub(super) at: Position,
    /// Where the batch behind it may lie.
    pub(super) next: Position,
}

/// Reads the batches that wait.
#[derive(Debug)]
pub struct QueueReader {
    queue: Arc<Queue>,
    reader: Reader,
    /// The last number that was given out, or that the collector had taken before the start.
    last: Option<BatchId>,
    /// A record that was read and waits until the hole before it is filled.
    held: Option<Queued>,
}

impl QueueReader {
    pub(super) fn new(queue: Arc<Queue>, reader: Reader, last: Option<BatchId>) -> Self {
        QueueReader { queue, reader, last, held: None }
    }

    /// The next batch, or `None` while there is none. After an error the next call goes on.
    #[expect(clippy::should_implement_trait, reason = "`None` means not yet, which an iterator must not say")]
    pub fn next(&mut self) -> Result<Option<Queued>, WalError> {
        loop {
            let queued = match self.held.take() {
                Some(held) => held,
                None => match self.read()? {
                    Some(queued) => queued,
                    None => return Ok(None),
                },
            };
            let expected = self.last.filter(|last| same_stream(*last, queued.id)).map(|last| last.seq + 1);
            match expected {
                // Sent before: a crash came between the sending and the writing of the cursor's file, or the WAL has
                // written it again elsewhere.
                Some(expected) if queued.id.seq < expected => continue,
                Some(expected) if queued.id.seq > expected => return Ok(Some(self.fill(expected, queued))),
                _ => {}
            }
            self.last = Some(queued.id);
            let is_refused = queued.source.is_some() && self.queue.refused.lock().contains(queued.id);
            return Ok(Some(if is_refused { self.queue.emptied(&queued) } else { queued }));
        }
    }

    /// An empty batch under the lost number `seq`; `behind` comes after it.
    fn fill(&mut self, seq: u64, behind: Queued) -> Queued {
        let id = BatchId { seq, ..behind.id };
        let filler = Queued {
            id,
            source: None,
            body: Bytes::new(),
            items: 0,
            created_ms: behind.created_ms,
            disk_bytes: 0,
            at: behind.at,
            // The record behind the hole has not been sent: the cursor must not pass it.
            next: behind.at,
        };
        self.last = Some(id);
        self.held = Some(behind);
        filler
    }

    fn read(&mut self) -> Result<Option<Queued>, WalError> {
        loop {
            let Some((at, next, bytes)) = self.reader.next()? else { return Ok(None) };
            let decoded = Record::decode(&bytes).and_then(|record| {
                let body = record.plain_body(self.queue.max_body_bytes())?;
                Ok((record, body))
            });
            match decoded {
                Ok((record, body)) => {
                    return Ok(Some(Queued {
                        id: record.id,
                        source: Some(record.source),
                        body: Bytes::from(body),
                        items: record.items,
                        created_ms: record.created_ms,
                        disk_bytes: bytes.len() as u64,
                        at,
                        next,
                    }));
                }
                // The number is missing then, and filled when the next one is read.
                Err(error) => tracing::error!("{error}: its number is given up"),
            }
        }
    }
}

/// Whether two batches are numbered in one row.
pub(super) fn same_stream(a: BatchId, b: BatchId) -> bool {
    (a.agent, a.epoch, a.signal) == (b.agent, b.epoch, b.signal)
}
