//! The flush of the head: a checkpoint in the WAL, blocks of what came before it, and then the WAL is cut.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::mpsc::sync_channel;

use sonde_disk::blocks::{directory, layout};
use sonde_disk::{Position, WalError};
use sonde_model::TimestampMs;
use sonde_model::span::{ScopedSpan, SpanId, TraceId};

use crate::block::{Block, BlockWriter, Identity};
use crate::chunk::Chunk;
use crate::codec::DecodeError;
use crate::data::Frozen;
use crate::db::{Maintenance, TraceDb};
use crate::head::Head;
use crate::manifest::Manifest;
use crate::read::is_same;
use crate::{Error, record};

/// Pieces into which the cursors of a checkpoint are cut.
const CHECKPOINT_PIECE: usize = 1 << 20;

/// A WAL that has grown over so many segments is cut by a flush even if the head holds no spans.
const WAL_SEGMENTS_KEPT: u64 = 8;

impl TraceDb {
    /// Writes the head into blocks and frees its part of the WAL.
    pub fn flush(&self, now: TimestampMs) -> Result<(), Error> {
        let mut maintenance = self.maintenance.lock();
        self.flush_locked(&mut maintenance, now)
    }

    /// Whether the head is so large or so old that it should be flushed.
    pub(crate) fn flush_is_due(&self, maintenance: &Maintenance, now: TimestampMs) -> bool {
        let options = &self.shared.options;
        let data = self.shared.data.read();
        let aged = now.saturating_sub(maintenance.last_flush) >= options.head_span_ms;
        let long_wal = self.wal.size_bytes() > options.wal_segment_bytes.saturating_mul(WAL_SEGMENTS_KEPT);
        data.frozen.is_some()
            || data.active.bytes() >= options.head_bytes
            || (aged && data.active.spans() > 0)
            // What derivations hold is not freed by a flush.
            || (long_wal && (data.active.spans() > 0 || !options.hold_for_derivations))
    }

    pub(crate) fn flush_locked(&self, maintenance: &mut Maintenance, now: TimestampMs) -> Result<(), Error> {
        let done = self.try_flush(maintenance, now);
        let stats = &self.shared.stats;
        match &done {
            Ok(()) => stats.flushes.fetch_add(1, Relaxed),
            Err(_) => stats.flush_failures.fetch_add(1, Relaxed),
        };
        done
    }

    fn try_flush(&self, maintenance: &mut Maintenance, now: TimestampMs) -> Result<(), Error> {
        // What an earlier flush could not write comes first: flushes become blocks in their order.
        self.write_frozen(maintenance, now)?;
        let has_spans = self.shared.data.read().active.spans() > 0;
        if has_spans || self.wal.size_bytes() > self.shared.options.wal_segment_bytes {
            maintenance.frozen_from = Some(self.freeze()?);
            self.write_frozen(maintenance, now)?;
        }
        maintenance.last_flush = now;
        Ok(())
    }

