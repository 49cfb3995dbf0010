//! Gives the space of deleted samples back: blocks are written again without them, one at a time.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use sonde_model::TimestampMs;

use crate::Error;
use crate::block::{Block, Caching};
use crate::db::{Db, Maintenance};

impl Db {
    /// Writes the blocks that hold deleted samples again without them, and forgets the deletes. One block after the
    /// other, those first that need the least room, so that never more is needed than what stays of one block.
    pub fn clean_tombstones(&self, now: TimestampMs) -> Result<(), Error> {
        let mut maintenance = self.maintenance.lock();
        while self.with_room(|| self.clean_once(&mut maintenance, now))? {}
        self.tiers.iter().try_for_each(|tier| tier.db.clean_tombstones(now))
    }

    /// Cleans one block, if there is one to clean and room for it.
    pub(crate) fn clean_once(&self, maintenance: &mut Maintenance, now: TimestampMs) -> Result<bool, Error> {
        let blocks = Arc::clone(&self.shared.data.read().blocks);
        let mut by_need = BinaryHeap::new();
        for (i, block) in blocks.iter().enumerate().filter(|(_, b)| !b.hidden().is_empty()) {
            // Worked out once a block and not at each step, or cleaning would take the square of the blocks.
            let left = block.hidden().bytes_left(|| self.noting_damage(block, bytes_left(block)));
            by_need.push(Reverse((left?, i)));
        }
        let Some(Reverse((needed, i))) = by_need.pop() else {
            self.retire_tombstones(maintenance)?;
            return Ok(false);
        };
        let block = Arc::clone(&blocks[i]);
        let available = self.fs.available_space(&self.dir).map_err(Db::io("ask for the space of", &self.dir))?;
        if needed == 0 {
            self.drop_blocks(maintenance, &[Arc::clone(&block)])?;
            self.remove_blocks(&[block]);
        } else if available < needed {
            return Err(Error::NoSpace { needed, available });
        } else {
            self.merge(maintenance, &[block], now)?;
        }
        self.shared.stats.blocks_cleaned.fetch_add(1, Relaxed);
        Ok(true)
    }
}

/// An estimate of what is left of a block without its deleted samples, by their number: 0 if nothing is left.
fn bytes_left(block: &Block) -> Result<u64, Error> {
    let mut left = 0u64;
    block.visit_series(0..block.meta().series, Caching::Pass, &mut |entry| {
        left += entry.chunks.iter().map(|c| u64::from(c.samples)).sum::<u64>();
        Ok(())
    })?;
    let share = u128::from(block.bytes()) * u128::from(left) / u128::from(block.meta().samples.max(1));
    // Samples of some series take more than those of others.
    let share = u64::try_from(share).unwrap_or(u64::MAX);
    Ok(if left == 0 { 0 } else { share.saturating_add(share / 8).clamp(1, block.bytes()) })
}
