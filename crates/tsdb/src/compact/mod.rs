//! Fewer, larger blocks: what to merge is planned by a pure function, the merge itself knows no policy.

pub(crate) mod merge;
pub(crate) mod plan;

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use plan::{Candidate, Eagerness};
use sonde_disk::blocks::layout;
use sonde_model::TimestampMs;

use crate::Error;
use crate::block::{Block, BlockWriter, Identity};
use crate::db::{Db, Maintenance};
use crate::manifest::Manifest;

/// A merge leaves this much of the disk to the WAL.
const SPARE_BYTES: u64 = 64 << 20;

impl Db {
    /// Merges small blocks until the plan has nothing more to do. More eager than `maintain`: it leaves one block a
    /// partition of time, as far as their size allows.
    pub fn compact(&self, now: TimestampMs) -> Result<(), Error> {
        let mut maintenance = self.maintenance.lock();
        while self.compact_once(&mut maintenance, Eagerness::All, now)? {}
        self.tiers.iter().try_for_each(|tier| tier.db.compact(now))
    }

    /// Does one merge, if the plan has one.
    pub(crate) fn compact_once(
        &self,
        maintenance: &mut Maintenance,
        eagerness: Eagerness,
        now: TimestampMs,
    ) -> Result<bool, Error> {
        let blocks = Arc::clone(&self.shared.data.read().blocks);
        let candidates: Vec<Candidate> = blocks.iter().map(|block| Candidate::of(block)).collect();
        let Some(range) = plan::next(&candidates, &self.shared.options.partitions(now), eagerness) else {
            return Ok(false);
        };
        let inputs: Vec<Arc<Block>> = range.iter().map(|i| Arc::clone(&blocks[*i])).collect();
        let needed = inputs.iter().map(|b| b.bytes()).sum::<u64>();
        let available = self.fs.available_space(&self.dir).map_err(Db::io("ask for the space of", &self.dir))?;
        if available < needed.saturating_add(SPARE_BYTES) {
            // In the background it is no failure: retention or an operator will make room.
            return if eagerness == Eagerness::All { Err(Error::NoSpace { needed, available }) } else { Ok(false) };
        }
        let stats = &self.shared.stats;
        match self.merge(maintenance, &inputs, now) {
            Ok(()) => {
                stats.compactions.fetch_add(1, Relaxed);
                Ok(true)
            }
            Err(error) => {
                stats.compaction_failures.fetch_add(1, Relaxed);
                Err(error)
            }
        }
    }

    /// Writes blocks again as one, without what is deleted of them.
    pub(crate) fn merge(
        &self,
        maintenance: &mut Maintenance,
        inputs: &[Arc<Block>],
        now: TimestampMs,
    ) -> Result<(), Error> {
        let (seq, path) = self.next_block(maintenance);
        let rank = inputs.iter().map(|b| b.meta().rank).max().unwrap_or(seq);
        let level = inputs.iter().map(|b| b.meta().level).max().unwrap_or(0) + 1;
        let identity = Identity { seq, rank, level, created: now };
        let blocks_dir = layout::blocks(&self.dir);
        let gone = |seq: u64| inputs.iter().any(|b| b.meta().seq == seq);
        let mut manifest = Manifest {
            flushed: maintenance.manifest.flushed,
            blocks: maintenance.manifest.blocks.iter().copied().filter(|seq| !gone(*seq)).collect(),
        };
        manifest.blocks.push(seq);
        let merged = merge::symbols(inputs).and_then(|symbols| {
            let texts: Vec<&str> = symbols.all.iter().map(String::as_str).collect();
            let mut writer = BlockWriter::create(self.fs.as_ref(), &path, &texts, identity)?;
            let all = (TimestampMs::MIN, TimestampMs::MAX);
            merge::run(inputs, &symbols.renamed, all, &mut |pairs, columns| writer.series(pairs, columns))?;
            let (meta, written) = writer.finish()?;
            let peak = inputs.iter().map(|b| b.bytes()).sum::<u64>() + written;
            self.shared.stats.merge_peak_bytes.fetch_max(peak, Relaxed);
            if meta.series == 0 {
                return Ok(None);
            }
            self.fs.sync_dir(&blocks_dir).map_err(Db::io("sync", &blocks_dir))?;
            Block::open(self.fs.as_ref(), &path, Arc::clone(&self.cache)).map(Some)
        });
        let merged = match merged {
            Ok(Some(block)) => Arc::new(block),
            Ok(None) => {
                // All of it was deleted.
                let _ = self.fs.remove_file(&path);
                self.drop_blocks(maintenance, inputs)?;
                self.remove_blocks(inputs);
                return Ok(());
            }
            Err(error) => {
                // What is left of it is in nobody's way: its number is not used again before the next start.
                let _ = self.fs.remove_file(&path);
                return Err(error);
            }
        };
        self.write_manifest(maintenance, manifest, vec![path])?;
        {
            let mut data = self.shared.data.write();
            let kept = data.blocks.iter().filter(|b| !gone(b.meta().seq)).map(Arc::clone);
            let mut blocks: Vec<Arc<Block>> = kept.chain([merged]).collect();
            blocks.sort_by_key(|block| block.meta().rank);
            data.blocks = Arc::new(blocks);
        }
        self.remove_blocks(inputs);
        Ok(())
    }
}