    /// Writes a checkpoint and, once it is durable, puts the spans that came before it aside. Answers where the
    /// WAL has to begin once those spans are in blocks.
    fn freeze(&self) -> Result<Position, Error> {
        let (start_sender, start) = sync_channel(1);
        let (done_sender, done) = sync_channel(1);
        {
            let mut judge = self.shared.judge.lock();
            let flush = judge.next_flush;
            judge.next_flush += 1;
            let position = judge.next_position;
            let pieces = record::checkpoint(flush, position, judge.streams.iter(), CHECKPOINT_PIECE);
            let failures = judge.failures;
            self.wal.rotate_with(Box::new(move |position| {
                // The receiver is gone only if a later step failed, and then nobody needs the position.
                let _ = start_sender.send(position);
            }))?;
            let last = pieces.len() - 1;
            for (i, piece) in pieces.into_iter().enumerate() {
                if i < last {
                    // A piece that fails makes the end of the checkpoint fail as well: they share the queue.
                    let failed = Arc::clone(&self.shared);
                    let on_piece = move |result: Result<Position, WalError>| {
                        if result.is_err() {
                            failed.judge.lock().failures += 1;
                        }
                    };
                    self.wal.append(piece, Box::new(on_piece))?;
                    continue;
                }
                let shared = Arc::clone(&self.shared);
                let done_sender = done_sender.clone();
                let on_end = move |result: Result<Position, WalError>| {
                    // What was on its way and failed is recorded as taken in this checkpoint: it must not count.
                    let unchanged = shared.judge.lock().failures == failures;
                    let frozen = result.map(|_| unchanged && shared.freeze(flush, position));
                    let _ = done_sender.send(frozen);
                };
                self.wal.append(piece, Box::new(on_end))?;
            }
        }
        drop(done_sender);
        let frozen = done.recv().unwrap_or(Err(WalError::Closed))?;
        let start = start.recv().unwrap_or(Err(WalError::Closed))?;
        if !frozen {
            let reason = "a batch failed while the checkpoint was written; the flush will be tried again".to_owned();
            return Err(Error::NotWritten { reason });
        }
        Ok(start)
    }

    /// Writes what was put aside into blocks, one for each partition of time, makes them count, and cuts the WAL.
    fn write_frozen(&self, maintenance: &mut Maintenance, now: TimestampMs) -> Result<(), Error> {
        let Some(Frozen { flush, position, head }) = self.shared.data.read().frozen.clone() else { return Ok(()) };
        let mut written = Vec::new();
        let result = self.write_partitions(maintenance, &head, now, &mut written);
        if let Err(error) = result {
            self.remove_blocks(&written);
            return Err(error);
        }
        let mut manifest = Manifest { flushed: flush, position, blocks: maintenance.manifest.blocks.clone() };
        manifest.blocks.extend(written.iter().map(|b| b.meta().seq));
        let paths = written.iter().map(|b| b.path().to_owned()).collect();
        self.write_manifest(maintenance, manifest, paths)?;
        {
            let mut data = self.shared.data.write();
            let blocks = data.blocks.iter().map(Arc::clone).chain(written).collect();
            data.blocks = Arc::new(blocks);
            data.frozen = None;
            self.shared.head_bytes.store(data.bytes(), Relaxed);
        }
        if let Some(position) = maintenance.frozen_from.take() {
            self.shared.cut.lock().flushed = Some(position);
            self.cut_wal()?;
        }
        Ok(())
    }

    fn write_partitions(
        &self,
        maintenance: &mut Maintenance,
        head: &Head,
        now: TimestampMs,
        written: &mut Vec<Arc<Block>>,
    ) -> Result<(), Error> {
        for rows in self.sorted_rows(head)?.into_values() {
            for rows in rows.chunks(self.shared.options.block_rows.max(1)) {
                let mut rows = rows.iter();
                let block = self.write_block(maintenance, 0, now, &mut || {
                    let Some(row) = rows.next() else { return Ok(None) };
                    row.chunk.decode(row.at).map(Some).map_err(unreadable)
                })?;
                written.push(block);
            }
        }
        let blocks_dir = layout::blocks(&self.dir);
        self.fs.sync_dir(&blocks_dir).map_err(TraceDb::io("sync", &blocks_dir))
    }

