//! The flush of the head: a checkpoint in the WAL, blocks of what came before it, and then the WAL is cut.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::mpsc::sync_channel;

use smallvec::SmallVec;
use sonde_disk::blocks::{directory, layout};
use sonde_disk::{Position, WalError};
use sonde_model::TimestampMs;

use crate::block::{Block, BlockWriter, Identity};
use crate::data::{Data, Frozen};
use crate::db::{Db, Maintenance};
use crate::head::{Registry, Samples};
use crate::manifest::Manifest;
use crate::{Error, record};

/// Pieces into which the cursors and the metadata of a checkpoint are cut.
const CHECKPOINT_PIECE: usize = 1 << 20;

/// A WAL that has grown over so many segments is cut by a flush even if the head holds no samples.
const WAL_SEGMENTS_KEPT: u64 = 8;

/// So many series that have ended make a flush due if they are half of all: they cost memory, and nobody writes to them
/// any more.
const STALE_KEPT: usize = 50_000;

/// Series that leave the head while its locks are held.
const EVICTED_AT_ONCE: usize = 2_000;

impl Db {
    /// Writes the head into blocks and frees its part of the WAL. Series that are stale or idle leave the head.
    pub fn flush(&self, now: TimestampMs) -> Result<(), Error> {
        let mut maintenance = self.maintenance.lock();
        self.flush_locked(&mut maintenance, now)
    }

    /// Whether the head is so large or so old that it should be flushed.
    pub(crate) fn flush_is_due(&self, maintenance: &Maintenance, now: TimestampMs) -> bool {
        let options = &self.shared.options;
        let series = self.shared.registry.read().len();
        let data = self.shared.data.read();
        let aged = now.saturating_sub(maintenance.last_flush) >= options.head_span_ms;
        data.frozen.is_some()
            || data.active.bytes() >= options.head_bytes
            || is_crowded(&data, series)
            || (aged && series > 0)
            || self.new_wal_bytes() > options.wal_segment_bytes.saturating_mul(WAL_SEGMENTS_KEPT)
    }

    /// Bytes of the WAL that came after the last flush. What readers hold of the older ones is not freed by another.
    fn new_wal_bytes(&self) -> u64 {
        self.wal.size_bytes().saturating_sub(self.shared.cut.lock().kept_bytes)
    }

    /// Whether so many series of the head have ended that `maintain` should be called soon.
    pub fn is_crowded(&self) -> bool {
        let series = self.shared.registry.read().len();
        is_crowded(&self.shared.data.read(), series)
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
        let has_samples = self.shared.data.read().active.count() > 0;
        if has_samples || self.new_wal_bytes() > self.shared.options.wal_segment_bytes {
            maintenance.frozen_from = Some(self.freeze()?);
            self.write_frozen(maintenance, now)?;
        }
        self.evict(now);
        maintenance.last_flush = now;
        Ok(())
    }

    /// Writes a checkpoint and, once it is durable, puts the samples that came before it aside. Answers where the
    /// WAL has to begin once those samples are in blocks.
    fn freeze(&self) -> Result<Position, Error> {
        let (start_sender, start) = sync_channel(1);
        let (done_sender, done) = sync_channel(1);
        {
            let mut judge = self.shared.judge.lock();
            let flush = judge.next_flush;
            judge.next_flush += 1;
            judge.epoch += 1;
            let pieces = {
                let data = self.shared.data.read();
                // What comes before the checkpoint and is not applied yet would be cut with the log.
                let pending = judge.pending_metadata().map(|(name, entry)| (name.as_str(), entry));
                let metadata = data.metadata.iter().map(|(name, entry)| (name.as_str(), entry)).chain(pending);
                record::checkpoint(flush, u64::from(judge.epoch), judge.streams.iter(), metadata, CHECKPOINT_PIECE)
            };
            let failures = judge.failures;
            self.wal.rotate_with(Box::new(move |position| {
                // The receiver is gone only if a later step failed, and then nobody needs the position.
                let _ = start_sender.send(position);
            }))?;
            let last = pieces.len() - 1;
            for (i, piece) in pieces.into_iter().enumerate() {
                let shared = Arc::clone(&self.shared);
                let done_sender = (i == last).then(|| done_sender.clone());
                let on_piece = move |result: Result<Position, WalError>| {
                    if result.is_err() {
                        shared.judge.lock().go_back(failures, &shared.data.read());
                    }
                    // Pieces fail with those before them, so that the last one speaks for all.
                    if let Some(done_sender) = done_sender {
                        let _ = done_sender.send(result.map(|_| shared.freeze(flush)));
                    }
                };
                self.wal.append_after(failures, piece, Box::new(on_piece))?;
            }
        }
        drop(done_sender);
        let frozen = done.recv().unwrap_or(Err(WalError::Closed))?;
        let start = start.recv().unwrap_or(Err(WalError::Closed))?;
        if !frozen {
            let reason = "an earlier flush is not in blocks yet; the flush will be tried again".to_owned();
            return Err(Error::NotWritten { reason });
        }
        Ok(start)
    }

