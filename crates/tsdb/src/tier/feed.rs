//! Feeding tiers: a day of blocks is thinned into a block of the tier, before retention may drop any of it.
//!
//! A day is fed when it is over, and once more before its blocks go if some came later. A crash between the block and
//! the note that it was fed makes it fed twice, with the same samples.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use sonde_disk::blocks::layout;
use sonde_model::TimestampMs;

use super::{DAY_MS, Tier, thin};
use crate::block::{Block, BlockWriter, Identity};
use crate::compact::merge;
use crate::db::{Db, Maintenance};
use crate::manifest::Manifest;
use crate::{Error, block};

/// Blocks that are read at once: each costs memory for its symbols.
const MAX_INPUTS: usize = 32;
/// After a failure so long nothing is tried.
const RETRY_MS: i64 = 60_000;
/// Days that one block may be fed as.
const MAX_DAYS: i64 = 4_096;
/// So long blocks that should go wait for a tier that cannot be fed.
const MAX_WAIT_MS: i64 = DAY_MS;

impl Db {
    /// Feeds each tier one day that is over and that it has not had, and lets it maintain itself.
    pub(crate) fn maintain_tiers(&self, now: TimestampMs) -> Result<(), Error> {
        let options = &self.shared.options;
        let late = options.lateness_ms.saturating_add(options.head_span_ms.saturating_mul(2));
        let over = now.min(self.shared.believed.load(Relaxed)).saturating_sub(late).div_euclid(DAY_MS);
        let mut done = Ok(());
        for tier in &self.tiers {
            let blocks = Arc::clone(&self.shared.data.read().blocks);
            let days = days_with_ranks(&blocks);
            let next = {
                let mut state = tier.state.lock();
                // What the store has nothing of any more need not be remembered.
                state.fed.days.retain(|day, _| days.contains_key(day));
                let mut new = days.keys().filter(|day| !state.fed.days.contains_key(*day));
                new.find(|day| tier.wants(**day, self.shared.believed.load(Relaxed))).copied()
            };
            if let Some(until) = next.or_else(|| days.keys().next_back().map(|day| day + 1)) {
                tier.fed_until.store(until.saturating_mul(DAY_MS), Relaxed);
            }
            if let Some(day) = next.filter(|day| *day < over) {
                self.try_feed(tier, day, &blocks, now);
            }
            done = done.and(tier.db.maintain(now));
        }
        done
    }

    /// Whether the store may lose (some of) a block: all tiers have it, or cannot have it and have been waited for.
    pub(crate) fn may_lose(&self, block: &Block, now: TimestampMs, overdue_ms: i64) -> bool {
        if self.is_in_tiers(block, Some(now)) {
            return true;
        }
        if overdue_ms <= MAX_WAIT_MS {
            return false;
        }
        self.shared.stats.tier_blocks_missed.fetch_add(1, Relaxed);
        tracing::error!(block = %block.path().display(), "a block goes that a tier could not be fed with");
        true
    }

    /// Whether all tiers have the days of a block, or do not want them. With a time they are fed what they lack.
    pub(crate) fn is_in_tiers(&self, block: &Block, feeding: Option<TimestampMs>) -> bool {
        if self.tiers.is_empty() {
            return true;
        }
        let blocks = Arc::clone(&self.shared.data.read().blocks);
        let days = days_with_ranks(&blocks);
        let believed = self.shared.believed.load(Relaxed);
        self.tiers.iter().all(|tier| {
            days_of(block).filter(|day| tier.wants(*day, believed)).all(|day| {
                let rank = days.get(&day).copied().unwrap_or(block.meta().rank);
                tier.state.lock().fed.has(day, rank)
                    || feeding.is_some_and(|now| self.try_feed(tier, day, &blocks, now))
            })
        })
    }

    /// Feeds a day; a failure is counted and told.
    fn try_feed(&self, tier: &Tier, day: i64, blocks: &[Arc<Block>], now: TimestampMs) -> bool {
        if now < tier.state.lock().not_before {
            return false;
        }
        let stats = &self.shared.stats;
        match self.feed(tier, day, blocks, now) {
            Ok(()) => {
                stats.tier_feeds.fetch_add(1, Relaxed);
                true
            }
            Err(error) => {
                stats.tier_feed_failures.fetch_add(1, Relaxed);
                let step_ms = tier.options.step_ms;
                tracing::warn!(%error, day, step_ms, "a tier could not be fed; it will be tried again");
                tier.state.lock().not_before = now.saturating_add(RETRY_MS);
                false
            }
        }
    }

