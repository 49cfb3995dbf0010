//! Deletes: what was written before one is hidden at once, and its space comes back block by block.

mod clean;
pub(crate) mod tombstones;

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use sonde_model::{Matcher, TimestampMs};
use tombstones::{MAX_TOMBSTONES, Tombstone, store};

use crate::Error;
use crate::block::{Block, BlockIndex};
use crate::db::{Db, Maintenance};
use crate::index::resolve::resolve;

impl Db {
    /// Deletes the samples from `from` to `to` inclusive of the series that match all matchers of one of the
    /// selectors, as far as they were durable before the call. Samples that come later are kept, of the same times too.
    ///
    /// The head is flushed, so that what was written before lies in blocks. Durable when this returns; the space comes
    /// back with maintenance or [`Db::clean_tombstones`].
    pub fn delete(
        &self,
        selectors: Vec<Vec<Matcher>>,
        from: TimestampMs,
        to: TimestampMs,
        now: TimestampMs,
    ) -> Result<(), Error> {
        let mut maintenance = self.maintenance.lock();
        self.with_room(|| self.delete_locked(&mut maintenance, &selectors, from, to, now))?;
        // No day is fed in between: that needs the maintenance of this store.
        self.delete_from_tiers(&selectors, (from, to), now)
    }

    fn delete_locked(
        &self,
        maintenance: &mut Maintenance,
        selectors: &[Vec<Matcher>],
        from: TimestampMs,
        to: TimestampMs,
        now: TimestampMs,
    ) -> Result<(), Error> {
        if maintenance.tombstones.len() >= MAX_TOMBSTONES {
            return Err(Error::TooManyDeletes { limit: MAX_TOMBSTONES });
        }
        self.flush_locked(maintenance, now)?;
        let tombstone = Tombstone { covers: maintenance.next_seq - 1, from, to, selectors: selectors.to_vec() };
        let mut hidden: Vec<(Arc<Block>, Vec<u32>)> = Vec::new();
        // Not under the lock: what is read of the blocks would hold up all that is written and asked.
        let blocks = Arc::clone(&self.shared.data.read().blocks);
        for block in blocks.iter() {
            let series = self.noting_damage(block, tombstone.series_of(block))?;
            if !series.is_empty() {
                hidden.push((Arc::clone(block), series));
            }
        }
        maintenance.tombstones.push(tombstone);
        let flushed = maintenance.manifest.flushed;
        let stored = store(self.fs.as_ref(), &self.dir, flushed, &maintenance.tombstones);
        let tombstone = match (stored, maintenance.tombstones.pop()) {
            (Ok(()), Some(tombstone)) => tombstone,
            (stored, _) => return stored,
        };
        for (block, series) in hidden {
            block.hidden().add(&series, (from, to));
        }
        self.forget_deleted(&tombstone);
        let no_exemplars_gone =
            self.shared.exemplars.write().remove(&|labels| tombstone.selects(labels), (from, to)) == 0;
        self.shared.stats.deletes.fetch_add(1, Relaxed);
        maintenance.tombstones.push(tombstone);
        if no_exemplars_gone { Ok(()) } else { self.save_exemplars(maintenance, now) }
    }

    /// The head knows the newest sample of each series, flushed or not. One that is deleted may come again, and
    /// nothing may be added to it.
    fn forget_deleted(&self, tombstone: &Tombstone) {
        let mut judge = self.shared.judge.lock();
        let registry = self.shared.registry.read();
        let mut data = self.shared.data.write();
        data.changes.note(tombstone.from);
        for matchers in &tombstone.selectors {
            let Ok(slots) = resolve(&*registry, matchers);
            judge.forget_last(&slots, &mut data, tombstone.from, tombstone.to);
        }
    }

    /// Forgets the tombstones that hide nothing any more: those whose blocks are all cleaned. One that covers a block
    /// which cannot be opened now stays for it, without keeping the others.
    pub(crate) fn retire_tombstones(&self, maintenance: &mut Maintenance) -> Result<(), Error> {
        if maintenance.tombstones.is_empty() {
            return Ok(());
        }
        let blocks = Arc::clone(&self.shared.data.read().blocks);
        let is_waiting = |seq: u64| match blocks.iter().find(|b| b.meta().seq == seq) {
            Some(block) => !block.hidden().is_empty(),
            None => true,
        };
        // The oldest block that waits is covered by every tombstone that covers one at all.
        let oldest = maintenance.manifest.blocks.iter().copied().find(|seq| is_waiting(*seq));
        let needed = |tombstone: &Tombstone| oldest.is_some_and(|seq| seq <= tombstone.covers);
        if maintenance.tombstones.iter().all(needed) {
            return Ok(());
        }
        let kept: Vec<Tombstone> = maintenance.tombstones.iter().filter(|t| needed(t)).cloned().collect();
        store(self.fs.as_ref(), &self.dir, maintenance.manifest.flushed, &kept)?;
        maintenance.tombstones = kept;
        Ok(())
    }
}

impl Tombstone {
    /// The numbers of the series of a block that it covers.
    pub(crate) fn series_of(&self, block: &Block) -> Result<Vec<u32>, Error> {
        if block.meta().seq > self.covers || !block.overlaps(self.from, self.to) {
            return Ok(Vec::new());
        }
        let mut found = Vec::new();
        for matchers in &self.selectors {
            found.append(&mut resolve(&BlockIndex::new(block), matchers)?);
        }
        found.sort_unstable();
        found.dedup();
        Ok(found)
    }

    /// Hides in a block that is being opened what was deleted.
    pub(crate) fn hide_in(&self, block: &Block) -> Result<(), Error> {
        let series = self.series_of(block)?;
        if !series.is_empty() {
            block.hidden().add(&series, (self.from, self.to));
        }
        Ok(())
    }
}
