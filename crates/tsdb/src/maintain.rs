//! What has to happen now and then: flush, retention, one merge, damaged blocks set aside.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use sonde_disk::blocks::layout;
use sonde_disk::blocks::retention::{self, Fact};
use sonde_model::TimestampMs;

use crate::Error;
use crate::block::{Block, outdated};
use crate::compact::plan::Eagerness;
use crate::db::{Db, Maintenance};
use crate::manifest::Manifest;
use crate::open::set_aside;

/// For so long a block that was found sound is not verified again.
const VERIFY_AGAIN_MS: u64 = 600_000;

impl Db {
    /// What the owner calls every few seconds: flush when it is due, retention, one merge of small blocks, damaged
    /// blocks set aside, the space of deleted samples. A step that fails does not keep the others from being tried; the first error is given back.
    pub fn maintain(&self, now: TimestampMs) -> Result<(), Error> {
        let mut maintenance = self.maintenance.lock();
        let maintenance = &mut *maintenance;
        let flushed = if self.flush_is_due(maintenance, now) { self.flush_locked(maintenance, now) } else { Ok(()) };
        self.reopen(maintenance);
        let quarantined = self.quarantine(maintenance, now);
        let tiers = self.maintain_tiers(now);
        let retained = self.with_room(|| self.retain(maintenance, now));
        let compacted = self.compact_once(maintenance, Eagerness::Thrifty, now).map(drop);
        // In the background it is no failure that there is no room: it is tried again.
        let cleaned = match self.with_room(|| self.clean_once(maintenance, now)) {
            Err(Error::NoSpace { .. }) => Ok(()),
            cleaned => cleaned.map(drop),
        };
        self.restore_ballast();
        flushed.and(quarantined).and(tiers).and(retained).and(compacted).and(cleaned)
    }

    /// Opens the blocks that could not be opened so far. What still cannot be opened is tried again.
    fn reopen(&self, maintenance: &Maintenance) {
        let blocks = Arc::clone(&self.shared.data.read().blocks);
        let is_open = |seq: &u64| blocks.iter().any(|b| b.meta().seq == *seq);
        let mut opened = Vec::new();
        for seq in maintenance.manifest.blocks.iter().filter(|seq| !is_open(seq)) {
            let path = layout::block(&self.dir, *seq);
            let block = Block::open(self.fs.as_ref(), &path, Arc::clone(&self.cache)).and_then(|block| {
                maintenance.tombstones.iter().try_for_each(|tombstone| tombstone.hide_in(&block))?;
                Ok(block)
            });
            if let Ok(block) = block {
                tracing::info!(block = %path.display(), "a block that could not be opened is there again");
                opened.push(Arc::new(block));
            }
        }
        if opened.is_empty() {
            return;
        }
        let mut data = self.shared.data.write();
        for block in &opened {
            data.changes.note(block.meta().min_time);
            data.note_unsure(block.meta().max_time);
        }
        let mut all: Vec<Arc<Block>> = data.blocks.iter().map(Arc::clone).chain(opened).collect();
        all.sort_by_key(|block| block.meta().rank);
        data.blocks = Arc::new(all);
    }

    /// Sets blocks aside in which a query or a merge met damage that is really on the disk. One that is read from end to
    /// end and found sound is not read so again for a while, whatever queries meet in it.
    fn quarantine(&self, maintenance: &mut Maintenance, now: TimestampMs) -> Result<(), Error> {
        let blocks = Arc::clone(&self.shared.data.read().blocks);
        maintenance.sound.retain(|seq, _| blocks.iter().any(|b| b.meta().seq == *seq));
        let mut done = Ok(());
        for block in blocks.iter().filter(|b| b.is_damaged()) {
            let seq = block.meta().seq;
            if maintenance.sound.get(&seq).is_some_and(|at| now.abs_diff(*at) < VERIFY_AGAIN_MS) {
                continue;
            }
            match block.verify() {
                Err(error @ Error::DamagedBlock { .. }) => {
                    self.drop_blocks(maintenance, &[Arc::clone(block)])?;
                    set_aside(self.fs.as_ref(), block.path(), &error);
                    self.shared.stats.blocks_quarantined.fetch_add(1, Relaxed);
                }
                Ok(()) => {
                    // A read went wrong that now goes well; or the pages are good and what is in them is not, so that the
                    // writer was wrong. Nothing is gained by hiding it.
                    tracing::error!(block = %block.path().display(), "a block could not be read, and is sound");
                    block.found_sound();
                    maintenance.sound.insert(seq, now);
                }
                Err(error) => done = done.and(Err(error)),
            }
        }
        done
    }

