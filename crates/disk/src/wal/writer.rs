//! The WAL thread: writes what waits, syncs it, and says so.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use super::create::{ActiveSegment, CreateFailure, SYNC, create_segment};
use super::frame::{FRAME_HEADER_LEN, encode_mark, encode_record};
use super::queue::{Pending, Work};
use super::segment::{self, FRAMES_AT, Segment};
use super::shared::Shared;
use super::{OnDurable, Position, WalError, WalStats};

/// How often a batch is tried: where it belongs, and once more in a segment of its own.
const ATTEMPTS: usize = 2;

/// A batch beyond this size gets no zeros behind it: writing its bytes is what its sync waits for.
const SMALL_BATCH_BYTES: usize = 64 << 10;

/// Zeros ahead in a segment that has just begun.
const LEAST_ZEROS: usize = 16 << 10;

/// A buffer that has grown beyond this for one large record is given back.
const KEPT_BUFFER_BYTES: usize = 8 << 20;

/// The state of the WAL thread.
#[derive(Debug)]
pub(super) struct Writer {
    shared: Arc<Shared>,
    /// The segment that is written to; `None` before the first append and after a failure.
    active: Option<ActiveSegment>,
    next_number: u64,
    next_sequence: u64,
    /// Off from when the disk was full until a segment has been filled again.
    zeros_ahead: bool,
    buffer: Vec<u8>,
}

/// Answers what waits if the WAL thread ends in a way that it should not.
struct AbandonOnDrop(Arc<Shared>);

impl Writer {
    pub(super) fn new(shared: Arc<Shared>, next_number: u64, next_sequence: u64) -> Self {
        Self { shared, active: None, next_number, next_sequence, zeros_ahead: true, buffer: Vec::new() }
    }

    /// Works until the queue is closed and empty.
    pub(super) fn run(mut self) {
        let _abandon = AbandonOnDrop(Arc::clone(&self.shared));
        loop {
            match self.shared.queue.next_work() {
                Work::Batch(batch, bytes) => self.commit(batch, bytes),
                Work::Rotate(on_rotated) => {
                    let result = self.rotate();
                    self.call(on_rotated, result);
                }
                Work::End => break,
            }
        }
        self.write_mark();
    }

    fn commit(&mut self, batch: Vec<Pending>, framed_bytes: usize) {
        let position = match self.make_durable(&batch) {
            Ok(position) => position,
            Err(error) => return self.fail(batch, framed_bytes, &error),
        };
        self.shared.queue.release(framed_bytes);
        let stats = &self.shared.stats;
        WalStats::add(&stats.records, batch.len() as u64);
        WalStats::add(&stats.bytes, (framed_bytes - batch.len() * FRAME_HEADER_LEN) as u64);
        let mut position = position;
        for Pending { record, on_durable, .. } in batch {
            self.call(on_durable, Ok(position));
            position.offset += (FRAME_HEADER_LEN + record.len()) as u64;
        }
    }

    /// Answers a batch that cannot be written, and what waits and builds on it.
    fn fail(&self, batch: Vec<Pending>, framed_bytes: usize, error: &WalError) {
        let (behind, bytes_behind) = self.shared.queue.fail();
        self.shared.queue.release(framed_bytes + bytes_behind);
        let (records, behind_it) = (batch.len(), behind.len());
        WalStats::add(&self.shared.stats.failed_records, (records + behind_it) as u64);
        tracing::warn!(error = error as &dyn std::error::Error, records, behind_it, "a WAL batch failed");
        for Pending { on_durable, .. } in batch.into_iter().chain(behind) {
            self.call(on_durable, Err(error.clone()));
        }
    }

    /// Writes and syncs a batch; returns where its first record lies.
    fn make_durable(&mut self, batch: &[Pending]) -> Result<Position, WalError> {
        let mut attempt = 1;
        loop {
            match self.try_write(batch) {
                Ok(position) => {
                    self.next_sequence += batch.len() as u64;
                    return Ok(position);
                }
                Err(error) => {
                    self.count_failure(&error);
                    self.abandon_active();
                    if attempt == ATTEMPTS {
                        return Err(error);
                    }
                    attempt += 1;
                }
            }
        }
    }