    fn feed(&self, tier: &Tier, day: i64, blocks: &[Arc<Block>], now: TimestampMs) -> Result<(), Error> {
        let (from, to) = (day.saturating_mul(DAY_MS), day.saturating_mul(DAY_MS).saturating_add(DAY_MS - 1));
        let inputs: Vec<Arc<Block>> = blocks.iter().filter(|b| b.overlaps(from, to)).map(Arc::clone).collect();
        let rank = inputs.iter().map(|b| b.meta().rank).max().unwrap_or(0);
        let mut maintenance = tier.db.maintenance.lock();
        for inputs in inputs.chunks(MAX_INPUTS) {
            let thinned = tier.thinned(&mut maintenance, inputs, (from, to), now);
            if let Some(damaged) = inputs.iter().find(|b| b.is_damaged()) {
                // The next maintenance sets it aside.
                self.noting_damage(damaged, thinned)?;
            } else {
                thinned?;
            }
        }
        drop(maintenance);
        let mut state = tier.state.lock();
        state.fed.days.insert(day, rank);
        state.fed.store(self.fs.as_ref(), &tier.db.dir)
    }
}

impl Tier {
    /// Whether what is of this day would be kept at all.
    fn wants(&self, day: i64, now: TimestampMs) -> bool {
        let longest = self.db.retention().longest();
        day.saturating_add(1).saturating_mul(DAY_MS) > now.saturating_sub(longest)
    }

    /// Writes a block of the tier with what is kept of the samples of a range.
    fn thinned(
        &self,
        maintenance: &mut Maintenance,
        inputs: &[Arc<Block>],
        range: (TimestampMs, TimestampMs),
        now: TimestampMs,
    ) -> Result<(), Error> {
        let (db, fs) = (&self.db, self.db.fs.as_ref());
        let (seq, path) = db.next_block(maintenance);
        let identity = Identity { seq, rank: seq, level: 0, created: now };
        let blocks_dir = layout::blocks(&db.dir);
        let written = merge::symbols(inputs).and_then(|symbols| {
            let texts: Vec<&str> = symbols.all.iter().map(String::as_str).collect();
            let mut writer = BlockWriter::create(fs, &path, &texts, identity)?;
            merge::run(inputs, &symbols.renamed, range, &mut |pairs, columns| {
                writer.series(pairs, &thin::thin(columns, self.options.step_ms))
            })?;
            let (meta, _) = writer.finish()?;
            if meta.series == 0 {
                return Ok(None);
            }
            fs.sync_dir(&blocks_dir).map_err(Db::io("sync", &blocks_dir))?;
            block::Block::open(fs, &path, Arc::clone(&db.cache)).map(Some)
        });
        match written {
            Ok(Some(block)) => db.adopt(maintenance, Arc::new(block)),
            nothing => {
                // What is left of it is in nobody's way: its number is not used again before the next start.
                let _ = fs.remove_file(&path);
                nothing.map(drop)
            }
        }
    }
}

impl Db {
    /// Makes a block count that was written by another store.
    fn adopt(&self, maintenance: &mut Maintenance, block: Arc<Block>) -> Result<(), Error> {
        let manifest = Manifest {
            flushed: maintenance.manifest.flushed,
            blocks: maintenance.manifest.blocks.iter().copied().chain([block.meta().seq]).collect(),
        };
        self.write_manifest(maintenance, manifest, vec![block.path().to_owned()])?;
        let mut data = self.shared.data.write();
        data.changes.note(block.meta().min_time);
        let mut blocks: Vec<Arc<Block>> = data.blocks.iter().map(Arc::clone).chain([block]).collect();
        blocks.sort_by_key(|block| block.meta().rank);
        data.blocks = Arc::new(blocks);
        Ok(())
    }
}

/// The days that a block has samples of, or may have. Blocks are cut by partitions, so that there are few: more come from a
/// file that nobody here wrote.
fn days_of(block: &Block) -> RangeInclusive<i64> {
    let last = block.meta().max_time.div_euclid(DAY_MS);
    block.meta().min_time.div_euclid(DAY_MS).max(last.saturating_sub(MAX_DAYS))..=last
}

/// The days of all blocks, with the highest rank of those that have samples of each.
fn days_with_ranks(blocks: &[Arc<Block>]) -> BTreeMap<i64, u64> {
    let mut days = BTreeMap::new();
    for block in blocks {
        for day in days_of(block) {
            let rank: &mut u64 = days.entry(day).or_default();
            *rank = block.meta().rank.max(*rank);
        }
    }
    days
}
