//! Fewer, larger blocks: what to merge is planned by a pure function, the merge itself knows no policy.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use sonde_disk::blocks::layout;
use sonde_model::TimestampMs;

use crate::Error;
use crate::block::{Block, Merge};
use crate::db::{Maintenance, TraceDb};

/// A merge leaves this much of the disk to the WAL.
const SPARE_BYTES: u64 = 64 << 20;
/// Blocks of one level that are merged at once.
const MERGE_AT: usize = 4;

/// How much is merged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Eagerness {
    /// In the background: several of one level, so that each span is written a few times only.
    Thrifty,
    /// On demand: as few blocks as their size allows.
    All,
}

/// What the plan knows of a block.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Candidate {
    partition: u64,
    level: u32,
    rows: u64,
}

/// What to merge next, as indices; `None` if there is nothing to gain.
pub(crate) fn plan(blocks: &[Candidate], max_rows: u64, eagerness: Eagerness) -> Option<Vec<usize>> {
    let mut order: Vec<usize> = (0..blocks.len()).collect();
    order.sort_by_key(|i| (blocks[*i].partition, blocks[*i].level, blocks[*i].rows, *i));
    let together = |a: &usize, b: &usize| {
        let (a, b) = (&blocks[*a], &blocks[*b]);
        a.partition == b.partition && (eagerness == Eagerness::All || a.level == b.level)
    };
    for alike in order.chunk_by(together) {
        let mut smallest: Vec<usize> = alike.to_vec();
        smallest.sort_by_key(|i| (blocks[*i].rows, *i));
        let mut rows = 0;
        let fitting = smallest.iter().take_while(|i| {
            rows += blocks[**i].rows;
            rows <= max_rows
        });
        let mut fitting: Vec<usize> = fitting.copied().collect();
        let enough = if eagerness == Eagerness::All { 2 } else { MERGE_AT };
        if fitting.len() >= enough {
            fitting.sort_unstable();
            return Some(fitting);
        }
    }
    None
}

impl TraceDb {
    /// Merges small blocks until the plan has nothing more to do. More eager than `maintain`: it leaves as few blocks
    /// a partition of time as their size allows.
    pub fn compact(&self, now: TimestampMs) -> Result<(), Error> {
        let mut maintenance = self.maintenance.lock();
        while self.compact_once(&mut maintenance, Eagerness::All, now)? {}
        Ok(())
    }

    /// Does one merge, if the plan has one.
    pub(crate) fn compact_once(
        &self,
        maintenance: &mut Maintenance,
        eagerness: Eagerness,
        now: TimestampMs,
    ) -> Result<bool, Error> {
        let options = &self.shared.options;
        let blocks = Arc::clone(&self.shared.data.read().blocks);
        let candidate = |b: &Arc<Block>| Candidate {
            partition: b.range().start_ns / options.partition_ns(),
            level: b.meta().level,
            rows: b.meta().rows,
        };
        let candidates: Vec<Candidate> = blocks.iter().map(candidate).collect();
        let Some(chosen) = plan(&candidates, options.block_rows as u64, eagerness) else { return Ok(false) };
        let inputs: Vec<Arc<Block>> = chosen.iter().map(|i| Arc::clone(&blocks[*i])).collect();
        let needed = inputs.iter().map(|b| b.bytes()).sum::<u64>();
        let available = self.fs.available_space(&self.dir).map_err(TraceDb::io("ask for the space of", &self.dir))?;
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

    fn merge(&self, maintenance: &mut Maintenance, inputs: &[Arc<Block>], now: TimestampMs) -> Result<(), Error> {
        let level = inputs.iter().map(|b| b.meta().level).max().unwrap_or(0) + 1;
        let mut spans = Merge::new(inputs)?;
        let merged = self.write_block(maintenance, level, now, &mut || spans.next())?;
        let blocks_dir = layout::blocks(&self.dir);
        if let Err(source) = self.fs.sync_dir(&blocks_dir) {
            self.remove_blocks(&[merged]);
            return Err(Error::Io { action: "sync", path: blocks_dir, source });
        }
        let gone = |seq: u64| inputs.iter().any(|b| b.meta().seq == seq);
        let mut manifest = maintenance.manifest.clone();
        manifest.blocks.retain(|seq| !gone(*seq));
        manifest.blocks.push(merged.meta().seq);
        self.write_manifest(maintenance, manifest, vec![merged.path().to_owned()])?;
        {
            let mut data = self.shared.data.write();
            let kept = data.blocks.iter().filter(|b| !gone(b.meta().seq)).map(Arc::clone);
            data.blocks = Arc::new(kept.chain([merged]).collect());
        }
        self.remove_blocks(inputs);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn alike_blocks_of_one_partition_are_merged() {
        let block = |partition, level, rows| Candidate { partition, level, rows };
        let check = |blocks: &[Candidate], eagerness, expected: Option<&[usize]>| {
            assert_eq!(plan(blocks, 1000, eagerness).as_deref(), expected, "{blocks:?} {eagerness:?}");
        };
        let four = [block(1, 0, 10), block(1, 0, 20), block(2, 0, 5), block(1, 0, 30), block(1, 0, 10)];
        check(&four, Eagerness::Thrifty, Some(&[0, 1, 3, 4]));
        check(&four[..4], Eagerness::Thrifty, None);
        check(&four[..4], Eagerness::All, Some(&[0, 1, 3]));
        let mixed = [block(1, 0, 10), block(1, 1, 20), block(1, 2, 990)];
        check(&mixed, Eagerness::Thrifty, None);
        check(&mixed, Eagerness::All, Some(&[0, 1]));
        check(&[block(1, 0, 600), block(1, 0, 600)], Eagerness::All, None);
        check(&[], Eagerness::All, None);
    }
}