    /// Writes what was put aside into blocks, one for each partition of time, makes them count, and cuts the WAL.
    fn write_frozen(&self, maintenance: &mut Maintenance, now: TimestampMs) -> Result<(), Error> {
        let Some(Frozen { flush, samples }) = self.shared.data.read().frozen.clone() else { return Ok(()) };
        self.save_exemplars(maintenance, now)?;
        let mut written = Vec::new();
        let result = self.write_partitions(maintenance, &samples, now, &mut written);
        let manifest = Manifest {
            flushed: flush,
            blocks: maintenance.manifest.blocks.iter().copied().chain(written.iter().map(|b| b.meta().seq)).collect(),
        };
        if let Err(error) = result {
            self.remove_blocks(&written);
            return Err(error);
        }
        let paths = written.iter().map(|b| b.path().to_owned()).collect();
        self.write_manifest(maintenance, manifest, paths)?;
        {
            let mut data = self.shared.data.write();
            let mut blocks: Vec<Arc<Block>> = data.blocks.iter().map(Arc::clone).collect();
            blocks.extend(written);
            blocks.sort_by_key(|block| block.meta().rank);
            data.blocks = Arc::new(blocks);
            data.frozen = None;
            self.shared.head_bytes.store(data.bytes(), Relaxed);
        }
        if let Some(position) = maintenance.frozen_from.take() {
            self.shared.cut.lock().flushed(position, now);
            self.cut_wal()?;
            self.shared.cut.lock().kept_bytes = self.wal.size_bytes();
        }
        Ok(())
    }

    fn write_partitions(
        &self,
        maintenance: &mut Maintenance,
        samples: &Samples,
        now: TimestampMs,
        written: &mut Vec<Arc<Block>>,
    ) -> Result<(), Error> {
        let all = self.shared.options.partitions(now);
        let Some((min, max)) = samples.times() else { return Ok(()) };
        let sorted = self.sorted_series(samples);
        let symbols: Vec<&str> = sorted.symbols.iter().map(String::as_str).collect();
        // Only partitions that have samples are looked at: a stray sample must not make thousands of them.
        let mut partitions = BTreeSet::from([all.of(min), all.of(max)]);
        for slot in &sorted.series {
            if let Some(range) = samples.times_of(*slot) {
                partitions.extend(all.of_range(range));
            }
        }
        for (from, to) in partitions {
            // What overlaps a partition may have no sample in it; a block has at least one.
            let has_samples =
                |slot: &u32| samples.overlaps(*slot, from, to) && !samples.read(*slot, from, to).is_empty();
            let Some(first) = sorted.series.iter().position(has_samples) else { continue };
            let series = sorted.series[first..].iter().copied().filter(|slot| samples.overlaps(*slot, from, to));
            let (seq, path) = self.next_block(maintenance);
            let identity = Identity { seq, rank: seq, level: 0, created: now };
            let block = BlockWriter::create(self.fs.as_ref(), &path, &symbols, identity).and_then(|mut writer| {
                for slot in series {
                    let columns = samples.read(slot, from, to);
                    if !columns.is_empty() {
                        // Series with samples that are being flushed do not leave the head, so that the slot is theirs.
                        let pairs = sorted.pairs(&self.shared.registry.read(), slot);
                        writer.series(&pairs, &columns)?;
                    }
                }
                writer.finish()?;
                Block::open(self.fs.as_ref(), &path, Arc::clone(&self.cache))
            });
            match block {
                Ok(block) => written.push(Arc::new(block)),
                Err(error) => {
                    // What is left of it is in nobody's way: its number is not used again before the next start.
                    let _ = self.fs.remove_file(&path);
                    return Err(error);
                }
            }
        }
        let blocks_dir = layout::blocks(&self.dir);
        self.fs.sync_dir(&blocks_dir).map_err(Db::io("sync", &blocks_dir))
    }