    fn try_write(&mut self, batch: &[Pending]) -> Result<Position, WalError> {
        let segment_bytes = self.shared.options.segment_bytes;
        let records = || batch.iter().map(|pending| pending.record.as_slice());
        let Some(active) = self.active.as_mut().filter(|active| active.end < segment_bytes) else {
            return self.start_segment(records());
        };
        self.buffer.clear();
        for (sequence, record) in (self.next_sequence..).zip(records()) {
            let offset = active.end + self.buffer.len() as u64;
            encode_record(&mut self.buffer, record, active.salt, offset, sequence, active.end);
        }
        let shared = &self.shared;
        let failed = |action| {
            let path = segment::path(&shared.dir, active.number);
            move |error| WalError::io(action, &path, error)
        };
        let end = active.end + self.buffer.len() as u64;
        if self.zeros_ahead && end > active.file_bytes && self.buffer.len() <= SMALL_BATCH_BYTES {
            // As much as the segment holds: what is hardly written to takes hardly any room.
            let held = usize::try_from(end).unwrap_or(usize::MAX).max(LEAST_ZEROS);
            self.buffer.resize(self.buffer.len() + held.min(self.shared.options.zeros_ahead_bytes), 0);
        }
        let written_to = active.end + self.buffer.len() as u64;
        active.file.write_at(&self.buffer, active.end).map_err(failed("write"))?;
        active.file.sync().map_err(failed(SYNC))?;
        let position = Position { segment: active.number, offset: active.end };
        active.end = end;
        active.file_bytes = active.file_bytes.max(written_to);
        if self.buffer.capacity() > KEPT_BUFFER_BYTES {
            self.buffer = Vec::new();
        }
        WalStats::add(&shared.stats.syncs, 1);
        shared.grow_segment(active.number, active.end, active.file_bytes);
        Ok(position)
    }

    fn start_segment<'a>(&mut self, records: impl Iterator<Item = &'a [u8]>) -> Result<Position, WalError> {
        let number = self.next_number;
        self.next_number += 1;
        let shared = &self.shared;
        let created = create_segment(shared.fs.as_ref(), &shared.dir, number, self.next_sequence, records);
        let created = match created {
            Ok(created) => created,
            Err(CreateFailure { error, named }) => {
                if let Some(header) = named {
                    // It is kept in the order of segments, so that it goes when its turn comes, with nothing to read
                    // in it. It supersedes what would be written to the active segment from now on.
                    shared.add_segment(number, Segment { salt: Some(header.salt), end: FRAMES_AT, file_bytes: 0 });
                    self.active = None;
                }
                return Err(error);
            }
        };
        WalStats::add(&shared.stats.syncs, 1);
        shared.add_segment(number, Segment { salt: Some(created.salt), end: created.end, file_bytes: created.end });
        if let Some(filled) = self.active.replace(created) {
            self.zeros_ahead = true;
            self.cut_zeros(&filled, filled.end);
        }
        Ok(Position { segment: number, offset: FRAMES_AT })
    }

    fn rotate(&mut self) -> Result<Position, WalError> {
        match &self.active {
            Some(active) if active.end == FRAMES_AT => Ok(Position { segment: active.number, offset: FRAMES_AT }),
            // If the new one cannot be made and did not get its name, the active segment is as good as before.
            _ => {
                let started = self.start_segment(std::iter::empty());
                if let Err(error) = &started {
                    self.count_failure(error);
                }
                started
            }
        }
    }

    /// Never touches the active segment again: nobody knows what of the failed batch is on the disk. It is not cut
    /// either: a cut that a crash undoes would bring back records that an opening in between had not found.
    fn abandon_active(&mut self) {
        if self.active.take().is_some() {
            WalStats::add(&self.shared.stats.abandoned_segments, 1);
        }
    }

    /// Gives back the space of the zeros behind `end`. Without it they stay until the segment goes, no more.
    fn cut_zeros(&self, segment: &ActiveSegment, end: u64) {
        if segment.file_bytes > end && segment.file.set_len(end).is_ok() {
            self.shared.grow_segment(segment.number, segment.end, end);
        }
    }

    fn write_mark(&mut self) {
        let Some(active) = self.active.take() else { return };
        self.buffer.clear();
        encode_mark(&mut self.buffer, active.salt, active.end, self.next_sequence);
        // Without the mark the next opening writes the last batch again, no more.
        if let Err(error) = active.file.write_at(&self.buffer, active.end) {
            tracing::debug!(%error, segment = active.number, "cannot mark the end of the WAL");
        }
        self.cut_zeros(&active, active.end + self.buffer.len() as u64);
    }

    fn count_failure(&mut self, error: &WalError) {
        let stats = &self.shared.stats;
        match error {
            WalError::DiskFull { .. } => {
                self.zeros_ahead = false;
                WalStats::add(&stats.disk_full, 1);
            }
            WalError::Io { action: SYNC, .. } => WalStats::add(&stats.failed_syncs, 1),
            _ => WalStats::add(&stats.failed_writes, 1),
        }
    }

    /// A callback that panics must not take the WAL with it.
    fn call(&self, callback: OnDurable, result: Result<Position, WalError>) {
        if catch_unwind(AssertUnwindSafe(|| callback(result))).is_err() {
            WalStats::add(&self.shared.stats.callback_panics, 1);
            tracing::error!("a WAL callback panicked");
        }
    }
}

impl Drop for AbandonOnDrop {
    fn drop(&mut self) {
        self.0.queue.abandon();
    }
}