    /// The spans of the head by partitions of time, in the order of the rows of a block.
    fn sorted_rows<'h>(&self, head: &'h Head) -> Result<BTreeMap<u64, Vec<HeadRow<'h>>>, Error> {
        let width = self.shared.options.partition_ns();
        let mut partitions: BTreeMap<u64, Vec<HeadRow<'h>>> = BTreeMap::new();
        for chunk in head.chunks() {
            for at in 0..chunk.len() {
                let span = chunk.span(at).map_err(unreadable)?;
                let key = (
                    chunk.resource(span.resource).map_err(unreadable)?.service_name(),
                    chunk.texts.get(span.head.name).map_err(unreadable)?,
                    span.head.start_ns,
                    span.head.trace_id,
                    span.head.span_id,
                );
                let partition = partitions.entry(span.head.start_ns / width).or_default();
                partition.push(HeadRow { key, chunk, at });
            }
        }
        partitions.values_mut().for_each(|rows| rows.sort_unstable_by(|a, b| a.key.cmp(&b.key)));
        Ok(partitions)
    }

    /// Writes a block of the spans that `next` gives, duplicates left out, and opens it.
    pub(crate) fn write_block(
        &self,
        maintenance: &mut Maintenance,
        level: u32,
        now: TimestampMs,
        next: &mut dyn FnMut() -> Result<Option<ScopedSpan>, Error>,
    ) -> Result<Arc<Block>, Error> {
        let (seq, path) = self.next_block(maintenance);
        let identity = Identity { seq, level, created: now };
        let block = BlockWriter::create(self.fs.as_ref(), &path, identity).and_then(|mut writer| {
            // Spans of one id and start wait here for each other.
            let mut twins: Vec<ScopedSpan> = Vec::new();
            while let Some(span) = next()? {
                if twins.first().is_some_and(|twin| !has_same_id(twin, &span)) {
                    twins.drain(..).try_for_each(|twin| writer.push(twin))?;
                }
                if twins.iter().any(|twin| is_same(twin, &span)) {
                    self.shared.stats.duplicate_spans.fetch_add(1, Relaxed);
                } else if twins.len() < MAX_TWINS {
                    twins.push(span);
                } else {
                    writer.push(span)?;
                }
            }
            twins.drain(..).try_for_each(|twin| writer.push(twin))?;
            writer.finish()?;
            Block::open(self.fs.as_ref(), &path, Arc::clone(&self.cache))
        });
        block.map(Arc::new).inspect_err(|_| {
            // What is left of it is in nobody's way: its number is not used again before the next start.
            let _ = self.fs.remove_file(&path);
        })
    }

    /// The number and the file of the next block.
    pub(crate) fn next_block(&self, maintenance: &mut Maintenance) -> (u64, PathBuf) {
        let seq = maintenance.next_seq;
        maintenance.next_seq += 1;
        (seq, layout::block(&self.dir, seq))
    }

    /// Makes a manifest count. If that fails, the old one may stand or the new one: the `new` files that it names are
    /// kept until another one is written.
    pub(crate) fn write_manifest(
        &self,
        maintenance: &mut Maintenance,
        mut manifest: Manifest,
        new: Vec<PathBuf>,
    ) -> Result<(), Error> {
        manifest.blocks.sort_unstable();
        let orphans = &mut maintenance.orphans;
        directory::write_manifest(self.fs.as_ref(), &self.dir, &manifest.encode(), new, orphans)?;
        maintenance.manifest = manifest;
        Ok(())
    }

    /// Removes the files of blocks that do not count. What cannot be removed now goes at the next start.
    pub(crate) fn remove_blocks(&self, blocks: &[Arc<Block>]) {
        for block in blocks {
            directory::remove_block(self.fs.as_ref(), block.path());
        }
    }
}

/// A span of the head with its place in the order of rows.
struct HeadRow<'h> {
    key: (&'h str, &'h str, u64, TraceId, SpanId),
    chunk: &'h Chunk,
    at: usize,
}

/// Spans of one id and start that are compared; what comes after that many is kept.
const MAX_TWINS: usize = 32;

/// Whether two spans have one id and start.
fn has_same_id(a: &ScopedSpan, b: &ScopedSpan) -> bool {
    let id = |s: &ScopedSpan| (s.span.trace_id, s.span.span_id, s.span.start_ns);
    id(a) == id(b)
}

fn unreadable(error: DecodeError) -> Error {
    Error::Unreadable { reason: error.to_string() }
}
