//! The road of a batch: judged, written as one WAL record, applied once durable.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use sonde_disk::WalError;
use sonde_model::span::ScopedSpan;
use sonde_model::{BatchId, CursorVerdict, TimestampMs};

use crate::batch::{Outcome, Rejected, SpanBatch};
use crate::chunk::{self, Chunk};
use crate::db::TraceDb;
use crate::judge::{Judge, refusal};
use crate::shared::Completion;
use crate::shared::Waiter;
use crate::{AppendError, Error, Stats, record};

impl TraceDb {
    /// Judges a batch, writes what was accepted as one WAL record, and calls `on_durable` once it is on disk and
    /// visible to reads. Does not wait for the disk. After an error nothing was written and `on_durable` is dropped.
    ///
    /// `on_durable` runs on the WAL's thread, or on this one when there is nothing to wait for: it must be short.
    pub fn append(
        &self,
        batch: SpanBatch,
        now: TimestampMs,
        on_durable: impl FnOnce(Result<(), Error>) + Send + 'static,
    ) -> Result<Outcome, AppendError> {
        self.append_boxed(batch, now, Box::new(on_durable))
    }

    fn append_boxed(&self, batch: SpanBatch, now: TimestampMs, on_durable: Waiter) -> Result<Outcome, AppendError> {
        let shared = &self.shared;
        let stats = &shared.stats;
        self.check_room()?;
        let mut outcome =
            Outcome { verdict: CursorVerdict::New, accepted: batch.spans.len() as u64, rejected: Vec::new() };
        let from_ns = shared.retained_from_ns(now);
        for (index, span) in batch.spans.iter().enumerate() {
            if let Some(reason) = refusal(span, from_ns, now, &shared.options) {
                outcome.rejected.push(Rejected { index: index as u32, reason });
            }
        }
        outcome.accepted -= outcome.rejected.len() as u64;
        let body = encode_accepted(&batch.spans, &outcome.rejected);
        let chunk = Chunk::parse(&body).map_err(|error| AppendError::Wal { reason: error.to_string() })?;

        let mut judge = shared.judge.lock();
        if judge.closed {
            return Err(AppendError::Closed);
        }
        if let Some((id, checksum)) = batch.cursor {
            match judge.streams.judge(id, checksum) {
                CursorVerdict::New => {}
                CursorVerdict::Duplicate => return Ok(duplicate_batch(stats, &mut judge, id, on_durable)),
                CursorVerdict::Conflict => {
                    stats.conflicting_batches.fetch_add(1, Relaxed);
                    return Err(AppendError::CursorConflict { id });
                }
            }
        }
        if outcome.accepted == 0 && batch.cursor.is_none() {
            drop(judge);
            count(stats, &outcome);
            on_durable(Ok(()));
            return Ok(outcome);
        }
        let position = judge.next_position;
        let record = record::batch(position, batch.cursor.as_ref(), &body);
        let completion =
            Completion { chunk: Arc::new(chunk), position, cursor: batch.cursor.map(|(id, _)| id), on_durable };
        let for_callback = Arc::clone(shared);
        let on_wal = Box::new(move |result: Result<_, WalError>| for_callback.complete(completion, result));
        self.wal.append(record, on_wal).map_err(|error| refused(stats, error))?;
        judge.next_position += 1;
        if let Some((id, checksum)) = batch.cursor {
            judge.streams.begin(id, checksum);
            stats.cursors_evicted.store(judge.streams.evicted(), Relaxed);
        }
        count(stats, &outcome);
        Ok(outcome)
    }

    fn check_room(&self) -> Result<(), AppendError> {
        let options = &self.shared.options;
        let full = self.shared.head_bytes.load(Relaxed) > options.head_bytes.saturating_mul(options.head_overrun);
        let held = options.hold_for_derivations && self.wal.size_bytes() > options.held_wal_bytes;
        let reason = match (full, held) {
            (true, _) => "the head is full because flushes fail or are too slow",
            (_, true) => "the WAL is full because derivations from spans are behind",
            _ => return Ok(()),
        };
        self.shared.stats.busy_batches.fetch_add(1, Relaxed);
        Err(AppendError::Busy { reason })
    }
}

fn encode_accepted(spans: &[ScopedSpan], rejected: &[Rejected]) -> Vec<u8> {
    if rejected.is_empty() {
        return chunk::encode(spans.iter());
    }
    let mut refused = rejected.iter().map(|r| r.index as usize).peekable();
    let accepted: Vec<&ScopedSpan> =
        spans.iter().enumerate().filter(|(i, _)| refused.next_if_eq(i).is_none()).map(|(_, span)| span).collect();
    chunk::encode(accepted.into_iter())
}

fn duplicate_batch(stats: &Stats, judge: &mut Judge, id: BatchId, on_durable: Waiter) -> Outcome {
    stats.duplicate_batches.fetch_add(1, Relaxed);
    if let Err(nothing_to_wait_for) = judge.streams.wait(id, on_durable) {
        nothing_to_wait_for(Ok(()));
    }
    Outcome { verdict: CursorVerdict::Duplicate, accepted: 0, rejected: Vec::new() }
}

fn refused(stats: &Stats, error: WalError) -> AppendError {
    match error {
        WalError::Busy { .. } => {
            stats.busy_batches.fetch_add(1, Relaxed);
            AppendError::Busy { reason: "the disk is slower than the senders" }
        }
        WalError::RecordTooLarge { bytes, limit } => AppendError::TooLarge { bytes, limit },
        WalError::Closed => AppendError::Closed,
        other => AppendError::Wal { reason: other.to_string() },
    }
}

fn count(stats: &Stats, outcome: &Outcome) {
    stats.batches.fetch_add(1, Relaxed);
    stats.spans.fetch_add(outcome.accepted, Relaxed);
    outcome.rejected.iter().for_each(|r| stats.reject(r.reason));
}