    /// The series that have samples, by their labels, and the sorted symbols of those labels.
    fn sorted_series(&self, samples: &Samples) -> Sorted {
        let registry = self.shared.registry.read();
        let slots: Vec<u32> = registry.live_slots().filter(|slot| samples.times_of(*slot).is_some()).collect();
        let mut used = vec![false; registry.symbols()];
        for (name, value) in slots.iter().flat_map(|slot| registry.pairs(*slot)) {
            (used[*name as usize], used[*value as usize]) = (true, true);
        }
        let mut symbols: Vec<u32> = (0..used.len() as u32).filter(|symbol| used[*symbol as usize]).collect();
        symbols.sort_unstable_by_key(|symbol| registry.text(*symbol));
        let mut renamed = vec![u32::MAX; used.len()];
        for (new, old) in symbols.iter().enumerate() {
            renamed[*old as usize] = new as u32;
        }
        let new = |pair: &(u32, u32)| (renamed[pair.0 as usize], renamed[pair.1 as usize]);
        // The first label, which is the metric's name as a rule, lies beside the slot: most comparisons need no more.
        let first = |slot: u32| registry.pairs(slot).first().map(new);
        let mut series: Vec<_> = slots.into_iter().map(|slot| (first(slot), slot)).collect();
        series.sort_unstable_by(|(first_a, a), (first_b, b)| {
            let rest = |slot: u32| registry.pairs(slot).iter().skip(1).map(new);
            first_a.cmp(first_b).then_with(|| rest(*a).cmp(rest(*b)))
        });
        let series = series.into_iter().map(|(_, slot)| slot).collect();
        let symbols = symbols.into_iter().map(|symbol| registry.text(symbol).to_owned()).collect();
        Sorted { symbols, renamed, series }
    }

    /// Removes the series that are stale or idle from the head, some at a time, so that nobody waits long for a lock.
    fn evict(&self, now: TimestampMs) {
        let idle_before = now.saturating_sub(self.shared.options.idle_ms);
        let candidates = {
            let judge = self.shared.judge.lock();
            let registry = self.shared.registry.read();
            judge.leaving(registry.live_slots(), &registry, &self.shared.data.read(), idle_before)
        };
        for some in candidates.chunks(EVICTED_AT_ONCE) {
            let mut judge = self.shared.judge.lock();
            let mut registry = self.shared.registry.write();
            let mut data = self.shared.data.write();
            // Samples may have come since.
            let leaving = judge.leaving(some.iter().copied(), &registry, &data, idle_before);
            for slot in &leaving {
                judge.forget(*slot);
                data.forget(*slot);
            }
            registry.remove(&leaving);
            self.shared.stats.series_removed.fetch_add(leaving.len() as u64, Relaxed);
        }
        if !candidates.is_empty() {
            self.shared.registry.write().tidy();
        }
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

fn is_crowded(data: &Data, series: usize) -> bool {
    data.stale() >= STALE_KEPT.max(series / 2)
}

/// The series of a flush. Their labels stay in the registry: a copy of them all would be the largest thing in memory.
struct Sorted {
    symbols: Vec<String>,
    /// The new numbers of the symbols of the registry.
    renamed: Vec<u32>,
    /// Slots, in the order of their labels.
    series: Vec<u32>,
}

impl Sorted {
    /// The labels of a series in new numbers.
    fn pairs(&self, registry: &Registry, slot: u32) -> SmallVec<[(u32, u32); 16]> {
        let new = |symbol: u32| self.renamed[symbol as usize];
        registry.pairs(slot).iter().map(|(name, value)| (new(*name), new(*value))).collect()
    }
}