    fn retain(&self, maintenance: &mut Maintenance, now: TimestampMs) -> Result<(), Error> {
        self.look_at_clock(maintenance, now);
        let blocks = Arc::clone(&self.shared.data.read().blocks);
        let options = &self.shared.options;
        let cutoff = self.shared.drops_before(now);
        let facts: Vec<_> = blocks.iter().map(|b| Fact { newest: b.meta().max_time, bytes: b.bytes() }).collect();
        let plan = retention::plan(&facts, cutoff, self.wal.size_bytes(), options.retention_bytes);
        let stats = &self.shared.stats;
        if let Some(cutoff) = cutoff {
            let removed = outdated::remove_before(self.fs.as_ref(), &mut maintenance.outdated, cutoff);
            stats.blocks_expired.fetch_add(removed, Relaxed);
        }
        let pick = |indices: &[usize]| indices.iter().map(|i| Arc::clone(&blocks[*i])).collect::<Vec<_>>();
        let (mut expired, evicted) = (pick(&plan.expired), pick(&plan.evicted));
        let overdue = |block: &Block| cutoff.map_or(0, |cutoff| cutoff.saturating_sub(block.meta().max_time));
        expired.retain(|block| self.may_lose(block, now, overdue(block)));
        // The disk does not wait for tiers.
        for block in &evicted {
            self.may_lose(block, now, i64::MAX);
        }
        let gone: Vec<Arc<Block>> = expired.iter().chain(&evicted).map(Arc::clone).collect();
        if !gone.is_empty() {
            self.drop_blocks(maintenance, &gone)?;
            self.remove_blocks(&gone);
            stats.blocks_expired.fetch_add(expired.len() as u64, Relaxed);
            stats.blocks_evicted.fetch_add(evicted.len() as u64, Relaxed);
        }
        if cutoff.is_some() { self.expire_classes(maintenance, now, true) } else { Ok(()) }
    }

    /// Finds leaps of the clock, and when they are over.
    fn look_at_clock(&self, maintenance: &mut Maintenance, now: TimestampMs) {
        let Maintenance { clock, .. } = maintenance;
        let before = clock.believed();
        if clock.observe(now) {
            self.shared.stats.retention_pauses.fetch_add(1, Relaxed);
            tracing::warn!(now, believed = before, "the clock has leapt forward: retention by age is paused");
        }
        self.shared.believed.store(clock.believed(), Relaxed);
        self.shared.retention_paused.store(clock.is_doubted(), Relaxed);
        // Without it a restart would have to believe the data that has come since.
        if let Err(error) = clock.store(self.fs.as_ref(), &self.dir) {
            tracing::warn!(%error, "what is known about the clock could not be written; it will be tried again");
        }
    }

    /// Takes blocks out of the manifest and out of sight of queries. Their files stay.
    pub(crate) fn drop_blocks(&self, maintenance: &mut Maintenance, gone: &[Arc<Block>]) -> Result<(), Error> {
        let is_gone = |seq: u64| gone.iter().any(|b| b.meta().seq == seq);
        let mut manifest = Manifest { flushed: maintenance.manifest.flushed, blocks: Vec::new() };
        manifest.blocks.extend(maintenance.manifest.blocks.iter().filter(|seq| !is_gone(**seq)));
        self.write_manifest(maintenance, manifest, Vec::new())?;
        let mut data = self.shared.data.write();
        let kept = data.blocks.iter().filter(|b| !is_gone(b.meta().seq)).map(Arc::clone).collect();
        data.blocks = Arc::new(kept);
        if let Some(latest) = gone.iter().map(|b| b.meta().max_time).max() {
            data.note_unsure(latest);
        }
        if let Some(earliest) = gone.iter().map(|b| b.meta().min_time).min() {
            data.changes.note(earliest);
        }
        Ok(())
    }
}
