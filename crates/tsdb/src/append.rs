//! The road of a batch: judged, written as one WAL record of outcomes, applied once durable.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use sonde_disk::WalError;
use sonde_model::{BatchId, CursorVerdict, TimestampMs};

use crate::batch::{Batch, BatchSample, BatchValue, Outcome, Rejected, SeriesRef};
use crate::data::Accepted;
use crate::db::Db;
use crate::exemplar;
use crate::judge::{Judge, Rules, Verdict};
use crate::record::{BatchWriter, Value};
use crate::shared::Completion;
use crate::shared::Waiter;
use crate::{AppendError, BatchExemplar, Error, Metadata, Stats};

impl Db {
    /// Judges a batch, writes what was accepted as one WAL record, and calls `on_durable` once it is on disk and
    /// visible to reads. Does not wait for the disk. After an error nothing was written and `on_durable` is dropped.
    ///
    /// `on_durable` runs on the WAL's thread, or on this one when there is nothing to wait for: it must be short.
    pub fn append(
        &self,
        batch: Batch,
        now: TimestampMs,
        on_durable: impl FnOnce(Result<(), Error>) + Send + 'static,
    ) -> Result<Outcome, AppendError> {
        self.append_boxed(batch, now, Box::new(on_durable))
    }

    fn append_boxed(&self, batch: Batch, now: TimestampMs, on_durable: Waiter) -> Result<Outcome, AppendError> {
        let shared = &self.shared;
        let stats = &shared.stats;
        if shared.head_bytes.load(Relaxed) > shared.options.head_bytes.saturating_mul(shared.options.head_overrun) {
            stats.busy_batches.fetch_add(1, Relaxed);
            return Err(AppendError::Busy { reason: "the head is full because flushes fail or are too slow" });
        }
        let mut judge = self.judge_with_answers(&batch.samples, &batch.exemplars)?;
        let judge = &mut *judge;
        if judge.closed {
            return Err(AppendError::Closed);
        }
        if let Some((id, checksum)) = batch.cursor {
            match judge.streams.judge(id, checksum) {
                CursorVerdict::New => {}
                CursorVerdict::Duplicate => return Ok(duplicate_batch(stats, judge, id, on_durable)),
                CursorVerdict::Conflict => {
                    stats.conflicting_batches.fetch_add(1, Relaxed);
                    return Err(AppendError::CursorConflict { id });
                }
            }
        }
        let metadata = self.news(batch.metadata);
        let writer = BatchWriter::new(u64::from(judge.epoch), batch.cursor, &metadata, batch.samples.len());
        let retained_from = shared.retained_from(now);
        let rules = Rules { source: batch.source, now, retained_from, options: &shared.options };
        let judged = self.judge_samples(judge, batch.samples, &batch.starts, &rules, writer);
        let Judged { mut writer, accepted, starts, mut defined, mut outcome, late } = judged;
        let mut exemplars = exemplar::Judged::default();
        if !batch.exemplars.is_empty() {
            exemplars = self.judge_exemplars(judge, batch.exemplars, &rules, &mut writer, &mut defined);
            outcome.exemplars = exemplars.accepted.len() as u64;
            outcome.duplicate_exemplars = exemplars.duplicates;
        }

        // A repetition is durable when the original is. Where that may be on its way, an empty record waits for it.
        let repeats_pending = outcome.duplicates > 0 && judge.is_pending();
        let is_empty = accepted.is_empty() && exemplars.accepted.is_empty() && metadata.is_empty();
        if is_empty && batch.cursor.is_none() && !repeats_pending {
            count(stats, &accepted, late, &outcome);
            exemplars.count(stats, outcome.exemplars);
            on_durable(Ok(()));
            return Ok(outcome);
        }
        let (accepted, metadata) = (Arc::new(accepted), Arc::new(metadata));
        let completion = Completion {
            accepted: Arc::clone(&accepted),
            starts,
            metadata: Arc::clone(&metadata),
            exemplars: std::mem::take(&mut exemplars.accepted),
            defined,
            epoch: judge.epoch,
            cursor: batch.cursor.map(|(id, _)| id),
            failures: judge.failures,
            on_durable,
        };
        let for_callback = Arc::clone(shared);
        let on_wal = Box::new(move |result: Result<_, WalError>| for_callback.complete(completion, result.map(drop)));
        if let Err(error) = self.wal.append_after(judge.failures, writer.finish(), on_wal) {
            judge.take_back();
            return Err(refused(stats, error));
        }
        if let Some((id, checksum)) = batch.cursor {
            judge.streams.begin(id, checksum);
            stats.cursors_evicted.store(judge.streams.evicted(), Relaxed);
        }
        count(stats, &accepted, late, &outcome);
        exemplars.count(stats, outcome.exemplars);
        judge.sent(accepted, metadata);
        Ok(outcome)
    }

    /// The judge, who knows all series of the samples and has heard what the blocks say about deltas.
    fn judge_with_answers(
        &self,
        samples: &[BatchSample],
        exemplars: &[BatchExemplar],
    ) -> Result<parking_lot::MutexGuard<'_, Judge>, AppendError> {
        let generation = |slot| self.shared.registry.read().generation(slot);
        loop {
            let mut judge = self.shared.judge.lock();
            let mut ask: Vec<SeriesRef> = Vec::new();
            for sample in samples {
                if !judge.knows(sample.series, &generation) {
                    return Err(AppendError::StaleRef);
                }
                if judge.should_ask(sample) {
                    ask.push(sample.series);
                }
            }
            if !exemplars.iter().all(|e| judge.knows(e.series, &generation)) {
                return Err(AppendError::StaleRef);
            }
            if ask.is_empty() {
                return Ok(judge);
            }
            drop(judge);
            ask.sort_unstable_by_key(|s| s.slot);
            ask.dedup();
            let answers: Vec<_> = ask.iter().map(|series| self.last_in_blocks(series.slot)).collect();
            let mut judge = self.shared.judge.lock();
            ask.into_iter().zip(answers).for_each(|(series, last)| judge.answer(series, last));
        }
    }

    fn judge_samples(
        &self,
        judge: &mut Judge,
        samples: Vec<BatchSample>,
        starts: &[TimestampMs],
        rules: &Rules<'_>,
        mut writer: BatchWriter,
    ) -> Judged {
        let mut accepted: Vec<Accepted> = Vec::with_capacity(samples.len());
        let mut defined = Vec::new();
        let mut outcome = Outcome {
            verdict: CursorVerdict::New,
            accepted: 0,
            duplicates: 0,
            rejected: Vec::new(),
            exemplars: 0,
            duplicate_exemplars: 0,
        };
        let mut late_samples = 0;
        let mut accepted_starts = Vec::new();
        judge.begin();
        for (index, sample) in samples.into_iter().enumerate() {
            let BatchSample { series, timestamp, value } = sample;
            let start = starts.get(index).copied().unwrap_or(0);
            let start = if may_start(start, timestamp, &value) { start } else { 0 };
            match judge.judge(series.slot, timestamp, value, rules, &accepted, &self.shared.data) {
                Verdict::Accept(value, late) => {
                    let sample = Accepted { slot: series.slot, timestamp, value };
                    if judge.accept(&sample, late) {
                        defined.push(series);
                    }
                    match &sample.value {
                        Value::Float(bits) => writer.float(series.slot, timestamp, f64::from_bits(*bits)),
                        Value::Histogram(h) => writer.histogram(series.slot, timestamp, h),
                    }
                    if start != 0 || !accepted_starts.is_empty() {
                        accepted_starts.resize(accepted.len(), 0);
                        accepted_starts.push(start);
                    }
                    late_samples += u64::from(late);
                    accepted.push(sample);
                }
                Verdict::Duplicate => outcome.duplicates += 1,
                Verdict::Reject(reason) => outcome.rejected.push(Rejected { index: index as u32, reason }),
            }
        }
        outcome.accepted = accepted.len() as u64;
        if !defined.is_empty() {
            let registry = self.shared.registry.read();
            defined.iter().for_each(|series| writer.define(series.slot, &registry));
        }
        writer.starts(&accepted_starts);
        Judged { writer, accepted, starts: accepted_starts, defined, outcome, late: late_samples }
    }

    /// The metadata that is not known yet, or not so. What is over the limits is dropped and counted, or cut.
    fn news(&self, mut metadata: Vec<(String, Metadata)>) -> Vec<(String, Metadata)> {
        if metadata.is_empty() {
            return metadata;
        }
        metadata.iter_mut().for_each(|(_, entry)| entry.cut());
        let data = self.shared.data.read();
        let mut room = self.shared.options.max_metadata.saturating_sub(data.metadata.len());
        metadata.retain(|(name, entry)| match data.metadata.get(name) {
            Some(known) => known != entry,
            None if room > 0 && name.len() <= Metadata::MAX_TEXT_BYTES => {
                room -= 1;
                true
            }
            None => {
                self.shared.stats.metadata_dropped.fetch_add(1, Relaxed);
                false
            }
        });
        metadata
    }
}

struct Judged {
    writer: BatchWriter,
    accepted: Vec<Accepted>,
    starts: Vec<TimestampMs>,
    defined: Vec<SeriesRef>,
    outcome: Outcome,
    late: u64,
}

/// Whether a start timestamp can be that of a sample.
fn may_start(start: TimestampMs, timestamp: TimestampMs, value: &BatchValue) -> bool {
    let is_delta = matches!(value, BatchValue::FloatDelta(_) | BatchValue::HistogramDelta(_));
    start > 0 && start < timestamp && !is_delta
}

fn duplicate_batch(stats: &Stats, judge: &mut Judge, id: BatchId, on_durable: Waiter) -> Outcome {
    stats.duplicate_batches.fetch_add(1, Relaxed);
    if let Err(nothing_to_wait_for) = judge.streams.wait(id, on_durable) {
        nothing_to_wait_for(Ok(()));
    }
    Outcome {
        verdict: CursorVerdict::Duplicate,
        accepted: 0,
        duplicates: 0,
        rejected: Vec::new(),
        exemplars: 0,
        duplicate_exemplars: 0,
    }
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

fn count(stats: &Stats, accepted: &[Accepted], late: u64, outcome: &Outcome) {
    let floats = accepted.iter().filter(|a| matches!(a.value, Value::Float(_))).count() as u64;
    stats.batches.fetch_add(1, Relaxed);
    stats.float_samples.fetch_add(floats, Relaxed);
    stats.histogram_samples.fetch_add(accepted.len() as u64 - floats, Relaxed);
    stats.late_samples.fetch_add(late, Relaxed);
    stats.duplicate_samples.fetch_add(outcome.duplicates, Relaxed);
    outcome.rejected.iter().for_each(|r| stats.reject(r.reason));
}
